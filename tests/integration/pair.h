/* SPDX-License-Identifier: Apache-2.0 */
/* Two software NPUs behind one npud: "npu0" and "npu1". */
#ifndef NPUD_TESTS_PAIR_H
#define NPUD_TESTS_PAIR_H

#include "tests/integration/harness.h"

/* A harness whose npud serves a second software NPU: with one core it is of another kind, with three it is alike. */
struct pair {
	struct harness *harness;
	char socket[96];
	pid_t emu;
};

/* NULL: the second one is not there yet. */
struct pair pair_start(const char *cores);
void pair_plug_in(struct pair *pair, const char *cores);
void pair_stop(struct pair *pair);

#endif
