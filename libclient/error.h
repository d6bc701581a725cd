/* SPDX-License-Identifier: Apache-2.0 */
/* The calling thread's one-line reason for the last failure. Owns the text only; it never decides what is an error. */
#ifndef NPU_CLIENT_ERROR_H
#define NPU_CLIENT_ERROR_H

/* Remember the reason and return `code`, so that failure sites read `return npu_fail(-EINVAL, ...)`. */
int npu_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Every public call starts with no reason. */
void npu_error_clear(void);

#endif
