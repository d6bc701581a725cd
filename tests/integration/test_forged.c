/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NPU code that writes task control blocks of its own and links them behind the daemon's: the arena is mapped writable
 * for the device, so nothing but the IOMMU and the daemon's disbelief stands between them and the other sessions.
 */
#include "tests/integration/forge.h"

#define BUDGET_NS 300000000ull

/* Or the tests below would show nothing: what they forge works where it is allowed to, in the session's own memory. */
START_TEST(a_forged_chain_does_run_inside_its_own_session)
{
	struct harness *harness = harness_start(NULL);
	struct attacker attacker = attacker_start(harness, true);
	struct victim self = victim_in(attacker.connection, 0);
	union zy3_tcb *forged = (union zy3_tcb *)(void *)(input_of(attacker.job) + IN_FORGED);

	harness->hides_completions = true;
	ASSERT_OUTCOME(run(attacker.connection, self.job), NPU_DONE); /* a buffer is mapped when a job uses it */
	write_forged(&attacker, self.where, READ_BY_OTHER_REGION);
	forged[1].task.tcbp = 0;
	(void)wait_for(attacker.connection, submit(attacker.job, BUDGET_NS)); /* tells the name of the chain's end */
	uint32_t name = output_of(attacker.job)[OUT_TAIL];
	write_forged(&attacker, self.where, READ_BY_OTHER_REGION);
	forged[1].task.tcbp = name;
	ASSERT_OUTCOME(wait_for(attacker.connection, submit(attacker.job, BUDGET_NS)), NPU_DONE);
	ck_assert_uint_eq(output_of(attacker.job)[OUT_TAIL], name);
	ck_assert_uint_eq(output_of(attacker.job)[OUT_READ], CANARY);
	ck_assert_uint_eq(output_of(attacker.job)[OUT_CAME_BACK], 1);
	npu_disconnect(attacker.connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_forged_chain_reaches_no_other_session)
{
	struct harness *harness = harness_start(NULL);
	struct victim victim = victim_start(harness);
	struct attacker attacker = attacker_start(harness, true);
	enum attack attack = (enum attack)_i;
	bool task_runs = attack == READ_BY_OTHER_REGION || attack == WRITE_BY_OTHER_REGION;

	ck_assert_uint_ne(attacker.base, victim.where.base);
	expect_unharmed(&victim);
	for (unsigned round = 0; round < 3; round++) {
		write_forged(&attacker, victim.where, attack);
		struct npu_result result = wait_for(attacker.connection, submit(attacker.job, BUDGET_NS));
		/* the device follows the forged chain, or this test shows nothing */
		ck_assert_uint_eq(output_of(attacker.job)[OUT_BEGAN], task_runs);
		ASSERT_OUTCOME(result, attack == COPY_IN_BY_GM || attack == COPY_OUT_BY_GM ? NPU_EXCEPTION : NPU_FAULT);
		ck_assert(result.started);
		expect_nothing_seen(&attacker);
		expect_unharmed(&victim);
	}
	/* its session is not broken for good */
	ASSERT_OUTCOME(run(attacker.connection, job_of(attacker.connection, program_copy(4, 1))), NPU_DONE);
	npu_disconnect(attacker.connection);
	npu_disconnect(victim.connection);
	harness_stop(harness);
}
END_TEST

/* The same while the victim has work queued all the time: the window changes hands right behind the forged chain. */
START_TEST(a_forged_chain_reaches_nobody_whose_work_is_waiting)
{
	struct harness *harness = harness_start(NULL);
	struct victim victim = victim_start(harness);
	struct attacker attacker = attacker_start(harness, _i != 0);

	harness->hides_completions = true;
	for (unsigned round = 0; round < 12; round++) {
		uint64_t own[4], theirs[4];

		write_forged(&attacker, victim.where, (enum attack)(round % ATTACKS));
		for (unsigned i = 0; i < 4; i++) {
			own[i] = submit(attacker.job, BUDGET_NS);
			theirs[i] = submit(victim.job, 0);
		}
		for (unsigned i = 0; i < 4; i++) {
			struct npu_result result = wait_for(attacker.connection, own[i]);
			/*
			 * Where the chain's own end is not hidden, the job is over before the forged part begins; what
			 * that wrecks may hit the next job of its session.
			 */
			ck_assert_msg(result.outcome == NPU_FAULT || result.outcome == NPU_EXCEPTION ||
					  result.outcome == NPU_TIMEOUT || result.outcome == NPU_DEVICE_RESET ||
					  (_i == 0 && result.outcome == NPU_DONE),
				      "%s: %s", npu_outcome_name(result.outcome), result.message);
			ASSERT_OUTCOME(wait_for(victim.connection, theirs[i]), NPU_DONE);
		}
		expect_nothing_seen(&attacker);
		expect_unharmed(&victim);
	}
	npu_disconnect(attacker.connection);
	npu_disconnect(victim.connection);
	harness_stop(harness);
}
END_TEST

/* ------------------------------------------------------------------ nonsense in its own chain */

/* Every link and every name of all TCBs of the chain becomes `value`, for ever. */
static struct program wrecker(uint32_t value, bool for_ever)
{
	struct program program = {0};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_LI, 6, 0, 0, value, 0, 0);
	unsigned top = program_emit(&program, ISA_SREG, 5, 0, 0, ISA_SREG_TCBP, 0, 0);
	program_emit(&program, ISA_LI, 7, 0, 0, FORGE_GROUPS * FORGE_TECS, 0, 0);
	unsigned next = program_emit(&program, ISA_ST32, 0, 5, 6, offsetof(struct zy3_task_tcb, next), 0, 0);
	program_emit(&program, ISA_ST32, 0, 5, 6, offsetof(struct zy3_task_tcb, tcbp), 0, 0);
	program_emit(&program, ISA_ADD, 5, 5, 0, ZY_TCB_BYTES, 0, 0);
	unsigned loop = program_emit(&program, ISA_LOOP, 7, 0, 0, 0, 0, 0);
	program.insn[loop].a = (uint32_t) - (int32_t)((loop - next) * ISA_INSN_BYTES);
	if (for_ever) {
		unsigned again = program_emit(&program, ISA_JMP, 0, 0, 0, 0, 0, 0);
		program.insn[again].a = (uint32_t) - (int32_t)((again - top) * ISA_INSN_BYTES);
	}
	program_end(&program);
	add_idle_groups(&program);
	return program;
}

