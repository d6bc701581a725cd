/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status registers of the V3 generation that may be read at any time: docs/hardware/registers.md lists the same.
 * None of them changes by being read. The debug windows are not among them: they take a write first.
 */
#include "daemon/npu/v3.h"

#define POOL(reg) ZY3_POOL(V3_POOL, reg)
#define CLUSTER(reg) ZY3_CLUSTER(V3_CLUSTER, reg)
#define BIT(name, bit)                                                                                                 \
	{                                                                                                              \
		name, (uint32_t)__builtin_ctz(bit), 1                                                                  \
	}

/* By offset. */
static const struct npu_register list[] = {
    {"CMD_INFO", ZY3_CMD_INFO, 0, {{"tag", 0, 0xffff}}},
    {"CMD_ADDR_HIGH", ZY3_CMD_ADDR_HIGH, 0, {{"", 0, 0}}},
    {"CMD_ADDR_LOW", ZY3_CMD_ADDR_LOW, 0, {{"", 0, 0}}},
    {"TSM_BUILD_INFO",
     ZY3_TSM_BUILD_INFO,
     0,
     {{"more_partitions", ZY3_BUILD_PARTITIONS_SHIFT, 3}, {"pools", ZY3_BUILD_POOLS_SHIFT, 0xf}}},
    {"TSM_STATUS", ZY3_TSM_STATUS, 0, {BIT("failed", ZY3_TSM_FAILED), {"full", 0, ZY3_TSM_FULL_MASK}}},
    {"SOFT_RESET", ZY3_SOFT_RESET, 0, {BIT("running", ZY_SOFT_RESET_START), BIT("done", ZY_SOFT_RESET_DONE)}},
    {"REVISION", ZY_REVISION, 0, {{"", 0, 0}}},
    {"TICK_LOW", ZY3_TICK_LOW, 0, {{"", 0, 0}}},
    {"TICK_HIGH", ZY3_TICK_HIGH, 0, {{"", 0, 0}}},
    {"TICK_CTRL", ZY3_TICK_CTRL, 0, {BIT("stopped", 1u)}},
    {"POOL0_CONFIG", POOL(ZY3_POOL_CONFIG), 0, {{"partition", 0, 0xf}}},
    {"POOL0_STATUS",
     POOL(ZY3_POOL_STATUS),
     0,
     {{"cluster", ZY3_INTR_CLUSTER_ID_SHIFT, 0xff}, BIT("idle", ZY3_STATUS_IDLE), {"types", 0, ZY3_INTR_TYPES}}},
    {"POOL0_INTR_CTRL",
     POOL(ZY3_POOL_INTR_CTRL),
     0,
     {{"levels", 8, ZY3_INTR_LEVELS >> 8}, {"types", 0, ZY3_INTR_TYPES}}},
    {"POOL0_INTR_STATUS",
     POOL(ZY3_POOL_INTR_STATUS),
     0,
     {{"cluster", ZY3_INTR_CLUSTER_ID_SHIFT, 0xff},
      {"core", ZY3_INTR_CORE_ID_SHIFT, 0xf},
      {"tec", ZY3_INTR_TEC_ID_SHIFT, 0xf},
      {"levels", 8, ZY3_INTR_LEVELS >> 8},
      {"types", 0, ZY3_INTR_TYPES}}},
    {"POOL0_IRQ_SIG", POOL(ZY3_POOL_IRQ_SIG), 0, {{"waiting", ZY3_IRQ_SIG_COUNT_SHIFT, 0xffff}, {"first", 0, 0x7fff}}},
    {"POOL0_FIRST_BAD_CMD", POOL(ZY3_POOL_FIRST_BAD_CMD), 0, {BIT("valid", ZY3_FIRST_BAD_VALID), {"tag", 0, 0xffff}}},
    {"POOL0_SECURE", POOL(ZY3_POOL_SECURE), 0, {BIT("non_secure", ZY3_POOL_NON_SECURE)}},
    {"POOL0_SIGNAL_FLAG",
     POOL(ZY3_POOL_SIGNAL_FLAG),
     0,
     {BIT("hw_exception", ZY3_SIGNAL_HW_EXCEPTION),
      BIT("sw_exception", ZY3_SIGNAL_SW_EXCEPTION),
      BIT("print", ZY3_SIGNAL_PRINT),
      BIT("profiler", ZY3_SIGNAL_PROFILER),
      {"code", 0, ZY3_SIGNAL_CODE_MASK}}},
    {"POOL0_TCB_PTR", POOL(ZY3_POOL_TCB_PTR), 0, {{"", 0, 0}}},
    {"CLUSTER0_CONFIG",
     CLUSTER(ZY3_CLUSTER_CONFIG),
     0,
     {BIT("present", ZY3_CLUSTER_PRESENT),
      {"cores", ZY3_CLUSTER_CORES_SHIFT, 0xf},
      {"aiffs", ZY3_CLUSTER_AIFFS_SHIFT, 0xf},
      {"tecs", ZY3_CLUSTER_TECS_SHIFT, 0xf}}},
    {"CLUSTER0_CONTROL",
     CLUSTER(ZY3_CLUSTER_CONTROL),
     0,
     {{"partition", ZY3_CLUSTER_PARTITION_SHIFT, 3},
      BIT("enabled", ZY3_CLUSTER_ENABLE),
      {"cores", ZY3_CLUSTER_CORES_SHIFT, 0xf},
      {"aiffs", ZY3_CLUSTER_AIFFS_SHIFT, 0xf},
      {"tecs", ZY3_CLUSTER_TECS_SHIFT, 0xf}}},
};

#define COUNT (sizeof(list) / sizeof(list[0]))
_Static_assert(COUNT <= NPU_MAX_REGISTERS, "the list fits");

int v3_registers(struct npu_device *npu, struct npu_register out[NPU_MAX_REGISTERS])
{
	struct v3 *v3 = (struct v3 *)npu;
	int rc = 0;

	for (size_t i = 0; i < COUNT && rc == 0; i++) {
		out[i] = list[i];
		/* Of all ones, which some may have, the revision tells whether anybody answers. */
		rc = list[i].offset == ZY_REVISION ? v3_read_live(v3, list[i].offset, &out[i].value)
						   : v3_read(v3, list[i].offset, &out[i].value);
	}
	return rc ? rc : (int)COUNT;
}
