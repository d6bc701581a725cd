/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the simulator promises of the scheduler, with the real programs: each tenant is another user with processes of
 * its own. All of them live in the software NPU's virtual time, so that the figures are those of the schedule alone: a
 * change of tenure takes no time there, and neither does a client. First come, first served is measured beside.
 */
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/virtual/virtual.h"

#define FIRST_USER 61000u
#define US 1000ull
#define MS 1000000ull
#define START_NS SECOND_NS /* no time is 0, which npud takes for none */
#define MAX_TENANTS 16u
#define MAX_FLOWS 101u
#define MAX_DEPTH 8u
#define AROUND_NS 100u /* at most, of the instructions around a delay */

static struct virtual_time *shared;

/* A client process that keeps `depth` submissions queued. */
struct flow {
	unsigned tenant;
	unsigned depth;
	uint64_t job_ns;
};

struct stage {
	struct flow flows[MAX_FLOWS];
	unsigned flow_count;
	uint32_t weights[MAX_TENANTS];
	unsigned tenants;
	uint64_t from_ns, to_ns; /* of the time since the first job: what is measured */
	unsigned max_in_flight; /* 0: as npud has it */
};

/* ------------------------------------------------------------------ the daemon in virtual time */

static void share_time(char *path)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, sizeof(*shared)), 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	close(fd);
	atomic_store(&shared->now_ns, START_NS);
	atomic_store(&shared->end_ns, UINT64_MAX);
	ck_assert_int_eq(setenv(VIRTUAL_FILE_VARIABLE, path, 1), 0);
}

static struct harness *start(const char *policy, const struct stage *stage, const char *time)
{
	char path[] = "/tmp/npud-time-XXXXXX", members[2048];
	int used = snprintf(
	    members, sizeof(members), ",\"scheduler\":{\"policy\":\"%s\",\"max_in_flight\":%u%s},\"tenants\":[", policy,
	    stage->max_in_flight ? stage->max_in_flight : 2, stage->max_in_flight ? ",\"min_in_flight_us\":0" : "");

	for (unsigned t = 0; t < stage->tenants; t++)
		used += snprintf(members + used, sizeof(members) - (size_t)used,
				 "%s{\"name\":\"%u\",\"match\":{\"users\":[%u]},\"weight\":%u}", t ? "," : "", t,
				 FIRST_USER + t, stage->weights[t] ? stage->weights[t] : 100);
	ck_assert_int_lt(snprintf(members + used, sizeof(members) - (size_t)used, "]"), sizeof(members) - (size_t)used);
	share_time(path);
	struct harness *harness = harness_start(&(struct harness_options){
	    .npud = "tests/virtual/npud",
	    .members = members,
	    .socket = "\"mode\":\"0666\"",
	    .log = "\"level\":\"warn\"",
	    .emu_args = {"--time", time, "--clock", path, "--in-step"},
	});
	ck_assert_int_eq(unlink(path), 0);
	return harness;
}

static void stop(struct harness *harness)
{
	harness_stop(harness);
	ck_assert_int_eq(munmap(shared, sizeof(*shared)), 0);
}

/* ------------------------------------------------------------------ clients: they answer by their exit code */

static bool time_is_up(void)
{
	return atomic_load(&shared->now_ns) >= atomic_load(&shared->end_ns);
}

/* Nobody waits for the work of those that have ended. */
static void end_now(void)
{
	atomic_store(&shared->backlog, 0);
	atomic_store(&shared->end_ns, atomic_load(&shared->now_ns));
}

static struct npu_connection *prepare(const struct harness *harness, const struct flow *flow, struct npu_job **jobs)
{
	struct npu_connection *connection = NULL;
	struct npu_graph *graph = NULL;
	struct program program = program_delay((uint32_t)flow->job_ns);
	size_t bytes;
	void *file = program_elf(&program, &bytes);

	if (npu_connect(harness->socket, &connection) || npu_graph_load_memory(connection, file, bytes, &graph))
		_exit(2);
	free(file);
	for (unsigned i = 0; i < flow->depth; i++)
		if (npu_job_create(graph, &jobs[i]))
			_exit(3);
	return connection;
}

static void finish(struct npu_connection *connection, uint64_t ticket)
{
	struct npu_result result;

	if (npu_wait(connection, ticket, 3 * PATIENCE_NS, &result) || result.outcome != NPU_DONE)
		_exit(4);
}

