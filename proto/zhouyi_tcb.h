/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zhouyi V3 task control blocks: 128 bytes each, little-endian, chained by `next`.
 * The facts are in docs/hardware/tcb.md. Owns layouts and numbers only.
 */
#ifndef NPUD_PROTO_ZHOUYI_TCB_H
#define NPUD_PROTO_ZHOUYI_TCB_H

#include <stddef.h>
#include <stdint.h>

#define ZY_TCB_BYTES 128u
#define ZY_TCB_CHAIN_ALIGN 4096u

#define ZY3_TCB_TYPE_MASK 0xfu
#define ZY3_TCB_INIT 0u
#define ZY3_TCB_TASK 1u
#define ZY3_TCB_DEP_MASK 0x30u
#define ZY3_TCB_DEP_NONE 0x00u
#define ZY3_TCB_DEP_PREVIOUS 0x10u
#define ZY3_TCB_DEP_ALL 0x20u
#define ZY3_TCB_GROUP_END 0x40u
#define ZY3_TCB_GRID_END 0x80u
#define ZY3_TCB_SEGMMU_SHIFT 16
#define ZY3_TCB_SEGMMU_MASK 0x1f0000u

#define ZY3_TCB_ASID_WRITE 0x20u
#define ZY3_TCB_ASID_READ 0x40u
#define ZY3_TCB_ASID_RW 0x60u
#define ZY3_TCB_ASID_FLAGS 0xfffu

#define ZY3_SEGMMU_CTRL_DEFAULT 0x31u
#define ZY3_SEGMMU_CTRL_USER 0x21u

#define ZY3_GM_SYNC_TO_GM 0x40000000u
#define ZY3_GM_SYNC_IGNORE 0xc0000000u
#define ZY3_GM_SYNC_OFFSET_MASK 0x0ffff000u
#define ZY3_GM_SYNC_PAGES_MASK 0xfffu

#define ZY3_TASK_INTR 0x3du /* done, exception, fault, error, signal */
#define ZY3_COREDUMP_TAG 0x29au

struct zy_asid_word {
	uint32_t lo; /* base[31:12] | flags */
	uint32_t hi;
};

struct zy3_init_tcb {
	uint32_t flag;
	uint32_t next; /* low half of a bus address */
	uint32_t reserved0[2];
	uint32_t gm_ctrl;
	uint16_t reserved1;
	uint16_t grid_id;
	uint32_t gm_region_ctrl[2];
	struct zy_asid_word gm_region_addr[2];
	struct zy_asid_word asid[4];
	struct zy_asid_word dtcm_addr;
	uint32_t reserved2[10];
};

struct zy3_segmmu_core {
	uint32_t ctrl;
	uint32_t remap;
	struct {
		uint32_t ctrl0;
		uint32_t ctrl1;
	} segment[4];
};

struct zy3_segmmu_tcb {
	uint32_t flag;
	uint32_t next;
	uint32_t reserved0[4];
	struct zy3_segmmu_core even;
	uint32_t reserved1[6];
	struct zy3_segmmu_core odd;
};

struct zy3_task_tcb {
	uint32_t flag;
	uint32_t next; /* low half of a bus address; 0 ends the chain */
	uint32_t loop_count;
	uint32_t spc; /* from here on, addresses are relative to the ASID0 base */
	uint32_t interrupt_en;
	uint16_t group_id;
	uint16_t grid_id;
	uint16_t reserved0;
	uint16_t task_id;
	uint16_t grid_dim[3];
	uint16_t group_dim[3];
	uint16_t group_xyz[3];
	uint16_t task_xyz[3];
	uint32_t sp;
	uint32_t pp;
	uint32_t dp;
	uint32_t cp;
	uint32_t pprint;
	uint32_t pprofiler;
	uint16_t core_id; /* written by the device, with the next three */
	uint16_t cluster_id;
	uint16_t reserved1;
	uint16_t tec_id;
	uint32_t unused[6]; /* fmdp tap dap pap idp dsize */
	uint32_t tcbp;
	uint32_t global_param;
	uint32_t reserved2;
	uint32_t coredump;
	uint32_t profiler_base;
};

union zy3_tcb {
	uint32_t word[32];
	struct zy3_init_tcb init;
	struct zy3_segmmu_tcb segmmu;
	struct zy3_task_tcb task;
};

/* The one instruction packet that ends a task: what a hold TCB runs. */
#define ZY3_END_PACKET                                                                                                 \
	{                                                                                                              \
		0x014f8000u, 0x400c7fffu, 0x400c7fffu, 0x400c7fffu                                                     \
	}

_Static_assert(sizeof(struct zy3_init_tcb) == ZY_TCB_BYTES, "init TCB");
_Static_assert(offsetof(struct zy3_init_tcb, gm_ctrl) == 0x10, "init TCB gm_ctrl");
_Static_assert(offsetof(struct zy3_init_tcb, grid_id) == 0x16, "init TCB grid_id");
_Static_assert(offsetof(struct zy3_init_tcb, gm_region_addr) == 0x20, "init TCB gm address");
_Static_assert(offsetof(struct zy3_init_tcb, asid) == 0x30, "init TCB asid");
_Static_assert(offsetof(struct zy3_init_tcb, dtcm_addr) == 0x50, "init TCB dtcm");
_Static_assert(sizeof(struct zy3_segmmu_core) == 40, "segment-MMU core block");
_Static_assert(sizeof(struct zy3_segmmu_tcb) == ZY_TCB_BYTES, "segment-MMU TCB");
_Static_assert(offsetof(struct zy3_segmmu_tcb, even) == 0x18, "segment-MMU even core");
_Static_assert(offsetof(struct zy3_segmmu_tcb, odd) == 0x58, "segment-MMU odd core");
_Static_assert(sizeof(struct zy3_task_tcb) == ZY_TCB_BYTES, "task TCB");
_Static_assert(offsetof(struct zy3_task_tcb, interrupt_en) == 0x10, "task TCB interrupt_en");
_Static_assert(offsetof(struct zy3_task_tcb, task_id) == 0x1a, "task TCB task_id");
_Static_assert(offsetof(struct zy3_task_tcb, task_xyz) == 0x2e, "task TCB task_xyz");
_Static_assert(offsetof(struct zy3_task_tcb, sp) == 0x34, "task TCB sp");
_Static_assert(offsetof(struct zy3_task_tcb, core_id) == 0x4c, "task TCB core_id");
_Static_assert(offsetof(struct zy3_task_tcb, tec_id) == 0x52, "task TCB tec_id");
_Static_assert(offsetof(struct zy3_task_tcb, tcbp) == 0x6c, "task TCB tcbp");
_Static_assert(offsetof(struct zy3_task_tcb, coredump) == 0x78, "task TCB coredump");
_Static_assert(sizeof(union zy3_tcb) == ZY_TCB_BYTES, "TCB");

#endif
