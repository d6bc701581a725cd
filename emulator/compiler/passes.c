/* SPDX-License-Identifier: Apache-2.0 */
/* Who writes and reads what, and the removal of instructions that nobody needs. */
#include "emulator/compiler/cc.h"

#include <string.h>

void cc_count_uses(struct cc *cc)
{
	for (size_t i = 0; i < cc->storage_count; i++) {
		cc->storages[i]->writers = 0;
		cc->storages[i]->readers = 0;
		cc->storages[i]->writer = NULL;
	}
	for (size_t i = 0; i < cc->insn_count; i++) {
		struct insn *insn = cc->insns[i];
		for (uint32_t k = 0; k < insn->count && !insn->dead; k++) {
			struct storage *st = insn->v[k].st;
			if (!st)
				continue;
			if (insn_writes(insn, k)) {
				st->writers++;
				st->writer = insn;
			} else {
				st->readers++;
			}
		}
	}
}

/* Writers come before readers, so one walk backwards sees every need before it decides. */
void pass_remove_dead(struct cc *cc)
{
	bool *needed = cc_alloc(cc, cc->storage_count + 1, sizeof(*needed));
	size_t kept = 0;

	if (cc_failed(cc))
		return;
	for (size_t i = cc->insn_count; i-- > 0;) {
		struct insn *insn = cc->insns[i];
		bool useful = false;
		for (uint32_t k = 0; k < insn->count; k++)
			if (insn->v[k].st && insn_writes(insn, k))
				useful = useful || insn->v[k].st->kind == ST_OUTPUT || needed[insn->v[k].st->id];
		insn->dead = insn->dead || !useful;
		for (uint32_t k = 0; k < insn->count && !insn->dead; k++)
			if (insn->v[k].st && !insn_writes(insn, k))
				needed[insn->v[k].st->id] = true;
	}
	for (size_t i = 0; i < cc->insn_count; i++)
		if (!cc->insns[i]->dead)
			cc->insns[kept++] = cc->insns[i];
	cc->insn_count = kept;
}
