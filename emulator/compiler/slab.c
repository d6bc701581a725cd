/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which memory a task's slice of an instruction touches. Two instructions whose tasks stay within the same bytes each
 * need no barrier between them, however many tasks there are. Must never call shared what is not split alike.
 */
#include "emulator/compiler/cc.h"

/* Index i of `count` lies within [base + i * step, base + i * step + extent). */
struct slab {
	uint64_t base;
	uint64_t step;
	uint64_t extent;
	uint32_t count;
};

static bool is_elementwise(const struct insn *insn)
{
	return insn->op == ISA_T_COPY || insn->op == ISA_T_UNARY || insn->op == ISA_T_BINARY ||
	       insn->op == ISA_T_SELECT;
}

/* Output index i of spatial axis `axis` reads input index i and no other. */
static bool reads_in_place(const struct isa_conv_params *p, const struct view *weight, uint32_t axis)
{
	return weight->dims[2 + axis] == 1 && p->stride[axis] == 1 && p->pad_begin[axis] == 0;
}

/* The task that works on index i of the split axis touches nothing but index i of that axis of operand k. */
static bool follows_split(const struct insn *insn, uint32_t k)
{
	if (insn->split >= insn->v[0].rank || insn->v[k].rank != insn->v[0].rank ||
	    insn->v[k].dims[insn->split] != insn->v[0].dims[insn->split])
		return false;
	if (is_elementwise(insn) || (k == 0 && insn->op == ISA_T_FILL))
		return true;
	if (insn->op != ISA_T_CONV)
		return false;
	if (k == 0 || k == 4)
		return true;
	return k == 1 && (insn->split == 0 ||
			  (insn->split >= 2 && reads_in_place(&insn->params.conv, &insn->v[2], insn->split - 2)));
}

static bool slab_of(const struct insn *insn, uint32_t k, struct slab *slab)
{
	const struct view *v = &insn->v[k];
	uint64_t esize = dtype_bytes(v->dtype);
	uint64_t place = v->st->kind == ST_INTERMEDIATE ? storage_place(v->st)->place : 0;

	if (!follows_split(insn, k) || v->offset < 0)
		return false;
	*slab =
	    (struct slab){.base = place + (uint64_t)v->offset * esize, .extent = esize, .count = v->dims[insn->split]};
	for (uint32_t i = 0; i < v->rank; i++) {
		if (v->dims[i] <= 1)
			continue;
		if (v->strides[i] < 0)
			return false;
		if (i == insn->split)
			slab->step = (uint64_t)v->strides[i] * esize;
		else
			slab->extent += (v->dims[i] - 1) * (uint64_t)v->strides[i] * esize;
	}
	return true;
}

bool slab_shared(const struct insn *a, uint32_t i, const struct insn *b, uint32_t k)
{
	struct slab x;
	struct slab y;

	if (!slab_of(a, i, &x) || !slab_of(b, k, &y) || x.count != y.count || x.step != y.step)
		return false;
	uint64_t low = x.base < y.base ? x.base : y.base;

	return x.base - low + x.extent <= x.step && y.base - low + y.extent <= y.step;
}
