/* SPDX-License-Identifier: Apache-2.0 */
/* The session: greeting, requests, completions in any order, callbacks, a daemon that dies or talks nonsense. */
#include <dirent.h>
#include <poll.h>
#include <sys/wait.h>

#include "libclient/include/npu/npu.h"
#include "tests/malformed/zyfile.h"
#include "tests/unit/libclient/fake_daemon.h"
#include "tests/unit/suite.h"

/* Allocations of this thread, where no sanitizer owns the allocator. */
static _Thread_local unsigned long allocations;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define COUNTS_ALLOCATIONS 1
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *malloc(size_t bytes)
{
	allocations++;
	return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes)
{
	allocations++;
	return __libc_calloc(count, bytes);
}
void *realloc(void *memory, size_t bytes)
{
	allocations++;
	return __libc_realloc(memory, bytes);
}
#else
#define COUNTS_ALLOCATIONS 0
#endif

static struct fake fake;
static struct npu_connection *npu;
static struct npu_graph *graph;
static int fds_before;

static int count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	(void)closedir(directory);
	return count;
}

static int count_pools(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	int count = 0;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "memfd:npu") != NULL;
	(void)fclose(maps);
	return count;
}

static void start(void)
{
	fds_before = count_fds();
	fake_init(&fake);
}

static void begin(void)
{
	fake_start(&fake);
	ck_assert_msg(npu_connect(fake.path, &npu) == 0, "%s", npu_error());
}

static void begin_with_graph(void)
{
	struct zf_file file = zf_vector();
	struct zf_bytes bytes = zf_build(&file);

	begin();
	ck_assert_msg(npu_graph_load_memory(npu, bytes.data, bytes.size, &graph) == 0, "%s", npu_error());
	zf_free(&bytes);
	zf_file_free(&file);
}

static struct npu_job *make_job(void)
{
	struct npu_job *job;

	ck_assert_msg(npu_job_create(graph, &job) == 0, "%s", npu_error());
	return job;
}

/* Nothing is left over, whatever the test did. */
static void finish(void)
{
	npu_disconnect(npu);
	npu = NULL;
	fake_stop(&fake);
	ck_assert_int_eq(count_fds(), fds_before);
	ck_assert_int_eq(count_pools(), 0);
}

static uint64_t submit(struct npu_job *job, uint64_t cookie)
{
	const struct npu_submit_options options = {.cookie = cookie};
	uint64_t ticket;

	ck_assert_msg(npu_job_submit(job, &options, &ticket) == 0, "%s", npu_error());
	return ticket;
}

/* A ping's answer comes after everything that was sent before it. */
static void settle(void)
{
	ck_assert_msg(npu_ping(npu) == 0, "%s", npu_error());
}

/* --- greeting */

START_TEST(connecting_to_nothing_says_so)
{
	start();
	ck_assert_int_eq(npu_connect("/nonexistent/npud.sock", &npu), -ENOENT);
	ck_assert_ptr_nonnull(strstr(npu_error(), "/nonexistent/npud.sock"));
	int listener = fake_listen(fake.path, SOCK_SEQPACKET);

	(void)close(listener);
	ck_assert_int_eq(npu_connect(fake.path, &npu), -ECONNREFUSED);
	(void)unlink(fake.path);
	listener = fake_listen(fake.path, SOCK_STREAM);
	ck_assert_int_eq(npu_connect(fake.path, &npu), -EPROTO);
	(void)close(listener);
	(void)unlink(fake.path);
	(void)rmdir(fake.directory);
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(npu_connect(path, &npu), -ENAMETOOLONG);
	ck_assert_int_eq(count_fds(), fds_before);
}
END_TEST

START_TEST(the_socket_comes_from_the_environment)
{
	start();
	ck_assert_int_eq(setenv(NPUD_SOCKET_ENV, fake.path, 1), 0);
	fake_start(&fake);
	ck_assert_msg(npu_connect(NULL, &npu) == 0, "%s", npu_error());
	ck_assert_uint_eq(npu_device_count(npu), 1);
	finish();
}
END_TEST

