/* SPDX-License-Identifier: Apache-2.0 */
/* Attackers that want everything: connections, quota, work before they are known, objects without end. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "emulator/isa.h"
#include "proto/limits.h"
#include "proto/zhouyi_tcb.h"
#include "tests/hostile/scene.h"
#include "tests/integration/raw.h"

#define HALF_OPEN 200u
#define FLOOD 10000u
#define PER_USER 256u /* limits.connections_per_user, as it is by default */

/* ------------------------------------------------------------------ connections that say nothing */

static int stay_silent(struct harness *where, void *user)
{
	for (unsigned i = 0; i < HALF_OPEN; i++)
		(void)raw_connect(where);
	(void)user;
	attack_ready();
	return attack_stay();
}

/* Each costs less than 1 KiB of the daemon's memory, and neither session, mapping nor a change of the device. */
START_TEST(attack_premature_expensive_work)
{
	Npud__Stats before, after;

	before = harness_stats(harness);
	struct accomplice attack = attack_begin(MALLORY, stay_silent, NULL);
	attack_await(&attack);
	do
		after = harness_stats(harness);
	while (after.open_fds < before.open_fds + HALF_OPEN); /* all accepted; a pidfd each may come on top */
	ck_assert_uint_eq(after.sessions, before.sessions);
	ck_assert_uint_eq(after.jobs, before.jobs);
	ck_assert_uint_eq(after.buffers, before.buffers);
	ck_assert_uint_eq(after.mappings, before.mappings);
	ck_assert_uint_eq(after.arena_bytes, before.arena_bytes);
	ck_assert_uint_eq(after.tenures, before.tenures);
	ck_assert_uint_eq(after.resets, before.resets);
	expect_growth(before.resident_bytes, after.resident_bytes, HALF_OPEN * 1024ul);
	attack_end(&attack);
}
END_TEST

/* ------------------------------------------------------------------ connections without number */

static int connect_once(const struct harness *where)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strncpy(address.sun_path, where->socket, sizeof(address.sun_path) - 1);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Keeps every end open that it gets; the backlog is full most of the time. */
static int connect_for_ever(struct harness *where, void *user)
{
	(void)user;
	for (unsigned held = 0; held < FLOOD;) {
		if (connect_once(where) >= 0)
			held++;
		else if (errno == EAGAIN || errno == ENOTSOCK)
			(void)sched_yield();
		else
			return 1;
		if (held == FLOOD / 10 || held == FLOOD)
			attack_ready();
	}
	return attack_stay();
}

static double seconds_of(uid_t uid)
{
	struct timespec begin, end;

	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	attack_as(uid, innocent_life, NULL);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
}

/*
 * One user's connections are counted and bounded, and accepting one more costs no longer for all that were refused:
 * another user is served while they come and when they are all there. How fast is printed, not judged.
 */
START_TEST(attack_connection_and_handshake_exhaustion)
{
	uint64_t before = harness_stats(harness).open_fds;
	struct accomplice attack = attack_begin(MALLORY, connect_for_ever, NULL);

	attack_await(&attack);
	double during = seconds_of(ALICE);
	scene_innocent_works();
	attack_await(&attack);
	double after = seconds_of(ALICE);
	uint64_t held = harness_stats(harness).open_fds - before;
	/* a socket and a pidfd for each that was let in; the innocent ones are gone or going */
	ck_assert_uint_le(held, 2 * PER_USER + 16);
	printf(
	    "= %u connections of one user, %lu descriptors held by npud; another one's whole life took %.1f ms during "
	    "it, %.1f ms after it\n",
	    FLOOD, (unsigned long)held, during * 1e3, after * 1e3);
	attack_end(&attack);
}
END_TEST

/* ------------------------------------------------------------------ quota by connections */

static unsigned jobs_until_limit(int fd)
{
	unsigned jobs = 0;
	Npud__ErrorCode code;

	while (jobs < 100) {
		(void)raw_job_begin(fd, 1, 1, &code);
		if (code)
			break;
		jobs++;
	}
	ck_assert_int_eq(code, NPUD__ERROR_CODE__ERROR_LIMIT);
	return jobs;
}

