/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding of V3 TCB chains from a description whose references are already resolved to addresses. Pure: no device, no
 * allocation. The layout of a chain: per BSS one init TCB, ceil(cores / 2) segment-MMU TCBs, then tasks of its groups.
 */
#ifndef NPUD_NPU_V3_TCB_H
#define NPUD_NPU_V3_TCB_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/util/types.h"
#include "proto/zhouyi_tcb.h"

enum v3_dependency { V3_DEP_NONE = 0, V3_DEP_PREVIOUS = 1, V3_DEP_ALL = 2 };

struct v3_group {
	uint32_t bss;
	enum v3_dependency dependency;
	npu_addr_t text;
	npu_addr_t parameters;
	npu_addr_t constants; /* 0 = none */
	npu_addr_t stack; /* task 0's; the others follow at stack_stride */
	uint32_t stack_stride;
	npu_addr_t private_data;
	uint32_t private_stride;
	npu_addr_t print; /* 0 = none; 1 KiB per task */
	npu_addr_t profiler; /* 0 = none */
	uint32_t profiler_offset;
	npu_addr_t global_param; /* 0 = none */
};

struct v3_gm {
	bool used;
	bool both_regions; /* the device splits GM in two */
	bool high_qos; /* then region 1 is ours */
	iova_t address;
	bool preload;
	uint64_t preload_offset;
	uint64_t preload_bytes;
};

struct v3_job {
	uint32_t cores; /* of the device: decides the number of segment-MMU TCBs and the round-robin group ids */
	uint32_t tecs;
	uint16_t grid_id;
	bool tec_done_irq; /* raise TEC-done for groups that print */
	uint32_t bss_count;
	const iova_t *asid1; /* per BSS: base of ASID1 */
	iova_t asid0;
	struct v3_gm gm;
	uint32_t group_count;
	const struct v3_group *groups; /* sorted by bss, each BSS used by at least one */
	uint32_t gm_offset_shift; /* npu_quirks */
};

/* Number of TCBs of the chain; 0 if the description is inconsistent or too large. */
uint32_t v3_chain_tcbs(const struct v3_job *job);

/* Encode the chain as it will stand at bus address `head` (4 KiB aligned) into `out`, v3_chain_tcbs() entries. */
int v3_chain_encode(const struct v3_job *job, iova_t head, union zy3_tcb *out);

/* Link the chain's tail (or a hold TCB) to what follows. */
void v3_tcb_set_next(union zy3_tcb *tcb, iova_t next);

/*
 * A hold TCB: a stable tail behind a job, so that the next job can be linked without touching the job's own chain. A
 * copy of the job's last task that runs the END packet at `code`.
 */
void v3_hold_encode(union zy3_tcb *out, const union zy3_tcb *last_task, npu_addr_t code, npu_addr_t self);

#endif