START_TEST(another_major_version_is_refused)
{
	start();
	fake.major = 2;
	fake_start(&fake);
	ck_assert_int_eq(npu_connect(fake.path, &npu), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(npu_error(), "protocol 2"));
	npu = NULL;
	finish();
}
END_TEST

START_TEST(a_newer_daemon_with_unknown_features_is_served)
{
	start();
	fake.minor = NPUD_PROTOCOL_MINOR + 7;
	fake.features = UINT64_MAX;
	begin();
	ck_assert_int_eq(npu_ping(npu), 0);
	finish();
}
END_TEST

START_TEST(a_session_on_a_device_that_is_not_there_is_refused)
{
	static const struct {
		uint32_t devices, device;
	} terms[] = {{1, 1}, {2, 2}, {2, UINT32_MAX}, {64, 63}};

	for (unsigned i = 0; i < sizeof(terms) / sizeof(*terms); i++) {
		start();
		fake.devices = terms[i].devices;
		fake.device = terms[i].device;
		fake_start(&fake);
		ck_assert_int_eq(npu_connect(fake.path, &npu), -EPROTO);
		ck_assert_ptr_nonnull(strstr(npu_error(), "device"));
		npu = NULL;
		finish();
	}
}
END_TEST

START_TEST(a_daemon_that_grants_no_credits_is_refused)
{
	start();
	fake.credits = 0;
	fake_start(&fake);
	ck_assert_int_eq(npu_connect(fake.path, &npu), -EPROTO);
	npu = NULL;
	finish();
}
END_TEST

START_TEST(a_device_is_described)
{
	struct npu_device_info info;

	start();
	begin();
	ck_assert_int_eq(npu_ping(npu), 0);
	ck_assert_str_eq(npu_error(), "");
	ck_assert_int_eq(npu_device_info(npu, 0, &info), 0);
	ck_assert_str_eq(info.name, "X2_1204MP3");
	ck_assert_uint_eq(info.tecs, 4);
	ck_assert_int_eq(npu_device_info(npu, 1, &info), -ENODEV);
	ck_assert_str_ne(npu_error(), "");
	finish();
}
END_TEST

/* --- a daemon that misbehaves */

static void expect_broken(enum fake_mood mood, int code)
{
	start();
	begin();
	atomic_store(&fake.mood, mood);
	ck_assert_int_eq(npu_ping(npu), code);
	ck_assert_str_ne(npu_error(), "");
	ck_assert_ptr_nonnull(strstr(npu_error(), "npud"));
}

START_TEST(garbage_ends_the_connection_not_the_process)
{
	expect_broken(FAKE_GARBAGE, -EPROTO);
	ck_assert_int_eq(npu_ping(npu), -EPROTO);
	finish();
}
END_TEST

START_TEST(a_frame_without_a_body_ends_the_connection)
{
	expect_broken(FAKE_EMPTY, -EPROTO);
	finish();
}
END_TEST

START_TEST(a_reply_of_another_kind_is_an_error)
{
	expect_broken(FAKE_OTHER_KIND, -EPROTO);
	atomic_store(&fake.mood, FAKE_GOOD);
	ck_assert_int_eq(npu_ping(npu), 0);
	finish();
}
END_TEST

START_TEST(a_daemon_that_dies_during_a_request_is_reported)
{
	expect_broken(FAKE_DIES, -EPIPE);
	ck_assert_int_eq(npu_ping(npu), -EPIPE);
	ck_assert_int_eq(npu_dispatch(npu), -EPIPE);
	finish();
}
END_TEST

START_TEST(a_daemon_that_dies_ends_every_wait)
{
	struct npu_result result;
	uint64_t ticket;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	ticket = submit(job, 1);
	settle();
	fake_kill(&fake);
	ck_assert_int_eq(npu_wait(npu, ticket, NPU_WAIT_FOREVER, &result), -EPIPE);
	ck_assert_ptr_nonnull(strstr(npu_error(), "npud"));
	ck_assert_int_eq(npu_wait(npu, ticket, 0, &result), -EPIPE);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), -EPIPE);
	ck_assert_int_eq(npu_job_free(job), 0);
	finish();
}
END_TEST

/* --- completions */