START_TEST(a_chain_that_wrecks_itself_harms_its_owner_alone)
{
	/* no address, misaligned, the END code, the hold TCBs, the spare page, a client's memory */
	static const uint32_t values[] = {0xffffffff, 0x00100004, 0x00100000, 0x00100080, ARENA_SPARE, 0x02000000, 0};
	struct harness *harness = harness_start(NULL);
	struct victim victim = victim_start(harness);
	struct npu_connection *hostile = harness_connect(harness);

	harness->hides_completions = true;
	for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
		for (int for_ever = 0; for_ever < 2; for_ever++) {
			struct npu_job *job = job_of(hostile, wrecker(values[i], for_ever));
			/* a chain that ends early ends without a word: the budget has it */
			struct npu_result result = wait_for(hostile, submit(job, BUDGET_NS / 3));

			ck_assert_msg(result.outcome != NPU_DONE || !for_ever, "value %#x", values[i]);
			ck_assert_msg(result.outcome == NPU_DONE || result.outcome == NPU_EXCEPTION ||
					  result.outcome == NPU_FAULT || result.outcome == NPU_TIMEOUT,
				      "%s: %s", npu_outcome_name(result.outcome), result.message);
			expect_unharmed(&victim);
		}
	}
	ASSERT_OUTCOME(run(hostile, job_of(hostile, program_copy(4, 1))), NPU_DONE);
	npu_disconnect(hostile);
	npu_disconnect(victim.connection);
	harness_stop(harness);
}
END_TEST

/* The last TCB leads back into the chain: it never ends, its budget does. */
START_TEST(a_chain_that_leads_back_into_itself_ends_with_its_budget)
{
	struct harness *harness = harness_start(NULL);
	struct victim victim = victim_start(harness);
	struct npu_connection *hostile = harness_connect(harness);
	const uint32_t tail = (FORGE_GROUPS * FORGE_TECS - 1) * ZY_TCB_BYTES,
		       back = (FORGE_GROUPS - 4) * FORGE_TECS * ZY_TCB_BYTES;
	struct program program = {0};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_SREG, 5, 0, 0, ISA_SREG_TCBP, 0, 0);
	program_emit(&program, ISA_LI, 6, 0, 0, ZY3_TCB_TASK | ZY3_TCB_GROUP_END, 0, 0);
	program_emit(&program, ISA_ST32, 0, 5, 6, tail + offsetof(struct zy3_task_tcb, flag), 0, 0);
	program_emit(&program, ISA_ADD, 6, 5, 0, back, 0, 0); /* the window's base has no low half */
	program_emit(&program, ISA_ST32, 0, 5, 6, tail + offsetof(struct zy3_task_tcb, next), 0, 0);
	program_end(&program);
	add_idle_groups(&program);
	struct npu_job *job = job_of(hostile, program);
	uint64_t endless = submit(job, BUDGET_NS), waiting = submit(victim.job, 0);
	ASSERT_OUTCOME(wait_for(hostile, endless), NPU_TIMEOUT);
	ASSERT_OUTCOME(wait_for(victim.connection, waiting), NPU_DONE);
	expect_unharmed(&victim);
	npu_disconnect(hostile);
	npu_disconnect(victim.connection);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("forged");
	TCase *all = tcase_create("forged");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, a_forged_chain_does_run_inside_its_own_session);
	tcase_add_loop_test(all, a_forged_chain_reaches_no_other_session, 0, ATTACKS);
	tcase_add_loop_test(all, a_forged_chain_reaches_nobody_whose_work_is_waiting, 0, 2);
	tcase_add_test(all, a_chain_that_wrecks_itself_harms_its_owner_alone);
	tcase_add_test(all, a_chain_that_leads_back_into_itself_ends_with_its_budget);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