static int run_flow(struct harness *harness, void *user)
{
	const struct flow *flow = user;
	struct npu_job *jobs[MAX_DEPTH] = {0};
	uint64_t tickets[MAX_DEPTH] = {0};
	struct npu_connection *connection = prepare(harness, flow, jobs);

	for (unsigned i = 0; i < flow->depth; i++)
		if (npu_job_submit(jobs[i], NULL, &tickets[i]))
			return 5;
	for (unsigned i = 0;; i = i + 1 < flow->depth ? i + 1 : 0) {
		finish(connection, tickets[i]);
		if (time_is_up())
			break;
		if (npu_job_submit(jobs[i], NULL, &tickets[i]))
			return 6;
	}
	atomic_store(&shared->backlog, 0);
	npu_disconnect(connection);
	return 0;
}

/* Time passes when others have work: then they have the device. */
static void think(uint64_t ns)
{
	const struct timespec pause = {0, 50000};
	uint64_t until = atomic_load(&shared->now_ns) + ns;

	while (atomic_load(&shared->now_ns) < until)
		(void)nanosleep(&pause, NULL);
}

#define REQUESTS 100u

/* One job at a time. */
struct interactive {
	struct flow flow;
	uint64_t think_ns; /* between one and the next */
};

static int run_interactive(struct harness *harness, void *user)
{
	const struct interactive *interactive = user;
	struct npu_job *job = NULL;
	struct npu_connection *connection = prepare(harness, &interactive->flow, &job);
	uint64_t ticket;

	/* Until all that the others queue has run once: then npud knows how long it takes. */
	think(10 * interactive->think_ns);
	for (unsigned i = 0; i < REQUESTS; i++) {
		think(interactive->think_ns);
		if (npu_job_submit(job, NULL, &ticket))
			return 5;
		finish(connection, ticket);
	}
	end_now();
	npu_disconnect(connection);
	return 0;
}

static pid_t start_client(struct harness *harness, int (*fn)(struct harness *harness, void *user), unsigned tenant,
			  void *user)
{
	return client_start_as(harness, FIRST_USER + tenant, FIRST_USER, fn, user);
}

/* ------------------------------------------------------------------ shares */

struct past {
	struct npu_timeline *timeline;
	size_t count;
};

static struct past past_read(struct harness *harness)
{
	struct npu_connection *connection = harness_connect(harness);
	struct past past;

	ASSERT_NPU(npu_timeline_read(connection, 0, &past.timeline));
	past.count = npu_timeline_count(past.timeline);
	npu_disconnect(connection);
	return past;
}

/* The next entry that has run to its end; false after the last. */
static bool past_next(const struct past *past, size_t *at, struct npu_timeline_entry *entry)
{
	do {
		if (*at == past->count)
			return false;
		ASSERT_NPU(npu_timeline_entry(past->timeline, (*at)++, entry));
	} while (entry->outcome != NPU_DONE);
	return true;
}

/* Tenants' names are their numbers. */
static unsigned long tenant_of(const struct npu_timeline_entry *entry)
{
	return strtoul(entry->tenant, NULL, 10);
}

/* Device time of each tenant in the window. */
static void add_up(const struct past *past, const struct stage *stage, double share_ns[MAX_TENANTS])
{
	struct npu_timeline_entry entry;
	uint64_t from = START_NS + stage->from_ns, to = START_NS + stage->to_ns;

	memset(share_ns, 0, MAX_TENANTS * sizeof(*share_ns));
	for (size_t i = 0; past_next(past, &i, &entry);) {
		uint64_t begin = entry.started_ns > from ? entry.started_ns : from;
		uint64_t end = entry.finished_ns < to ? entry.finished_ns : to;
		if (begin < end)
			share_ns[tenant_of(&entry)] += (double)(end - begin);
	}
}

/* What the clients of the stage made of the window. */
static struct past run_stage(struct harness *harness, struct stage *stage)
{
	pid_t clients[MAX_FLOWS];
	uint32_t backlog = 0;

	for (unsigned i = 0; i < stage->flow_count; i++)
		backlog += stage->flows[i].depth;
	atomic_store(&shared->backlog, backlog);
	atomic_store(&shared->end_ns, START_NS + stage->to_ns);
	for (unsigned i = 0; i < stage->flow_count; i++)
		clients[i] = start_client(harness, run_flow, stage->flows[i].tenant, &stage->flows[i]);
	for (unsigned i = 0; i < stage->flow_count; i++)
		client_wait(clients[i]);
	return past_read(harness);
}