START_TEST(completions_in_any_order_reach_their_tickets)
{
	struct npu_result result;
	uint64_t tickets[3];

	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	for (uint64_t i = 0; i < 3; i++)
		tickets[i] = submit(job, 100 + i);
	settle();
	fake_complete(&fake, 2, NPUD__OUTCOME__OUTCOME_FAULT);
	fake_complete(&fake, 0, NPUD__OUTCOME__OUTCOME_DONE);
	fake_complete(&fake, 1, NPUD__OUTCOME__OUTCOME_TIMEOUT);
	ck_assert_int_eq(npu_wait(npu, tickets[0], NPU_WAIT_FOREVER, &result), 0);
	ck_assert_int_eq(result.outcome, NPU_DONE);
	ck_assert_uint_eq(result.cookie, 100);
	ck_assert_uint_eq(result.device_ns, 1000);
	ck_assert_str_eq(result.message, "");
	ck_assert_int_eq(npu_wait(npu, tickets[1], NPU_WAIT_FOREVER, &result), 0);
	ck_assert_int_eq(result.outcome, NPU_TIMEOUT);
	ck_assert_uint_eq(result.cookie, 101);
	ck_assert_int_eq(npu_wait(npu, tickets[2], NPU_WAIT_FOREVER, &result), 0);
	ck_assert_int_eq(result.outcome, NPU_FAULT);
	ck_assert_uint_eq(result.cookie, 102);
	ck_assert_str_eq(result.message, "as the test wishes");
	/* a released ticket is nobody's */
	ck_assert_int_eq(npu_wait(npu, tickets[1], 0, &result), -ENOENT);
	ck_assert_int_eq(npu_wait(npu, 0, 0, NULL), -ENOENT);
	ck_assert_int_eq(npu_wait(npu, UINT64_MAX, 0, NULL), -ENOENT);
	finish();
}
END_TEST

START_TEST(another_ticket_completing_does_not_end_a_wait)
{
	struct npu_result result;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();
	uint64_t first = submit(job, 1), second = submit(job, 2);

	settle();
	fake_complete(&fake, 1, NPUD__OUTCOME__OUTCOME_DONE);
	ck_assert_int_eq(npu_wait(npu, first, 1000000, &result), -ETIMEDOUT);
	ck_assert_int_eq(npu_wait(npu, first, 0, &result), -ETIMEDOUT);
	ck_assert_str_ne(npu_error(), "");
	ck_assert_int_eq(npu_wait(npu, second, 0, &result), 0);
	ck_assert_uint_eq(result.cookie, 2);
	fake_complete(&fake, 0, NPUD__OUTCOME__OUTCOME_DONE);
	ck_assert_int_eq(npu_wait(npu, first, NPU_WAIT_FOREVER, &result), 0);
	ck_assert_uint_eq(result.cookie, 1);
	finish();
}
END_TEST

START_TEST(a_completion_may_overtake_the_answer_to_its_submission)
{
	struct npu_result result;

	start();
	begin_with_graph();
	atomic_store(&fake.mood, FAKE_COMPLETES);
	struct npu_job *job = make_job();

	/* the late answers meet slots that are in use again */
	for (uint64_t i = 0; i < 50; i++) {
		ck_assert_int_eq(npu_wait(npu, submit(job, i), NPU_WAIT_FOREVER, &result), 0);
		ck_assert_uint_eq(result.cookie, i);
	}
	finish();
}
END_TEST

START_TEST(without_credits_submitting_says_try_again)
{
	uint64_t tickets[4], ticket;

	start();
	fake.credits = 4;
	begin_with_graph();
	struct npu_job *job = make_job();

	for (int i = 0; i < 4; i++)
		tickets[i] = submit(job, 0);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(npu_error(), "4 submissions"));
	settle();
	fake_complete(&fake, 3, NPUD__OUTCOME__OUTCOME_DONE);
	/* done is not enough: the ticket is still out */
	settle();
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), -EAGAIN);
	ck_assert_int_eq(npu_wait(npu, tickets[3], NPU_WAIT_FOREVER, NULL), 0);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), 0);
	ck_assert_uint_ne(ticket, tickets[3]);
	finish();
}
END_TEST

