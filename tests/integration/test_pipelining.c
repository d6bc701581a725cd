/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next job of a tenure is in the hardware before the one that runs ends: read from the software NPU's own list of
 * register accesses. The jobs wait for the test, so that each ends when the test has seen what is behind it.
 */
#include <poll.h>
#include <unistd.h>

#include "proto/zhouyi_regs.h"
#include "tests/integration/harness.h"

#define JOBS 8u

struct scene {
	char trace[32];
	struct harness *harness;
	struct npu_connection *connection;
	struct npu_job *jobs[JOBS];
	uint64_t tickets[JOBS];
	unsigned begun; /* jobs that have said so */
};

static void scene_start(struct scene *scene, const char *members)
{
	strcpy(scene->trace, "/tmp/npud-trace-XXXXXX");
	int fd = mkstemp(scene->trace);

	ck_assert_int_ge(fd, 0);
	close(fd);
	scene->harness =
	    harness_start(&(struct harness_options){.members = members, .emu_args = {"--trace", scene->trace}});
	scene->connection = harness_connect(scene->harness);
}

/* In the order of the trace: dispatches that had happened at each completion that npud took. */
static unsigned dispatches_at_completions(const char *trace, unsigned dispatches[JOBS])
{
	FILE *file = fopen(trace, "re");
	unsigned rung = 0, ended = 0;
	unsigned long status = 0;
	char line[64];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		char kind = line[0], *rest;
		unsigned long offset = strtoul(line + 1, &rest, 16), value = strtoul(rest, NULL, 16);

		if (kind == 'W' && offset == ZY3_CMD_HANDLE && (value & ZY3_OP_MASK) == ZY3_OP_DISPATCH)
			rung++;
		else if (kind == 'R' && offset == ZY3_POOL(0, ZY3_POOL_INTR_STATUS))
			status = value;
		else if (kind == 'R' && offset == ZY3_POOL(0, ZY3_POOL_TCB_PTR) && (status & ZY3_INTR_DONE)) {
			ck_assert_uint_lt(ended, JOBS);
			dispatches[ended++] = rung;
		}
	}
	ck_assert_int_eq(fclose(file), 0);
	return ended;
}

/* ------------------------------------------------------------------ what the clients see */

static void note_begun(struct npu_job *job, uint32_t group, uint32_t task, const char *text, void *user)
{
	(void)job;
	(void)group;
	(void)task;
	(void)text;
	(*(unsigned *)user)++;
}

static bool in_hardware(struct npu_connection *connection, uint64_t ticket)
{
	struct npu_why why;

	ASSERT_NPU(npu_why(connection, ticket, &why));
	return why.state == NPU_WHY_RUNNING;
}

/* The job has begun, and so many are in the hardware with it. */
static void wait_begun(struct scene *scene, unsigned job, unsigned depth)
{
	struct pollfd pollfd = {.fd = npu_fd(scene->connection), .events = POLLIN};
	unsigned last = job + depth - 1 < JOBS ? job + depth - 1 : JOBS - 1;

	for (int i = 0; i < PATIENCE_NS / 1000000; i++) {
		if (scene->begun > job && in_hardware(scene->connection, scene->tickets[last]))
			return;
		(void)poll(&pollfd, 1, 1);
		ck_assert_int_ge(npu_dispatch(scene->connection), 0);
	}
	ck_abort_msg("%u jobs have begun, and number %u is not in the hardware", scene->begun, last + 1);
}

/* All are submitted at once; each goes on when the test has seen it with `depth` of them in the hardware. */
static void run_one_by_one(struct scene *scene, unsigned depth)
{
	npu_set_print(scene->connection, note_begun, &scene->begun);
	for (unsigned i = 0; i < JOBS; i++) {
		scene->jobs[i] = job_of(scene->connection, program_gate());
		scene->tickets[i] = submit(scene->jobs[i], 0);
	}
	for (unsigned i = 0; i < JOBS; i++) {
		wait_begun(scene, i, depth);
		input_of(scene->jobs[i])[0] = 1;
	}
	for (unsigned i = 0; i < JOBS; i++)
		ASSERT_OUTCOME(wait_for(scene->connection, scene->tickets[i]), NPU_DONE);
	npu_disconnect(scene->connection);
	harness_stop(scene->harness);
}

static const struct {
	const char *members;
	unsigned depth;
} depths[] = {{NULL, 2}, {",\"scheduler\":{\"max_in_flight\":1}", 1}, {",\"scheduler\":{\"max_in_flight\":4}", 4}};

START_TEST(the_next_job_is_in_the_hardware_before_the_one_that_runs_ends)
{
	struct scene scene = {0};
	unsigned dispatches[JOBS], depth = depths[_i].depth;

	scene_start(&scene, depths[_i].members);
	run_one_by_one(&scene, depth);
	ck_assert_uint_eq(dispatches_at_completions(scene.trace, dispatches), JOBS);
	for (unsigned i = 0; i < JOBS; i++)
		ck_assert_uint_eq(dispatches[i], i + depth < JOBS ? i + depth : JOBS);
	ck_assert_int_eq(unlink(scene.trace), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pipelining");
	TCase *all = tcase_create("pipelining");

	tcase_set_timeout(all, 120);
	tcase_add_loop_test(all, the_next_job_is_in_the_hardware_before_the_one_that_runs_ends, 0,
			    sizeof(depths) / sizeof(*depths));
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
