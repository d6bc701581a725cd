/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of f32 through one function of one variable: the arithmetic of UNARY and of every fused activation.
 */
#include <math.h>

#include "emulator/ops/internal.h"

bool unary_known(uint32_t fn)
{
	return fn < ISA_U_COUNT;
}

/* Functions that may follow another operator: f32 in, f32 out. */
bool activation_known(uint32_t fn)
{
	return unary_known(fn) && fn != ISA_U_NOT && fn != ISA_U_ISNAN && fn != ISA_U_ISINF;
}

static float hard_sigmoid(float x, float alpha, float beta)
{
	return fmaxf(0.0f, fminf(1.0f, alpha * x + beta));
}

static float sign_of(float x)
{
	return x > 0 ? 1.0f : x < 0 ? -1.0f : x;
}

static float softplus(float x)
{
	return x > 20.0f ? x : log1pf(expf(x));
}

static float clip(float x, float low, float high)
{
	x = x < low ? low : x;
	return x > high ? high : x;
}

static float shrink(float x, float lambd, float bias)
{
	return x < -lambd ? x + bias : x > lambd ? x - bias : 0.0f;
}

static float elu(float x, float alpha)
{
	return x < 0 ? alpha * expm1f(x) : x;
}

/* A dense loop that the compiler can vectorise, and a strided one. */
#define ROW(expression)                                                                                                \
	do {                                                                                                           \
		if (out_step == 4 && in_step == 4) {                                                                   \
			float *o = (float *)(void *)out;                                                               \
			const float *v = (const float *)(const void *)in;                                              \
			for (int64_t i = 0; i < n; i++) {                                                              \
				const float x = v[i];                                                                  \
				o[i] = (expression);                                                                   \
			}                                                                                              \
			break;                                                                                         \
		}                                                                                                      \
		for (int64_t i = 0; i < n; i++) {                                                                      \
			const float x = *(const float *)(const void *)(in + i * in_step);                              \
			*(float *)(void *)(out + i * out_step) = (expression);                                         \
		}                                                                                                      \
	} while (0)

static void row_trigonometric(uint32_t fn, int64_t n, uint8_t *out, int64_t out_step, const uint8_t *in,
			      int64_t in_step)
{
	switch (fn) {
	case ISA_U_SIN:
		ROW(sinf(x));
		break;
	case ISA_U_COS:
		ROW(cosf(x));
		break;
	case ISA_U_TAN:
		ROW(tanf(x));
		break;
	case ISA_U_ASIN:
		ROW(asinf(x));
		break;
	case ISA_U_ACOS:
		ROW(acosf(x));
		break;
	case ISA_U_ATAN:
		ROW(atanf(x));
		break;
	case ISA_U_SINH:
		ROW(sinhf(x));
		break;
	case ISA_U_COSH:
		ROW(coshf(x));
		break;
	case ISA_U_ASINH:
		ROW(asinhf(x));
		break;
	case ISA_U_ACOSH:
		ROW(acoshf(x));
		break;
	case ISA_U_ATANH:
		ROW(atanhf(x));
		break;
	default:
		break;
	}
}

