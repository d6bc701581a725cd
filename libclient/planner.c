/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a plan that both layouts share: which groups share stacks, what GM shadows, how large sums may get. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "libclient/elf_parts.h"
#include "libclient/planner_parts.h"
#include "proto/limits.h"

/* NPU addresses are 32 bits, and the vendor's window is this large. */
#define WINDOW_BYTES 0xe0000000ull

int npu_plan_refuse(char *why, size_t why_bytes, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (why_bytes)
		(void)vsnprintf(why, why_bytes, format, arguments);
	va_end(arguments);
	return code;
}

void npu_plan_release(struct npu_plan *plan)
{
	free(plan->weights);
	free(plan->zero_copy);
	free(plan->static_at);
	free(plan->reuse_at);
	free(plan->private_at);
	free(plan->set_of);
	free(plan->set_data_at);
	free(plan->set_data_stride);
	free(plan->patches);
	*plan = (struct npu_plan){0};
}

/*
 * A group that waits for everything before it starts an epoch: from there on, the stacks and data of earlier groups are
 * free and are handed out again in order, until they run out.
 */
static void assign_sets(const struct npu_elf *elf, struct npu_plan *plan)
{
	uint32_t reused = 0;
	bool reusing = false;

	for (uint32_t i = 0; i < elf->subgraph_count; i++) {
		uint64_t stride = npu_page_up(elf->subgraphs[i].private_bytes);

		if (elf->subgraphs[i].precursor_count == -1) {
			reused = 0;
			reusing = true;
		}
		if (reusing && reused < plan->set_count) {
			plan->set_of[i] = reused++;
			continue;
		}
		reusing = false;
		plan->set_data_stride[plan->set_count] = stride;
		plan->set_of[i] = plan->set_count++;
	}
}

/* The part of the GM section that inputs occupy is copied in before the job starts. */
static void plan_gm(const struct npu_elf *elf, const struct npu_plan_target *target, struct npu_plan *plan)
{
	uint64_t start = UINT64_MAX, end = 0;

	if (elf->gm_class == NPU_GM_NONE)
		return;
	uint64_t section = npu_align_up(elf->reuses[elf->gm_section].bytes, NPU_GM_PAGE_BYTES);

	if (section > target->gm_bytes)
		return;
	plan->gm_use.used = true;
	plan->gm.bytes = section;
	if (elf->gm_class != NPU_GM_INPUT && elf->gm_class != NPU_GM_INOUT)
		return;
	for (uint32_t i = 0; i < elf->tensor_count[NPU_INPUT]; i++) {
		const struct npu_elf_sub *sub = &elf->subs[elf->tensors[NPU_INPUT][i].sub];

		if (sub->section != elf->gm_section)
			continue;
		start = sub->offset < start ? sub->offset : start;
		end = npu_max(end, (uint64_t)sub->offset + sub->bytes);
	}
	start &= ~(uint64_t)(ZY_PAGE_BYTES - 1);
	plan->gm_use.preload_offset = start;
	/* a whole page more than exact multiples need, as the format's own runtime does */
	plan->gm_use.preload_bytes = (end - start + ZY_PAGE_BYTES) & ~(uint64_t)(ZY_PAGE_BYTES - 1);
	if (plan->gm_use.preload_bytes > section - start)
		plan->gm_use.preload_bytes = section - start;
	plan->gm_use.preload = plan->gm_use.preload_bytes != 0;
}

int npu_plan_begin(const struct npu_elf *elf, const struct npu_plan_target *target, struct npu_plan *plan)
{
	/* calloc(0) may be NULL: one entry more than needed */
	*plan = (struct npu_plan){
	    .weights = calloc(elf->bss_count + 1u, sizeof(*plan->weights)),
	    .zero_copy = calloc(elf->bss_count + 1u, sizeof(*plan->zero_copy)),
	    .static_at = calloc(elf->static_count + (size_t)1, sizeof(*plan->static_at)),
	    .reuse_at = calloc(elf->reuse_count + (size_t)1, sizeof(*plan->reuse_at)),
	    .private_at = calloc(elf->private_count + (size_t)1, sizeof(*plan->private_at)),
	    .set_of = calloc(elf->subgraph_count + 1u, sizeof(*plan->set_of)),
	    .set_data_at = calloc(elf->subgraph_count + 1u, sizeof(*plan->set_data_at)),
	    .set_data_stride = calloc(elf->subgraph_count + 1u, sizeof(*plan->set_data_stride)),
	    .tecs = target->tecs,
	    .graph_align = ZY_PAGE_BYTES,
	    .job_align = ZY_PAGE_BYTES,
	};
	if (!plan->weights || !plan->zero_copy || !plan->static_at || !plan->reuse_at || !plan->private_at ||
	    !plan->set_of || !plan->set_data_at || !plan->set_data_stride) {
		npu_plan_release(plan);
		return -ENOMEM;
	}
	assign_sets(elf, plan);
	plan_gm(elf, target, plan);
	return 0;
}

