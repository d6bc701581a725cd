/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOFTMAX, LOG-SOFTMAX and HARDMAX along one axis, in double where the sum is.
 */
#include <errno.h>
#include <math.h>

#include "emulator/ops/internal.h"

struct softmax {
	const struct op_ctx *ctx;
	uint32_t log;
	uint32_t dtype;
	int64_t n; /* elements along the axis */
	int64_t out_step;
	int64_t in_step;
};

static void line_f32(const struct softmax *s, uint8_t *out, const uint8_t *in)
{
	float top = -INFINITY;
	double sum = 0;

	for (int64_t i = 0; i < s->n; i++) {
		float v = *(const float *)(const void *)(in + i * s->in_step);
		top = v > top ? v : top;
	}
	for (int64_t i = 0; i < s->n; i++) {
		float v = *(const float *)(const void *)(in + i * s->in_step) - top;
		float e = expf(v);
		sum += (double)e;
		*(float *)(void *)(out + i * s->out_step) = s->log ? v : e;
	}
	float scale = (float)(1.0 / sum);
	float shift = (float)log(sum);
	for (int64_t i = 0; i < s->n; i++) {
		float *o = (float *)(void *)(out + i * s->out_step);
		*o = s->log ? *o - shift : *o * scale;
	}
}

static void line_any(const struct softmax *s, uint8_t *out, const uint8_t *in)
{
	double top = -INFINITY;
	double sum = 0;

	for (int64_t i = 0; i < s->n; i++)
		top = fmax(top, type_load(in + i * s->in_step, s->dtype));
	for (int64_t i = 0; i < s->n; i++)
		sum += exp(type_load(in + i * s->in_step, s->dtype) - top);
	for (int64_t i = 0; i < s->n; i++) {
		double v = type_load(in + i * s->in_step, s->dtype) - top;
		type_store(out + i * s->out_step, s->dtype, s->log ? v - log(sum) : exp(v) / sum);
	}
}

static void line_hard(const struct softmax *s, uint8_t *out, const uint8_t *in)
{
	double top = -INFINITY;
	int64_t best = 0;

	for (int64_t i = 0; i < s->n; i++) {
		double v = type_load(in + i * s->in_step, s->dtype);
		if (v > top) {
			top = v;
			best = i;
		}
	}
	for (int64_t i = 0; i < s->n; i++)
		type_store(out + i * s->out_step, s->dtype, i == best);
}

static void softmax_row(void *arg, int64_t n, uint8_t *const *p, const int64_t *step)
{
	const struct softmax *s = arg;

	for (int64_t i = 0; i < n; i++) {
		if (record_cancelled(s->ctx))
			return;
		if (s->log == 2)
			line_hard(s, p[0] + i * step[0], p[1] + i * step[1]);
		else if (s->dtype == ZY_DATA_F32)
			line_f32(s, p[0] + i * step[0], p[1] + i * step[1]);
		else
			line_any(s, p[0] + i * step[0], p[1] + i * step[1]);
	}
}

int op_softmax(struct op_ctx *ctx)
{
	struct isa_softmax_params params;
	struct op_tensor *out = &ctx->t[0];
	struct op_tensor *in = &ctx->t[1];

	int rc = record_operands(ctx, 2, 2);
	if (!rc)
		rc = record_params(ctx, &params, sizeof(params));
	if (rc)
		return rc;
	if (params.axis >= out->rank || params.log > 2 || !tensor_same_dims(out, in) || out->dtype != in->dtype ||
	    ctx->split == params.axis)
		return -EINVAL;
	if (type_is_integer(out->dtype) || out->dtype == ZY_DATA_BOOL)
		return -EOPNOTSUPP;
	if (ctx->empty)
		return 0;
	tensor_take(ctx, 0);
	tensor_take(ctx, 1);
	record_charge(ctx, tensor_elements(out) * 4);
	rc = tensor_map_all(ctx, 1);
	if (rc)
		return rc;
	struct softmax s = {ctx,
			    params.log,
			    out->dtype,
			    out->dims[params.axis],
			    out->strides[params.axis] * (int64_t)out->esize,
			    in->strides[params.axis] * (int64_t)in->esize};
	if (!s.n)
		return 0;
	struct op_tensor out_lines = *out;
	struct op_tensor in_lines = *in;
	out_lines.dims[params.axis] = 1;
	in_lines.dims[params.axis] = 1;
	rc = iterate_rows(ctx, (const struct op_tensor *const[]){&out_lines, &in_lines}, 2, softmax_row, &s);
	return rc ? rc : record_cancelled(ctx) ? -ECANCELED : 0;
}
