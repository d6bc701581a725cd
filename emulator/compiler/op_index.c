/* SPDX-License-Identifier: Apache-2.0 */
/* Operators whose inputs are positions: gather, scatter, top-k, one-hot, running sums, triangles. */
#include "emulator/compiler/operators.h"

#include <string.h>

/* The instructions take 32- and 64-bit signed indices. */
static struct view indices_of(struct cc *cc, const struct view *v)
{
	struct view out = *v;

	if (!cc_failed(cc) && v->dtype != ZY_DATA_S32 && v->dtype != ZY_DATA_S64)
		out = emit_cast(cc, v, ZY_DATA_S64);
	return emit_plain(cc, &out);
}

/* One constant index is a slice. */
static bool gather_as_view(const struct view *data, uint32_t axis, const struct view *indices, struct view *out)
{
	int64_t index = 0;
	uint32_t count = 0;

	if (!view_read_ints(indices, &index, 1, &count) || count != 1 || indices->rank > 1)
		return false;
	if (index < 0)
		index += data->dims[axis];
	if (index < 0 || index >= data->dims[axis])
		return false;
	*out = view_slice(data, axis, (uint32_t)index, 1, 1);
	if (indices->rank == 0)
		*out = view_remove(out, axis);
	return true;
}

static void lower_gather(struct cc *cc, const struct node *n)
{
	struct view data = *node_in(n, 0);
	struct view indices = *node_in(n, 1);
	struct view out = {0};
	uint32_t dims[2 * ISA_MAX_RANK];
	struct isa_axis_params params = {.axis = axis_of(cc, attr_int(cc, n, "axis", 0), data.rank)};

	if (cc_failed(cc))
		return;
	if (gather_as_view(&data, params.axis, &indices, &out)) {
		node_set(cc, n, 0, &out);
		return;
	}
	bool scalar = indices.rank == 0;
	if (scalar)
		indices = view_insert(&indices, 0);
	data = emit_plain(cc, &data);
	indices = indices_of(cc, &indices);
	memcpy(dims, data.dims, sizeof(data.dims));
	memmove(&dims[params.axis + indices.rank], &data.dims[params.axis + 1],
		(data.rank - params.axis - 1) * sizeof(*dims));
	memcpy(&dims[params.axis], indices.dims, indices.rank * sizeof(*dims));
	out = tensor_new(cc, data.dtype, data.rank + indices.rank - 1, dims, NULL, (struct view[]){data, indices}, 2);
	struct view ops[3] = {out, data, indices};
	emit(cc, ISA_T_GATHER, 1, ops, 3, &params, sizeof(params));
	if (!cc_failed(cc) && scalar)
		out = view_remove(&out, params.axis);
	node_set(cc, n, 0, &out);
}

static void lower_gather_elements(struct cc *cc, const struct node *n)
{
	struct view data = emit_plain(cc, node_in(n, 0));
	struct view indices = indices_of(cc, node_in(n, 1));
	struct isa_axis_params params = {.axis = axis_of(cc, attr_int(cc, n, "axis", 0), data.rank)};

	if (!cc_failed(cc) && indices.rank != data.rank)
		cc_bad(cc, "indices of rank %u for data of rank %u", indices.rank, data.rank);
	struct view out =
	    tensor_new(cc, data.dtype, indices.rank, indices.dims, &indices, (struct view[]){data, indices}, 2);
	struct view ops[3] = {out, data, indices};
	emit(cc, ISA_T_GATHER_ELEMENTS, 1, ops, 3, &params, sizeof(params));
	node_set(cc, n, 0, &out);
}

static void lower_gather_nd(struct cc *cc, const struct node *n)
{
	struct view data = emit_plain(cc, node_in(n, 0));
	struct view indices = indices_of(cc, node_in(n, 1));
	int64_t batch = attr_int(cc, n, "batch_dims", 0);
	uint32_t dims[2 * ISA_MAX_RANK];
	uint32_t rank = 0;

	if (cc_failed(cc))
		return;
	uint32_t depth = indices.rank ? indices.dims[indices.rank - 1] : 0;
	if (indices.rank == 0 || batch < 0 || batch >= indices.rank || depth == 0 ||
	    (uint64_t)batch + depth > data.rank) {
		cc_bad(cc, "indices of rank %u and depth %u for data of rank %u", indices.rank, depth, data.rank);
		return;
	}
	struct isa_gather_nd_params params = {.batch_dims = (uint32_t)batch};
	for (uint32_t i = 0; i + 1 < indices.rank; i++)
		dims[rank++] = indices.dims[i];
	for (uint32_t i = (uint32_t)batch + depth; i < data.rank; i++)
		dims[rank++] = data.dims[i];
	bool scalar = rank == 0;
	if (scalar)
		dims[rank++] = 1;
	if (scalar)
		indices = view_insert(&indices, 0);
	struct view out = tensor_new(cc, data.dtype, rank, dims, NULL, (struct view[]){data, indices}, 2);
	struct view ops[3] = {out, data, indices};
	emit(cc, ISA_T_GATHER_ND, 1, ops, 3, &params, sizeof(params));
	if (!cc_failed(cc) && scalar)
		out = view_remove(&out, 0);
	node_set(cc, n, 0, &out);
}

