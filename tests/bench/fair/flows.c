/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that keep the device busy, as processes of several users; see fair.h. */
#include "tests/bench/fair/fair.h"

#include <grp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/programs.h"

#define MAX_FLOWS 101u

/* Shared with the processes. */
static struct {
	_Atomic uint32_t ready;
	_Atomic uint32_t phase; /* of enum phase */
	uint64_t got_ns[MAX_FLOWS];
} * shared;

enum phase { PREPARE = 0, WARM_UP, MEASURE, END };

static pid_t processes[MAX_FLOWS];
static uint32_t running;

void line_open(struct line *line, const struct flow *flow)
{
	struct program program = program_delay(flow->job_ns);
	struct npu_graph *graph = NULL;
	size_t bytes = 0;
	void *file = program_elf(&program, &bytes);

	*line = (struct line){0};
	if (npu_connect(flow->socket, &line->connection) < 0 ||
	    npu_graph_load_memory(line->connection, file, bytes, &graph) < 0)
		bench_fail("a program of %u ns: %s", flow->job_ns, npu_error());
	free(file);
	if (flow->urgent && npu_queue_create(line->connection, NPU_CLASS_HIGH, 0, &line->queue) < 0)
		bench_fail("a queue of class high: %s", npu_error());
	for (uint32_t i = 0; i < flow->depth; i++)
		if (npu_job_create(graph, &line->jobs[i]) < 0)
			bench_fail("job %u: %s", i, npu_error());
}

void line_submit(struct line *line, uint32_t i)
{
	struct npu_run_options options = NPU_RUN_OPTIONS;

	options.queue = line->queue;
	if (npu_job_submit_with(line->jobs[i], NULL, &options, &line->tickets[i]) < 0)
		bench_fail("submit: %s", npu_error());
}

uint64_t line_wait(struct line *line, uint32_t i)
{
	struct npu_result result = {0};

	if (npu_wait(line->connection, line->tickets[i], NPU_WAIT_FOREVER, &result) < 0)
		bench_fail("wait: %s", npu_error());
	if (result.outcome != NPU_DONE)
		bench_fail("a job ended as %s: %s", npu_outcome_name(result.outcome), result.message);
	return result.device_ns;
}

uint64_t line_run(struct line *line)
{
	uint64_t begin = bench_clock_ns();

	line_submit(line, 0);
	(void)line_wait(line, 0);
	return bench_clock_ns() - begin;
}

static void pause_until(_Atomic uint32_t *value, uint32_t wanted)
{
	const struct timespec pause = {0, 1000000};

	while (atomic_load(value) < wanted)
		(void)nanosleep(&pause, NULL);
}

static void become(uint32_t tenant)
{
	uid_t user = FIRST_USER + tenant;

	if (getuid() == 0 && (setgroups(0, NULL) || setresgid(user, user, user) || setresuid(user, user, user)))
		bench_fail("user %u: not possible", user);
}

static void flow_run(const struct flow *flow, uint64_t *got_ns)
{
	struct line line;

	line_open(&line, flow);
	atomic_fetch_add(&shared->ready, 1);
	pause_until(&shared->phase, WARM_UP);
	for (uint32_t i = 0; i < flow->depth; i++)
		line_submit(&line, i);
	for (uint32_t i = 0; atomic_load(&shared->phase) != END; i = i + 1 < flow->depth ? i + 1 : 0) {
		uint64_t ns = line_wait(&line, i);
		if (atomic_load(&shared->phase) == MEASURE)
			*got_ns += ns;
		line_submit(&line, i);
	}
	npu_disconnect(line.connection);
}

static pid_t flow_start(const struct flow *flow, uint64_t *got_ns)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		bench_fail("no process for a client");
	if (pid > 0)
		return pid;
	become(flow->tenant);
	/* after the change of user, which clears it */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(EXIT_FAILURE);
	flow_run(flow, got_ns);
	_exit(EXIT_SUCCESS);
}

/* A process that failed has said why: nobody waits for it. */
static void wait_ready(void)
{
	const struct timespec pause = {0, 1000000};

	while (atomic_load(&shared->ready) < running) {
		if (waitpid(-1, NULL, WNOHANG) != 0)
			bench_fail("a client has failed");
		(void)nanosleep(&pause, NULL);
	}
}

void flows_start(const struct flow *flows, uint32_t count)
{
	if (count > MAX_FLOWS)
		bench_fail("%u clients", count);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bench_fail("out of memory");
	running = count;
	for (uint32_t i = 0; i < count; i++)
		processes[i] = flow_start(&flows[i], &shared->got_ns[i]);
	wait_ready();
	atomic_store(&shared->phase, WARM_UP);
}

void flows_mark(void)
{
	atomic_store(&shared->phase, MEASURE);
}

void flows_end(uint64_t *got_ns)
{
	int status;

	atomic_store(&shared->phase, END);
	for (uint32_t i = 0; i < running; i++)
		if (waitpid(processes[i], &status, 0) != processes[i] || status != 0)
			bench_fail("a client has failed");
	for (uint32_t i = 0; got_ns && i < running; i++)
		got_ns[i] = shared->got_ns[i];
	(void)munmap(shared, sizeof(*shared));
}
