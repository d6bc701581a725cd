/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RESIZE: the taps of every axis are tabled first (one for nearest, two for linear, four for cubic), then each output
 * row is a weighted sum of input rows. Axes of equal size and scale 1 cost nothing.
 */
#include <errno.h>
#include <math.h>

#include "emulator/ops/internal.h"

#define RESIZE_TAPS 4
#define RESIZE_MAX_COMBINATIONS 4096
#define RESIZE_MAX_TABLE ((int64_t)1 << 22) /* output indices over all axes */

struct tap {
	uint32_t count; /* 0: outside, the extrapolation value */
	int64_t index[RESIZE_TAPS];
	float weight[RESIZE_TAPS];
};

struct resize {
	struct op_ctx *ctx;
	struct isa_resize_params p;
	struct tap *taps[ISA_MAX_RANK]; /* by index of the task's slice; NULL: the axis is copied */
	int64_t full_in[ISA_MAX_RANK];
	int64_t full_out[ISA_MAX_RANK];
	int64_t first[ISA_MAX_RANK];
	uint32_t combinations;
	int64_t *offset; /* bytes, one per combination */
	float *weight;
};

/* ------------------------------------------------------------------ taps */

static float coordinate(const struct resize *r, uint32_t axis, int64_t at)
{
	float x = (float)at;
	float scale = r->p.scale[axis];
	float in = (float)r->full_in[axis];
	float out = (float)r->full_out[axis];
	float start = r->p.roi[axis];

	switch (r->p.coord) {
	case ISA_COORD_HALF_PIXEL:
		return (x + 0.5f) / scale - 0.5f;
	case ISA_COORD_PYTORCH_HALF_PIXEL:
		return out > 1 ? (x + 0.5f) / scale - 0.5f : 0.0f;
	case ISA_COORD_ALIGN_CORNERS:
		return out > 1 ? x * (in - 1) / (out - 1) : 0.0f;
	case ISA_COORD_ASYMMETRIC:
		return x / scale;
	default: {
		float end = r->p.roi[r->ctx->t[0].rank + axis];
		return out > 1 ? start * (in - 1) + x * (end - start) * (in - 1) / (out - 1)
			       : 0.5f * (start + end) * (in - 1);
	}
	}
}

static int64_t bounded(float v, int64_t dim)
{
	return v >= 0 ? (v < (float)dim ? (int64_t)v : dim - 1) : 0;
}

static int64_t nearest_index(const struct resize *r, float x, int64_t dim)
{
	switch (r->p.nearest) {
	case ISA_NEAREST_ROUND_PREFER_FLOOR:
		x = x == floorf(x) + 0.5f ? floorf(x) : roundf(x);
		break;
	case ISA_NEAREST_ROUND_PREFER_CEIL:
		x = floorf(x + 0.5f);
		break;
	case ISA_NEAREST_FLOOR:
		x = floorf(x);
		break;
	default:
		x = ceilf(x);
		break;
	}
	return bounded(x, dim);
}

