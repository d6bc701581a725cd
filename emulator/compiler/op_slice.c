/* SPDX-License-Identifier: Apache-2.0 */
/* Slice, Split, Pad: parts of tensors, known now (views) or at run time (the instruction reads where). */
#include "emulator/compiler/operators.h"

#include <string.h>

struct slice_bounds {
	int64_t start[ISA_MAX_RANK];
	int64_t end[ISA_MAX_RANK];
	int64_t axis[ISA_MAX_RANK];
	int64_t step[ISA_MAX_RANK];
	uint32_t count;
};

static bool slice_from_attributes(struct cc *cc, const struct node *n, struct slice_bounds *b)
{
	uint32_t ends = 0;
	uint32_t axes = 0;

	if (!attr_ints(cc, n, "starts", b->start, ISA_MAX_RANK, &b->count) ||
	    !attr_ints(cc, n, "ends", b->end, ISA_MAX_RANK, &ends) || ends != b->count) {
		cc_bad(cc, "attributes \"starts\" and \"ends\" do not match");
		return false;
	}
	bool named = attr_ints(cc, n, "axes", b->axis, ISA_MAX_RANK, &axes);
	if (named && axes != b->count)
		cc_bad(cc, "attribute \"axes\" has %u entries instead of %u", axes, b->count);
	for (uint32_t i = 0; i < b->count; i++) {
		b->step[i] = 1;
		if (!named)
			b->axis[i] = i;
	}
	return !cc_failed(cc);
}

/* False without an error: not all of them are constants. */
static bool slice_from_inputs(struct cc *cc, const struct node *n, struct slice_bounds *b)
{
	uint32_t count[4] = {0};

	if (!view_read_ints(node_in(n, 1), b->start, ISA_MAX_RANK, &count[0]) ||
	    !view_read_ints(node_in(n, 2), b->end, ISA_MAX_RANK, &count[1]))
		return false;
	b->count = count[0];
	for (uint32_t i = 0; i < b->count; i++) {
		b->axis[i] = i;
		b->step[i] = 1;
	}
	count[2] = count[3] = b->count;
	if (view_present(node_in(n, 3)) && !view_read_ints(node_in(n, 3), b->axis, ISA_MAX_RANK, &count[2]))
		return false;
	if (view_present(node_in(n, 4)) && !view_read_ints(node_in(n, 4), b->step, ISA_MAX_RANK, &count[3]))
		return false;
	for (uint32_t i = 1; i < 4; i++)
		if (count[i] != b->count)
			cc_bad(cc, "input %u has %u entries instead of %u", i + 1, count[i], b->count);
	return !cc_failed(cc);
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : value > high ? high : value;
}

/* Index from the end if negative, without overflow for INT64_MIN. */
static int64_t from_end(int64_t index, int64_t size)
{
	return index < 0 ? (index < -size ? -1 - size : index) + size : index;
}

static struct view slice_one(struct cc *cc, const struct view *v, int64_t raw_axis, int64_t start, int64_t end,
			     int64_t step)
{
	uint32_t axis = axis_of(cc, raw_axis, v->rank);

	if (step == 0) {
		cc_bad(cc, "a step of 0");
		return *v;
	}
	if (cc_failed(cc))
		return *v;
	int64_t size = v->dims[axis];
	int64_t count = 0;
	step = clamp(step, -size - 1, size + 1);
	start = from_end(start, size);
	/* "up to and including index 0" is written as an end far below */
	end = from_end(end, size);
	if (step > 0) {
		start = clamp(start, 0, size);
		end = clamp(end, 0, size);
		count = end > start ? (end - start + step - 1) / step : 0;
	} else {
		start = clamp(start, -1, size - 1);
		end = clamp(end, -1, size - 1);
		count = start > end ? (start - end - step - 1) / -step : 0;
	}
	return view_slice(v, axis, count ? (uint32_t)start : 0, (uint32_t)count, (int32_t)step);
}

