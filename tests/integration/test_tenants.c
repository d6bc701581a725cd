/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tenants with the real programs: who gets in as whom, and that sixteen processes that race for what one tenant may
 * have get exactly that, to the last one, however often it is repeated. Only root can be somebody else: as another user
 * these tests have nothing to show.
 */
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libclient/objects.h"
#include "proto/limits.h"
#include "tests/integration/raw.h"

#define RACERS 16u
#define FIRST_USER 4242u
#define SECOND_USER 4243u
#define STRANGER 99u
#define PAGE 4096ull

/* Everybody may knock. */
static struct harness *start(const char *members)
{
	struct harness *harness = harness_start(&(struct harness_options){.members = members, .budget_ms = 300000});

	ck_assert_int_eq(chmod(harness->directory, 0711), 0);
	ck_assert_int_eq(chmod(harness->socket, 0666), 0);
	return harness;
}

static bool become(uid_t uid, gid_t group)
{
	return setgroups(group ? 1 : 0, &group) == 0 && setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0;
}

/* ------------------------------------------------------------------ what racers race for */

/* A reply; true if it is an error, which then must be the limit of the racer's tenant. */
static bool is_refused(const Npud__ServerFrame *frame, const char *limit)
{
	const Npud__Error *error = frame->reply->error;

	if (!error)
		return false;
	ck_assert_msg(error->code == NPUD__ERROR_CODE__ERROR_LIMIT && strcmp(error->limit, limit) == 0, "%s",
		      error->message);
	ck_assert_msg(strncmp(error->owner, "tenant ", 7) == 0 && strstr(error->message, error->owner), "%s",
		      error->message);
	ck_assert_uint_le(error->used, error->maximum);
	return true;
}

/* One request: whether it was granted. `out` is what the reply names. */
static bool granted(int fd, Npud__Request *request, int memory, const char *limit, uint64_t *out)
{
	Npud__ServerFrame *frame = raw_call(fd, request, memory);
	bool good = !is_refused(frame, limit);

	if (good && frame->reply->body_case == NPUD__REPLY__BODY_BUFFER_INFO)
		*out = frame->reply->buffer_info->handle;
	else if (good && frame->reply->body_case == NPUD__REPLY__BODY_JOB_INFO)
		*out = frame->reply->job_info->job;
	raw_free(frame);
	return good;
}

static bool import(int fd, int memory, uint64_t bytes, const char *limit, uint64_t *handle)
{
	Npud__BufferImport body = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	body.bytes = bytes;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &body;
	return granted(fd, &request, memory, limit, handle);
}

static bool begin_job(int fd, const char *limit, uint64_t *job)
{
	Npud__JobBegin body = NPUD__JOB_BEGIN__INIT;
	Npud__JobV3 v3 = NPUD__JOB_V3__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	v3.group_count = v3.bss_count = 1;
	body.generation_case = NPUD__JOB_BEGIN__GENERATION_V3;
	body.v3 = &v3;
	request.body_case = NPUD__REQUEST__BODY_JOB_BEGIN;
	request.job_begin = &body;
	return granted(fd, &request, -1, limit, job);
}

static bool describe_job(int fd, uint64_t job, uint64_t buffer)
{
	Npud__JobGroups body = NPUD__JOB_GROUPS__INIT;
	Npud__Group group = NPUD__GROUP__INIT, *groups[] = {&group};
	Npud__BufferRef text = NPUD__BUFFER_REF__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	uint64_t ignored;

	text.handle = buffer;
	group.text = &text;
	body.job = job;
	body.n_groups = 1;
	body.groups = groups;
	request.body_case = NPUD__REQUEST__BODY_JOB_GROUPS;
	request.job_groups = &body;
	return granted(fd, &request, -1, "job_bytes", &ignored);
}

static bool commit_job(int fd, uint64_t job, const char *limit)
{
	Npud__JobCommit body = NPUD__JOB_COMMIT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	uint64_t ignored;

	body.job = job;
	request.body_case = NPUD__REQUEST__BODY_JOB_COMMIT;
	request.job_commit = &body;
	return granted(fd, &request, -1, limit, &ignored);
}

