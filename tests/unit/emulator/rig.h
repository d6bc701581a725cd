/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bench for the software NPU without a server: a device, 16 MiB of client memory, and words for programs and chains.
 * Waits end after ten seconds with a failed check, never by sleeping a guessed time.
 */
#ifndef NPUD_TESTS_EMULATOR_RIG_H
#define NPUD_TESTS_EMULATOR_RIG_H

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emulator/device.h"
#include "emulator/dma.h"
#include "emulator/log.h"
#include "tests/unit/suite.h"

#define RIG_BASE 0x340000000ull /* bus address of the memory: ASID bases point here */
#define RIG_BYTES (16u << 20)
#define RIG_WAIT_MS 10000

/* NPU addresses (relative to RIG_BASE) that tests use */
#define RIG_CHAIN 0x1000u
#define RIG_HOLD 0x3000u
#define RIG_TEXT 0x10000u
#define RIG_PARAM 0x20000u
#define RIG_DATA 0x100000u

struct rig {
	struct dma *dma;
	struct device *device;
	int memfd;
	int irq_fd;
	uint8_t *memory;
	atomic_int level;
	int fds_before;
};

static inline int rig_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline void rig_irq(void *ctx, bool level, bool pulse)
{
	struct rig *rig = ctx;
	uint64_t one = 1;

	atomic_store(&rig->level, level);
	if (pulse)
		ck_assert_int_eq((int)write(rig->irq_fd, &one, sizeof(one)), (int)sizeof(one));
}

static inline void rig_open_with(struct rig *rig, const struct device_options *options)
{
	*rig = (struct rig){.fds_before = rig_count_fds()};
	rig->memfd = memfd_create("rig", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(rig->memfd, RIG_BYTES), 0);
	rig->memory = mmap(NULL, RIG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, rig->memfd, 0);
	ck_assert_ptr_ne(rig->memory, MAP_FAILED);
	rig->irq_fd = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE | EFD_CLOEXEC);
	rig->dma = dma_new();
	ck_assert_int_eq(device_new(options, rig->dma, &rig->device), 0);
	rig->device->irq = rig_irq;
	rig->device->irq_ctx = rig;
	ck_assert_int_eq(dma_map_add(rig->dma, rig->memfd, 0, RIG_BASE, RIG_BYTES, DMA_ACCESS_READ | DMA_ACCESS_WRITE),
			 0);
}

static inline void rig_open(struct rig *rig)
{
	const struct device_options options = {.cores = 3, .threads = 2, .gm_mib = 4};

	rig_open_with(rig, &options);
}

static inline void rig_close(struct rig *rig)
{
	device_free(rig->device);
	ck_assert_uint_le(dma_map_count(rig->dma), 8);
	dma_free(rig->dma);
	munmap(rig->memory, RIG_BYTES);
	close(rig->memfd);
	close(rig->irq_fd);
	ck_assert_int_eq(rig_count_fds(), rig->fds_before);
}

/* ------------------------------------------------------------------ registers */

static inline uint32_t rig_r(struct rig *rig, uint32_t offset)
{
	return regs_read(rig->device, offset);
}

static inline void rig_w(struct rig *rig, uint32_t offset, uint32_t value)
{
	regs_write(rig->device, offset, value);
}

#define RIG_STATUS 0x804u
#define RIG_INTR_CTRL 0x808u
#define RIG_INTR_STATUS 0x80cu
#define RIG_IRQ_SIG 0x810u
#define RIG_FIRST_BAD 0x814u
#define RIG_LAST_CMD 0x818u
#define RIG_SIGNAL_FLAG 0x820u
#define RIG_TCB_PTR 0x824u