START_TEST(a_refused_submission_is_told_by_the_wait)
{
	struct npu_result result;
	uint64_t ticket;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	atomic_store(&fake.mood, FAKE_REFUSES);
	ticket = submit(job, 5);
	ck_assert_int_eq(npu_wait(npu, ticket, NPU_WAIT_FOREVER, &result), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(npu_error(), "8 of 8"));
	ck_assert_int_eq(npu_wait(npu, ticket, 0, &result), -ENOENT);
	atomic_store(&fake.mood, FAKE_DEVICE_GONE);
	ticket = submit(job, 6);
	ck_assert_int_eq(npu_wait(npu, ticket, NPU_WAIT_FOREVER, &result), 0);
	ck_assert_int_eq(result.outcome, NPU_DEVICE_GONE);
	ck_assert_int_eq(npu_job_run(job, NULL), -EIO);
	ck_assert_ptr_nonnull(strstr(npu_error(), "device gone"));
	ck_assert_int_eq(npu_job_free(job), 0);
	finish();
}
END_TEST

static void tell_offline(uint32_t device)
{
	Npud__DeviceState state = NPUD__DEVICE_STATE__INIT;
	Npud__Event event = NPUD__EVENT__INIT;

	state.index = device;
	state.status = NPUD__DEVICE_STATUS__DEVICE_OFFLINE;
	event.body_case = NPUD__EVENT__BODY_DEVICE_STATE;
	event.device_state = &state;
	fake_event(&fake, &event);
	settle();
}

START_TEST(only_the_sessions_own_device_matters)
{
	uint64_t ticket;

	start();
	fake.devices = 3;
	fake.device = 1; /* the others are of another kind */
	begin_with_graph();
	struct npu_job *job = make_job();

	tell_offline(0);
	tell_offline(2);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), 0);
	tell_offline(1);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), -ENODEV);
	ck_assert_ptr_nonnull(strstr(npu_error(), "device 1 is offline"));
	finish();
}
END_TEST

START_TEST(a_result_says_if_the_device_had_begun)
{
	static const struct {
		Npud__Outcome outcome;
		bool started;
	} ends[] = {{NPUD__OUTCOME__OUTCOME_DONE, true}, {NPUD__OUTCOME__OUTCOME_CANCELLED, false}};
	struct npu_result result;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	for (uint32_t i = 0; i < 4; i++) { /* places are used again: nothing of the last result is left */
		uint64_t ticket = submit(job, 0);

		settle();
		fake_complete(&fake, i, ends[i % 2].outcome);
		ck_assert_int_eq(npu_wait(npu, ticket, NPU_WAIT_FOREVER, &result), 0);
		ck_assert_int_eq(result.started, ends[i % 2].started);
	}
	atomic_store(&fake.mood, FAKE_REFUSES);
	ck_assert_int_lt(npu_wait(npu, submit(job, 0), NPU_WAIT_FOREVER, &result), 0);
	ck_assert(!result.started);
	atomic_store(&fake.mood, FAKE_GOOD);
	uint64_t ticket = submit(job, 0);
	settle();
	fake_kill(&fake);
	ck_assert_int_eq(npu_wait(npu, ticket, NPU_WAIT_FOREVER, &result), -EPIPE);
	ck_assert(result.started); /* not disproved */
	finish();
}
END_TEST

START_TEST(an_offline_device_takes_no_submissions)
{
	uint64_t ticket;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	tell_offline(0);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), -ENODEV);
	ck_assert_ptr_nonnull(strstr(npu_error(), "offline"));
	finish();
}
END_TEST

START_TEST(cancelling_says_what_became_of_the_submission)
{
	struct npu_result result;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();
	uint64_t ticket = submit(job, 1);

	ck_assert_int_eq(npu_cancel(npu, ticket), NPU_CANCEL_QUEUED);
	fake.cancel = NPUD__CANCEL_STATE__CANCEL_RUNNING;
	ck_assert_int_eq(npu_cancel(npu, ticket), NPU_CANCEL_RUNNING);
	fake_complete(&fake, 0, NPUD__OUTCOME__OUTCOME_CANCELLED);
	settle();
	ck_assert_int_eq(npu_cancel(npu, ticket), NPU_CANCEL_FINISHED);
	ck_assert_int_eq(npu_wait(npu, ticket, 0, &result), 0);
	ck_assert_int_eq(result.outcome, NPU_CANCELLED);
	ck_assert_int_eq(npu_cancel(npu, ticket), -ENOENT);
	finish();
}
END_TEST

