/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POOL: maximum, averages and LP norm over windows of feature maps. Channels-last f32 runs over whole channel rows;
 * other types and layouts element by element through double.
 */
#include <errno.h>
#include <math.h>

#include "emulator/ops/internal.h"

#define POOL_MAX_STEP (1u << 24)
#define POOL_LANES 256
#define POOL_BLOCK 8

struct pool {
	struct isa_pool_params params;
	const struct op_tensor *indices; /* NULL if not wanted */
	struct op_tensor out;
	struct op_tensor in;
	struct op_tensor index;
	int64_t kernel[3];
	int64_t stride[3];
	int64_t dilation[3];
	int64_t pad[3];
	int64_t pad_end[3];
	int64_t full[OP_MAP_RANK]; /* input dims before the slice, for flat indices */
	int64_t first[OP_MAP_RANK]; /* where the slice starts in the output */
};

/* The kernel positions of one output element that fall inside the input. */
struct window {
	int64_t origin[3];
	int64_t from[3];
	int64_t to[3];
	int64_t share[3]; /* positions of each axis that an average counts */
	int64_t counted; /* what an average divides by */
};

static int pool_params(struct op_ctx *ctx, struct pool *c)
{
	struct isa_pool_params *p = &c->params;

	int rc = record_params(ctx, p, sizeof(*p));
	if (rc)
		return rc;
	if (!p->mode || p->mode > ISA_POOL_LP || !p->spatial || p->spatial > ISA_MAX_SPATIAL || p->storage_order > 1 ||
	    (p->mode == ISA_POOL_LP && !p->p))
		return -EINVAL;
	for (uint32_t i = 0; i < 3; i++) {
		c->kernel[i] = c->stride[i] = c->dilation[i] = 1;
		c->pad[i] = c->pad_end[i] = 0;
	}
	for (uint32_t i = 0; i < p->spatial; i++) {
		uint32_t at = i + 3 - p->spatial;
		if (!p->kernel[i] || !p->stride[i] || !p->dilation[i] || p->kernel[i] > POOL_MAX_STEP ||
		    p->stride[i] > POOL_MAX_STEP || p->dilation[i] > POOL_MAX_STEP || p->pad_begin[i] > POOL_MAX_STEP ||
		    p->pad_end[i] > POOL_MAX_STEP)
			return -EINVAL;
		c->kernel[at] = p->kernel[i];
		c->stride[at] = p->stride[i];
		c->dilation[at] = p->dilation[i];
		c->pad[at] = p->pad_begin[i];
		c->pad_end[at] = p->pad_end[i];
	}
	return 0;
}

static int pool_shapes(struct op_ctx *ctx, struct pool *c)
{
	const struct op_tensor *t = ctx->t;
	const uint32_t rank = c->params.spatial + 2;

	if (t[0].rank != rank || t[1].rank != rank || t[0].dtype != t[1].dtype || t[0].dims[0] != t[1].dims[0] ||
	    t[0].dims[1] != t[1].dims[1])
		return -EINVAL;
	if (tensor_present(ctx, 2)) {
		if (c->params.mode != ISA_POOL_MAX || t[2].dtype != ZY_DATA_S64 || !tensor_same_dims(&t[0], &t[2]) ||
		    tensor_check_output(&t[2]))
			return -EINVAL;
		c->indices = &t[2];
	}
	if (t[0].dtype == ZY_DATA_BOOL || (type_is_integer(t[0].dtype) && c->params.mode != ISA_POOL_MAX))
		return -EOPNOTSUPP;
	__int128 work = tensor_elements(&t[0]);
	for (uint32_t i = 0; i < 3; i++)
		work *= c->kernel[i];
	return work > OP_MAX_WORK ? -EINVAL : 0;
}

/* The whole input stays visible except along batch and channels: windows clip themselves. */
static void pool_slice(struct op_ctx *ctx, struct pool *c)
{
	int64_t count = ctx->end - ctx->begin;

	memcpy(c->full, c->in.dims, sizeof(c->full));
	memset(c->first, 0, sizeof(c->first));
	if (ctx->split == ISA_SPLIT_NONE)
		return;
	uint32_t axis = ctx->split < 2 ? ctx->split : ctx->split + 3 - c->params.spatial;
	tensor_slice(&c->out, axis, ctx->begin, count);
	if (c->indices)
		tensor_slice(&c->index, axis, ctx->begin, count);
	if (axis < 2)
		tensor_slice(&c->in, axis, ctx->begin, count);
	c->first[axis] = ctx->begin;
}

