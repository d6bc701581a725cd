/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution and transposed convolution. Results are laid out channels last. */
#include "emulator/compiler/operators.h"
#include "emulator/compiler/window.h"

#include <string.h>

static void params_from_window(const struct window *w, uint32_t group, struct isa_conv_params *params)
{
	*params = (struct isa_conv_params){.spatial = w->spatial, .group = group};
	for (uint32_t i = 0; i < w->spatial; i++) {
		params->stride[i] = w->stride[i];
		params->dilation[i] = w->dilation[i];
		params->pad_begin[i] = w->pad_begin[i];
		params->pad_end[i] = w->pad_end[i];
	}
}

/* Checks what input, weights, bias and group must have in common. */
static bool check_conv(struct cc *cc, const struct view *x, const struct view *w, const struct view *bias,
		       int64_t group, bool transposed)
{
	char text_x[96];
	char text_w[96];

	if (cc_failed(cc))
		return false;
	if (x->rank != w->rank || x->rank < 3) {
		cc_bad(cc, "input %s and weights %s", cc_dims_text(x->rank, x->dims, text_x, sizeof(text_x)),
		       cc_dims_text(w->rank, w->dims, text_w, sizeof(text_w)));
		return false;
	}
	uint32_t channels = transposed ? w->dims[0] : w->dims[1] * (uint32_t)group;
	uint64_t maps = transposed ? (uint64_t)w->dims[1] * (uint64_t)group : w->dims[0];
	if (group < 1 || group > INT32_MAX || x->dims[1] != channels || maps % (uint64_t)group ||
	    x->dims[1] % (uint64_t)group || maps == 0 || maps > INT32_MAX) {
		cc_bad(cc, "input %s, weights %s, group %lld do not match",
		       cc_dims_text(x->rank, x->dims, text_x, sizeof(text_x)),
		       cc_dims_text(w->rank, w->dims, text_w, sizeof(text_w)), (long long)group);
		return false;
	}
	if (x->dtype != w->dtype || (view_present(bias) && bias->dtype != x->dtype)) {
		cc_bad(cc, "input, weights and bias of different types");
		return false;
	}
	if (view_present(bias) && (bias->rank != 1 || bias->dims[0] != maps)) {
		cc_bad(cc, "a bias that is not one number for each of %llu channels", (unsigned long long)maps);
		return false;
	}
	return true;
}

static struct view emit_conv(struct cc *cc, uint32_t op, const struct view *in, const uint32_t *dims,
			     const struct isa_conv_params *params, uint64_t macs)
{
	struct view ops[4] = {{0}, emit_plain(cc, &in[0]), emit_plain(cc, &in[1]), in[2]};
	uint32_t order[ISA_MAX_RANK];

	if (cc_failed(cc))
		return in[0];
	if (view_present(&ops[3]))
		ops[3] = emit_plain(cc, &ops[3]);
	window_order(ops[1].rank, order);
	struct view out = tensor_new_ordered(cc, ops[1].dtype, ops[1].rank, dims, order, &ops[1], 3);
	ops[0] = out;
	struct insn *insn = emit(cc, op, 1, ops, 4, params, sizeof(*params));
	if (insn)
		insn->macs = macs;
	return out;
}

struct view conv_by_node(struct cc *cc, const struct node *n, const struct view *x, const struct view *w,
			 const struct view *bias)
{
	int64_t group = attr_int(cc, n, "group", 1);
	uint32_t dims[ISA_MAX_RANK];
	struct isa_conv_params params;
	struct window window;

	if (!check_conv(cc, x, w, bias, group, false) || !window_read(cc, n, x, &w->dims[2], &window) ||
	    !window_slide(cc, &window, x, false, &dims[2]))
		return *x;
	dims[0] = x->dims[0];
	dims[1] = w->dims[0];
	params_from_window(&window, (uint32_t)group, &params);
	uint64_t macs = dims_elements(x->rank, dims) * dims_elements(w->rank - 1, &w->dims[1]);
	return emit_conv(cc, ISA_T_CONV, (struct view[]){*x, *w, *bias}, dims, &params, macs);
}

