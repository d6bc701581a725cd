/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator does to a device of the real daemon while clients use it: drain, resume, reset, a look at registers;
 * and who may.
 */
#include <npu/operator.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/zhouyi_regs.h"
#include "tests/integration/pair.h"

#define DRAINER 4242u /* a user who may drain, and nothing else */

/* ------------------------------------------------------------------ drain */

static struct npu_device_usage usage_of(struct npu_connection *connection, uint32_t device)
{
	struct npu_device_usage usage;

	ASSERT_NPU(npu_device_usage(connection, device, &usage));
	return usage;
}

static void fill_and_run(struct npu_connection *connection, struct npu_job *job, uint32_t value, uint32_t more)
{
	input_of(job)[7] = value;
	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	ck_assert_uint_eq(output_of(job)[7], value + more);
}

static void expect_drained(struct npu_result result)
{
	ASSERT_OUTCOME(result, NPU_DEVICE_GONE);
	ck_assert(!result.started);
	ck_assert_msg(strstr(result.message, "npu0 is drained") && strstr(result.message, "resume"), "%s",
		      result.message);
}

START_TEST(a_drained_device_finishes_what_runs_and_takes_nothing_new)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *admin = harness_connect(harness), *client = harness_connect(harness);
	struct npu_job *gate = job_of(client, program_gate()), *copy = job_of(client, program_copy(64, 1));
	struct npu_device_usage usage;

	uint64_t running = submit_running(client, gate, 0), waiting = submit(copy, 0);
	ck_assert_int_eq(npu_device_drain(admin, 0, 0, &usage), -ETIMEDOUT);
	ck_assert(usage.drained);
	ck_assert_str_eq(usage.name, "npu0");
	ck_assert_uint_eq(usage.busy_sessions, 1);
	ck_assert_uint_eq(usage.submissions, 2);
	expect_drained(run(client, copy));
	*(volatile uint32_t *)input_of(gate) = 5;
	ASSERT_NPU(npu_device_drain(admin, 0, PATIENCE_NS, &usage));
	ck_assert_uint_eq(usage.submissions, 0);
	ASSERT_OUTCOME(wait_for(client, running), NPU_DONE);
	ASSERT_OUTCOME(wait_for(client, waiting), NPU_DONE);
	/* whoever asked for it is gone, and it holds */
	npu_disconnect(admin);
	expect_drained(run(client, copy));
	ASSERT_NPU(npu_device_resume(client, 0));
	ck_assert(!usage_of(client, 0).drained);
	fill_and_run(client, copy, 4, 1);
	npu_disconnect(client);
	harness_stop(harness);
}
END_TEST

/* Most sessions are idle, and one has something on its device all the time. */
START_TEST(sessions_leave_a_drained_device_and_lose_nothing)
{
	enum { SESSIONS = 6, HELD = 8 };
	struct pair pair = pair_start("3");
	struct npu_connection *client[SESSIONS], *busy, *late;
	struct npu_job *job[SESSIONS];
	uint64_t held[HELD];

	for (uint32_t i = 0; i < SESSIONS; i++) {
		client[i] = harness_connect(pair.harness);
		job[i] = job_of(client[i], program_copy(64, i));
	}
	busy = client[0];
	uint32_t drained = npu_device_index(busy), other = !drained;
	struct npu_job *gate = job_of(busy, program_gate());
	uint64_t running = submit_running(busy, gate, 0);
	ck_assert_int_eq(npu_device_drain(client[1], drained, 0, NULL), -ETIMEDOUT);
	for (unsigned i = 0; i < HELD; i++)
		held[i] = submit(job[0], 0);
	for (uint32_t i = 1; i < SESSIONS; i++) {
		fill_and_run(client[i], job[i], 2, i);
		ck_assert_uint_eq(npu_device_index(client[i]), other);
	}
	for (unsigned i = 0; i < 3; i++) {
		late = harness_connect(pair.harness);
		ck_assert_uint_eq(npu_device_index(late), other);
		npu_disconnect(late);
	}
	/* what came after the drain waits for the move, not for the other device */
	ck_assert_int_eq(npu_wait(busy, held[0], 0, NULL), -ETIMEDOUT);
	*(volatile uint32_t *)input_of(gate) = 1;
	ASSERT_NPU(npu_device_drain(client[1], drained, PATIENCE_NS, NULL));
	ck_assert_uint_eq(usage_of(client[1], drained).sessions, 0);
	ASSERT_OUTCOME(wait_for(busy, running), NPU_DONE);
	for (unsigned i = 0; i < HELD; i++)
		ASSERT_OUTCOME(wait_for(busy, held[i]), NPU_DONE);
	ck_assert_uint_eq(npu_device_index(busy), other);
	ASSERT_NPU(npu_device_resume(client[1], drained));
	late = harness_connect(pair.harness);
	ck_assert_uint_eq(npu_device_index(late), drained);
	npu_disconnect(late);
	for (uint32_t i = 0; i < SESSIONS; i++)
		npu_disconnect(client[i]);
	pair_stop(&pair);
}
END_TEST

