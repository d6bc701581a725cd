/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest driver of the NPU on the kernel's VFIO, for what npud would never do and for costs without npud:
 *   raw_npu ADDRESS reach reached|refused  a chain at its physical address, which no mapping covers
 *   raw_npu ADDRESS copy MIB               four tasks copy that much; checks every byte and says what it took
 *   raw_npu ADDRESS maps COUNT             that many mappings of one page, made and removed one by one
 * Without an IOMMU (VFIO's no-IOMMU mode) only `reach` works, and has to find the memory `reached`.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "emulator/isa.h"
#include "proto/zhouyi_regs.h"
#include "proto/zhouyi_tcb.h"

#define PAGE 4096u
#define MIB (1u << 20)
#define WAIT_NS 60000000000u
#define PCI_COMMAND 4
#define PCI_MASTER 6 /* memory and bus master */
#define IOVA_BASE 0x100000000ull /* of ASID 0 */
#define IOVA_MAPS 0x200000000ull
/* inside the page of the chain */
#define TASKS 0x80u
#define TEXT 0x400u
#define RECORD 0x800u
#define TARGET 0xf00u
#define MAGIC 0x600dcafeu

struct raw {
	int container;
	int device;
	uint64_t registers; /* offset in the device file */
	bool pci;
	bool unsafe; /* no IOMMU */
};

static void fail(const char *what)
{
	(void)fprintf(stderr, "raw_npu: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static uint32_t reg_read(const struct raw *raw, uint32_t offset)
{
	uint32_t value;

	if (pread(raw->device, &value, sizeof(value), (off_t)(raw->registers + offset)) != sizeof(value))
		fail("register read");
	return value;
}

static void reg_write(const struct raw *raw, uint32_t offset, uint32_t value)
{
	if (pwrite(raw->device, &value, sizeof(value), (off_t)(raw->registers + offset)) != sizeof(value))
		fail("register write");
}

/* ------------------------------------------------------------------ VFIO */

static int group_open(struct raw *raw, const char *address)
{
	char path[128], target[256];

	(void)snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/iommu_group", raw->pci ? "pci" : "platform",
		       address);
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		fail(path);
	target[n] = '\0';
	const char *group = strrchr(target, '/') + 1;

	(void)snprintf(path, sizeof(path), "/dev/vfio/%s", group);
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		(void)snprintf(path, sizeof(path), "/dev/vfio/noiommu-%s", group);
		fd = open(path, O_RDWR | O_CLOEXEC);
		raw->unsafe = true;
	}
	if (fd < 0)
		fail(path);
	return fd;
}

static void raw_open(struct raw *raw, const char *address)
{
	struct vfio_region_info region = {.argsz = sizeof(region), .index = 0};

	raw->pci = strchr(address, ':') != NULL;
	int group = group_open(raw, address);

	raw->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (raw->container < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &raw->container))
		fail("container");
	if (ioctl(raw->container, VFIO_SET_IOMMU, raw->unsafe ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU))
		fail("VFIO_SET_IOMMU");
	raw->device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	if (raw->device < 0 || ioctl(raw->device, VFIO_DEVICE_GET_REGION_INFO, &region))
		fail("device");
	raw->registers = region.offset;
	if (!raw->pci)
		return;
	struct vfio_region_info config = {.argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX};
	uint16_t command = PCI_MASTER;

	if (ioctl(raw->device, VFIO_DEVICE_GET_REGION_INFO, &config) ||
	    pwrite(raw->device, &command, sizeof(command), (off_t)config.offset + PCI_COMMAND) != sizeof(command))
		fail("bus master");
}

static void raw_map(const struct raw *raw, void *data, uint64_t iova, uint64_t bytes)
{
	struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
					       .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
					       .vaddr = (uintptr_t)data,
					       .iova = iova,
					       .size = bytes};

	if (ioctl(raw->container, VFIO_IOMMU_MAP_DMA, &map))
		fail("VFIO_IOMMU_MAP_DMA");
}

static void raw_unmap(const struct raw *raw, uint64_t iova, uint64_t bytes)
{
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .iova = iova, .size = bytes};

	if (ioctl(raw->container, VFIO_IOMMU_UNMAP_DMA, &unmap) || unmap.size != bytes)
		fail("VFIO_IOMMU_UNMAP_DMA");
}

