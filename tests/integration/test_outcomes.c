/* SPDX-License-Identifier: Apache-2.0 */
/* Who pays for a hang or a fault: the guilty, more and more; nobody beside it; and what the operator sees and can do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/integration/harness.h"

#define MS 1000000ull

/* npuctl with at most three arguments: its exit code; what it says is in npuctl.log. */
static int npuctl(struct harness *harness, const char *command, const char *option, const char *value)
{
	char program[4096];
	const char *argv[] = {program, command, "--socket", harness->socket, option, value, NULL};

	(void)snprintf(program, sizeof(program), "%s", harness_program("npuctl"));
	return harness_wait(harness_spawn(harness, argv, "npuctl.log", NULL));
}

static void assert_says(const struct harness *harness, const char *log, const char *what)
{
	char *text = harness_read(harness, log);

	ck_assert_msg(strstr(text, what) != NULL, "%s does not say '%s'", log, what);
	free(text);
}

static struct npu_result hang(struct npu_connection *connection, struct npu_job *spin)
{
	return wait_for(connection, submit(spin, 30 * MS));
}

/* In hardware behind the one that hangs, waiting behind it, and of another session. */
START_TEST(innocents_notice_nothing_of_a_recovery)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *guilty = harness_connect(harness), *other = harness_connect(harness);
	struct npu_job *spin = job_of(guilty, program_spin()), *theirs = job_of(other, program_copy(4, 1)), *own[4];
	uint64_t tickets[4];

	for (unsigned i = 0; i < 4; i++)
		own[i] = job_of(guilty, program_copy(4, i));
	for (unsigned round = 0; round < 3; round++) {
		uint64_t hung = submit_running(guilty, spin, 30 * MS), waiting = submit(theirs, 0);
		for (unsigned i = 0; i < 4; i++) {
			input_of(own[i])[0] = round;
			tickets[i] = submit(own[i], 0);
		}
		ASSERT_OUTCOME(wait_for(guilty, hung), NPU_TIMEOUT);
		for (unsigned i = 0; i < 4; i++) {
			ASSERT_OUTCOME(wait_for(guilty, tickets[i]), NPU_DONE);
			ck_assert_uint_eq(output_of(own[i])[0], round + i);
		}
		ASSERT_OUTCOME(wait_for(other, waiting), NPU_DONE);
	}
	npu_disconnect(guilty);
	npu_disconnect(other);
	harness_stop(harness);
}
END_TEST

/* Ten minutes would be allowed. */
START_TEST(a_fault_ends_at_once_and_not_with_its_budget)
{
	struct harness *harness = harness_start(&(struct harness_options){.budget_ms = 600000});
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *bad = job_of(connection, program_peek());

	input_of(bad)[0] = 0xbffff000u;
	ASSERT_OUTCOME(run(connection, bad), NPU_FAULT);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(every_recovery_is_logged_and_counted)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin());

	for (unsigned i = 0; i < 2; i++)
		ASSERT_OUTCOME(hang(connection, spin), NPU_TIMEOUT);
	assert_says(harness, "npud.log", "event=device.recovered device=\"npu0\" rung=\"abort\" ns=");
	ck_assert_int_eq(npuctl(harness, "stats", NULL, NULL), 0);
	assert_says(harness, "npuctl.log", "\nrecovery.0.abort.attempts 2\n");
	assert_says(harness, "npuctl.log", "\nrecovery.0.abort.failures 0\n");
	assert_says(harness, "npuctl.log", "\nquarantined          0\n");
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_session_that_offends_too_often_is_stopped_and_its_neighbour_is_not)
{
	struct harness *harness = harness_start(&(struct harness_options){
	    .members = ",\"quarantine\":{\"session_threshold\":3,\"tenant_threshold\":0,\"half_life_s\":86400}"});
	struct npu_connection *offender = harness_connect(harness), *neighbour = harness_connect(harness);
	struct npu_job *spin = job_of(offender, program_spin()), *own = job_of(offender, program_copy(4, 1)),
		       *good = job_of(neighbour, program_copy(4, 1));

	for (unsigned i = 0; i < 2; i++) {
		ASSERT_OUTCOME(hang(offender, spin), NPU_TIMEOUT);
		ASSERT_OUTCOME(run(offender, own), NPU_DONE);
	}
	uint64_t last = submit_running(offender, spin, 30 * MS), queued = submit(own, 0);
	ASSERT_OUTCOME(wait_for(offender, last), NPU_TIMEOUT);
	struct npu_result result = wait_for(offender, queued);
	ASSERT_OUTCOME(result, NPU_QUARANTINED);
	ck_assert(!result.started);
	result = run(offender, own);
	ASSERT_OUTCOME(result, NPU_QUARANTINED);
	ck_assert_msg(strstr(result.message, "npuctl pardon --session") != NULL, "%s", result.message);
	ASSERT_OUTCOME(run(neighbour, good), NPU_DONE);
	assert_says(harness, "npud.log", "session.quarantined");
	/* the refusal says whom the operator has to name */
	const char *number = strstr(result.message, "session ") + strlen("session ");
	char session[32] = "";
	memcpy(session, number, strspn(number, "0123456789"));
	ck_assert_int_eq(npuctl(harness, "pardon", "--session", session), 0);
	ASSERT_OUTCOME(run(offender, own), NPU_DONE);
	npu_disconnect(offender);
	npu_disconnect(neighbour);
	harness_stop(harness);
}
END_TEST

START_TEST(a_new_connection_does_not_end_the_quarantine_of_a_tenant_and_a_pardon_does)
{
	struct harness *harness = harness_start(&(struct harness_options){
	    .members = ",\"quarantine\":{\"session_threshold\":0,\"tenant_threshold\":3,\"half_life_s\":86400}"});
	char tenant[32];

	for (unsigned i = 0; i < 3; i++) {
		struct npu_connection *connection = harness_connect(harness);
		ASSERT_OUTCOME(hang(connection, job_of(connection, program_spin())), NPU_TIMEOUT);
		npu_disconnect(connection);
	}
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *good = job_of(connection, program_copy(4, 1));
	ASSERT_OUTCOME(run(connection, good), NPU_QUARANTINED);
	ck_assert_int_eq(npuctl(harness, "pardon", "--tenant", "nobody"), 1);
	assert_says(harness, "npuctl.log", "no rule of npud.json makes such a tenant");
	(void)snprintf(tenant, sizeof(tenant), "default:%u", getuid());
	ck_assert_int_eq(npuctl(harness, "pardon", "--tenant", tenant), 0);
	ASSERT_OUTCOME(run(connection, good), NPU_DONE);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("outcomes");
	TCase *all = tcase_create("outcomes");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, innocents_notice_nothing_of_a_recovery);
	tcase_add_test(all, a_fault_ends_at_once_and_not_with_its_budget);
	tcase_add_test(all, every_recovery_is_logged_and_counted);
	tcase_add_test(all, a_session_that_offends_too_often_is_stopped_and_its_neighbour_is_not);
	tcase_add_test(all, a_new_connection_does_not_end_the_quarantine_of_a_tenant_and_a_pardon_does);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