static unsigned buffers_until_limit(int fd)
{
	int file = raw_memory(0x1000, F_SEAL_SHRINK);
	unsigned buffers = 0;
	Npud__ErrorCode code;

	while ((code = raw_import(fd, file, 0, 0x1000, 0, false)) == 0 && buffers < 100)
		buffers++;
	ck_assert_int_eq(code, NPUD__ERROR_CODE__ERROR_LIMIT);
	close(file);
	return buffers;
}

/* What was held goes back when the sessions have ended: all but `more` and who asks. */
static void await_sessions(unsigned more)
{
	while (harness_stats(harness).sessions > harness->before.sessions + more)
		(void)sched_yield();
}

/* The shares of so many connections of one user, who has all of them at the same time. */
static int sum_up(struct harness *where, void *user)
{
	const unsigned *connections = user;
	unsigned jobs = 0, buffers = 0;
	int fd[8];

	for (unsigned i = 0; i < *connections; i++) {
		fd[i] = raw_open(where);
		jobs += jobs_until_limit(fd[i]);
		buffers += buffers_until_limit(fd[i]);
	}
	for (unsigned i = 0; i < *connections; i++)
		close(fd[i]);
	return jobs == 6 && buffers == 10 ? 0 : 1;
}

START_TEST(attack_quota_by_opening_more_connections)
{
	static const unsigned connections[] = {1, 2, 5, 8};

	scene_start(&(struct harness_options){.socket = SOCKET_FOR_ALL,
					      .members = ",\"limits\":{\"tenant\":{\"jobs\":6,\"buffers\":10}}"});
	for (unsigned i = 0; i < 4; i++) {
		attack_as(MALLORY, sum_up, (void *)(uintptr_t)&connections[i]);
		attack_as(ALICE, innocent_life, NULL);
		await_sessions(1);
	}
	scene_stop();
}
END_TEST

/* ------------------------------------------------------------------ operations without end */

/* Sends a request again and again; the limit that is named when it is refused, "" if it never is. */
static const char *limit_of(int fd, Npud__Request *request, int file, unsigned attempts)
{
	static char limit[64];

	limit[0] = '\0';
	for (unsigned i = 0; i < attempts && !limit[0]; i++) {
		Npud__ServerFrame *frame = raw_call(fd, request, file);
		const Npud__Error *error = frame->reply->error;

		if (error && error->code == NPUD__ERROR_CODE__ERROR_LIMIT) {
			ck_assert_uint_le(error->used, error->maximum);
			ck_assert_str_ne(error->owner, "");
			(void)snprintf(limit, sizeof(limit), "%s", error->limit);
		}
		raw_free(frame);
	}
	return limit;
}

static void expect_limit(int fd, Npud__Request *request, int file, const char *wanted)
{
	const char *limit = limit_of(fd, request, file, 1000);

	ck_assert_msg(strcmp(limit, wanted) == 0, "body %d: limit '%s', not '%s'", (int)request->body_case, limit,
		      wanted);
}

static void flood_hello(void)
{
	Npud__Hello hello = NPUD__HELLO__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_HELLO);
	const char *limit = "";
	int fd[64];
	unsigned n;

	hello.major = NPUD_PROTOCOL_MAJOR;
	request.hello = &hello;
	for (n = 0; n < 64 && !*limit; n++) {
		fd[n] = raw_connect(harness);
		limit = limit_of(fd[n], &request, -1, 1);
	}
	ck_assert_str_eq(limit, "sessions");
	while (n--)
		close(fd[n]);
}

static void flood_import(int fd)
{
	Npud__BufferImport import = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_BUFFER_IMPORT);
	int file = raw_memory(0x100000, F_SEAL_SHRINK), other = raw_open(harness);

	request.buffer_import = &import;
	import.bytes = 0x1000;
	expect_limit(other, &request, file, "buffers");
	close(other);
	await_sessions(2);
	import.bytes = 0x100000;
	expect_limit(fd, &request, file, "buffer_bytes");
	close(file);
}

static void flood_begin(int fd)
{
	Npud__JobV3 v3 = NPUD__JOB_V3__INIT;
	Npud__JobBegin begin = NPUD__JOB_BEGIN__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_JOB_BEGIN);

	begin.generation_case = NPUD__JOB_BEGIN__GENERATION_V3;
	begin.v3 = &v3;
	request.job_begin = &begin;
	v3.group_count = v3.bss_count = 1;
	expect_limit(fd, &request, -1, "jobs");
}

