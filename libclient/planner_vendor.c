/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendor layout: the order, sizes and gaps of the vendor's library on V3, for comparison with recorded vectors.
 * Its known weakness is kept: alignments over a page are counted, not applied.
 */
#include "libclient/planner_parts.h"
#include "proto/zhouyi_tcb.h"

static void take(uint64_t *next, struct npu_region *region, uint64_t bytes)
{
	region->offset = *next;
	region->bytes = npu_page_up(bytes);
	*next += region->bytes;
}

static void plan_graph(const struct npu_elf *elf, struct npu_plan *plan, uint64_t *asid0, uint64_t *asid1)
{
	take(asid0, &plan->text, elf->text.bytes + 16ull);
	if (elf->crodata.bytes)
		take(asid0, &plan->crodata, elf->crodata.bytes);
	for (uint32_t b = 0; b < elf->bss_count && elf->weight.bytes; b++) {
		npu_plan_compact(elf, plan, b);
		uint64_t weights = plan->weights[b].bytes ? plan->weights[b].bytes : ZY_PAGE_BYTES;
		uint64_t zero_copy = plan->zero_copy[b].bytes;

		take(asid1, &plan->weights[b], weights + NPU_V3_SLACK_BYTES);
		if (zero_copy)
			take(asid0, &plan->zero_copy[b], zero_copy + NPU_V3_SLACK_BYTES);
		for (uint32_t i = 0; i < elf->bss[b].static_count; i++) {
			uint32_t k = elf->bss[b].first_static + i;

			plan->static_at[k] +=
			    (elf->statics[k].zero_copy ? &plan->zero_copy[b] : &plan->weights[b])->offset;
		}
	}
}

static void plan_privates(const struct npu_elf *elf, struct npu_plan *plan, uint64_t *asid0)
{
	uint64_t next = 0, most = 0;

	for (uint32_t i = 0; i < elf->subgraph_count; i++) {
		const struct npu_elf_subgraph *subgraph = &elf->subgraphs[i];

		if (subgraph->precursor_count == -1)
			next = 0;
		for (uint32_t p = 0; p < subgraph->private_count; p++) {
			plan->private_at[subgraph->first_private + p] = *asid0 + next;
			next += npu_page_up(elf->privates[subgraph->first_private + p].bytes);
		}
		most = npu_max(most, next);
	}
	if (most)
		take(asid0, &plan->privates, most);
}

static void plan_reuse(const struct npu_elf *elf, struct npu_plan *plan, uint64_t *asid0)
{
	uint64_t next = 0, counted = 0;

	for (uint32_t i = 0; i < elf->reuse_count; i++) {
		if (plan->gm_use.used && i == elf->gm_section)
			continue;
		plan->reuse_at[i] = *asid0 + next;
		next += npu_page_up(elf->reuses[i].bytes);
		counted += npu_align_up(elf->reuses[i].bytes, npu_page_up(elf->reuses[i].align));
	}
	if (counted)
		take(asid0, &plan->reuse, counted + NPU_V3_SLACK_BYTES);
	if (plan->gm_use.used) {
		take(asid0, &plan->gm, plan->gm.bytes);
		plan->reuse_at[elf->gm_section] = plan->gm.offset;
	}
}

static void plan_sets(const struct npu_elf *elf, struct npu_plan *plan, uint64_t *asid0)
{
	uint64_t align = npu_page_up(elf->bss[0].stack_align);
	uint64_t data = 0;

	plan->stack_stride = (uint32_t)npu_align_up(elf->bss[0].stack_bytes, align);
	take(asid0, &plan->stack, (uint64_t)plan->stack_stride * plan->tecs * plan->set_count);
	for (uint32_t s = 0; s < plan->set_count; s++) {
		plan->set_data_at[s] = *asid0 + data;
		data += plan->set_data_stride[s] * plan->tecs;
	}
	take(asid0, &plan->data, data);
	take(asid0, &plan->print, (uint64_t)elf->subgraph_count * ZY_PAGE_BYTES);
}

int npu_plan_vendor(const struct npu_elf *elf, const struct npu_plan_target *target,
		    const struct npu_vendor_bases *bases, struct npu_plan *plan, char *why, size_t why_bytes)
{
	struct npu_plan made;
	uint64_t asid0 = bases->asid0, asid1 = bases->asid1;
	uint64_t count = elf->subgraph_count;
	int rc = npu_plan_begin(elf, target, &made);

	if (rc)
		return npu_plan_refuse(why, why_bytes, rc, "out of memory for the plan");
	plan_graph(elf, &made, &asid0, &asid1);
	made.graph_bytes = asid0 - bases->asid0 + (asid1 - bases->asid1);
	take(&asid0, &made.rodata, elf->rodata.bytes);
	if (elf->desc.bytes)
		take(&asid0, &made.desc, elf->desc.bytes);
	take(&asid0, &made.tcbs, (1 + count * (target->tecs + 1ull)) * ZY_TCB_BYTES);
	plan_privates(elf, &made, &asid0);
	plan_reuse(elf, &made, &asid0);
	if (count)
		plan_sets(elf, &made, &asid0);
	made.job_bytes = asid0;
	rc = npu_plan_finish(elf, &made, why, why_bytes);
	if (rc) {
		npu_plan_release(&made);
		return rc;
	}
	*plan = made;
	return 0;
}
