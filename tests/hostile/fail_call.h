/* SPDX-License-Identifier: Apache-2.0 */
/* What a test and the preloaded fail_call.so share: a page of the file $FAIL_CALL. */
#ifndef NPUD_TESTS_FAIL_CALL_H
#define NPUD_TESTS_FAIL_CALL_H

#include <stdatomic.h>

struct fail_call {
	atomic_int countdown; /* the call that takes it from 1 to 0 fails; 0: none does */
	atomic_uint failed; /* so far */
	char last[32]; /* name of the last one */
};

#endif
