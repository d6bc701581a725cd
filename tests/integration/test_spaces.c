/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that share an address space, where the operator says so: no change of tenure between them, the fault or the
 * death of one ends its own work only, and the price of it, that their programs reach each other's memory. What is
 * promised of private address spaces is shown beside.
 */
#include "tests/integration/harness.h"

#define MS 1000000ull
#define ROUNDS 8u
#define SHARING ",\"default_tenant\":{\"address_space\":\"tenant\"}"
#define DEEP ",\"scheduler\":{\"policy\":\"fair\",\"max_in_flight\":4}"

static struct harness *start(bool sharing)
{
	return harness_start(&(struct harness_options){.members = sharing ? SHARING DEEP : DEEP});
}

/* Two sessions take turns: how often the device changed hands. */
static uint64_t tenures_of_turns(bool sharing)
{
	struct harness *harness = start(sharing);
	struct npu_connection *connection[2];
	struct npu_job *job[2];

	for (int i = 0; i < 2; i++) {
		connection[i] = harness_connect(harness);
		job[i] = job_of(connection[i], program_copy(4, (uint32_t)i));
	}
	for (uint32_t round = 0; round < ROUNDS; round++)
		for (uint32_t i = 0; i < 2; i++) {
			input_of(job[i])[0] = round;
			ASSERT_OUTCOME(run(connection[i], job[i]), NPU_DONE);
			ck_assert_uint_eq(output_of(job[i])[0], round + i);
		}
	uint64_t tenures = harness_stats(harness).tenures;
	for (int i = 0; i < 2; i++)
		npu_disconnect(connection[i]);
	harness_stop(harness);
	return tenures;
}

START_TEST(the_device_does_not_change_hands_between_sessions_that_share)
{
	ck_assert_uint_eq(tenures_of_turns(true), 1);
	ck_assert_uint_eq(tenures_of_turns(false), 2ull * ROUNDS);
}
END_TEST

/* The innocents are behind it in hardware, two of another session and one of its own. */
START_TEST(a_hang_costs_those_that_share_nothing)
{
	struct harness *harness = start(true);
	struct npu_connection *guilty = harness_connect(harness), *other = harness_connect(harness);
	struct npu_job *spin = job_of(guilty, program_spin()), *own = job_of(guilty, program_copy(4, 1)), *theirs[2];
	uint64_t tickets[2];

	for (uint32_t i = 0; i < 2; i++)
		theirs[i] = job_of(other, program_copy(4, 10 + i));
	ASSERT_OUTCOME(run(guilty, own), NPU_DONE);
	uint64_t tenures = harness_stats(harness).tenures;
	for (uint32_t round = 0; round < 3; round++) {
		uint64_t hung = submit_running(guilty, spin, 50 * MS);
		for (uint32_t i = 0; i < 2; i++) {
			input_of(theirs[i])[0] = round;
			tickets[i] = submit(theirs[i], 0);
		}
		uint64_t behind = submit(own, 0);
		struct npu_result result = wait_for(guilty, hung);
		ASSERT_OUTCOME(result, NPU_TIMEOUT);
		ASSERT_OUTCOME(wait_for(guilty, behind), NPU_DONE);
		for (uint32_t i = 0; i < 2; i++) {
			ASSERT_OUTCOME(wait_for(other, tickets[i]), NPU_DONE);
			ck_assert_uint_eq(output_of(theirs[i])[0], round + 10 + i);
		}
	}
	/* an abort was enough, and the tenure went on */
	ck_assert_uint_eq(harness_stats(harness).tenures, tenures);
	npu_disconnect(guilty);
	npu_disconnect(other);
	harness_stop(harness);
}
END_TEST