START_TEST(owners_in_use_are_not_freed)
{
	start();
	begin_with_graph();
	struct npu_job *job = make_job();
	uint64_t ticket = submit(job, 1);

	ck_assert_int_eq(npu_graph_free(graph), -EBUSY);
	ck_assert_int_eq(npu_job_free(job), -EBUSY);
	settle();
	fake_complete(&fake, 0, NPUD__OUTCOME__OUTCOME_DONE);
	settle();
	ck_assert_int_eq(npu_job_free(job), 0);
	ck_assert_int_eq(npu_graph_free(graph), 0);
	/* the result outlives the job */
	ck_assert_int_eq(npu_wait(npu, ticket, 0, NULL), 0);
	ck_assert_uint_eq(atomic_load(&fake.release_count), 2);
	ck_assert_uint_eq(atomic_load(&fake.destroy_count), 1);
	ck_assert_int_eq(npu_job_free(NULL), 0);
	ck_assert_int_eq(npu_graph_free(NULL), 0);
	npu_disconnect(NULL);
	finish();
}
END_TEST

START_TEST(between_submit_and_completion_nothing_is_allocated)
{
	struct npu_result result;

	start();
	begin_with_graph();
	atomic_store(&fake.mood, FAKE_COMPLETES);
	struct npu_job *job = make_job();

	ck_assert_int_eq(npu_job_run(job, &result), 0);
	unsigned long before = allocations;

	int failed = 0;

	/* the test framework allocates for each assertion */
	for (int i = 0; i < 100; i++)
		failed += npu_job_run(job, &result) != 0;
	unsigned long after = allocations;

	ck_assert_int_eq(failed, 0);
	ck_assert_uint_eq(after, before);
	/* the counter counts */
	(void)make_job();
	ck_assert(!COUNTS_ALLOCATIONS || allocations > after);
	finish();
}
END_TEST

/* --- callbacks and polling */

static int done_count;
static struct npu_result last_result;
static uint64_t last_ticket;

static void on_done(struct npu_job *job, uint64_t ticket, const struct npu_result *result, void *user)
{
	ck_assert_ptr_eq(user, &done_count);
	ck_assert_ptr_nonnull(job);
	done_count++;
	last_ticket = ticket;
	last_result = *result;
}

static uint64_t submit_with(struct npu_job *job, npu_done_fn done, uint64_t cookie)
{
	const struct npu_submit_options options = {.cookie = cookie, .done = done, .user = &done_count};
	uint64_t ticket;

	ck_assert_msg(npu_job_submit(job, &options, &ticket) == 0, "%s", npu_error());
	return ticket;
}

START_TEST(callbacks_run_in_dispatch_and_nowhere_else)
{
	start();
	begin_with_graph();
	struct npu_job *job = make_job();
	uint64_t ticket = submit_with(job, on_done, 9);

	settle();
	fake_complete(&fake, 0, NPUD__OUTCOME__OUTCOME_DONE);
	settle();
	ck_assert_int_eq(done_count, 0);
	ck_assert_int_eq(npu_job_free(job), -EBUSY);
	ck_assert_int_eq(npu_dispatch(npu), 1);
	ck_assert_int_eq(done_count, 1);
	ck_assert_uint_eq(last_ticket, ticket);
	ck_assert_uint_eq(last_result.cookie, 9);
	ck_assert_int_eq(npu_dispatch(npu), 0);
	ck_assert_int_eq(npu_wait(npu, ticket, 0, NULL), -ENOENT);
	finish();
}
END_TEST

