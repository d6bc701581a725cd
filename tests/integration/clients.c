/* SPDX-License-Identifier: Apache-2.0 */
/* What tests do as clients of npud: connect, look at the counters, load, submit, wait. */
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/integration/raw.h"

struct npu_connection *harness_connect(struct harness *harness)
{
	struct npu_connection *connection = NULL;

	ASSERT_NPU(npu_connect(harness->socket, &connection));
	return connection;
}

Npud__Stats harness_stats(struct harness *harness)
{
	Npud__StatsQuery query = NPUD__STATS_QUERY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	int fd = raw_open(harness);

	request.body_case = NPUD__REQUEST__BODY_STATS_QUERY;
	request.stats_query = &query;
	Npud__ServerFrame *frame = raw_call(fd, &request, -1);
	ck_assert_msg(frame->reply->error == NULL, "stats: %s",
		      frame->reply->error ? frame->reply->error->message : "");
	ck_assert_int_eq(frame->reply->body_case, NPUD__REPLY__BODY_STATS);
	Npud__Stats stats = *frame->reply->stats;
	raw_free(frame);
	close(fd);
	return stats;
}

static bool is_clean(const struct harness *harness, const Npud__Stats *stats)
{
	/* A device that went away took descriptors of the daemon along. */
	bool fds = !harness->device_gone ? stats->open_fds == harness->before.open_fds
					 : stats->open_fds <= harness->before.open_fds;

	return stats->sessions == harness->before.sessions && stats->buffers == 0 && stats->buffer_bytes == 0 &&
	       stats->jobs == 0 && stats->submissions == 0 && stats->mappings == 0 && stats->arena_bytes == 0 && fds;
}

void harness_settle(struct harness *harness)
{
	const struct timespec pause = {0, 5000000};
	Npud__Stats stats = harness_stats(harness);

	for (int i = 0; i < 2000 && !is_clean(harness, &stats); i++) {
		(void)nanosleep(&pause, NULL); /* sessions end when the device has let go of their memory */
		stats = harness_stats(harness);
	}
	ck_assert_uint_eq(stats.sessions, harness->before.sessions);
	ck_assert_uint_eq(stats.buffers, 0);
	ck_assert_uint_eq(stats.buffer_bytes, 0);
	ck_assert_uint_eq(stats.jobs, 0);
	ck_assert_uint_eq(stats.submissions, 0);
	ck_assert_uint_eq(stats.mappings, 0);
	ck_assert_uint_eq(stats.arena_bytes, 0);
	ck_assert_msg(is_clean(harness, &stats), "%lu descriptors open, %lu at the start",
		      (unsigned long)stats.open_fds, (unsigned long)harness->before.open_fds);
}

/* Everything but the ids is the test's; root gives them up for good. */
static void become(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		_exit(125);
}

static pid_t start(struct harness *harness, const uid_t *ids, int (*fn)(struct harness *harness, void *user),
		   void *user)
{
	pid_t parent = getpid();

	(void)fflush(NULL);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	if (ids)
		become(ids[0], ids[1]);
	/* after the change of user, which clears it */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(126);
	_exit(fn(harness, user));
}

pid_t client_start(struct harness *harness, int (*fn)(struct harness *harness, void *user), void *user)
{
	return start(harness, NULL, fn, user);
}

pid_t client_start_as(struct harness *harness, uid_t uid, gid_t gid, int (*fn)(struct harness *harness, void *user),
		      void *user)
{
	const uid_t ids[] = {uid, gid};

	return start(harness, ids, fn, user);
}

void client_wait(pid_t pid)
{
	int code = harness_wait(pid);

	ck_assert_msg(code == 0, "client process ended with %d", code);
}

struct npu_graph *load(struct npu_connection *connection, struct program program)
{
	struct npu_graph *graph = NULL;
	size_t bytes;
	void *file = program_elf(&program, &bytes);

	ASSERT_NPU(npu_graph_load_memory(connection, file, bytes, &graph));
	free(file);
	return graph;
}

struct npu_job *job_of(struct npu_connection *connection, struct program program)
{
	struct npu_job *job = NULL;

	ASSERT_NPU(npu_job_create(load(connection, program), &job));
	return job;
}

uint64_t submit(struct npu_job *job, uint64_t budget_ns)
{
	const struct npu_submit_options options = {.budget_ns = budget_ns};
	uint64_t ticket = 0;

	ASSERT_NPU(npu_job_submit(job, &options, &ticket));
	return ticket;
}

static void note_running(struct npu_job *job, uint32_t group, uint32_t task, const char *text, void *user)
{
	(void)job;
	(void)group;
	(void)task;
	*(bool *)user |= strcmp(text, "running") == 0;
}

uint64_t submit_running(struct npu_connection *connection, struct npu_job *spin, uint64_t budget_ns)
{
	struct pollfd pollfd = {.fd = npu_fd(connection), .events = POLLIN};
	bool running = false;

	npu_set_print(connection, note_running, &running);
	uint64_t ticket = submit(spin, budget_ns);
	while (!running) {
		ck_assert_msg(poll(&pollfd, 1, (int)(PATIENCE_NS / 1000000)) == 1, "the program does not run");
		ck_assert_int_ge(npu_dispatch(connection), 0);
	}
	npu_set_print(connection, NULL, NULL);
	return ticket;
}

struct npu_result wait_for(struct npu_connection *connection, uint64_t ticket)
{
	struct npu_result result = {0};

	ASSERT_NPU(npu_wait(connection, ticket, PATIENCE_NS, &result));
	return result;
}

struct npu_result run(struct npu_connection *connection, struct npu_job *job)
{
	return wait_for(connection, submit(job, 0));
}

uint32_t *input_of(struct npu_job *job)
{
	uint32_t *tensor = npu_job_tensor(job, NPU_INPUT, 0, NULL);

	ck_assert_ptr_nonnull(tensor);
	return tensor;
}

uint32_t *output_of(struct npu_job *job)
{
	uint32_t *tensor = npu_job_tensor(job, NPU_OUTPUT, 0, NULL);

	ck_assert_ptr_nonnull(tensor);
	return tensor;
}
