/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REDUCE and ARG_REDUCE. Kept elements are taken in blocks of lanes with double (or s64) accumulators; each block walks
 * the reduced axes once, twice for the shifted log-sum-exp.
 */
#include <errno.h>
#include <math.h>

#include "emulator/ops/internal.h"

#define REDUCE_LANES 256

struct reduce {
	struct op_ctx *ctx;
	uint32_t fn;
	uint32_t dtype;
	bool integer;
	int64_t count; /* elements behind one result */
	struct op_tensor reduced; /* the reduced axes of the input, kept ones cut to 1 */
	/* the block at work */
	int64_t lanes;
	int64_t lane_step;
	double *acc;
	int64_t *iacc;
	const double *shift; /* log-sum-exp: the maximum */
};

static double first_f64(uint32_t fn)
{
	return fn == ISA_R_MAX ? -INFINITY : fn == ISA_R_MIN ? INFINITY : fn == ISA_R_PROD ? 1 : 0;
}

static int64_t first_s64(uint32_t fn)
{
	return fn == ISA_R_MAX ? INT64_MIN : fn == ISA_R_MIN ? INT64_MAX : fn == ISA_R_PROD ? 1 : 0;
}

static void take_f64(const struct reduce *r, double *acc, double v, int64_t lane)
{
	switch (r->fn) {
	case ISA_R_MAX:
		*acc = v > *acc || v != v ? v : *acc;
		break;
	case ISA_R_MIN:
		*acc = v < *acc || v != v ? v : *acc;
		break;
	case ISA_R_PROD:
		*acc *= v;
		break;
	case ISA_R_L1:
		*acc += fabs(v);
		break;
	case ISA_R_L2:
	case ISA_R_SUM_SQUARE:
		*acc += v * v;
		break;
	case ISA_R_LOG_SUM_EXP:
		*acc += exp(v - r->shift[lane]);
		break;
	default:
		*acc += v;
		break;
	}
}

static void take_s64(const struct reduce *r, int64_t *acc, int64_t v)
{
	bool wide = r->dtype == ZY_DATA_U64;
	uint64_t u = (uint64_t)v;
	uint64_t sum = (uint64_t)*acc;

	switch (r->fn) {
	case ISA_R_MAX:
		*acc = (wide ? (u ^ 1ull << 63) > (sum ^ 1ull << 63) : v > *acc) ? v : *acc;
		break;
	case ISA_R_MIN:
		*acc = (wide ? (u ^ 1ull << 63) < (sum ^ 1ull << 63) : v < *acc) ? v : *acc;
		break;
	case ISA_R_PROD:
		*acc = (int64_t)(sum * u);
		break;
	case ISA_R_L1:
		*acc = (int64_t)(sum + (v < 0 && !wide ? 0 - u : u));
		break;
	case ISA_R_SUM_SQUARE:
		*acc = (int64_t)(sum + u * u);
		break;
	default:
		*acc = (int64_t)(sum + u);
		break;
	}
}

static bool sums_f32(const struct reduce *r)
{
	return r->dtype == ZY_DATA_F32 && (r->fn == ISA_R_SUM || r->fn == ISA_R_MEAN);
}

/* `n` reduced elements for every lane. Dense lanes go innermost, else the reduced axis does. */
static void reduce_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct reduce *r = arg;

	if (sums_f32(r) && r->lane_step == 4) {
		for (int64_t i = 0; i < n; i++) {
			const float *v = (const float *)(const void *)(p[0] + i * step[0]);
			for (int64_t j = 0; j < r->lanes; j++)
				r->acc[j] += (double)v[j];
		}
		return;
	}
	for (int64_t j = 0; j < r->lanes; j++) {
		const uint8_t *v = p[0] + j * r->lane_step;
		double acc = r->acc[j];
		int64_t iacc = r->iacc[j];
		for (int64_t i = 0; i < n; i++) {
			if (r->integer)
				take_s64(r, &iacc, type_load_s64(v + i * step[0], r->dtype));
			else
				take_f64(r, &acc, type_load(v + i * step[0], r->dtype), j);
		}
		r->acc[j] = acc;
		r->iacc[j] = iacc;
	}
}

