/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCATTER_ELEMENTS and SCATTER_ND: the output starts as a copy of the data and takes the updates. A task applies the
 * updates that land in its slice.
 */
#include <errno.h>

#include "emulator/ops/index.h"

struct update {
	uint32_t reduction;
	uint32_t index_dtype;
	uint32_t dtype;
	uint32_t esize;
	int64_t dim;
	int64_t step;
	int rc;
};

static void element_update(const struct update *u, uint8_t *out, const uint8_t *in)
{
	if (u->reduction == ISA_SCATTER_SET) {
		memcpy(out, in, u->esize);
	} else if (type_is_integer(u->dtype) || u->dtype == ZY_DATA_BOOL) {
		uint64_t a = (uint64_t)type_load_s64(out, u->dtype);
		uint64_t b = (uint64_t)type_load_s64(in, u->dtype);
		type_store_s64(out, u->dtype, (int64_t)(u->reduction == ISA_SCATTER_ADD ? a + b : a * b));
	} else {
		double a = type_load(out, u->dtype);
		double b = type_load(in, u->dtype);
		type_store(out, u->dtype, u->reduction == ISA_SCATTER_ADD ? a + b : a * b);
	}
}

/* Views: indices, updates, and the output with stride 0 along the scattered axis. */
static void elements_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	struct update *u = arg;

	for (int64_t i = 0; i < n && !u->rc; i++) {
		int64_t pick;
		if (!index_load(p[0] + i * step[0], u->index_dtype, u->dim, &pick))
			u->rc = -EINVAL;
		else
			element_update(u, p[2] + i * step[2] + pick * u->step, p[1] + i * step[1]);
	}
}

static int scatter_params(struct op_ctx *ctx, struct isa_scatter_params *params)
{
	const struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 4, 4);
	if (!rc)
		rc = record_params(ctx, params, sizeof(*params));
	if (rc)
		return rc;
	if (params->reduction > ISA_SCATTER_MUL || !tensor_same_dims(&t[0], &t[1]) || t[0].dtype != t[1].dtype ||
	    t[3].dtype != t[0].dtype || !index_type(t[2].dtype))
		return -EINVAL;
	return 0;
}

static int copy_base(struct op_ctx *ctx)
{
	record_charge(ctx, tensor_elements(&ctx->t[0]) + tensor_elements(&ctx->t[3]));
	int rc = tensor_map_all(ctx, 1);
	return rc ? rc : copy_view(ctx, &ctx->t[0], &ctx->t[1]);
}

int op_scatter_elements(struct op_ctx *ctx)
{
	struct isa_scatter_params params;
	struct op_tensor *t = ctx->t;

	int rc = scatter_params(ctx, &params);
	if (rc)
		return rc;
	if (params.axis >= t[0].rank || ctx->split == params.axis || t[2].rank != t[0].rank ||
	    !tensor_same_dims(&t[2], &t[3]))
		return -EINVAL;
	for (uint32_t i = 0; i < t[0].rank; i++)
		if (i != params.axis && t[2].dims[i] > t[0].dims[i])
			return -EINVAL;
	if (ctx->empty)
		return 0;
	if (ctx->split != ISA_SPLIT_NONE) {
		int64_t have = t[2].dims[ctx->split];
		int64_t begin = ctx->begin < have ? ctx->begin : have;
		int64_t end = ctx->end < have ? ctx->end : have;
		tensor_slice(&t[2], ctx->split, begin, end - begin);
		tensor_slice(&t[3], ctx->split, begin, end - begin);
	}
	tensor_take(ctx, 0);
	tensor_take(ctx, 1);
	rc = copy_base(ctx);
	if (rc)
		return rc;
	struct update u = {params.reduction,
			   t[2].dtype,
			   t[0].dtype,
			   t[0].esize,
			   t[0].dims[params.axis],
			   t[0].strides[params.axis] * (int64_t)t[0].esize,
			   0};
	struct op_tensor out = t[0];
	out.strides[params.axis] = 0;
	rc = iterate_rows(ctx, (const struct op_tensor *const[]){&t[2], &t[3], &out}, 3, elements_row, &u);
	return rc ? rc : u.rc;
}

