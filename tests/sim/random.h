/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers that are the same on every machine and in every year: splitmix64. */
#ifndef NPUD_TESTS_SIM_RANDOM_H
#define NPUD_TESTS_SIM_RANDOM_H

#include <math.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* 0 to limit - 1 */
static inline uint32_t random_below(struct random *random, uint32_t limit)
{
	return (uint32_t)((random_next(random) >> 32) * limit >> 32);
}

/* Of a log-normal distribution; the sum of twelve uniform numbers is normal enough. */
static inline uint64_t random_lognormal(struct random *random, uint64_t mean, double cv)
{
	double normal = -6, variance = log(1 + cv * cv);

	for (int i = 0; i < 12; i++)
		normal += (double)(random_next(random) >> 11) * 0x1p-53;
	return (uint64_t)((double)mean * exp(normal * sqrt(variance) - variance / 2));
}

#endif
