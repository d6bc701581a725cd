/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution through the library. Feature maps must be dense, channels last (the fast kernels) or channels first;
 * others, and mixtures, pass through dense channels-last scratch. Geometry outside sane bounds is left to our loops.
 */
#include <errno.h>

#include "emulator/ops/conv.h"
#include "emulator/ops/prim.h"

#define FAST_MAX_STEP 64 /* stride, dilation, kernel */
#define FAST_MAX_PADDED_STRIDE 4

enum layout { LAYOUT_OTHER, LAYOUT_LAST, LAYOUT_FIRST };
enum addend { ADDEND_NONE, ADDEND_BINARY, ADDEND_SUM };
enum plan { PLAN_ADDEND, PLAN_ACTIVATED };

/* Everything the library compiles for; no padding bytes. */
struct geometry {
	uint32_t kind;
	uint32_t layout;
	uint32_t has_bias;
	uint32_t addend; /* the addend is dense in the same layout, or not there */
	struct isa_activation activation;
	uint32_t zero;
	int64_t images;
	int64_t group;
	int64_t in_channels;
	int64_t out_channels;
	int64_t in[3];
	int64_t out[3];
	int64_t kernel[3];
	int64_t stride[3];
	int64_t dilation[3];
	int64_t pad[3];
};
_Static_assert(sizeof(struct geometry) <= PRIM_KEY_BYTES, "key");

static bool dense(const struct op_tensor *t, const uint32_t *order)
{
	int64_t stride = 1;

	for (uint32_t i = 0; i < 4; i++) {
		if (t->dims[order[i]] > 1 && t->strides[order[i]] != stride)
			return false;
		stride *= t->dims[order[i]];
	}
	return true;
}

static enum layout layout_of(const struct op_tensor *t)
{
	static const uint32_t last[] = {1, 4, 3, 2};
	static const uint32_t first[] = {4, 3, 2, 1};

	return dense(t, last) ? LAYOUT_LAST : dense(t, first) ? LAYOUT_FIRST : LAYOUT_OTHER;
}

static bool images_dense(const struct op_tensor *t)
{
	return t->dims[0] <= 1 || t->strides[0] == t->dims[1] * t->dims[2] * t->dims[3] * t->dims[4];
}

/* Does the window of output index o of an axis meet the input at all? Not if it lies in padding or jumps over it. */
static bool window_meets(const struct conv *c, uint32_t axis, int64_t o)
{
	int64_t at = o * c->stride[axis] - c->pad[axis];

	for (int64_t k = 0; k < c->weight.dims[2 + axis]; k++, at += c->dilation[axis])
		if (at >= 0 && at < c->in.dims[2 + axis])
			return true;
	return false;
}

/* Kernels of release 2.6 crash on windows without input; only those that stick out at an end can be such. */
static bool windows_meet(const struct conv *c, uint32_t axis)
{
	int64_t n = c->out.dims[2 + axis];
	int64_t reach = (c->weight.dims[2 + axis] - 1) * c->dilation[axis] + 1;

	for (int64_t o = 0; o < n && o * c->stride[axis] < c->pad[axis]; o++)
		if (!window_meets(c, axis, o))
			return false;
	for (int64_t o = n - 1; o >= 0 && o * c->stride[axis] - c->pad[axis] + reach > c->in.dims[2 + axis]; o--)
		if (!window_meets(c, axis, o))
			return false;
	return true;
}

static bool geometry_sane(const struct conv *c)
{
	const struct op_tensor *t[] = {&c->out, &c->in, &c->weight};

	for (uint32_t i = 0; i < 3; i++) {
		int64_t n = tensor_elements(t[i]);
		if (n <= 0 || n * 4 >= PRIM_MAX_BYTES)
			return false;
	}
	for (uint32_t i = 0; i < 3; i++) {
		int64_t reach = (c->weight.dims[2 + i] - 1) * c->dilation[i] + 1;
		int64_t full = c->transpose ? c->out.dims[2 + i] : c->in.dims[2 + i];
		int64_t part = c->transpose ? c->in.dims[2 + i] : c->out.dims[2 + i];
		int64_t pad_end = (part - 1) * c->stride[i] + reach - full - c->pad[i];
		if (c->stride[i] > FAST_MAX_STEP || c->dilation[i] > FAST_MAX_STEP ||
		    c->weight.dims[2 + i] > FAST_MAX_STEP)
			return false;
		if (c->pad[i] < 0 || c->pad[i] >= reach || pad_end >= reach || pad_end + c->stride[i] <= 0)
			return false;
		/* Seen wrong in release 2.6: wide strides over padding. */
		if (c->stride[i] > FAST_MAX_PADDED_STRIDE && (c->pad[i] || pad_end > 0))
			return false;
		if (!c->transpose && !windows_meet(c, i))
			return false;
	}
	if (c->out_first || c->out.dims[1] != c->group * c->out_per_group)
		return false;
	return true;
}

