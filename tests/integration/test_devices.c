/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two NPUs in one host: a session sits on one of them, and what happens to the other is none of its business, unless
 * they are alike: then it moves to where there is less to do, or away from what is gone.
 */
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/pair.h"
#include "tests/integration/raw.h"

#define SESSIONS 6u

static void fill_and_run(struct npu_connection *connection, struct npu_job *job, uint32_t value, uint32_t more)
{
	input_of(job)[7] = value;
	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	ck_assert_uint_eq(output_of(job)[7], value + more);
}

static void connect_all(const struct pair *pair, struct npu_connection *connection[SESSIONS], unsigned count[2])
{
	count[0] = count[1] = 0;
	for (unsigned i = 0; i < SESSIONS; i++) {
		connection[i] = harness_connect(pair->harness);
		ck_assert_uint_eq(npu_device_count(connection[i]), 2);
		ck_assert_uint_lt(npu_device_index(connection[i]), 2);
		count[npu_device_index(connection[i])]++;
	}
}

START_TEST(sessions_spread_over_the_devices)
{
	struct pair pair = pair_start("1");
	struct npu_connection *connection[SESSIONS];
	struct npu_device_info info[2];
	unsigned count[2];

	connect_all(&pair, connection, count);
	ck_assert_uint_eq(count[0], SESSIONS / 2);
	ck_assert_uint_eq(count[1], SESSIONS / 2);
	for (uint32_t device = 0; device < 2; device++)
		ASSERT_NPU(npu_device_info(connection[0], device, &info[device]));
	ck_assert_uint_eq(info[0].cores, 3);
	ck_assert_uint_eq(info[1].cores, 1);
	/* a place that becomes free is taken by the next */
	struct npu_connection **leaves = &connection[3];
	uint32_t place = npu_device_index(*leaves);
	npu_disconnect(*leaves);
	/* the daemon hears of the end and of the new connection in any order */
	for (int i = 0; i < 400; i++) {
		*leaves = harness_connect(pair.harness);
		if (npu_device_index(*leaves) == place)
			break;
		npu_disconnect(*leaves);
		(void)nanosleep(&(struct timespec){0, 5000000}, NULL);
	}
	ck_assert_uint_eq(npu_device_index(*leaves), place);
	for (unsigned i = 0; i < SESSIONS; i++)
		npu_disconnect(connection[i]);
	pair_stop(&pair);
}
END_TEST

/* Both NPUs at the same time: a program that hangs on one does not keep the other one's sessions waiting. */
START_TEST(devices_work_side_by_side)
{
	struct pair pair = pair_start("1");
	struct npu_connection *busy = harness_connect(pair.harness), *free_one = harness_connect(pair.harness);

	ck_assert_uint_ne(npu_device_index(busy), npu_device_index(free_one));
	struct npu_job *spin = job_of(busy, program_spin()), *job = job_of(free_one, program_copy(64, 5));
	uint64_t hung = submit_running(busy, spin, 0);
	for (uint32_t i = 0; i < 32; i++) {
		input_of(job)[3] = i;
		ASSERT_OUTCOME(run(free_one, job), NPU_DONE);
		ck_assert_uint_eq(output_of(job)[3], i + 5);
	}
	ck_assert_int_eq(npu_wait(busy, hung, 0, NULL), -ETIMEDOUT); /* it hung all the time */
	ck_assert_int_eq(npu_cancel(busy, hung), NPU_CANCEL_RUNNING);
	ASSERT_OUTCOME(wait_for(busy, hung), NPU_CANCELLED);
	npu_disconnect(busy);
	npu_disconnect(free_one);
	pair_stop(&pair);
}
END_TEST

static void kill_device(struct pair *pair, uint32_t device)
{
	pid_t pid = device ? pair->emu : pair->harness->emu;

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(harness_wait(pid), 128 + SIGKILL);
	if (device) {
		pair->emu = 0;
		harness_device_gone(pair->harness);
	} else {
		harness_emu_gone(pair->harness);
	}
}

/* The device the session sits on is gone: its work ends, new work is refused, the session itself is still answered. */
static void expect_gone(struct npu_connection *connection, struct npu_job *job, uint64_t running)
{
	struct npu_device_info info;
	uint64_t ticket;

	ASSERT_OUTCOME(wait_for(connection, running), NPU_DEVICE_GONE);
	ASSERT_NPU(npu_device_info(connection, npu_device_index(connection), &info));
	ck_assert_int_eq(info.status, NPU_DEVICE_OFFLINE);
	ck_assert_int_eq(npu_job_submit(job, NULL, &ticket), -ENODEV);
	ASSERT_NPU(npu_ping(connection));
}

