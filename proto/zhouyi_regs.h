/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zhouyi host registers: offsets into MMIO region 0 and their bits. All registers are 32 bits, little-endian.
 * The facts and their confidence are in docs/hardware/registers.md. Owns numbers only; no sequences.
 */
#ifndef NPUD_PROTO_ZHOUYI_REGS_H
#define NPUD_PROTO_ZHOUYI_REGS_H

#include <stdint.h>

/* Every generation. */
#define ZY_REVISION 0x50u
#define ZY_REVISION_Z1 0x00000000u
#define ZY_REVISION_Z2 0x00000100u
#define ZY_REVISION_Z3 0x00000200u
#define ZY_REVISION_X1 0x00000300u
#define ZY_REVISION_X2_R0P2 0x00010000u
#define ZY_REVISION_X2_R0P3 0x00010003u
#define ZY_REVISION_X3P 0x00010210u
#define ZY_REVISION_X3S 0x00010220u

#define ZY_SOFT_RESET_START 0x1u
#define ZY_SOFT_RESET_DONE 0x2u /* the register reads exactly this when the reset is over */
#define ZY_RESET_DELAY_US 50u

/* V3: task schedule manager (TSM). */
#define ZY3_CMD_HANDLE 0x00u
#define ZY3_CMD_INFO 0x04u
#define ZY3_CMD_ADDR_HIGH 0x08u
#define ZY3_CMD_ADDR_LOW 0x0cu
#define ZY3_TSM_CONFIG 0x10u
#define ZY3_TSM_BUILD_INFO 0x14u
#define ZY3_TSM_STATUS 0x18u
#define ZY3_SOFT_RESET 0x20u
#define ZY3_TICK_LOW 0x60u
#define ZY3_TICK_HIGH 0x64u
#define ZY3_TICK_CTRL 0x68u

#define ZY3_OP_NONE 0u
#define ZY3_OP_CREATE 1u
#define ZY3_OP_DESTROY 2u
#define ZY3_OP_ABORT 3u
#define ZY3_OP_DISPATCH 4u
#define ZY3_OP_BIND_DISPATCH 5u
#define ZY3_OP_MASK 0xfu
#define ZY3_CMD_QOS_SHIFT 8
#define ZY3_CMD_QOS_MASK 0x300u
#define ZY3_CMD_QOS_FAST 0x200u
#define ZY3_CMD_MAP_ALL 0x1000u
#define ZY3_CMD_POOL_SHIFT 16
#define ZY3_CMD_POOL_MASK 0xf0000u
#define ZY3_CMD_CORE_SHIFT 24
#define ZY3_CMD_CORE_MASK 0xf000000u

#define ZY3_BUILD_PARTITIONS_SHIFT 24 /* partitions - 1, 2 bits */
#define ZY3_BUILD_POOLS_SHIFT 16 /* pools, 4 bits, no bias */
#define ZY3_TSM_FAILED 0x80000000u
#define ZY3_TSM_FULL_MASK 0xffu
#define ZY3_TICK_ENABLE 0x0u
#define ZY3_TICK_DISABLE 0x3u

/* V3: command pool p. */
#define ZY3_POOL_COUNT_MAX 8u
#define ZY3_POOL(p, reg) (0x800u + 0x40u * (uint32_t)(p) + (reg))
#define ZY3_POOL_CONFIG 0x00u
#define ZY3_POOL_STATUS 0x04u
#define ZY3_POOL_INTR_CTRL 0x08u
#define ZY3_POOL_INTR_STATUS 0x0cu
#define ZY3_POOL_IRQ_SIG 0x10u
#define ZY3_POOL_FIRST_BAD_CMD 0x14u
#define ZY3_POOL_LAST_CMD 0x18u
#define ZY3_POOL_SECURE 0x1cu
#define ZY3_POOL_SIGNAL_FLAG 0x20u
#define ZY3_POOL_TCB_PTR 0x24u