/* ------------------------------------------------------------------ compiling */

static bool describe_map(dnnl_memory_desc_t *md, const struct geometry *g, int64_t channels, const int64_t *spatial)
{
	bool two = g->in[0] == 1 && g->out[0] == 1 && g->kernel[0] == 1;
	dnnl_dims_t dims = {g->images, channels};
	bool last = g->layout == LAYOUT_LAST;

	if (two) {
		dims[2] = spatial[1];
		dims[3] = spatial[2];
		return dnnl_memory_desc_init_by_tag(md, 4, dims, dnnl_f32, last ? dnnl_nhwc : dnnl_nchw) ==
		       dnnl_success;
	}
	memcpy(&dims[2], spatial, 3 * sizeof(dims[0]));
	return dnnl_memory_desc_init_by_tag(md, 5, dims, dnnl_f32, last ? dnnl_ndhwc : dnnl_ncdhw) == dnnl_success;
}

/* Weights as memory holds them: M, C/group, or for the transpose C, M/group seen as M/group, C/group. */
static bool describe_weights(dnnl_memory_desc_t *plain, dnnl_memory_desc_t *any, const struct geometry *g)
{
	bool two = g->in[0] == 1 && g->out[0] == 1 && g->kernel[0] == 1;
	int64_t area = g->kernel[0] * g->kernel[1] * g->kernel[2];
	int64_t in = g->in_channels / g->group;
	int64_t out = g->out_channels / g->group;
	bool transpose = g->kind == PRIM_DECONV;
	dnnl_dims_t dims;
	dnnl_dims_t strides;
	int n = 0;

	if (g->group > 1) {
		dims[n] = g->group;
		strides[n++] = in * out * area;
	}
	dims[n] = out;
	strides[n++] = transpose ? area : in * area;
	dims[n] = in;
	strides[n++] = transpose ? out * area : area;
	for (int i = two ? 1 : 0; i < 3; i++) {
		dims[n] = g->kernel[i];
		strides[n++] = i == 0 ? g->kernel[1] * g->kernel[2] : i == 1 ? g->kernel[2] : 1;
	}
	return dnnl_memory_desc_init_by_strides(plain, n, dims, dnnl_f32, strides) == dnnl_success &&
	       dnnl_memory_desc_init_by_tag(any, n, dims, dnnl_f32, dnnl_format_tag_any) == dnnl_success;
}

struct description {
	dnnl_memory_desc_t src;
	dnnl_memory_desc_t dst;
	dnnl_memory_desc_t weights;
	dnnl_memory_desc_t bias;
	dnnl_convolution_desc_t conv; /* the same type describes a deconvolution */
};

static bool describe(struct description *d, dnnl_memory_desc_t *plain, const struct geometry *g)
{
	bool two = g->in[0] == 1 && g->out[0] == 1 && g->kernel[0] == 1;
	int skip = two ? 1 : 0;
	dnnl_dims_t stride;
	dnnl_dims_t dilation;
	dnnl_dims_t before;
	dnnl_dims_t after;

	if (!describe_map(&d->src, g, g->in_channels, g->in) || !describe_map(&d->dst, g, g->out_channels, g->out) ||
	    !describe_weights(plain, &d->weights, g) || !prim_vector(&d->bias, g->out_channels, dnnl_f32))
		return false;
	for (int i = skip; i < 3; i++) {
		int64_t reach = (g->kernel[i] - 1) * g->dilation[i] + 1;
		int64_t full = g->kind == PRIM_DECONV ? g->out[i] : g->in[i];
		int64_t part = g->kind == PRIM_DECONV ? g->in[i] : g->out[i];
		stride[i - skip] = g->stride[i];
		dilation[i - skip] = g->dilation[i] - 1;
		before[i - skip] = g->pad[i];
		after[i - skip] = (part - 1) * g->stride[i] + reach - full - g->pad[i];
	}
	const dnnl_memory_desc_t *bias = g->has_bias ? &d->bias : NULL;
	if (g->kind == PRIM_DECONV)
		return dnnl_dilated_deconvolution_forward_desc_init(
			   &d->conv, dnnl_forward_inference, dnnl_deconvolution_direct, &d->src, &d->weights, bias,
			   &d->dst, stride, dilation, before, after) == dnnl_success;
	return dnnl_dilated_convolution_forward_desc_init(&d->conv, dnnl_forward_inference, dnnl_convolution_direct,
							  &d->src, &d->weights, bias, &d->dst, stride, dilation, before,
							  after) == dnnl_success;
}

