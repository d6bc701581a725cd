/* SPDX-License-Identifier: Apache-2.0 */
/* Two NPUs in one host: a session sits on one of them, and what happens to the other is none of its business. */
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/integration/raw.h"

#define SESSIONS 6u

/* A harness whose npud serves a second software NPU, with one core instead of three. */
struct pair {
	struct harness *harness;
	char socket[96];
	pid_t emu;
};

static void wait_for_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timespec pause = {0, 1000000};
	int rc = -1;

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	for (int i = 0; i < 20000 && rc; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		rc = connect(fd, (const struct sockaddr *)&address, sizeof(address));
		close(fd);
		if (rc)
			(void)nanosleep(&pause, NULL);
	}
	ck_assert_msg(rc == 0, "the second npu-emu does not listen");
}

static struct pair pair_start(void)
{
	struct pair pair = {.harness = harness_start(NULL)};
	struct harness *harness = pair.harness;
	char program[4096];
	const char *argv[] = {program, "--socket", pair.socket, "--cores", "1", NULL};

	ck_assert_int_eq(kill(harness->npud, SIGTERM), 0);
	ck_assert_int_eq(harness_wait(harness->npud), 0);
	harness_npud_gone(harness);
	(void)snprintf(program, sizeof(program), "%s", harness_program("npu-emu"));
	(void)snprintf(pair.socket, sizeof(pair.socket), "%s/npu1.sock", harness->directory);
	pair.emu = harness_spawn(harness, argv, "emu1.log", NULL);
	wait_for_socket(pair.socket);
	FILE *file = fopen(harness->config, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_gt(fprintf(file,
				 "{\"socket\":{\"path\":\"%s\",\"mode\":\"0600\"},\"log\":{\"level\":\"debug\"},"
				 "\"devices\":[{\"name\":\"npu0\",\"transport\":\"vfio-user\",\"path\":\"%s\"},"
				 "{\"name\":\"npu1\",\"transport\":\"vfio-user\",\"path\":\"%s\"}]}\n",
				 harness->socket, harness->emu_socket, pair.socket),
			 0);
	ck_assert_int_eq(fclose(file), 0);
	harness_npud_again(harness);
	return pair;
}

static void pair_stop(struct pair *pair)
{
	struct harness *harness = pair->harness;

	/* npud first, as harness_stop() does: it lets go of its devices while they live */
	harness_settle(harness);
	ck_assert_int_eq(kill(harness->npud, SIGTERM), 0);
	ck_assert_int_eq(harness_wait(harness->npud), 0);
	harness_npud_gone(harness);
	if (pair->emu) {
		ck_assert_int_eq(kill(pair->emu, SIGTERM), 0);
		ck_assert_int_eq(harness_wait(pair->emu), 0);
	}
	harness_stop(harness);
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
	struct pair pair = pair_start();
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
	struct pair pair = pair_start();
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
	struct pair pair = pair_start();
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

int main(void)
{
	Suite *suite = suite_create("devices");
	TCase *all = tcase_create("devices");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, sessions_spread_over_the_devices);
	tcase_add_test(all, devices_work_side_by_side);
	tcase_add_loop_test(all, the_end_of_a_device_ends_the_work_of_its_sessions_alone, 0, 2);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