START_TEST(a_fault_costs_those_that_share_nothing)
{
	struct harness *harness = start(true);
	struct npu_connection *guilty = harness_connect(harness), *other = harness_connect(harness);
	struct npu_job *bad = job_of(guilty, program_peek()), *good = job_of(other, program_copy(4, 7)),
		       *hold = job_of(other, program_gate());

	for (uint32_t round = 0; round < ROUNDS; round++) {
		input_of(hold)[0] = 0;
		uint64_t first = submit_running(other, hold, 0);
		input_of(bad)[0] = 0xbffff000u;
		uint64_t faults = submit(bad, 0), behind = submit(good, 0);
		input_of(hold)[0] = 1;
		ASSERT_OUTCOME(wait_for(other, first), NPU_DONE);
		ASSERT_OUTCOME(wait_for(guilty, faults), NPU_FAULT);
		ASSERT_OUTCOME(wait_for(other, behind), NPU_DONE);
	}
	npu_disconnect(guilty);
	npu_disconnect(other);
	harness_stop(harness);
}
END_TEST

static int hang_for_ever(struct harness *harness, void *user)
{
	struct npu_connection *connection = harness_connect(harness);

	(void)user;
	(void)submit_running(connection, job_of(connection, program_spin()), 0);
	return 0; /* without a word: the device runs its program, in memory that goes with it */
}

START_TEST(the_death_of_one_costs_those_that_share_nothing)
{
	struct harness *harness = start(true);
	struct npu_connection *other = harness_connect(harness);
	struct npu_job *good = job_of(other, program_copy(4, 7));

	for (uint32_t round = 0; round < 3; round++) {
		ASSERT_OUTCOME(run(other, good), NPU_DONE);
		pid_t client = client_start(harness, hang_for_ever, NULL);
		for (uint32_t i = 0; i < ROUNDS; i++)
			ASSERT_OUTCOME(run(other, good), NPU_DONE);
		client_wait(client);
		ASSERT_OUTCOME(run(other, good), NPU_DONE);
	}
	npu_disconnect(other);
	harness_stop(harness);
}
END_TEST

/* The word that a program of one session finds at another's address. */
static struct npu_result steal(bool sharing, uint32_t *word)
{
	struct harness *harness = start(sharing);
	struct npu_connection *victim = harness_connect(harness), *thief = harness_connect(harness);
	struct npu_job *secret = job_of(victim, program_copy(4, 0)), *peek = job_of(thief, program_peek());
	struct program where_program = {0};

	program_group(&where_program, -1);
	program_prologue(&where_program);
	program_emit(&where_program, ISA_ST32, 0, R_OUT, R_IN, 0, 0, 0);
	program_end(&where_program);
	struct npu_job *where = job_of(victim, where_program);
	input_of(where)[0] = 0x5ec4e700;
	ASSERT_OUTCOME(run(victim, where), NPU_DONE);
	ASSERT_OUTCOME(run(victim, secret), NPU_DONE);
	input_of(peek)[0] = output_of(where)[0];
	struct npu_result result = run(thief, peek);
	*word = output_of(peek)[0];
	npu_disconnect(victim);
	npu_disconnect(thief);
	harness_stop(harness);
	return result;
}

START_TEST(who_shares_is_not_isolated_and_who_does_not_is)
{
	uint32_t word;

	ASSERT_OUTCOME(steal(true, &word), NPU_DONE);
	ck_assert_uint_eq(word, 0x5ec4e700);
	(void)steal(false, &word);
	ck_assert_uint_ne(word, 0x5ec4e700);
}
END_TEST

START_TEST(the_log_says_loudly_where_users_are_not_isolated)
{
	struct harness *harness =
	    harness_start(&(struct harness_options){.members = ",\"default_tenant\":{\"address_space\":\"shared\"}"});
	char *log = harness_read(harness, "npud.log");

	ck_assert_ptr_nonnull(strstr(log, "event=tenant.not_isolated tenant=\"default\""));
	free(log);
	harness_stop(harness);
	harness = start(true); /* a user with himself */
	log = harness_read(harness, "npud.log");
	ck_assert_ptr_null(strstr(log, "tenant.not_isolated"));
	free(log);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spaces");
	TCase *all = tcase_create("spaces");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, the_device_does_not_change_hands_between_sessions_that_share);
	tcase_add_test(all, a_hang_costs_those_that_share_nothing);
	tcase_add_test(all, a_fault_costs_those_that_share_nothing);
	tcase_add_test(all, the_death_of_one_costs_those_that_share_nothing);
	tcase_add_test(all, who_shares_is_not_isolated_and_who_does_not_is);
	tcase_add_test(all, the_log_says_loudly_where_users_are_not_isolated);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