static void measure(const char *policy, struct stage *stage, double share_ns[MAX_TENANTS])
{
	struct harness *harness = start(policy, stage, "virtual");
	struct past past = run_stage(harness, stage);
	double total = 0;

	add_up(&past, stage, share_ns);
	npu_timeline_free(past.timeline);
	stop(harness);
	for (unsigned t = 0; t < stage->tenants; t++)
		total += share_ns[t];
	/* The window is full: all the time is somebody's. */
	ck_assert_double_eq_tol(total, (double)(stage->to_ns - stage->from_ns), 1);
	for (unsigned t = 0; t < stage->tenants; t++)
		share_ns[t] /= total;
}

/* So much time is at most off: jobs are not divided. */
static void assert_share(double share, double wanted, const struct stage *stage, uint64_t off_ns)
{
	ck_assert_double_eq_tol(share, wanted, (double)off_ns / (double)(stage->to_ns - stage->from_ns));
}

/* Jain's index of what is the same when it is fair. */
static double jain(const double *share, unsigned count)
{
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < count; i++) {
		sum += share[i];
		squares += share[i] * share[i];
	}
	return sum * sum / (count * squares);
}

START_TEST(jobs_of_1_ms_get_as_much_time_as_jobs_of_20_ms)
{
	struct stage stage = {.flows = {{0, 8, MS}, {1, 8, 20 * MS}},
			      .flow_count = 2,
			      .tenants = 2,
			      .from_ns = 200 * MS,
			      .to_ns = 2200 * MS};
	double fair[MAX_TENANTS], fifo[MAX_TENANTS];

	measure("fair", &stage, fair);
	measure("fifo", &stage, fifo);
	assert_share(fair[0], 0.5, &stage, 21 * MS);
	ck_assert_double_le(fifo[0], 0.06); /* a job of each in turn */
}
END_TEST

START_TEST(shares_follow_the_weights_1_2_4)
{
	struct stage stage = {.flows = {{0, 8, MS}, {1, 8, MS}, {2, 8, MS}},
			      .flow_count = 3,
			      .weights = {100, 200, 400},
			      .tenants = 3,
			      .from_ns = 100 * MS,
			      .to_ns = 800 * MS};
	double fair[MAX_TENANTS], fifo[MAX_TENANTS];

	measure("fair", &stage, fair);
	measure("fifo", &stage, fifo);
	for (unsigned t = 0; t < 3; t++) {
		assert_share(fair[t], stage.weights[t] / 700.0, &stage, 2 * MS);
		assert_share(fifo[t], 1 / 3.0, &stage, 10 * MS);
	}
}
END_TEST

START_TEST(sixteen_tenants_with_jobs_of_1_to_31_ms_get_the_same_time)
{
	struct stage stage = {.flow_count = 16, .tenants = 16, .from_ns = 500 * MS, .to_ns = 8500 * MS};
	double fair[MAX_TENANTS], fifo[MAX_TENANTS];

	for (unsigned i = 0; i < 16; i++)
		stage.flows[i] = (struct flow){i, 4, (2 * i + 1) * MS};
	measure("fair", &stage, fair);
	measure("fifo", &stage, fifo);
	ck_assert_double_ge(jain(fair, 16), 0.999);
	ck_assert_double_le(jain(fifo, 16), 0.80);
}
END_TEST

START_TEST(a_tenant_of_a_hundred_sessions_has_the_share_of_one)
{
	struct stage stage = {.flow_count = 101, .tenants = 2, .from_ns = 100 * MS, .to_ns = 500 * MS};
	double fair[MAX_TENANTS], fifo[MAX_TENANTS];

	stage.flows[0] = (struct flow){0, 1, MS};
	for (unsigned i = 1; i <= 100; i++)
		stage.flows[i] = (struct flow){1, 1, MS};
	measure("fair", &stage, fair);
	measure("fifo", &stage, fifo);
	assert_share(fair[0], 0.5, &stage, 2 * MS);
	ck_assert_double_le(fifo[0], 0.02);
}
END_TEST

/* ------------------------------------------------------------------ a session that has work all the time */

