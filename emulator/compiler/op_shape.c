/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that name, reorder or repeat elements: most become views and cost nothing. */
#include "emulator/compiler/operators.h"

#include <math.h>
#include <string.h>

static void lower_identity(struct cc *cc, const struct node *n)
{
	node_set(cc, n, 0, node_in(n, 0));
}

static void lower_dropout(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	const struct view *training = node_in(n, 2);
	double on = 0;
	double ratio = 0.5;
	uint32_t count = 0;

	if (view_present(training) && (!view_read_doubles(training, &on, 1, &count) || count != 1))
		cc_unsupported(cc, "training_mode is known only at run time");
	if (on != 0 && (!view_read_doubles(node_in(n, 1), &ratio, 1, &count) || count != 1 || ratio != 0))
		cc_unsupported(cc, "training mode");
	node_set(cc, n, 0, x);
	if (!node_has_out(n, 1) || cc_failed(cc))
		return;
	struct view mask = const_of(cc, n->opset < 10 ? x->dtype : ZY_DATA_BOOL, 1);
	(void)view_broadcast(&mask, x->rank, x->dims, &mask);
	node_set(cc, n, 1, &mask);
}

/* Resolves 0 (keep) and -1 (whatever is left) of a requested shape. */
static bool resolve_shape(struct cc *cc, const struct view *x, const int64_t *want, uint32_t count, bool allow_zero,
			  uint32_t *dims)
{
	uint64_t known = 1;
	uint32_t open = UINT32_MAX;

	for (uint32_t i = 0; i < count; i++) {
		int64_t dim = want[i];
		if (dim == 0 && !allow_zero && i >= x->rank) {
			cc_bad(cc, "shape entry %u keeps a dimension that the input does not have", i);
			return false;
		}
		if (dim == 0 && !allow_zero)
			dim = x->dims[i];
		if (dim < -1 || dim > INT32_MAX || (dim == -1 && open != UINT32_MAX)) {
			cc_bad(cc, "shape entry %u is %lld", i, (long long)dim);
			return false;
		}
		if (dim == -1)
			open = i;
		dims[i] = dim == -1 ? 1 : (uint32_t)dim;
		if (__builtin_mul_overflow(known, (uint64_t)dims[i], &known))
			known = UINT64_MAX;
	}
	if (open != UINT32_MAX && known != 0)
		dims[open] = (uint32_t)(view_elements(x) / known);
	return true;
}

static void lower_reshape(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	int64_t want[ISA_MAX_RANK];
	uint32_t dims[ISA_MAX_RANK];
	uint32_t count = 0;

	bool fixed = n->opset < 5 ? attr_ints(cc, n, "shape", want, ISA_MAX_RANK, &count)
				  : view_read_ints(node_in(n, 1), want, ISA_MAX_RANK, &count);
	if (cc_failed(cc))
		return;
	if (fixed) {
		if (!resolve_shape(cc, x, want, count, attr_int(cc, n, "allowzero", 0) != 0, dims))
			return;
	} else if (!node_declared(cc, n, 0, &count, dims)) {
		cc_unsupported(cc, "the shape is known only at run time");
	}
	struct view out = emit_reshape(cc, x, count, dims);
	node_set(cc, n, 0, &out);
}

static void lower_flatten(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	int64_t axis = attr_int(cc, n, "axis", 1);
	uint32_t dims[2] = {1, 1};

	if (axis < -(int64_t)x->rank || axis > (int64_t)x->rank) {
		cc_bad(cc, "axis %lld of a tensor of rank %u", (long long)axis, x->rank);
		return;
	}
	if (axis < 0)
		axis += x->rank;
	for (uint32_t i = 0; i < x->rank; i++)
		dims[i >= (uint32_t)axis] *= x->dims[i];
	struct view out = emit_reshape(cc, x, 2, dims);
	node_set(cc, n, 0, &out);
}

/* Axes of Squeeze, Unsqueeze: attribute before operator set 13, input since. False if nothing states them. */
static bool read_axes(struct cc *cc, const struct node *n, int64_t *axes, uint32_t *count)
{
	if (n->opset < 13)
		return attr_ints(cc, n, "axes", axes, ISA_MAX_RANK, count);
	return view_read_ints(node_in(n, 1), axes, ISA_MAX_RANK, count);
}

