/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The no-op job on the device without npud: the smallest driver that the device accepts, on the daemon's own register
 * and transport layers. Chains live in a ring and are linked behind each other, as npud does it.
 */
#include "tests/bench/bench.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/npu/npu.h"
#include "daemon/npu/v3_tcb.h"
#include "proto/zhouyi_tcb.h"

#define BASE 0x100000000ull /* of ASID0 */
#define MEMORY_OFFSET 0x100000u
#define MEMORY_BYTES 0x200000u
#define TEXT_OFFSET 0u
#define RODATA_OFFSET 0x1000u
#define STACK_OFFSET 0x2000u
#define STACK_BYTES 0x1000u
#define RING_OFFSET 0x10000u
#define RING 128u
#define CHAIN_MAX 32u
#define WAIT_MS 2000
#define WARM_UP 50u

struct direct {
	struct vfio_device *vfio;
	struct npu_device *npu;
	uint8_t *memory;
	uint32_t tcbs; /* in one chain */
	uint64_t submitted, completed;
};

static union zy3_tcb *chain_at(const struct direct *direct, uint64_t job)
{
	return (union zy3_tcb *)(void *)(direct->memory + RING_OFFSET + job % RING * ZY_TCB_CHAIN_ALIGN);
}

static uint32_t chain_offset(uint64_t job)
{
	return MEMORY_OFFSET + RING_OFFSET + (uint32_t)(job % RING) * ZY_TCB_CHAIN_ALIGN;
}

static void chain_write(struct direct *direct, uint64_t job)
{
	const iova_t asid1 = {BASE};
	const struct v3_group group = {.text = {MEMORY_OFFSET + TEXT_OFFSET},
				       .parameters = {MEMORY_OFFSET + RODATA_OFFSET},
				       .stack = {MEMORY_OFFSET + STACK_OFFSET},
				       .stack_stride = STACK_BYTES};
	const struct v3_job description = {.cores = direct->npu->identity.cores,
					   .tecs = direct->npu->identity.tecs,
					   .grid_id = (uint16_t)(job % 1000 + 1),
					   .bss_count = 1,
					   .asid1 = &asid1,
					   .asid0 = {BASE},
					   .group_count = 1,
					   .groups = &group};

	direct->tcbs = v3_chain_tcbs(&description);
	if (direct->tcbs == 0 || direct->tcbs > CHAIN_MAX ||
	    v3_chain_encode(&description, (iova_t){BASE + chain_offset(job)}, chain_at(direct, job)) < 0)
		bench_fail("the chain of the no-op job cannot be encoded");
}

static void direct_start(struct direct *direct)
{
	uint64_t job = direct->submitted;
	iova_t head = {BASE + chain_offset(job)};

	chain_write(direct, job);
	if (job > 0)
		v3_tcb_set_next(chain_at(direct, job - 1) + direct->tcbs - 1, head);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	int error = direct->npu->ops->dispatch(direct->npu, head, job == 0, 0);
	if (error)
		bench_fail("the device does not take no-op job %llu: %s", (unsigned long long)job, strerror(-error));
	direct->submitted++;
}

/* Jobs of a pool end in order: one that is done is proof of all before it. */
static void direct_done(struct direct *direct, uint32_t pointer)
{
	for (uint64_t job = direct->submitted; job > direct->completed; job--) {
		if (pointer - chain_offset(job - 1) < direct->tcbs * ZY_TCB_BYTES) {
			direct->completed = job;
			return;
		}
	}
}

static void direct_wait(struct direct *direct, uint64_t wanted)
{
	struct npu_event events[NPU_MAX_EVENTS];
	struct pollfd wait = {.fd = direct->vfio->irq_fd, .events = POLLIN};
	uint64_t ticks;
	int count;

	while (direct->completed < wanted) {
		if (poll(&wait, 1, WAIT_MS) != 1)
			bench_fail("the device did not finish a no-op job within %d ms", WAIT_MS);
		(void)!read(direct->vfio->irq_fd, &ticks, sizeof(ticks));
		while ((count = direct->npu->ops->irq_collect(direct->npu, events)) > 0) {
			for (int i = 0; i < count; i++) {
				if (events[i].kind != NPU_EVENT_DONE)
					bench_fail("the no-op job did not end well (event %d)", (int)events[i].kind);
				direct_done(direct, events[i].tcb_pointer);
			}
		}
		if (count < 0 || direct->npu->ops->irq_finish(direct->npu) < 0)
			bench_fail("the device went away");
	}
}

static void direct_open(struct direct *direct, const char *path)
{
	static const uint32_t text[4] = ZY3_END_PACKET;
	char why[256] = "";

	*direct = (struct direct){0};
	if (vfio_user_open(path, NULL, &direct->vfio, why, sizeof(why)) < 0 ||
	    npu_detect(direct->vfio, &(struct npu_quirks){0}, &direct->npu, why, sizeof(why)) < 0)
		bench_fail("the second software NPU: %s", why);
	int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, MEMORY_BYTES) < 0)
		bench_fail("no memory file: %d", errno);
	direct->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (direct->memory == MAP_FAILED)
		bench_fail("the memory file cannot be mapped");
	memcpy(direct->memory + TEXT_OFFSET, text, sizeof(text));
	if (direct->npu->ops->init(direct->npu) < 0 ||
	    direct->vfio->ops->map(direct->vfio, NULL, fd, 0, (iova_t){BASE + MEMORY_OFFSET}, MEMORY_BYTES,
				   VFIO_READ | VFIO_WRITE) < 0 ||
	    direct->npu->ops->pool_create(direct->npu) < 0)
		bench_fail("the second software NPU cannot be set up");
	close(fd);
}

static void direct_close(struct direct *direct)
{
	(void)direct->npu->ops->pool_destroy(direct->npu);
	(void)direct->npu->ops->quiesce(direct->npu);
	npu_free(direct->npu);
	vfio_close(direct->vfio);
	munmap(direct->memory, MEMORY_BYTES);
}

static void direct_warm_up(struct direct *direct)
{
	for (uint32_t i = 0; i < WARM_UP; i++) {
		direct_start(direct);
		direct_wait(direct, direct->submitted);
	}
}

void direct_latency(const struct bench_options *options, uint64_t *ns, uint32_t count)
{
	struct direct direct;

	direct_open(&direct, options->device);
	direct_warm_up(&direct);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t start = bench_clock_ns();

		direct_start(&direct);
		direct_wait(&direct, direct.submitted);
		ns[i] = bench_clock_ns() - start;
	}
	direct_close(&direct);
}

double direct_per_second(const struct bench_options *options, uint32_t depth, uint32_t count)
{
	struct direct direct;

	direct_open(&direct, options->device);
	direct_warm_up(&direct);
	uint64_t start = bench_clock_ns();
	while (direct.completed < WARM_UP + count) {
		while (direct.submitted < WARM_UP + count && direct.submitted - direct.completed < depth)
			direct_start(&direct);
		direct_wait(&direct, direct.completed + 1);
	}
	double seconds = (double)(bench_clock_ns() - start) / 1e9;
	direct_close(&direct);
	return count / seconds;
}