/* One job that uses more and more buffers. */
static void flood_groups(int fd)
{
	Npud__JobGroups groups = NPUD__JOB_GROUPS__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_JOB_GROUPS);
	const char *limit = "";
	Npud__ErrorCode code;
	uint64_t handle;

	groups.job = raw_job_begin(fd, 1, 1, &code);
	ck_assert_int_eq(code, 0);
	groups.n_uses = 1;
	groups.uses = &handle;
	request.job_groups = &groups;
	for (unsigned i = 0; i < 600 && !*limit; i++) {
		handle = raw_import_handle(fd, 0x1000, true);
		limit = limit_of(fd, &request, -1, 1);
	}
	ck_assert_str_eq(limit, "job_bytes");
}

static void flood_commit(int fd)
{
	uint64_t buffer = raw_import_handle(fd, 0x4000, false);
	Npud__Group group = NPUD__GROUP__INIT, *list[NPUD_MAX_GROUPS_PER_FRAME];
	Npud__BufferRef ref = NPUD__BUFFER_REF__INIT;
	Npud__JobGroups groups = NPUD__JOB_GROUPS__INIT;
	Npud__JobCommit commit = NPUD__JOB_COMMIT__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_JOB_GROUPS),
		      done = raw_request(NPUD__REQUEST__BODY_JOB_COMMIT);
	Npud__ErrorCode code;

	ref.handle = buffer;
	group.text = &ref;
	for (unsigned i = 0; i < 16; i++)
		list[i] = &group;
	groups.n_groups = 16;
	groups.groups = list;
	groups.job = commit.job = raw_job_begin(fd, 16, 1, &code);
	request.job_groups = &groups;
	ASSERT_CODE(fd, &request, -1, 0);
	done.job_commit = &commit;
	expect_limit(fd, &done, -1, "tcb_bytes");
}

/* Behind one that never ends, so that no completion gives a credit back. */
static void flood_submit(int fd)
{
	const struct isa_insn spin = {.opcode = ISA_SPIN};
	Npud__BufferImport import = NPUD__BUFFER_IMPORT__INIT;
	Npud__JobSubmit submit_message = NPUD__JOB_SUBMIT__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_BUFFER_IMPORT);
	int file = raw_memory(0x4000, F_SEAL_SHRINK);

	ck_assert_int_eq(pwrite(file, &spin, sizeof(spin), 0), sizeof(spin));
	import.bytes = 0x4000;
	request.buffer_import = &import;
	Npud__ServerFrame *frame = raw_call(fd, &request, file);
	ck_assert_ptr_null(frame->reply->error);
	submit_message.job = raw_job_of(fd, frame->reply->buffer_info->handle);
	raw_free(frame);
	close(file);
	request = raw_request(NPUD__REQUEST__BODY_JOB_SUBMIT);
	request.job_submit = &submit_message;
	expect_limit(fd, &request, -1, "event_credits");
}

static void flood_queues(int fd)
{
	Npud__QueueCreate create = NPUD__QUEUE_CREATE__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_QUEUE_CREATE);

	request.queue_create = &create;
	expect_limit(fd, &request, -1, "queues");
}

/* One fence, held again and again. */
static void flood_fences(int fd)
{
	Npud__JobSubmit submit_message = NPUD__JOB_SUBMIT__INIT;
	Npud__FenceImport import = NPUD__FENCE_IMPORT__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_JOB_SUBMIT);
	uint8_t token[NPUD_FENCE_TOKEN_BYTES];

	submit_message.job = raw_job_of(fd, raw_import_handle(fd, 0x4000, false));
	submit_message.want_fence = true;
	request.job_submit = &submit_message;
	Npud__ServerFrame *frame = raw_call(fd, &request, -1);
	ck_assert_ptr_null(frame->reply->error);
	ck_assert_uint_eq(frame->reply->submit_info->fence->token.len, sizeof(token));
	memcpy(token, frame->reply->submit_info->fence->token.data, sizeof(token));
	raw_free(frame);
	import.token.data = token;
	import.token.len = sizeof(token);
	request = raw_request(NPUD__REQUEST__BODY_FENCE_IMPORT);
	request.fence_import = &import;
	expect_limit(fd, &request, -1, "fences");
}