static void lower_squeeze(struct cc *cc, const struct node *n)
{
	struct view out = *node_in(n, 0);
	int64_t axes[ISA_MAX_RANK];
	uint32_t dims[ISA_MAX_RANK];
	uint32_t count = 0;
	uint32_t mask = 0;

	bool stated = read_axes(cc, n, axes, &count);
	if (!stated && n->opset >= 13 && view_present(node_in(n, 1))) {
		if (!node_declared(cc, n, 0, &count, dims))
			cc_unsupported(cc, "the axes are known only at run time");
		out = emit_reshape(cc, &out, count, dims);
		node_set(cc, n, 0, &out);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t axis = axis_of(cc, axes[i], out.rank);
		mask |= 1u << axis;
		if (!cc_failed(cc) && out.dims[axis] != 1)
			cc_bad(cc, "axis %u has size %u, not 1", axis, out.dims[axis]);
	}
	for (uint32_t i = out.rank; i-- > 0 && !cc_failed(cc);)
		if (stated ? mask & (1u << i) : out.dims[i] == 1)
			out = view_remove(&out, i);
	node_set(cc, n, 0, &out);
}

static void lower_unsqueeze(struct cc *cc, const struct node *n)
{
	struct view out = *node_in(n, 0);
	int64_t axes[ISA_MAX_RANK];
	uint32_t dims[ISA_MAX_RANK];
	uint32_t count = 0;
	uint32_t mask = 0;

	if (!read_axes(cc, n, axes, &count)) {
		if (n->opset < 13)
			cc_bad(cc, "attribute \"axes\" is missing");
		else if (!node_declared(cc, n, 0, &count, dims))
			cc_unsupported(cc, "the axes are known only at run time");
		out = emit_reshape(cc, &out, count, dims);
		node_set(cc, n, 0, &out);
		return;
	}
	if (out.rank + count > ISA_MAX_RANK) {
		cc_unsupported(cc, "a tensor of rank %u: at most %u", out.rank + count, ISA_MAX_RANK);
		return;
	}
	uint32_t rank = out.rank + count;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t bit = 1u << axis_of(cc, axes[i], rank);
		if (mask & bit)
			cc_bad(cc, "axis %lld is named twice", (long long)axes[i]);
		mask |= bit;
	}
	for (uint32_t i = 0; i < rank && !cc_failed(cc); i++)
		if (mask & (1u << i))
			out = view_insert(&out, i);
	node_set(cc, n, 0, &out);
}

static void lower_transpose(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	int64_t want[ISA_MAX_RANK];
	uint32_t perm[ISA_MAX_RANK];
	uint32_t count = 0;
	uint32_t seen = 0;

	if (!attr_ints(cc, n, "perm", want, ISA_MAX_RANK, &count))
		for (count = 0; count < x->rank; count++)
			want[count] = (int64_t)x->rank - 1 - count;
	for (uint32_t i = 0; i < count && !cc_failed(cc); i++) {
		perm[i] = axis_of(cc, want[i], x->rank);
		seen |= 1u << perm[i];
	}
	if (count != x->rank || seen != (1u << x->rank) - 1)
		cc_bad(cc, "attribute \"perm\" is not a permutation of %u axes", x->rank);
	if (cc_failed(cc))
		return;
	struct view out = view_transpose(x, perm);
	node_set(cc, n, 0, &out);
}

static void lower_expand(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	struct view shape = {0};
	struct view out = *x;
	int64_t want[ISA_MAX_RANK];
	uint32_t dims[ISA_MAX_RANK];
	uint32_t rank = 0;

	if (view_read_ints(node_in(n, 1), want, ISA_MAX_RANK, &shape.rank)) {
		for (uint32_t i = 0; i < shape.rank; i++) {
			if (want[i] < 0 || want[i] > INT32_MAX)
				cc_bad(cc, "shape entry %u is %lld", i, (long long)want[i]);
			shape.dims[i] = (uint32_t)want[i];
		}
		if (!dims_broadcast(cc, x, &shape, &rank, dims))
			return;
	} else if (!node_declared(cc, n, 0, &rank, dims)) {
		cc_unsupported(cc, "the shape is known only at run time");
	}
	if (!cc_failed(cc) && !view_broadcast(x, rank, dims, &out))
		cc_bad(cc, "the input does not broadcast to the shape");
	node_set(cc, n, 0, &out);
}

