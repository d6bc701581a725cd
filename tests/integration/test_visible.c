/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What npud does is visible: to whom it belongs, with the numbers that are true, and to nobody else. A program that
 * waits for the test holds the device, so that what is behind it stays where it is.
 */
#include <grp.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/integration/raw.h"

#define STRANGER 99u
#define RUNS 100ul

static struct npu_why why(struct npu_connection *connection, uint64_t ticket)
{
	struct npu_why answer;

	ASSERT_NPU(npu_why(connection, ticket, &answer));
	return answer;
}

/* It is in the hardware, behind what runs there. */
static void wait_running(struct npu_connection *connection, uint64_t ticket)
{
	while (why(connection, ticket).state != NPU_WHY_RUNNING)
		ASSERT_NPU(npu_ping(connection));
}

/* A gate that runs, one behind it in the hardware, and three that are queued. */
struct scene {
	struct harness *harness;
	struct npu_connection *connection;
	struct npu_job *jobs[5];
	uint64_t tickets[5];
};

static struct scene scene_start(void)
{
	struct scene scene = {.harness = harness_start(NULL)};

	scene.connection = harness_connect(scene.harness);
	for (unsigned i = 0; i < 5; i++)
		scene.jobs[i] = job_of(scene.connection, i ? program_copy(4, 1) : program_gate());
	scene.tickets[0] = submit_running(scene.connection, scene.jobs[0], 0);
	scene.tickets[1] = submit(scene.jobs[1], 0);
	wait_running(scene.connection, scene.tickets[1]);
	for (unsigned i = 2; i < 5; i++)
		scene.tickets[i] = submit(scene.jobs[i], 0);
	return scene;
}

static void scene_stop(struct scene *scene)
{
	input_of(scene->jobs[0])[0] = 1;
	for (unsigned i = 0; i < 5; i++)
		ASSERT_OUTCOME(wait_for(scene->connection, scene->tickets[i]), NPU_DONE);
	npu_disconnect(scene->connection);
	harness_stop(scene->harness);
}

/* The only session of the asking connection's process; others of the harness may be on their way out. */
static struct npu_ps_session own_row(struct npu_connection *connection)
{
	struct npu_ps_session session = {0};
	struct npu_ps *ps = NULL;
	size_t found = 0;

	ASSERT_NPU(npu_ps_read(connection, &ps));
	for (size_t i = 0; i < npu_ps_count(ps); i++) {
		struct npu_ps_session row;
		ASSERT_NPU(npu_ps_session(ps, i, &row));
		if (row.pid != (uint32_t)getpid() || row.state != NPU_SESSION_OPEN)
			continue;
		session = row;
		found++;
	}
	npu_ps_free(ps);
	ck_assert_uint_eq(found, 1);
	return session;
}

START_TEST(why_names_the_position_of_what_is_queued_exactly)
{
	struct scene scene = scene_start();

	struct npu_why answer = why(scene.connection, scene.tickets[0]);
	ck_assert_int_eq(answer.state, NPU_WHY_RUNNING);
	ck_assert_uint_eq(answer.device_ahead, 0);
	ck_assert_uint_gt(answer.running_ns, 0);
	ck_assert_uint_eq(answer.running_ns + answer.budget_left_ns, 10 * SECOND_NS);
	answer = why(scene.connection, scene.tickets[1]);
	ck_assert_int_eq(answer.state, NPU_WHY_RUNNING);
	ck_assert_uint_eq(answer.device_ahead, 1);
	for (unsigned i = 2; i < 5; i++) {
		answer = why(scene.connection, scene.tickets[i]);
		ck_assert_int_eq(answer.state, NPU_WHY_QUEUED);
		ck_assert_int_eq(answer.class_of, NPU_CLASS_NORMAL);
		ck_assert_uint_eq(answer.position, i - 2);
		ck_assert_uint_eq(answer.ahead[NPU_CLASS_NORMAL], i - 2);
		ck_assert_uint_eq(answer.ahead_own, i - 2);
		ck_assert_uint_eq(answer.ahead_others, 0);
		ck_assert_uint_eq(answer.in_flight, 2);
		ck_assert_uint_eq(answer.limits, 1u << NPU_LIMIT_IN_FLIGHT | (i > 2 ? 1u << NPU_LIMIT_ORDER : 0u));
	}
	/* the same by name, from another session of the tenant */
	struct npu_connection *other = harness_connect(scene.harness);
	struct npu_why named;
	ASSERT_NPU(npu_why_session(other, answer.session, answer.submission, &named));
	ck_assert_uint_eq(named.position, 2);
	ck_assert_int_eq(npu_why_session(other, answer.session, answer.submission + 1, &named), -ENOENT);
	npu_disconnect(other);
	scene_stop(&scene);
}
END_TEST

