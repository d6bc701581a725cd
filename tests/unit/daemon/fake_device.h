/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that does as it is told: it records what is asked of it, in order, and fails where a test says so. With it
 * come a host, a clock that stands still, and sessions with memory, so that a test reads as its promise.
 */
#ifndef NPUD_TESTS_FAKE_DEVICE_H
#define NPUD_TESTS_FAKE_DEVICE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/core/buffer.h"
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/job.h"
#include "daemon/core/session.h"
#include "daemon/log.h"
#include "daemon/util/clock.h"
#include "proto/zhouyi_regs.h"
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

struct world {
	struct fake *fake;
	struct host *host;
	struct device *device;
	uint64_t armed_ns;
	bool watching;
	unsigned notified;
	unsigned fds_before;
};

static nsec_t fake_now;

static inline nsec_t fake_clock(void)
{
	return fake_now;
}

static inline unsigned count_open_fds(void)
{
	unsigned count = 0;
	DIR *directory = opendir("/proc/self/fd");

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

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
	fake_table_drop(fake, space);
	return 0;
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

static const struct npu_ops fake_npu_ops = {
    .init = fake_init,
    .quiesce = fake_quiesce,
    .pool_create = fake_create,
    .pool_destroy = fake_destroy,
    .pool_abort = fake_abort,
    .dispatch = fake_dispatch,
    .irq_collect = fake_collect,
    .irq_ack_signal = fake_ack,
    .irq_finish = fake_finish,
    .is_idle = fake_is_idle,
    .soft_reset = fake_soft_reset,
    .free = fake_free,
};

/* ------------------------------------------------------------------ the world */

static inline void world_watch(void *user, bool on)
{
	((struct world *)user)->watching = on;
}

static inline void world_arm(void *user, uint64_t ns)
{
	((struct world *)user)->armed_ns = ns;
}

static inline struct host_options world_options(void)
{
	struct host_options options = {
	    .scheduler = &sched_fifo,
	    .max_in_flight = 2,
	    .default_budget_ns = NSEC_PER_SEC,
	    .max_budget_ns = 10 * NSEC_PER_SEC,
	    .scrub = SCRUB_RESET,
	};

	for (int i = 0; i < QUOTA_RESOURCES; i++)
		options.session_maximum[i] = options.tenant_maximum[i] = options.daemon_maximum[i] = UINT64_MAX;
	return options;
}

static inline void fake_init_transport(struct fake *fake, const struct vfio_ops *ops)
{
	fake->vfio.ops = ops;
	fake->vfio.irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake->vfio.life_fd = -1;
	fake->vfio.mappings = 0;
	fake->npu.ops = &fake_npu_ops;
	fake->npu.vfio = &fake->vfio;
	fake->npu.rungs = 0x7;
	fake->npu.identity = (struct npu_identity){
	    .generation = NPU_GEN_V3, .clusters = 1, .cores = 3, .tecs = 4, .gm_bytes = 4u << 20, .name = "FAKE"};
	fake->idle = 1;
	fake->closed = false;
	memset(fake->maps, 0, sizeof(fake->maps));
}

/* The same device again, as a source of the daemon. */
static inline int fake_open(void *user, struct vfio_device **vfio, struct npu_device **npu, char *why, size_t why_bytes)
{
	struct fake *fake = user;

	fake_note(fake, 'O');
	ck_assert(fake->closed);
	if (fake->failing & FAKE_OPEN || fake->gone) {
		(void)snprintf(why, why_bytes, "it is not there");
		return -ENOENT;
	}
	fake_init_transport(fake, fake->vfio.ops);
	fake->opens++;
	*vfio = &fake->vfio;
	*npu = &fake->npu;
	return 0;
}

static inline void world_open_on(struct world *world, const struct host_options *options, const struct vfio_ops *ops)
{
	static const struct device_hooks hooks = {world_watch, world_arm, NULL};
	struct fake *fake = calloc(1, sizeof(*fake));

	memset(world, 0, sizeof(*world));
	ck_assert_ptr_nonnull(fake);
	world->fds_before = count_open_fds();
	log_setup((enum log_level)0, LOG_FORMAT_KV);
	fake_now = (nsec_t){NSEC_PER_SEC};
	clock_set_source(fake_clock);
	fake_init_transport(fake, ops);
	world->fake = fake;
	ck_assert_int_eq(host_new(options, 1, &world->host), 0);
	ck_assert_int_eq(device_new("fake0", &fake->vfio, &fake->npu, false, &world->device), 0);
	ck_assert_int_eq(host_add_device(world->host, world->device), 0);
	device_set_hooks(world->device, &hooks, world);
}

static inline void world_open_with(struct world *world, const struct host_options *options)
{
	world_open_on(world, options, &fake_vfio_ops);
}

/* From now on the device can be opened again. */
static inline void world_has_source(struct world *world)
{
	const struct device_source source = {fake_open, world->fake};

	device_set_source(world->device, &source);
}

static inline void world_open(struct world *world)
{
	struct host_options options = world_options();

	world_open_with(world, &options);
}

/* All that the worker has to do. */
static inline void world_work(struct world *world)
{
	while (worker_step(world->device->worker))
		;
}

/* Nothing is left over, whatever the test did. */
static inline void world_close(struct world *world)
{
	list_each (node, next, &world->host->sessions)
		session_close(list_entry(node, struct session, link));
	world_work(world);
	ck_assert_uint_eq(world->host->session_count, 0);
	ck_assert(list_empty(&world->host->tenants));
	ck_assert(quota_is_clear(&world->host->quota));
	ck_assert_uint_eq(world->host->counters.submissions, 0);
	ck_assert_uint_eq(world->device->in_flight_count, 0);
	ck_assert_uint_eq(world->device->mapping_count, 0);
	if (!world->device->closed) {
		/* A scrubber with a table of its own keeps that. */
		ck_assert_uint_eq(world->fake->vfio.mappings, world->device->tables && world->device->scrubber ? 2 : 0);
		ck_assert_ptr_null(world->fake->attached);
	}
	device_free(world->device);
	ck_assert(world->fake->closed);
	ck_assert_ptr_null(world->fake->live_tables);
	host_free(world->host);
	free(world->fake);
	ck_assert_uint_eq(count_open_fds(), world->fds_before);
	clock_set_source(NULL);
}

static inline void world_events_ready(void *user)
{
	((struct world *)user)->notified++;
}

static inline struct session *world_session_of(struct world *world, uid_t uid)
{
	static const struct session_hooks hooks = {world_events_ready};
	struct session_identity identity = {uid, uid, 1, RIGHTS_NONE};
	struct session *session;

	ck_assert_int_eq(session_open(world->host, &identity, &hooks, world, &session, NULL), 0);
	return session;
}

static inline struct session *world_session(struct world *world)
{
	return world_session_of(world, 1000);
}

/* A memory file as the client library makes it. */
static inline int make_memory(uint64_t bytes, unsigned seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(posix_fallocate(fd, 0, (off_t)bytes), 0);
	if (seals)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, (int)seals), 0);
	return fd;
}

