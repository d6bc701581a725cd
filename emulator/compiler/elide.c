/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes copies: who made the source writes into the destination instead. This is how parts of a concatenation and
 * graph outputs come to be computed in place.
 */
#include "emulator/compiler/cc.h"

#include <string.h>

/* Above this, an instruction should write in its own layout even if that costs a copy. */
#define LAYOUT_MATTERS_MACS 262144u

static bool same_order(const struct view *a, const struct view *b)
{
	uint32_t order_a[ISA_MAX_RANK];
	uint32_t order_b[ISA_MAX_RANK];

	view_order(a, order_a);
	view_order(b, order_b);
	return memcmp(order_a, order_b, a->rank * sizeof(*order_a)) == 0;
}

static bool moves(const struct insn *insn, const struct insn *copy, uint32_t k)
{
	return insn != copy && !insn->dead && insn->v[k].st == copy->v[1].st;
}

/* An elementwise result read by an instruction that writes the destination must not become its own input. */
static bool can_move(const struct cc *cc, const struct insn *copy)
{
	for (size_t i = 0; i < cc->insn_count; i++) {
		const struct insn *insn = cc->insns[i];
		for (uint32_t k = 0; k < insn->count; k++) {
			struct view moved;
			if (!moves(insn, copy, k))
				continue;
			if (!view_rebase(&insn->v[k], &copy->v[1], &copy->v[0], &moved))
				return false;
			if (insn->macs > LAYOUT_MATTERS_MACS && insn_writes(insn, k) &&
			    !same_order(&insn->v[k], &moved))
				return false;
		}
	}
	return true;
}

static void move_all(struct cc *cc, const struct insn *copy)
{
	for (size_t i = 0; i < cc->insn_count; i++)
		for (uint32_t k = 0; k < cc->insns[i]->count; k++)
			if (moves(cc->insns[i], copy, k))
				(void)view_rebase(&cc->insns[i]->v[k], &copy->v[1], &copy->v[0], &cc->insns[i]->v[k]);
}

void pass_elide_copies(struct cc *cc)
{
	for (size_t i = 0; i < cc->insn_count && !cc_failed(cc); i++) {
		struct insn *copy = cc->insns[i];
		if (copy->dead || copy->op != ISA_T_COPY || copy->v[0].dtype != copy->v[1].dtype)
			continue;
		if (copy->v[1].st->kind != ST_INTERMEDIATE || copy->v[1].st == copy->v[0].st ||
		    !view_covers(&copy->v[1]) || !can_move(cc, copy))
			continue;
		move_all(cc, copy);
		copy->dead = true;
		cc->stats.elided++;
	}
}
