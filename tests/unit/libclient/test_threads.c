/* SPDX-License-Identifier: Apache-2.0 */
/* A session among several threads, and in a process that forks. */
#include <sys/wait.h>

#include "tests/unit/libclient/session.h"

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
	Suite *suite = suite_create("threads");
	TCase *tests = tcase_create("threads");

	tcase_set_timeout(tests, 60);
	ADD(a_forked_child_is_refused_and_has_no_tensors);
	ADD(threads_share_a_connection);
	ADD(a_dead_daemon_wakes_every_waiting_thread);
	suite_add_tcase(suite, tests);
	return suite_main(suite);
}
