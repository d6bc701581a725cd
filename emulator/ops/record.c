/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records and the views they describe: everything a hostile record can say is checked here once, in wide arithmetic.
 * Nothing here computes; no operand is mapped before its final view is known.
 */
#include <errno.h>
#include <stdatomic.h>

#include "emulator/ops/internal.h"

static int operand_open(struct op_tensor *t, const struct isa_operand *o)
{
	memset(t, 0, offsetof(struct op_tensor, dims));
	t->mapped = false;
	if (o->dtype == ZY_DATA_NONE)
		return 0;
	t->esize = type_bytes(o->dtype);
	if (!t->esize || o->rank > ISA_MAX_RANK || o->addr % t->esize)
		return -EINVAL;
	t->dtype = o->dtype;
	t->asid = o->asid;
	t->rank = o->rank;
	t->addr = o->addr;
	for (uint32_t i = 0; i < ISA_MAX_RANK; i++) {
		t->dims[i] = i < o->rank ? (int64_t)o->dims[i] : 1;
		t->strides[i] = i < o->rank ? o->strides[i] : 0;
	}
	int64_t low;
	uint64_t bytes;
	if (tensor_elements(t) < 0)
		return -EINVAL;
	return tensor_range(t, &low, &bytes);
}

static int split_open(struct op_ctx *ctx)
{
	const struct op_run *run = ctx->run;
	const struct op_tensor *out = &ctx->t[0];

	if (ctx->split == ISA_SPLIT_NONE) {
		ctx->empty = run->task != 0;
		return 0;
	}
	if (ctx->split >= out->rank)
		return -EINVAL;
	int64_t dim = out->dims[ctx->split];
	ctx->begin = dim * (int64_t)run->task / (int64_t)run->tasks;
	ctx->end = dim * ((int64_t)run->task + 1) / (int64_t)run->tasks;
	ctx->empty = ctx->begin == ctx->end;
	return 0;
}

int record_open(struct op_ctx *ctx, struct op_run *run, const struct isa_record *record, size_t bytes)
{
	if (!run->tasks || run->task >= run->tasks || run->tasks > 65536)
		return -EINVAL;
	if (bytes < sizeof(*record) || record->bytes != bytes || !record->op || record->op >= ISA_T_COUNT)
		return -EINVAL;
	if (!record->operand_count || record->operand_count > ISA_MAX_OPERANDS)
		return -EINVAL;
	size_t operands = record->operand_count * sizeof(struct isa_operand);
	if (bytes - sizeof(*record) < operands)
		return -EINVAL;
	ctx->run = run;
	ctx->op = record->op;
	ctx->count = record->operand_count;
	ctx->split = record->split;
	ctx->begin = 0;
	ctx->end = 0;
	ctx->params = (const uint8_t *)record + sizeof(*record) + operands;
	ctx->params_bytes = bytes - sizeof(*record) - operands;
	for (uint32_t i = 0; i < ctx->count; i++) {
		int rc = operand_open(&ctx->t[i], &record->operand[i]);
		if (rc)
			return rc;
	}
	int rc = tensor_check_output(&ctx->t[0]);
	return rc ? rc : split_open(ctx);
}

void record_close(struct op_ctx *ctx)
{
	const struct op_memory *memory = ctx->run->memory;

	for (uint32_t i = 0; i < ctx->count; i++) {
		if (ctx->t[i].mapped)
			memory->put(memory->ctx, &ctx->t[i].span);
		ctx->t[i].mapped = false;
	}
}

int record_params(const struct op_ctx *ctx, void *params, size_t bytes)
{
	if (ctx->params_bytes != bytes)
		return -EINVAL;
	if (bytes)
		memcpy(params, ctx->params, bytes);
	return 0;
}

int record_operands(const struct op_ctx *ctx, uint32_t least, uint32_t most)
{
	if (ctx->count < least || ctx->count > most)
		return -EINVAL;
	for (uint32_t i = 0; i < least; i++)
		if (!tensor_present(ctx, i))
			return -EINVAL;
	return 0;
}

bool record_cancelled(const struct op_ctx *ctx)
{
	return ctx->run->cancel && atomic_load_explicit(ctx->run->cancel, memory_order_relaxed);
}

void record_charge(struct op_ctx *ctx, int64_t elements)
{
	ctx->run->cycles += OP_START_CYCLES + ((uint64_t)elements + OP_ELEMENTS_PER_CYCLE - 1) / OP_ELEMENTS_PER_CYCLE;
}

void record_charge_macs(struct op_ctx *ctx, int64_t macs)
{
	ctx->run->macs += (uint64_t)macs;
	ctx->run->cycles += OP_START_CYCLES + ((uint64_t)macs + OP_MACS_PER_CYCLE - 1) / OP_MACS_PER_CYCLE;
}

bool tensor_present(const struct op_ctx *ctx, uint32_t index)
{
	return index < ctx->count && ctx->t[index].dtype != ZY_DATA_NONE;
}

