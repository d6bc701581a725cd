/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COPY, FILL and SELECT: elements move, their values are looked at only to convert. Overlapping operands give
 * unspecified elements, never an access outside the views.
 */
#include <errno.h>

#include "emulator/ops/internal.h"

#define CONVERT_BLOCK 256

struct convert {
	uint32_t to;
	uint32_t from;
};

#define COPY_ROW(T)                                                                                                    \
	static void copy_row_##T(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)                         \
	{                                                                                                              \
		(void)arg;                                                                                             \
		const int64_t so = step[0];                                                                            \
		const int64_t si = step[1];                                                                            \
		uint8_t *out = p[0];                                                                                   \
		const uint8_t *in = p[1];                                                                              \
		if (so == (int64_t)sizeof(T) && si == so) {                                                            \
			memmove(out, in, (size_t)n * sizeof(T));                                                       \
			return;                                                                                        \
		}                                                                                                      \
		for (int64_t i = 0; i < n; i++)                                                                        \
			*(T *)(void *)(out + i * so) = *(const T *)(const void *)(in + i * si);                        \
	}
COPY_ROW(uint8_t)
COPY_ROW(uint16_t)
COPY_ROW(uint32_t)
COPY_ROW(uint64_t)

static op_row_fn copy_row_of(uint32_t esize)
{
	switch (esize) {
	case 1:
		return copy_row_uint8_t;
	case 2:
		return copy_row_uint16_t;
	case 4:
		return copy_row_uint32_t;
	default:
		return copy_row_uint64_t;
	}
}

int copy_view(const struct op_ctx *ctx, const struct op_tensor *out, const struct op_tensor *in)
{
	return iterate_rows(ctx, (const struct op_tensor *const[]){out, in}, 2, copy_row_of(out->esize), NULL);
}

/* Integers through s64, everything else through double; the pairs that networks use directly. */
static void convert_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct convert *c = arg;
	uint8_t *out = p[0];
	const uint8_t *in = p[1];
	bool integers =
	    (type_is_integer(c->from) || c->from == ZY_DATA_BOOL) && c->to != ZY_DATA_F64 && c->from != ZY_DATA_U64;

	if (c->from == ZY_DATA_U8 && c->to == ZY_DATA_F32) {
		for (int64_t i = 0; i < n; i++)
			*(float *)(void *)(out + i * step[0]) = in[i * step[1]];
		return;
	}
	if (type_is_integer(c->from) && type_is_integer(c->to))
		integers = true;
	for (int64_t i = 0; i < n; i++, out += step[0], in += step[1]) {
		if (integers)
			type_store_s64(out, c->to, type_load_s64(in, c->from));
		else
			type_store(out, c->to, type_load(in, c->from));
	}
}

int op_copy(struct op_ctx *ctx)
{
	const struct op_tensor *out = &ctx->t[0];
	const struct op_tensor *in = &ctx->t[1];
	struct convert convert = {out->dtype, 0};

	int rc = record_operands(ctx, 2, 2);
	if (!rc)
		rc = record_params(ctx, NULL, 0);
	if (!rc && !tensor_same_dims(out, in))
		rc = -EINVAL;
	if (rc || ctx->empty)
		return rc;
	convert.from = in->dtype;
	tensor_take(ctx, 0);
	tensor_take(ctx, 1);
	record_charge(ctx, tensor_elements(out));
	rc = tensor_map_all(ctx, 1);
	if (rc)
		return rc;
	if (convert.from == convert.to)
		return copy_view(ctx, out, in);
	return iterate_rows(ctx, (const struct op_tensor *const[]){out, in}, 2, convert_row, &convert);
}

#define FILL_ROW(T)                                                                                                    \
	static void fill_row_##T(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)                         \
	{                                                                                                              \
		T value;                                                                                               \
		memcpy(&value, arg, sizeof(value));                                                                    \
		uint8_t *out = p[0];                                                                                   \
		if (step[0] == (int64_t)sizeof(T)) {                                                                   \
			T *dense = (T *)(void *)out;                                                                   \
			for (int64_t i = 0; i < n; i++)                                                                \
				dense[i] = value;                                                                      \
			return;                                                                                        \
		}                                                                                                      \
		for (int64_t i = 0; i < n; i++)                                                                        \
			*(T *)(void *)(out + i * step[0]) = value;                                                     \
	}
FILL_ROW(uint8_t)
FILL_ROW(uint16_t)
FILL_ROW(uint32_t)
FILL_ROW(uint64_t)

/* `element` holds the raw bits, out->esize bytes of them. */
int fill_view(const struct op_ctx *ctx, const struct op_tensor *out, const void *element)
{
	op_row_fn fn = out->esize == 1   ? fill_row_uint8_t
		       : out->esize == 2 ? fill_row_uint16_t
		       : out->esize == 4 ? fill_row_uint32_t
					 : fill_row_uint64_t;
	uint64_t value = 0;

	memcpy(&value, element, out->esize);
	return iterate_rows(ctx, (const struct op_tensor *const[]){out}, 1, fn, &value);
}

int op_fill(struct op_ctx *ctx)
{
	struct isa_fill_params params;

	int rc = record_operands(ctx, 1, 1);
	if (!rc)
		rc = record_params(ctx, &params, sizeof(params));
	if (rc || ctx->empty)
		return rc;
	tensor_take(ctx, 0);
	record_charge(ctx, tensor_elements(&ctx->t[0]));
	rc = tensor_map_all(ctx, 1);
	return rc ? rc : fill_view(ctx, &ctx->t[0], params.value);
}

#define SELECT_ROW(T)                                                                                                  \
	static void select_row_##T(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)                       \
	{                                                                                                              \
		(void)arg;                                                                                             \
		for (int64_t i = 0; i < n; i++) {                                                                      \
			const uint8_t *from = p[1][i * step[1]] ? p[2] + i * step[2] : p[3] + i * step[3];             \
			*(T *)(void *)(p[0] + i * step[0]) = *(const T *)(const void *)from;                           \
		}                                                                                                      \
	}
SELECT_ROW(uint8_t)
SELECT_ROW(uint16_t)
SELECT_ROW(uint32_t)
SELECT_ROW(uint64_t)

int op_select(struct op_ctx *ctx)
{
	const struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 4, 4);
	if (!rc)
		rc = record_params(ctx, NULL, 0);
	if (rc)
		return rc;
	for (uint32_t i = 1; i < 4; i++)
		if (!tensor_same_dims(&t[0], &t[i]) || t[i].dtype != (i == 1 ? ZY_DATA_BOOL : t[0].dtype))
			return -EINVAL;
	if (ctx->empty)
		return 0;
	for (uint32_t i = 0; i < 4; i++)
		tensor_take(ctx, i);
	record_charge(ctx, tensor_elements(&t[0]));
	rc = tensor_map_all(ctx, 1);
	if (rc)
		return rc;
	op_row_fn fn = t[0].esize == 1   ? select_row_uint8_t
		       : t[0].esize == 2 ? select_row_uint16_t
		       : t[0].esize == 4 ? select_row_uint32_t
					 : select_row_uint64_t;
	return iterate_rows(ctx, (const struct op_tensor *const[]){&t[0], &t[1], &t[2], &t[3]}, 4, fn, NULL);
}
