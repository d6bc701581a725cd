/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host with a fake device or two, a clock that stands still, and sessions with memory, so that a test reads as its
 * promise. world_close() asserts that nothing is left over.
 */
#ifndef NPUD_TESTS_WORLD_H
#define NPUD_TESTS_WORLD_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "daemon/core/buffer.h"
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/job.h"
#include "daemon/core/session.h"
#include "daemon/core/tenant.h"
#include "daemon/log.h"
#include "daemon/util/clock.h"
#include "tests/unit/daemon/fake_device.h"

struct world {
	struct fake *fake;
	struct host *host;
	struct device *device;
	struct fake *other_fake; /* NULL: there is one device */
	struct device *other;
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

/* A test that opens worlds by the thousand counts once itself. */
static bool fds_are_counted = true;

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

static inline void world_watch(void *user, bool on)
{
	((struct world *)user)->watching = on;
}

static inline void world_arm(void *user, uint64_t ns)
{
	((struct world *)user)->armed_ns = ns;
}

static inline void other_watch(void *user, bool on)
{
	(void)user;
	(void)on;
}

static inline void other_arm(void *user, uint64_t ns)
{
	(void)user;
	(void)ns;
}

static inline struct host_options world_options(void)
{
	struct host_options options = {
	    .scheduler = &sched_fifo,
	    .ageing_ns = 500 * NSEC_PER_MSEC,
	    .remainder = {0, 100, 100, 10},
	    .max_in_flight = 2,
	    .max_in_flight_ns = 5 * NSEC_PER_MSEC,
	    .default_budget_ns = NSEC_PER_SEC,
	    .max_budget_ns = 10 * NSEC_PER_SEC,
	    .quarantine = {.half_life_ns = 60 * NSEC_PER_SEC},
	    .scrub = SCRUB_RESET,
	    .rights = {.own_uid = geteuid()},
	};
	struct tenant_profile *profile = &options.tenants.fallback;

	*profile = (struct tenant_profile){.name = "default",
					   .classes = TENANT_CLASS_BIT(SCHED_CLASSES) - 1,
					   .rights = TENANT_DEFAULT_RIGHTS,
					   .weight = SCHED_DEFAULT_WEIGHT,
					   .time_permille = SCHED_WHOLE};
	for (int i = 0; i < QUOTA_RESOURCES; i++)
		profile->maximum[i] = options.capacity[i] = UINT64_MAX;
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

static const struct device_hooks world_hooks = {world_watch, world_arm, NULL};

static inline void world_add_device(struct world *world, const char *name, const struct vfio_ops *ops,
				    struct fake **fake_out, struct device **out)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	ck_assert_ptr_nonnull(fake);
	fake_init_transport(fake, ops);
	ck_assert_int_eq(device_new(name, &fake->vfio, &fake->npu, false, out), 0);
	ck_assert_int_eq(host_add_device(world->host, *out), 0);
	*fake_out = fake;
}

/* The fake device is as idle at once as it will ever be. */
static void fake_pause(uint64_t ns)
{
	(void)ns;
}

static inline void world_open_on(struct world *world, const struct host_options *options, const struct vfio_ops *ops)
{
	memset(world, 0, sizeof(*world));
	world->fds_before = fds_are_counted ? count_open_fds() : 0;
	log_setup((enum log_level)0, LOG_FORMAT_KV);
	fake_now = (nsec_t){NSEC_PER_SEC};
	clock_set_source(fake_clock);
	clock_set_pause(fake_pause);
	ck_assert_int_eq(host_new(options, 2, &world->host), 0);
	world_add_device(world, "fake0", ops, &world->fake, &world->device);
	device_set_hooks(world->device, &world_hooks, world);
}

/* A second device of the same kind; its timer and whether it is watched are nobody's concern. */
static inline void world_has_other(struct world *world)
{
	static const struct device_hooks hooks = {other_watch, other_arm, NULL};

	world_add_device(world, "fake1", world->fake->vfio.ops, &world->other_fake, &world->other);
	device_set_hooks(world->other, &hooks, NULL);
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

/* All that the workers have to do. */
static inline void world_work(struct world *world)
{
	while (worker_step(world->device->worker) || (world->other && worker_step(world->other->worker)))
		;
}

/* Time goes on, and the watchdog looks. */
static inline void pass_time(struct world *world, uint64_t ns)
{
	fake_now.v += ns;
	device_tick(world->device);
	world_work(world);
}

static inline void world_free_device(struct device *device, struct fake *fake)
{
	ck_assert_uint_eq(device->in_flight_count, 0);
	ck_assert_uint_eq(device->mapping_count, 0);
	ck_assert_uint_eq(device->sessions, 0);
	ck_assert_uint_eq(device->occupied, 0);
	if (!device->closed) {
		/* A scrubber with a table of its own keeps that. */
		ck_assert_uint_eq(fake->vfio.mappings, device->tables && device->scrubber ? 2 : 0);
		ck_assert_ptr_null(fake->attached);
	}
	device_free(device);
	ck_assert(fake->closed);
	ck_assert_ptr_null(fake->live_tables);
}

/* Nothing is left over, whatever the test did. */
static inline void world_close(struct world *world)
{
	list_each (node, next, &world->host->sessions)
		session_close(list_entry(node, struct session, link));
	world_work(world);
	ck_assert_uint_eq(world->host->session_count, 0);
	/* Who owes device time is remembered, and has nothing else. */
	list_each (node, next, &world->host->tenants) {
		const struct tenant *tenant = list_entry(node, const struct tenant, link);
		ck_assert_uint_eq(tenant->sessions, 0);
		ck_assert(quota_is_clear(&tenant->quota));
	}
	ck_assert(quota_is_clear(&world->host->quota));
	ck_assert_uint_eq(world->host->counters.submissions, 0);
	world_free_device(world->device, world->fake);
	if (world->other)
		world_free_device(world->other, world->other_fake);
	host_free(world->host);
	free(world->fake);
	free(world->other_fake);
	if (fds_are_counted)
		ck_assert_uint_eq(count_open_fds(), world->fds_before);
	clock_set_source(NULL);
	clock_set_pause(NULL);
}

static inline void world_events_ready(void *user)
{
	((struct world *)user)->notified++;
}

static inline struct session *world_session_of(struct world *world, uid_t uid)
{
	static const struct session_hooks hooks = {world_events_ready};
	const struct session_identity identity = {
	    .uid = uid, .gid = uid, .pid = 1, .profile = &world->host->options.tenants.fallback, .fds = 2};
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

/* What is refused stays the caller's: here it is closed. */
static inline int try_import(struct session *session, int fd, const struct buffer_request *request, struct buffer **out,
			     struct fail *fail)
{
	int error = buffer_import(session, fd, request, out, fail);

	if (error < 0 && fd >= 0)
		close(fd);
	return error;
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

static inline int try_submit(struct session *session, const struct job *job, uint64_t cookie, uint64_t *submission,
			     struct fail *fail)
{
	struct submit_request request = {.job = job->handle, .cookie = cookie};
	struct submit_reply reply = {0};
	int error = session_submit(session, &request, &reply, fail);

	*submission = reply.submission;
	return error;
}

static inline uint64_t submit(struct session *session, const struct job *job)
{
	uint64_t submission;
	struct fail fail;
	int error = try_submit(session, job, 7, &submission, &fail);

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

static inline uint64_t run_in(struct world *world, const struct queue *queue, const struct job *job, bool restartable)
{
	const struct submit_request request = {
	    .job = job->handle, .queue = queue ? queue->handle : 0, .restartable = restartable};
	struct submit_reply reply;

	ck_assert_int_eq(session_submit(job->session, &request, &reply, NULL), 0);
	world_work(world);
	return reply.submission;
}

static inline uint64_t run_restartable(struct world *world, const struct job *job)
{
	return run_in(world, NULL, job, true);
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

/* A failure for which nobody in particular is at fault: what was running is not known. */
static inline void lose_the_device(struct world *world)
{
	world->fake->failing |= FAKE_COLLECT;
	device_irq(world->device);
	world->fake->failing &= ~(unsigned)FAKE_COLLECT;
	world_work(world);
	ck_assert_int_eq(world->device->state, DEV_READY);
}

/* The same on the second device. */
static inline void complete_other(struct world *world, const struct job *job)
{
	struct fake *fake = world->other_fake;

	fake->events[fake->event_count++] =
	    (struct npu_event){.kind = NPU_EVENT_DONE, .tcb_pointer = job_last_tcb(job).v, .status = 0x201};
	fake->idle = 1;
	device_irq(world->other);
	world_work(world);
}

/* Takes the next completion out of the session; fails if there is none. */
static inline struct submission_result next_result(struct session *session, uint64_t *submission)
{
	struct session_event event;

	session_peek_event(session, &event);
	while (event.kind == EVENT_DEVICE || event.kind == EVENT_MOVED) {
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