static int reduce_pass(struct reduce *r, uint32_t fn, uint8_t *in)
{
	uint32_t saved = r->fn;

	r->fn = fn;
	r->reduced.data = in;
	for (int64_t j = 0; j < r->lanes; j++) {
		r->acc[j] = first_f64(fn);
		r->iacc[j] = first_s64(fn);
	}
	if (r->dtype == ZY_DATA_U64 && (fn == ISA_R_MAX || fn == ISA_R_MIN))
		for (int64_t j = 0; j < r->lanes; j++)
			r->iacc[j] = fn == ISA_R_MAX ? 0 : -1;
	int rc = iterate_rows(r->ctx, (const struct op_tensor *const[]){&r->reduced}, 1, reduce_row, r);
	r->fn = saved;
	return rc;
}

static double finish_f64(const struct reduce *r, double v, double shift)
{
	switch (r->fn) {
	case ISA_R_MEAN:
		return v / (double)r->count;
	case ISA_R_L2:
		return sqrt(v);
	case ISA_R_LOG_SUM:
		return log(v);
	case ISA_R_LOG_SUM_EXP:
		return shift + log(v);
	default:
		return v;
	}
}

static int reduce_block(struct reduce *r, uint8_t *out, int64_t out_step, uint8_t *in)
{
	double shift[REDUCE_LANES] = {0};
	double acc[REDUCE_LANES];
	int64_t iacc[REDUCE_LANES];
	int rc = 0;

	r->acc = acc;
	r->iacc = iacc;
	r->shift = shift;
	if (r->fn == ISA_R_LOG_SUM_EXP) {
		rc = reduce_pass(r, ISA_R_MAX, in);
		for (int64_t j = 0; j < r->lanes; j++)
			shift[j] = isinf(acc[j]) ? 0 : acc[j];
	}
	if (!rc)
		rc = reduce_pass(r, r->fn, in);
	for (int64_t j = 0; !rc && j < r->lanes; j++) {
		uint8_t *o = out + j * out_step;
		if (r->integer)
			type_store_s64(o, r->dtype, r->fn == ISA_R_MEAN && r->count ? iacc[j] / r->count : iacc[j]);
		else
			type_store(o, r->dtype, finish_f64(r, acc[j], shift[j]));
	}
	return rc;
}

struct reduce_walk {
	struct reduce *r;
	int rc;
};

/* A row of kept elements, in blocks of lanes. */
static void kept_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	struct reduce_walk *w = arg;

	w->r->lane_step = step[1];
	for (int64_t done = 0; !w->rc && done < n; done += w->r->lanes) {
		w->r->lanes = n - done < REDUCE_LANES ? n - done : REDUCE_LANES;
		w->rc = reduce_block(w->r, p[0] + done * step[0], step[0], p[1] + done * step[1]);
	}
}

static int reduce_check(struct op_ctx *ctx, uint32_t *fn)
{
	struct isa_reduce_params params;
	const struct op_tensor *out = &ctx->t[0];
	const struct op_tensor *in = &ctx->t[1];

	int rc = record_operands(ctx, 2, 2);
	if (!rc)
		rc = record_params(ctx, &params, sizeof(params));
	if (rc)
		return rc;
	if (!params.fn || params.fn >= ISA_R_COUNT || out->rank != in->rank || out->dtype != in->dtype)
		return -EINVAL;
	for (uint32_t i = 0; i < out->rank; i++)
		if (out->dims[i] != in->dims[i] && out->dims[i] != 1)
			return -EINVAL;
	if (ctx->split != ISA_SPLIT_NONE && out->dims[ctx->split] != in->dims[ctx->split])
		return -EINVAL;
	*fn = params.fn;
	bool small = params.fn == ISA_R_MAX || params.fn == ISA_R_MIN;
	return out->dtype == ZY_DATA_BOOL && !small ? -EOPNOTSUPP : 0;
}

