/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that does as it is told, transport and NPU: it records what is asked of it, in order, and fails where a test
 * says so. world.h puts a host around it.
 */
#ifndef NPUD_TESTS_FAKE_DEVICE_H
#define NPUD_TESTS_FAKE_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/npu/npu.h"
#include "daemon/util/list.h"
#include "proto/zhouyi_regs.h"
#include "proto/zhouyi_tcb.h"
#include "tests/unit/suite.h"

#define FAKE_MAPS 64
#define FAKE_EVENTS 64

/* Calls that can be made to fail: one bit each, cleared by the test. */
enum fake_call {
	FAKE_INIT = 1 << 0,
	FAKE_CREATE = 1 << 1,
	FAKE_DESTROY = 1 << 2,
	FAKE_ABORT = 1 << 3,
	FAKE_DISPATCH = 1 << 4,
	FAKE_RESET = 1 << 5,
	FAKE_VFIO_RESET = 1 << 6,
	FAKE_MAP = 1 << 7,
	FAKE_UNMAP = 1 << 8,
	FAKE_STAYS_BUSY = 1 << 9, /* an abort does not help */
	FAKE_COLLECT = 1 << 10,
	FAKE_SCRUB = 1 << 11, /* the daemon's own job faults */
	FAKE_ATTACH = 1 << 12,
	FAKE_OPEN = 1 << 13,
	FAKE_SPACE_FREE = 1 << 14,
};

/* A page table of a device that keeps several. */
struct vfio_space {
	struct vfio_space *next;
	uint32_t mappings;
};

struct fake {
	struct vfio_device vfio;
	struct npu_device npu;
	unsigned failing;
	bool gone;
	bool release; /* the host wants it back */
	int idle;
	char trace[512]; /* one letter per call, see the functions */
	struct {
		uint64_t iova;
		uint64_t bytes;
		unsigned prot;
		const struct vfio_space *space;
	} maps[FAKE_MAPS];
	struct npu_event events[FAKE_EVENTS];
	unsigned event_count;
	const struct npu_event *beats_abort; /* NULL: nothing does */
	bool endless; /* there is always one more interrupt */
	uint64_t heads[16];
	bool firsts[16];
	unsigned dispatches;
	unsigned acks;
	bool closed;
	unsigned opens; /* by its source, after the first */
	struct vfio_space *live_tables;
	const struct vfio_space *attached;
};

/* ------------------------------------------------------------------ transport and NPU */

static inline void fake_note(struct fake *fake, char letter)
{
	size_t used = strlen(fake->trace);

	if (used + 1 < sizeof(fake->trace)) {
		fake->trace[used] = letter;
		fake->trace[used + 1] = '\0';
	}
}

static inline int fake_result(struct fake *fake, unsigned call)
{
	if (fake->gone)
		return -ENODEV;
	return fake->failing & call ? -EIO : 0;
}

static inline struct fake *fake_of(struct npu_device *npu)
{
	return list_entry(npu, struct fake, npu);
}

static inline int fake_map(struct vfio_device *vfio, struct vfio_space *space, int fd, uint64_t offset, iova_t iova,
			   uint64_t bytes, unsigned prot)
{
	struct fake *fake = list_entry(vfio, struct fake, vfio);

	(void)offset;
	ck_assert((space != NULL) == (vfio->ops->space_new != NULL));
	fake_note(fake, 'm');
	if (fake_result(fake, FAKE_MAP) < 0)
		return fake->gone ? -ENODEV : -ENOMEM;
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	for (int i = 0; i < FAKE_MAPS; i++)
		if (fake->maps[i].bytes && fake->maps[i].space == space &&
		    iova.v < fake->maps[i].iova + fake->maps[i].bytes && fake->maps[i].iova < iova.v + bytes)
			return -EEXIST;
	for (int i = 0; i < FAKE_MAPS; i++) {
		if (fake->maps[i].bytes)
			continue;
		fake->maps[i].iova = iova.v;
		fake->maps[i].bytes = bytes;
		fake->maps[i].prot = prot;
		fake->maps[i].space = space;
		if (space)
			space->mappings++;
		vfio->mappings++;
		return 0;
	}
	return -ENOSPC;
}

static inline int fake_unmap(struct vfio_device *vfio, struct vfio_space *space, iova_t iova, uint64_t bytes)
{
	struct fake *fake = list_entry(vfio, struct fake, vfio);

	fake_note(fake, 'u');
	if (fake_result(fake, FAKE_UNMAP) < 0)
		return fake_result(fake, FAKE_UNMAP);
	for (int i = 0; i < FAKE_MAPS; i++) {
		if (fake->maps[i].bytes != bytes || fake->maps[i].iova != iova.v || fake->maps[i].space != space)
			continue;
		fake->maps[i].bytes = 0;
		if (space)
			space->mappings--;
		vfio->mappings--;
		return 0;
	}
	ck_abort_msg("unmap of what is not mapped");
}

