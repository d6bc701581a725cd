/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GATHER, GATHER_ELEMENTS and GATHER_ND. Indices come from memory that may change at any time: each is read once, and
 * the value that was checked is the value that is used.
 */
#include <errno.h>

#include "emulator/ops/index.h"

/* Reads one index once; wraps a negative one; false if it is outside [0, dim). */
bool index_load(const uint8_t *p, uint32_t dtype, int64_t dim, int64_t *index)
{
	int64_t v = dtype == ZY_DATA_S32 ? *(const volatile int32_t *)(const volatile void *)p
					 : *(const volatile int64_t *)(const volatile void *)p;

	if (v < 0 && v >= -dim)
		v += dim;
	*index = v;
	return v >= 0 && v < dim;
}

bool index_type(uint32_t dtype)
{
	return dtype == ZY_DATA_S32 || dtype == ZY_DATA_S64;
}

/* Next index of the leading `rank` axes; false after the last. */
bool index_next(int64_t *index, const int64_t *dims, uint32_t rank)
{
	for (uint32_t d = rank; d-- > 0;) {
		if (++index[d] < dims[d])
			return true;
		index[d] = 0;
	}
	return false;
}

int64_t index_offset(const struct op_tensor *t, const int64_t *index, uint32_t rank)
{
	int64_t offset = 0;

	for (uint32_t d = 0; d < rank; d++)
		offset += index[d] * t->strides[d];
	return offset * (int64_t)t->esize;
}

/* ------------------------------------------------------------------ GATHER */

static int gather_check(struct op_ctx *ctx, uint32_t *axis)
{
	struct isa_axis_params params;
	const struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 3, 3);
	if (!rc)
		rc = record_params(ctx, &params, sizeof(params));
	if (rc)
		return rc;
	if (params.axis >= t[1].rank || !index_type(t[2].dtype) || t[0].dtype != t[1].dtype ||
	    t[0].rank != t[1].rank - 1 + t[2].rank)
		return -EINVAL;
	for (uint32_t i = 0; i < t[0].rank; i++) {
		int64_t dim = i < params.axis               ? t[1].dims[i]
			      : i < params.axis + t[2].rank ? t[2].dims[i - params.axis]
							    : t[1].dims[i + 1 - t[2].rank];
		if (t[0].dims[i] != dim)
			return -EINVAL;
	}
	*axis = params.axis;
	return 0;
}

static void gather_slice(struct op_ctx *ctx, uint32_t axis)
{
	struct op_tensor *t = ctx->t;
	uint32_t at = ctx->split;
	int64_t count = ctx->end - ctx->begin;

	if (at == ISA_SPLIT_NONE)
		return;
	tensor_take(ctx, 0);
	if (at < axis)
		tensor_slice(&t[1], at, ctx->begin, count);
	else if (at < axis + t[2].rank)
		tensor_slice(&t[2], at - axis, ctx->begin, count);
	else
		tensor_slice(&t[1], at + 1 - t[2].rank, ctx->begin, count);
}

/* The output without the index axes beside the data without the gathered axis. */
static void gather_views(const struct op_ctx *ctx, uint32_t axis, struct op_tensor *out, struct op_tensor *data)
{
	const struct op_tensor *t = ctx->t;
	uint32_t skip = t[2].rank;

	*out = t[0];
	*data = t[1];
	out->rank = data->rank = t[1].rank - 1;
	for (uint32_t i = axis; i < out->rank; i++) {
		out->dims[i] = t[0].dims[i + skip];
		out->strides[i] = t[0].strides[i + skip];
		data->dims[i] = t[1].dims[i + 1];
		data->strides[i] = t[1].strides[i + 1];
	}
}

int op_gather(struct op_ctx *ctx)
{
	const struct op_tensor *t = ctx->t;
	int64_t index[ISA_MAX_RANK] = {0};
	struct op_tensor out;
	struct op_tensor data;
	uint32_t axis;

	int rc = gather_check(ctx, &axis);
	if (rc || ctx->empty)
		return rc;
	gather_slice(ctx, axis);
	if (!tensor_elements(&t[0]))
		return 0;
	record_charge(ctx, tensor_elements(&t[0]));
	rc = tensor_map_all(ctx, 1);
	if (rc)
		return rc;
	gather_views(ctx, axis, &out, &data);
	do {
		int64_t pick;
		int64_t at = 0;
		if (!index_load(t[2].data + index_offset(&t[2], index, t[2].rank), t[2].dtype, t[1].dims[axis], &pick))
			return -EINVAL;
		for (uint32_t d = 0; d < t[2].rank; d++)
			at += index[d] * t[0].strides[axis + d];
		out.data = t[0].data + at * (int64_t)out.esize;
		data.data = t[1].data + pick * t[1].strides[axis] * (int64_t)data.esize;
		rc = copy_view(ctx, &out, &data);
		if (!rc && record_cancelled(ctx))
			rc = -ECANCELED;
	} while (!rc && index_next(index, t[2].dims, t[2].rank));
	return rc;
}

/* ------------------------------------------------------------------ GATHER_ELEMENTS */

struct elements {
	uint32_t dtype;
	uint32_t esize;
	int64_t dim;
	int64_t step;
	int rc;
};

static void elements_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	struct elements *e = arg;

	for (int64_t i = 0; i < n && !e->rc; i++) {
		int64_t pick;
		if (!index_load(p[1] + i * step[1], e->dtype, e->dim, &pick))
			e->rc = -EINVAL;
		else
			memcpy(p[0] + i * step[0], p[2] + i * step[2] + pick * e->step, e->esize);
	}
}

