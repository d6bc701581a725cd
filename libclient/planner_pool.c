/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool layout: one buffer for what all instances of a graph share, one for each instance. Every alignment that the
 * executable asks for is honoured.
 */
#include "libclient/planner_parts.h"

/* Hands out a pool from its start. */
struct bump {
	uint64_t next;
	uint64_t align; /* largest so far: the pool's own */
};

static uint64_t bump_take(struct bump *bump, uint64_t bytes, uint64_t align)
{
	align = npu_max(align, ZY_PAGE_BYTES);
	bump->align = npu_max(bump->align, align);
	uint64_t at = npu_align_up(bump->next, align);

	bump->next = at + bytes;
	return at;
}

static void bump_region(struct bump *bump, struct npu_region *region, uint64_t align)
{
	region->offset = bump_take(bump, region->bytes, align);
}

static void plan_weights(const struct npu_elf *elf, struct npu_plan *plan, struct bump *graph)
{
	for (uint32_t b = 0; b < elf->bss_count; b++) {
		const struct npu_elf_bss *block = &elf->bss[b];
		uint64_t align[2] = {1, 1};

		npu_plan_compact(elf, plan, b);
		for (uint32_t i = block->first_static; i < block->first_static + block->static_count; i++)
			align[elf->statics[i].zero_copy] =
			    npu_max(align[elf->statics[i].zero_copy], elf->statics[i].align);
		bump_region(graph, &plan->weights[b], align[0]);
		bump_region(graph, &plan->zero_copy[b], align[1]);
		for (uint32_t i = block->first_static; i < block->first_static + block->static_count; i++)
			plan->static_at[i] +=
			    (elf->statics[i].zero_copy ? &plan->zero_copy[b] : &plan->weights[b])->offset;
		graph->next += NPU_V3_SLACK_BYTES;
	}
}

static void plan_graph(const struct npu_elf *elf, struct npu_plan *plan)
{
	struct bump graph = {.align = ZY_PAGE_BYTES};

	plan->text.bytes = elf->text.bytes + 16ull;
	plan->crodata.bytes = elf->crodata.bytes;
	bump_region(&graph, &plan->text, 1);
	bump_region(&graph, &plan->crodata, 1);
	plan_weights(elf, plan, &graph);
	plan->graph_bytes = npu_page_up(graph.next + NPU_V3_SLACK_BYTES);
	plan->graph_align = graph.align;
}

/* Scratch of groups: each epoch starts from the beginning again, because nothing of earlier ones is still in use. */
static void plan_privates(const struct npu_elf *elf, struct npu_plan *plan, struct bump *job)
{
	struct bump epoch = {.align = ZY_PAGE_BYTES};
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < elf->subgraph_count; i++) {
		const struct npu_elf_subgraph *subgraph = &elf->subgraphs[i];

		if (subgraph->precursor_count == -1)
			epoch.next = 0;
		for (uint32_t p = 0; p < subgraph->private_count; p++) {
			const struct npu_elf_section *section = &elf->privates[subgraph->first_private + p];

			plan->private_at[subgraph->first_private + p] =
			    bump_take(&epoch, section->bytes, section->align);
		}
		bytes = npu_max(bytes, epoch.next);
	}
	plan->privates.bytes = bytes ? bytes + NPU_V3_SLACK_BYTES : 0;
	bump_region(job, &plan->privates, epoch.align);
	for (uint32_t p = 0; p < elf->private_count; p++)
		plan->private_at[p] += plan->privates.offset;
}

static void plan_reuse(const struct npu_elf *elf, struct npu_plan *plan, struct bump *job)
{
	uint64_t start = job->next;

	for (uint32_t i = 0; i < elf->reuse_count; i++) {
		if (plan->gm_use.used && i == elf->gm_section)
			continue;
		plan->reuse_at[i] = bump_take(job, elf->reuses[i].bytes, elf->reuses[i].align);
	}
	plan->reuse = (struct npu_region){.offset = start, .bytes = job->next - start};
	job->next += NPU_V3_SLACK_BYTES;
	if (plan->gm_use.used) {
		bump_region(job, &plan->gm, elf->reuses[elf->gm_section].align);
		plan->reuse_at[elf->gm_section] = plan->gm.offset;
	}
}

static void plan_sets(const struct npu_elf *elf, struct npu_plan *plan, struct bump *job)
{
	uint64_t align = npu_page_up(elf->bss[0].stack_align);
	uint64_t stride = npu_align_up(elf->bss[0].stack_bytes, align);
	uint64_t data = 0;

	/* a stride over 32 bits makes a sum that is refused */
	plan->stack_stride = (uint32_t)stride;
	plan->stack.bytes = stride * plan->tecs * plan->set_count;
	bump_region(job, &plan->stack, align);
	/* a later user of a set may need more than the one it was made for */
	for (uint32_t i = 0; i < elf->subgraph_count; i++)
		data = npu_max(data, npu_page_up(elf->subgraphs[i].private_bytes));
	plan->data.bytes = data * plan->tecs * plan->set_count;
	bump_region(job, &plan->data, 1);
	for (uint32_t s = 0; s < plan->set_count; s++) {
		plan->set_data_stride[s] = data;
		plan->set_data_at[s] = plan->data.offset + s * data * plan->tecs;
	}
}

int npu_plan_pool(const struct npu_elf *elf, const struct npu_plan_target *target, struct npu_plan *plan, char *why,
		  size_t why_bytes)
{
	struct npu_plan made;
	struct bump job = {.align = ZY_PAGE_BYTES};
	int rc = npu_plan_begin(elf, target, &made);

	if (rc)
		return npu_plan_refuse(why, why_bytes, rc, "out of memory for the plan");
	plan_graph(elf, &made);
	made.rodata.bytes = elf->rodata.bytes;
	made.desc.bytes = elf->desc.bytes;
	bump_region(&job, &made.rodata, 1);
	bump_region(&job, &made.desc, 1);
	plan_privates(elf, &made, &job);
	plan_reuse(elf, &made, &job);
	plan_sets(elf, &made, &job);
	made.job_bytes = npu_page_up(job.next + NPU_V3_SLACK_BYTES);
	made.job_align = job.align;
	rc = npu_plan_finish(elf, &made, why, why_bytes);
	if (rc) {
		npu_plan_release(&made);
		return rc;
	}
	*plan = made;
	return 0;
}