static int64_t clip(int64_t v, int64_t low, int64_t high)
{
	return v < low ? low : v > high ? high : v;
}

/* Positions k in [0, kernel) with low <= origin + k * dilation < high. */
static void positions(int64_t origin, int64_t dilation, int64_t kernel, int64_t low, int64_t high, int64_t *from,
		      int64_t *to)
{
	*from = origin >= low ? 0 : clip((low - origin + dilation - 1) / dilation, 0, kernel);
	*to = origin >= high ? *from : clip((high - origin + dilation - 1) / dilation, *from, kernel);
}

/* Axis i of the window under output index o; nearly always it lies inside and needs no division. */
static void window_axis(const struct pool *c, uint32_t i, int64_t o, struct window *w)
{
	int64_t in = c->full[2 + i];
	int64_t origin = (o + c->first[2 + i]) * c->stride[i] - c->pad[i];

	w->origin[i] = origin;
	w->from[i] = 0;
	w->to[i] = c->kernel[i];
	w->share[i] = c->kernel[i];
	if (origin < 0 || origin + (c->kernel[i] - 1) * c->dilation[i] >= in) {
		int64_t from;
		int64_t to;
		positions(origin, c->dilation[i], c->kernel[i], 0, in, &w->from[i], &w->to[i]);
		from = w->from[i];
		to = w->to[i];
		if (c->params.mode == ISA_POOL_AVG_INCLUDE_PAD)
			positions(origin, c->dilation[i], c->kernel[i], -c->pad[i], in + c->pad_end[i], &from, &to);
		w->share[i] = to - from;
	}
	w->counted = w->share[0] * w->share[1] * w->share[2];
}

static int64_t window_offset(const struct pool *c, const struct window *w, int64_t kz, int64_t ky, int64_t kx)
{
	return (w->origin[0] + kz * c->dilation[0]) * c->in.strides[2] +
	       (w->origin[1] + ky * c->dilation[1]) * c->in.strides[3] +
	       (w->origin[2] + kx * c->dilation[2]) * c->in.strides[4];
}

/* ------------------------------------------------------------------ channels last, f32 */

static void lanes_tap(const struct pool *c, float *acc, const float *v, int64_t n)
{
	switch (c->params.mode) {
	case ISA_POOL_MAX:
		for (int64_t i = 0; i < n; i++)
			acc[i] = v[i] > acc[i] ? v[i] : acc[i];
		break;
	case ISA_POOL_LP:
		if (c->params.p == 2) {
			for (int64_t i = 0; i < n; i++)
				acc[i] += v[i] * v[i];
		} else {
			for (int64_t i = 0; i < n; i++)
				acc[i] += c->params.p == 1 ? fabsf(v[i]) : powf(fabsf(v[i]), (float)c->params.p);
		}
		break;
	default:
		for (int64_t i = 0; i < n; i++)
			acc[i] += v[i];
		break;
	}
}

static void lanes_finish(const struct pool *c, const struct window *w, const float *acc, float *out, int64_t n)
{
	switch (c->params.mode) {
	case ISA_POOL_MAX:
		memcpy(out, acc, (size_t)n * sizeof(*out));
		break;
	case ISA_POOL_LP:
		for (int64_t i = 0; i < n; i++)
			out[i] = c->params.p == 1   ? acc[i]
				 : c->params.p == 2 ? sqrtf(acc[i])
						    : powf(acc[i], 1.0f / (float)c->params.p);
		break;
	default:
		for (int64_t i = 0; i < n; i++)
			out[i] = w->counted ? acc[i] / (float)w->counted : 0.0f;
		break;
	}
}

/* Eight channels of a maximum or a plain sum stay in registers over all taps. */
typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t four_mask __attribute__((vector_size(16)));

static inline four four_max(four a, four b)
{
	const four_mask m = (four_mask)(a > b);

	return (four)(((four_mask)a & m) | ((four_mask)b & ~m));
}