static float cubic_weight(float a, float distance)
{
	float d = fabsf(distance);

	if (d <= 1)
		return ((a + 2) * d - (a + 3)) * d * d + 1;
	return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

static void tap_linear(struct tap *tap, float x, int64_t dim)
{
	float low = floorf(x);
	float t = x - low;

	tap->count = 2;
	tap->index[0] = bounded(low, dim);
	tap->index[1] = bounded(low + 1, dim);
	tap->weight[0] = 1 - t;
	tap->weight[1] = t;
	if (tap->index[0] == tap->index[1]) {
		tap->count = 1;
		tap->weight[0] = 1;
	}
}

static void tap_cubic(const struct resize *r, struct tap *tap, float x, int64_t dim)
{
	float low = floorf(x);
	float sum = 0;

	tap->count = RESIZE_TAPS;
	for (int i = 0; i < RESIZE_TAPS; i++) {
		float at = low + (float)(i - 1);
		tap->index[i] = bounded(at, dim);
		tap->weight[i] = cubic_weight(r->p.cubic_coeff_a, x - at);
		if (r->p.exclude_outside && (at < 0 || at >= (float)dim))
			tap->weight[i] = 0;
		sum += tap->weight[i];
	}
	for (int i = 0; r->p.exclude_outside && sum != 0 && i < RESIZE_TAPS; i++)
		tap->weight[i] /= sum;
}

static void tap_fill(const struct resize *r, uint32_t axis, int64_t at, struct tap *tap)
{
	int64_t dim = r->full_in[axis];
	float x = coordinate(r, axis, at);

	if (!(x >= -0x1p30f && x <= 0x1p30f))
		x = 0; /* a scale that is no number still reads inside */
	if (r->p.coord == ISA_COORD_TF_CROP_AND_RESIZE && (x < 0 || x > (float)(dim - 1))) {
		tap->count = 0;
	} else if (r->p.mode == ISA_RESIZE_NEAREST) {
		tap->count = 1;
		tap->weight[0] = 1;
		tap->index[0] = nearest_index(r, x, dim);
	} else if (r->p.mode == ISA_RESIZE_LINEAR) {
		tap_linear(tap, x, dim);
	} else {
		tap_cubic(r, tap, x, dim);
	}
}

static bool axis_is_copied(const struct resize *r, uint32_t axis)
{
	if (r->full_in[axis] != r->full_out[axis])
		return false;
	return r->p.coord == ISA_COORD_TF_CROP_AND_RESIZE
		   ? r->p.roi[axis] == 0 && r->p.roi[r->ctx->t[0].rank + axis] == 1
		   : r->p.coord == ISA_COORD_ALIGN_CORNERS || r->p.scale[axis] == 1.0f;
}

static int taps_build(struct resize *r)
{
	const struct op_tensor *out = &r->ctx->t[0];
	int64_t total = 0;

	r->combinations = 1;
	for (uint32_t d = 0; d < out->rank; d++) {
		if (axis_is_copied(r, d))
			continue;
		total += out->dims[d];
		if (total > RESIZE_MAX_TABLE)
			return -EOPNOTSUPP;
		r->taps[d] = scratch_get((size_t)out->dims[d] * sizeof(struct tap));
		if (!r->taps[d])
			return -ENOMEM;
		for (int64_t i = 0; i < out->dims[d]; i++)
			tap_fill(r, d, i + r->first[d], &r->taps[d][i]);
		r->combinations *= r->p.mode == ISA_RESIZE_NEAREST ? 1 : r->p.mode == ISA_RESIZE_LINEAR ? 2 : 4;
		if (r->combinations > RESIZE_MAX_COMBINATIONS)
			return -EOPNOTSUPP;
	}
	r->offset = scratch_get(r->combinations * sizeof(*r->offset));
	r->weight = scratch_get(r->combinations * sizeof(*r->weight));
	return r->offset && r->weight ? 0 : -ENOMEM;
}

/* ------------------------------------------------------------------ rows */

/* The input elements behind one output position of all tabled axes; 0 if it is extrapolated. */
static uint32_t combine(const struct resize *r, const int64_t *index)
{
	const struct op_tensor *in = &r->ctx->t[1];
	uint32_t count = 1;

	r->offset[0] = 0;
	r->weight[0] = 1;
	for (uint32_t d = 0; d < in->rank; d++) {
		if (!r->taps[d])
			continue;
		const struct tap *tap = &r->taps[d][index[d]];
		if (!tap->count)
			return 0;
		for (uint32_t k = tap->count; k-- > 0;)
			for (uint32_t c = 0; c < count; c++) {
				r->offset[k * count + c] =
				    r->offset[c] + tap->index[k] * in->strides[d] * (int64_t)in->esize;
				r->weight[k * count + c] = r->weight[c] * tap->weight[k];
			}
		count *= tap->count;
	}
	return count;
}

struct resize_row {
	const struct resize *r;
	uint32_t count;
	uint32_t dtype;
	uint32_t esize;
};

static void row_f32(const struct resize_row *w, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct resize *r = w->r;

	for (int64_t i = 0; i < n; i++) {
		float sum = 0;
		for (uint32_t c = 0; c < w->count; c++)
			sum += r->weight[c] * *(const float *)(const void *)(p[1] + i * step[1] + r->offset[c]);
		*(float *)(void *)(p[0] + i * step[0]) = sum;
	}
}

static void row_any(const struct resize_row *w, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct resize *r = w->r;

	for (int64_t i = 0; i < n; i++) {
		double sum = 0;
		for (uint32_t c = 0; c < w->count; c++)
			sum += (double)r->weight[c] * type_load(p[1] + i * step[1] + r->offset[c], w->dtype);
		type_store(p[0] + i * step[0], w->dtype, sum);
	}
}

static void resize_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct resize_row *w = arg;

	if (!w->count)
		for (int64_t i = 0; i < n; i++)
			type_store(p[0] + i * step[0], w->dtype, (double)w->r->p.extrapolation_value);
	else if (w->r->p.mode == ISA_RESIZE_NEAREST)
		for (int64_t i = 0; i < n; i++)
			memcpy(p[0] + i * step[0], p[1] + i * step[1] + w->r->offset[0], w->esize);
	else if (w->dtype == ZY_DATA_F32)
		row_f32(w, n, p, step);
	else
		row_any(w, n, p, step);
}

static bool position_next(const struct resize *r, int64_t *index)
{
	const struct op_tensor *out = &r->ctx->t[0];

	for (uint32_t d = out->rank; d-- > 0;) {
		if (!r->taps[d])
			continue;
		if (++index[d] < out->dims[d])
			return true;
		index[d] = 0;
	}
	return false;
}