static inline int fake_irq_unmask(struct vfio_device *vfio)
{
	return fake_result(list_entry(vfio, struct fake, vfio), 0);
}

static inline int fake_life(struct vfio_device *vfio)
{
	struct fake *fake = list_entry(vfio, struct fake, vfio);

	return fake->gone ? -ENODEV : fake->release ? VFIO_LIFE_RELEASE : VFIO_LIFE_OK;
}

static inline int fake_vfio_reset(struct vfio_device *vfio)
{
	struct fake *fake = list_entry(vfio, struct fake, vfio);

	fake_note(fake, 'V');
	if (fake_result(fake, FAKE_VFIO_RESET) == 0)
		fake->idle = 1;
	return fake_result(fake, FAKE_VFIO_RESET);
}

static inline void fake_table_drop(struct fake *fake, struct vfio_space *space)
{
	struct vfio_space **at = &fake->live_tables;

	while (*at != space)
		at = &(*at)->next;
	*at = space->next;
	for (int i = 0; i < FAKE_MAPS; i++) {
		if (!fake->maps[i].bytes || fake->maps[i].space != space)
			continue;
		fake->maps[i].bytes = 0;
		fake->vfio.mappings--;
	}
	free(space);
}

/* The test still looks at the fake: it is freed with the world. */
static inline void fake_close(struct vfio_device *vfio)
{
	struct fake *fake = list_entry(vfio, struct fake, vfio);

	fake_note(fake, 'X');
	/* Tables go with the device. */
	while (fake->live_tables)
		fake_table_drop(fake, fake->live_tables);
	fake->attached = NULL;
	fake->closed = true;
	close(vfio->irq_fd);
	vfio->irq_fd = -1;
}

static const struct vfio_ops fake_vfio_ops = {
    .name = "fake",
    .map = fake_map,
    .unmap = fake_unmap,
    .irq_unmask = fake_irq_unmask,
    .reset = fake_vfio_reset,
    .life = fake_life,
    .close = fake_close,
};

static inline int fake_space_new(struct vfio_device *vfio, struct vfio_space **out)
{
	struct fake *fake = list_entry(vfio, struct fake, vfio);

	fake_note(fake, '+');
	if (fake_result(fake, 0) < 0)
		return -ENODEV;
	*out = calloc(1, sizeof(**out));
	ck_assert_ptr_nonnull(*out);
	(*out)->next = fake->live_tables;
	fake->live_tables = *out;
	return 0;
}

static inline int fake_space_free(struct vfio_device *vfio, struct vfio_space *space)
{
	struct fake *fake = list_entry(vfio, struct fake, vfio);

	fake_note(fake, '-');
	ck_assert_ptr_ne(space, fake->attached);
	if (fake_result(fake, FAKE_SPACE_FREE) == 0)
		fake_table_drop(fake, space);
	return fake_result(fake, FAKE_SPACE_FREE);
}

static inline int fake_attach(struct vfio_device *vfio, struct vfio_space *space)
{
	struct fake *fake = list_entry(vfio, struct fake, vfio);

	fake_note(fake, space ? 't' : '0');
	if (fake_result(fake, FAKE_ATTACH) == 0)
		fake->attached = space;
	return fake_result(fake, FAKE_ATTACH);
}

static const struct vfio_ops fake_table_ops = {
    .name = "fake with tables",
    .space_new = fake_space_new,
    .space_free = fake_space_free,
    .attach = fake_attach,
    .map = fake_map,
    .unmap = fake_unmap,
    .irq_unmask = fake_irq_unmask,
    .reset = fake_vfio_reset,
    .life = fake_life,
    .close = fake_close,
};

#define FAKE_CALL(name_, letter_, call_, effect_)                                                                      \
	static inline int name_(struct npu_device *npu)                                                                \
	{                                                                                                              \
		struct fake *fake = fake_of(npu);                                                                      \
		int result = fake_result(fake, call_);                                                                 \
		fake_note(fake, letter_);                                                                              \
		if (result == 0) {                                                                                     \
			effect_;                                                                                       \
		}                                                                                                      \
		return result;                                                                                         \
	}