#define LANES_BLOCK(NAME, TAP, FIRST, SCALE)                                                                           \
	static void NAME(const struct pool *c, const struct window *w, const float *in, float *out)                    \
	{                                                                                                              \
		const float first = (FIRST);                                                                           \
		const float scale = (SCALE);                                                                           \
		four low = {first, first, first, first};                                                               \
		four high = low;                                                                                       \
		int64_t step = c->dilation[2] * c->in.strides[4];                                                      \
		for (int64_t kz = w->from[0]; kz < w->to[0]; kz++)                                                     \
			for (int64_t ky = w->from[1]; ky < w->to[1]; ky++) {                                           \
				const float *v = in + window_offset(c, w, kz, ky, w->from[2]);                         \
				for (int64_t kx = w->from[2]; kx < w->to[2]; kx++, v += step) {                        \
					low = TAP(low, ((const four *)(const void *)v)[0]);                            \
					high = TAP(high, ((const four *)(const void *)v)[1]);                          \
				}                                                                                      \
			}                                                                                              \
		((four *)(void *)out)[0] = low * scale;                                                                \
		((four *)(void *)out)[1] = high * scale;                                                               \
	}
#define FOUR_ADD(a, b) ((a) + (b))
LANES_BLOCK(block_max, four_max, -INFINITY, 1.0f)
LANES_BLOCK(block_average, FOUR_ADD, 0.0f, w->counted ? 1.0f / (float)w->counted : 0.0f)

static void lanes_window(const struct pool *c, const struct window *w, const float *in, float *out, int64_t n)
{
	float acc[POOL_LANES];

	for (int64_t i = 0; i < n; i++)
		acc[i] = c->params.mode == ISA_POOL_MAX ? -INFINITY : 0.0f;
	for (int64_t kz = w->from[0]; kz < w->to[0]; kz++)
		for (int64_t ky = w->from[1]; ky < w->to[1]; ky++)
			for (int64_t kx = w->from[2]; kx < w->to[2]; kx++)
				lanes_tap(c, acc, in + window_offset(c, w, kz, ky, kx), n);
	lanes_finish(c, w, acc, out, n);
}

static void pixel_lanes(const struct pool *c, const struct window *w, const uint8_t *in, uint8_t *out)
{
	int64_t m = 0;

	if (c->params.mode != ISA_POOL_LP)
		for (; m + POOL_BLOCK <= c->out.dims[1]; m += POOL_BLOCK)
			(c->params.mode == ISA_POOL_MAX ? block_max : block_average)(
			    c, w, (const float *)(const void *)in + m, (float *)(void *)out + m);
	for (; m < c->out.dims[1]; m += POOL_LANES) {
		int64_t n = c->out.dims[1] - m < POOL_LANES ? c->out.dims[1] - m : POOL_LANES;
		lanes_window(c, w, (const float *)(const void *)in + m, (float *)(void *)out + m, n);
	}
}

/* ------------------------------------------------------------------ any layout and type */

static int64_t flat_index(const struct pool *c, int64_t n, int64_t m, const int64_t *at)
{
	const int64_t *d = c->full;
	int64_t plane = ((n + c->first[0]) * d[1] + m + c->first[1]) * d[2] * d[3] * d[4];

	if (c->params.storage_order)
		return plane + at[0] + d[2] * (at[1] + d[3] * at[2]);
	return plane + (at[0] * d[3] + at[1]) * d[4] + at[2];
}

static double element_finish(const struct pool *c, const struct window *w, double acc)
{
	switch (c->params.mode) {
	case ISA_POOL_MAX:
		return acc;
	case ISA_POOL_LP:
		return pow(acc, 1.0 / c->params.p);
	default:
		return w->counted ? acc / (double)w->counted : 0;
	}
}

static double element_window(const struct pool *c, const struct window *w, const uint8_t *in, int64_t *best)
{
	double acc = c->params.mode == ISA_POOL_MAX ? -INFINITY : 0;

	for (int64_t kz = w->from[0]; kz < w->to[0]; kz++)
		for (int64_t ky = w->from[1]; ky < w->to[1]; ky++)
			for (int64_t kx = w->from[2]; kx < w->to[2]; kx++) {
				int64_t offset = window_offset(c, w, kz, ky, kx);
				double v = type_load(in + offset * (int64_t)c->in.esize, c->in.dtype);
				if (c->params.mode == ISA_POOL_LP) {
					acc += pow(fabs(v), c->params.p);
				} else if (c->params.mode != ISA_POOL_MAX) {
					acc += v;
				} else if (v > acc || best[0] < 0) {
					acc = v;
					best[0] = w->origin[0] + kz * c->dilation[0];
					best[1] = w->origin[1] + ky * c->dilation[1];
					best[2] = w->origin[2] + kx * c->dilation[2];
				}
			}
	return element_finish(c, w, acc);
}