static void *memory(uint64_t bytes)
{
	void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (data == MAP_FAILED || mlock(data, bytes))
		fail("memory");
	return data;
}

static uint64_t physical(const void *data)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)data / PAGE * 8)) != sizeof(entry))
		fail("pagemap");
	(void)close(fd);
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

/* ------------------------------------------------------------------ the NPU */

static void npu_start(const struct raw *raw, uint64_t head)
{
	uint32_t config;

	reg_write(raw, ZY3_SOFT_RESET, ZY_SOFT_RESET_START);
	while (reg_read(raw, ZY3_SOFT_RESET) != ZY_SOFT_RESET_DONE)
		;
	config = reg_read(raw, ZY3_CLUSTER(0, ZY3_CLUSTER_CONFIG));
	reg_write(raw, ZY3_CLUSTER(0, ZY3_CLUSTER_CONTROL), ZY3_CLUSTER_ENABLE | (config & ZY3_CLUSTER_COUNTS_MASK));
	reg_write(raw, ZY3_POOL(0, ZY3_POOL_SECURE), ZY3_POOL_NON_SECURE);
	reg_write(raw, ZY3_CMD_HANDLE, ZY3_OP_CREATE | ZY3_CMD_MAP_ALL);
	reg_write(raw, ZY3_POOL(0, ZY3_POOL_INTR_CTRL), ZY3_INTR_CTRL_DEFAULT);
	reg_write(raw, ZY3_CMD_ADDR_HIGH, (uint32_t)(head >> 32));
	reg_write(raw, ZY3_CMD_ADDR_LOW, (uint32_t)head);
	reg_write(raw, ZY3_CMD_INFO, 1);
	__sync_synchronize();
	reg_write(raw, ZY3_CMD_HANDLE, ZY3_OP_DISPATCH);
}

/* The status bits that ended the wait. */
static uint32_t npu_wait(const struct raw *raw)
{
	const uint32_t ends = ZY3_INTR_DONE | ZY3_INTR_EXCEPTION | ZY3_INTR_FAULT | ZY3_INTR_ERROR;
	uint64_t until = now_ns() + WAIT_NS;
	uint32_t status;

	do {
		(void)usleep(200);
		status = reg_read(raw, ZY3_POOL(0, ZY3_POOL_STATUS)) & ends;
	} while (!status && now_ns() < until);
	return status;
}

static void insn(uint8_t **at, struct isa_insn value)
{
	memcpy(*at, &value, sizeof(value));
	*at += sizeof(value);
}

/* `page` is what the device sees at `head`, which is the base of ASID 0 too. */
static void chain(uint8_t *page, uint64_t head, uint32_t base_offset, uint32_t tasks, uint8_t *text,
		  struct isa_insn work)
{
	static const uint32_t end[4] = ZY3_END_PACKET;
	union zy3_tcb *tcb = (void *)page;
	uint64_t base = head - base_offset;

	tcb[0].init = (struct zy3_init_tcb){.flag = ZY3_TCB_INIT,
					    .next = (uint32_t)head + TASKS,
					    .grid_id = 1,
					    .asid = {{(uint32_t)base | ZY3_TCB_ASID_RW, (uint32_t)(base >> 32)}}};
	for (uint32_t i = 0; i < tasks; i++)
		tcb[1 + i].task = (struct zy3_task_tcb){
		    .flag = ZY3_TCB_TASK | (i == tasks - 1 ? ZY3_TCB_GROUP_END : 0),
		    .next = i == tasks - 1 ? 0 : (uint32_t)head + TASKS + (i + 1) * ZY_TCB_BYTES,
		    .spc = base_offset + TEXT,
		    .interrupt_en = ZY3_TASK_INTR | (i == tasks - 1 ? ZY3_INTR_CLUSTER | ZY3_INTR_CORE : 0),
		    .grid_id = 1,
		    .task_id = (uint16_t)i,
		    .pp = base_offset + RECORD,
		    .tcbp = base_offset + TASKS + i * ZY_TCB_BYTES};
	insn(&text, (struct isa_insn){.opcode = ISA_LI, .rd = 1, .a = MAGIC});
	insn(&text, work);
	memcpy(text, end, sizeof(end));
}

/* ------------------------------------------------------------------ what it is asked for */

