/* SPDX-License-Identifier: Apache-2.0 */
/* The tensor lists that applications see: tensor n of a list is the sub-section whose id is n. */
#include <stdlib.h>

#include "libclient/elf_parts.h"

static uint32_t count_type(const struct npu_elf *elf, uint32_t type)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < elf->sub_count; i++)
		count += elf->subs[i].kind == NPU_SECTION_REUSE && elf->subs[i].type == type;
	return count;
}

/* Put the sub-sections of a type in the order of their ids: a permutation of 0...count-1. */
static int order_by_id(struct npu_elf_parse *parse, uint32_t type, const char *name, struct npu_elf_tensor *tensors,
		       uint32_t count)
{
	const struct npu_elf *elf = parse->elf;

	for (uint32_t i = 0; i < count; i++)
		tensors[i].sub = NPU_ELF_NONE;
	for (uint32_t i = 0; i < elf->sub_count; i++) {
		const struct npu_elf_sub *sub = &elf->subs[i];

		if (sub->kind != NPU_SECTION_REUSE || sub->type != type)
			continue;
		if (sub->id >= count)
			return npu_elf_refuse(parse, -EBADMSG,
					      "note fmlist: id %u of an %s is not below their number (%u)", sub->id,
					      name, count);
		if (tensors[sub->id].sub != NPU_ELF_NONE)
			return npu_elf_refuse(parse, -EBADMSG, "note fmlist: id %u is given to two %ss", sub->id, name);
		tensors[sub->id].sub = i;
	}
	return 0;
}

static int collect(struct npu_elf_parse *parse, uint32_t type, const char *name, struct npu_elf_tensor **out,
		   uint32_t *out_count)
{
	uint32_t count = count_type(parse->elf, type);

	if (count == 0)
		return 0;
	struct npu_elf_tensor *tensors = calloc(count, sizeof(*tensors));

	if (!tensors)
		return npu_elf_refuse(parse, -ENOMEM, "out of memory for %u tensors", count);
	int rc = order_by_id(parse, type, name, tensors, count);

	if (rc || !out) {
		free(tensors);
		return rc;
	}
	*out = tensors;
	*out_count = count;
	return 0;
}

static int find_profiler(struct npu_elf_parse *parse)
{
	struct npu_elf *elf = parse->elf;

	for (uint32_t i = 0; i < elf->sub_count && elf->profiler_sub == NPU_ELF_NONE; i++) {
		if (elf->subs[i].kind == NPU_SECTION_REUSE && elf->subs[i].type == ZY_SUB_PROFILER)
			elf->profiler_sub = i;
	}
	if (elf->profiler_sub == NPU_ELF_NONE)
		return 0;
	uint32_t bytes = elf->subs[elf->profiler_sub].bytes;

	for (uint32_t i = 0; i < elf->subgraph_count; i++) {
		if (elf->subgraphs[i].profiler_offset >= bytes)
			return npu_elf_refuse(
			    parse, -EBADMSG,
			    "note subgraphs, subgraph %u: profiler_buf_size (an offset) %u is not inside the "
			    "profiler tensor of %u bytes",
			    i, elf->subgraphs[i].profiler_offset, bytes);
	}
	return 0;
}

int npu_elf_collect_tensors(struct npu_elf_parse *parse)
{
	struct npu_elf *elf = parse->elf;
	int rc = collect(parse, ZY_SUB_INPUT, "input", &elf->tensors[NPU_INPUT], &elf->tensor_count[NPU_INPUT]);

	if (rc == 0)
		rc = collect(parse, ZY_SUB_OUTPUT, "output", &elf->tensors[NPU_OUTPUT], &elf->tensor_count[NPU_OUTPUT]);
	if (rc == 0)
		rc = collect(parse, ZY_SUB_INTER_DUMP, "intermediate", NULL, NULL);
	return rc ? rc : find_profiler(parse);
}
