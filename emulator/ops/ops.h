/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensor operators of the software NPU: the seam between the program executor and the arithmetic.
 * The operators see NPU memory only through `struct op_memory`; they never see registers, jobs or sockets.
 */
#ifndef NPUD_EMULATOR_OPS_H
#define NPUD_EMULATOR_OPS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "emulator/isa.h"

enum op_access { OP_READ = 1, OP_WRITE = 2 };

/* A range of NPU memory made addressable for the duration of one instruction. */
struct op_span {
	void *data;
	uint64_t bytes;
	void *cookie[2]; /* the memory's own */
};

/*
 * Memory as the running task may see it. get() makes [addr, addr + bytes) of region `asid` addressable and returns 0,
 * or -EFAULT after recording the fault (nothing to undo). The pointer may be the client's memory itself or a bounce
 * buffer: written data is only certain to be visible after put(). Both are called from several threads at once.
 */
struct op_memory {
	int (*get)(void *ctx, uint32_t asid, uint32_t addr, uint64_t bytes, enum op_access access,
		   struct op_span *span);
	void (*put)(void *ctx, struct op_span *span);
	/* The identity of the mapping behind a range: changes whenever it is mapped anew. 0 if not mapped. */
	uint64_t (*identity)(void *ctx, uint32_t asid, uint32_t addr);
	void *ctx;
};

/* Compiled primitives and packed weights, shared by all tasks and jobs; bounded. */
struct op_cache;
struct op_cache *op_cache_new(size_t max_bytes);
void op_cache_free(struct op_cache *cache);
/* Forget everything (device reset). */
void op_cache_clear(struct op_cache *cache);

struct op_run {
	const struct op_memory *memory;
	struct op_cache *cache;
	uint32_t task; /* 0 .. tasks - 1 */
	uint32_t tasks; /* >= 1 */
	/* Out: work done by this task in this instruction. */
	uint64_t macs;
	uint64_t cycles; /* cost model, for computed and virtual job lengths */
	/*
	 * Optional. The same non-zero number in every task's run of one dynamic instruction (not reused for another):
	 * weights are then compared once per instruction. 0: compared in every run.
	 */
	uint64_t instance;
	/* Optional. Becomes non-zero when the run should be given up: checked in the generic loops. */
	const atomic_bool *cancel;
};

/*
 * Run one task's slice of the operator in `record` (`bytes` long, a private copy that cannot change underneath).
 * 0; -EINVAL malformed record; -EOPNOTSUPP type or mode not supported; -EFAULT operand access refused; -ENOMEM;
 * -ECANCELED. Every operand's address is a multiple of its element size.
 * On failure the output's contents are unspecified. Thread-safe; allocates nothing on a cache hit.
 */
int op_run(struct op_run *run, const struct isa_record *record, size_t bytes);

/* Once per executing thread: binds the arithmetic library to one host thread. */
void op_thread_init(void);

#endif