START_TEST(ps_tells_the_numbers_of_what_was_made)
{
	struct scene scene = scene_start();
	struct npu_ps_session row = own_row(scene.connection);

	ck_assert(row.attached);
	ck_assert_int_eq(row.state, NPU_SESSION_OPEN);
	ck_assert_uint_eq(row.uid, getuid());
	ck_assert_uint_eq(row.jobs, 5);
	ck_assert_uint_eq(row.queues, 1);
	ck_assert_uint_eq(row.load.running, 2);
	ck_assert_uint_eq(row.load.queued, 3);
	ck_assert_uint_eq(row.load.waiting, 0);
	ck_assert_uint_eq(row.completed, 0);
	ck_assert_uint_eq(row.submission_count, 5);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(row.submissions[i], why(scene.connection, scene.tickets[i]).submission);
	Npud__Stats stats = harness_stats(scene.harness);
	ck_assert_uint_eq(row.buffers, stats.buffers);
	ck_assert_uint_eq(row.buffer_bytes, stats.buffer_bytes);
	input_of(scene.jobs[0])[0] = 1;
	uint64_t device_ns = 0;
	for (unsigned i = 0; i < 5; i++)
		device_ns += wait_for(scene.connection, scene.tickets[i]).device_ns;
	row = own_row(scene.connection);
	ck_assert_uint_eq(row.load.running + row.load.queued + row.load.waiting, 0);
	ck_assert_uint_eq(row.completed, 5);
	ck_assert_uint_eq(row.device_ns, device_ns);
	ck_assert_uint_eq(row.share_permille, 1000);
	npu_disconnect(scene.connection);
	harness_stop(scene.harness);
}
END_TEST

/* ------------------------------------------------------------------ strangers */

/* Another user: sees himself, and totals. */
static int look_around(struct harness *harness, void *user)
{
	const struct npu_why *theirs = user;
	struct npu_connection *connection = NULL;
	struct npu_timeline *timeline = NULL;
	struct npu_ps *ps = NULL;
	struct npu_ps_session row;
	struct npu_load load;
	struct npu_why answer;
	uint32_t sessions = 0;

	if (setgroups(0, NULL) || setresgid(STRANGER, STRANGER, STRANGER) || setresuid(STRANGER, STRANGER, STRANGER) ||
	    npu_connect(harness->socket, &connection) || npu_ps_read(connection, &ps) ||
	    npu_timeline_read(connection, 0, &timeline))
		return 2;
	bool good = npu_ps_count(ps) == 1 && npu_ps_session(ps, 0, &row) == 0 && row.uid == STRANGER &&
		    npu_ps_total(ps, NPU_CLASS_NORMAL, &sessions, &load) == 0 && sessions >= 2 && load.running == 2 &&
		    load.queued == 3 && npu_timeline_count(timeline) == 0;
	for (uint64_t session = 1; session < 10; session++)
		good = good && npu_why_session(connection, session, theirs->submission, &answer) == -ENOENT;
	npu_timeline_free(timeline);
	npu_ps_free(ps);
	npu_disconnect(connection);
	return good ? 0 : 1;
}