#define ZY3_STATUS_IDLE 0x40u
/* Interrupt types: pool STATUS, INTR_CTRL and INTR_STATUS share the bits. */
#define ZY3_INTR_DONE 0x01u
#define ZY3_INTR_EXCEPTION 0x04u
#define ZY3_INTR_FAULT 0x08u
#define ZY3_INTR_ERROR 0x10u
#define ZY3_INTR_SIGNAL 0x20u
#define ZY3_INTR_TYPES 0x3du
/* Interrupt levels. */
#define ZY3_INTR_TEC 0x100u
#define ZY3_INTR_CORE 0x200u
#define ZY3_INTR_CLUSTER 0x400u
#define ZY3_INTR_POOL 0x800u
#define ZY3_INTR_LEVELS 0xf00u
#define ZY3_INTR_CTRL_DEFAULT 0x63du
#define ZY3_INTR_CTRL_WITH_TEC 0x73du
#define ZY3_INTR_TEC_ID_SHIFT 16
#define ZY3_INTR_CORE_ID_SHIFT 20
#define ZY3_INTR_CLUSTER_ID_SHIFT 24
#define ZY3_POOL_NON_SECURE 0x1u
#define ZY3_FIRST_BAD_VALID 0x80000000u
#define ZY3_IRQ_SIG_COUNT_SHIFT 16

/* Payload of a signal interrupt. */
#define ZY3_SIGNAL_HW_EXCEPTION 0x80000000u
#define ZY3_SIGNAL_SW_EXCEPTION 0x40000000u
#define ZY3_SIGNAL_PRINT 0x20000000u
#define ZY3_SIGNAL_PROFILER 0x10000000u
#define ZY3_SIGNAL_COREDUMP 0x08000000u
#define ZY3_SIGNAL_CODE_MASK 0xffffu

/* V3: cluster c. */
#define ZY3_CLUSTER_COUNT_MAX 8u
#define ZY3_CLUSTER(c, reg) (0xc00u + 0x20u * (uint32_t)(c) + (reg))
#define ZY3_CLUSTER_CONFIG 0x00u
#define ZY3_CLUSTER_CONTROL 0x04u
#define ZY3_CLUSTER_PRESENT 0x1000u
#define ZY3_CLUSTER_ENABLE 0x1000u
#define ZY3_CLUSTER_CORES_SHIFT 8
#define ZY3_CLUSTER_AIFFS_SHIFT 4
#define ZY3_CLUSTER_TECS_SHIFT 0
#define ZY3_CLUSTER_COUNTS_MASK 0xfffu
#define ZY3_CLUSTER_PARTITION_SHIFT 16

/* V3: debug windows, valid while the selector is enabled. */
#define ZY3_DEBUG_SELECT 0x1f00u
#define ZY3_DEBUG_ENABLE 0x1000u
#define ZY3_DEBUG_CLUSTER_SHIFT 4
#define ZY3_DEBUG_CLUSTER_STATUS 0x2004u
#define ZY3_DEBUG_CLUSTER_IDLE 0x20u
#define ZY3_DEBUG_BUS_IDLE 0x40u
#define ZY3_DEBUG_GM_CONTROL 0x2070u
#define ZY3_DEBUG_GM_SIZE_SHIFT 16
#define ZY3_DEBUG_LOCAL_MEM 0x2848u
#define ZY3_DEBUG_SHARED_MEM 0x284cu
#define ZY3_DEBUG_CORE_STATUS 0x3004u
#define ZY3_DEBUG_CORE_IDLE 0x10u

#define ZY3_MMIO_BYTES 0x3230u

/* GM size code n of V3: 512 KiB for 0, else 1 MiB << (n - 1). */
static inline uint32_t zy3_gm_bytes(uint32_t code)
{
	return code == 0 ? 512u << 10 : (1u << 20) << (code - 1);
}

#endif