static bool compile_with(struct op_prim *prim, const struct geometry *g, const struct description *d,
			 enum addend addend, bool activated)
{
	dnnl_primitive_attr_t attr = NULL;
	dnnl_post_ops_t ops = NULL;
	dnnl_primitive_desc_t pd;
	bool ok = dnnl_primitive_attr_create(&attr) == dnnl_success && dnnl_post_ops_create(&ops) == dnnl_success &&
		  dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) == dnnl_success;

	if (ok && addend == ADDEND_SUM)
		ok = dnnl_post_ops_append_sum(ops, 1.0f) == dnnl_success;
	if (ok && addend == ADDEND_BINARY)
		ok = dnnl_post_ops_append_binary(ops, dnnl_binary_add, &d->dst) == dnnl_success;
	if (ok && activated)
		ok = prim_post_activation(ops, &g->activation);
	ok = ok && dnnl_primitive_attr_set_post_ops(attr, ops) == dnnl_success &&
	     prim_compile(prim, &d->conv, attr, addend == ADDEND_BINARY, &pd);
	if (ok) {
		const dnnl_memory_desc_t *packed = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
		prim->packed = *packed;
		prim->has_weights = true;
		prim_argument(prim, DNNL_ARG_SRC, &d->src);
		prim_argument(prim, DNNL_ARG_DST, &d->dst);
		if (g->has_bias)
			prim_argument(prim, DNNL_ARG_BIAS, &d->bias);
		if (addend == ADDEND_BINARY)
			prim_argument(prim, DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, &d->dst);
		prim->plan[PLAN_ADDEND] = addend;
		prim->plan[PLAN_ACTIVATED] = activated;
		(void)dnnl_primitive_desc_destroy(pd);
	}
	if (ops)
		(void)dnnl_post_ops_destroy(ops);
	if (attr)
		(void)dnnl_primitive_attr_destroy(attr);
	return ok;
}

/* From everything fused to nothing fused: the first that the library compiles well. */
static void conv_build(struct op_prim *prim, const void *key)
{
	const struct geometry *g = key;
	struct description d;
	bool act = g->activation.fn != ISA_U_NONE;

	if (!describe(&d, &prim->plain, g))
		return;
	if (!g->addend) {
		if (!(act && compile_with(prim, g, &d, ADDEND_NONE, true)))
			(void)compile_with(prim, g, &d, ADDEND_NONE, false);
		return;
	}
	for (int pass = act ? 0 : 1; pass < 2; pass++) {
		if (g->addend == ADDEND_BINARY && compile_with(prim, g, &d, ADDEND_BINARY, pass == 0))
			return;
		if (compile_with(prim, g, &d, ADDEND_SUM, pass == 0))
			return;
	}
}

/* ------------------------------------------------------------------ running */

static void *stage(const struct op_tensor *t, struct op_tensor *dense_map)
{
	static const uint32_t order[] = {1, 4, 3, 2, 0};
	int64_t stride = 1;

	*dense_map = *t;
	dense_map->data = scratch_get((size_t)tensor_elements(t) * 4);
	for (uint32_t i = 0; i < CONV_RANK; i++) {
		dense_map->strides[order[i]] = stride;
		stride *= t->dims[order[i]];
	}
	return dense_map->data;
}

struct pass {
	struct op_tensor in;
	struct op_tensor out;
	struct op_tensor addend;
	void *bias;
};

static int run_images(struct op_ctx *ctx, const struct conv *c, struct op_prim *prim, struct pass *p, int64_t images)
{
	struct op_packed *packed;

	int rc = packed_get(ctx, prim, &c->weight, &packed);
	if (rc)
		return rc;
	for (int64_t n = 0; !rc && n < c->out.dims[0]; n += images) {
		void *data[PRIM_ARGS];
		uint32_t count = 0;
		data[count++] = p->in.data + n * p->in.strides[0] * 4;
		data[count++] = p->out.data + n * p->out.strides[0] * 4;
		if (c->has_bias)
			data[count++] = p->bias;
		if (prim->plan[PLAN_ADDEND] == ADDEND_BINARY)
			data[count++] = p->addend.data + n * p->addend.strides[0] * 4;
		rc = prim_run(prim, data, packed_memory(packed));
		if (!rc && record_cancelled(ctx))
			rc = -ECANCELED;
	}
	packed_put(ctx->run->cache, packed);
	return rc;
}

