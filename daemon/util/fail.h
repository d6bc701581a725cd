/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a call failed, in words for the client: what, which object, which limit, what to do. The errno decides the
 * protocol error (one place: wire/error.c); this carries the rest.
 */
#ifndef NPUD_UTIL_FAIL_H
#define NPUD_UTIL_FAIL_H

#include <stdint.h>

#include "proto/limits.h"

struct fail {
	char text[NPUD_MAX_ERROR_TEXT];
	const char *limit; /* static string, set with -EDQUOT */
	const char *owner;
	uint64_t used;
	uint64_t maximum;
};

/* Returns -error, so that a caller can `return fail_set(...)`. `fail` may be NULL. */
int fail_set(struct fail *fail, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* -EDQUOT with numbers. `advice` tells the client what to do about it. */
int fail_limit(struct fail *fail, const char *limit, const char *owner, uint64_t used, uint64_t maximum,
	       const char *advice);
/* The same where all tenants together have what the host has to spare: nobody's limit, and nothing to release. */
int fail_capacity(struct fail *fail, const char *limit, const char *owner, uint64_t used, uint64_t maximum);

#endif
