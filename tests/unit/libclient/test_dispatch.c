/* SPDX-License-Identifier: Apache-2.0 */
/* Callbacks and the descriptor to poll: what dispatching calls, when, and what programs print. */
#include <poll.h>

#include "tests/unit/libclient/session.h"

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

#define ADD(test) tcase_add_test(tests, test)

int main(void)
{
	Suite *suite = suite_create("dispatch");
	TCase *tests = tcase_create("dispatch");

	tcase_set_timeout(tests, 60);
	ADD(callbacks_run_in_dispatch_and_nowhere_else);
	ADD(a_callback_may_call_anything_even_free_its_job);
	ADD(the_descriptor_is_readable_while_there_is_something_to_dispatch);
	ADD(callbacks_hear_of_a_dead_daemon);
	ADD(disconnecting_cancels_what_is_pending);
	ADD(what_programs_print_arrives_before_their_completion);
	ADD(too_much_print_is_cut_and_dropped_not_stored);
	suite_add_tcase(suite, tests);
	return suite_main(suite);
}
