/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pseudo-random numbers of test inputs: xorshift32, the same in scripts/golden.mjs, so that an input is a seed and
 * not a file. Marsaglia's generator: x ^= x << 13, x ^= x >> 17, x ^= x << 5; seed 0 counts as 1.
 */
#ifndef NPUD_TOOLS_XORSHIFT_H
#define NPUD_TOOLS_XORSHIFT_H

#include <stdint.h>

struct xorshift {
	uint32_t state;
};

static inline struct xorshift xorshift_start(uint32_t seed)
{
	return (struct xorshift){.state = seed ? seed : 1};
}

static inline uint32_t xorshift_next(struct xorshift *random)
{
	random->state ^= random->state << 13;
	random->state ^= random->state >> 17;
	random->state ^= random->state << 5;
	return random->state;
}

/* In [-1, 1), from the upper 24 bits: exact in float32, so that every language agrees to the bit. */
static inline float xorshift_float(struct xorshift *random)
{
	return (float)(xorshift_next(random) >> 8) * 0x1p-23f - 1.0f;
}

#endif