int op_gather_elements(struct op_ctx *ctx)
{
	struct isa_axis_params params;
	struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 3, 3);
	if (!rc)
		rc = record_params(ctx, &params, sizeof(params));
	if (rc)
		return rc;
	if (params.axis >= t[1].rank || !index_type(t[2].dtype) || t[0].dtype != t[1].dtype ||
	    !tensor_same_dims(&t[0], &t[2]) || t[0].rank != t[1].rank)
		return -EINVAL;
	for (uint32_t i = 0; i < t[0].rank; i++)
		if (i != params.axis && t[0].dims[i] > t[1].dims[i])
			return -EINVAL;
	if (ctx->empty)
		return 0;
	tensor_take(ctx, 0);
	tensor_take(ctx, 2);
	if (ctx->split != params.axis)
		tensor_take(ctx, 1);
	if (!tensor_elements(&t[0]))
		return 0;
	record_charge(ctx, tensor_elements(&t[0]));
	rc = tensor_map_all(ctx, 1);
	if (rc)
		return rc;
	struct elements e = {t[2].dtype, t[0].esize, t[1].dims[params.axis],
			     t[1].strides[params.axis] * (int64_t)t[1].esize, 0};
	struct op_tensor data = t[1];
	data.strides[params.axis] = 0;
	rc = iterate_rows(ctx, (const struct op_tensor *const[]){&t[0], &t[2], &data}, 3, elements_row, &e);
	return rc ? rc : e.rc;
}

/* ------------------------------------------------------------------ GATHER_ND */

/* Indices are [lead..., depth]; the output is [lead..., data axes behind batch + depth]. */
static int gather_nd_check(struct op_ctx *ctx, uint32_t *batch, uint32_t *depth)
{
	struct isa_gather_nd_params params;
	const struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 3, 3);
	if (!rc)
		rc = record_params(ctx, &params, sizeof(params));
	if (rc)
		return rc;
	if (!t[2].rank || !t[1].rank || !index_type(t[2].dtype) || t[0].dtype != t[1].dtype)
		return -EINVAL;
	uint32_t lead = t[2].rank - 1;
	int64_t last = t[2].dims[lead];
	if (params.batch_dims > lead || params.batch_dims > t[1].rank || last < 1 ||
	    last > (int64_t)(t[1].rank - params.batch_dims))
		return -EINVAL;
	*batch = params.batch_dims;
	*depth = (uint32_t)last;
	uint32_t tail = t[1].rank - *batch - *depth;
	if (t[0].rank != lead + tail)
		return -EINVAL;
	for (uint32_t i = 0; i < lead; i++)
		if (t[0].dims[i] != t[2].dims[i] || (i < *batch && t[0].dims[i] != t[1].dims[i]))
			return -EINVAL;
	for (uint32_t i = 0; i < tail; i++)
		if (t[0].dims[lead + i] != t[1].dims[*batch + *depth + i])
			return -EINVAL;
	return 0;
}

static int tuple_load(const struct op_tensor *indices, const uint8_t *p, const struct op_tensor *data, uint32_t batch,
		      uint32_t depth, int64_t *offset)
{
	int64_t step = indices->strides[indices->rank - 1] * (int64_t)indices->esize;

	for (uint32_t d = 0; d < depth; d++) {
		int64_t pick;
		if (!index_load(p + d * step, indices->dtype, data->dims[batch + d], &pick))
			return -EINVAL;
		*offset += pick * data->strides[batch + d] * (int64_t)data->esize;
	}
	return 0;
}

/* The view of `t` behind its first `skip` axes. */
struct op_tensor index_tail(const struct op_tensor *t, uint32_t skip)
{
	struct op_tensor tail = *t;

	tail.rank = t->rank - skip;
	for (uint32_t i = 0; i < tail.rank; i++) {
		tail.dims[i] = t->dims[i + skip];
		tail.strides[i] = t->strides[i + skip];
	}
	return tail;
}

int op_gather_nd(struct op_ctx *ctx)
{
	struct op_tensor *t = ctx->t;
	int64_t index[ISA_MAX_RANK] = {0};
	uint32_t batch;
	uint32_t depth;

	int rc = gather_nd_check(ctx, &batch, &depth);
	if (rc || ctx->empty)
		return rc;
	uint32_t lead = t[2].rank - 1;
	tensor_take(ctx, 0);
	if (ctx->split != ISA_SPLIT_NONE) {
		int64_t count = ctx->end - ctx->begin;
		if (ctx->split < lead)
			tensor_slice(&t[2], ctx->split, ctx->begin, count);
		else
			tensor_slice(&t[1], ctx->split - lead + batch + depth, ctx->begin, count);
		if (ctx->split < batch)
			tensor_slice(&t[1], ctx->split, ctx->begin, count);
	}
	if (!tensor_elements(&t[0]))
		return 0;
	record_charge(ctx, tensor_elements(&t[0]));
	rc = tensor_map_all(ctx, 1);
	if (rc)
		return rc;
	struct op_tensor out = index_tail(&t[0], lead);
	struct op_tensor data = index_tail(&t[1], batch + depth);
	do {
		int64_t offset = index_offset(&t[1], index, batch);
		rc = tuple_load(&t[2], t[2].data + index_offset(&t[2], index, lead), &t[1], batch, depth, &offset);
		if (rc)
			return rc;
		out.data = t[0].data + index_offset(&t[0], index, lead);
		data.data = t[1].data + offset;
		rc = copy_view(ctx, &out, &data);
		if (!rc && record_cancelled(ctx))
			rc = -ECANCELED;
	} while (!rc && index_next(index, t[2].dims, lead));
	return rc;
}