static void slice_at_run_time(struct cc *cc, const struct node *n)
{
	uint32_t dims[ISA_MAX_RANK];
	uint32_t rank = 0;
	const struct view *data = node_in(n, 0);

	if (!node_declared(cc, n, 0, &rank, dims) || rank != data->rank) {
		cc_unsupported(cc,
			       "the bounds are known only at run time and the model does not state the result's shape");
		return;
	}
	struct view in = emit_plain(cc, data);
	struct view out = tensor_new(cc, data->dtype, rank, dims, &in, NULL, 0);
	struct view ops[5] = {out, in, *node_in(n, 1), *node_in(n, 3), *node_in(n, 4)};
	for (uint32_t i = 2; i < 5; i++) {
		if (cc_failed(cc) || !view_present(&ops[i]))
			continue;
		if (ops[i].rank != 1)
			cc_bad(cc, "bounds of rank %u", ops[i].rank);
		if (ops[i].dtype != ZY_DATA_S32)
			ops[i] = emit_cast(cc, &ops[i], ZY_DATA_S64);
	}
	emit(cc, ISA_T_SLICE, 1, ops, 5, NULL, 0);
	node_set(cc, n, 0, &out);
}

static void lower_slice(struct cc *cc, const struct node *n)
{
	struct slice_bounds b = {.count = 0};
	struct view out = *node_in(n, 0);

	bool fixed = n->opset < 10 ? slice_from_attributes(cc, n, &b) : slice_from_inputs(cc, n, &b);
	if (cc_failed(cc))
		return;
	if (!fixed && n->in_count < 3)
		cc_bad(cc, "has %u inputs, not 3 to 5", n->in_count);
	if (!fixed) {
		slice_at_run_time(cc, n);
		return;
	}
	for (uint32_t i = 0; i < b.count; i++)
		out = slice_one(cc, &out, b.axis[i], b.start[i], b.end[i], b.step[i]);
	node_set(cc, n, 0, &out);
}

/* Sizes of the parts: stated, declared by the model, or equal. */
static bool split_sizes(struct cc *cc, const struct node *n, uint32_t axis, int64_t *sizes)
{
	const struct view *x = node_in(n, 0);
	uint32_t count = 0;

	bool stated = n->opset < 13 ? attr_ints(cc, n, "split", sizes, n->out_count, &count)
				    : view_read_ints(node_in(n, 1), sizes, n->out_count, &count);
	if (cc_failed(cc))
		return false;
	if (stated) {
		if (count != n->out_count)
			cc_bad(cc, "%u sizes for %u outputs", count, n->out_count);
		return !cc_failed(cc);
	}
	for (uint32_t i = 0; i < n->out_count; i++) {
		uint32_t dims[ISA_MAX_RANK];
		uint32_t rank = 0;
		if (view_present(node_in(n, 1))) {
			if (!node_declared(cc, n, i, &rank, dims) || rank != x->rank) {
				cc_unsupported(cc, "the sizes are known only at run time");
				return false;
			}
			sizes[i] = dims[axis];
		} else {
			if (x->dims[axis] % n->out_count)
				cc_bad(cc, "cannot split %u into %u equal parts", x->dims[axis], n->out_count);
			sizes[i] = x->dims[axis] / n->out_count;
		}
	}
	return !cc_failed(cc);
}

static void lower_split(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	uint32_t axis = axis_of(cc, attr_int(cc, n, "axis", 0), x->rank);
	int64_t *sizes = cc_alloc(cc, n->out_count, sizeof(*sizes));
	int64_t at = 0;

	if (cc_failed(cc) || !split_sizes(cc, n, axis, sizes))
		return;
	for (uint32_t i = 0; i < n->out_count; i++) {
		if (sizes[i] < 0 || sizes[i] > (int64_t)x->dims[axis] - at) {
			cc_bad(cc, "the parts do not add up to %u", x->dims[axis]);
			return;
		}
		struct view part = view_slice(x, axis, (uint32_t)at, (uint32_t)sizes[i], 1);
		node_set(cc, n, i, &part);
		at += sizes[i];
	}
	if (at != x->dims[axis])
		cc_bad(cc, "the parts do not add up to %u", x->dims[axis]);
}

static uint32_t pad_mode(struct cc *cc, const struct node *n)
{
	const char *mode = attr_string(cc, n, "mode", "constant");

	if (strcmp(mode, "constant") == 0)
		return ISA_PAD_CONSTANT;
	if (strcmp(mode, "reflect") == 0)
		return ISA_PAD_REFLECT;
	if (strcmp(mode, "edge") == 0)
		return ISA_PAD_EDGE;
	cc_unsupported(cc, "mode \"%s\"", mode);
	return ISA_PAD_CONSTANT;
}

