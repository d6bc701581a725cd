/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions over axes. */
#include "emulator/compiler/operators.h"

#include <string.h>

#define REDUCE_MAX_CANDIDATES 8u

/*
 * Axes known only at run time: the sets of axes that would give the result the shape that the model declares.
 * Reducing an axis of size 1 and keeping it is the same as not reducing it.
 */
static uint32_t axes_from_shape(const struct view *x, bool keep, uint32_t rank, const uint32_t *dims, uint32_t *masks)
{
	uint32_t found = 0;

	for (uint32_t candidate = 0; candidate < 1u << x->rank; candidate++) {
		uint32_t k = 0;
		bool fits = true;
		for (uint32_t i = 0; i < x->rank && fits; i++) {
			bool reduced = candidate & (1u << i);
			if (reduced && keep && x->dims[i] == 1)
				fits = false;
			if (reduced && !keep)
				continue;
			fits = fits && k < rank && dims[k] == (reduced ? 1 : x->dims[i]);
			k++;
		}
		if (!fits || k != rank)
			continue;
		if (found < REDUCE_MAX_CANDIDATES)
			masks[found] = candidate;
		found++;
	}
	return found;
}

/* One number per axis of x: 1 if the run-time axes name it, else 0. */
static struct view axes_members(struct cc *cc, const struct view *axes, uint32_t rank)
{
	struct view named = emit_cast(cc, axes, ZY_DATA_F32);
	struct view zero = const_f32(cc, 0);
	struct view ranks = const_f32(cc, (float)rank);
	struct view iota = emit_iota(cc, ZY_DATA_F32, rank);
	struct view from_end = emit_binary(cc, ISA_B_ADD, &named, &ranks);
	struct view negative = emit_binary(cc, ISA_B_LESS, &named, &zero);

	named = emit_select(cc, &negative, &from_end, &named);
	if (cc_failed(cc))
		return named;
	named = view_insert(&named, 1);
	struct view match = emit_binary(cc, ISA_B_EQUAL, &named, &iota);
	match = emit_cast(cc, &match, ZY_DATA_F32);
	return emit_reduce(cc, ISA_R_MAX, &match, 1, false);
}

/* Computes every possible result and lets the device choose by the axes it finds. */
static struct view reduce_at_run_time(struct cc *cc, const struct node *n, uint32_t fn, bool keep)
{
	const struct view *x = node_in(n, 0);
	const struct view *axes = node_in(n, 1);
	uint32_t masks[REDUCE_MAX_CANDIDATES];
	uint32_t dims[ISA_MAX_RANK];
	uint32_t rank = 0;
	uint32_t found = node_declared(cc, n, 0, &rank, dims) ? axes_from_shape(x, keep, rank, dims, masks) : 0;

	if (found == 0 || found > REDUCE_MAX_CANDIDATES || axes->rank != 1) {
		cc_unsupported(cc, "the axes are known only at run time");
		return *x;
	}
	struct view out = emit_reduce(cc, fn, x, masks[0], keep);
	if (found == 1)
		return out;
	struct view members = axes_members(cc, axes, x->rank);
	for (uint32_t c = 1; c < found && !cc_failed(cc); c++) {
		float wanted[ISA_MAX_RANK];
		for (uint32_t i = 0; i < x->rank; i++)
			wanted[i] = masks[c] & (1u << i) ? 1 : 0;
		struct view mask = tensor_const(cc, ZY_DATA_F32, 1, &x->rank);
		if (cc_failed(cc))
			break;
		memcpy(mask.st->data, wanted, x->rank * sizeof(*wanted));
		struct view same = emit_binary(cc, ISA_B_EQUAL, &members, &mask);
		same = emit_cast(cc, &same, ZY_DATA_F32);
		same = emit_reduce(cc, ISA_R_MIN, &same, 1, false);
		same = emit_cast(cc, &same, ZY_DATA_BOOL);
		struct view other = emit_reduce(cc, fn, x, masks[c], keep);
		out = emit_select(cc, &same, &other, &out);
	}
	return out;
}