int op_reduce(struct op_ctx *ctx)
{
	struct reduce r = {.ctx = ctx};
	struct reduce_walk walk = {.r = &r};
	const struct op_tensor *out = &ctx->t[0];
	const struct op_tensor *in = &ctx->t[1];

	int rc = reduce_check(ctx, &r.fn);
	if (rc || ctx->empty)
		return rc;
	tensor_take(ctx, 0);
	tensor_take(ctx, 1);
	record_charge(ctx, tensor_elements(in));
	rc = tensor_map_all(ctx, 1);
	if (rc)
		return rc;
	r.dtype = out->dtype;
	r.integer = (type_is_integer(r.dtype) || r.dtype == ZY_DATA_BOOL) && r.fn != ISA_R_L2 &&
		    r.fn != ISA_R_LOG_SUM && r.fn != ISA_R_LOG_SUM_EXP;
	struct op_tensor kept = *in;
	r.reduced = *in;
	r.count = 1;
	for (uint32_t i = 0; i < out->rank; i++) {
		bool reduced = out->dims[i] == 1;
		if (reduced)
			r.count *= in->dims[i];
		kept.dims[i] = reduced ? 1 : in->dims[i];
		r.reduced.dims[i] = reduced ? in->dims[i] : 1;
	}
	rc = iterate_rows(ctx, (const struct op_tensor *const[]){out, &kept}, 2, kept_row, &walk);
	return rc ? rc : walk.rc;
}

/* ------------------------------------------------------------------ ARG_REDUCE */

struct arg_reduce {
	const struct op_ctx *ctx;
	struct isa_arg_reduce_params params;
	uint32_t dtype;
	int64_t n;
	int64_t step;
};

static bool beats(const struct arg_reduce *a, const uint8_t *v, const uint8_t *best)
{
	bool equal_wins = a->params.select_last;

	if (type_is_integer(a->dtype)) {
		int64_t x = type_load_s64(v, a->dtype);
		int64_t y = type_load_s64(best, a->dtype);
		if (a->dtype == ZY_DATA_U64) {
			x = (int64_t)((uint64_t)x ^ 1ull << 63);
			y = (int64_t)((uint64_t)y ^ 1ull << 63);
		}
		return x == y ? equal_wins : a->params.is_max ? x > y : x < y;
	}
	double x = type_load(v, a->dtype);
	double y = type_load(best, a->dtype);
	return x == y ? equal_wins : a->params.is_max ? x > y : x < y;
}

static void arg_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct arg_reduce *a = arg;

	for (int64_t i = 0; i < n && !record_cancelled(a->ctx); i++) {
		const uint8_t *in = p[1] + i * step[1];
		int64_t best = 0;
		for (int64_t k = 1; k < a->n; k++)
			if (beats(a, in + k * a->step, in + best * a->step))
				best = k;
		*(int64_t *)(void *)(p[0] + i * step[0]) = best;
	}
}

int op_arg_reduce(struct op_ctx *ctx)
{
	struct arg_reduce a = {.ctx = ctx};
	const struct op_tensor *out = &ctx->t[0];
	const struct op_tensor *in = &ctx->t[1];

	int rc = record_operands(ctx, 2, 2);
	if (!rc)
		rc = record_params(ctx, &a.params, sizeof(a.params));
	if (rc)
		return rc;
	if (out->dtype != ZY_DATA_S64 || out->rank != in->rank || a.params.axis >= in->rank ||
	    ctx->split == a.params.axis || !in->dims[a.params.axis])
		return -EINVAL;
	for (uint32_t i = 0; i < in->rank; i++)
		if (out->dims[i] != (i == a.params.axis ? 1 : in->dims[i]))
			return -EINVAL;
	if (ctx->empty)
		return 0;
	tensor_take(ctx, 0);
	tensor_take(ctx, 1);
	record_charge(ctx, tensor_elements(in));
	rc = tensor_map_all(ctx, 1);
	if (rc)
		return rc;
	a.dtype = in->dtype;
	a.n = in->dims[a.params.axis];
	a.step = in->strides[a.params.axis] * (int64_t)in->esize;
	struct op_tensor lines = *in;
	lines.dims[a.params.axis] = 1;
	rc = iterate_rows(ctx, (const struct op_tensor *const[]){out, &lines}, 2, arg_row, &a);
	return rc ? rc : record_cancelled(ctx) ? -ECANCELED : 0;
}