START_TEST(the_end_of_a_device_ends_the_work_of_its_sessions_alone)
{
	uint32_t victim = (uint32_t)_i;
	struct pair pair = pair_start("1");
	struct npu_connection *connection[SESSIONS];
	struct npu_job *job[SESSIONS];
	uint64_t ticket[SESSIONS] = {0};
	unsigned count[2], spinning = 0;

	connect_all(&pair, connection, count);
	for (unsigned i = 0; i < SESSIONS; i++) {
		bool dies = npu_device_index(connection[i]) == victim;

		job[i] = job_of(connection[i], dies ? program_spin() : program_copy(64, 9));
		/* one runs, the others of the device wait in its queue */
		if (dies)
			ticket[i] = spinning++ == 0 ? submit_running(connection[i], job[i], 0) : submit(job[i], 0);
	}
	kill_device(&pair, victim);
	for (unsigned i = 0; i < SESSIONS; i++) {
		if (npu_device_index(connection[i]) == victim) {
			expect_gone(connection[i], job[i], ticket[i]);
			continue;
		}
		for (uint32_t n = 0; n < 16; n++) {
			input_of(job[i])[0] = n;
			ASSERT_OUTCOME(run(connection[i], job[i]), NPU_DONE);
			ck_assert_uint_eq(output_of(job[i])[0], n + 9);
		}
	}
	/* who comes now gets the device that works, although it has more sessions */
	struct npu_connection *late = harness_connect(pair.harness);
	ck_assert_uint_eq(npu_device_index(late), !victim);
	ASSERT_OUTCOME(run(late, job_of(late, program_noop())), NPU_DONE);
	npu_disconnect(late);
	for (unsigned i = 0; i < SESSIONS; i++)
		npu_disconnect(connection[i]);
	pair_stop(&pair);
}
END_TEST

/* ------------------------------------------------------------------ one that comes later */

static void await_status(struct npu_connection *connection, uint32_t device, enum npu_device_status status)
{
	struct npu_device_info info;

	do {
		ASSERT_NPU(npu_device_info(connection, device, &info));
		(void)nanosleep(&(struct timespec){0, 5000000}, NULL);
	} while (info.status != status);
}

/* What is configured and not there is served as soon as it is, and nobody has to wait for it. */
START_TEST(a_device_that_comes_after_npud_is_used_when_it_is_there)
{
	struct pair pair = pair_start(NULL);
	struct npu_connection *connection[SESSIONS];
	struct npu_job *job[SESSIONS];
	struct npu_device_info info;

	/* nobody is put where nothing is known of, however many come */
	for (unsigned i = 0; i < SESSIONS; i++) {
		connection[i] = harness_connect(pair.harness);
		ck_assert_uint_eq(npu_device_count(connection[i]), 2);
		ck_assert_uint_eq(npu_device_index(connection[i]), 0);
		job[i] = job_of(connection[i], program_copy(64, i));
		fill_and_run(connection[i], job[i], 3, i);
	}
	ASSERT_NPU(npu_device_info(connection[0], 1, &info));
	ck_assert_int_eq(info.status, NPU_DEVICE_OFFLINE);
	ck_assert_int_eq(info.generation, 0);
	uint64_t without = harness_stats(pair.harness).open_fds;
	pair_plug_in(&pair, _i ? "3" : "1");
	await_status(connection[0], 1, NPU_DEVICE_READY);
	pair.harness->before.open_fds += harness_stats(pair.harness).open_fds - without;
	ASSERT_NPU(npu_device_info(connection[0], 1, &info));
	ck_assert_int_eq(info.generation, NPU_V3);
	ck_assert_uint_eq(info.cores, _i ? 3 : 1);
	/* who comes now gets it; who was here goes on */
	struct npu_connection *late = harness_connect(pair.harness);
	ck_assert_uint_eq(npu_device_index(late), 1);
	fill_and_run(late, job_of(late, program_copy(64, 9)), 7, 9);
	for (unsigned i = 0; i < SESSIONS; i++)
		fill_and_run(connection[i], job[i], 5, i);
	npu_disconnect(late);
	for (unsigned i = 0; i < SESSIONS; i++)
		npu_disconnect(connection[i]);
	pair_stop(&pair);
}
END_TEST

/* The only one that was there ends before the other has come: there is none to sit on but the one that was. */
START_TEST(a_device_that_nobody_has_seen_takes_no_sessions)
{
	struct pair pair = pair_start(NULL);
	struct npu_connection *connection = harness_connect(pair.harness);

	kill_device(&pair, 0);
	await_status(connection, 0, NPU_DEVICE_OFFLINE);
	struct npu_connection *late = harness_connect(pair.harness);
	ck_assert_uint_eq(npu_device_index(late), 0);
	npu_disconnect(late);
	npu_disconnect(connection);
	pair_stop(&pair);
}
END_TEST

/* ------------------------------------------------------------------ two of a kind */