/* False without an error: known only at run time. */
static bool reduce_axes(struct cc *cc, const struct node *n, uint32_t *mask)
{
	const struct view *x = node_in(n, 0);
	int64_t axes[ISA_MAX_RANK];
	uint32_t count = 0;
	bool input = view_present(node_in(n, 1));
	bool stated = input ? view_read_ints(node_in(n, 1), axes, ISA_MAX_RANK, &count)
			    : attr_ints(cc, n, "axes", axes, ISA_MAX_RANK, &count);

	*mask = 0;
	if (input && !stated && view_elements(node_in(n, 1)) > 0)
		return false;
	for (uint32_t i = 0; i < count && !cc_failed(cc); i++)
		*mask |= 1u << axis_of(cc, axes[i], x->rank);
	if (count == 0 && !attr_int(cc, n, "noop_with_empty_axes", 0))
		*mask = (1u << x->rank) - 1;
	return true;
}

static uint32_t reduce_fn(const char *name)
{
	static const struct {
		const char *name;
		uint32_t fn;
	} rows[] = {{"ReduceSum", ISA_R_SUM}, {"ReduceMean", ISA_R_MEAN},      {"ReduceMax", ISA_R_MAX},
		    {"ReduceMin", ISA_R_MIN}, {"ReduceProd", ISA_R_PROD},      {"ReduceL1", ISA_R_L1},
		    {"ReduceL2", ISA_R_L2},   {"ReduceLogSum", ISA_R_LOG_SUM}, {"ReduceLogSumExp", ISA_R_LOG_SUM_EXP}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].fn;
	return ISA_R_SUM_SQUARE;
}

static void lower_reduce(struct cc *cc, const struct node *n)
{
	bool keep = attr_int(cc, n, "keepdims", 1) != 0;
	uint32_t fn = reduce_fn(n->op);
	struct view out = *node_in(n, 0);
	uint32_t mask = 0;

	bool fixed = reduce_axes(cc, n, &mask);
	if (cc_failed(cc))
		return;
	bool same = fn == ISA_R_SUM || fn == ISA_R_MEAN || fn == ISA_R_MAX || fn == ISA_R_MIN || fn == ISA_R_PROD;
	if (!fixed)
		out = reduce_at_run_time(cc, n, fn, keep);
	else if (mask != 0 || !same)
		out = emit_reduce(cc, fn, &out, mask, keep);
	node_set(cc, n, 0, &out);
}

static void lower_arg_reduce(struct cc *cc, const struct node *n)
{
	struct view in = emit_plain(cc, node_in(n, 0));
	uint32_t dims[ISA_MAX_RANK];

	if (cc_failed(cc))
		return;
	uint32_t axis = axis_of(cc, attr_int(cc, n, "axis", 0), in.rank);
	struct isa_arg_reduce_params params = {.axis = axis,
					       .is_max = strcmp(n->op, "ArgMax") == 0,
					       .select_last = attr_int(cc, n, "select_last_index", 0) != 0};
	memcpy(dims, in.dims, sizeof(dims));
	if (cc_failed(cc))
		return;
	dims[axis] = 1;
	struct view out = tensor_new(cc, ZY_DATA_S64, in.rank, dims, &in, &in, 1);
	struct view ops[2] = {out, in};
	emit(cc, ISA_T_ARG_REDUCE, 1, ops, 2, &params, sizeof(params));
	if (!cc_failed(cc) && !attr_int(cc, n, "keepdims", 1))
		out = view_remove(&out, axis);
	node_set(cc, n, 0, &out);
}

#define REDUCE(name)                                                                                                   \
	{                                                                                                              \
		name, lower_reduce, 1, 2, 1, "axes keepdims noop_with_empty_axes"                                      \
	}

const struct operator_row operators_reduce[] = {
    REDUCE("ReduceSum"),
    REDUCE("ReduceMean"),
    REDUCE("ReduceMax"),
    REDUCE("ReduceMin"),
    REDUCE("ReduceProd"),
    REDUCE("ReduceL1"),
    REDUCE("ReduceL2"),
    REDUCE("ReduceLogSum"),
    REDUCE("ReduceLogSumExp"),
    REDUCE("ReduceSumSquare"),
    {"ArgMax", lower_arg_reduce, 1, 1, 1, "axis keepdims select_last_index"},
    {"ArgMin", lower_arg_reduce, 1, 1, 1, "axis keepdims select_last_index"},
    {0},
};
