/* SPDX-License-Identifier: Apache-2.0 */
/* Pools over windows and over the whole space. */
#include "emulator/compiler/operators.h"
#include "emulator/compiler/window.h"

#include <string.h>

static void params_from_window(const struct window *w, struct isa_pool_params *params)
{
	params->spatial = w->spatial;
	for (uint32_t i = 0; i < w->spatial; i++) {
		params->kernel[i] = w->kernel[i];
		params->stride[i] = w->stride[i];
		params->dilation[i] = w->dilation[i];
		params->pad_begin[i] = w->pad_begin[i];
		params->pad_end[i] = w->pad_end[i];
	}
}

static void emit_pool(struct cc *cc, const struct node *n, const uint32_t *dims, const struct isa_pool_params *params)
{
	struct view in = emit_plain(cc, node_in(n, 0));
	struct view out = tensor_new(cc, in.dtype, in.rank, dims, &in, &in, 1);
	struct view ops[3] = {out, in, {0}};
	bool indices = node_has_out(n, 1);

	if (indices)
		ops[2] = tensor_new(cc, ZY_DATA_S64, in.rank, dims, &in, &in, 1);
	/* The indices are an output behind the inputs: they count as one for liveness. */
	emit(cc, ISA_T_POOL, 1, ops, 3, params, sizeof(*params));
	node_set(cc, n, 0, &out);
	if (indices)
		node_set(cc, n, 1, &ops[2]);
}

static uint32_t pool_mode(struct cc *cc, const struct node *n)
{
	if (strstr(n->op, "Max"))
		return ISA_POOL_MAX;
	if (strstr(n->op, "Lp"))
		return ISA_POOL_LP;
	return attr_int(cc, n, "count_include_pad", 0) ? ISA_POOL_AVG_INCLUDE_PAD : ISA_POOL_AVG_EXCLUDE_PAD;
}

static void lower_pool(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	struct isa_pool_params params = {.mode = pool_mode(cc, n)};
	uint32_t dims[ISA_MAX_RANK];
	struct window window;

	int64_t p = params.mode == ISA_POOL_LP ? attr_int(cc, n, "p", 2) : 2;
	int64_t order = attr_int(cc, n, "storage_order", 0);
	if (!attr_find(n, "kernel_shape"))
		cc_bad(cc, "attribute \"kernel_shape\" is missing");
	if (!window_read(cc, n, x, NULL, &window) ||
	    !window_slide(cc, &window, x, attr_int(cc, n, "ceil_mode", 0) != 0, &dims[2]))
		return;
	if (p < 1 || p > 1024 || order < 0 || order > 1) {
		cc_bad(cc, "p %lld, storage_order %lld", (long long)p, (long long)order);
		return;
	}
	dims[0] = x->dims[0];
	dims[1] = x->dims[1];
	params.p = (uint32_t)p;
	params.storage_order = (uint32_t)order;
	params_from_window(&window, &params);
	emit_pool(cc, n, dims, &params);
}

static void lower_global_pool(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	struct isa_pool_params params = {.mode = pool_mode(cc, n)};
	uint32_t dims[ISA_MAX_RANK];
	struct window window = {.spatial = x->rank - 2};

	int64_t p = params.mode == ISA_POOL_LP ? attr_int(cc, n, "p", 2) : 2;
	if (x->rank < 3 || x->rank > 2 + ISA_MAX_SPATIAL || p < 1 || p > 1024) {
		cc_unsupported(cc, "an input of rank %u: 3 to %u", x->rank, 2 + ISA_MAX_SPATIAL);
		return;
	}
	for (uint32_t i = 0; i < window.spatial; i++) {
		window.kernel[i] = x->dims[2 + i];
		window.stride[i] = 1;
		window.dilation[i] = 1;
	}
	for (uint32_t i = 0; i < x->rank; i++)
		dims[i] = i < 2 ? x->dims[i] : 1;
	params.p = (uint32_t)p;
	params_from_window(&window, &params);
	emit_pool(cc, n, dims, &params);
}