static void pixel_elements(const struct pool *c, const struct window *w, int64_t n, const uint8_t *in, uint8_t *out,
			   uint8_t *index)
{
	const int64_t esize = (int64_t)c->out.esize;

	for (int64_t m = 0; m < c->out.dims[1]; m++) {
		int64_t best[3] = {-1, 0, 0};
		double v = element_window(c, w, in + m * c->in.strides[1] * esize, best);
		type_store(out + m * c->out.strides[1] * esize, c->out.dtype, v);
		if (index)
			*(int64_t *)(void *)(index + m * c->index.strides[1] * 8) =
			    best[0] < 0 ? 0 : flat_index(c, n, m, best);
	}
}

static int64_t map_offset(const struct op_tensor *t, int64_t n, const int64_t *o)
{
	return (n * t->strides[0] + o[0] * t->strides[2] + o[1] * t->strides[3] + o[2] * t->strides[4]) *
	       (int64_t)t->esize;
}

static int pool_image(struct op_ctx *ctx, const struct pool *c, int64_t n)
{
	bool lanes = c->out.dtype == ZY_DATA_F32 && !c->indices && c->out.strides[1] == 1 && c->in.strides[1] == 1;
	const uint8_t *in = c->in.data + n * c->in.strides[0] * (int64_t)c->in.esize;
	struct window w = {.share = {1, 1, 1}};
	int64_t o[3];

	for (o[0] = 0; o[0] < c->out.dims[2]; o[0]++) {
		window_axis(c, 0, o[0], &w);
		for (o[1] = 0; o[1] < c->out.dims[3]; o[1]++) {
			if (record_cancelled(ctx))
				return -ECANCELED;
			window_axis(c, 1, o[1], &w);
			for (o[2] = 0; o[2] < c->out.dims[4]; o[2]++) {
				uint8_t *out = c->out.data + map_offset(&c->out, n, o);
				window_axis(c, 2, o[2], &w);
				if (lanes)
					pixel_lanes(c, &w, in, out);
				else
					pixel_elements(c, &w, n, in, out,
						       c->indices ? c->index.data + map_offset(&c->index, n, o) : NULL);
			}
		}
	}
	return 0;
}

static int pool_map(struct op_ctx *ctx, struct pool *c)
{
	struct op_tensor *views[] = {&c->out, &c->in, &c->index};

	for (uint32_t i = 0; i < 3; i++) {
		if (i == 2 && !c->indices)
			break;
		ctx->t[i] = *views[i];
		int rc = tensor_map(ctx, i, i == 1 ? OP_READ : OP_WRITE);
		if (rc)
			return rc;
		views[i]->data = ctx->t[i].data;
	}
	return 0;
}

int op_pool(struct op_ctx *ctx)
{
	struct pool c = {.indices = NULL};

	int rc = record_operands(ctx, 2, 3);
	if (!rc)
		rc = pool_params(ctx, &c);
	if (!rc)
		rc = pool_shapes(ctx, &c);
	if (rc || ctx->empty)
		return rc;
	c.out = tensor_widen(&ctx->t[0]);
	c.in = tensor_widen(&ctx->t[1]);
	if (c.indices)
		c.index = tensor_widen(&ctx->t[2]);
	pool_slice(ctx, &c);
	record_charge(ctx, tensor_elements(&c.out) * c.kernel[0] * c.kernel[1] * c.kernel[2]);
	if (!tensor_elements(&c.out) || !tensor_elements(&c.in))
		return tensor_elements(&c.out) ? -EINVAL : 0;
	rc = pool_map(ctx, &c);
	for (int64_t n = 0; !rc && n < c.out.dims[0]; n++)
		rc = pool_image(ctx, &c, n);
	return rc;
}