static void row_arithmetic(const struct isa_activation *fn, int64_t n, uint8_t *out, int64_t out_step,
			   const uint8_t *in, int64_t in_step)
{
	const float alpha = fn->alpha;
	const float beta = fn->beta;

	switch (fn->fn) {
	case ISA_U_RELU:
		ROW(x < 0 ? 0.0f : x);
		break;
	case ISA_U_LEAKY_RELU:
		ROW(x < 0 ? alpha * x : x);
		break;
	case ISA_U_CLIP:
		ROW(clip(x, alpha, beta));
		break;
	case ISA_U_HARD_SIGMOID:
		ROW(hard_sigmoid(x, alpha, beta));
		break;
	case ISA_U_HARD_SWISH:
		ROW(x * hard_sigmoid(x, alpha, beta));
		break;
	case ISA_U_THRESHOLDED_RELU:
		ROW(x > alpha ? x : 0.0f);
		break;
	case ISA_U_SOFTSIGN:
		ROW(x / (1.0f + fabsf(x)));
		break;
	case ISA_U_ABS:
		ROW(fabsf(x));
		break;
	case ISA_U_NEG:
		ROW(-x);
		break;
	case ISA_U_SQRT:
		ROW(sqrtf(x));
		break;
	case ISA_U_RECIPROCAL:
		ROW(1.0f / x);
		break;
	case ISA_U_FLOOR:
		ROW(floorf(x));
		break;
	case ISA_U_CEIL:
		ROW(ceilf(x));
		break;
	case ISA_U_ROUND:
		ROW(rintf(x));
		break;
	case ISA_U_SIGN:
		ROW(sign_of(x));
		break;
	case ISA_U_SHRINK:
		ROW(shrink(x, alpha, beta));
		break;
	case ISA_U_AFFINE:
		ROW(alpha * x + beta);
		break;
	default:
		break;
	}
}

static void row_exponential(const struct isa_activation *fn, int64_t n, uint8_t *out, int64_t out_step,
			    const uint8_t *in, int64_t in_step)
{
	const float alpha = fn->alpha;
	const float beta = fn->beta;

	switch (fn->fn) {
	case ISA_U_SIGMOID:
		ROW(1.0f / (1.0f + expf(-x)));
		break;
	case ISA_U_TANH:
		ROW(tanhf(x));
		break;
	case ISA_U_ELU:
		ROW(elu(x, alpha));
		break;
	case ISA_U_CELU:
		ROW(x < 0 ? alpha * expm1f(x / alpha) : x);
		break;
	case ISA_U_SELU:
		ROW(beta * (x > 0 ? x : alpha * expm1f(x)));
		break;
	case ISA_U_SOFTPLUS:
		ROW(softplus(x));
		break;
	case ISA_U_EXP:
		ROW(expf(x));
		break;
	case ISA_U_LOG:
		ROW(logf(x));
		break;
	case ISA_U_ERF:
		ROW(erff(x));
		break;
	default:
		break;
	}
}

static bool is_exponential(uint32_t fn)
{
	switch (fn) {
	case ISA_U_SIGMOID:
	case ISA_U_TANH:
	case ISA_U_ELU:
	case ISA_U_CELU:
	case ISA_U_SELU:
	case ISA_U_SOFTPLUS:
	case ISA_U_EXP:
	case ISA_U_LOG:
	case ISA_U_ERF:
		return true;
	default:
		return false;
	}
}

/* f32 to f32; NOT, ISNAN and ISINF are UNARY's own. In place is allowed when the steps are equal. */
void unary_row_f32(const struct isa_activation *fn, int64_t n, uint8_t *out, int64_t out_step, const uint8_t *in,
		   int64_t in_step)
{
	if (fn->fn == ISA_U_NONE) {
		if (out == in && out_step == in_step)
			return;
		ROW(x);
	} else if (is_exponential(fn->fn)) {
		row_exponential(fn, n, out, out_step, in, in_step);
	} else if (fn->fn >= ISA_U_SIN && fn->fn <= ISA_U_ATANH) {
		row_trigonometric(fn->fn, n, out, out_step, in, in_step);
	} else {
		row_arithmetic(fn, n, out, out_step, in, in_step);
	}
}

static void activate_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	unary_row_f32(arg, n, p[0], step[0], p[0], step[0]);
}

/* Applies an activation to an f32 output in place. */
int activate_view(const struct op_ctx *ctx, const struct isa_activation *fn, const struct op_tensor *out)
{
	struct isa_activation copy = *fn;

	if (fn->fn == ISA_U_NONE)
		return 0;
	return iterate_rows(ctx, (const struct op_tensor *const[]){out}, 1, activate_row, &copy);
}