static void on_done_again(struct npu_job *job, uint64_t ticket, const struct npu_result *result, void *user)
{
	uint64_t next;

	on_done(job, ticket, result, user);
	ck_assert_int_eq(npu_ping(npu), 0);
	ck_assert_int_eq(npu_wait(npu, ticket, 0, NULL), 0);
	if (done_count < 20) {
		const struct npu_submit_options options = {.done = on_done_again, .user = user};

		ck_assert_int_eq(npu_job_submit(job, &options, &next), 0);
	} else {
		ck_assert_int_eq(npu_job_free(job), 0);
	}
}

START_TEST(a_callback_may_call_anything_even_free_its_job)
{
	start();
	begin_with_graph();
	atomic_store(&fake.mood, FAKE_COMPLETES);
	(void)submit_with(make_job(), on_done_again, 0);
	int fd = npu_fd(npu);

	ck_assert_int_ge(fd, 0);
	while (done_count < 20) {
		struct pollfd poller = {.fd = fd, .events = POLLIN};

		ck_assert_int_eq(poll(&poller, 1, 10000), 1);
		ck_assert_int_ge(npu_dispatch(npu), 0);
	}
	ck_assert_uint_eq(atomic_load(&fake.destroy_count), 1);
	finish();
}
END_TEST

static bool readable(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	return poll(&poller, 1, 0) == 1;
}

START_TEST(the_descriptor_is_readable_while_there_is_something_to_dispatch)
{
	start();
	begin_with_graph();
	struct npu_job *job = make_job();
	int fd = npu_fd(npu);
	uint64_t ticket = submit(job, 1);

	settle();
	ck_assert(!readable(fd));
	ck_assert_int_eq(npu_fd(npu), fd);
	fake_complete(&fake, 0, NPUD__OUTCOME__OUTCOME_DONE);
	ck_assert(readable(fd));
	/* a request reads the completion from the socket: the descriptor must not go quiet over it */
	settle();
	ck_assert(readable(fd));
	ck_assert_int_eq(npu_dispatch(npu), 1);
	ck_assert(!readable(fd));
	ck_assert_int_eq(npu_wait(npu, ticket, 0, NULL), 0);
	/* a completion that its own wait took is not reported again */
	ticket = submit(job, 2);
	settle();
	fake_complete(&fake, 1, NPUD__OUTCOME__OUTCOME_DONE);
	ck_assert_int_eq(npu_wait(npu, ticket, NPU_WAIT_FOREVER, NULL), 0);
	ck_assert_int_eq(npu_dispatch(npu), 0);
	fake_kill(&fake);
	ck_assert(readable(fd));
	finish();
}
END_TEST

START_TEST(callbacks_hear_of_a_dead_daemon)
{
	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	(void)submit_with(job, on_done, 1);
	(void)submit_with(job, on_done, 2);
	settle();
	fake_kill(&fake);
	ck_assert_int_eq(npu_dispatch(npu), 2);
	ck_assert_int_eq(done_count, 2);
	ck_assert_int_eq(last_result.outcome, NPU_DEVICE_GONE);
	ck_assert_int_eq(npu_dispatch(npu), -EPIPE);
	finish();
}
END_TEST

static void on_done_disconnect(struct npu_job *job, uint64_t ticket, const struct npu_result *result, void *user)
{
	uint64_t next;

	on_done(job, ticket, result, user);
	ck_assert_int_eq(npu_job_submit(job, NULL, &next), -ESHUTDOWN);
	npu_disconnect(npu);
}

START_TEST(disconnecting_cancels_what_is_pending)
{
	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	(void)submit_with(job, on_done_disconnect, 1);
	(void)submit(job, 2);
	finish();
	ck_assert_int_eq(done_count, 1);
	ck_assert_int_eq(last_result.outcome, NPU_CANCELLED);
}
END_TEST

static char printed[3000];
static int printed_before_done;

static void on_print(struct npu_job *job, uint32_t group, uint32_t task, const char *text, void *user)
{
	ck_assert_ptr_nonnull(job);
	ck_assert_ptr_eq(user, printed);
	ck_assert_uint_eq(group, 3);
	ck_assert_uint_eq(task, 2);
	(void)snprintf(printed, sizeof(printed), "%s", text);
	printed_before_done = done_count == 0;
}

