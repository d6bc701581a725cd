/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the second NPU, and npud again with both; see pair.h. */
#include "tests/integration/pair.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

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

void pair_plug_in(struct pair *pair, const char *cores)
{
	char program[4096];
	const char *argv[] = {program, "--socket", pair->socket, "--cores", cores, NULL};

	(void)snprintf(program, sizeof(program), "%s", harness_program("npu-emu"));
	pair->emu = harness_spawn(pair->harness, argv, "emu1.log", NULL);
	wait_for_socket(pair->socket);
}

struct pair pair_start(const char *cores)
{
	struct pair pair = {.harness = harness_start(NULL)};
	struct harness *harness = pair.harness;

	ck_assert_int_eq(kill(harness->npud, SIGTERM), 0);
	ck_assert_int_eq(harness_wait(harness->npud), 0);
	harness_npud_gone(harness);
	(void)snprintf(pair.socket, sizeof(pair.socket), "%s/npu1.sock", harness->directory);
	if (cores)
		pair_plug_in(&pair, cores);
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

void pair_stop(struct pair *pair)
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
