/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfio-user conversations: what a client does to the software NPU (steps of fuzz_vfu_server.c), and what a server
 * answers to the daemon (steps of fuzz_vfu_client.c).
 */
#include <string.h>

#include "emulator/isa.h"
#include "proto/vfio_user.h"
#include "proto/zhouyi_regs.h"
#include "proto/zhouyi_tcb.h"
#include "tests/fuzz/seeds.h"

static struct seed out;
static uint16_t id;

static void step_header(uint8_t kind, size_t bytes)
{
	uint16_t length = (uint16_t)bytes;

	seed_add(&out, &kind, 1);
	seed_add(&out, &length, sizeof(length));
}

/* A whole message as one step of raw bytes; `kind` 0x80 sends the memory along. */
static void message_with(uint8_t kind, uint16_t command, uint32_t flags, const void *payload, size_t bytes,
			 const void *more, size_t more_bytes)
{
	struct vfu_header header = {
	    .id = id,
	    .command = command,
	    .size = (uint32_t)(sizeof(header) + bytes + more_bytes),
	    .flags = flags,
	};

	step_header(kind, header.size);
	seed_add(&out, &header, sizeof(header));
	seed_add(&out, payload, bytes);
	seed_add(&out, more, more_bytes);
	id++;
}

static void message(uint16_t command, uint32_t flags, const void *payload, size_t bytes, const void *more,
		    size_t more_bytes)
{
	message_with(0, command, flags, payload, bytes, more, more_bytes);
}

static void version(uint32_t flags)
{
	static const char json[] = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576}}";
	struct vfu_version body = {.major = 0, .minor = 0};

	message(VFU_VERSION, flags, &body, sizeof(body), json, sizeof(json));
}

static void reg_write(uint32_t offset, uint32_t value)
{
	struct vfu_region_access body = {.offset = offset, .region = VFU_REGION_BAR0, .count = 4};

	message(VFU_REGION_WRITE, VFU_FLAG_NO_REPLY, &body, sizeof(body), &value, sizeof(value));
}

static void region_read(uint32_t region, uint32_t offset, uint32_t count)
{
	struct vfu_region_access body = {.offset = offset, .region = region, .count = count};

	message(VFU_REGION_READ, 0, &body, sizeof(body), NULL, 0);
}

static void attach(void)
{
	struct vfu_device_info info = {.argsz = sizeof(info)};
	struct vfu_irq_info irq = {.argsz = sizeof(irq), .index = VFU_IRQ_MSIX};

	out.bytes = 0;
	id = 0;
	version(0);
	message(VFU_DEVICE_GET_INFO, 0, &info, sizeof(info), NULL, 0);
	for (uint32_t i = 0; i < VFU_REGION_COUNT; i++) {
		struct vfu_region_info region = {.argsz = sizeof(region), .index = i};
		message(VFU_DEVICE_GET_REGION_INFO, 0, &region, sizeof(region), NULL, 0);
	}
	message(VFU_DEVICE_GET_IRQ_INFO, 0, &irq, sizeof(irq), NULL, 0);
	region_read(VFU_REGION_CONFIG, 0, 256);
}

#define BUS 0x10000u /* where the memory is mapped */
#define TEXT (BUS + 0x800)

static void memory(uint32_t offset, const void *data, size_t bytes)
{
	uint16_t at = (uint16_t)(offset / 16);

	step_header(1, sizeof(at) + bytes);
	seed_add(&out, &at, sizeof(at));
	seed_add(&out, data, bytes);
}

/* One job of one group: init, two segment-MMU blocks, four tasks that run `text`. */
static void chain(const void *text, size_t text_bytes)
{
	union zy3_tcb tcb[7];

	memset(tcb, 0, sizeof(tcb));
	tcb[0].init.flag = ZY3_TCB_INIT | 3u << ZY3_TCB_SEGMMU_SHIFT;
	tcb[0].init.next = BUS + 3 * ZY_TCB_BYTES;
	tcb[0].init.asid[0].lo = tcb[0].init.asid[1].lo = ZY3_TCB_ASID_RW;
	tcb[1].segmmu.even.ctrl = tcb[1].segmmu.odd.ctrl = tcb[2].segmmu.even.ctrl = ZY3_SEGMMU_CTRL_DEFAULT;
	for (uint32_t i = 0; i < 4; i++) {
		struct zy3_task_tcb *task = &tcb[3 + i].task;
		task->flag = ZY3_TCB_TASK | (i == 3 ? ZY3_TCB_GROUP_END : 0);
		task->next = i == 3 ? 0 : BUS + (4 + i) * ZY_TCB_BYTES;
		task->spc = TEXT;
		task->interrupt_en = ZY3_TASK_INTR | (i == 3 ? ZY3_INTR_CORE | ZY3_INTR_CLUSTER : 0);
		task->task_id = (uint16_t)i;
		task->group_dim[0] = 4;
		task->sp = BUS + 0x4000;
		task->pp = BUS + 0x1000;
		task->dp = BUS + 0x2000;
		task->pprint = BUS + 0x3000 + i * 1024;
		task->tcbp = BUS + (3 + i) * ZY_TCB_BYTES;
	}
	memory(0, tcb, sizeof(tcb));
	memory(TEXT - BUS, text, text_bytes);
}

