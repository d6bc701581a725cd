/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever dies or stops answering, at whatever moment, leaves nothing behind and takes nobody along. */
#include <signal.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/integration/raw.h"

/* ------------------------------------------------------------------ clients */

struct life {
	int pipe[2]; /* a byte per step that was taken */
	bool spin;
};

static void step(const struct life *life)
{
	if (write(life->pipe[1], "x", 1) != 1)
		_exit(9);
}

/* A client's whole life; the parent kills it at some step. */
static int live(struct harness *harness, void *user)
{
	const struct life *life = user;
	uint64_t ticket[12];

	step(life);
	struct npu_connection *connection = harness_connect(harness);
	step(life);
	struct npu_graph *graph = load(connection, life->spin ? program_spin() : program_copy(1024, 1));
	step(life);
	struct npu_job *job[4];
	for (unsigned i = 0; i < 4; i++) {
		ASSERT_NPU(npu_job_create(graph, &job[i]));
		step(life);
	}
	for (unsigned i = 0; i < 12; i++) {
		ticket[i] = submit(job[i % 4], 0);
		step(life);
	}
	for (unsigned i = 0; i < 12; i++) {
		(void)wait_for(connection, ticket[i]);
		step(life);
	}
	for (unsigned i = 0; i < 4; i++)
		(void)npu_job_free(job[i]);
	step(life);
	npu_disconnect(connection);
	step(life);
	(void)pause();
	return 0;
}

static void kill_at(struct harness *harness, unsigned steps, bool spin)
{
	struct life life = {.spin = spin};
	char byte;

	ck_assert_int_eq(pipe(life.pipe), 0);
	pid_t pid = client_start(harness, live, &life);
	close(life.pipe[1]);
	for (unsigned i = 0; i < steps; i++)
		ck_assert_int_eq(read(life.pipe[0], &byte, 1), 1);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(harness_wait(pid), 128 + SIGKILL);
	close(life.pipe[0]);
}

START_TEST(a_client_killed_at_any_step_leaves_nothing)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(4, 1));

	for (unsigned steps = 1; steps <= 33; steps++) {
		kill_at(harness, steps, false);
		input_of(job)[0] = steps;
		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
		ck_assert_uint_eq(output_of(job)[0], steps + 1);
	}
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_client_killed_while_its_program_hangs_leaves_nothing)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(4, 1));

	for (unsigned steps = 7; steps <= 19; steps += 2) {
		kill_at(harness, steps, true);
		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	}
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(clients_killed_side_by_side_leave_nothing)
{
	struct harness *harness = harness_start(NULL);
	struct life life[6];
	pid_t pid[6];
	char byte;

	for (unsigned i = 0; i < 6; i++) {
		life[i].spin = i % 2;
		ck_assert_int_eq(pipe(life[i].pipe), 0);
		pid[i] = client_start(harness, live, &life[i]);
	}
	for (unsigned i = 0; i < 6; i++) {
		for (unsigned n = 0; n < 8 + i; n++)
			ck_assert_int_eq(read(life[i].pipe[0], &byte, 1), 1);
		ck_assert_int_eq(kill(pid[i], SIGKILL), 0);
	}
	for (unsigned i = 0; i < 6; i++) {
		ck_assert_int_eq(harness_wait(pid[i]), 128 + SIGKILL);
		close(life[i].pipe[0]);
		close(life[i].pipe[1]);
	}
	harness_stop(harness);
}
END_TEST

/* The socket lives on in another process: the end of the one that connected ends the session all the same. */
static int connect_and_fork(struct harness *harness, void *user)
{
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_noop());
	struct npu_result result;

	if (npu_job_run(job, &result))
		return 1;
	pid_t child = fork();
	if (child < 0)
		return 2;
	if (child > 0) {
		*(volatile pid_t *)user = child;
		return 0; /* without disconnecting */
	}
	for (;;)
		(void)pause();
}

START_TEST(the_exit_of_the_connecting_process_ends_the_session)
{
	struct harness *harness = harness_start(NULL);
	pid_t *child = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(child, MAP_FAILED);
	client_wait(client_start(harness, connect_and_fork, child));
	harness_settle(harness); /* while the grandchild still holds the socket */
	ck_assert_int_gt(*child, 0);
	ck_assert_int_eq(kill(*child, SIGKILL), 0);
	munmap(child, 4096);
	harness_stop(harness);
}
END_TEST

/* ------------------------------------------------------------------ the device */

static void expect_offline(struct npu_connection *connection, struct npu_job *job)
{
	struct npu_device_info info;
	struct npu_submit_options options = {0};
	uint64_t ticket;

	ASSERT_NPU(npu_ping(connection));
	ASSERT_NPU(npu_device_info(connection, 0, &info));
	ck_assert_int_eq(info.status, NPU_DEVICE_OFFLINE);
	ck_assert_int_eq(npu_job_submit(job, &options, &ticket), -ENODEV);
}

START_TEST(a_killed_device_ends_every_submission_and_the_daemon_lives)
{
	struct harness *harness = harness_start(&(struct harness_options){.deadline_ms = 200});
	struct npu_connection *connection = harness_connect(harness), *other = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin()), *job = job_of(other, program_noop());
	uint64_t running = submit_running(connection, spin, 0), queued = submit(spin, 0), elsewhere = submit(job, 0);

	ck_assert_int_eq(kill(harness->emu, SIGKILL), 0);
	ck_assert_int_eq(harness_wait(harness->emu), 128 + SIGKILL);
	harness_emu_gone(harness);
	ASSERT_OUTCOME(wait_for(connection, running), NPU_DEVICE_GONE);
	ASSERT_OUTCOME(wait_for(connection, queued), NPU_DEVICE_GONE);
	ASSERT_OUTCOME(wait_for(other, elsewhere), NPU_DEVICE_GONE);
	expect_offline(connection, spin);
	expect_offline(other, job);
	npu_disconnect(connection);
	npu_disconnect(other);
	struct npu_connection *late = harness_connect(harness); /* and new clients are answered */
	ASSERT_NPU(npu_ping(late));
	npu_disconnect(late);
	harness_stop(harness);
}
END_TEST