/* What creates nothing may be asked for ever. */
static void expect_nothing_created(int fd, Npud__Request *request)
{
	Npud__Stats before = harness_stats(harness);

	ck_assert_str_eq(limit_of(fd, request, -1, 1000), "");
	Npud__Stats after = harness_stats(harness);
	ck_assert_uint_eq(after.buffers, before.buffers);
	ck_assert_uint_eq(after.jobs, before.jobs);
	ck_assert_uint_eq(after.submissions, before.submissions);
	ck_assert_uint_eq(after.sessions, before.sessions);
	ck_assert_uint_eq(after.open_fds, before.open_fds);
	expect_growth(before.resident_bytes, after.resident_bytes, 64u << 10);
}

/* A device that was drained takes work again afterwards. */
static void flood_device(int fd, Npud__Request__BodyCase body)
{
	Npud__DeviceDrain drain = NPUD__DEVICE_DRAIN__INIT;
	Npud__DeviceReset reset = NPUD__DEVICE_RESET__INIT;
	Npud__RegistersQuery registers = NPUD__REGISTERS_QUERY__INIT;
	Npud__Request request = raw_request(body);

	if (body == NPUD__REQUEST__BODY_DEVICE_RESET)
		request.device_reset = &reset;
	else if (body == NPUD__REQUEST__BODY_REGISTERS_QUERY)
		request.registers_query = &registers;
	else
		request.device_drain = &drain;
	expect_nothing_created(fd, &request);
	drain.resume = true;
	if (body == NPUD__REQUEST__BODY_DEVICE_DRAIN)
		expect_nothing_created(fd, &request);
}

static void flood_harmless(int fd, Npud__Request__BodyCase body)
{
	Npud__Ping ping = NPUD__PING__INIT;
	Npud__DeviceQuery device = NPUD__DEVICE_QUERY__INIT;
	Npud__BufferRelease release = NPUD__BUFFER_RELEASE__INIT;
	Npud__JobDestroy destroy = NPUD__JOB_DESTROY__INIT;
	Npud__JobCancel cancel = NPUD__JOB_CANCEL__INIT;
	Npud__StatsQuery stats = NPUD__STATS_QUERY__INIT;
	Npud__MapsQuery maps = NPUD__MAPS_QUERY__INIT;
	Npud__QueueChange change = NPUD__QUEUE_CHANGE__INIT;
	Npud__QueueDestroy queue = NPUD__QUEUE_DESTROY__INIT;
	Npud__FenceQuery fence = NPUD__FENCE_QUERY__INIT;
	Npud__FenceRelease let_go = NPUD__FENCE_RELEASE__INIT;
	Npud__Pardon pardon = NPUD__PARDON__INIT;
	Npud__PsQuery ps = NPUD__PS_QUERY__INIT;
	Npud__WhyQuery why = NPUD__WHY_QUERY__INIT;
	Npud__TimelineQuery timeline = NPUD__TIMELINE_QUERY__INIT;
	Npud__Request request = raw_request(body);

	switch ((unsigned)body) {
	case NPUD__REQUEST__BODY_PING:
		request.ping = &ping;
		break;
	case NPUD__REQUEST__BODY_DEVICE_QUERY:
		request.device_query = &device;
		break;
	case NPUD__REQUEST__BODY_BUFFER_RELEASE:
		request.buffer_release = &release;
		break;
	case NPUD__REQUEST__BODY_JOB_DESTROY:
		request.job_destroy = &destroy;
		break;
	case NPUD__REQUEST__BODY_JOB_CANCEL:
		request.job_cancel = &cancel;
		break;
	case NPUD__REQUEST__BODY_STATS_QUERY:
		request.stats_query = &stats;
		break;
	case NPUD__REQUEST__BODY_QUEUE_CHANGE:
		request.queue_change = &change;
		break;
	case NPUD__REQUEST__BODY_QUEUE_DESTROY:
		request.queue_destroy = &queue;
		break;
	case NPUD__REQUEST__BODY_FENCE_QUERY:
		request.fence_query = &fence;
		break;
	case NPUD__REQUEST__BODY_FENCE_RELEASE:
		request.fence_release = &let_go;
		break;
	case NPUD__REQUEST__BODY_PARDON:
		request.pardon = &pardon;
		break;
	case NPUD__REQUEST__BODY_PS_QUERY:
		request.ps_query = &ps;
		break;
	case NPUD__REQUEST__BODY_WHY_QUERY:
		request.why_query = &why;
		break;
	case NPUD__REQUEST__BODY_TIMELINE_QUERY:
		request.timeline_query = &timeline;
		break;
	default:
		request.maps_query = &maps;
		break;
	}
	expect_nothing_created(fd, &request);
}