/* One position of the tabled axes at a time; the copied axes are the rows. */
static int resize_all(struct resize *r)
{
	const struct op_tensor *t = r->ctx->t;
	struct op_tensor out = t[0];
	struct op_tensor in = t[1];
	int64_t index[ISA_MAX_RANK] = {0};

	for (uint32_t d = 0; d < out.rank; d++)
		if (r->taps[d]) {
			out.dims[d] = 1;
			in.dims[d] = 1;
		}
	do {
		struct resize_row row = {r, combine(r, index), out.dtype, out.esize};
		int64_t at = 0;
		for (uint32_t d = 0; d < out.rank; d++)
			at += r->taps[d] ? index[d] * t[0].strides[d] : 0;
		out.data = t[0].data + at * (int64_t)out.esize;
		int rc = iterate_rows(r->ctx, (const struct op_tensor *const[]){&out, &in}, 2, resize_row, &row);
		if (!rc && record_cancelled(r->ctx))
			rc = -ECANCELED;
		if (rc)
			return rc;
	} while (position_next(r, index));
	return 0;
}

/* ------------------------------------------------------------------ record */

static int vector_check(const struct op_ctx *ctx, uint32_t index, int64_t n)
{
	const struct op_tensor *t = &ctx->t[index];

	if (!tensor_present(ctx, index) || !tensor_elements(t))
		return 0;
	return t->dtype == ZY_DATA_F32 && t->rank == 1 && t->dims[0] == n ? 0 : -EINVAL;
}

static int resize_check(struct op_ctx *ctx, struct resize *r)
{
	const struct op_tensor *t = ctx->t;
	const struct isa_resize_params *p = &r->p;

	int rc = record_operands(ctx, 2, 4);
	if (!rc)
		rc = record_params(ctx, &r->p, sizeof(r->p));
	if (rc)
		return rc;
	if (!p->mode || p->mode > ISA_RESIZE_CUBIC || !p->coord || p->coord > ISA_COORD_TF_CROP_AND_RESIZE ||
	    t[0].rank != t[1].rank || t[0].dtype != t[1].dtype)
		return -EINVAL;
	if (p->mode == ISA_RESIZE_NEAREST && (!p->nearest || p->nearest > ISA_NEAREST_CEIL))
		return -EINVAL;
	rc = vector_check(ctx, 2, t[0].rank);
	if (!rc)
		rc = vector_check(ctx, 3, 2 * (int64_t)t[0].rank);
	if (!rc && tensor_elements(&t[0]) && !tensor_elements(&t[1]))
		rc = -EINVAL;
	return rc;
}

/* Run-time scales and roi win over the record's. */
static int resize_load(struct op_ctx *ctx, struct resize *r)
{
	float *into[] = {r->p.scale, r->p.roi};

	for (uint32_t i = 2; i < 4; i++) {
		const struct op_tensor *t = &ctx->t[i];
		if (!tensor_present(ctx, i) || !tensor_elements(t))
			continue;
		int rc = tensor_map(ctx, i, OP_READ);
		if (rc)
			return rc;
		for (int64_t k = 0; k < t->dims[0]; k++)
			memcpy(&into[i - 2][k], t->data + k * t->strides[0] * 4, 4);
	}
	for (uint32_t d = 0; d < ctx->t[0].rank; d++)
		if (!(r->p.scale[d] > 0)) {
			if (r->p.coord == ISA_COORD_ALIGN_CORNERS || r->p.coord == ISA_COORD_TF_CROP_AND_RESIZE)
				r->p.scale[d] = 1;
			else
				return -EINVAL;
		}
	return 0;
}

int op_resize(struct op_ctx *ctx)
{
	struct op_tensor *t = ctx->t;
	struct resize r;

	memset(&r, 0, sizeof(r));
	r.ctx = ctx;
	int rc = resize_check(ctx, &r);
	if (!rc && !ctx->empty)
		rc = resize_load(ctx, &r);
	if (rc || ctx->empty)
		return rc;
	memcpy(r.full_in, t[1].dims, sizeof(r.full_in));
	memcpy(r.full_out, t[0].dims, sizeof(r.full_out));
	tensor_take(ctx, 0);
	if (ctx->split != ISA_SPLIT_NONE) {
		r.first[ctx->split] = ctx->begin;
		if (axis_is_copied(&r, ctx->split))
			tensor_take(ctx, 1);
	}
	if (!tensor_elements(&t[0]))
		return 0;
	rc = taps_build(&r);
	if (rc)
		return rc;
	record_charge(ctx, tensor_elements(&t[0]) * r.combinations);
	rc = tensor_map(ctx, 0, OP_WRITE);
	if (!rc)
		rc = tensor_map(ctx, 1, OP_READ);
	return rc ? rc : resize_all(&r);
}