START_TEST(a_stranger_sees_nothing_of_another_tenant_but_totals)
{
	struct scene scene = scene_start();
	struct npu_why theirs = why(scene.connection, scene.tickets[4]);

	if (getuid() == 0) { /* only root can be somebody else */
		ck_assert_int_eq(chmod(scene.harness->directory, 0711), 0);
		ck_assert_int_eq(chmod(scene.harness->socket, 0666), 0);
		client_wait(client_start(scene.harness, look_around, &theirs));
	}
	scene_stop(&scene);
}
END_TEST

/* ------------------------------------------------------------------ the past */

START_TEST(the_instants_of_a_hundred_runs_are_in_order)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *jobs[4];
	uint64_t tickets[RUNS], submissions = 0, last_end = 0;
	struct npu_timeline *timeline = NULL;
	struct npu_timeline_entry entry;

	for (unsigned i = 0; i < 4; i++)
		jobs[i] = job_of(connection, program_copy(64, i));
	for (unsigned i = 0; i < RUNS; i++)
		tickets[i] = submit(jobs[i % 4], 0);
	for (unsigned i = 0; i < RUNS; i++)
		ASSERT_OUTCOME(wait_for(connection, tickets[i]), NPU_DONE);
	ASSERT_NPU(npu_timeline_read(connection, 0, &timeline));
	ck_assert_uint_eq(npu_timeline_count(timeline), RUNS);
	for (unsigned i = 0; i < RUNS; i++) {
		ASSERT_NPU(npu_timeline_entry(timeline, i, &entry));
		ck_assert_uint_eq(entry.number, i + 1);
		ck_assert_int_eq(entry.outcome, NPU_DONE);
		ck_assert_uint_gt(entry.submitted_ns, 0);
		ck_assert_uint_le(entry.submitted_ns, entry.ready_ns);
		ck_assert_uint_le(entry.ready_ns, entry.scheduled_ns);
		ck_assert_uint_le(entry.scheduled_ns, entry.started_ns);
		ck_assert_uint_le(entry.started_ns, entry.finished_ns);
		/* one device runs one after the other */
		ck_assert_uint_ge(entry.started_ns, last_end);
		last_end = entry.finished_ns;
		submissions += entry.submission >> 32;
	}
	ck_assert_uint_eq(submissions, RUNS); /* each place was used once */
	npu_timeline_free(timeline);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

/* ------------------------------------------------------------------ npuctl */

/* What it printed, as JSON. */
static json_t *npuctl(struct harness *harness, const char *command, const char *argument, const char *option)
{
	const char *argv[] = {harness_program("npuctl"), command, "--socket", harness->socket, argument, option, NULL};
	char log[128], path[256];
	json_error_t error;

	ck_assert_int_gt(snprintf(log, sizeof(log), "npuctl-%s.log", command), 0);
	ck_assert_int_gt(snprintf(path, sizeof(path), "%s/%s", harness->directory, log), 0);
	int code = harness_wait(harness_spawn(harness, argv, log, NULL));
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(code == 0 && root, "npuctl %s: %d: line %d: %s", command, code, error.line, error.text);
	return root;
}

static json_int_t number_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	ck_assert_msg(json_is_integer(value), "%s is no number", key);
	return json_integer_value(value);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	ck_assert_msg(value != NULL, "%s is no text", key);
	return value;
}

/* The session that has this. */
static const json_t *row_with(const json_t *root, const char *key, const char *value)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(root, "sessions"), i, row)
	{
		if (strcmp(text_of(row, key), value) == 0)
			return row;
	}
	ck_abort_msg("no session whose %s is %s", key, value);
}