/* What a driver does after it found the device. */
static inline void rig_init(struct rig *rig)
{
	rig_w(rig, 0x20, 1);
	ck_assert_uint_eq(rig_r(rig, 0x20), 2);
	rig_w(rig, 0xc04, 0x1014 | rig->device->options.cores << 8);
	rig_w(rig, 0x800, 0);
	rig_w(rig, 0x81c, 1);
	rig_w(rig, RIG_INTR_CTRL, 0x73d);
	rig_w(rig, 0x68, 3);
	rig_w(rig, 0x0, 0x1001);
	ck_assert_uint_eq(rig_r(rig, 0x18), 0);
}

static inline void rig_head(struct rig *rig, uint32_t address)
{
	rig_w(rig, 0x8, (uint32_t)(RIG_BASE >> 32));
	rig_w(rig, 0xc, (uint32_t)RIG_BASE + address);
}

static inline void rig_dispatch(struct rig *rig, uint32_t address, uint16_t tag)
{
	rig_head(rig, address);
	rig_w(rig, 0x4, tag);
	rig_w(rig, 0x0, 4);
	ck_assert_uint_eq(rig_r(rig, 0x18), 0);
}

/* The next presented interrupt: its INTR_STATUS. */
static inline uint32_t rig_wait(struct rig *rig)
{
	struct pollfd fd = {.fd = rig->irq_fd, .events = POLLIN};
	uint64_t one;

	ck_assert_msg(poll(&fd, 1, RIG_WAIT_MS) == 1, "no interrupt");
	ck_assert_int_eq((int)read(rig->irq_fd, &one, sizeof(one)), (int)sizeof(one));
	return rig_r(rig, RIG_INTR_STATUS);
}

/* Waits for an interrupt, checks its level and types (low 12 bits) and TCB, acknowledges it. */
static inline void rig_expect(struct rig *rig, uint32_t bits, uint32_t tcb)
{
	uint32_t status = rig_wait(rig);

	ck_assert_uint_eq(status & 0xfff, bits);
	ck_assert_uint_eq(rig_r(rig, RIG_TCB_PTR), tcb);
	rig_w(rig, RIG_STATUS, bits & 0x3d);
}

static inline bool rig_idle(struct rig *rig)
{
	rig_w(rig, 0x1f00, 0x1000);
	uint32_t status = rig_r(rig, 0x2004);
	rig_w(rig, 0x1f00, 0);
	return (status & 0x60) == 0x60;
}

static inline void rig_wait_idle(struct rig *rig)
{
	uint64_t until = emu_now_ns() + RIG_WAIT_MS * 1000000ull;

	while (!rig_idle(rig))
		ck_assert_msg(emu_now_ns() < until, "the device stays busy");
}

/* Everything queued has been done: idle, and the pool can be destroyed. */
static inline void rig_drain(struct rig *rig)
{
	uint64_t until = emu_now_ns() + RIG_WAIT_MS * 1000000ull;

	for (;;) {
		rig_wait_idle(rig);
		rig_w(rig, 0x8, 0);
		rig_w(rig, 0xc, 0);
		rig_w(rig, 0x0, 2);
		if (!rig_r(rig, 0x18))
			return;
		rig_w(rig, 0x18, 0);
		ck_assert_msg(emu_now_ns() < until, "the pool stays busy");
	}
}

static inline struct device_stats rig_stats(struct rig *rig)
{
	pthread_mutex_lock(&rig->device->lock);
	struct device_stats stats = rig->device->stats;
	pthread_mutex_unlock(&rig->device->lock);

	return stats;
}

/* Waits until that many groups have finished. */
static inline void rig_await_groups(struct rig *rig, uint64_t groups)
{
	uint64_t until = emu_now_ns() + RIG_WAIT_MS * 1000000ull;

	while (rig_stats(rig).groups < groups)
		ck_assert_msg(emu_now_ns() < until, "groups do not finish");
}

static inline void rig_expect_silence(struct rig *rig)
{
	uint64_t one;

	ck_assert_int_lt((int)read(rig->irq_fd, &one, sizeof(one)), 0);
	ck_assert_uint_eq(rig_r(rig, RIG_INTR_STATUS), 0);
	ck_assert_int_eq(atomic_load(&rig->level), 0);
}