FAKE_CALL(fake_init, 'i', FAKE_INIT, fake->idle = 1)
FAKE_CALL(fake_quiesce, 'q', 0, (void)0)
FAKE_CALL(fake_create, 'c', FAKE_CREATE, (void)0)
FAKE_CALL(fake_destroy, 'd', FAKE_DESTROY, (void)0)
FAKE_CALL(fake_soft_reset, 'S', FAKE_RESET, fake->idle = 1)
/* What is pending stays; and what ended while the abort was on its way comes to it. */
FAKE_CALL(fake_abort, 'a', FAKE_ABORT, if (fake->beats_abort) fake->events[fake->event_count++] = *fake->beats_abort;
	  fake->beats_abort = NULL; if (!(fake->failing & FAKE_STAYS_BUSY)) fake->idle = 1)

static inline int fake_dispatch(struct npu_device *npu, iova_t head, bool first, uint16_t tag)
{
	struct fake *fake = fake_of(npu);

	(void)tag;
	fake_note(fake, first ? 'D' : 'n');
	if (fake_result(fake, FAKE_DISPATCH) < 0)
		return fake_result(fake, FAKE_DISPATCH);
	fake->heads[fake->dispatches % 16] = head.v;
	fake->firsts[fake->dispatches % 16] = first;
	fake->dispatches++;
	/* the daemon's own scrub job, in slot 0: three cores, four TECs, so its last TCB is the seventh */
	if (head.v >> 32 == 0) {
		fake->events[0] =
		    (struct npu_event){.kind = fake->failing & FAKE_SCRUB ? NPU_EVENT_FAULT : NPU_EVENT_DONE,
				       .tcb_pointer = (uint32_t)head.v + 6 * ZY_TCB_BYTES};
		fake->event_count = 1;
		return 0;
	}
	fake->idle = 0;
	return 0;
}

static inline int fake_collect(struct npu_device *npu, struct npu_event events[NPU_MAX_EVENTS])
{
	struct fake *fake = fake_of(npu);
	int count = 0;

	if (fake_result(fake, FAKE_COLLECT) < 0)
		return fake_result(fake, FAKE_COLLECT);
	if (fake->endless) {
		events[0] = (struct npu_event){.kind = NPU_EVENT_DONE};
		return 1;
	}
	while (fake->event_count && count < NPU_MAX_EVENTS) {
		events[count++] = fake->events[0];
		memmove(fake->events, fake->events + 1, --fake->event_count * sizeof(fake->events[0]));
	}
	return count;
}

static inline int fake_ack(struct npu_device *npu)
{
	fake_of(npu)->acks++;
	return fake_result(fake_of(npu), 0);
}

static inline int fake_finish(struct npu_device *npu)
{
	return fake_result(fake_of(npu), 0);
}

static inline int fake_is_idle(struct npu_device *npu)
{
	return fake_of(npu)->gone ? -ENODEV : fake_of(npu)->idle;
}

static inline void fake_free(struct npu_device *npu)
{
	fake_note(fake_of(npu), 'F');
}

static inline int fake_dispatch_bound(struct npu_device *npu, iova_t head, uint32_t core, uint16_t tag)
{
	struct fake *fake = fake_of(npu);
	int result = fake_dispatch(npu, head, true, tag);

	fake_note(fake, (char)('0' + core));
	return result;
}

/* The most that there can be, all different. */
static inline int fake_registers(struct npu_device *npu, struct npu_register out[NPU_MAX_REGISTERS])
{
	struct fake *fake = fake_of(npu);

	fake_note(fake, 'R');
	for (uint32_t i = 0; i < NPU_MAX_REGISTERS; i++) {
		out[i] = (struct npu_register){.name = "LONGEST_OF_ALL_NAME", .offset = 0x3000 + 4 * i, .value = ~i};
		for (uint32_t j = 0; j < NPU_MAX_REGISTER_FIELDS; j++)
			out[i].fields[j] = (struct npu_register_field){"longest_of_them", 0, UINT32_MAX << 4 * j};
	}
	return fake->gone ? -ENODEV : (int)NPU_MAX_REGISTERS;
}

static const struct npu_ops fake_npu_ops = {
    .init = fake_init,
    .quiesce = fake_quiesce,
    .pool_create = fake_create,
    .pool_destroy = fake_destroy,
    .pool_abort = fake_abort,
    .dispatch = fake_dispatch,
    .dispatch_bound = fake_dispatch_bound,
    .irq_collect = fake_collect,
    .irq_ack_signal = fake_ack,
    .irq_finish = fake_finish,
    .is_idle = fake_is_idle,
    .soft_reset = fake_soft_reset,
    .registers = fake_registers,
    .free = fake_free,
};

#endif