static bool submit_raw(int fd, uint64_t job, const char *limit)
{
	Npud__JobSubmit body = NPUD__JOB_SUBMIT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	uint64_t ignored;

	body.job = job;
	request.body_case = NPUD__REQUEST__BODY_JOB_SUBMIT;
	request.job_submit = &body;
	return granted(fd, &request, -1, limit, &ignored);
}

/* A connection that said Hello, or -1: its tenant has no more. */
static int enter(const struct harness *harness, const char *limit)
{
	Npud__Hello hello = NPUD__HELLO__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	uint64_t ignored;
	int fd = raw_connect(harness);

	hello.major = NPUD_PROTOCOL_MAJOR;
	hello.minor = NPUD_PROTOCOL_MINOR;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &hello;
	if (granted(fd, &request, -1, limit, &ignored))
		return fd;
	close(fd);
	return -1;
}

/* Sealed and populated. */
static int make_memory(uint64_t bytes)
{
	int fd = -1;

	ASSERT_NPU(npu_memfd_create(bytes, &fd));
	ck_assert_int_eq(posix_fallocate(fd, 0, (off_t)bytes), 0);
	ASSERT_NPU(npu_memfd_seal(fd, false));
	return fd;
}

/* ------------------------------------------------------------------ racers: each returns how much it got */

static uint64_t grab_buffers(const struct harness *harness)
{
	int fd = raw_open(harness), memory = make_memory(PAGE);
	uint64_t handle, count = 0;

	while (import(fd, memory, PAGE, "buffers", &handle))
		count++;
	return count;
}

static uint64_t grab_bytes(const struct harness *harness)
{
	int fd = raw_open(harness), memory = make_memory(16 * PAGE);
	uint64_t handle, bytes = 0;

	/* large pieces while there is room, then whatever fits between */
	for (uint64_t piece = 16 * PAGE; piece >= PAGE; piece /= 2)
		while (import(fd, memory, piece, "buffer_bytes", &handle))
			bytes += piece;
	return bytes;
}

static uint64_t grab_jobs(const struct harness *harness)
{
	int fd = raw_open(harness);
	uint64_t job, count = 0;

	while (begin_job(fd, "jobs", &job))
		count++;
	return count;
}

/* What one takes of the daemon's memory is the daemon's business, and the same for each. */
static uint64_t grab_descriptions(const struct harness *harness)
{
	int fd = raw_open(harness);
	uint64_t job, count = 0;

	while (begin_job(fd, "job_bytes", &job))
		count++;
	return count;
}

static uint64_t grab_tcb_bytes(const struct harness *harness)
{
	int fd = raw_open(harness), memory = make_memory(PAGE);
	uint64_t buffer = 0, job = 0, count = 0;

	ck_assert(import(fd, memory, PAGE, "", &buffer));
	for (;; count++)
		if (!begin_job(fd, "", &job) || !describe_job(fd, job, buffer) || !commit_job(fd, job, "tcb_bytes"))
			return count * PAGE;
}

/* What is submitted waits: somebody else keeps the device. */
static uint64_t grab_queued(const struct harness *harness)
{
	int fd = raw_open(harness), memory = make_memory(PAGE);
	uint64_t buffer = 0, job = 0, count = 0;

	ck_assert(import(fd, memory, PAGE, "", &buffer) && begin_job(fd, "", &job) && describe_job(fd, job, buffer) &&
		  commit_job(fd, job, ""));
	while (submit_raw(fd, job, "queued"))
		count++;
	return count;
}

static uint64_t grab_sessions(const struct harness *harness)
{
	uint64_t count = 0;

	while (enter(harness, "sessions") >= 0)
		count++;
	return count;
}