START_TEST(a_stalled_device_is_offline_after_its_deadline)
{
	struct harness *harness = harness_start(&(struct harness_options){.deadline_ms = 200});
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_noop());

	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	ck_assert_int_eq(kill(harness->emu, SIGSTOP), 0);
	harness_device_gone(harness);
	uint64_t ticket = submit(job, 0);
	ASSERT_OUTCOME(wait_for(connection, ticket), NPU_DEVICE_GONE);
	expect_offline(connection, job);
	ck_assert_int_eq(kill(harness->emu, SIGCONT), 0);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_device_that_stalls_while_a_program_runs_is_found_out)
{
	struct harness *harness = harness_start(&(struct harness_options){.deadline_ms = 200});
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin());
	uint64_t ticket = submit_running(connection, spin, 100000000);

	ck_assert_int_eq(kill(harness->emu, SIGSTOP), 0);
	harness_device_gone(harness);
	ASSERT_OUTCOME(wait_for(connection, ticket), NPU_DEVICE_GONE);
	ASSERT_NPU(npu_ping(connection));
	ck_assert_int_eq(kill(harness->emu, SIGCONT), 0);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_device_that_dies_idle_is_offline_without_anybody_asking)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_device_info info;

	ck_assert_int_eq(kill(harness->emu, SIGKILL), 0);
	ck_assert_int_eq(harness_wait(harness->emu), 128 + SIGKILL);
	harness_emu_gone(harness);
	do { /* the hang-up and our question race; no submission helps it along */
		ASSERT_NPU(npu_device_info(connection, 0, &info));
	} while (info.status != NPU_DEVICE_OFFLINE);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_device_that_returns_serves_its_old_clients_again)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(16, 1));
	const struct timespec pause = {0, 20000000};
	struct npu_device_info info;

	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	ck_assert_int_eq(kill(harness->emu, SIGKILL), 0);
	ck_assert_int_eq(harness_wait(harness->emu), 128 + SIGKILL);
	harness_emu_gone(harness);
	do {
		ASSERT_NPU(npu_device_info(connection, 0, &info));
	} while (info.status != NPU_DEVICE_OFFLINE);
	harness_emu_again(harness);
	do {
		(void)nanosleep(&pause, NULL);
		ASSERT_NPU(npu_device_info(connection, 0, &info));
	} while (info.status != NPU_DEVICE_READY);
	input_of(job)[0] = 41;
	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	ck_assert_uint_eq(output_of(job)[0], 42);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

/* ------------------------------------------------------------------ the daemon */

START_TEST(clients_learn_that_the_daemon_died)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin());
	uint64_t ticket = submit_running(connection, spin, 0);

	ck_assert_int_eq(kill(harness->npud, SIGKILL), 0);
	ck_assert_int_eq(harness_wait(harness->npud), 128 + SIGKILL);
	harness_npud_gone(harness);
	struct npu_result result;
	ck_assert_int_eq(npu_wait(connection, ticket, PATIENCE_NS, &result), -EPIPE);
	ck_assert_int_eq(npu_ping(connection), -EPIPE);
	npu_disconnect(connection);
	/* The device was left in the middle of a program: the next daemon starts over it. */
	harness_npud_again(harness);
	connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(4, 1));
	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(the_daemon_stops_cleanly_under_load)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin());
	uint64_t running = submit_running(connection, spin, 0), queued = submit(spin, 0);
	struct npu_result result;

	ck_assert_int_eq(kill(harness->npud, SIGTERM), 0);
	/* Each ends: with the news that it was cancelled, or with the end of the connection. */
	for (int i = 0; i < 2; i++) {
		int rc = npu_wait(connection, i ? queued : running, PATIENCE_NS, &result);
		ck_assert_msg(rc == 0 || rc == -EPIPE, "%s", strerror(-rc));
		if (rc == 0)
			ck_assert_int_ne(result.outcome, NPU_DONE);
	}
	ck_assert_int_eq(harness_wait(harness->npud), 0);
	harness_npud_gone(harness);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("death");
	TCase *clients = tcase_create("clients"), *device = tcase_create("device"), *daemon = tcase_create("daemon");

	tcase_set_timeout(clients, 120);
	tcase_add_test(clients, a_client_killed_at_any_step_leaves_nothing);
	tcase_add_test(clients, a_client_killed_while_its_program_hangs_leaves_nothing);
	tcase_add_test(clients, clients_killed_side_by_side_leave_nothing);
	tcase_add_test(clients, the_exit_of_the_connecting_process_ends_the_session);
	suite_add_tcase(suite, clients);
	tcase_set_timeout(device, 120);
	tcase_add_test(device, a_killed_device_ends_every_submission_and_the_daemon_lives);
	tcase_add_test(device, a_stalled_device_is_offline_after_its_deadline);
	tcase_add_test(device, a_device_that_stalls_while_a_program_runs_is_found_out);
	tcase_add_test(device, a_device_that_dies_idle_is_offline_without_anybody_asking);
	tcase_add_test(device, a_device_that_returns_serves_its_old_clients_again);
	suite_add_tcase(suite, device);
	tcase_set_timeout(daemon, 120);
	tcase_add_test(daemon, clients_learn_that_the_daemon_died);
	tcase_add_test(daemon, the_daemon_stops_cleanly_under_load);
	suite_add_tcase(suite, daemon);
	return suite_main(suite);
}