/* ------------------------------------------------------------------ memory, programs, chains */

static inline uint32_t *rig_word(struct rig *rig, uint32_t address)
{
	return (uint32_t *)(void *)(rig->memory + address);
}

static inline uint32_t rig_get(struct rig *rig, uint32_t address)
{
	return __atomic_load_n(rig_word(rig, address), __ATOMIC_SEQ_CST);
}

static inline uint32_t rig_insn(struct rig *rig, uint32_t at, struct isa_insn insn)
{
	memcpy(rig->memory + at, &insn, sizeof(insn));
	return at + ISA_INSN_BYTES;
}
/* Unnamed fields of an instruction are 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define INSN(...) ((struct isa_insn){__VA_ARGS__})

static inline uint32_t rig_end(struct rig *rig, uint32_t at)
{
	static const uint32_t end[4] = ZY3_END_PACKET;

	memcpy(rig->memory + at, end, sizeof(end));
	return at + ISA_INSN_BYTES;
}

static inline uint32_t rig_next(uint32_t address)
{
	return address ? (uint32_t)RIG_BASE + address : 0;
}

static inline union zy3_tcb *rig_tcb(struct rig *rig, uint32_t at)
{
	return (union zy3_tcb *)(void *)(rig->memory + at);
}

/* An init TCB at `at` whose ASID0 and 1 are the rig's memory; returns the address behind it. */
static inline uint32_t rig_init_tcb(struct rig *rig, uint32_t at, uint32_t next)
{
	union zy3_tcb *tcb = rig_tcb(rig, at);

	memset(tcb, 0, sizeof(*tcb));
	tcb->init.next = rig_next(next);
	for (int i = 0; i < 2; i++)
		tcb->init.asid[i] =
		    (struct zy_asid_word){(uint32_t)RIG_BASE | ZY3_TCB_ASID_RW, (uint32_t)(RIG_BASE >> 32)};
	return at + ZY_TCB_BYTES;
}

/*
 * A group of `count` tasks at `at`, all running `text`; `intr` is added to the last task's enables. `next` follows.
 * Returns the address of the last task's TCB.
 */
static inline uint32_t rig_group(struct rig *rig, uint32_t at, uint32_t count, uint32_t text, uint32_t flags,
				 uint32_t intr, uint32_t next)
{
	for (uint32_t t = 0; t < count; t++, at += ZY_TCB_BYTES) {
		union zy3_tcb *tcb = rig_tcb(rig, at);
		bool last = t + 1 == count;

		memset(tcb, 0, sizeof(*tcb));
		tcb->task.flag = ZY3_TCB_TASK | (t == 0 ? flags & ZY3_TCB_DEP_MASK : 0) |
				 (last ? (flags & ~ZY3_TCB_DEP_MASK) | ZY3_TCB_GROUP_END : 0);
		tcb->task.next = last ? rig_next(next) : rig_next(at + ZY_TCB_BYTES);
		tcb->task.spc = text;
		tcb->task.interrupt_en = ZY3_TASK_INTR | (last ? intr : 0);
		tcb->task.task_id = (uint16_t)t;
		tcb->task.group_dim[0] = (uint16_t)count;
		tcb->task.pp = RIG_PARAM;
		tcb->task.tcbp = at;
	}
	return at - ZY_TCB_BYTES;
}

/* init + one group at RIG_CHAIN; returns the last task's address. */
static inline uint32_t rig_chain(struct rig *rig, uint32_t count, uint32_t intr)
{
	uint32_t first = rig_init_tcb(rig, RIG_CHAIN, RIG_CHAIN + ZY_TCB_BYTES);

	return rig_group(rig, first, count, RIG_TEXT, 0, intr, 0);
}

static inline void rig_abort(struct rig *rig)
{
	rig_w(rig, 0x0, 3);
	ck_assert_uint_eq(rig_r(rig, 0x18), 0);
	rig_wait_idle(rig);
}

#endif