/* Puts each element where its maximum was found; the indices count the unpooled tensor's elements. */
static void lower_unpool(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	struct isa_scatter_params scatter = {.axis = 0, .reduction = ISA_SCATTER_SET};
	uint32_t dims[ISA_MAX_RANK] = {0};
	uint32_t wide[ISA_MAX_RANK];
	uint32_t count = (uint32_t)view_elements(x);
	uint32_t rank = x->rank;
	struct window w;

	if (!attr_find(n, "kernel_shape"))
		cc_bad(cc, "attribute \"kernel_shape\" is missing");
	if (!window_read(cc, n, x, NULL, &w))
		return;
	for (uint32_t i = 0; i < rank; i++) {
		int64_t size = x->dims[i];
		if (i >= 2)
			size = (size - 1) * w.stride[i - 2] + w.kernel[i - 2] - w.pad_begin[i - 2] - w.pad_end[i - 2];
		if (size < 1 || size > INT32_MAX)
			cc_bad(cc, "axis %u would have the size %lld", i, (long long)size);
		dims[i] = wide[i] = (uint32_t)size;
	}
	if (view_present(node_in(n, 2)) && (!node_declared(cc, n, 0, &rank, wide) || rank != x->rank))
		cc_unsupported(cc, "the shape is known only at run time");
	uint32_t total = (uint32_t)dims_elements(x->rank, dims);
	struct view values = emit_reshape(cc, x, 1, &count);
	struct view indices = emit_reshape(cc, node_in(n, 1), 1, &count);
	struct view zero = const_of(cc, x->dtype, 0);
	struct view blank = tensor_new(cc, x->dtype, 1, &total, NULL, NULL, 0);
	if (cc_failed(cc))
		return;
	(void)view_broadcast(&zero, 1, &total, &zero);
	emit_copy(cc, &blank, &zero);
	values = emit_plain(cc, &values);
	struct view out = tensor_new(cc, x->dtype, 1, &total, NULL, NULL, 0);
	emit(cc, ISA_T_SCATTER_ELEMENTS, 1, (struct view[]){out, blank, indices, values}, 4, &scatter, sizeof(scatter));
	out = emit_reshape(cc, &out, x->rank, dims);
	struct isa_pad_params pad = {.mode = ISA_PAD_CONSTANT};
	bool larger = false;
	for (uint32_t i = 0; i < x->rank && !cc_failed(cc); i++) {
		if (wide[i] < dims[i])
			cc_bad(cc, "axis %u of the stated shape is too small", i);
		pad.pads[x->rank + i] = (int32_t)(wide[i] - dims[i]);
		larger = larger || wide[i] > dims[i];
	}
	if (larger && !cc_failed(cc)) {
		struct view padded = tensor_new(cc, x->dtype, x->rank, wide, NULL, NULL, 0);
		emit(cc, ISA_T_PAD, 1, (struct view[]){padded, out}, 2, &pad, sizeof(pad));
		out = padded;
	}
	node_set(cc, n, 0, &out);
}

#define WINDOW_ATTRIBUTES "auto_pad ceil_mode dilations kernel_shape pads strides "

const struct operator_row operators_pool[] = {
    {"MaxPool", lower_pool, 1, 1, 2, WINDOW_ATTRIBUTES "storage_order"},
    {"AveragePool", lower_pool, 1, 1, 1, WINDOW_ATTRIBUTES "count_include_pad"},
    {"LpPool", lower_pool, 1, 1, 1, WINDOW_ATTRIBUTES "p"},
    {"MaxUnpool", lower_unpool, 2, 3, 1, "kernel_shape pads strides"},
    {"GlobalMaxPool", lower_global_pool, 1, 1, 1, ""},
    {"GlobalAveragePool", lower_global_pool, 1, 1, 1, ""},
    {"GlobalLpPool", lower_global_pool, 1, 1, 1, "p"},
    {0},
};
