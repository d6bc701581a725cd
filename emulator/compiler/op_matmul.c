/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products. */
#include "emulator/compiler/operators.h"

static void lower_matmul(struct cc *cc, const struct node *n)
{
	struct view a = *node_in(n, 0);
	struct view b = *node_in(n, 1);

	if (a.rank == 0 || b.rank == 0) {
		cc_bad(cc, "an input is a scalar");
		return;
	}
	bool row = a.rank == 1;
	bool column = b.rank == 1;
	if (row)
		a = view_insert(&a, 0);
	if (column)
		b = view_insert(&b, 1);
	struct view out = emit_matmul(cc, &a, &b, NULL, 1, 0);
	if (!cc_failed(cc) && column)
		out = view_remove(&out, out.rank - 1);
	if (!cc_failed(cc) && row)
		out = view_remove(&out, out.rank - (column ? 1 : 2));
	node_set(cc, n, 0, &out);
}

static void lower_gemm(struct cc *cc, const struct node *n)
{
	struct view a = *node_in(n, 0);
	struct view b = *node_in(n, 1);
	const struct view *c = node_in(n, 2);
	float alpha = attr_float(cc, n, "alpha", 1);
	float beta = attr_float(cc, n, "beta", 1);

	if (a.rank != 2 || b.rank != 2) {
		cc_bad(cc, "inputs of ranks %u and %u instead of 2", a.rank, b.rank);
		return;
	}
	if (attr_int(cc, n, "transA", 0))
		a = view_swap(&a, 0, 1);
	if (attr_int(cc, n, "transB", 0))
		b = view_swap(&b, 0, 1);
	bool bias = view_present(c) && view_elements(c) > 0;
	struct view out = emit_matmul(cc, &a, &b, bias ? c : NULL, alpha, beta);
	node_set(cc, n, 0, &out);
}

const struct operator_row operators_matmul[] = {
    {"MatMul", lower_matmul, 2, 2, 1, ""},
    {"Gemm", lower_gemm, 2, 3, 1, "alpha beta transA transB broadcast"},
    {0},
};