static uint32_t scatter_reduction(struct cc *cc, const struct node *n)
{
	const char *name = attr_string(cc, n, "reduction", "none");

	if (strcmp(name, "none") == 0)
		return ISA_SCATTER_SET;
	if (strcmp(name, "add") == 0)
		return ISA_SCATTER_ADD;
	if (strcmp(name, "mul") != 0)
		cc_unsupported(cc, "reduction \"%.32s\"", name);
	return ISA_SCATTER_MUL;
}

static void lower_scatter(struct cc *cc, const struct node *n)
{
	bool nd = strcmp(n->op, "ScatterND") == 0;
	struct view data = emit_plain(cc, node_in(n, 0));
	struct view indices = indices_of(cc, node_in(n, 1));
	struct view updates = emit_plain(cc, node_in(n, 2));
	struct isa_scatter_params params = {.reduction = scatter_reduction(cc, n)};

	if (!nd)
		params.axis = axis_of(cc, attr_int(cc, n, "axis", 0), data.rank);
	if (!cc_failed(cc) && (data.dtype != updates.dtype || (!nd && !view_same_dims(&indices, &updates))))
		cc_bad(cc, "updates do not match data and indices");
	struct view out =
	    tensor_new(cc, data.dtype, data.rank, data.dims, &data, (struct view[]){data, indices, updates}, 3);
	struct view ops[4] = {out, data, indices, updates};
	emit(cc, nd ? ISA_T_SCATTER_ND : ISA_T_SCATTER_ELEMENTS, 1, ops, 4, &params, sizeof(params));
	node_set(cc, n, 0, &out);
}

static void lower_one_hot(struct cc *cc, const struct node *n)
{
	struct view indices = indices_of(cc, node_in(n, 0));
	struct view values = emit_plain(cc, node_in(n, 2));
	uint32_t dims[ISA_MAX_RANK + 1] = {0};
	uint32_t rank = indices.rank + 1;
	uint32_t count = 0;
	int64_t depth = 0;
	struct isa_axis_params params = {.axis = axis_of(cc, attr_int(cc, n, "axis", -1), rank)};

	if (cc_failed(cc))
		return;
	if (view_read_ints(node_in(n, 1), &depth, 1, &count) && count == 1) {
		for (uint32_t i = 0; i < rank; i++)
			dims[i] = i < params.axis ? indices.dims[i] : i > params.axis ? indices.dims[i - 1] : 0;
		if (depth < 1 || depth > INT32_MAX)
			cc_bad(cc, "a depth of %lld", (long long)depth);
		dims[params.axis] = (uint32_t)depth;
	} else if (!node_declared(cc, n, 0, &count, dims) || count != rank) {
		cc_unsupported(cc, "the depth is known only at run time");
	}
	if (!cc_failed(cc) && (values.rank != 1 || values.dims[0] != 2))
		cc_bad(cc, "the values are not two");
	struct view out = tensor_new(cc, values.dtype, rank, dims, NULL, (struct view[]){indices, values}, 2);
	struct view ops[4] = {out, indices, {0}, values};
	emit(cc, ISA_T_ONE_HOT, 1, ops, 4, &params, sizeof(params));
	node_set(cc, n, 0, &out);
}

static void lower_top_k(struct cc *cc, const struct node *n)
{
	struct view in = emit_plain(cc, node_in(n, 0));
	uint32_t dims[ISA_MAX_RANK];
	uint32_t count = 0;
	int64_t k = attr_int(cc, n, "k", -1);
	uint32_t axis = axis_of(cc, attr_int(cc, n, "axis", -1), in.rank);
	struct isa_topk_params params = {
	    .axis = axis, .largest = attr_int(cc, n, "largest", 1) != 0, .sorted = attr_int(cc, n, "sorted", 1) != 0};

	if (cc_failed(cc))
		return;
	memcpy(dims, in.dims, sizeof(dims));
	if (n->opset >= 10 && (!view_read_ints(node_in(n, 1), &k, 1, &count) || count != 1)) {
		if (!node_declared(cc, n, 0, &count, dims) || count != in.rank)
			cc_unsupported(cc, "k is known only at run time");
		k = cc_failed(cc) ? 0 : dims[axis];
	}
	if (k < 0 || k > in.dims[axis])
		cc_bad(cc, "the top %lld of %u", (long long)k, in.dims[axis]);
	dims[axis] = (uint32_t)k;
	struct view values = tensor_new(cc, in.dtype, in.rank, dims, &in, &in, 1);
	struct view indices = tensor_new(cc, ZY_DATA_S64, in.rank, dims, &in, &in, 1);
	struct view ops[3] = {values, indices, in};
	emit(cc, ISA_T_TOPK, 2, ops, 3, &params, sizeof(params));
	node_set(cc, n, 0, &values);
	node_set(cc, n, 1, &indices);
}