static void dispatch(void)
{
	reg_write(ZY3_CLUSTER(0, ZY3_CLUSTER_CONTROL), 0x1314);
	reg_write(ZY3_POOL(0, ZY3_POOL_INTR_CTRL), ZY3_INTR_CTRL_WITH_TEC);
	reg_write(ZY3_CMD_HANDLE, ZY3_OP_CREATE | ZY3_CMD_MAP_ALL);
	region_read(VFU_REGION_BAR0, ZY3_TSM_STATUS, 4);
	reg_write(ZY3_CMD_ADDR_HIGH, 0);
	reg_write(ZY3_CMD_ADDR_LOW, BUS);
	reg_write(ZY3_CMD_HANDLE, ZY3_OP_DISPATCH);
	step_header(3, 0);
	region_read(VFU_REGION_BAR0, ZY3_POOL(0, ZY3_POOL_INTR_STATUS), 4);
	region_read(VFU_REGION_BAR0, ZY3_POOL(0, ZY3_POOL_SIGNAL_FLAG), 4);
	reg_write(ZY3_POOL(0, ZY3_POOL_STATUS), ZY3_INTR_TYPES);
	step_header(3, 0);
	reg_write(ZY3_CMD_HANDLE, ZY3_OP_DISPATCH);
	step_header(3, 0);
	reg_write(ZY3_CMD_HANDLE, ZY3_OP_ABORT);
}

static void run_seed(const struct isa_insn *program, size_t count, const char *name)
{
	static const uint32_t end_packet[4] = ZY3_END_PACKET;
	struct vfu_dma_map map = {
	    .argsz = sizeof(map), .flags = VFU_DMA_FLAG_READ | VFU_DMA_FLAG_WRITE, .address = BUS, .size = 0x10000};
	uint8_t text[16 * ISA_INSN_BYTES];

	memcpy(text, program, count * ISA_INSN_BYTES);
	memcpy(text + count * ISA_INSN_BYTES, end_packet, sizeof(end_packet));
	attach();
	message_with(0x80, VFU_DMA_MAP, 0, &map, sizeof(map), NULL, 0);
	chain(text, (count + 1) * ISA_INSN_BYTES);
	dispatch();
	seed_write(&out, "vfu_server", name);
}

static void run_seeds(void)
{
	const struct isa_insn none[1] = {{.opcode = 0xff}};
	const struct isa_insn moves[] = {
	    {.opcode = ISA_SREG, .rd = 1, .a = ISA_SREG_DP},   {.opcode = ISA_LI, .rd = 2, .a = 8},
	    {.opcode = ISA_ST32, .rs1 = 1, .rs2 = 2, .a = 16}, {.opcode = ISA_LD32, .rd = 3, .rs1 = 1, .a = 16},
	    {.opcode = ISA_LOOP, .rd = 2, .a = (uint32_t)-32}, {.opcode = ISA_BARRIER}};
	const struct isa_insn talks[] = {{.opcode = ISA_PRINT, .rs1 = 0, .a = BUS, .b = 16},
					 {.opcode = ISA_SIGNAL, .a = ZY3_SIGNAL_PROFILER},
					 {.opcode = ISA_EXCEPTION, .a = 5}};
	const struct isa_insn spins[] = {{.opcode = ISA_SPIN}};
	const struct isa_insn tensor[] = {{.opcode = ISA_TENSOR, .a = ISA_T_FILL, .c = 104}};

	run_seed(none, 0, "run-end");
	run_seed(none, 1, "run-illegal");
	run_seed(moves, 6, "run-moves");
	run_seed(talks, 3, "run-signals");
	run_seed(spins, 1, "run-spin");
	run_seed(tensor, 1, "run-tensor");
}

