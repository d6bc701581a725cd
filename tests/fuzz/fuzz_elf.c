/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The executable reader against any bytes: it accepts or refuses with a reason, and what it accepts keeps the promises
 * that later code relies on without looking again. What is accepted is also planned and patched.
 */
#include <stdlib.h>
#include <string.h>

#include "libclient/elf_reader.h"
#include "libclient/planner.h"
#include "tests/fuzz/fuzz.h"

static void require_span(const uint8_t *data, size_t size, struct npu_span span)
{
	if (span.bytes == 0)
		return;
	require(span.data >= data && span.data < data + size);
	require(span.bytes <= size - (size_t)(span.data - data));
}

static void require_subs(const struct npu_elf *elf)
{
	uint32_t sections[] = {elf->static_count, elf->reuse_count, elf->private_count};

	for (uint32_t i = 0; i < elf->sub_count; i++) {
		const struct npu_elf_sub *sub = &elf->subs[i];
		require(sub->section < sections[sub->kind]);
		uint32_t bytes = sub->kind == NPU_SECTION_STATIC  ? elf->statics[sub->section].bytes
				 : sub->kind == NPU_SECTION_REUSE ? elf->reuses[sub->section].bytes
								  : elf->privates[sub->section].bytes;
		require((uint64_t)sub->offset + sub->bytes <= bytes);
		require((uint64_t)sub->first_location + sub->location_count <= elf->location_count);
	}
	/* A location is a word of rodata ‖ desc that does not straddle the border. */
	for (uint32_t i = 0; i < elf->location_count; i++) {
		uint64_t end = (uint64_t)elf->locations[i] + 4;
		require(end <= elf->rodata.bytes || (elf->locations[i] >= elf->rodata.bytes &&
						     end <= (uint64_t)elf->rodata.bytes + elf->desc.bytes));
	}
	for (uint32_t i = 0; i < elf->static_count; i++)
		require((uint64_t)elf->statics[i].src_offset + elf->statics[i].bytes <= elf->weight.bytes);
}

static void require_groups(const struct npu_elf *elf)
{
	require(elf->bss_count > 0);
	for (uint32_t i = 0; i < elf->subgraph_count; i++) {
		const struct npu_elf_subgraph *group = &elf->subgraphs[i];
		require(group->bss < elf->bss_count);
		require(group->text_offset < elf->text.bytes);
		require(group->rodata_offset <= elf->rodata.bytes);
		require(group->private_bytes > 0);
		require(group->precursor_count >= -1 && group->precursor_count <= 4);
		require((uint64_t)group->first_private + group->private_count <= elf->private_count);
	}
	for (int direction = 0; direction < 2; direction++)
		for (uint32_t i = 0; i < elf->tensor_count[direction]; i++) {
			const struct npu_elf_tensor *tensor = &elf->tensors[direction][i];
			require(tensor->sub < elf->sub_count && tensor->rank <= NPU_MAX_RANK);
			require(memchr(tensor->name, 0, sizeof(tensor->name)) != NULL);
		}
}

static void require_region(struct npu_region region, uint64_t bytes)
{
	require(region.bytes == 0 || (region.offset <= bytes && region.bytes <= bytes - region.offset));
}

#define MAX_PATCHED (4u << 20)

static void require_plan(const struct npu_elf *elf)
{
	const struct npu_plan_target target = {.tecs = 4, .gm_bytes = 4u << 20};
	struct npu_plan plan = {0};
	char why[256] = "";

	if (npu_plan_pool(elf, &target, &plan, why, sizeof(why)) < 0) {
		require(why[0] != '\0');
		return;
	}
	require_region(plan.text, plan.graph_bytes);
	require_region(plan.crodata, plan.graph_bytes);
	for (uint32_t i = 0; i < elf->bss_count; i++) {
		require_region(plan.weights[i], plan.graph_bytes);
		require_region(plan.zero_copy[i], plan.graph_bytes);
	}
	struct npu_region job[] = {plan.rodata, plan.desc, plan.privates, plan.reuse, plan.gm, plan.stack, plan.data};
	for (size_t i = 0; i < sizeof(job) / sizeof(*job); i++)
		require_region(job[i], plan.job_bytes);
	for (uint32_t i = 0; i < plan.patch_count; i++)
		require((uint64_t)plan.patches[i].at + 4 <= plan.job_bytes);
	uint8_t *memory = plan.job_bytes <= MAX_PATCHED ? calloc(1, plan.job_bytes) : NULL;
	if (memory)
		npu_plan_patch(&plan, memory, 0x10000, 0x20000);
	free(memory);
	npu_plan_release(&plan);
}

static void require_vendor_plan(const struct npu_elf *elf)
{
	const struct npu_plan_target target = {.tecs = 4, .gm_bytes = 4u << 20};
	const struct npu_vendor_bases bases = {.asid0 = 0x1000, .asid1 = 0x1000};
	struct npu_plan plan = {0};
	char why[256] = "";

	if (npu_plan_vendor(elf, &target, &bases, &plan, why, sizeof(why)) < 0)
		require(why[0] != '\0');
	else
		npu_plan_release(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct npu_elf *elf = NULL;
	char why[256] = "";
	int result = npu_elf_parse(data, size, &elf, why, sizeof(why));

	if (result < 0) {
		require(why[0] && memchr(why, 0, sizeof(why)) != NULL);
		return 0;
	}
	require_span(data, size, elf->text);
	require_span(data, size, elf->crodata);
	require_span(data, size, elf->rodata);
	require_span(data, size, elf->desc);
	require_span(data, size, elf->weight);
	require_span(data, size, elf->graphjson);
	require_subs(elf);
	require_groups(elf);
	require_plan(elf);
	require_vendor_plan(elf);
	npu_elf_detach(elf);
	require(npu_elf_free(elf) == NULL && npu_elf_free(NULL) == NULL);
	return 0;
}
