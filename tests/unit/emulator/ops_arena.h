/* SPDX-License-Identifier: Apache-2.0 */
/* An NPU memory of one small arena for operator tests, records built by hand, and a fixed random sequence. */
#ifndef NPUD_TESTS_OPS_ARENA_H
#define NPUD_TESTS_OPS_ARENA_H

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "emulator/ops/ops.h"
#include "proto/zhouyi_elf.h"
#include "tests/unit/suite.h"

#define ARENA_BASE 0x10000u
#define ARENA_BYTES (8u << 20)

struct arena {
	struct op_memory memory;
	struct op_cache *cache;
	uint8_t *data;
	uint32_t used;
	uint64_t identity;
	_Atomic int open; /* spans not yet given back */
	_Atomic int refused;
	uint64_t instance;
};

static uint64_t random_state = 1;

static inline uint32_t random_u32(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33);
}

static inline uint32_t random_below(uint32_t n)
{
	return random_u32() % n;
}

static inline float random_float(void)
{
	return (float)(random_u32() & 0xffff) / 32768.0f - 1.0f;
}

static inline int arena_get(void *ctx, uint32_t asid, uint32_t addr, uint64_t bytes, enum op_access access,
			    struct op_span *span)
{
	struct arena *arena = ctx;

	(void)access;
	if (asid != 0 || addr < ARENA_BASE || bytes > ARENA_BYTES || addr - ARENA_BASE > ARENA_BYTES - bytes) {
		atomic_fetch_add(&arena->refused, 1);
		return -EFAULT;
	}
	span->data = arena->data + (addr - ARENA_BASE);
	span->bytes = bytes;
	atomic_fetch_add(&arena->open, 1);
	return 0;
}

static inline void arena_put(void *ctx, struct op_span *span)
{
	struct arena *arena = ctx;

	span->data = NULL;
	atomic_fetch_sub(&arena->open, 1);
}

static inline uint64_t arena_identity(void *ctx, uint32_t asid, uint32_t addr)
{
	struct arena *arena = ctx;

	(void)asid;
	(void)addr;
	return arena->identity;
}

static inline void arena_open(struct arena *arena)
{
	memset(arena, 0, sizeof(*arena));
	arena->data = aligned_alloc(64, ARENA_BYTES);
	ck_assert_ptr_nonnull(arena->data);
	memset(arena->data, 0, ARENA_BYTES);
	arena->identity = 1;
	arena->memory = (struct op_memory){arena_get, arena_put, arena_identity, arena};
	arena->cache = op_cache_new(64u << 20);
	ck_assert_ptr_nonnull(arena->cache);
}

static inline void arena_close(struct arena *arena)
{
	ck_assert_int_eq(arena->open, 0);
	op_cache_free(arena->cache);
	free(arena->data);
}

static inline void *arena_at(struct arena *arena, uint32_t addr)
{
	return arena->data + (addr - ARENA_BASE);
}

static inline uint32_t arena_take(struct arena *arena, uint32_t bytes)
{
	uint32_t at = (arena->used + 63u) & ~63u;

	ck_assert_uint_le(at + bytes, ARENA_BYTES);
	arena->used = at + bytes;
	return ARENA_BASE + at;
}

static inline uint32_t dtype_bytes(uint32_t dtype)
{
	static const uint8_t bytes[] = {0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8, 2};

	return bytes[dtype];
}

/* A dense tensor whose axes lie in memory in `order`, outermost first; NULL for row major. */
static inline struct isa_operand tensor_in(struct arena *arena, uint32_t dtype, uint32_t rank, const uint32_t *dims,
					   const uint32_t *order)
{
	struct isa_operand o = {.dtype = dtype, .rank = rank};
	uint32_t stride = 1;

	for (uint32_t i = rank; i-- > 0;) {
		uint32_t axis = order ? order[i] : i;
		o.dims[axis] = dims[axis];
		o.strides[axis] = (int32_t)stride;
		stride *= dims[axis];
	}
	o.addr = arena_take(arena, (stride ? stride : 1) * dtype_bytes(dtype));
	return o;
}

static inline uint32_t elements_of(const struct isa_operand *o)
{
	uint32_t n = 1;

	for (uint32_t i = 0; i < o->rank; i++)
		n *= o->dims[i];
	return n;
}

/* The address of an element, by its index in row-major order of the logical dims. */
static inline void *element_at(struct arena *arena, const struct isa_operand *o, uint32_t flat)
{
	int64_t offset = 0;

	for (uint32_t i = o->rank; i-- > 0;) {
		offset += (int64_t)(flat % o->dims[i]) * o->strides[i];
		flat /= o->dims[i];
	}
	return (uint8_t *)arena_at(arena, o->addr) + offset * dtype_bytes(o->dtype);
}

static inline float f32_at(struct arena *arena, const struct isa_operand *o, uint32_t flat)
{
	return *(float *)element_at(arena, o, flat);
}

static inline void fill_random(struct arena *arena, const struct isa_operand *o)
{
	for (uint32_t i = 0; i < elements_of(o); i++)
		*(float *)element_at(arena, o, i) = random_float();
}

struct record {
	union {
		struct isa_record header;
		uint8_t bytes[2048];
	};
};

static inline void record_start(struct record *r, uint32_t op, uint32_t split)
{
	memset(r, 0, sizeof(*r));
	r->header.op = op;
	r->header.split = split;
	r->header.bytes = sizeof(struct isa_record);
}

static inline void record_operand(struct record *r, const struct isa_operand *o)
{
	if (o)
		memcpy(r->bytes + r->header.bytes, o, sizeof(*o));
	r->header.bytes += (uint32_t)sizeof(*o);
	r->header.operand_count++;
}

static inline void record_finish(struct record *r, const void *params, size_t bytes)
{
	if (bytes)
		memcpy(r->bytes + r->header.bytes, params, bytes);
	r->header.bytes += (uint32_t)bytes;
}

static inline int record_run(struct arena *arena, const struct record *r, uint32_t task, uint32_t tasks)
{
	struct op_run run = {
	    .memory = &arena->memory, .cache = arena->cache, .task = task, .tasks = tasks, .instance = arena->instance};

	int rc = op_run(&run, &r->header, r->header.bytes);
	ck_assert_int_eq(arena->open, 0);
	return rc;
}

static inline void record_run_all(struct arena *arena, const struct record *r, uint32_t tasks)
{
	for (uint32_t t = 0; t < tasks; t++)
		ck_assert_int_eq(record_run(arena, r, t, tasks), 0);
}

#endif