/* The sessions of a device that is busy for ever would wait for ever. */
START_TEST(idle_sessions_move_away_from_a_busy_device)
{
	struct pair pair = pair_start("3");
	struct npu_connection *connection[SESSIONS];
	struct npu_job *job[SESSIONS];
	unsigned count[2];
	uint32_t crowded = (uint32_t)_i, hogs = 0;
	uint64_t hung = 0;

	connect_all(&pair, connection, count);
	ck_assert_uint_eq(count[crowded], SESSIONS / 2);
	for (unsigned i = 0; i < SESSIONS; i++) {
		bool hog = npu_device_index(connection[i]) == crowded && hogs++ == 0;
		job[i] = job_of(connection[i], hog ? program_spin() : program_copy(64, i));
		if (hog)
			hung = submit_running(connection[i], job[i], 0);
		else
			fill_and_run(connection[i], job[i], 3, i);
	}
	for (unsigned i = 0, seen = 0; i < SESSIONS; i++) {
		if (npu_device_index(connection[i]) != crowded)
			continue;
		ck_assert_uint_eq(seen++, 0);
		ck_assert_int_eq(npu_cancel(connection[i], hung), NPU_CANCEL_RUNNING);
		ASSERT_OUTCOME(wait_for(connection[i], hung), NPU_CANCELLED);
	}
	for (unsigned i = 0; i < SESSIONS; i++)
		npu_disconnect(connection[i]);
	pair_stop(&pair);
}
END_TEST

/* Who hangs blocks one device, and then another one the other; nothing is lost or ends twice, and all is returned. */
START_TEST(sessions_that_move_to_and_fro_lose_nothing)
{
	struct pair pair = pair_start("3");
	struct npu_connection *connection[SESSIONS], *hog[2];
	struct npu_job *job[SESSIONS], *spin[2];
	unsigned count[2], moves = 0;

	for (unsigned i = 0; i < 2; i++) {
		hog[i] = harness_connect(pair.harness);
		spin[i] = job_of(hog[i], program_spin());
	}
	connect_all(&pair, connection, count);
	for (unsigned i = 0; i < SESSIONS; i++)
		job[i] = job_of(connection[i], program_copy(4096, i));
	for (uint32_t round = 0; round < 8; round++) {
		struct npu_connection *blocks = hog[round % 2];
		uint64_t hung = submit_running(blocks, spin[round % 2], 0);
		/* longer than a session stays where it has just come to */
		(void)nanosleep(&(struct timespec){0, 120000000}, NULL);
		for (unsigned i = 0; i < SESSIONS; i++) {
			uint32_t before = npu_device_index(connection[i]);
			fill_and_run(connection[i], job[i], round * 100, i);
			moves += npu_device_index(connection[i]) != before;
		}
		ck_assert_int_eq(npu_cancel(blocks, hung), NPU_CANCEL_RUNNING);
		ASSERT_OUTCOME(wait_for(blocks, hung), NPU_CANCELLED);
	}
	ck_assert_uint_ge(moves, SESSIONS);
	for (unsigned i = 0; i < SESSIONS; i++)
		npu_disconnect(connection[i]);
	npu_disconnect(hog[0]);
	npu_disconnect(hog[1]);
	pair_stop(&pair);
}
END_TEST

START_TEST(sessions_of_a_device_that_is_gone_go_on_where_one_is_alike)
{
	uint32_t victim = (uint32_t)_i;
	struct pair pair = pair_start("3");
	struct npu_connection *connection[SESSIONS];
	struct npu_job *job[SESSIONS], *spin[SESSIONS] = {NULL};
	uint64_t ticket[SESSIONS];
	unsigned count[2], spinning = 0;

	connect_all(&pair, connection, count);
	for (unsigned i = 0; i < SESSIONS; i++) {
		job[i] = job_of(connection[i], program_copy(64, i));
		if (npu_device_index(connection[i]) == victim && spinning++ == 0) {
			spin[i] = job_of(connection[i], program_spin());
			ticket[i] = submit_running(connection[i], spin[i], 0);
		}
	}
	kill_device(&pair, victim);
	for (unsigned i = 0; i < SESSIONS; i++) {
		if (spin[i])
			ASSERT_OUTCOME(wait_for(connection[i], ticket[i]), NPU_DEVICE_GONE);
		/* what was loaded and prepared before goes on being good */
		for (uint32_t n = 0; n < 8; n++)
			fill_and_run(connection[i], job[i], n, i);
		ck_assert_uint_eq(npu_device_index(connection[i]), !victim);
	}
	for (unsigned i = 0; i < SESSIONS; i++)
		npu_disconnect(connection[i]);
	pair_stop(&pair);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("devices");
	TCase *all = tcase_create("devices");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, sessions_spread_over_the_devices);
	tcase_add_test(all, devices_work_side_by_side);
	tcase_add_loop_test(all, the_end_of_a_device_ends_the_work_of_its_sessions_alone, 0, 2);
	tcase_add_loop_test(all, a_device_that_comes_after_npud_is_used_when_it_is_there, 0, 2);
	tcase_add_test(all, a_device_that_nobody_has_seen_takes_no_sessions);
	tcase_add_loop_test(all, idle_sessions_move_away_from_a_busy_device, 0, 2);
	tcase_add_test(all, sessions_that_move_to_and_fro_lose_nothing);
	tcase_add_loop_test(all, sessions_of_a_device_that_is_gone_go_on_where_one_is_alike, 0, 2);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
