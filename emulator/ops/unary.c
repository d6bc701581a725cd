/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UNARY: f32 by rows (dense ones through the arithmetic library), halves through f32 blocks, f64 and integers for the
 * functions that make sense there.
 */
#include <errno.h>
#include <math.h>

#include "emulator/ops/internal.h"
#include "emulator/ops/prim.h"

#define UNARY_BLOCK 256

struct unary {
	struct op_cache *cache;
	struct isa_activation fn;
	uint32_t dtype;
	int64_t low; /* clip limits of integers */
	int64_t high;
};

static void row_f32(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct unary *u = arg;

	if (step[0] == 4 && step[1] == 4 && prim_eltwise_row(u->cache, &u->fn, n, p[0], p[1]))
		return;
	unary_row_f32(&u->fn, n, p[0], step[0], p[1], step[1]);
}

static void row_half(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct unary *u = arg;
	float block[UNARY_BLOCK];
	uint8_t *bytes = (uint8_t *)block;

	for (int64_t done = 0; done < n;) {
		int64_t m = n - done < UNARY_BLOCK ? n - done : UNARY_BLOCK;
		for (int64_t i = 0; i < m; i++)
			block[i] = (float)type_load(p[1] + (done + i) * step[1], u->dtype);
		unary_row_f32(&u->fn, m, bytes, 4, bytes, 4);
		for (int64_t i = 0; i < m; i++)
			type_store(p[0] + (done + i) * step[0], u->dtype, block[i]);
		done += m;
	}
}

static double value_f64(const struct isa_activation *fn, double x)
{
	switch (fn->fn) {
	case ISA_U_RELU:
		return x < 0 ? 0 : x;
	case ISA_U_CLIP:
		x = x < fn->alpha ? fn->alpha : x;
		return x > fn->beta ? fn->beta : x;
	case ISA_U_ABS:
		return fabs(x);
	case ISA_U_NEG:
		return -x;
	case ISA_U_SIGN:
		return x > 0 ? 1 : x < 0 ? -1 : x;
	case ISA_U_EXP:
		return exp(x);
	case ISA_U_LOG:
		return log(x);
	case ISA_U_SQRT:
		return sqrt(x);
	case ISA_U_RECIPROCAL:
		return 1.0 / x;
	case ISA_U_FLOOR:
		return floor(x);
	case ISA_U_CEIL:
		return ceil(x);
	case ISA_U_ROUND:
		return rint(x);
	case ISA_U_TANH:
		return tanh(x);
	case ISA_U_SIGMOID:
		return 1.0 / (1.0 + exp(-x));
	case ISA_U_ERF:
		return erf(x);
	case ISA_U_AFFINE:
		return fn->alpha * x + fn->beta;
	default:
		return x;
	}
}

static bool known_f64(uint32_t fn)
{
	switch (fn) {
	case ISA_U_NONE:
	case ISA_U_RELU:
	case ISA_U_CLIP:
	case ISA_U_ABS:
	case ISA_U_NEG:
	case ISA_U_SIGN:
	case ISA_U_EXP:
	case ISA_U_LOG:
	case ISA_U_SQRT:
	case ISA_U_RECIPROCAL:
	case ISA_U_FLOOR:
	case ISA_U_CEIL:
	case ISA_U_ROUND:
	case ISA_U_TANH:
	case ISA_U_SIGMOID:
	case ISA_U_ERF:
	case ISA_U_AFFINE:
		return true;
	default:
		return false;
	}
}

static void row_f64(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct unary *u = arg;

	for (int64_t i = 0; i < n; i++)
		type_store(p[0] + i * step[0], ZY_DATA_F64,
			   value_f64(&u->fn, type_load(p[1] + i * step[1], ZY_DATA_F64)));
}

static int64_t value_signed(const struct unary *u, int64_t x)
{
	switch (u->fn.fn) {
	case ISA_U_RELU:
		return x < 0 ? 0 : x;
	case ISA_U_CLIP:
		x = x < u->low ? u->low : x;
		return x > u->high ? u->high : x;
	case ISA_U_ABS:
		return x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
	case ISA_U_NEG:
		return (int64_t)(0 - (uint64_t)x);
	case ISA_U_SIGN:
		return (x > 0) - (x < 0);
	case ISA_U_NOT:
		return ~x;
	default:
		return x;
	}
}

