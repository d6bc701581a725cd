/* SPDX-License-Identifier: Apache-2.0 */
/* Types that must not be mixed up: a bus address is not an NPU address is not a time. */
#ifndef NPUD_UTIL_TYPES_H
#define NPUD_UTIL_TYPES_H

#include <stdbool.h>
#include <stdint.h>

/* Bus address as the IOMMU translates it. */
typedef struct {
	uint64_t v;
} iova_t;

/* 32-bit address of NPU code, relative to an ASID base. */
typedef struct {
	uint32_t v;
} npu_addr_t;

/* Monotonic nanoseconds. */
typedef struct {
	uint64_t v;
} nsec_t;

static inline iova_t iova_add(iova_t base, uint64_t offset)
{
	return (iova_t){base.v + offset};
}

static inline nsec_t nsec_add(nsec_t t, uint64_t ns)
{
	return (nsec_t){t.v + ns < t.v ? UINT64_MAX : t.v + ns};
}

/* later - earlier, 0 if the clock seems to run backwards */
static inline uint64_t nsec_since(nsec_t later, nsec_t earlier)
{
	return later.v > earlier.v ? later.v - earlier.v : 0;
}

#endif
