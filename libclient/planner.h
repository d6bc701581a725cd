/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where everything of a graph and of a job lies. Pure arithmetic in 64 bits on a checked executable; it touches no
 * memory and no device.
 *
 * Two layouts. *Pool*: the graph's constant parts in one buffer, the job's parts in another; offsets are relative to
 * each. *Vendor*: the places that the vendor's library gives them, as NPU addresses; the pools' bases are then 0.
 */
#ifndef NPU_CLIENT_PLANNER_H
#define NPU_CLIENT_PLANNER_H

#include "libclient/elf_reader.h"

/* V3 fetches ahead of what it uses: nothing unmapped may follow closely. */
#define NPU_V3_SLACK_BYTES 0x800u
#define NPU_GM_PAGE_BYTES (256u << 10)

struct npu_region {
	uint64_t offset;
	uint64_t bytes; /* 0: not there */
};

/* What a plan depends on besides the executable. */
struct npu_plan_target {
	uint32_t tecs;
	uint64_t gm_bytes; /* 0: the device has none, or it is not to be used */
};

struct npu_plan_gm {
	bool used;
	bool preload;
	uint64_t preload_offset;
	uint64_t preload_bytes;
};

/* One address to be written into the parameters: *at = (base + addend) & mask | *at & ~mask. */
struct npu_patch {
	uint32_t at; /* in the job's pool */
	uint32_t mask;
	uint32_t addend;
	bool job; /* relative to the job's pool, else to the graph's */
};

struct npu_plan {
	struct npu_region text, crodata; /* graph */
	struct npu_region *weights, *zero_copy; /* graph, per BSS */
	uint64_t *static_at; /* graph: offset of each static section */
	uint64_t graph_bytes, graph_align;

	struct npu_region rodata, desc, privates, reuse, gm, stack, data; /* job */
	struct npu_region tcbs, print; /* vendor layout only: elsewhere the daemon's */
	uint64_t *reuse_at, *private_at; /* job: offset of each section */
	uint32_t *set_of; /* per subgraph: which stacks and data it uses */
	uint64_t *set_data_at; /* job: per set, data of its task 0 */
	uint64_t *set_data_stride; /* bytes between the data of two tasks of a set */
	uint32_t set_count;
	uint32_t tecs;
	uint32_t stack_stride;
	struct npu_plan_gm gm_use;
	uint64_t job_bytes, job_align;

	struct npu_patch *patches;
	uint32_t patch_count;
};

/* 0, -EBADMSG (the sums exceed what a buffer or the address window can hold; `why` names them) or -ENOMEM. */
int npu_plan_pool(const struct npu_elf *elf, const struct npu_plan_target *target, struct npu_plan *plan, char *why,
		  size_t why_bytes);

/* Free addresses from which the vendor layout allocates upwards. */
struct npu_vendor_bases {
	uint64_t asid0;
	uint64_t asid1;
};

int npu_plan_vendor(const struct npu_elf *elf, const struct npu_plan_target *target,
		    const struct npu_vendor_bases *bases, struct npu_plan *plan, char *why, size_t why_bytes);

void npu_plan_release(struct npu_plan *plan);

/* Write all addresses into a job's pool, given both pools' NPU addresses. `job` has job_bytes bytes. */
void npu_plan_patch(const struct npu_plan *plan, uint8_t *job, uint32_t graph_base, uint32_t job_base);

#endif