/* Repeats along one axis: [n, m] seen as [repeat, n, m], copied into an output seen the same way. */
static struct view tile_axis(struct cc *cc, const struct view *x, uint32_t axis, uint32_t repeat)
{
	uint32_t dims[ISA_MAX_RANK + 1];
	struct view from = *x;
	struct view to = {0};

	if (cc_failed(cc) || repeat == 1)
		return *x;
	memcpy(dims, x->dims, sizeof(x->dims));
	if (__builtin_mul_overflow(x->dims[axis], repeat, &dims[axis])) {
		cc_unsupported(cc, "a dimension of more than 2^32");
		return *x;
	}
	struct view out = tensor_new(cc, x->dtype, x->rank, dims, x, x, 1);
	for (uint32_t r = 0; r < repeat && !cc_failed(cc); r++) {
		to = view_slice(&out, axis, r * x->dims[axis], x->dims[axis], 1);
		if (x->rank == ISA_MAX_RANK) {
			emit_copy(cc, &to, x);
			continue;
		}
		/* All repeats at once. */
		to = view_insert(&to, axis);
		to.dims[axis] = repeat;
		to.strides[axis] = (int32_t)(out.strides[axis] * (int64_t)x->dims[axis]);
		from = view_insert(&from, axis);
		from.dims[axis] = repeat;
		from.strides[axis] = 0;
		emit_copy(cc, &to, &from);
		break;
	}
	return out;
}

static void lower_tile(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	struct view out = *x;
	int64_t repeats[ISA_MAX_RANK];
	uint32_t dims[ISA_MAX_RANK];
	uint32_t count = 0;

	if (!view_read_ints(node_in(n, 1), repeats, ISA_MAX_RANK, &count)) {
		if (!node_declared(cc, n, 0, &count, dims) || count != x->rank) {
			cc_unsupported(cc, "the repeats are known only at run time");
			return;
		}
		for (uint32_t i = 0; i < count; i++)
			repeats[i] = x->dims[i] ? dims[i] / x->dims[i] : 1;
	}
	if (count != x->rank)
		cc_bad(cc, "%u repeats for a tensor of rank %u", count, x->rank);
	for (uint32_t i = 0; i < count && !cc_failed(cc); i++) {
		if (repeats[i] < 0 || repeats[i] > INT32_MAX) {
			cc_bad(cc, "repeat %u is %lld", i, (long long)repeats[i]);
			return;
		}
		out = tile_axis(cc, &out, i, (uint32_t)repeats[i]);
	}
	node_set(cc, n, 0, &out);
}

static struct view const_ints(struct cc *cc, const int64_t *values, uint32_t count)
{
	struct view v = tensor_const(cc, ZY_DATA_S64, 1, &count);

	if (!cc_failed(cc) && count)
		memcpy(v.st->data, values, count * sizeof(*values));
	return v;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : value > high ? high : value;
}

static void lower_shape(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	int64_t start = attr_int(cc, n, "start", 0);
	int64_t end = attr_int(cc, n, "end", x->rank);
	int64_t dims[ISA_MAX_RANK];

	start = clamp(start < 0 ? start + x->rank : start, 0, x->rank);
	end = clamp(end < 0 ? end + x->rank : end, start, x->rank);
	for (uint32_t i = 0; i < x->rank; i++)
		dims[i] = x->dims[i];
	struct view out = const_ints(cc, dims + start, (uint32_t)(end - start));
	node_set(cc, n, 0, &out);
}

static void lower_size(struct cc *cc, const struct node *n)
{
	struct view out = const_i64(cc, (int64_t)view_elements(node_in(n, 0)));

	node_set(cc, n, 0, &out);
}

static void lower_constant(struct cc *cc, const struct node *n)
{
	const Onnx__AttributeProto *a = n->proto->n_attribute == 1 ? n->proto->attribute[0] : NULL;
	struct view out = {0};

	if (!a) {
		cc_bad(cc, "has %zu attributes instead of one value", n->proto->n_attribute);
	} else if (strcmp(a->name, "value") == 0 && a->t) {
		out = tensor_load(cc, a->t);
	} else if (strcmp(a->name, "value_int") == 0) {
		out = const_i64(cc, a->i);
	} else if (strcmp(a->name, "value_float") == 0) {
		out = const_f32(cc, a->f);
	} else if (strcmp(a->name, "value_ints") == 0 && a->n_ints <= INT32_MAX) {
		out = const_ints(cc, a->ints, (uint32_t)a->n_ints);
	} else if (strcmp(a->name, "value_floats") == 0 && a->n_floats <= INT32_MAX) {
		uint32_t count = (uint32_t)a->n_floats;
		out = tensor_const(cc, ZY_DATA_F32, 1, &count);
		if (!cc_failed(cc) && count)
			memcpy(out.st->data, a->floats, count * sizeof(float));
	} else {
		cc_unsupported(cc, "a constant given as \"%.32s\"", a->name);
	}
	node_set(cc, n, 0, &out);
}