/* Two for the connection, if it gets them, then one for each buffer. */
static uint64_t grab_fds(const struct harness *harness)
{
	int fd = enter(harness, "fds"), memory = make_memory(PAGE);
	uint64_t handle, count = 2;

	if (fd < 0)
		return 0;
	while (import(fd, memory, PAGE, "fds", &handle))
		count++;
	return count;
}

static const struct prize {
	const char *limit;
	uint64_t maximum;
	uint64_t squatted; /* what a connection of the tenant that does nothing has of it */
	uint64_t (*grab)(const struct harness *harness);
} prizes[] = {{"buffers", 101, 0, grab_buffers}, {"buffer_bytes", 333 * PAGE, 0, grab_bytes},
	      {"jobs", 101, 0, grab_jobs},       {"tcb_bytes", 53 * PAGE, 0, grab_tcb_bytes},
	      {"queued", 101, 0, grab_queued},   {"sessions", 37, 1, grab_sessions},
	      {"fds", 101, 2, grab_fds}};

#define PRIZES ((int)(sizeof(prizes) / sizeof(prizes[0])))

/* ------------------------------------------------------------------ the race */

struct race {
	const struct prize *prize;
	int start[2]; /* its end is the signal to start */
	int stop[2]; /* its end is the signal to go, should the test have died */
	int report[2][2]; /* of each tenant */
	pid_t racers[RACERS];
	unsigned count;
};

struct racer {
	const struct race *race;
	unsigned tenant;
};

static void await_end(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
}

static int run_racer(struct harness *harness, void *user)
{
	const struct racer *racer = user;
	const struct race *race = racer->race;

	close(race->start[1]);
	close(race->stop[1]);
	if (!become(racer->tenant ? SECOND_USER : FIRST_USER, 0))
		return 2;
	await_end(race->start[0]);
	uint64_t got = race->prize->grab(harness);
	if (write(race->report[racer->tenant][1], &got, sizeof(got)) != sizeof(got))
		return 3;
	for (unsigned t = 0; t < 2; t++)
		close(race->report[t][1]); /* once all have reported or died, the reports have an end */
	await_end(race->stop[0]);
	return 0;
}