/* ------------------------------------------------------------------ reset */

static uint64_t submit_restartable(struct npu_job *job)
{
	struct npu_run_options options = NPU_RUN_OPTIONS;
	uint64_t ticket;

	options.restartable = true;
	ASSERT_NPU(npu_job_submit_with(job, NULL, &options, &ticket));
	return ticket;
}

/* Three sessions, each with more to do than fits the device; resets come all the time. */
START_TEST(resets_under_load_lose_nothing_that_may_run_again)
{
	enum { CLIENTS = 3, RUNS = 6, ROUNDS = 5 };
	struct harness *harness = harness_start(NULL);
	struct npu_connection *admin = harness_connect(harness), *client[CLIENTS];
	struct npu_job *job[CLIENTS][RUNS];
	uint64_t ticket[CLIENTS][RUNS];
	struct npu_reset reset;

	for (unsigned i = 0; i < CLIENTS; i++) {
		client[i] = harness_connect(harness);
		for (unsigned k = 0; k < RUNS; k++)
			job[i][k] = job_of(client[i], program_copy(4096, 10 * i + k));
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (unsigned k = 0; k < RUNS; k++)
			for (unsigned i = 0; i < CLIENTS; i++) {
				input_of(job[i][k])[9] = round;
				ticket[i][k] = submit_restartable(job[i][k]);
			}
		ASSERT_NPU(npu_device_reset(admin, 0, PATIENCE_NS, &reset));
		ck_assert_uint_eq(reset.number, round + 1);
		ck_assert_int_eq(reset.by, NPU_RESET_BY_ITSELF);
		for (unsigned i = 0; i < CLIENTS; i++)
			for (unsigned k = 0; k < RUNS; k++) {
				ASSERT_OUTCOME(wait_for(client[i], ticket[i][k]), NPU_DONE);
				ck_assert_uint_eq(output_of(job[i][k])[9], round + 10 * i + k);
			}
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		npu_disconnect(client[i]);
	npu_disconnect(admin);
	harness_stop(harness);
}
END_TEST

/* It runs when the reset comes, and ends only with what it is told afterwards. */
START_TEST(what_runs_ends_or_runs_again_and_nobody_is_blamed)
{
	bool restartable = _i == 1;
	struct harness *harness = harness_start(
	    &(struct harness_options){.members = ",\"quarantine\":{\"session_threshold\":1,\"tenant_threshold\":1}"});
	struct npu_connection *admin = harness_connect(harness), *client = harness_connect(harness);
	struct npu_job *first = job_of(client, program_copy(16, 2)), *gate = job_of(client, program_gate());
	struct npu_run_options options = NPU_RUN_OPTIONS;
	uint64_t ticket;

	fill_and_run(client, first, 1, 2);
	if (restartable) {
		options.restartable = true;
		ASSERT_NPU(npu_job_submit_with(gate, NULL, &options, &ticket));
	} else {
		ticket = submit_running(client, gate, 0);
	}
	uint64_t behind = submit(first, 0);
	ASSERT_NPU(npu_device_reset(admin, 0, PATIENCE_NS, NULL));
	if (restartable) {
		*(volatile uint32_t *)input_of(gate) = 7;
		ASSERT_OUTCOME(wait_for(client, ticket), NPU_DONE);
		ck_assert_uint_eq(output_of(gate)[0], 7);
	} else {
		struct npu_result result = wait_for(client, ticket);
		ASSERT_OUTCOME(result, NPU_DEVICE_RESET);
		ck_assert_ptr_nonnull(strstr(result.message, "operator"));
	}
	ASSERT_OUTCOME(wait_for(client, behind), NPU_DONE);
	fill_and_run(client, first, 5, 2);
	npu_disconnect(client);
	npu_disconnect(admin);
	harness_stop(harness);
}
END_TEST

START_TEST(a_device_that_is_gone_is_brought_back_when_it_is_there_again)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *admin = harness_connect(harness), *client = harness_connect(harness);
	struct npu_job *gate = job_of(client, program_gate()), *copy = job_of(client, program_copy(16, 2));
	struct npu_reset reset;

	ck_assert_int_eq(npu_device_drain(admin, 0, 0, NULL), 0);
	ASSERT_NPU(npu_device_resume(admin, 0));
	uint64_t running = submit_running(client, gate, 0);
	ck_assert_int_eq(kill(harness->emu, SIGKILL), 0);
	ck_assert_int_eq(harness_wait(harness->emu), 128 + SIGKILL);
	harness_emu_gone(harness);
	ASSERT_OUTCOME(wait_for(client, running), NPU_DEVICE_GONE);
	/* npud is closing it, or trying by itself: then there is no room for another attempt */
	int rc = -EBUSY;
	for (int i = 0; i < 2000 && rc == -EBUSY; i++) {
		rc = npu_device_reset(admin, 0, PATIENCE_NS, &reset);
		if (rc == -EBUSY)
			(void)usleep(1000);
	}
	ck_assert_int_eq(rc, -EIO);
	ck_assert_int_eq(reset.state, NPU_RESET_FAILED);
	ck_assert_msg(strstr(npu_error(), "npud opens it again when it is back") != NULL, "%s", npu_error());
	ck_assert_int_eq(usage_of(admin, 0).status, NPU_DEVICE_OFFLINE);
	harness_emu_again(harness);
	do {
		rc = npu_device_reset(admin, 0, PATIENCE_NS, &reset);
	} while (rc == -EBUSY);
	/* npud may have been first: then this was an ordinary reset */
	ck_assert_msg(rc == 0, "%s", npu_error());
	ck_assert_int_eq(reset.state, NPU_RESET_DONE);
	fill_and_run(client, copy, 1, 2);
	npu_disconnect(client);
	npu_disconnect(admin);
	harness_stop(harness);
}
END_TEST