/* The part of the window in which the device has nothing to do, though the host needs 20 us to give it something. */
static double idle_part(uint64_t job_ns, unsigned max_in_flight)
{
	struct stage stage = {.flows = {{0, 8, job_ns}},
			      .flow_count = 1,
			      .tenants = 1,
			      .from_ns = 20 * job_ns,
			      .to_ns = 520 * job_ns,
			      .max_in_flight = max_in_flight};
	struct harness *harness = start("fair", &stage, "virtual");
	double busy_ns[MAX_TENANTS];

	atomic_store(&shared->host_ns, 20 * US);
	struct past past = run_stage(harness, &stage);
	add_up(&past, &stage, busy_ns);
	npu_timeline_free(past.timeline);
	stop(harness);
	return 1 - busy_ns[0] / (double)(stage.to_ns - stage.from_ns);
}

START_TEST(the_device_is_not_idle_while_a_session_has_work)
{
	double of_1_ms = idle_part(MS, 2), of_100_us = idle_part(100 * US, 2);

	ck_assert_double_le(of_1_ms, 0.01);
	ck_assert_double_le(of_100_us, 0.05);
	/* It is the second job in the hardware that does it. */
	ck_assert_double_eq_tol(idle_part(MS, 1), 20.0 / 1020, 0.001);
	ck_assert_double_eq_tol(idle_part(100 * US, 1), 20.0 / 120, 0.005);
}
END_TEST

/* ------------------------------------------------------------------ interactive beside a flood */

static int compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

/* From the arrival at npud to the end: 99 of 100 requests of tenant 0 take at most so long. */
static uint64_t latency_p99(struct harness *harness)
{
	uint64_t latencies[REQUESTS];
	struct npu_timeline_entry entry;
	struct past past = past_read(harness);
	size_t count = 0;

	for (size_t i = 0; past_next(&past, &i, &entry);)
		if (tenant_of(&entry) == 0 && count < REQUESTS)
			latencies[count++] = entry.finished_ns - entry.submitted_ns;
	npu_timeline_free(past.timeline);
	ck_assert_uint_eq(count, REQUESTS);
	qsort(latencies, REQUESTS, sizeof(*latencies), compare);
	return latencies[REQUESTS * 99 / 100];
}

static uint64_t beside_flood(const char *policy, struct flow *flood)
{
	const struct stage stage = {.tenants = 2};
	struct interactive interactive = {{0, 1, 100 * US}, flood ? 2 * flood->job_ns : 0};
	/* long enough on the host's clock for requests to arrive while a job runs */
	struct harness *harness = start(policy, &stage, "virtual=500000");
	pid_t other = 0;

	if (flood) {
		atomic_store(&shared->backlog, flood->depth);
		other = start_client(harness, run_flow, flood->tenant, flood);
	}
	client_wait(start_client(harness, run_interactive, 0, &interactive));
	if (flood)
		client_wait(other);
	uint64_t p99 = latency_p99(harness);
	stop(harness);
	return p99;
}

/* npud keeps two jobs in the hardware, or one of more than 5 ms. */
static const struct {
	struct flow flow;
	unsigned in_flight;
} floods[] = {{{1, 8, MS}, 2}, {{1, 8, 20 * MS}, 1}};

START_TEST(an_interactive_client_beside_a_flood_waits_for_what_is_in_the_hardware)
{
	struct flow flood = floods[_i].flow;
	uint64_t alone = beside_flood("fair", NULL), bound = alone + floods[_i].in_flight * (flood.job_ns + AROUND_NS);

	ck_assert_uint_ge(alone, 100 * US);
	ck_assert_uint_le(alone, 100 * US + AROUND_NS);
	uint64_t fair = beside_flood("fair", &flood), fifo = beside_flood("fifo", &flood);
	ck_assert_uint_le(fair, bound);
	/* the same flood is in the way where nobody sees to it that it is not */
	ck_assert_uint_ge(fifo, alone + (flood.depth - 1) * flood.job_ns);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shares");
	TCase *all = tcase_create("shares");

	tcase_set_timeout(all, 120);
	if (getuid() == 0) { /* only root can be several users */
		tcase_add_test(all, jobs_of_1_ms_get_as_much_time_as_jobs_of_20_ms);
		tcase_add_test(all, shares_follow_the_weights_1_2_4);
		tcase_add_test(all, sixteen_tenants_with_jobs_of_1_to_31_ms_get_the_same_time);
		tcase_add_test(all, a_tenant_of_a_hundred_sessions_has_the_share_of_one);
		tcase_add_test(all, the_device_is_not_idle_while_a_session_has_work);
		tcase_add_loop_test(all, an_interactive_client_beside_a_flood_waits_for_what_is_in_the_hardware, 0,
				    sizeof(floods) / sizeof(*floods));
	}
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