static void server_seeds(void)
{
	struct vfu_irq_set set = {
	    .argsz = sizeof(set), .flags = VFU_IRQ_SET_DATA_NONE | VFU_IRQ_SET_ACTION_TRIGGER, .index = VFU_IRQ_MSIX};
	struct vfu_irq_set arm = {.argsz = sizeof(arm),
				  .flags = VFU_IRQ_SET_DATA_EVENTFD | VFU_IRQ_SET_ACTION_TRIGGER,
				  .index = VFU_IRQ_MSIX,
				  .count = 1};
	struct vfu_dma_map map = {
	    .argsz = sizeof(map), .flags = VFU_DMA_FLAG_READ | VFU_DMA_FLAG_WRITE, .address = BUS, .size = 0x10000};
	struct vfu_dma_unmap unmap = {.argsz = sizeof(unmap), .address = BUS, .size = 0x10000};
	struct vfu_dma_unmap all = {.argsz = sizeof(all), .flags = VFU_UNMAP_FLAG_ALL};
	uint32_t command = 0x0406;
	struct vfu_region_access config = {.offset = 4, .region = VFU_REGION_CONFIG, .count = 2};

	attach();
	message(VFU_DEVICE_SET_IRQS, 0, &set, sizeof(set), NULL, 0);
	message_with(0x80, VFU_DEVICE_SET_IRQS, 0, &arm, sizeof(arm), NULL, 0);
	message(VFU_REGION_WRITE, 0, &config, sizeof(config), &command, 2);
	message(VFU_DMA_MAP, 0, &map, sizeof(map), NULL, 0);
	reg_write(ZY3_SOFT_RESET, ZY_SOFT_RESET_START);
	region_read(VFU_REGION_BAR0, ZY_REVISION, 4);
	region_read(VFU_REGION_BAR0, ZY3_SOFT_RESET, 4);
	dispatch();
	message(VFU_DMA_UNMAP, 0, &unmap, sizeof(unmap), NULL, 0);
	message(VFU_DMA_UNMAP, 0, &all, sizeof(all), NULL, 0);
	message(VFU_DEVICE_RESET, 0, NULL, 0, NULL, 0);
	seed_write(&out, "vfu_server", "attach-without-memory");
	run_seeds();
	out.bytes = 0;
	version(0);
	message(VFU_REGION_WRITE_MULTI, 0, &map, 8, NULL, 0);
	message(VFU_DEVICE_FEATURE, 0, &map, 8, NULL, 0);
	message(99, 0, NULL, 0, NULL, 0);
	seed_write(&out, "vfu_server", "refused");
}

/* One step of fuzz_vfu_client.c: answer the next command with these bytes (kind 1), or ask for something (kind 3). */
static void step(uint8_t kind, const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
	step_header(kind, a_bytes + b_bytes);
	seed_add(&out, a, a_bytes);
	seed_add(&out, b, b_bytes);
}

static void answer_access(uint32_t region, uint32_t offset, uint32_t count, uint32_t value, int read)
{
	struct vfu_region_access body = {.offset = offset, .region = region, .count = count};

	step(1, &body, sizeof(body), &value, read ? count : 0);
}

/* Answers in the order in which the daemon asks when it opens and uses a device. */
static void client_seeds(void)
{
	static const char json[] = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":65536,\"pgsizes\":4096,"
				   "\"max_dma_maps\":65535}}";
	struct vfu_version version_body = {.major = 0, .minor = 2};
	struct vfu_device_info info = {.argsz = sizeof(info),
				       .flags = VFU_DEVICE_FLAG_RESET | VFU_DEVICE_FLAG_PCI,
				       .num_regions = 9,
				       .num_irqs = 5};
	struct vfu_region_info region = {.argsz = sizeof(region),
					 .flags = VFU_REGION_FLAG_READ | VFU_REGION_FLAG_WRITE,
					 .index = VFU_REGION_BAR0,
					 .size = 16384};
	struct vfu_irq_info irq = {
	    .argsz = sizeof(irq), .flags = VFU_IRQ_INFO_EVENTFD, .index = VFU_IRQ_MSIX, .count = 1};
	struct vfu_dma_access dma = {.address = 0x100000000, .count = 16};
	struct vfu_dma_unmap unmap = {.argsz = sizeof(unmap), .address = 0x100000000, .size = 4096};
	uint8_t command = VFU_DMA_READ;

	out.bytes = 0;
	step(1, &version_body, sizeof(version_body), json, sizeof(json));
	step(1, &info, sizeof(info), NULL, 0);
	answer_access(VFU_REGION_CONFIG, 0x08, 4, 0x12000001, 1);
	answer_access(VFU_REGION_CONFIG, 0x04, 2, 0, 1);
	answer_access(VFU_REGION_CONFIG, 0x04, 2, 0, 0);
	step(1, &region, sizeof(region), NULL, 0);
	step(1, &irq, sizeof(irq), NULL, 0);
	step(1, NULL, 0, NULL, 0); /* SET_IRQS */
	step(3, &command, 1, &dma, sizeof(dma)); /* nothing is mapped yet */
	step(1, NULL, 0, NULL, 0); /* DMA_MAP */
	step(3, &command, 1, &dma, sizeof(dma));
	for (uint32_t offset = 0; offset < 0x60; offset += 0x10)
		answer_access(VFU_REGION_BAR0, offset, 4, offset, 1);
	step(1, NULL, 0, NULL, 0); /* RESET */
	step(1, &unmap, sizeof(unmap), NULL, 0);
	seed_write(&out, "vfu_client", "open-use-close");
	out.bytes = 0;
	step(2, "\x16", 1, NULL, 0);
	seed_write(&out, "vfu_client", "version-refused");
	out.bytes = 0;
	step(0, "GET / HTTP/1.0\r\n\r\n", 18, NULL, 0);
	seed_write(&out, "vfu_client", "not-vfio-user");
}

void seeds_vfu(void)
{
	server_seeds();
	client_seeds();
}
