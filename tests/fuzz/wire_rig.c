/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon around a fake device, and what its client does; see wire_rig.h. */
#include "tests/fuzz/wire_rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/core/buffer.h"
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/job.h"
#include "daemon/core/session.h"
#include "daemon/log.h"
#include "daemon/util/clock.h"
#include "tests/fuzz/fuzz.h"

#define BUFFER_BYTES 65536u
#define MAX_EVENTS 8u

static struct {
	struct vfio_device vfio;
	struct npu_device npu;
	struct npu_event events[MAX_EVENTS];
	int event_count;
	bool running;
	bool gone;
	uint64_t mapped; /* bytes */
	nsec_t now;
	int memory;
	int wrong; /* a descriptor that is no memory */
} fake;

/* ------------------------------------------------------------------ a device without behaviour of its own */

static int fake_map(struct vfio_device *device, struct vfio_space *space, int fd, uint64_t offset, iova_t iova,
		    uint64_t bytes, unsigned prot)
{
	(void)space, (void)iova, (void)offset;
	require(fd >= 0 && bytes > 0 && bytes % 4096 == 0 && prot != 0);
	if (fake.gone)
		return -ENODEV;
	device->mappings++;
	fake.mapped += bytes;
	return 0;
}

static int fake_unmap(struct vfio_device *device, struct vfio_space *space, iova_t iova, uint64_t bytes)
{
	(void)space;
	(void)iova;
	require(device->mappings > 0 && fake.mapped >= bytes);
	device->mappings--;
	fake.mapped -= bytes;
	return fake.gone ? -ENODEV : 0;
}

static int fake_ok(struct vfio_device *device)
{
	(void)device;
	return fake.gone ? -ENODEV : 0;
}

static void fake_close(struct vfio_device *device)
{
	(void)device;
}

static const struct vfio_ops fake_vfio_ops = {.name = "fake",
					      .map = fake_map,
					      .unmap = fake_unmap,
					      .irq_unmask = fake_ok,
					      .reset = fake_ok,
					      .life = fake_ok,
					      .close = fake_close};

static int fake_npu_ok(struct npu_device *npu)
{
	(void)npu;
	return fake.gone ? -ENODEV : 0;
}

static int fake_npu_stop(struct npu_device *npu)
{
	fake.running = false;
	fake.event_count = 0;
	return fake_npu_ok(npu);
}

static int fake_dispatch(struct npu_device *npu, iova_t head, bool first, uint16_t tag)
{
	(void)first, (void)tag;
	require(head.v % 4096 == 0);
	fake.running = true;
	return fake_npu_ok(npu);
}

static int fake_dispatch_bound(struct npu_device *npu, iova_t head, uint32_t core, uint16_t tag)
{
	require(core < npu->identity.cores);
	return fake_dispatch(npu, head, true, tag);
}

static int fake_collect(struct npu_device *npu, struct npu_event events[NPU_MAX_EVENTS])
{
	int count = fake.event_count;

	memcpy(events, fake.events, (size_t)count * sizeof(*events));
	fake.event_count = 0;
	return fake.gone ? fake_npu_ok(npu) : count;
}

static int fake_is_idle(struct npu_device *npu)
{
	return fake.gone ? fake_npu_ok(npu) : !fake.running;
}

static int fake_registers(struct npu_device *npu, struct npu_register out[NPU_MAX_REGISTERS])
{
	out[0] = (struct npu_register){.name = "STATUS", .value = 0x1234, .fields = {{"low", 0, 0xff}}};
	return fake.gone ? fake_npu_ok(npu) : 1;
}

static void fake_npu_free(struct npu_device *npu)
{
	(void)npu;
}

static const struct npu_ops fake_npu_ops = {.init = fake_npu_ok,
					    .quiesce = fake_npu_ok,
					    .pool_create = fake_npu_ok,
					    .pool_destroy = fake_npu_ok,
					    .pool_abort = fake_npu_stop,
					    .dispatch = fake_dispatch,
					    .dispatch_bound = fake_dispatch_bound,
					    .irq_collect = fake_collect,
					    .irq_ack_signal = fake_npu_ok,
					    .irq_finish = fake_npu_ok,
					    .is_idle = fake_is_idle,
					    .soft_reset = fake_npu_stop,
					    .registers = fake_registers,
					    .free = fake_npu_free};

static nsec_t fake_now(void)
{
	return fake.now;
}

