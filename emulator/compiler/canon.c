/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elementwise instructions do not care how their elements are numbered: walk memory in the output's order, over as few
 * axes as possible. Other instructions stay as they are.
 */
#include "emulator/compiler/cc.h"

static bool is_elementwise(uint32_t op)
{
	return op == ISA_T_COPY || op == ISA_T_FILL || op == ISA_T_UNARY || op == ISA_T_BINARY || op == ISA_T_SELECT;
}

static bool can_merge(const struct insn *insn, uint32_t outer, uint32_t inner)
{
	for (uint32_t i = 0; i < insn->count; i++) {
		const struct view *v = &insn->v[i];
		if (view_present(v) && v->strides[outer] != (int64_t)v->strides[inner] * v->dims[inner])
			return false;
	}
	return (uint64_t)insn->v[0].dims[outer] * insn->v[0].dims[inner] <= INT32_MAX;
}

static void merge(struct insn *insn, uint32_t outer)
{
	for (uint32_t i = 0; i < insn->count; i++) {
		struct view *v = &insn->v[i];
		if (!view_present(v))
			continue;
		uint32_t dim = v->dims[outer] * v->dims[outer + 1];
		*v = view_remove(v, outer);
		v->dims[outer] = dim;
	}
}

static void drop_axis(struct insn *insn, uint32_t axis)
{
	for (uint32_t i = 0; i < insn->count; i++)
		if (view_present(&insn->v[i]))
			insn->v[i] = view_remove(&insn->v[i], axis);
}

void insn_canonical(struct insn *insn)
{
	uint32_t order[ISA_MAX_RANK];

	if (!is_elementwise(insn->op))
		return;
	for (uint32_t i = 1; i < insn->count; i++)
		if (!view_present(&insn->v[i]) || !view_same_dims(&insn->v[i], &insn->v[0]))
			return;
	view_order(&insn->v[0], order);
	for (uint32_t i = 0; i < insn->count; i++)
		insn->v[i] = view_transpose(&insn->v[i], order);
	for (uint32_t axis = insn->v[0].rank; axis-- > 0;)
		if (insn->v[0].dims[axis] == 1)
			drop_axis(insn, axis);
	for (uint32_t axis = insn->v[0].rank; axis-- > 1;)
		if (can_merge(insn, axis - 1, axis))
			merge(insn, axis - 1);
	if (insn->v[0].rank == 0)
		for (uint32_t i = 0; i < insn->count; i++)
			insn->v[i] = view_insert(&insn->v[i], 0);
}