static void lower_constant_of_shape(struct cc *cc, const struct node *n)
{
	const Onnx__AttributeProto *a = attr_find(n, "value");
	int64_t want[ISA_MAX_RANK];
	uint32_t dims[ISA_MAX_RANK];
	uint32_t rank = 0;
	struct view out = a && a->t ? tensor_load(cc, a->t) : const_f32(cc, 0);

	if (!cc_failed(cc) && view_elements(&out) != 1)
		cc_bad(cc, "attribute \"value\" is not one element");
	if (view_read_ints(node_in(n, 0), want, ISA_MAX_RANK, &rank)) {
		for (uint32_t i = 0; i < rank; i++) {
			if (want[i] < 0 || want[i] > INT32_MAX)
				cc_bad(cc, "shape entry %u is %lld", i, (long long)want[i]);
			dims[i] = (uint32_t)want[i];
		}
	} else if (!node_declared(cc, n, 0, &rank, dims)) {
		cc_unsupported(cc, "the shape is known only at run time");
	}
	out = emit_reshape(cc, &out, 0, NULL);
	if (!cc_failed(cc))
		(void)view_broadcast(&out, rank, dims, &out);
	node_set(cc, n, 0, &out);
}

static void lower_range(struct cc *cc, const struct node *n)
{
	const struct view *start = node_in(n, 0);
	double v[3] = {0, 0, 0};
	uint32_t dims[ISA_MAX_RANK] = {0};
	uint32_t count = 0;
	bool fixed = true;

	for (uint32_t i = 0; i < 3; i++)
		fixed = fixed && view_read_doubles(node_in(n, i), &v[i], 1, &count) && count == 1;
	if (fixed) {
		double steps = v[2] == 0 ? -1 : ceil((v[1] - v[0]) / v[2]);
		if (v[2] == 0 || steps > CC_MAX_TENSOR_BYTES)
			cc_bad(cc, "a range from %g to %g by %g", v[0], v[1], v[2]);
		dims[0] = steps > 0 ? (uint32_t)steps : 0;
	} else if (!node_declared(cc, n, 0, &count, dims) || count != 1) {
		cc_unsupported(cc, "the length is known only at run time");
	}
	struct view out = emit_iota(cc, start->dtype, dims[0]);
	if (dims[0] > 0) {
		out = emit_binary(cc, ISA_B_MUL, &out, node_in(n, 2));
		out = emit_binary(cc, ISA_B_ADD, &out, start);
	}
	node_set(cc, n, 0, &out);
}

static void lower_eye_like(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	int64_t k = attr_int(cc, n, "k", 0);
	int64_t onnx_type = attr_int(cc, n, "dtype", 0);
	uint32_t dtype = onnx_type > 0 && onnx_type < 32 ? dtype_from_onnx((int32_t)onnx_type) : x->dtype;

	if (x->rank != 2) {
		cc_bad(cc, "the input has rank %u instead of 2", x->rank);
		return;
	}
	if (k > INT32_MAX || k < INT32_MIN)
		k = INT32_MAX; /* beyond any tensor: no element */
	struct view out = tensor_const(cc, ZY_DATA_U8, 2, x->dims);
	for (int64_t i = 0; !cc_failed(cc) && i < x->dims[0]; i++)
		if (i + k >= 0 && i + k < x->dims[1])
			out.st->data[i * x->dims[1] + i + k] = 1;
	out = emit_cast(cc, &out, dtype);
	node_set(cc, n, 0, &out);
}