static uint64_t value_unsigned(const struct unary *u, uint64_t x)
{
	switch (u->fn.fn) {
	case ISA_U_CLIP:
		x = u->low > 0 && x < (uint64_t)u->low ? (uint64_t)u->low : x;
		return u->high < 0 ? 0 : x > (uint64_t)u->high ? (uint64_t)u->high : x;
	case ISA_U_NEG:
		return 0 - x;
	case ISA_U_SIGN:
		return x != 0;
	case ISA_U_NOT:
		return ~x;
	default:
		return x;
	}
}

static bool known_integer(uint32_t fn)
{
	return fn == ISA_U_NONE || fn == ISA_U_RELU || fn == ISA_U_CLIP || fn == ISA_U_ABS || fn == ISA_U_NEG ||
	       fn == ISA_U_SIGN || fn == ISA_U_NOT;
}

static void row_integer(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct unary *u = arg;
	bool wide = u->dtype == ZY_DATA_U64;

	for (int64_t i = 0; i < n; i++) {
		int64_t x = type_load_s64(p[1] + i * step[1], u->dtype);
		x = wide ? (int64_t)value_unsigned(u, (uint64_t)x) : value_signed(u, x);
		type_store_s64(p[0] + i * step[0], u->dtype, x);
	}
}

static void row_not(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	(void)arg;
	for (int64_t i = 0; i < n; i++)
		p[0][i * step[0]] = !p[1][i * step[1]];
}

static void row_classify(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct unary *u = arg;

	for (int64_t i = 0; i < n; i++) {
		double x = type_load(p[1] + i * step[1], u->dtype);
		bool yes =
		    u->fn.fn == ISA_U_ISNAN ? isnan(x) : isinf(x) && (x < 0 ? u->fn.alpha != 0 : u->fn.beta != 0);
		p[0][i * step[0]] = yes;
	}
}

static int row_of(const struct unary *u, uint32_t out_dtype, op_row_fn *fn)
{
	bool classify = u->fn.fn == ISA_U_ISNAN || u->fn.fn == ISA_U_ISINF;

	if (out_dtype != (classify ? (uint32_t)ZY_DATA_BOOL : u->dtype))
		return -EINVAL;
	if (classify)
		*fn = row_classify;
	else if (u->dtype == ZY_DATA_BOOL && u->fn.fn == ISA_U_NOT)
		*fn = row_not;
	else if (type_is_integer(u->dtype) && known_integer(u->fn.fn))
		*fn = row_integer;
	else if (u->dtype == ZY_DATA_F64 && known_f64(u->fn.fn))
		*fn = row_f64;
	else if (u->dtype == ZY_DATA_F32 && u->fn.fn != ISA_U_NOT)
		*fn = row_f32;
	else if (type_is_half(u->dtype) && u->fn.fn != ISA_U_NOT)
		*fn = row_half;
	else
		return -EOPNOTSUPP;
	return 0;
}

int op_unary(struct op_ctx *ctx)
{
	struct isa_unary_params params;
	op_row_fn fn;

	int rc = record_operands(ctx, 2, 2);
	if (!rc)
		rc = record_params(ctx, &params, sizeof(params));
	if (!rc && (!unary_known(params.fn.fn) || !tensor_same_dims(&ctx->t[0], &ctx->t[1])))
		rc = -EINVAL;
	if (rc)
		return rc;
	struct unary u = {.cache = ctx->run->cache, .fn = params.fn, .dtype = ctx->t[1].dtype};
	u.low = saturate_s64(ceil((double)params.fn.alpha));
	u.high = saturate_s64(floor((double)params.fn.beta));
	rc = row_of(&u, ctx->t[0].dtype, &fn);
	if (rc || ctx->empty)
		return rc;
	tensor_take(ctx, 0);
	tensor_take(ctx, 1);
	record_charge(ctx, tensor_elements(&ctx->t[0]));
	rc = tensor_map_all(ctx, 1);
	if (rc)
		return rc;
	return iterate_rows(ctx, (const struct op_tensor *const[]){&ctx->t[0], &ctx->t[1]}, 2, fn, &u);
}
