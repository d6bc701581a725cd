/* SPDX-License-Identifier: Apache-2.0 */
/* The calling thread's one-line reason for the last failure. Owns the text only; it never decides what is an error. */
#ifndef NPU_CLIENT_ERROR_H
#define NPU_CLIENT_ERROR_H

/* Remember the reason: printf-like, one line. */
void npu_error_set(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Remember the reason and be `code`, so that failure sites read `return npu_fail(-EINVAL, ...)`. */
#define npu_fail(code, ...)                                                                                            \
	__extension__({                                                                                                \
		int npu_fail_code = (code);                                                                            \
		npu_error_set(__VA_ARGS__);                                                                            \
		npu_fail_code;                                                                                         \
	})

/* Every public call starts with no reason. */
void npu_error_clear(void);

#endif