static void lower_conv(struct cc *cc, const struct node *n)
{
	struct view out = conv_by_node(cc, n, node_in(n, 0), node_in(n, 1), node_in(n, 2));

	node_set(cc, n, 0, &out);
}

/* Output size of a transposed convolution, or the padding if the model states the size. */
static bool transposed_size(struct cc *cc, struct window *w, const struct view *x, uint32_t axis, int64_t extra,
			    int64_t wanted, uint32_t *out)
{
	int64_t in = x->dims[2 + axis];
	int64_t full =
	    (int64_t)w->stride[axis] * (in - 1) + extra + (int64_t)w->dilation[axis] * (w->kernel[axis] - 1) + 1;

	if (wanted < 0 && (w->automatic == WINDOW_SAME_UPPER || w->automatic == WINDOW_SAME_LOWER))
		wanted = in * w->stride[axis];
	if (wanted >= 0) {
		int64_t total = full - wanted > 0 ? full - wanted : 0;
		int64_t begin = w->automatic == WINDOW_SAME_UPPER ? total / 2 : total - total / 2;
		w->pad_begin[axis] = (uint32_t)begin;
		w->pad_end[axis] = (uint32_t)(total - begin);
		*out = (uint32_t)wanted;
	} else {
		int64_t size = full - w->pad_begin[axis] - w->pad_end[axis];
		*out = size > 0 && size <= INT32_MAX ? (uint32_t)size : 0;
	}
	if (*out == 0)
		cc_bad(cc, "axis %u of the result would be empty", axis + 2);
	return !cc_failed(cc);
}

static void lower_conv_transpose(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	const struct view *w = node_in(n, 1);
	int64_t group = attr_int(cc, n, "group", 1);
	int64_t extra[ISA_MAX_SPATIAL] = {0};
	int64_t shape[ISA_MAX_RANK] = {0};
	uint32_t dims[ISA_MAX_RANK];
	uint32_t extras = 0;
	uint32_t shapes = 0;
	struct isa_conv_params params;
	struct window window;

	if (!check_conv(cc, x, w, node_in(n, 2), group, true) || !window_read(cc, n, x, &w->dims[2], &window))
		return;
	bool padded = attr_ints(cc, n, "output_padding", extra, ISA_MAX_SPATIAL, &extras);
	bool shaped = attr_ints(cc, n, "output_shape", shape, ISA_MAX_RANK, &shapes);
	if ((padded && extras != window.spatial) || (shaped && shapes != window.spatial && shapes != x->rank)) {
		cc_bad(cc, "attributes \"output_padding\" and \"output_shape\" do not fit %u axes", window.spatial);
		return;
	}
	for (uint32_t i = 0; i < window.spatial; i++) {
		int64_t wanted = shaped ? shape[shapes - window.spatial + i] : -1;
		if (extra[i] < 0 || extra[i] > INT32_MAX || (shaped && (wanted < 1 || wanted > INT32_MAX)))
			cc_bad(cc, "output padding %lld, output size %lld", (long long)extra[i], (long long)wanted);
		if (cc_failed(cc) || !transposed_size(cc, &window, x, i, extra[i], wanted, &dims[2 + i]))
			return;
	}
	dims[0] = x->dims[0];
	dims[1] = w->dims[1] * (uint32_t)group;
	params_from_window(&window, (uint32_t)group, &params);
	uint64_t macs = view_elements(x) * dims_elements(w->rank - 1, &w->dims[1]);
	struct view out =
	    emit_conv(cc, ISA_T_CONV_TRANSPOSE, (struct view[]){*x, *w, *node_in(n, 2)}, dims, &params, macs);
	node_set(cc, n, 0, &out);
}

const struct operator_row operators_conv[] = {
    {"Conv", lower_conv, 2, 3, 1, "auto_pad dilations group kernel_shape pads strides"},
    {"ConvTranspose", lower_conv_transpose, 2, 3, 1,
     "auto_pad dilations group kernel_shape output_padding output_shape pads strides"},
    {0},
};