/* `count` processes, of `tenants` tenants in turn. What each tenant got goes to `sums`; they hold it. */
static void race_start(struct race *race, struct harness *harness, const struct prize *prize, unsigned count,
		       unsigned tenants)
{
	*race = (struct race){.prize = prize, .count = count};
	ck_assert_int_eq(pipe2(race->start, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(race->stop, O_CLOEXEC), 0);
	for (unsigned t = 0; t < 2; t++)
		ck_assert_int_eq(pipe2(race->report[t], O_CLOEXEC), 0);
	for (unsigned i = 0; i < count; i++) {
		struct racer racer = {race, i % tenants};
		race->racers[i] = client_start(harness, run_racer, &racer);
	}
	for (unsigned t = 0; t < 2; t++)
		close(race->report[t][1]);
	close(race->start[1]);
}

static uint64_t race_sum(const struct race *race, unsigned tenant, unsigned count)
{
	uint64_t got, sum = 0;

	for (unsigned i = 0; i < count; i++) {
		ck_assert_int_eq(read(race->report[tenant][0], &got, sizeof(got)), (int)sizeof(got));
		sum += got;
	}
	return sum;
}

/* They die without a word. */
static void race_stop(struct race *race)
{
	for (unsigned i = 0; i < race->count; i++) {
		ck_assert_int_eq(kill(race->racers[i], SIGKILL), 0);
		ck_assert_int_eq(harness_wait(race->racers[i]), 128 + SIGKILL);
	}
	close(race->start[0]);
	close(race->stop[0]);
	close(race->stop[1]);
	for (unsigned t = 0; t < 2; t++)
		close(race->report[t][0]);
}

/*
 * A daemon with the limit for each tenant, a program of root's that keeps the device, and an idle connection of the
 * first tenant: a tenant without any would be forgotten, and with it what did not come back.
 */
struct course {
	struct harness *harness;
	int squatter;
	struct npu_connection *keeper;
	uint64_t ticket;
};

/* A connection is whose it was when it was made. */
static int raw_open_user(const struct harness *harness, uid_t uid)
{
	ck_assert_int_eq(seteuid(uid), 0);
	int fd = raw_open(harness);
	ck_assert_int_eq(seteuid(0), 0);
	return fd;
}

static struct course course_start(const struct prize *prize)
{
	static char members[256];
	struct course course;

	(void)snprintf(members, sizeof(members),
		       ",\"tenants\":[{\"name\":\"racers\",\"match\":{\"users\":[%u,%u]},\"limits\":{\"%s\":%lu}}]",
		       FIRST_USER, SECOND_USER, prize->limit, (unsigned long)prize->maximum);
	course.harness = start(members);
	course.keeper = harness_connect(course.harness);
	course.squatter = raw_open_user(course.harness, FIRST_USER);
	course.ticket = submit_running(course.keeper, job_of(course.keeper, program_spin()), 0);
	return course;
}

static void course_stop(struct course *course)
{
	ck_assert_int_eq(npu_cancel(course->keeper, course->ticket), NPU_CANCEL_RUNNING);
	ASSERT_OUTCOME(wait_for(course->keeper, course->ticket), NPU_CANCELLED);
	npu_disconnect(course->keeper);
	close(course->squatter);
	harness_stop(course->harness);
}

/* Sessions of the dead go in their own time; those of keeper, squatter and of who asks stay. */
static void wait_until_gone(struct harness *harness)
{
	Npud__Stats stats = harness_stats(harness);

	while (stats.sessions > harness->before.sessions + 2)
		stats = harness_stats(harness);
}

START_TEST(sixteen_racing_processes_get_what_their_tenant_may_have_and_no_more)
{
	const struct prize *prize = &prizes[_i];
	struct race race;

	struct course course = course_start(prize);
	/* the second and third time: all of it came back; alone: one gets what sixteen get */
	for (unsigned round = 0; round < 3; round++) {
		unsigned racers = round == 2 ? 1 : RACERS;
		race_start(&race, course.harness, prize, racers, 1);
		ck_assert_uint_eq(race_sum(&race, 0, racers), prize->maximum - prize->squatted);
		race_stop(&race);
		wait_until_gone(course.harness);
	}
	course_stop(&course);
}
END_TEST

START_TEST(sixteen_racing_processes_get_as_many_descriptions_as_one)
{
	static const struct prize prize = {"job_bytes", 65536, 0, grab_descriptions};
	struct course course = course_start(&prize);
	struct race race;
	uint64_t got[2];

	for (unsigned round = 0; round < 2; round++) {
		unsigned racers = round ? 1 : RACERS;
		race_start(&race, course.harness, &prize, racers, 1);
		got[round] = race_sum(&race, 0, racers);
		race_stop(&race);
		wait_until_gone(course.harness);
	}
	ck_assert_uint_gt(got[1], RACERS);
	ck_assert_uint_eq(got[0], got[1]);
	course_stop(&course);
}
END_TEST

START_TEST(two_tenants_that_race_do_not_touch_each_others_share)
{
	const struct prize *prize = &prizes[_i];
	struct race race;

	struct course course = course_start(prize);
	race_start(&race, course.harness, prize, RACERS, 2);
	ck_assert_uint_eq(race_sum(&race, 0, RACERS / 2), prize->maximum - prize->squatted);
	ck_assert_uint_eq(race_sum(&race, 1, RACERS / 2), prize->maximum);
	race_stop(&race);
	course_stop(&course);
}
END_TEST

START_TEST(the_descriptors_that_are_charged_are_those_that_are_open)
{
	const struct prize *prize = &prizes[PRIZES - 1];
	struct race race;

	ck_assert_str_eq(prize->limit, "fds");
	struct course course = course_start(prize);
	uint64_t before = harness_stats(course.harness).open_fds;
	race_start(&race, course.harness, prize, 1, 1);
	uint64_t got = race_sum(&race, 0, 1);
	ck_assert_uint_eq(harness_stats(course.harness).open_fds, before + got);
	race_stop(&race);
	course_stop(&course);
}
END_TEST

/* ------------------------------------------------------------------ who gets in */

struct visitor {
	uid_t uid;
	gid_t group;
	uid_t later; /* whom he becomes between connecting and Hello */
	const char *cgroup;
	bool welcome;
};

static int visit(struct harness *harness, void *user)
{
	const struct visitor *visitor = user;
	Npud__Hello hello = NPUD__HELLO__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	if (visitor->group ? setgroups(1, &visitor->group) : setgroups(0, NULL))
		return 2;
	if (setresuid(visitor->uid, visitor->uid, 0))
		return 3;
	int fd = raw_connect(harness);
	if (visitor->later && (setresuid(0, 0, 0) || setresuid(visitor->later, visitor->later, visitor->later)))
		return 4;
	hello.major = NPUD_PROTOCOL_MAJOR;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &hello;
	Npud__ServerFrame *frame = raw_call(fd, &request, -1);
	const Npud__Error *error = frame->reply->error;
	if (visitor->welcome)
		return error ? 5 : 0;
	if (!error || error->code != NPUD__ERROR_CODE__ERROR_PERMISSION || !strstr(error->message, "is in no tenant"))
		return 6;
	/* and the connection ends */
	return raw_receive(fd) == NULL ? 0 : 7;
}

START_TEST(who_is_unknown_is_refused_by_what_the_kernel_said_when_he_connected)
{
	static struct visitor visitors[] = {
	    {.uid = FIRST_USER, .welcome = true},
	    {.uid = STRANGER},
	    {.uid = STRANGER, .group = SECOND_USER, .welcome = true},
	    {.uid = FIRST_USER, .later = STRANGER, .welcome = true},
	    {.uid = STRANGER, .later = FIRST_USER},
	    {.uid = 0, .later = STRANGER, .welcome = true},
	    {.uid = STRANGER, .later = 0},
	};
	char members[256];

	(void)snprintf(members, sizeof(members),
		       ",\"unknown\":\"refuse\",\"tenants\":[{\"name\":\"known\",\"match\":{\"users\":[%u],"
		       "\"groups\":[%u]}}]",
		       FIRST_USER, SECOND_USER);
	struct harness *harness = start(members);
	for (size_t i = 0; i < sizeof(visitors) / sizeof(*visitors); i++)
		client_wait(client_start(harness, visit, &visitors[i]));
	harness_stop(harness);
}
END_TEST

/* The library says the same. */
static int connect_as_stranger(struct harness *harness, void *user)
{
	struct npu_connection *connection = NULL;

	(void)user;
	if (!become(STRANGER, 0) || npu_connect(harness->socket, &connection) != -EACCES)
		return 1;
	return strstr(npu_error(), "is in no tenant") && strstr(npu_error(), "npud.json") ? 0 : 2;
}

START_TEST(the_library_tells_who_is_refused_what_to_do)
{
	struct harness *harness = start(",\"unknown\":\"refuse\"");
	client_wait(client_start(harness, connect_as_stranger, NULL));
	harness_stop(harness);
}
END_TEST

static int submit_without_right(struct harness *harness, void *user)
{
	struct npu_connection *connection = NULL;
	struct npu_result result = {0};
	uint64_t ticket = 0;

	(void)user;
	if (!become(STRANGER, 0) || npu_connect(harness->socket, &connection))
		return 1;
	struct npu_job *job = job_of(connection, program_noop());
	int rc = npu_job_submit(job, NULL, &ticket);
	if (rc == 0)
		rc = npu_wait(connection, ticket, PATIENCE_NS, &result);
	bool good = rc == -EACCES && strstr(npu_error(), "needs the right \"submit\"");
	npu_disconnect(connection);
	return good ? 0 : 2;
}

START_TEST(a_tenant_without_the_right_may_prepare_jobs_but_not_run_them)
{
	struct harness *harness = start(",\"default_tenant\":{\"rights\":[\"import\"]}");
	client_wait(client_start(harness, submit_without_right, NULL));
	harness_stop(harness);
}
END_TEST

/* ------------------------------------------------------------------ cgroups */

static pid_t owner; /* whose cgroups they are */
static const char *const cgroups[] = {"", "/service", "/service/inner", "/service2"};

#define CGROUPS ((int)(sizeof(cgroups) / sizeof(cgroups[0])))

/* One of ours, below a mount that nobody else sees. */
static void cgroup_path(const struct harness *harness, const char *name, const char *file, char path[256])
{
	(void)snprintf(path, 256, "%s/cgroups/npud-test-%d%s%s", harness->directory, owner, name, file);
}

/* Version 2, mounted for this test alone, with our cgroups in it; false where there is none to be had. */
static bool cgroups_make(const struct harness *harness)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/cgroups", harness->directory);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	bool good = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		    mount("none", path, "cgroup2", 0, NULL) == 0;
	for (int i = 0; good && i < CGROUPS; i++) {
		cgroup_path(harness, cgroups[i], "", path);
		good = mkdir(path, 0755) == 0;
	}
	return good;
}

