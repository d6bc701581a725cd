/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the axis along which the tasks of a group share an instruction. The operators say which axes they can share.
 */
#include "emulator/compiler/cc.h"

#define GOOD_ENOUGH 1.15

/* The busiest task's share over the mean share. */
double split_imbalance(uint32_t dim)
{
	uint64_t most = 0;

	for (uint64_t t = 0; t < CC_TASKS; t++) {
		uint64_t share = dim * (t + 1) / CC_TASKS - dim * t / CC_TASKS;
		most = share > most ? share : most;
	}
	return dim ? (double)most * CC_TASKS / dim : CC_TASKS;
}

/* Outer axes first: their slices are contiguous. A later axis must be clearly better. */
static void choose_split(struct cc *cc, struct insn *insn)
{
	const struct view *out = &insn->v[0];
	uint32_t order[ISA_MAX_RANK];
	double best = CC_TASKS;
	uint32_t chosen = ISA_SPLIT_NONE;

	view_order(out, order);
	for (uint32_t i = 0; i < out->rank && best > GOOD_ENOUGH; i++) {
		double imbalance = split_imbalance(out->dims[order[i]]);
		if (imbalance >= best)
			continue;
		insn->split = order[i];
		if (host_probe(cc, insn))
			continue;
		best = imbalance;
		chosen = order[i];
	}
	insn->split = chosen;
	if (chosen == ISA_SPLIT_NONE && host_probe(cc, insn))
		cc_unsupported(cc, "node %u: element type %s or this form of the operator", insn->node,
			       cc_type_name(out->dtype));
}

void pass_split(struct cc *cc)
{
	for (size_t i = 0; i < cc->insn_count && !cc_failed(cc); i++) {
		insn_canonical(cc->insns[i]);
		choose_split(cc, cc->insns[i]);
	}
}