/* ------------------------------------------------------------------ registers */

static const struct npu_register_info *find(const struct npu_register_info *list, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	ck_abort_msg("no register %s among %d", name, count);
}

static uint32_t field_of(const struct npu_register_info *from, const char *name)
{
	for (uint32_t i = 0; i < from->field_count; i++)
		if (strcmp(from->fields[i].name, name) == 0)
			return from->fields[i].value;
	ck_abort_msg("no field %s in %s", name, from->name);
}

/* While something runs, and as often as one likes: it changes nothing for that. */
START_TEST(registers_can_be_read_while_a_job_runs)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *admin = harness_connect(harness), *client = harness_connect(harness);
	struct npu_job *gate = job_of(client, program_gate());
	struct npu_register_info registers[NPU_REGISTERS];
	uint64_t running = submit_running(client, gate, 0);

	for (unsigned i = 0; i < 50; i++) {
		int count = npu_registers_read(admin, 0, registers);
		ck_assert_msg(count > 0, "%s", npu_error());
		ck_assert_uint_eq(find(registers, count, "REVISION")->value, ZY_REVISION_X2_R0P3);
		ck_assert_uint_eq(field_of(find(registers, count, "CLUSTER0_CONFIG"), "cores"), 3);
		/* a pool exists and works */
		ck_assert_uint_eq(field_of(find(registers, count, "POOL0_STATUS"), "idle"), 0);
	}
	*(volatile uint32_t *)input_of(gate) = 3;
	ASSERT_OUTCOME(wait_for(client, running), NPU_DONE);
	ck_assert_int_eq(npu_registers_read(admin, 1, registers), -ENODEV);
	npu_disconnect(client);
	npu_disconnect(admin);
	harness_stop(harness);
}
END_TEST