/* Splits and swaps axes by views; one copy moves the elements into the output, seen through the same split. */
static void lower_blocks(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	bool to_space = n->op[0] == 'D';
	int64_t size = attr_int(cc, n, "blocksize", 0);
	bool crd = strcmp(attr_string(cc, n, "mode", "DCR"), "CRD") == 0;

	if (x->rank != 4 || size < 1 || size > 1024) {
		cc_bad(cc, "rank %u, blocksize %lld", x->rank, (long long)size);
		return;
	}
	uint32_t b = (uint32_t)size;
	uint32_t c = x->dims[1];
	uint32_t h = x->dims[2];
	uint32_t w = x->dims[3];
	if (to_space ? c % (b * b) != 0 : h % b || w % b || (uint64_t)c * b * b > INT32_MAX) {
		cc_bad(cc, "the input does not divide into blocks of %u", b);
		return;
	}
	/* `deep` has the channels, `wide` the space; both are seen as six axes in the order of `wide`. */
	uint32_t deep_channels = to_space ? c / (b * b) : c;
	uint32_t dcr_dims[6] = {x->dims[0], b, b, deep_channels, to_space ? h : h / b, to_space ? w : w / b};
	uint32_t crd_dims[6] = {dcr_dims[0], deep_channels, b, b, dcr_dims[4], dcr_dims[5]};
	static const uint32_t dcr_perm[6] = {0, 3, 4, 1, 5, 2};
	static const uint32_t crd_perm[6] = {0, 1, 4, 2, 5, 3};
	uint32_t wide_dims[6] = {dcr_dims[0], deep_channels, dcr_dims[4], b, dcr_dims[5], b};
	uint32_t out_dims[4] = {x->dims[0], to_space ? deep_channels : c * b * b, to_space ? h * b : h / b,
				to_space ? w * b : w / b};
	struct view out = tensor_new(cc, x->dtype, 4, out_dims, x, x, 1);
	struct view deep = {0};
	struct view wide = {0};
	if (cc_failed(cc))
		return;
	if (!view_reshape(to_space ? x : &out, 6, crd ? crd_dims : dcr_dims, &deep) ||
	    !view_reshape(to_space ? &out : x, 6, wide_dims, &wide)) {
		cc_bad(cc, "internal: an axis that cannot be split");
		return;
	}
	deep = view_transpose(&deep, crd ? crd_perm : dcr_perm);
	emit_copy(cc, to_space ? &wide : &deep, to_space ? &deep : &wide);
	node_set(cc, n, 0, &out);
}

static void lower_concat(struct cc *cc, const struct node *n)
{
	const struct view *first = node_in(n, 0);
	uint32_t axis = axis_of(cc, attr_int(cc, n, "axis", 1), first->rank);

	for (uint32_t i = 0; i < n->in_count; i++)
		if (!view_present(node_in(n, i)))
			cc_bad(cc, "input %u is missing", i);
	struct view out = emit_concat(cc, n->in, n->in_count, axis);
	node_set(cc, n, 0, &out);
}

const struct operator_row operators_shape[] = {
    {"Identity", lower_identity, 1, 1, 1, ""},
    {"Dropout", lower_dropout, 1, 3, 2, "ratio seed is_test consumed_inputs"},
    {"Reshape", lower_reshape, 1, 2, 1, "shape allowzero consumed_inputs"},
    {"Flatten", lower_flatten, 1, 1, 1, "axis"},
    {"Squeeze", lower_squeeze, 1, 2, 1, "axes"},
    {"Unsqueeze", lower_unsqueeze, 1, 2, 1, "axes"},
    {"Transpose", lower_transpose, 1, 1, 1, "perm"},
    {"Expand", lower_expand, 2, 2, 1, ""},
    {"Tile", lower_tile, 2, 2, 1, ""},
    {"Shape", lower_shape, 1, 1, 1, "start end"},
    {"Size", lower_size, 1, 1, 1, ""},
    {"Constant", lower_constant, 0, 0, 1,
     "value value_int value_ints value_float value_floats value_string value_strings sparse_value"},
    {"ConstantOfShape", lower_constant_of_shape, 1, 1, 1, "value"},
    {"Range", lower_range, 3, 3, 1, ""},
    {"EyeLike", lower_eye_like, 1, 1, 1, "k dtype"},
    {"DepthToSpace", lower_blocks, 1, 1, 1, "blocksize mode"},
    {"SpaceToDepth", lower_blocks, 1, 1, 1, "blocksize"},
    {"Concat", lower_concat, 1, OPERATOR_MANY, 1, "axis"},
    {0},
};