static void hook_watch(void *user, bool on)
{
	(void)user, (void)on;
}

static void hook_arm(void *user, uint64_t ns)
{
	(void)user, (void)ns;
}

/* ------------------------------------------------------------------ the daemon */

static void no_pause(uint64_t ns)
{
	(void)ns;
}

void rig_prepare(void)
{
	if (fake.memory > 0)
		return;
	log_setup((enum log_level)0, LOG_FORMAT_KV);
	clock_set_source(fake_now);
	clock_set_pause(no_pause);
	fake.wrong = eventfd(0, EFD_CLOEXEC);
	fake.memory = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	require(fake.wrong > 0 && fake.memory > 0 && fallocate(fake.memory, 0, 0, BUFFER_BYTES) == 0);
	require(fcntl(fake.memory, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	fake.vfio.irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	require(fake.vfio.irq_fd > 0);
}

static void device_make(struct rig *rig)
{
	static const struct device_hooks hooks = {.watch = hook_watch, .arm = hook_arm};
	int irq_fd = fake.vfio.irq_fd;

	fake.vfio = (struct vfio_device){.ops = &fake_vfio_ops,
					 .irq_fd = irq_fd,
					 .life_fd = -1,
					 .mmio_bytes = 16384,
					 .page_bytes = 4096,
					 .max_mappings = 65535};
	fake.npu =
	    (struct npu_device){.ops = &fake_npu_ops,
				.vfio = &fake.vfio,
				.identity = {.generation = NPU_GEN_V3,
					     .isa = 5,
					     .config = 1204,
					     .clusters = 1,
					     .cores = 3,
					     .tecs = 4,
					     .partitions = 1,
					     .gm_bytes = 4u << 20,
					     .name = "X2_1204MP3"},
				.rungs = 1u << NPU_RUNG_ABORT | 1u << NPU_RUNG_SOFT_RESET | 1u << NPU_RUNG_VFIO_RESET};
	fake.event_count = 0;
	fake.running = fake.gone = false;
	fake.mapped = 0;
	fake.now = (nsec_t){1000000000};
	require(device_new("fuzz", &fake.vfio, &fake.npu, false, &rig->device) == 0);
	require(host_add_device(rig->host, rig->device) == 0);
	device_set_hooks(rig->device, &hooks, NULL);
}

void rig_settle(struct rig *rig)
{
	for (int i = 0; i < 64; i++) {
		bool worked = worker_step(rig->device->worker);
		event_base_loop(rig->base, EVLOOP_NONBLOCK);
		while (discarder_count(server_discarder(rig->server)) > 0)
			event_base_loop(rig->base, EVLOOP_ONCE);
		if (!worked && i >= 2)
			return;
	}
}

static void rig_leave(struct rig *rig)
{
	if (rig->client >= 0)
		close(rig->client);
	rig_settle(rig);
}

void rig_connect(struct rig *rig)
{
	const struct session_identity identity = {.uid = getuid(),
						  .gid = getgid(),
						  .pid = getpid(),
						  .rights = RIGHTS_ALL,
						  .profile = &rig->host->options.tenants.fallback};
	int pair[2];

	rig_leave(rig);
	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	rig->client = pair[0];
	require(conn_new(rig->server, pair[1], &identity, -1) == 0);
}

void rig_open(struct rig *rig)
{
	struct server_options settings = {.path = "fuzz",
					  .group = "",
					  .listen_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					  .connections = 4,
					  .connections_per_user = 4,
					  .hello_ms = 600000};
	struct host_options options = {.scheduler = sched_by_name("fair"),
				       .max_in_flight = 2,
				       .default_budget_ns = NSEC_PER_SEC,
				       .max_budget_ns = 10 * NSEC_PER_SEC,
				       .quarantine = {.session_threshold = 3, .half_life_ns = 60 * NSEC_PER_SEC}};
	char why[256];

	struct tenant_profile *profile = &options.tenants.fallback;
	profile->weight = SCHED_DEFAULT_WEIGHT;
	for (int i = 0; i < QUOTA_RESOURCES; i++)
		profile->maximum[i] = options.capacity[i] = 1u << 24;
	rig->base = event_base_new();
	require(rig->base != NULL && host_new(&options, 1, &rig->host) == 0);
	device_make(rig);
	require(server_new(rig->base, rig->host, &settings, &rig->server, why) == 0);
	rig->client = -1;
	rig_connect(rig);
}

static void require_nothing_left(struct rig *rig)
{
	struct host_stats stats;

	/* What still runs ends by its budget, then by the ladder. */
	for (int i = 0; i < 16; i++) {
		fake.now = nsec_add(fake.now, 20 * NSEC_PER_SEC);
		device_tick(rig->device);
		rig_settle(rig);
	}
	host_stats_read(rig->host, &stats);
	require(stats.sessions == 0 && stats.buffers == 0 && stats.buffer_bytes == 0);
	require(stats.jobs == 0 && stats.submissions == 0 && stats.arena_bytes == 0);
}

void rig_close(struct rig *rig)
{
	rig_leave(rig);
	require_nothing_left(rig);
	server_free(rig->server);
	device_free(rig->device);
	host_free(rig->host);
	event_base_free(rig->base);
	/* From a device that is gone nothing can be unmapped: closing it did. */
	require(fake.gone || (fake.mapped == 0 && fake.vfio.mappings == 0));
}

/* ------------------------------------------------------------------ the client and the device's lies */

void rig_send(struct rig *rig, const uint8_t *data, size_t bytes, unsigned fd_count)
{
	const int fds[] = {fake.memory, fake.wrong, fake.memory};
	struct iovec iov = {(void *)(uintptr_t)data, bytes};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd_count) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
	}
	if (sendmsg(rig->client, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* the daemon has closed on us */
}

static void report(const struct npu_event *event)
{
	if (fake.event_count < (int)MAX_EVENTS)
		fake.events[fake.event_count++] = *event;
}

static void complete_oldest(struct rig *rig)
{
	if (list_empty(&rig->device->in_flight))
		return;
	const struct submission *oldest = list_entry(list_first(&rig->device->in_flight), struct submission, link);
	const struct job *job = oldest->job;
	struct npu_event event = {.kind = NPU_EVENT_DONE, .tcb_pointer = job->pristine[job->tcbs - 1].task.tcbp};

	report(&event);
	fake.running = rig->device->in_flight_count > 1;
	device_irq(rig->device);
}

static size_t happen(struct rig *rig, unsigned what, const uint8_t *data, size_t size)
{
	struct npu_event event = {.ticks = 5};
	size_t used = 0;

	switch (what) {
	case 0:
		complete_oldest(rig);
		break;
	case 1:
		if (size < 5)
			break;
		used = 5;
		event.kind = (data[0] & 7) % 5 + 1;
		event.status = data[0];
		event.signal_flags = (uint32_t)data[0] << 24;
		memcpy(&event.tcb_pointer, data + 1, sizeof(event.tcb_pointer));
		report(&event);
		device_irq(rig->device);
		break;
	case 2:
		fake.now = nsec_add(fake.now, 2 * NSEC_PER_SEC);
		device_tick(rig->device);
		break;
	default:
		fake.gone = true;
		device_life(rig->device);
	}
	return used;
}

bool rig_drain(struct rig *rig)
{
	static uint8_t sink[NPUD_MAX_FRAME_BYTES];

	/* What the daemon sends is bounded and decodes. */
	for (;;) {
		ssize_t n = recv(rig->client, sink, sizeof(sink), MSG_DONTWAIT | MSG_TRUNC);
		if (n <= 0)
			return n < 0;
		require((size_t)n <= sizeof(sink));
		Npud__ServerFrame *frame = npud__server_frame__unpack(NULL, (size_t)n, sink);
		require(frame != NULL);
		require(frame->body_case != NPUD__SERVER_FRAME__BODY__NOT_SET);
		npud__server_frame__free_unpacked(frame, NULL);
	}
}

struct rig_step rig_read(const uint8_t *data, size_t size)
{
	size_t bytes = (size_t)data[0] | (size_t)(data[1] & 0x3f) << 8;

	return (struct rig_step){.data = data + 2, .bytes = bytes < size - 2 ? bytes : size - 2, .count = data[1] >> 6};
}

size_t rig_play(struct rig *rig, const uint8_t *data, size_t size)
{
	struct rig_step step = rig_read(data, size);
	size_t used = 2 + step.bytes;

	if (step.bytes)
		rig_send(rig, step.data, step.bytes, step.count);
	else
		used += happen(rig, step.count, step.data, size - 2);
	fake.now = nsec_add(fake.now, NSEC_PER_MSEC);
	rig_settle(rig);
	return used;
}