/* They are the host's: none is left, whatever the test has found. */
static void cgroups_remove(const struct harness *harness)
{
	char path[256];

	for (int i = CGROUPS; i-- > 0;) {
		cgroup_path(harness, cgroups[i], "", path);
		(void)rmdir(path);
	}
	(void)snprintf(path, sizeof(path), "%s/cgroups", harness->directory);
	(void)umount(path);
	(void)rmdir(path);
}

static int visit_from_cgroup(struct harness *harness, void *user)
{
	const struct visitor *visitor = user;
	char path[256];

	if (!visitor->cgroup)
		return visit(harness, user);
	cgroup_path(harness, visitor->cgroup, "/cgroup.procs", path);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return 8;
	close(fd);
	return visit(harness, user);
}

START_TEST(a_service_is_known_by_its_cgroup)
{
	static struct visitor visitors[] = {{.uid = STRANGER, .cgroup = "/service", .welcome = true},
					    {.uid = STRANGER, .cgroup = "/service/inner", .welcome = true},
					    {.uid = STRANGER, .cgroup = "/service2"},
					    {.uid = STRANGER}};
	int codes[4] = {0};
	char members[256];

	owner = getpid();
	(void)snprintf(members, sizeof(members),
		       ",\"unknown\":\"refuse\",\"tenants\":[{\"name\":\"service\","
		       "\"match\":{\"cgroups\":[\"/npud-test-%d/service\"]}}]",
		       owner);
	struct harness *harness = start(members);
	bool have = cgroups_make(harness);
	for (size_t i = 0; have && i < 4; i++)
		codes[i] = harness_wait(client_start(harness, visit_from_cgroup, &visitors[i]));
	cgroups_remove(harness);
	for (size_t i = 0; i < 4; i++)
		ck_assert_msg(codes[i] == 0, "visitor %zu ended with %d", i, codes[i]);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tenants");
	TCase *all = tcase_create("tenants");

	tcase_set_timeout(all, 120);
	if (getuid() == 0) { /* only root can be several users */
		tcase_add_loop_test(all, sixteen_racing_processes_get_what_their_tenant_may_have_and_no_more, 0,
				    PRIZES);
		tcase_add_test(all, sixteen_racing_processes_get_as_many_descriptions_as_one);
		tcase_add_loop_test(all, two_tenants_that_race_do_not_touch_each_others_share, 0, PRIZES);
		tcase_add_test(all, the_descriptors_that_are_charged_are_those_that_are_open);
		tcase_add_test(all, who_is_unknown_is_refused_by_what_the_kernel_said_when_he_connected);
		tcase_add_test(all, the_library_tells_who_is_refused_what_to_do);
		tcase_add_test(all, a_tenant_without_the_right_may_prepare_jobs_but_not_run_them);
		tcase_add_test(all, a_service_is_known_by_its_cgroup);
	}
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