/* ------------------------------------------------------------------ SCATTER_ND */

static void region_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	for (int64_t i = 0; i < n; i++)
		element_update(arg, p[0] + i * step[0], p[1] + i * step[1]);
}

static int scatter_nd_check(struct op_ctx *ctx, uint32_t *lead, uint32_t *depth)
{
	const struct op_tensor *t = ctx->t;

	if (!t[2].rank || !t[0].rank)
		return -EINVAL;
	*lead = t[2].rank - 1;
	int64_t last = t[2].dims[*lead];
	if (last < 1 || last > (int64_t)t[0].rank)
		return -EINVAL;
	*depth = (uint32_t)last;
	if (t[3].rank != *lead + t[0].rank - *depth)
		return -EINVAL;
	for (uint32_t i = 0; i < t[3].rank; i++)
		if (t[3].dims[i] != (i < *lead ? t[2].dims[i] : t[0].dims[i - *lead + *depth]))
			return -EINVAL;
	return 0;
}

/* Offset of the region that an index tuple names; 1 if it is another task's. */
static int region_find(const struct op_ctx *ctx, const uint8_t *p, const int64_t *full, uint32_t depth, int64_t *offset)
{
	const struct op_tensor *t = ctx->t;
	int64_t step = t[2].strides[t[2].rank - 1] * (int64_t)t[2].esize;
	bool mine = true;

	*offset = 0;
	for (uint32_t d = 0; d < depth; d++) {
		int64_t pick;
		if (!index_load(p + d * step, t[2].dtype, full[d], &pick))
			return -EINVAL;
		if (ctx->split == d) {
			mine = pick >= ctx->begin && pick < ctx->end;
			pick -= ctx->begin;
		}
		*offset += pick * t[0].strides[d] * (int64_t)t[0].esize;
	}
	return mine ? 0 : 1;
}

static int scatter_nd_apply(struct op_ctx *ctx, struct update *u, const int64_t *full, uint32_t lead, uint32_t depth)
{
	const struct op_tensor *t = ctx->t;
	int64_t index[ISA_MAX_RANK] = {0};
	struct op_tensor out = index_tail(&t[0], depth);
	struct op_tensor from = index_tail(&t[3], lead);
	int rc;

	do {
		int64_t offset;
		if (record_cancelled(ctx))
			return -ECANCELED;
		rc = region_find(ctx, t[2].data + index_offset(&t[2], index, lead), full, depth, &offset);
		if (rc < 0)
			return rc;
		if (rc)
			continue;
		out.data = t[0].data + offset;
		from.data = t[3].data + index_offset(&t[3], index, lead);
		rc = iterate_rows(ctx, (const struct op_tensor *const[]){&out, &from}, 2, region_row, u);
		if (rc)
			return rc;
	} while (index_next(index, t[2].dims, lead));
	return 0;
}

int op_scatter_nd(struct op_ctx *ctx)
{
	struct isa_scatter_params params;
	struct op_tensor *t = ctx->t;
	int64_t full[ISA_MAX_RANK];
	uint32_t lead;
	uint32_t depth;

	int rc = scatter_params(ctx, &params);
	if (!rc)
		rc = scatter_nd_check(ctx, &lead, &depth);
	if (rc || ctx->empty)
		return rc;
	memcpy(full, t[0].dims, sizeof(full));
	tensor_take(ctx, 0);
	tensor_take(ctx, 1);
	if (ctx->split != ISA_SPLIT_NONE && ctx->split >= depth)
		tensor_slice(&t[3], ctx->split - depth + lead, ctx->begin, ctx->end - ctx->begin);
	rc = copy_base(ctx);
	if (rc || !tensor_elements(&t[3]))
		return rc;
	struct update u = {.reduction = params.reduction, .dtype = t[0].dtype, .esize = t[0].esize};
	return scatter_nd_apply(ctx, &u, full, lead, depth);
}
