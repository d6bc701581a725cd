/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory as one running task sees it: 32-bit addresses in four address-space regions, on-chip windows, GM shadows.
 * Translates and checks; it knows no instruction and no TCB.
 */
#ifndef NPUD_EMULATOR_MEMORY_H
#define NPUD_EMULATOR_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "emulator/chip.h"
#include "emulator/dma.h"
#include "emulator/ops/ops.h"

#define MEM_ASIDS 4u
#define MEM_MAX_BOUNCE (1ull << 30)

/* What an init TCB sets up for the groups behind it. */
struct mem_context {
	struct {
		uint64_t base;
		bool readable;
		bool writable;
	} asid[MEM_ASIDS];
	struct {
		uint64_t address; /* bus address that GM stands in for */
		uint64_t bytes; /* 0 = no shadow */
		uint32_t gm_offset;
	} shadow[2];
};

struct mem_fault {
	bool valid;
	uint32_t asid;
	uint32_t address;
	uint64_t bytes;
	enum op_access access;
};

struct mem_view {
	struct dma *dma;
	struct chip *chip;
	const struct mem_context *context;
	const atomic_bool *stop;
	uint32_t core;
	uint32_t tec;
	struct mem_fault fault; /* the first one */
};

/* 0, or -EFAULT after recording the fault. */
int mem_read(struct mem_view *view, uint32_t asid, uint32_t address, void *data, uint64_t bytes);
int mem_write(struct mem_view *view, uint32_t asid, uint32_t address, const void *data, uint64_t bytes);
/* Whether an instruction fetch of this range would succeed; *remote: it costs a round trip to the client. */
bool mem_readable(struct mem_view *view, uint32_t asid, uint32_t address, uint64_t bytes, bool *remote);
/* Records a fault at an address, for accesses that failed in other ways. */
void mem_fault(struct mem_view *view, uint32_t asid, uint32_t address, uint64_t bytes, enum op_access access);
/* The view as the tensor operators use it. */
struct op_memory mem_operators(struct mem_view *view);

#endif