static int stage_all(struct op_ctx *ctx, const struct conv *c, enum layout layout, struct pass *p)
{
	p->in = c->in;
	p->out = c->out;
	p->bias = c->bias.data;
	if (layout_of(&c->in) != layout) {
		if (!stage(&c->in, &p->in))
			return -ENOMEM;
		int rc = copy_view(ctx, &p->in, &c->in);
		if (rc)
			return rc;
	}
	if (layout_of(&c->out) != layout && !stage(&c->out, &p->out))
		return -ENOMEM;
	if (c->has_bias && c->bias.dims[0] > 1 && c->bias.strides[0] != 1) {
		struct op_tensor row =
		    tensor_view(scratch_get((size_t)c->bias.dims[0] * 4), ZY_DATA_F32, 1, c->bias.dims);
		p->bias = row.data;
		return row.data ? copy_view(ctx, &row, &c->bias) : -ENOMEM;
	}
	return 0;
}

static int run_prim(struct op_ctx *ctx, const struct conv *c, struct op_prim *prim, enum layout layout, int64_t images)
{
	struct pass p;

	int rc = stage_all(ctx, c, layout, &p);
	p.addend = c->addend;
	if (!rc && prim->plan[PLAN_ADDEND] == ADDEND_SUM)
		rc = copy_view(ctx, &p.out, &c->addend);
	if (!rc)
		rc = run_images(ctx, c, prim, &p, images);
	if (!rc && p.out.data != c->out.data)
		rc = copy_view(ctx, &c->out, &p.out);
	if (!rc && !prim->plan[PLAN_ACTIVATED])
		rc = activate_view(ctx, &c->params.activation, &c->out);
	return rc;
}

static void geometry_fill(struct geometry *g, const struct conv *c, enum layout layout)
{
	bool same = c->has_addend && layout_of(&c->addend) == layout && layout_of(&c->out) == layout;
	/* Release 2.6 gets whole-tensor addends wrong in depthwise kernels and where they look like one per channel. */
	same = same && c->group == 1 && c->out.dims[2] * c->out.dims[3] * c->out.dims[4] > 1;
	bool whole = images_dense(&c->in) && images_dense(&c->out) && (!same || images_dense(&c->addend));

	memset(g, 0, sizeof(*g));
	g->kind = c->transpose ? PRIM_DECONV : PRIM_CONV;
	g->layout = layout;
	g->has_bias = c->has_bias;
	g->addend = !c->has_addend ? ADDEND_NONE : same ? ADDEND_BINARY : ADDEND_SUM;
	g->activation = c->params.activation;
	g->images = whole ? c->out.dims[0] : 1;
	g->group = c->group;
	g->in_channels = c->in.dims[1];
	g->out_channels = c->out.dims[1];
	for (uint32_t i = 0; i < 3; i++) {
		g->in[i] = c->in.dims[2 + i];
		g->out[i] = c->out.dims[2 + i];
		g->kernel[i] = c->weight.dims[2 + i];
		g->stride[i] = c->stride[i];
		g->dilation[i] = c->dilation[i];
		g->pad[i] = c->pad[i];
	}
}

static int try_layout(struct op_ctx *ctx, const struct conv *c, enum layout layout)
{
	struct geometry g;
	struct op_prim *prim;

	geometry_fill(&g, c, layout);
	int rc = prim_get(ctx->run->cache, &g, sizeof(g), conv_build, &prim);
	if (rc)
		return rc;
	rc = prim->handle ? run_prim(ctx, c, prim, layout, g.images) : 1;
	prim_put(ctx->run->cache, prim);
	return rc;
}

static bool weights_dense(const struct conv *c)
{
	int64_t stride = 1;

	for (uint32_t i = CONV_RANK; i-- > 0;) {
		if (c->weight.dims[i] > 1 && c->weight.strides[i] != stride)
			return false;
		stride *= c->weight.dims[i];
	}
	return true;
}

int conv_fast(struct op_ctx *ctx, const struct conv *c)
{
	if (!ctx->run->cache || !prim_stream() || !geometry_sane(c) || !weights_dense(c))
		return 1;
	if (layout_of(&c->in) == LAYOUT_FIRST && layout_of(&c->out) == LAYOUT_FIRST) {
		int rc = try_layout(ctx, c, LAYOUT_FIRST);
		if (rc <= 0)
			return rc;
	}
	return try_layout(ctx, c, LAYOUT_LAST);
}