/* ------------------------------------------------------------------ who may */

static bool refused(int rc, const char *right)
{
	return rc == -EACCES && strstr(npu_error(), right);
}

/* In a process of another user: he has one of the rights. */
static int act_as_drainer(struct harness *harness, void *user)
{
	struct npu_register_info registers[NPU_REGISTERS];
	struct npu_connection *connection = NULL;

	(void)user;
	if (npu_connect(harness->socket, &connection))
		return 2;
	bool good = npu_device_drain(connection, 0, 0, NULL) == 0 && npu_device_resume(connection, 0) == 0 &&
		    refused(npu_device_reset(connection, 0, 0, NULL), "needs the right \"reset\"") &&
		    refused(npu_registers_read(connection, 0, registers), "needs the right \"registers\"") &&
		    npu_ping(connection) == 0;
	npu_disconnect(connection);
	return good ? 0 : 1;
}

static int act_as_nobody(struct harness *harness, void *user)
{
	struct npu_connection *connection = NULL;
	struct npu_device_usage usage;

	(void)user;
	if (npu_connect(harness->socket, &connection))
		return 2;
	bool good = refused(npu_device_drain(connection, 0, 0, NULL), "needs the right \"drain\"") &&
		    refused(npu_device_resume(connection, 0), "needs the right \"drain\"") &&
		    npu_device_usage(connection, 0, &usage) == 0 && !usage.drained;
	npu_disconnect(connection);
	return good ? 0 : 1;
}

START_TEST(who_lacks_a_right_is_refused_and_told_which)
{
	char members[128];

	(void)snprintf(members, sizeof(members), ",\"rights\":{\"drain\":{\"users\":[%u]}}", DRAINER);
	struct harness *harness = harness_start(&(struct harness_options){.members = members});

	if (getuid() == 0) { /* only root can be somebody else */
		ck_assert_int_eq(chmod(harness->directory, 0711), 0);
		ck_assert_int_eq(chmod(harness->socket, 0666), 0);
		client_wait(client_start_as(harness, DRAINER, DRAINER, act_as_drainer, NULL));
		client_wait(client_start_as(harness, DRAINER + 1, DRAINER + 1, act_as_nobody, NULL));
	}
	harness_stop(harness);
}
END_TEST

/* Who did it stands in the log. */
START_TEST(what_operators_do_is_logged_with_who_did_it)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *admin = harness_connect(harness);
	struct npu_register_info registers[NPU_REGISTERS];
	static const char *const events[] = {"device.drained", "device.resumed", "device.reset_asked",
					     "device.registers"};
	char who[64];

	ASSERT_NPU(npu_device_drain(admin, 0, PATIENCE_NS, NULL));
	ASSERT_NPU(npu_device_resume(admin, 0));
	ASSERT_NPU(npu_device_reset(admin, 0, PATIENCE_NS, NULL));
	ck_assert_int_gt(npu_registers_read(admin, 0, registers), 0);
	char *log = harness_read(harness, "npud.log");
	(void)snprintf(who, sizeof(who), "device=\"npu0\" uid=%u pid=%d ", getuid(), getpid());
	for (unsigned i = 0; i < 4; i++) {
		const char *line = strstr(log, events[i]);
		ck_assert_msg(line != NULL, "no %s", events[i]);
		const char *end = strchr(line, '\n'), *found = strstr(line, who);
		ck_assert_msg(found && found < end, "%.*s", (int)(end - line), line);
	}
	free(log);
	npu_disconnect(admin);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *all = tcase_create("control");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, a_drained_device_finishes_what_runs_and_takes_nothing_new);
	tcase_add_test(all, sessions_leave_a_drained_device_and_lose_nothing);
	tcase_add_test(all, resets_under_load_lose_nothing_that_may_run_again);
	tcase_add_loop_test(all, what_runs_ends_or_runs_again_and_nobody_is_blamed, 0, 2);
	tcase_add_test(all, a_device_that_is_gone_is_brought_back_when_it_is_there_again);
	tcase_add_test(all, registers_can_be_read_while_a_job_runs);
	tcase_add_test(all, who_lacks_a_right_is_refused_and_told_which);
	tcase_add_test(all, what_operators_do_is_logged_with_who_did_it);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