/*
 * Every request that there is; without a default, so that the compiler refuses this file when the protocol gets another
 * one and nobody has said here what bounds it.
 */
static void flood_with(int fd, Npud__Request__BodyCase body)
{
	switch (body) {
	case NPUD__REQUEST__BODY_HELLO:
		flood_hello();
		return;
	case NPUD__REQUEST__BODY_BUFFER_IMPORT:
		flood_import(fd);
		return;
	case NPUD__REQUEST__BODY_JOB_BEGIN:
		flood_begin(fd);
		return;
	case NPUD__REQUEST__BODY_JOB_GROUPS:
		flood_groups(fd);
		return;
	case NPUD__REQUEST__BODY_JOB_COMMIT:
		flood_commit(fd);
		return;
	case NPUD__REQUEST__BODY_JOB_SUBMIT:
		flood_submit(fd);
		return;
	case NPUD__REQUEST__BODY_QUEUE_CREATE:
		flood_queues(fd);
		return;
	case NPUD__REQUEST__BODY_FENCE_IMPORT:
		flood_fences(fd);
		return;
	case NPUD__REQUEST__BODY_PING:
	case NPUD__REQUEST__BODY_DEVICE_QUERY:
	case NPUD__REQUEST__BODY_BUFFER_RELEASE:
	case NPUD__REQUEST__BODY_JOB_DESTROY:
	case NPUD__REQUEST__BODY_JOB_CANCEL:
	case NPUD__REQUEST__BODY_STATS_QUERY:
	case NPUD__REQUEST__BODY_MAPS_QUERY:
	case NPUD__REQUEST__BODY_QUEUE_CHANGE:
	case NPUD__REQUEST__BODY_QUEUE_DESTROY:
	case NPUD__REQUEST__BODY_FENCE_QUERY:
	case NPUD__REQUEST__BODY_FENCE_RELEASE:
	case NPUD__REQUEST__BODY_PARDON:
	case NPUD__REQUEST__BODY_PS_QUERY:
	case NPUD__REQUEST__BODY_WHY_QUERY:
	case NPUD__REQUEST__BODY_TIMELINE_QUERY:
		flood_harmless(fd, body);
		return;
	case NPUD__REQUEST__BODY_DEVICE_DRAIN:
	case NPUD__REQUEST__BODY_DEVICE_RESET:
	case NPUD__REQUEST__BODY_REGISTERS_QUERY:
		flood_device(fd, body);
		return;
	case NPUD__REQUEST__BODY__NOT_SET:
	case _NPUD__REQUEST__BODY__CASE_IS_INT_SIZE:
		return;
	}
}

START_TEST(attack_unlimited_outstanding_operations)
{
	scene_start(&(struct harness_options){
	    .socket = SOCKET_FOR_ALL,
	    .members = ",\"limits\":{\"tenant\":{\"sessions\":20,\"buffers\":800,\"buffer_bytes\":33554432,\"jobs\":6,"
		       "\"job_bytes\":8192,\"tcb_bytes\":8192}}"});
	for (unsigned i = 0; i < npud__request__descriptor.n_fields; i++) {
		int fd = raw_open(harness);

		flood_with(fd, (Npud__Request__BodyCase)npud__request__descriptor.fields[i].id);
		close(fd); /* with all it has queued */
		scene_innocent_works();
		attack_as(ALICE, innocent_life, NULL);
		await_sessions(1);
	}
	scene_stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exhaustion");
	TCase *all = tcase_create("exhaustion"), *own = tcase_create("own scene");

	tcase_set_timeout(all, 120);
	tcase_add_checked_fixture(all, scene_setup, scene_stop);
	tcase_add_test(all, attack_premature_expensive_work);
	tcase_add_test(all, attack_connection_and_handshake_exhaustion);
	suite_add_tcase(suite, all);
	tcase_set_timeout(own, 120);
	tcase_add_test(own, attack_quota_by_opening_more_connections);
	tcase_add_test(own, attack_unlimited_outstanding_operations);
	suite_add_tcase(suite, own);
	return suite_main(suite);
}