static void send_print(const char *text)
{
	Npud__JobPrint print = NPUD__JOB_PRINT__INIT;
	Npud__Event event = NPUD__EVENT__INIT;

	print.submission = 1;
	print.group = 3;
	print.task = 2;
	print.text.data = (uint8_t *)(uintptr_t)text;
	print.text.len = strlen(text);
	event.body_case = NPUD__EVENT__BODY_JOB_PRINT;
	event.job_print = &print;
	fake_event(&fake, &event);
}

START_TEST(what_programs_print_arrives_before_their_completion)
{
	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	npu_set_print(npu, on_print, printed);
	(void)submit_with(job, on_done, 1);
	settle();
	send_print("hello from the NPU");
	fake_complete(&fake, 0, NPUD__OUTCOME__OUTCOME_DONE);
	ck_assert_int_eq(npu_dispatch(npu), 1);
	ck_assert_str_eq(printed, "hello from the NPU");
	ck_assert_int_eq(done_count, 1);
	ck_assert_int_eq(printed_before_done, 1);
	finish();
}
END_TEST

START_TEST(too_much_print_is_cut_and_dropped_not_stored)
{
	char text[2000];

	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	npu_set_print(npu, on_print, printed);
	(void)submit(job, 1);
	settle();
	for (int i = 0; i < 100; i++) {
		send_print(text);
		settle();
	}
	ck_assert_int_eq(npu_dispatch(npu), 0);
	ck_assert_uint_eq(strlen(printed), NPUD_MAX_PRINT_BYTES);
	finish();
}
END_TEST

/* --- processes and threads */

START_TEST(a_forked_child_is_refused_and_has_no_tensors)
{
	start();
	begin_with_graph();
	struct npu_job *job = make_job();
	size_t bytes;
	void *tensor = npu_job_tensor(job, NPU_INPUT, 0, &bytes);

	ck_assert_ptr_nonnull(tensor);
	pid_t child = fork();

	if (child == 0) {
		struct npu_device_info info;
		struct npu_tensor_info tensor_info;
		uint64_t ticket;
		unsigned char resident;
		int good = npu_ping(npu) == -EOWNERDEAD && *npu_error() &&
			   npu_job_submit(job, NULL, &ticket) == -EOWNERDEAD &&
			   npu_wait(npu, 1, 0, NULL) == -EOWNERDEAD && npu_cancel(npu, 1) == -EOWNERDEAD &&
			   npu_dispatch(npu) == -EOWNERDEAD && npu_fd(npu) == -EOWNERDEAD &&
			   npu_device_info(npu, 0, &info) == -EOWNERDEAD && npu_device_count(npu) == 0 &&
			   npu_graph_tensor_info(graph, NPU_INPUT, 0, &tensor_info) == -EOWNERDEAD &&
			   npu_graph_tensor_index(graph, NPU_INPUT, "x") == -EOWNERDEAD &&
			   npu_job_tensor(job, NPU_INPUT, 0, NULL) == NULL && npu_job_free(job) == -EOWNERDEAD &&
			   npu_graph_free(graph) == -EOWNERDEAD && npu_job_run(job, NULL) == -EOWNERDEAD;
		uintptr_t page = (uintptr_t)tensor & ~(uintptr_t)4095;

		good = good && mincore((void *)page, 4096, &resident) == -1 && errno == ENOMEM;
		npu_disconnect(npu);
		_exit(good ? 0 : 1);
	}
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	/* the parent's session is as it was */
	ck_assert_int_eq(npu_ping(npu), 0);
	finish();
}
END_TEST

#define THREADS 4
#define RUNS 200
#define TOTAL 800u /* runs of all threads */

_Static_assert(TOTAL == THREADS * RUNS, "runs of all threads");