/* Product of the dims; -1 above OP_MAX_ELEMENTS. */
int64_t tensor_elements(const struct op_tensor *t)
{
	int64_t n = 1;

	for (uint32_t i = 0; i < t->rank; i++)
		if (t->dims[i] == 0)
			return 0;
	for (uint32_t i = 0; i < t->rank; i++) {
		if (t->dims[i] > OP_MAX_ELEMENTS / n)
			return -1;
		n *= t->dims[i];
	}
	return n;
}

/* The bytes that the view touches: [low, low + bytes), inside the 4 GiB of its region. */
int tensor_range(const struct op_tensor *t, int64_t *low, uint64_t *bytes)
{
	__int128 first = 0;
	__int128 last = 0;

	*low = t->addr;
	*bytes = 0;
	for (uint32_t i = 0; i < t->rank; i++) {
		if (t->dims[i] == 0)
			return 0;
		__int128 reach = (__int128)(t->dims[i] - 1) * t->strides[i];
		if (reach < 0)
			first += reach;
		else
			last += reach;
	}
	first = t->addr + first * t->esize;
	last = t->addr + last * t->esize + t->esize;
	if (first < 0 || last > (__int128)1 << 32)
		return -EINVAL;
	*low = (int64_t)first;
	*bytes = (uint64_t)(last - first);
	return 0;
}

bool tensor_same_dims(const struct op_tensor *a, const struct op_tensor *b)
{
	if (a->rank != b->rank)
		return false;
	for (uint32_t i = 0; i < a->rank; i++)
		if (a->dims[i] != b->dims[i])
			return false;
	return true;
}

/* An output that names one element twice would depend on the order of the loops. */
int tensor_check_output(const struct op_tensor *t)
{
	if (t->dtype == ZY_DATA_NONE)
		return -EINVAL;
	for (uint32_t i = 0; tensor_elements(t) && i < t->rank; i++)
		if (t->dims[i] > 1 && t->strides[i] == 0)
			return -EINVAL;
	return 0;
}

/* Narrows an axis; begin and count are inside the dim, so the view stays inside the checked range. */
void tensor_slice(struct op_tensor *t, uint32_t axis, int64_t begin, int64_t count)
{
	t->addr += begin * t->strides[axis] * (int64_t)t->esize;
	if (t->data)
		t->data += begin * t->strides[axis] * (int64_t)t->esize;
	t->dims[axis] = count;
}

/* Narrows an operand that shares the split axis with the output. */
void tensor_take(struct op_ctx *ctx, uint32_t index)
{
	if (ctx->split != ISA_SPLIT_NONE)
		tensor_slice(&ctx->t[index], ctx->split, ctx->begin, ctx->end - ctx->begin);
}

/* Where views without elements point: never accessed, but part of address arithmetic. */
static uint64_t nothing[1];

int tensor_map(struct op_ctx *ctx, uint32_t index, enum op_access access)
{
	struct op_tensor *t = &ctx->t[index];
	const struct op_memory *memory = ctx->run->memory;
	int64_t low;
	uint64_t bytes;

	int rc = tensor_range(t, &low, &bytes);
	if (rc)
		return rc;
	if (!bytes) {
		t->data = (uint8_t *)nothing;
		return 0;
	}
	rc = memory->get(memory->ctx, t->asid, (uint32_t)low, bytes, access, &t->span);
	if (rc)
		return rc;
	t->mapped = true;
	t->data = (uint8_t *)t->span.data + (t->addr - low);
	return (uintptr_t)t->data % t->esize ? -EINVAL : 0;
}

/* Maps every present operand: the first `outputs` for writing. */
int tensor_map_all(struct op_ctx *ctx, uint32_t outputs)
{
	for (uint32_t i = 0; i < ctx->count; i++) {
		if (!tensor_present(ctx, i))
			continue;
		int rc = tensor_map(ctx, i, i < outputs ? OP_WRITE : OP_READ);
		if (rc)
			return rc;
	}
	return 0;
}

/* The view's first element alone, as a scalar. */
void tensor_scalar(struct op_tensor *t)
{
	t->rank = 0;
}

/* A dense row-major view of host memory. */
struct op_tensor tensor_view(void *data, uint32_t dtype, uint32_t rank, const int64_t *dims)
{
	struct op_tensor t = {.data = data, .dtype = dtype, .esize = type_bytes(dtype), .rank = rank};
	int64_t stride = 1;

	for (uint32_t i = rank; i-- > 0;) {
		t.dims[i] = dims[i];
		t.strides[i] = stride;
		stride *= dims[i];
	}
	return t;
}

/* N, C, spatial... to N, C, D, H, W: missing leading spatial axes have one element. */
struct op_tensor tensor_widen(const struct op_tensor *t)
{
	struct op_tensor wide = *t;
	uint32_t spatial = t->rank - 2;

	wide.rank = OP_MAP_RANK;
	wide.mapped = false;
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t from = i + spatial < 3 ? ISA_MAX_RANK : i + spatial - 3 + 2;
		wide.dims[2 + i] = from == ISA_MAX_RANK ? 1 : t->dims[from];
		wide.strides[2 + i] = from == ISA_MAX_RANK ? 0 : t->strides[from];
	}
	return wide;
}
