/* SPDX-License-Identifier: Apache-2.0 */
/* What work costs and what bounds it: allocations, credits, quotas, threads, fork. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tests/integration/raw.h"

/* Allocations of the daemon while `jobs` submissions run, the question included. */
static uint64_t allocations_of(int stats_fd, struct npu_job *job, unsigned jobs)
{
	Npud__StatsQuery query = NPUD__STATS_QUERY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	uint64_t seen[2];

	request.body_case = NPUD__REQUEST__BODY_STATS_QUERY;
	request.stats_query = &query;
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned n = 0; i && n < jobs; n++)
			ASSERT_NPU(npu_job_run(job, NULL));
		Npud__ServerFrame *frame = raw_call(stats_fd, &request, -1);
		seen[i] = frame->reply->stats->allocations;
		raw_free(frame);
	}
	return seen[1] - seen[0];
}

START_TEST(a_submission_allocates_nothing_in_the_daemon)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(4, 1));
	int fd = raw_open(harness);

	(void)allocations_of(fd, job, 10); /* mapped, attached, warm */
	uint64_t few = allocations_of(fd, job, 10), many = allocations_of(fd, job, 510);
	ck_assert_msg(many == few, "%lu allocations for 500 submissions", (unsigned long)(many - few));
	close(fd);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_client_that_does_not_wait_runs_out_of_credits)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_noop());
	uint64_t ticket[NPUD_MAX_INFLIGHT_EVENTS], extra;

	for (unsigned i = 0; i < NPUD_MAX_INFLIGHT_EVENTS; i++)
		ticket[i] = submit(job, 0);
	ck_assert_int_eq(npu_job_submit(job, NULL, &extra), -EAGAIN);
	ck_assert_str_ne(npu_error(), "");
	for (unsigned i = 0; i < NPUD_MAX_INFLIGHT_EVENTS; i++)
		ASSERT_OUTCOME(wait_for(connection, ticket[i]), NPU_DONE);
	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_quota_that_is_met_is_named_and_frees_up)
{
	struct harness *harness = harness_start(
	    &(struct harness_options){.members = ",\"limits\":{\"tenant\":{\"buffer_bytes\":33554432,\"jobs\":3}}"});
	struct npu_connection *connection = harness_connect(harness), *other = harness_connect(harness);
	struct program big = program_noop();
	struct npu_graph *graph = NULL, *small = load(connection, program_noop());
	struct npu_job *job = NULL, *jobs[4] = {NULL}, *elsewhere = NULL;
	size_t bytes;

	big.tensor_bytes = 64u << 20;
	void *file = program_elf(&big, &bytes);
	int rc = npu_graph_load_memory(connection, file, bytes, &graph);
	if (rc == 0) {
		rc = npu_job_create(graph, &job);
		ck_assert_msg(strstr(npu_error(), "buffer_bytes") != NULL, "%s", npu_error());
		ASSERT_NPU(npu_graph_free(graph));
	}
	ck_assert_int_eq(rc, -ENOSPC);
	free(file);
	for (unsigned i = 0; i < 3; i++)
		ASSERT_NPU(npu_job_create(small, &jobs[i]));
	ck_assert_int_eq(npu_job_create(small, &jobs[3]), -ENOSPC);
	ck_assert_msg(strstr(npu_error(), "jobs") != NULL, "%s", npu_error());
	ASSERT_NPU(npu_job_free(jobs[0]));
	ASSERT_NPU(npu_job_create(small, &jobs[0]));
	for (unsigned i = 0; i < 3; i++)
		ASSERT_OUTCOME(run(connection, jobs[i]), NPU_DONE);
	/* it is the user's: another connection of his gets no more of it than this one has left */
	struct npu_graph *same = load(other, program_noop());
	ck_assert_int_eq(npu_job_create(same, &elsewhere), -ENOSPC);
	ASSERT_NPU(npu_job_free(jobs[0]));
	ASSERT_NPU(npu_job_create(same, &elsewhere));
	ASSERT_OUTCOME(run(other, elsewhere), NPU_DONE);
	npu_disconnect(connection);
	npu_disconnect(other);
	harness_stop(harness);
}
END_TEST

struct worker {
	pthread_t thread;
	struct npu_connection *connection;
	uint32_t number;
	unsigned wrong;
};

static void *work(void *user)
{
	struct worker *worker = user;
	struct npu_graph *graph = NULL;
	struct npu_job *job = NULL;
	struct program program = program_copy(16, worker->number);
	size_t bytes;
	void *file = program_elf(&program, &bytes);

	worker->wrong = 1;
	if (npu_graph_load_memory(worker->connection, file, bytes, &graph) || npu_job_create(graph, &job))
		return NULL;
	free(file);
	worker->wrong = 0;
	uint32_t *in = npu_job_tensor(job, NPU_INPUT, 0, NULL), *out = npu_job_tensor(job, NPU_OUTPUT, 0, NULL);
	for (uint32_t i = 0; i < 100; i++) {
		in[3] = i;
		worker->wrong += npu_job_run(job, NULL) || out[3] != i + worker->number;
	}
	worker->wrong += npu_job_free(job) || npu_graph_free(graph);
	return NULL;
}

START_TEST(threads_share_a_connection)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct worker workers[6];

	for (uint32_t i = 0; i < 6; i++) {
		workers[i] = (struct worker){.connection = connection, .number = 1000 * i};
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < 6; i++) {
		pthread_join(workers[i].thread, NULL);
		ck_assert_uint_eq(workers[i].wrong, 0);
	}
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_forked_child_has_no_part_in_the_session)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(4, 1));
	volatile uint32_t *in = input_of(job);
	int status;

	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	pid_t pid = fork();
	if (pid == 0) {
		uint64_t ticket;
		bool refused = npu_ping(connection) == -EOWNERDEAD && npu_job_submit(job, NULL, &ticket) == -EOWNERDEAD;

		(void)signal(SIGSEGV, SIG_DFL); /* a sanitizer's report would only confuse */
		_exit(refused ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	pid = fork();
	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		_exit((int)in[0] & 1); /* tensor memory is not mapped here */
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("resources");
	TCase *all = tcase_create("resources");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, a_submission_allocates_nothing_in_the_daemon);
	tcase_add_test(all, a_client_that_does_not_wait_runs_out_of_credits);
	tcase_add_test(all, a_quota_that_is_met_is_named_and_frees_up);
	tcase_add_test(all, threads_share_a_connection);
	tcase_add_test(all, a_forked_child_has_no_part_in_the_session);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
