/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that hang or die: how long their neighbours wait beyond the hang's budget, and until nothing is left. */
#include "tests/bench/bench.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/programs.h"

#define MS 1000000ull
#define BUDGET_NS (50 * MS)
#define LIFE_NS (60000 * MS) /* of a job whose client is killed before */
#define DEAD_JOBS 8u
#define MAX_TIMES 100u

static struct bench_client client_of(const struct bench_options *options, struct program program)
{
	size_t bytes = 0;
	void *executable = program_elf(&program, &bytes);

	return bench_client_open(options->npud, executable, bytes);
}

static void rows(const char *name, uint64_t *ns, uint32_t count, double limit_ms)
{
	char worst[64];

	(void)snprintf(worst, sizeof(worst), "%s, worst", name);
	bench_row_limit(name, bench_latency(ns, count).p50_us / 1e3, limit_ms, "ms");
	bench_row_limit(worst, (double)ns[count - 1] / (double)MS, limit_ms, "ms");
}

static void note_print(struct npu_job *job, uint32_t group, uint32_t task, const char *text, void *user)
{
	(void)job, (void)group, (void)task, (void)text;
	*(bool *)user = true;
}

/* Until the program says that it runs. */
static void wait_running(struct npu_connection *connection, const bool *running)
{
	struct pollfd pollfd = {.fd = npu_fd(connection), .events = POLLIN};

	while (!*running) {
		if (poll(&pollfd, 1, -1) < 0 || npu_dispatch(connection) < 0)
			bench_fail("the program does not run: %s", npu_error());
	}
}

/* ------------------------------------------------------------------ a hang */

/* From the hang's submission until its neighbour, who came right behind it, has been served; less the budget. */
static uint64_t hang_once(const struct bench_client *guilty, struct npu_job *spin, const struct bench_client *neighbour,
			  struct npu_job *job)
{
	bool running = false;

	npu_set_print(guilty->connection, note_print, &running);
	uint64_t start = bench_clock_ns();
	uint64_t hung = bench_submit(spin, BUDGET_NS);
	wait_running(guilty->connection, &running);
	bench_wait(neighbour, bench_submit(job, 0), NPU_DONE);
	uint64_t took = bench_clock_ns() - start;
	bench_wait(guilty, hung, NPU_TIMEOUT);
	if (took < BUDGET_NS)
		bench_fail("the neighbour of a hang did not have to wait");
	return took - BUDGET_NS;
}

static void hang_row(const struct bench_options *options)
{
	struct bench_client guilty = client_of(options, program_spin()), neighbour = client_of(options, program_noop());
	struct npu_job *spin = bench_job(&guilty), *job = bench_job(&neighbour);
	uint64_t ns[MAX_TIMES];
	uint32_t count = bench_repeats(options, 40);

	count = count < MAX_TIMES ? count : MAX_TIMES;
	for (uint32_t i = 0; i < count; i++)
		ns[i] = hang_once(&guilty, spin, &neighbour, job);
	npu_disconnect(guilty.connection);
	npu_disconnect(neighbour.connection);
	rows("hang to recovered less budget", ns, count, 50);
}

/* ------------------------------------------------------------------ a death */

/* A client with a program on the device and more behind it; tells so, and waits for its end. */
static void live(const struct bench_options *options, int tell)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(1);
	struct bench_client client = client_of(options, program_spin());
	bool running = false;

	npu_set_print(client.connection, note_print, &running);
	for (uint32_t i = 0; i < DEAD_JOBS; i++)
		(void)bench_submit(bench_job(&client), LIFE_NS);
	wait_running(client.connection, &running);
	if (write(tell, "r", 1) == 1)
		(void)pause();
	_exit(1);
}

static bool is_clean(const Npud__Stats *now, const Npud__Stats *before)
{
	return now->sessions == before->sessions && now->buffers == 0 && now->buffer_bytes == 0 && now->jobs == 0 &&
	       now->submissions == 0 && now->mappings == 0 && now->arena_bytes == 0 &&
	       (now->open_fds == before->open_fds || !before->open_fds);
}

static void wait_clean(int fd, const Npud__Stats *before)
{
	uint64_t start = bench_clock_ns();
	Npud__Stats now = bench_stats(fd);

	while (!is_clean(&now, before)) {
		if (bench_clock_ns() - start > 10000 * MS)
			bench_fail("npud keeps what a dead client had");
		now = bench_stats(fd);
	}
}

/* From the kill until npud has nothing more of it. */
static uint64_t die_once(const struct bench_options *options, int fd, const Npud__Stats *before)
{
	int tell[2];
	char byte;

	if (pipe(tell) < 0)
		bench_fail("no pipe");
	pid_t child = fork();
	if (child < 0)
		bench_fail("fork failed");
	if (child == 0)
		live(options, tell[1]);
	close(tell[1]);
	if (read(tell[0], &byte, 1) != 1)
		bench_fail("the client ended by itself");
	close(tell[0]);
	uint64_t start = bench_clock_ns();
	(void)kill(child, SIGKILL);
	wait_clean(fd, before);
	uint64_t took = bench_clock_ns() - start;
	(void)waitpid(child, NULL, 0);
	return took;
}

static void death_row(const struct bench_options *options)
{
	int fd = bench_stats_open(options->npud);
	uint32_t count = bench_repeats(options, 50);
	uint64_t ns[MAX_TIMES];
	/* the clients before this row may still be leaving */
	wait_clean(fd, &(Npud__Stats){.sessions = 1});
	Npud__Stats before = bench_stats(fd);
	count = count < MAX_TIMES ? count : MAX_TIMES;
	for (uint32_t i = 0; i < count; i++)
		ns[i] = die_once(options, fd, &before);
	close(fd);
	rows("dead client reclaimed", ns, count, 10);
}

void trouble_rows(const struct bench_options *options)
{
	hang_row(options);
	death_row(options);
}