void npu_plan_compact(const struct npu_elf *elf, struct npu_plan *plan, uint32_t bss)
{
	const struct npu_elf_bss *block = &elf->bss[bss];

	for (uint32_t i = block->first_static; i < block->first_static + block->static_count; i++) {
		const struct npu_elf_static *section = &elf->statics[i];
		struct npu_region *region = section->zero_copy ? &plan->zero_copy[bss] : &plan->weights[bss];

		plan->static_at[i] = npu_align_up(region->bytes, section->align);
		region->bytes = plan->static_at[i] + section->bytes;
	}
}

/* Where a section of this sub-section starts, and in which pool. */
static uint64_t section_at(const struct npu_plan *plan, const struct npu_elf_sub *sub)
{
	switch (sub->kind) {
	case NPU_SECTION_STATIC:
		return plan->static_at[sub->section];
	case NPU_SECTION_REUSE:
		return plan->reuse_at[sub->section];
	case NPU_SECTION_PRIVATE:
		return plan->private_at[sub->section];
	}
	return 0;
}

static void patch_subs(const struct npu_elf *elf, struct npu_plan *plan)
{
	for (uint32_t i = 0; i < elf->sub_count; i++) {
		const struct npu_elf_sub *sub = &elf->subs[i];
		uint32_t addend = (uint32_t)(section_at(plan, sub) + sub->offset);

		for (uint32_t k = 0; k < sub->location_count; k++) {
			uint32_t location = elf->locations[sub->first_location + k];
			uint64_t at = location < elf->rodata.bytes ? plan->rodata.offset + location
								   : plan->desc.offset + (location - elf->rodata.bytes);

			plan->patches[plan->patch_count++] = (struct npu_patch){
			    .at = (uint32_t)at,
			    .mask = sub->mask,
			    .addend = addend,
			    .job = sub->kind != NPU_SECTION_STATIC,
			};
		}
	}
}

static void patch_remaps(const struct npu_elf *elf, struct npu_plan *plan)
{
	const uint64_t at[] = {
	    [ZY_REMAP_RODATA] = plan->rodata.offset,
	    [ZY_REMAP_DESC] = plan->desc.offset,
	    [ZY_REMAP_TEXT] = plan->text.offset,
	};

	for (uint32_t i = 0; i < elf->remap_count; i++) {
		const struct zy_remap_entry *entry = &elf->remaps[i];

		plan->patches[plan->patch_count++] = (struct npu_patch){
		    .at = (uint32_t)(at[entry->type] + entry->offset),
		    .mask = UINT32_MAX,
		    .addend = (uint32_t)(at[entry->next_type] + entry->next_offset),
		    .job = entry->next_type != ZY_REMAP_TEXT,
		};
	}
}

static int check_totals(const struct npu_plan *plan, char *why, size_t why_bytes)
{
	if (plan->graph_bytes > NPUD_MAX_BUFFER_BYTES)
		return npu_plan_refuse(why, why_bytes, -EBADMSG,
				       "sizes: text and weights need %llu bytes, a buffer can have %llu",
				       (unsigned long long)plan->graph_bytes, NPUD_MAX_BUFFER_BYTES);
	if (plan->job_bytes > NPUD_MAX_BUFFER_BYTES)
		return npu_plan_refuse(
		    why, why_bytes, -EBADMSG,
		    "sizes: reuse sections, private sections and stacks of a job need %llu bytes, a buffer "
		    "can have %llu",
		    (unsigned long long)plan->job_bytes, NPUD_MAX_BUFFER_BYTES);
	uint64_t sum = plan->graph_bytes + plan->job_bytes;

	if (sum > WINDOW_BYTES)
		return npu_plan_refuse(why, why_bytes, -EBADMSG,
				       "sizes: graph and job need %llu bytes together, the address window has %llu",
				       (unsigned long long)sum, WINDOW_BYTES);
	return 0;
}

int npu_plan_finish(const struct npu_elf *elf, struct npu_plan *plan, char *why, size_t why_bytes)
{
	int rc = check_totals(plan, why, why_bytes);

	if (rc)
		return rc;
	plan->patches = calloc((size_t)elf->location_count + elf->remap_count + 1, sizeof(*plan->patches));
	if (!plan->patches)
		return npu_plan_refuse(why, why_bytes, -ENOMEM, "out of memory for %u patches", elf->location_count);
	patch_subs(elf, plan);
	patch_remaps(elf, plan);
	return 0;
}

void npu_plan_patch(const struct npu_plan *plan, uint8_t *job, uint32_t graph_base, uint32_t job_base)
{
	for (uint32_t i = 0; i < plan->patch_count; i++) {
		const struct npu_patch *patch = &plan->patches[i];
		uint32_t address = (patch->job ? job_base : graph_base) + patch->addend;
		uint32_t word;

		memcpy(&word, job + patch->at, sizeof(word));
		word = (address & patch->mask) | (word & ~patch->mask);
		memcpy(job + patch->at, &word, sizeof(word));
	}
}