static void *run_jobs(void *user)
{
	struct npu_result result;
	uint64_t *wrong = user, ticket;
	struct npu_job *job;

	if (npu_job_create(graph, &job)) {
		*wrong = RUNS;
		return NULL;
	}
	for (uint64_t i = 0; i < RUNS; i++) {
		const struct npu_submit_options options = {.cookie = (uint64_t)(uintptr_t)user + i};

		if (npu_job_submit(job, &options, &ticket) ||
		    npu_wait(npu, ticket, i % 3 ? NPU_WAIT_FOREVER : 10000000000, &result) ||
		    result.cookie != options.cookie || (i % 7 == 0 && npu_ping(npu)))
			(*wrong)++;
	}
	*wrong += npu_job_free(job) != 0;
	return NULL;
}

START_TEST(threads_share_a_connection)
{
	pthread_t threads[THREADS];
	uint64_t wrong[THREADS] = {0};

	start();
	begin_with_graph();
	atomic_store(&fake.mood, FAKE_COMPLETES);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run_jobs, &wrong[i]), 0);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_ge(npu_dispatch(npu), 0);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		ck_assert_uint_eq(wrong[i], 0);
	}
	ck_assert_uint_eq(atomic_load(&fake.submit_count), TOTAL);
	finish();
}
END_TEST

static void *wait_for(void *user)
{
	return (void *)(intptr_t)npu_wait(npu, *(uint64_t *)user, NPU_WAIT_FOREVER, NULL);
}

START_TEST(a_dead_daemon_wakes_every_waiting_thread)
{
	pthread_t threads[THREADS];
	uint64_t tickets[THREADS];
	void *rc;

	start();
	begin_with_graph();
	struct npu_job *job = make_job();

	for (int i = 0; i < THREADS; i++) {
		tickets[i] = submit(job, 0);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, wait_for, &tickets[i]), 0);
	}
	fake_complete(&fake, 0, NPUD__OUTCOME__OUTCOME_UNSPECIFIED);
	fake_kill(&fake);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &rc), 0);
		ck_assert((intptr_t)rc == -EPIPE || (intptr_t)rc == 0);
	}
	finish();
}
END_TEST

#define ADD(test) tcase_add_test(tests, test)

int main(void)
{
	Suite *suite = suite_create("connection");
	TCase *tests = tcase_create("connection");

	tcase_set_timeout(tests, 60);
	ADD(connecting_to_nothing_says_so);
	ADD(the_socket_comes_from_the_environment);
	ADD(another_major_version_is_refused);
	ADD(a_newer_daemon_with_unknown_features_is_served);
	ADD(a_session_on_a_device_that_is_not_there_is_refused);
	ADD(a_daemon_that_grants_no_credits_is_refused);
	ADD(a_device_is_described);
	ADD(garbage_ends_the_connection_not_the_process);
	ADD(a_frame_without_a_body_ends_the_connection);
	ADD(a_reply_of_another_kind_is_an_error);
	ADD(a_daemon_that_dies_during_a_request_is_reported);
	ADD(a_daemon_that_dies_ends_every_wait);
	ADD(completions_in_any_order_reach_their_tickets);
	ADD(another_ticket_completing_does_not_end_a_wait);
	ADD(a_completion_may_overtake_the_answer_to_its_submission);
	ADD(without_credits_submitting_says_try_again);
	ADD(a_refused_submission_is_told_by_the_wait);
	ADD(an_offline_device_takes_no_submissions);
	ADD(only_the_sessions_own_device_matters);
	ADD(a_result_says_if_the_device_had_begun);
	ADD(cancelling_says_what_became_of_the_submission);
	ADD(owners_in_use_are_not_freed);
	ADD(between_submit_and_completion_nothing_is_allocated);
	ADD(callbacks_run_in_dispatch_and_nowhere_else);
	ADD(a_callback_may_call_anything_even_free_its_job);
	ADD(the_descriptor_is_readable_while_there_is_something_to_dispatch);
	ADD(callbacks_hear_of_a_dead_daemon);
	ADD(disconnecting_cancels_what_is_pending);
	ADD(what_programs_print_arrives_before_their_completion);
	ADD(too_much_print_is_cut_and_dropped_not_stored);
	ADD(a_forked_child_is_refused_and_has_no_tensors);
	ADD(threads_share_a_connection);
	ADD(a_dead_daemon_wakes_every_waiting_thread);
	suite_add_tcase(suite, tests);
	return suite_main(suite);
}