START_TEST(npuctl_ps_is_json_whatever_a_client_calls_itself)
{
	static const char name[] = "\xff\xc0\x80\"\\\n\x1b[2J\xe2\x82:</script>";
	struct harness *harness = harness_start(NULL);
	int fd = raw_connect(harness);

	raw_hello(fd, name);
	json_t *root = npuctl(harness, "ps", "--json", NULL);
	const json_t *row = row_with(root, "client",
				     "??"
				     "?\"\\??[2J??"
				     ":</script>");

	ck_assert_int_eq(number_of(row, "pid"), getpid());
	ck_assert_str_eq(text_of(row, "state"), "open");
	ck_assert_str_eq(text_of(row_with(root, "client", "npuctl"), "state"), "open");
	ck_assert_int_ge(number_of(root, "session_count"), 2);
	ck_assert_int_eq(number_of(json_object_get(json_object_get(root, "totals"), "normal"), "queued"), 0);
	json_decref(root);
	close(fd);
	harness_stop(harness);
}
END_TEST

START_TEST(npuctl_why_takes_the_name_that_ps_prints)
{
	struct scene scene = scene_start();
	json_t *root = npuctl(scene.harness, "ps", "-j", NULL);
	const json_t *rows = json_object_get(root, "sessions"), *list = NULL;

	for (size_t i = 0; json_array_size(list) == 0 && i < json_array_size(rows); i++)
		list = json_object_get(json_array_get(rows, i), "submissions");

	ck_assert_uint_eq(json_array_size(list), 5);
	json_t *answer = npuctl(scene.harness, "why", json_string_value(json_array_get(list, 4)), "-j");
	ck_assert_str_eq(text_of(answer, "state"), "queued");
	ck_assert_int_eq(number_of(answer, "position"), 2);
	ck_assert_int_eq(number_of(json_object_get(answer, "ahead"), "normal"), 2);
	ck_assert_int_eq(number_of(answer, "ahead_others"), 0);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(answer, "limits"), 0)), "order");
	json_decref(answer);
	json_decref(root);
	scene_stop(&scene);
}
END_TEST

/* How many events of the phase there are; each is in order within its track. */
static unsigned count_phase(const json_t *events, const char *phase)
{
	double last = 0;
	unsigned count = 0;
	const json_t *event;
	size_t i;

	json_array_foreach(events, i, event)
	{
		if (strcmp(text_of(event, "ph"), phase) != 0)
			continue;
		count++;
		if (*phase != 'X')
			continue;
		double begins = json_real_value(json_object_get(event, "ts"));
		double lasts = json_real_value(json_object_get(event, "dur"));
		/* microseconds with a fraction: rounded a little */
		ck_assert_msg(begins > last - 0.01 && lasts > 0, "run %u begins at %f, %f after", count, begins, last);
		last = begins + lasts;
	}
	return count;
}

START_TEST(npuctl_timeline_is_a_trace_of_every_run)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(64, 1));

	for (unsigned i = 0; i < RUNS; i++)
		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	json_t *root = npuctl(harness, "timeline", NULL, NULL);
	const json_t *events = json_object_get(root, "traceEvents");
	ck_assert_uint_eq(count_phase(events, "X"), RUNS);
	ck_assert_uint_eq(count_phase(events, "b"), RUNS);
	ck_assert_uint_eq(count_phase(events, "e"), RUNS);
	ck_assert_uint_eq(count_phase(events, "n"), 3 * RUNS);
	ck_assert_uint_eq(count_phase(events, "M"), 3); /* the NPUs, the one that there is, the session */
	ck_assert_uint_eq(json_array_size(events), 6 * RUNS + 3);
	json_decref(root);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("visible");
	TCase *all = tcase_create("visible");

	tcase_set_timeout(all, 60);
	tcase_add_test(all, why_names_the_position_of_what_is_queued_exactly);
	tcase_add_test(all, ps_tells_the_numbers_of_what_was_made);
	tcase_add_test(all, a_stranger_sees_nothing_of_another_tenant_but_totals);
	tcase_add_test(all, the_instants_of_a_hundred_runs_are_in_order);
	tcase_add_test(all, npuctl_ps_is_json_whatever_a_client_calls_itself);
	tcase_add_test(all, npuctl_why_takes_the_name_that_ps_prints);
	tcase_add_test(all, npuctl_timeline_is_a_trace_of_every_run);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
