/* SPDX-License-Identifier: Apache-2.0 */
/* What both layouts share: arithmetic, the tables of a plan, stack sets, the GM range. */
#ifndef NPU_CLIENT_PLANNER_PARTS_H
#define NPU_CLIENT_PLANNER_PARTS_H

#include "libclient/planner.h"

/* `align` is a power of two. All operands stay far below 2^64: sums of fewer than 2^32 values below 2^33. */
static inline uint64_t npu_align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

static inline uint64_t npu_page_up(uint64_t value)
{
	return npu_align_up(value, ZY_PAGE_BYTES);
}

static inline uint64_t npu_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

int npu_plan_refuse(char *why, size_t why_bytes, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Allocate the tables and fill in what does not depend on the layout: sets, strides, GM. */
int npu_plan_begin(const struct npu_elf *elf, const struct npu_plan_target *target, struct npu_plan *plan);

/* Lay static sections out inside their block's compacted buffers: static_at becomes relative to each buffer. */
void npu_plan_compact(const struct npu_elf *elf, struct npu_plan *plan, uint32_t bss);

/* Check the totals, then resolve the patch list. */
int npu_plan_finish(const struct npu_elf *elf, struct npu_plan *plan, char *why, size_t why_bytes);

#endif