static inline struct buffer *make_buffer(struct session *session, uint64_t bytes, bool read_only)
{
	struct buffer_request request = {.bytes = bytes, .read_only = read_only};
	struct buffer *buffer;
	struct fail fail;

	int error = buffer_import(session, make_memory(bytes, F_SEAL_SHRINK), &request, &buffer, &fail);
	ck_assert_msg(error == 0, "%s", error ? fail.text : "");
	return buffer;
}

static inline struct job_group simple_group(const struct buffer *buffer)
{
	return (struct job_group){.text = {true, buffer->handle, 0}, .parameters = {true, buffer->handle, 1024}};
}

static inline struct job *make_job_of(struct session *session, const struct buffer *buffer, uint32_t groups, bool print)
{
	struct job_v3 description = {.group_count = groups, .bss_count = 1};
	struct job_group group = simple_group(buffer);
	struct job *job;

	group.print = print;
	ck_assert_int_eq(job_begin_v3(session, &description, &job, NULL), 0);
	for (uint32_t i = 0; i < groups; i++)
		ck_assert_int_eq(job_add_group(job, &group, NULL), 0);
	ck_assert_int_eq(job_commit(job, NULL), 0);
	return job;
}

static inline struct job *make_job(struct session *session)
{
	return make_job_of(session, make_buffer(session, 8192, false), 1, false);
}

static inline uint64_t submit(struct session *session, const struct job *job)
{
	uint64_t submission;
	struct fail fail;
	int error = session_submit(session, job->handle, 7, 0, &submission, &fail);

	ck_assert_msg(error == 0, "%s", error ? fail.text : "");
	return submission;
}

/* Submit, and let the worker do what that takes: afterwards it is on the device unless something is in its way. */
static inline uint64_t run(struct world *world, struct session *session, const struct job *job)
{
	uint64_t submission = submit(session, job);

	world_work(world);
	return submission;
}

static inline void report(struct world *world, int kind, uint32_t pointer, uint32_t flags)
{
	struct npu_event event = {.tcb_pointer = pointer, .status = 0x201, .signal_flags = flags, .ticks = 42};

	event.kind = (__typeof__(event.kind))kind;
	ck_assert_uint_lt(world->fake->event_count, FAKE_EVENTS);
	world->fake->events[world->fake->event_count++] = event;
}

static inline void complete(struct world *world, const struct job *job)
{
	report(world, NPU_EVENT_DONE, job_last_tcb(job).v, 0);
	world->fake->idle = 1;
	device_irq(world->device);
	world_work(world);
}

/* Takes the next completion out of the session; fails if there is none. */
static inline struct submission_result next_result(struct session *session, uint64_t *submission)
{
	struct session_event event;

	session_peek_event(session, &event);
	while (event.kind == EVENT_DEVICE) {
		session_pop_event(session, &event);
		session_peek_event(session, &event);
	}
	ck_assert_int_eq(event.kind, EVENT_DONE);
	struct submission_result result = event.submission->result;
	if (submission)
		*submission = submission_id(event.submission);
	session_pop_event(session, &event);
	return result;
}

static inline void expect(struct session *session, uint64_t submission, enum outcome outcome)
{
	uint64_t which;
	struct submission_result result = next_result(session, &which);

	ck_assert_uint_eq(which, submission);
	ck_assert_int_eq(result.outcome, outcome);
}

static inline bool has_result(struct session *session)
{
	return !list_empty(&session->final);
}

#endif
