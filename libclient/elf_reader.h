/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A V3 executable, read and checked. Everything in it is inside the file or copied from it, in range, and consistent:
 * what takes a struct npu_elf need not look again. Pure: no daemon, no device, no global state.
 */
#ifndef NPU_CLIENT_ELF_READER_H
#define NPU_CLIENT_ELF_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libclient/include/npu/npu.h"
#include "proto/zhouyi_elf.h"

#define NPU_ELF_MAX_ALIGN (1u << 28)
#define NPU_ELF_NONE UINT32_MAX

/* A range of the file: valid as long as the file's memory is. */
struct npu_span {
	const uint8_t *data;
	uint32_t bytes;
};

enum npu_section_kind { NPU_SECTION_STATIC, NPU_SECTION_REUSE, NPU_SECTION_PRIVATE };

struct npu_elf_static {
	uint32_t bss;
	uint32_t src_offset; /* in the weight note */
	uint32_t bytes;
	uint32_t align;
	bool zero_copy;
};

/* A reuse section, or a private section of a subgraph. */
struct npu_elf_section {
	uint32_t bytes;
	uint32_t align;
};

struct npu_elf_sub {
	enum npu_section_kind kind;
	uint32_t section;
	uint32_t offset;
	uint32_t bytes;
	uint32_t type;
	uint32_t id;
	uint32_t data_type;
	float scale;
	int32_t zero_point;
	uint32_t mask;
	uint32_t first_location;
	uint32_t location_count;
};

struct npu_elf_bss {
	uint32_t stack_bytes;
	uint32_t stack_align;
	uint32_t first_static;
	uint32_t static_count;
};

struct npu_elf_subgraph {
	uint32_t text_offset;
	uint32_t bss;
	uint32_t rodata_offset;
	uint32_t print_bytes;
	uint32_t profiler_offset;
	uint32_t private_bytes;
	int32_t precursor_count; /* -1: everything before */
	uint32_t precursors[4];
	uint32_t warmup_len;
	uint32_t first_private;
	uint32_t private_count;
};

enum npu_gm_class { NPU_GM_NONE, NPU_GM_INPUT, NPU_GM_OUTPUT, NPU_GM_INOUT, NPU_GM_TEMP };

struct npu_elf_tensor {
	uint32_t sub;
	char name[NPU_NAME_BYTES];
	uint32_t rank;
	uint32_t shape[NPU_MAX_RANK];
};

struct npu_elf {
	uint32_t device; /* the device word */
	struct npu_span text, crodata, rodata, desc, weight, graphjson;

	struct npu_elf_bss *bss;
	struct npu_elf_static *statics;
	struct npu_elf_section *reuses;
	struct npu_elf_section *privates;
	struct npu_elf_sub *subs; /* file order; private ones last */
	uint32_t *locations;
	struct npu_elf_subgraph *subgraphs;
	struct zy_remap_entry *remaps;
	struct npu_elf_tensor *tensors[2]; /* by enum npu_direction */
	uint32_t bss_count, static_count, reuse_count, private_count, sub_count, location_count, subgraph_count,
	    remap_count, tensor_count[2];

	uint32_t profiler_sub; /* NPU_ELF_NONE if there is no profiler tensor */
	enum npu_gm_class gm_class;
	uint32_t gm_section; /* reuse section that on-chip global memory shadows */
};

/*
 * Read an executable from memory. 0, -EBADMSG (malformed), -ENOTSUP (well formed, not supported) or -ENOMEM; `why` then
 * names the field. The result refers to `data`.
 */
int npu_elf_parse(const void *data, size_t bytes, struct npu_elf **out, char *why, size_t why_bytes);

/* Drop what refers to the file's memory: the spans. */
void npu_elf_detach(struct npu_elf *elf);

struct npu_elf *npu_elf_free(struct npu_elf *elf);

#endif
