/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BINARY: element by element over equal dims (stride 0 broadcasts). Integer arithmetic wraps; division by zero and
 * shifts past the width have defined results, so no record can trap the host.
 */
#include <errno.h>
#include <math.h>

#include "emulator/ops/internal.h"

#define BINARY_BLOCK 256

struct binary {
	uint32_t fn;
	uint32_t dtype; /* of a, and of the result unless it is bool */
	uint32_t b_dtype; /* differs for POW only */
	struct isa_activation activation;
};

static bool is_comparison(uint32_t fn)
{
	return fn >= ISA_B_EQUAL && fn <= ISA_B_LESS_EQUAL;
}

static bool is_logic(uint32_t fn)
{
	return fn >= ISA_B_AND && fn <= ISA_B_XOR;
}

static float max_f32(float a, float b)
{
	return a != a ? a : b != b ? b : a < b ? b : a;
}

static float min_f32(float a, float b)
{
	return a != a ? a : b != b ? b : b < a ? b : a;
}

static double mod_f64(double a, double b)
{
	double r = fmod(a, b);

	return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* Dense by dense, dense by scalar, and strided. */
#define ROW(R, T, expression)                                                                                          \
	do {                                                                                                           \
		const int64_t so = step[0];                                                                            \
		const int64_t sa = step[1];                                                                            \
		const int64_t sb = step[2];                                                                            \
		R *o = (R *)(void *)p[0];                                                                              \
		const T *va = (const T *)(const void *)p[1];                                                           \
		const T *vb = (const T *)(const void *)p[2];                                                           \
		if (so == (int64_t)sizeof(R) && sa == (int64_t)sizeof(T) && sb == sa) {                                \
			for (int64_t i = 0; i < n; i++) {                                                              \
				const T a = va[i];                                                                     \
				const T b = vb[i];                                                                     \
				o[i] = (R)(expression);                                                                \
			}                                                                                              \
			break;                                                                                         \
		}                                                                                                      \
		if (so == (int64_t)sizeof(R) && sa == (int64_t)sizeof(T) && sb == 0) {                                 \
			const T b = *vb;                                                                               \
			for (int64_t i = 0; i < n; i++) {                                                              \
				const T a = va[i];                                                                     \
				o[i] = (R)(expression);                                                                \
			}                                                                                              \
			break;                                                                                         \
		}                                                                                                      \
		for (int64_t i = 0; i < n; i++) {                                                                      \
			const T a = *(const T *)(const void *)(p[1] + i * sa);                                         \
			const T b = *(const T *)(const void *)(p[2] + i * sb);                                         \
			*(R *)(void *)(p[0] + i * so) = (R)(expression);                                               \
		}                                                                                                      \
	} while (0)

#define COMPARISONS(T)                                                                                                 \
	case ISA_B_EQUAL:                                                                                              \
		ROW(uint8_t, T, a == b);                                                                               \
		break;                                                                                                 \
	case ISA_B_GREATER:                                                                                            \
		ROW(uint8_t, T, a > b);                                                                                \
		break;                                                                                                 \
	case ISA_B_LESS:                                                                                               \
		ROW(uint8_t, T, a < b);                                                                                \
		break;                                                                                                 \
	case ISA_B_GREATER_EQUAL:                                                                                      \
		ROW(uint8_t, T, a >= b);                                                                               \
		break;                                                                                                 \
	case ISA_B_LESS_EQUAL:                                                                                         \
		ROW(uint8_t, T, a <= b);                                                                               \
		break;

static void row_f32(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct binary *c = arg;

	switch (c->fn) {
	case ISA_B_ADD:
		ROW(float, float, a + b);
		break;
	case ISA_B_SUB:
		ROW(float, float, a - b);
		break;
	case ISA_B_MUL:
		ROW(float, float, a *b);
		break;
	case ISA_B_DIV:
		ROW(float, float, a / b);
		break;
	case ISA_B_POW:
		ROW(float, float, powf(a, b));
		break;
	case ISA_B_MIN:
		ROW(float, float, min_f32(a, b));
		break;
	case ISA_B_MAX:
		ROW(float, float, max_f32(a, b));
		break;
	case ISA_B_PRELU:
		ROW(float, float, a < 0 ? a * b : a);
		break;
	case ISA_B_MOD:
		ROW(float, float, mod_f64(a, b));
		break;
	case ISA_B_FMOD:
		ROW(float, float, fmodf(a, b));
		break;
		COMPARISONS(float)
	default:
		break;
	}
	if (!is_comparison(c->fn))
		unary_row_f32(&c->activation, n, p[0], step[0], p[0], step[0]);
}

static void row_f64(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct binary *c = arg;

	switch (c->fn) {
	case ISA_B_ADD:
		ROW(double, double, a + b);
		break;
	case ISA_B_SUB:
		ROW(double, double, a - b);
		break;
	case ISA_B_MUL:
		ROW(double, double, a *b);
		break;
	case ISA_B_DIV:
		ROW(double, double, a / b);
		break;
	case ISA_B_POW:
		ROW(double, double, pow(a, b));
		break;
	case ISA_B_MIN:
		ROW(double, double, a != a || b != b ? NAN : fmin(a, b));
		break;
	case ISA_B_MAX:
		ROW(double, double, a != a || b != b ? NAN : fmax(a, b));
		break;
	case ISA_B_PRELU:
		ROW(double, double, a < 0 ? a * b : a);
		break;
	case ISA_B_MOD:
		ROW(double, double, mod_f64(a, b));
		break;
	case ISA_B_FMOD:
		ROW(double, double, fmod(a, b));
		break;
		COMPARISONS(double)
	default:
		break;
	}
}

/* Through f32 blocks, activation included. */
static void row_half(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	struct binary *c = arg;
	float a[BINARY_BLOCK];
	float b[BINARY_BLOCK];
	float o[BINARY_BLOCK] = {0};
	bool compare = is_comparison(c->fn);
	const int64_t dense[3] = {compare ? 1 : 4, 4, 4};
	uint8_t *const rows[3] = {(uint8_t *)o, (uint8_t *)a, (uint8_t *)b};

	for (int64_t done = 0; done < n;) {
		int64_t m = n - done < BINARY_BLOCK ? n - done : BINARY_BLOCK;
		for (int64_t i = 0; i < m; i++) {
			a[i] = (float)type_load(p[1] + (done + i) * step[1], c->dtype);
			b[i] = (float)type_load(p[2] + (done + i) * step[2], c->dtype);
		}
		row_f32(arg, m, rows, dense);
		for (int64_t i = 0; i < m; i++) {
			if (compare)
				p[0][(done + i) * step[0]] = rows[0][i];
			else
				type_store(p[0] + (done + i) * step[0], c->dtype, o[i]);
		}
		done += m;
	}
}

/* Exact and wrapping; a negative exponent leaves only what 1 and -1 give. */
static uint64_t power_u64(uint64_t base, uint64_t exponent)
{
	uint64_t result = 1;

	for (; exponent; exponent >>= 1, base *= base)
		if (exponent & 1)
			result *= base;
	return result;
}

static int64_t power_s64(int64_t base, int64_t exponent)
{
	if (exponent >= 0)
		return (int64_t)power_u64((uint64_t)base, (uint64_t)exponent);
	if (base == 1)
		return 1;
	return base == -1 ? (exponent & 1 ? -1 : 1) : 0;
}

static uint64_t value_signed(uint32_t fn, int64_t a, int64_t b)
{
	const uint64_t ua = (uint64_t)a;
	const uint64_t ub = (uint64_t)b;

	switch (fn) {
	case ISA_B_DIV:
		return b == 0 ? 0 : b == -1 ? 0 - ua : (uint64_t)(a / b);
	case ISA_B_MOD: {
		int64_t r = b == 0 || b == -1 ? 0 : a % b;
		return (uint64_t)(r != 0 && (r < 0) != (b < 0) ? r + b : r);
	}
	case ISA_B_FMOD:
		return b == 0 || b == -1 ? 0 : (uint64_t)(a % b);
	case ISA_B_POW:
		return (uint64_t)power_s64(a, b);
	case ISA_B_MIN:
		return a < b ? ua : ub;
	case ISA_B_MAX:
		return a > b ? ua : ub;
	case ISA_B_PRELU:
		return a < 0 ? ua * ub : ua;
	case ISA_B_EQUAL:
		return a == b;
	case ISA_B_GREATER:
		return a > b;
	case ISA_B_LESS:
		return a < b;
	case ISA_B_GREATER_EQUAL:
		return a >= b;
	case ISA_B_LESS_EQUAL:
		return a <= b;
	default:
		return ua;
	}
}

static uint64_t value_unsigned(uint32_t fn, uint64_t a, uint64_t b, uint32_t bits)
{
	switch (fn) {
	case ISA_B_DIV:
		return b == 0 ? 0 : a / b;
	case ISA_B_MOD:
	case ISA_B_FMOD:
		return b == 0 ? 0 : a % b;
	case ISA_B_POW:
		return power_u64(a, b);
	case ISA_B_MIN:
		return a < b ? a : b;
	case ISA_B_MAX:
		return a > b ? a : b;
	case ISA_B_EQUAL:
		return a == b;
	case ISA_B_GREATER:
		return a > b;
	case ISA_B_LESS:
		return a < b;
	case ISA_B_GREATER_EQUAL:
		return a >= b;
	case ISA_B_LESS_EQUAL:
		return a <= b;
	case ISA_B_SHIFT_LEFT:
		return b >= bits ? 0 : a << b;
	case ISA_B_SHIFT_RIGHT:
		return b >= bits ? 0 : a >> b;
	default:
		return a;
	}
}

static bool type_is_unsigned(uint32_t dtype)
{
	return dtype == ZY_DATA_U8 || dtype == ZY_DATA_U16 || dtype == ZY_DATA_U32 || dtype == ZY_DATA_U64;
}

static uint64_t value_integer(const struct binary *c, uint64_t a, uint64_t b)
{
	switch (c->fn) {
	case ISA_B_ADD:
		return a + b;
	case ISA_B_SUB:
		return a - b;
	case ISA_B_MUL:
		return a * b;
	case ISA_B_AND:
		return a & b;
	case ISA_B_OR:
		return a | b;
	case ISA_B_XOR:
		return a ^ b;
	default:
		return type_is_unsigned(c->dtype) ? value_unsigned(c->fn, a, b, type_bytes(c->dtype) * 8)
						  : value_signed(c->fn, (int64_t)a, (int64_t)b);
	}
}

static void row_integer(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct binary *c = arg;
	uint32_t out = is_comparison(c->fn) ? (uint32_t)ZY_DATA_BOOL : c->dtype;

	for (int64_t i = 0; i < n; i++) {
		uint64_t a = (uint64_t)type_load_s64(p[1] + i * step[1], c->dtype);
		uint64_t b = (uint64_t)type_load_s64(p[2] + i * step[2], c->dtype);
		type_store_s64(p[0] + i * step[0], out, (int64_t)value_integer(c, a, b));
	}
}

static void row_pow_mixed(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct binary *c = arg;
	bool exact = type_is_integer(c->dtype) && type_is_integer(c->b_dtype);

	for (int64_t i = 0; i < n; i++) {
		const uint8_t *a = p[1] + i * step[1];
		const uint8_t *b = p[2] + i * step[2];
		uint8_t *o = p[0] + i * step[0];
		if (exact)
			type_store_s64(o, c->dtype,
				       power_s64(type_load_s64(a, c->dtype), type_load_s64(b, c->b_dtype)));
		else
			type_store(o, c->dtype, pow(type_load(a, c->dtype), type_load(b, c->b_dtype)));
	}
}

static void row_bool(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct binary *c = arg;

	switch (c->fn) {
	case ISA_B_AND:
		ROW(uint8_t, uint8_t, a && b);
		break;
	case ISA_B_OR:
		ROW(uint8_t, uint8_t, a || b);
		break;
	case ISA_B_EQUAL:
		ROW(uint8_t, uint8_t, !a == !b);
		break;
	default:
		ROW(uint8_t, uint8_t, !a != !b);
		break;
	}
}

static int row_of(const struct binary *c, op_row_fn *fn)
{
	bool shift = c->fn == ISA_B_SHIFT_LEFT || c->fn == ISA_B_SHIFT_RIGHT;

	if (c->b_dtype != c->dtype) {
		if (c->fn != ISA_B_POW)
			return -EINVAL;
		*fn = row_pow_mixed;
		return c->dtype == ZY_DATA_BOOL || c->b_dtype == ZY_DATA_BOOL ? -EOPNOTSUPP : 0;
	}
	if (c->dtype == ZY_DATA_BOOL) {
		*fn = row_bool;
		return is_logic(c->fn) || c->fn == ISA_B_EQUAL ? 0 : -EOPNOTSUPP;
	}
	if (type_is_integer(c->dtype)) {
		*fn = row_integer;
		return shift && !type_is_unsigned(c->dtype) ? -EOPNOTSUPP : 0;
	}
	if (is_logic(c->fn) || shift)
		return -EOPNOTSUPP;
	*fn = c->dtype == ZY_DATA_F32 ? row_f32 : c->dtype == ZY_DATA_F64 ? row_f64 : row_half;
	return 0;
}

static int binary_check(struct op_ctx *ctx, struct binary *c, op_row_fn *fn)
{
	struct isa_binary_params params;
	const struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 3, 3);
	if (!rc)
		rc = record_params(ctx, &params, sizeof(params));
	if (rc)
		return rc;
	if (!params.fn || params.fn >= ISA_B_COUNT || !activation_known(params.activation.fn))
		return -EINVAL;
	if (!tensor_same_dims(&t[0], &t[1]) || !tensor_same_dims(&t[0], &t[2]))
		return -EINVAL;
	*c = (struct binary){params.fn, t[1].dtype, t[2].dtype, params.activation};
	if (t[0].dtype != (is_comparison(c->fn) ? (uint32_t)ZY_DATA_BOOL : c->dtype))
		return -EINVAL;
	rc = row_of(c, fn);
	if (!rc && c->activation.fn != ISA_U_NONE && *fn != row_f32 && *fn != row_half)
		rc = -EOPNOTSUPP;
	return rc;
}

int op_binary(struct op_ctx *ctx)
{
	const struct op_tensor *t = ctx->t;
	struct binary c;
	op_row_fn fn;

	int rc = binary_check(ctx, &c, &fn);
	if (rc || ctx->empty)
		return rc;
	for (uint32_t i = 0; i < 3; i++)
		tensor_take(ctx, i);
	record_charge(ctx, tensor_elements(&t[0]));
	rc = tensor_map_all(ctx, 1);
	if (rc)
		return rc;
	return iterate_rows(ctx, (const struct op_tensor *const[]){&t[0], &t[1], &t[2]}, 3, fn, &c);
}