/* The fill value: a constant goes into the parameters, anything else into operand 3. */
static void pad_value(struct cc *cc, const struct node *n, const struct view *x, struct isa_pad_params *params,
		      struct view *operand)
{
	struct view value = *node_in(n, 2);

	if (n->opset < 11)
		value = const_of(cc, x->dtype, (double)attr_float(cc, n, "value", 0));
	if (cc_failed(cc) || !view_present(&value))
		return;
	if (view_elements(&value) != 1 || value.dtype != x->dtype) {
		cc_bad(cc, "the value is not one element of type %s", cc_type_name(x->dtype));
		return;
	}
	if (view_const(&value)) {
		uint32_t bytes = dtype_bytes(value.dtype);
		memcpy(params->value, value.st->data + (size_t)value.offset * bytes, bytes);
	} else {
		uint32_t one = 1;
		*operand = emit_reshape(cc, &value, 1, &one);
	}
}

/* Negative pads cut: done by a view, so that the instruction only ever adds. */
static struct view pad_crop(struct cc *cc, const struct view *x, int64_t *pads)
{
	struct view v = *x;

	for (uint32_t i = 0; i < x->rank; i++) {
		int64_t *begin = &pads[i];
		int64_t *end = &pads[x->rank + i];
		int64_t cut_begin = *begin < 0 ? -*begin : 0;
		int64_t cut_end = *end < 0 ? -*end : 0;
		if (*begin < INT32_MIN || *end < INT32_MIN || *begin > INT32_MAX || *end > INT32_MAX ||
		    cut_begin + cut_end > v.dims[i]) {
			cc_bad(cc, "pads %lld and %lld of axis %u", (long long)*begin, (long long)*end, i);
			return v;
		}
		if (cut_begin + cut_end > 0)
			v = view_slice(&v, i, (uint32_t)cut_begin, (uint32_t)(v.dims[i] - cut_begin - cut_end), 1);
		*begin += cut_begin;
		*end += cut_end;
	}
	return v;
}

static void lower_pad(struct cc *cc, const struct node *n)
{
	struct view x = *node_in(n, 0);
	struct isa_pad_params params = {.mode = pad_mode(cc, n)};
	struct view ops[4] = {{0}};
	int64_t pads[2 * ISA_MAX_RANK] = {0};
	uint32_t dims[ISA_MAX_RANK] = {0};
	uint32_t count = 0;

	bool fixed = n->opset >= 11
			 ? view_read_ints(node_in(n, 1), pads, 2 * ISA_MAX_RANK, &count)
			 : attr_ints(cc, n, attr_find(n, "pads") ? "pads" : "paddings", pads, 2 * ISA_MAX_RANK, &count);
	if (cc_failed(cc))
		return;
	if (fixed ? count != 2 * x.rank : n->opset < 11 || !view_present(node_in(n, 1))) {
		cc_bad(cc, "%u pads for a tensor of rank %u", count, x.rank);
		return;
	}
	if (fixed) {
		x = pad_crop(cc, &x, pads);
		for (uint32_t i = 0; i < x.rank; i++)
			dims[i] = (uint32_t)(x.dims[i] + pads[i] + pads[x.rank + i]);
		for (uint32_t i = 0; i < 2 * x.rank; i++)
			params.pads[i] = (int32_t)pads[i];
	} else if (!node_declared(cc, n, 0, &count, dims) || count != x.rank) {
		cc_unsupported(cc,
			       "the pads are known only at run time and the model does not state the result's shape");
	}
	ops[1] = emit_plain(cc, &x);
	pad_value(cc, n, &x, &params, &ops[3]);
	if (!fixed)
		ops[2] = emit_cast(cc, node_in(n, 1), ZY_DATA_S64);
	struct view out = tensor_new(cc, x.dtype, x.rank, dims, &x, &ops[1], 3);
	ops[0] = out;
	emit(cc, ISA_T_PAD, 1, ops, 4, &params, sizeof(params));
	node_set(cc, n, 0, &out);
}

const struct operator_row operators_slice[] = {
    {"Slice", lower_slice, 1, 5, 1, "starts ends axes"},
    {"Split", lower_split, 1, 2, OPERATOR_MANY, "axis split"},
    {"Pad", lower_pad, 1, 3, 1, "mode pads paddings value"},
    {0},
};
