/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that hang, fault or raise exceptions cost their owner the job, and nobody else anything. */
#include "tests/integration/harness.h"

#define MS 1000000ull

/* Another client whose jobs all have to succeed meanwhile. */
static int neighbour(struct harness *harness, void *user)
{
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(256, 9));

	(void)user;
	for (uint32_t i = 0; i < 60; i++) {
		input_of(job)[255] = i;
		if (npu_job_run(job, NULL) || output_of(job)[255] != i + 9)
			return 1;
	}
	npu_disconnect(connection);
	return 0;
}

START_TEST(a_hung_program_times_out_and_its_neighbours_succeed)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin()), *good = job_of(connection, program_copy(4, 1));
	pid_t pids[2] = {client_start(harness, neighbour, NULL), client_start(harness, neighbour, NULL)};

	for (unsigned i = 0; i < 5; i++) {
		struct npu_result result = wait_for(connection, submit_running(connection, spin, 30 * MS));

		ASSERT_OUTCOME(result, NPU_TIMEOUT);
		ck_assert_uint_ge(result.device_ns, 30 * MS);
		ck_assert_str_ne(result.message, "");
		ASSERT_OUTCOME(run(connection, good), NPU_DONE);
	}
	client_wait(pids[0]);
	client_wait(pids[1]);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(the_configured_budget_ends_a_program_that_names_none)
{
	struct harness *harness = harness_start(&(struct harness_options){.budget_ms = 40});
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin());

	ASSERT_OUTCOME(wait_for(connection, submit_running(connection, spin, 0)), NPU_TIMEOUT);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(the_budget_counts_device_time_and_not_the_queue)
{
	struct harness *harness = harness_start(&(struct harness_options){.emu_args = {"--time", "fixed=3000000"}});
	struct npu_connection *connection = harness_connect(harness);
	struct npu_graph *graph = load(connection, program_noop());
	struct npu_job *job[32];
	uint64_t ticket[32];

	for (unsigned i = 0; i < 32; i++)
		ASSERT_NPU(npu_job_create(graph, &job[i]));
	for (unsigned i = 0; i < 32; i++) /* 3 ms each: the last waits for 93 ms */
		ticket[i] = submit(job[i], 60 * MS);
	for (unsigned i = 0; i < 32; i++)
		ASSERT_OUTCOME(wait_for(connection, ticket[i]), NPU_DONE);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

/* Lowest address that no session's buffer has: nothing of this size fits below the end of the window. */
#define NOWHERE 0xbffff000u

static void expect_failure(struct program program, uint32_t in, enum npu_outcome outcome, uint32_t signal_code)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *bad = job_of(connection, program), *good = job_of(connection, program_copy(4, 1));
	pid_t pid = client_start(harness, neighbour, NULL);

	for (unsigned i = 0; i < 5; i++) {
		input_of(bad)[0] = in;
		struct npu_result result = run(connection, bad);
		ASSERT_OUTCOME(result, outcome);
		ck_assert_str_ne(result.message, "");
		ck_assert_msg(result.tcb_pointer != 0 && result.tcb_pointer % 128 == 0, "TCB pointer %x",
			      result.tcb_pointer);
		ck_assert_uint_ne(result.hardware_status, 0);
		if (signal_code)
			ck_assert_uint_eq(result.signal_flags & 0xffff, signal_code);
		input_of(good)[0] = i;
		ASSERT_OUTCOME(run(connection, good), NPU_DONE);
		ck_assert_uint_eq(output_of(good)[0], i + 1);
	}
	client_wait(pid);
	npu_disconnect(connection);
	harness_stop(harness);
}

START_TEST(a_load_from_nowhere_is_a_fault)
{
	expect_failure(program_peek(), NOWHERE, NPU_FAULT, 0);
}
END_TEST

START_TEST(a_store_to_nowhere_is_a_fault)
{
	expect_failure(program_poke(), NOWHERE, NPU_FAULT, 0);
}
END_TEST

START_TEST(a_software_exception_arrives_with_its_code)
{
	expect_failure(program_exception(0x42), 0, NPU_EXCEPTION, ISA_EXC_SOFTWARE | 0x42);
}
END_TEST

START_TEST(an_illegal_instruction_is_an_exception)
{
	expect_failure(program_illegal(), 0, NPU_EXCEPTION, ISA_EXC_ILLEGAL);
}
END_TEST

START_TEST(a_write_to_constants_is_a_fault)
{
	struct program program = {.constant_bytes = 4096};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_LD32, 5, R_PP, 0, PROGRAM_CONSTANTS, 0, 0);
	program_emit(&program, ISA_ST32, 0, 5, 5, 0, 1, 0);
	program_end(&program);
	expect_failure(program, 0, NPU_FAULT, 0);
}
END_TEST

START_TEST(a_signal_that_nobody_knows_does_not_hang_the_program)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct program program = {0};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_SIGNAL, 0, 0, 0, 0x08000000, 0, 0);
	program_emit(&program, ISA_SIGNAL, 0, 0, 0, 0x1234, 0, 0);
	program_end(&program);
	struct npu_job *job = job_of(connection, program);
	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(an_endless_printer_ends_with_its_budget)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct program program = program_print("again and again");
	pid_t pid = client_start(harness, neighbour, NULL);

	program.insns--; /* the END */
	program_emit(&program, ISA_JMP, 0, 0, 0, (uint32_t)-16, 0, 0);
	struct npu_job *job = job_of(connection, program);
	ASSERT_OUTCOME(wait_for(connection, submit(job, 50 * MS)), NPU_TIMEOUT);
	client_wait(pid);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(work_queued_behind_a_fault_of_the_same_session_still_ends)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *bad = job_of(connection, program_peek()), *good = job_of(connection, program_copy(4, 1));
	uint64_t ticket[20];

	input_of(bad)[0] = NOWHERE;
	for (unsigned i = 0; i < 20; i++)
		ticket[i] = submit(i % 2 ? good : bad, 0);
	for (unsigned i = 0; i < 20; i++) {
		struct npu_result result = wait_for(connection, ticket[i]);

		if (i % 2 == 0)
			ASSERT_OUTCOME(result, NPU_FAULT);
		else /* it may have been on the device beside the guilty one */
			ck_assert_msg(result.outcome == NPU_DONE || result.outcome == NPU_DEVICE_RESET, "%u: %s", i,
				      npu_outcome_name(result.outcome));
	}
	ASSERT_OUTCOME(run(connection, good), NPU_DONE);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("failures");
	TCase *all = tcase_create("failures");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, a_hung_program_times_out_and_its_neighbours_succeed);
	tcase_add_test(all, the_configured_budget_ends_a_program_that_names_none);
	tcase_add_test(all, the_budget_counts_device_time_and_not_the_queue);
	tcase_add_test(all, a_load_from_nowhere_is_a_fault);
	tcase_add_test(all, a_store_to_nowhere_is_a_fault);
	tcase_add_test(all, a_software_exception_arrives_with_its_code);
	tcase_add_test(all, an_illegal_instruction_is_an_exception);
	tcase_add_test(all, a_write_to_constants_is_a_fault);
	tcase_add_test(all, a_signal_that_nobody_knows_does_not_hang_the_program);
	tcase_add_test(all, an_endless_printer_ends_with_its_budget);
	tcase_add_test(all, work_queued_behind_a_fault_of_the_same_session_still_ends);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
