/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution by plain loops over any strides, padding and cut: what the library does not take. Slow and exact.
 */
#include <errno.h>

#include "emulator/ops/conv.h"

static const float *at(const struct op_tensor *t, int64_t a, int64_t b)
{
	return (const float *)(const void *)t->data + a * t->strides[0] + b * t->strides[1];
}

/* One output element: input channels of one group under the kernel's window. */
static double window(const struct conv *c, const float *in, const float *weight, const int64_t *origin)
{
	const int64_t *is = c->in.strides;
	const int64_t *ws = c->weight.strides;
	const int64_t *id = c->in.dims;
	const int64_t *kd = c->weight.dims;
	double sum = 0;

	for (int64_t kz = 0; kz < kd[2]; kz++) {
		int64_t z = origin[0] + kz * c->dilation[0];
		if (z < 0 || z >= id[2])
			continue;
		for (int64_t ky = 0; ky < kd[3]; ky++) {
			int64_t y = origin[1] + ky * c->dilation[1];
			if (y < 0 || y >= id[3])
				continue;
			for (int64_t kx = 0; kx < kd[4]; kx++) {
				int64_t x = origin[2] + kx * c->dilation[2];
				if (x < 0 || x >= id[4])
					continue;
				const float *v = in + z * is[2] + y * is[3] + x * is[4];
				const float *w = weight + kz * ws[2] + ky * ws[3] + kx * ws[4];
				for (int64_t i = 0; i < c->in_per_group; i++)
					sum += (double)v[i * is[1]] * (double)w[i * ws[1]];
			}
		}
	}
	return sum;
}

/* The transpose gathers: output o takes input i through kernel k where o + pad == i * stride + k * dilation. */
static bool source(const struct conv *c, uint32_t axis, int64_t out, int64_t k, int64_t *in)
{
	int64_t v = out + c->pad[axis] - k * c->dilation[axis];

	if (v < 0 || v % c->stride[axis])
		return false;
	*in = v / c->stride[axis];
	return *in < c->in.dims[2 + axis];
}

static double window_transpose(const struct conv *c, const float *in, const float *weight, const int64_t *o)
{
	const int64_t *is = c->in.strides;
	const int64_t *ws = c->weight.strides;
	const int64_t *kd = c->weight.dims;
	double sum = 0;
	int64_t z;
	int64_t y;
	int64_t x;

	for (int64_t kz = 0; kz < kd[2]; kz++) {
		if (!source(c, 0, o[0], kz, &z))
			continue;
		for (int64_t ky = 0; ky < kd[3]; ky++) {
			if (!source(c, 1, o[1], ky, &y))
				continue;
			for (int64_t kx = 0; kx < kd[4]; kx++) {
				if (!source(c, 2, o[2], kx, &x))
					continue;
				const float *v = in + z * is[2] + y * is[3] + x * is[4];
				const float *w = weight + kz * ws[2] + ky * ws[3] + kx * ws[4];
				for (int64_t i = 0; i < c->in_per_group; i++)
					sum += (double)v[i * is[1]] * (double)w[i * ws[0]];
			}
		}
	}
	return sum;
}

/* One output channel of one image. */
static int plane(struct op_ctx *ctx, const struct conv *c, int64_t n, int64_t m)
{
	int64_t group = (c->out_first + m) / c->out_per_group;
	int64_t local = (c->out_first + m) % c->out_per_group;
	const float *in = at(&c->in, n, group * c->in_per_group);
	const float *weight = c->transpose ? at(&c->weight, group * c->in_per_group, local) : at(&c->weight, m, 0);
	uint8_t *out = c->out.data + (n * c->out.strides[0] + m * c->out.strides[1]) * 4;
	const int64_t *os = c->out.strides;
	const int64_t *od = c->out.dims;
	double bias = c->has_bias ? ((const float *)(const void *)c->bias.data)[m * c->bias.strides[0]] : 0;

	for (int64_t z = 0; z < od[2]; z++)
		for (int64_t y = 0; y < od[3]; y++) {
			if (record_cancelled(ctx))
				return -ECANCELED;
			uint8_t *row = out + (z * os[2] + y * os[3]) * 4;
			for (int64_t x = 0; x < od[4]; x++) {
				const int64_t o[3] = {z, y, x};
				const int64_t origin[3] = {z * c->stride[0] - c->pad[0], y * c->stride[1] - c->pad[1],
							   x * c->stride[2] - c->pad[2]};
				double sum = bias + (c->transpose ? window_transpose(c, in, weight, o)
								  : window(c, in, weight, origin));
				if (c->has_addend)
					sum +=
					    at(&c->addend, n, m)[z * c->addend.strides[2] + y * c->addend.strides[3] +
								 x * c->addend.strides[4]];
				*(float *)(void *)(row + x * os[4] * 4) = (float)sum;
			}
		}
	return 0;
}

int conv_loops(struct op_ctx *ctx, const struct conv *c)
{
	for (int64_t n = 0; n < c->out.dims[0]; n++)
		for (int64_t m = 0; m < c->out.dims[1]; m++) {
			int rc = plane(ctx, c, n, m);
			if (rc)
				return rc;
		}
	return activate_view(ctx, &c->params.activation, &c->out);
}