static struct view cumsum(struct cc *cc, const struct node *n, const struct view *in, uint32_t axis)
{
	struct isa_cumsum_params params = {.axis = axis,
					   .exclusive = attr_int(cc, n, "exclusive", 0) != 0,
					   .reverse = attr_int(cc, n, "reverse", 0) != 0};

	if (cc_failed(cc))
		return *in;
	struct view out = tensor_new(cc, in->dtype, in->rank, in->dims, in, in, 1);
	struct view ops[2] = {out, *in};
	emit(cc, ISA_T_CUMSUM, 1, ops, 2, &params, sizeof(params));
	return out;
}

/* An axis known only at run time: all sums are computed, the device chooses. */
static void lower_cumsum(struct cc *cc, const struct node *n)
{
	struct view in = emit_plain(cc, node_in(n, 0));
	int64_t axis = 0;
	uint32_t count = 0;

	if (view_read_ints(node_in(n, 1), &axis, 1, &count) && count == 1) {
		struct view out = cumsum(cc, n, &in, axis_of(cc, axis, in.rank));
		node_set(cc, n, 0, &out);
		return;
	}
	if (in.rank == 0 || in.rank > 4 || view_elements(node_in(n, 1)) != 1) {
		cc_unsupported(cc, "the axis is known only at run time");
		return;
	}
	struct view chosen = emit_reshape(cc, node_in(n, 1), 0, NULL);
	chosen = emit_cast(cc, &chosen, ZY_DATA_S64);
	struct view out = cumsum(cc, n, &in, 0);
	for (uint32_t i = 1; i < in.rank && !cc_failed(cc); i++) {
		struct view forward = const_i64(cc, i);
		struct view backward = const_i64(cc, (int64_t)i - in.rank);
		forward = emit_binary(cc, ISA_B_EQUAL, &chosen, &forward);
		backward = emit_binary(cc, ISA_B_EQUAL, &chosen, &backward);
		struct view this = emit_binary(cc, ISA_B_OR, &forward, &backward);
		struct view sum = cumsum(cc, n, &in, i);
		out = emit_select(cc, &this, &sum, &out);
	}
	node_set(cc, n, 0, &out);
}

/* A diagonal known only at run time: compare column - row with it. */
static struct view triangle_at_run_time(struct cc *cc, const struct view *x, const struct view *diagonal, bool upper)
{
	struct view k = emit_reshape(cc, diagonal, 0, NULL);
	struct view rows = emit_iota(cc, ZY_DATA_S64, x->dims[x->rank - 2]);
	struct view columns = emit_iota(cc, ZY_DATA_S64, x->dims[x->rank - 1]);
	struct view zero = const_of(cc, x->dtype, 0);

	if (cc_failed(cc))
		return *x;
	k = emit_cast(cc, &k, ZY_DATA_S64);
	rows = view_insert(&rows, 1);
	struct view distance = emit_binary(cc, ISA_B_SUB, &columns, &rows);
	struct view inside = emit_binary(cc, upper ? ISA_B_GREATER_EQUAL : ISA_B_LESS_EQUAL, &distance, &k);
	return emit_select(cc, &inside, x, &zero);
}

static void lower_trilu(struct cc *cc, const struct node *n)
{
	struct view in = emit_plain(cc, node_in(n, 0));
	bool upper = attr_int(cc, n, "upper", 1) != 0;
	int64_t k = 0;
	uint32_t count = 0;

	if (cc_failed(cc))
		return;
	if (in.rank < 2) {
		cc_bad(cc, "an input of rank %u", in.rank);
		return;
	}
	if (view_present(node_in(n, 1)) && (!view_read_ints(node_in(n, 1), &k, 1, &count) || count != 1)) {
		struct view out = triangle_at_run_time(cc, &in, node_in(n, 1), upper);
		node_set(cc, n, 0, &out);
		return;
	}
	struct isa_trilu_params params = {.k = (int32_t)(k < INT32_MIN   ? INT32_MIN
							 : k > INT32_MAX ? INT32_MAX
									 : k),
					  .upper = upper};
	struct view out = tensor_new(cc, in.dtype, in.rank, in.dims, &in, &in, 1);
	struct view ops[2] = {out, in};
	emit(cc, ISA_T_TRILU, 1, ops, 2, &params, sizeof(params));
	node_set(cc, n, 0, &out);
}

const struct operator_row operators_index[] = {
    {"Gather", lower_gather, 2, 2, 1, "axis"},
    {"GatherElements", lower_gather_elements, 2, 2, 1, "axis"},
    {"GatherND", lower_gather_nd, 2, 2, 1, "batch_dims"},
    {"ScatterElements", lower_scatter, 3, 3, 1, "axis reduction"},
    {"Scatter", lower_scatter, 3, 3, 1, "axis"},
    {"ScatterND", lower_scatter, 3, 3, 1, "reduction"},
    {"OneHot", lower_one_hot, 3, 3, 1, "axis"},
    {"TopK", lower_top_k, 1, 2, 2, "axis k largest sorted"},
    {"CumSum", lower_cumsum, 2, 2, 1, "exclusive reverse"},
    {"Trilu", lower_trilu, 1, 2, 1, "upper"},
    {0},
};
