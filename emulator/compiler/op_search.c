/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators that look for elements at run time. How many there are decides the result's shape, so the model must
 * declare it; which ones they are is found by the device.
 */
#include "emulator/compiler/operators.h"

#include <string.h>

#define MAX_POSITIONS (1u << 24) /* exact in float32 */

/* Positions of the `count` first true elements of a vector: the largest of (length - position) where true. */
static struct view true_positions(struct cc *cc, const struct view *condition, uint32_t count)
{
	uint32_t length = condition->dims[0];
	struct isa_topk_params params = {.axis = 0, .largest = 1, .sorted = 1};
	struct view total = const_f32(cc, (float)length);
	struct view zero = const_f32(cc, 0);
	struct view iota = emit_iota(cc, ZY_DATA_F32, length);

	if (length > MAX_POSITIONS || count > length)
		cc_unsupported(cc, "%u of %u elements", count, length);
	struct view rank = emit_binary(cc, ISA_B_SUB, &total, &iota);
	rank = emit_select(cc, condition, &rank, &zero);
	struct view values = tensor_new(cc, ZY_DATA_F32, 1, &count, NULL, &rank, 1);
	struct view indices = tensor_new(cc, ZY_DATA_S64, 1, &count, NULL, &rank, 1);
	emit(cc, ISA_T_TOPK, 2, (struct view[]){values, indices, rank}, 3, &params, sizeof(params));
	return indices;
}

static void lower_compress(struct cc *cc, const struct node *n)
{
	struct view data = *node_in(n, 0);
	struct view condition = *node_in(n, 1);
	uint32_t dims[ISA_MAX_RANK];
	uint32_t rank = 0;
	struct isa_axis_params params = {.axis = 0};

	if (!attr_find(n, "axis")) {
		uint32_t all = (uint32_t)view_elements(&data);
		data = emit_reshape(cc, &data, 1, &all);
	} else {
		params.axis = axis_of(cc, attr_int(cc, n, "axis", 0), data.rank);
	}
	if (cc_failed(cc))
		return;
	if (condition.rank != 1 || condition.dtype != ZY_DATA_BOOL || condition.dims[0] > data.dims[params.axis]) {
		cc_bad(cc, "the condition does not fit the axis");
		return;
	}
	if (!node_declared(cc, n, 0, &rank, dims) || rank != data.rank) {
		cc_unsupported(cc, "the number of elements is known only at run time");
		return;
	}
	data = emit_plain(cc, &data);
	struct view indices = true_positions(cc, &condition, dims[params.axis]);
	struct view out = tensor_new(cc, data.dtype, rank, dims, NULL, (struct view[]){data, indices}, 2);
	emit(cc, ISA_T_GATHER, 1, (struct view[]){out, data, indices}, 3, &params, sizeof(params));
	node_set(cc, n, 0, &out);
}

static void lower_non_zero(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	uint32_t dims[ISA_MAX_RANK];
	uint32_t all = (uint32_t)view_elements(x);
	uint32_t rank = 0;
	struct view rows[ISA_MAX_RANK];
	struct view zero = const_of(cc, x->dtype, 0);

	if (x->rank == 0 || !node_declared(cc, n, 0, &rank, dims) || rank != 2 || dims[0] != x->rank) {
		cc_unsupported(cc, "the number of elements is known only at run time");
		return;
	}
	struct view is_zero = emit_binary(cc, ISA_B_EQUAL, x, &zero);
	struct view found = emit_unary(cc, ISA_U_NOT, 0, 0, &is_zero);
	found = emit_reshape(cc, &found, 1, &all);
	if (cc_failed(cc))
		return;
	struct view rest = true_positions(cc, &found, dims[1]);
	for (uint32_t axis = x->rank; axis-- > 0 && !cc_failed(cc);) {
		struct view size = const_i64(cc, x->dims[axis]);
		struct view row = emit_binary(cc, ISA_B_MOD, &rest, &size);
		rest = emit_binary(cc, ISA_B_DIV, &rest, &size);
		rows[axis] = view_insert(&row, 0);
	}
	if (cc_failed(cc))
		return;
	struct view out = emit_concat(cc, rows, x->rank, 0);
	node_set(cc, n, 0, &out);
}

/* Element t of a sequence of length s comes from s - 1 - t if t < s, else from t. */
static void lower_reverse_sequence(struct cc *cc, const struct node *n)
{
	struct view x = emit_plain(cc, node_in(n, 0));
	uint32_t time = axis_of(cc, attr_int(cc, n, "time_axis", 0), x.rank);
	uint32_t batch = axis_of(cc, attr_int(cc, n, "batch_axis", 1), x.rank);
	struct isa_axis_params params = {.axis = time};
	struct view lengths = emit_cast(cc, node_in(n, 1), ZY_DATA_S64);
	struct view index = {0};

	if (cc_failed(cc))
		return;
	if (time == batch || lengths.rank != 1 || lengths.dims[0] != x.dims[batch]) {
		cc_bad(cc, "axes %u and %u, lengths that do not fit", time, batch);
		return;
	}
	struct view steps = emit_iota(cc, ZY_DATA_S64, x.dims[time]);
	struct view one = const_i64(cc, 1);
	for (uint32_t i = time + 1; i < x.rank && !cc_failed(cc); i++)
		steps = view_insert(&steps, steps.rank);
	for (uint32_t i = batch + 1; i < x.rank && !cc_failed(cc); i++)
		lengths = view_insert(&lengths, lengths.rank);
	struct view last = emit_binary(cc, ISA_B_SUB, &lengths, &one);
	struct view mirrored = emit_binary(cc, ISA_B_SUB, &last, &steps);
	struct view inside = emit_binary(cc, ISA_B_LESS, &steps, &lengths);
	index = emit_select(cc, &inside, &mirrored, &steps);
	if (!cc_failed(cc) && !view_broadcast(&index, x.rank, x.dims, &index))
		cc_bad(cc, "internal: broadcast");
	index = emit_plain(cc, &index);
	struct view out = tensor_new(cc, x.dtype, x.rank, x.dims, &x, (struct view[]){x, index}, 2);
	emit(cc, ISA_T_GATHER_ELEMENTS, 1, (struct view[]){out, x, index}, 3, &params, sizeof(params));
	node_set(cc, n, 0, &out);
}

const struct operator_row operators_search[] = {
    {"Compress", lower_compress, 2, 2, 1, "axis"},
    {"NonZero", lower_non_zero, 1, 1, 1, ""},
    {"ReverseSequence", lower_reverse_sequence, 2, 2, 1, "batch_axis time_axis"},
    {0},
};