static int reach(const struct raw *raw, const char *expected)
{
	uint8_t *page = memory(PAGE);
	uint64_t address = physical(page);

	chain(page, address, 0, 1, page + TEXT, (struct isa_insn){.opcode = ISA_ST32, .rs2 = 1, .a = TARGET});
	npu_start(raw, address);
	uint32_t status = npu_wait(raw);
	bool reached = *(volatile uint32_t *)(void *)(page + TARGET) == MAGIC;

	(void)printf("= physical memory at %#llx was %s (%s, status %#x)\n", (unsigned long long)address,
		     reached ? "reached" : "refused", raw->unsafe ? "no IOMMU" : "IOMMU", status);
	return strcmp(expected, reached ? "reached" : "refused") != 0;
}

static void copy_record(struct isa_record *record, uint32_t to, uint32_t from, uint32_t words)
{
	record->op = ISA_T_COPY;
	record->bytes = sizeof(*record) + 2 * sizeof(record->operand[0]);
	record->split = 0;
	record->operand_count = 2;
	for (int i = 0; i < 2; i++)
		record->operand[i] = (struct isa_operand){.addr = i ? from : to,
							  .dtype = 0xb, /* float: nothing is looked at */
							  .rank = 1,
							  .dims = {words},
							  .strides = {1}};
}

static int copy(const struct raw *raw, uint32_t mib)
{
	uint32_t bytes = mib * MIB, words = bytes / 4, base = MIB, from = 2 * MIB, to = from + bytes;
	uint8_t *data = memory(from - base + 2ull * bytes);
	uint32_t *source = (void *)(data + from - base);
	uint64_t start, mapped, ran, unmapped;

	for (uint32_t i = 0; i < words; i++)
		source[i] = i * 2654435761u >> 2; /* no NaN */
	start = now_ns();
	raw_map(raw, data, IOVA_BASE + base, from - base + 2ull * bytes);
	mapped = now_ns();
	copy_record((void *)(data + RECORD), to, from, words);
	chain(data, IOVA_BASE + base, base, 4, data + TEXT,
	      (struct isa_insn){.opcode = ISA_TENSOR, .a = ISA_T_COPY, .c = sizeof(struct isa_record) + 160});
	npu_start(raw, IOVA_BASE + base);
	uint32_t status = npu_wait(raw);

	ran = now_ns();
	bool same = memcmp(data + (to - base), source, bytes) == 0;
	uint64_t again = now_ns();

	raw_unmap(raw, IOVA_BASE + base, from - base + 2ull * bytes);
	unmapped = now_ns();
	(void)printf("= %u MiB copied: %s, status %#x; map %llu us, copy %llu us, unmap %llu us\n", mib,
		     same ? "equal" : "DIFFERENT", status, (unsigned long long)(mapped - start) / 1000,
		     (unsigned long long)(ran - mapped) / 1000, (unsigned long long)(unmapped - again) / 1000);
	return !same || status != ZY3_INTR_DONE;
}

static int maps(const struct raw *raw, uint32_t count)
{
	uint8_t *data = memory(PAGE);
	uint64_t start = now_ns();

	for (uint32_t i = 0; i < count; i++)
		raw_map(raw, data, IOVA_MAPS + (uint64_t)i * 2 * PAGE, PAGE);
	uint64_t mapped = now_ns();

	for (uint32_t i = 0; i < count; i++)
		raw_unmap(raw, IOVA_MAPS + (uint64_t)i * 2 * PAGE, PAGE);
	(void)printf("= %u mappings of a page: made in %llu us, removed in %llu us\n", count,
		     (unsigned long long)(mapped - start) / 1000, (unsigned long long)(now_ns() - mapped) / 1000);
	return 0;
}

int main(int argc, char **argv)
{
	struct raw raw = {0};

	if (argc != 4) {
		(void)fputs("usage: raw_npu ADDRESS reach reached|refused | copy MIB | maps COUNT\n", stderr);
		return 2;
	}
	raw_open(&raw, argv[1]);
	if (strcmp(argv[2], "reach") == 0)
		return reach(&raw, argv[3]);
	if (strcmp(argv[2], "copy") == 0)
		return copy(&raw, (uint32_t)strtoul(argv[3], NULL, 10));
	return maps(&raw, (uint32_t)strtoul(argv[3], NULL, 10));
}
