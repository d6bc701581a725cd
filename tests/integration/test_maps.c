/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No message and no descriptor of one session changes what another has mapped: shown by the table that npud gives to
 * who has the right. And who that is, and that the table is complete while sessions come and go.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/falloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libclient/objects.h"
#include "tests/integration/harness.h"
#include "tests/integration/raw.h"

#define SHARED_BYTES (1u << 20)
#define HANDLE(index) (1ull << 32 | (index))
#define OUTSIDER 4242u /* a user and a group that are nobody's */

/* The right for whoever runs this, root or not. */
static const char *members(void)
{
	static char text[128];

	(void)snprintf(text, sizeof(text), ",\"rights\":{\"maps\":{\"users\":[%u],\"groups\":[%u]}}", getuid(),
		       OUTSIDER);
	return text;
}

static struct harness *start(void)
{
	return harness_start(&(struct harness_options){.members = members()});
}

/* ------------------------------------------------------------------ tables */

struct table {
	struct npu_map maps[1024];
	size_t count;
	struct npu_maps_session session; /* the last one */
};

static struct table *read_table(struct npu_connection *observer, uint64_t session)
{
	struct table *table = calloc(1, sizeof(*table));
	struct npu_maps *maps = NULL;

	ck_assert_ptr_nonnull(table);
	ASSERT_NPU(npu_maps_read(observer, session, &maps));
	table->count = npu_maps_count(maps);
	ck_assert_uint_le(table->count, 1024);
	for (size_t i = 0; i < table->count; i++)
		ASSERT_NPU(npu_maps_entry(maps, i, &table->maps[i]));
	ASSERT_NPU(npu_maps_session(maps, npu_maps_session_count(maps) - 1, &table->session));
	npu_maps_free(maps);
	return table;
}

static bool same_map(const struct npu_map *a, const struct npu_map *b, bool state_too)
{
	return a->session == b->session && a->iova == b->iova && a->bytes == b->bytes && a->kind == b->kind &&
	       a->readable == b->readable && a->writable == b->writable && (!state_too || a->state == b->state);
}

/* What of an arena is told as one depends on what of it is live. */
static struct table without_states(const struct table *table)
{
	struct table merged = {.session = table->session};

	for (size_t i = 0; i < table->count; i++) {
		const struct npu_map *map = &table->maps[i];
		struct npu_map *last = merged.count ? &merged.maps[merged.count - 1] : NULL;
		if (last && last->kind == NPU_MAP_ARENA && map->kind == NPU_MAP_ARENA &&
		    last->iova + last->bytes == map->iova)
			last->bytes += map->bytes;
		else
			merged.maps[merged.count++] = *map;
	}
	return merged;
}

static void assert_same_maps(const struct table *before, const struct table *now, bool state_too, const char *what)
{
	ck_assert_msg(now->count == before->count, "%s: %zu mappings, %zu before", what, now->count, before->count);
	for (size_t i = 0; i < now->count; i++)
		ck_assert_msg(same_map(&before->maps[i], &now->maps[i], state_too), "%s: mapping %zu differs", what, i);
}

static void assert_same(const struct table *before, const struct table *now, bool state_too, const char *what)
{
	const struct table then_merged = without_states(before), now_merged = without_states(now);

	if (state_too)
		assert_same_maps(before, now, true, what);
	else
		assert_same_maps(&then_merged, &now_merged, false, what);
	ck_assert_uint_eq(now->session.uid, before->session.uid);
	ck_assert_uint_eq(now->session.pid, before->session.pid);
	ck_assert_uint_eq(now->session.slot, before->session.slot);
	ck_assert_uint_eq(now->session.map_bytes, before->session.map_bytes);
}

/* ------------------------------------------------------------------ a victim, an observer and somebody hostile */

struct scene {
	struct harness *harness;
	struct npu_connection *observer;
	struct npu_connection *victim;
	struct npu_job *job;
	uint64_t session; /* the victim's */
	int shared; /* memory that both have mapped */
	int hostile;
	struct table *before;
};

static uint64_t import_raw(int fd, int memory, uint64_t offset, uint64_t bytes, uint64_t align)
{
	Npud__BufferImport import = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	import.offset = offset;
	import.bytes = bytes;
	import.align = align;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &import;
	Npud__ServerFrame *frame = raw_call(fd, &request, memory);
	uint64_t handle = frame->reply->error ? 0 : frame->reply->buffer_info->handle;
	raw_free(frame);
	return handle;
}

static int shared_memory(void)
{
	int fd = -1;

	ASSERT_NPU(npu_memfd_create(SHARED_BYTES, &fd));
	ck_assert_int_eq(posix_fallocate(fd, 0, SHARED_BYTES), 0);
	ASSERT_NPU(npu_memfd_seal(fd, false));
	return fd;
}

/* The victim has a job that has run, so that its memory is live, and memory that the hostile one knows, too. */
static struct scene scene_start(void)
{
	Npud__BufferImport import = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct scene scene = {.harness = start(), .shared = shared_memory()};
	struct npu_reply reply;

	scene.observer = harness_connect(scene.harness);
	scene.victim = harness_connect(scene.harness);
	struct table *all = read_table(scene.observer, 0);
	scene.session = all->session.session;
	free(all);
	scene.job = job_of(scene.victim, program_copy(64, 5));
	import.bytes = SHARED_BYTES;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &import;
	ASSERT_NPU(
	    npu_link_call(scene.victim, &request, scene.shared, NPUD__REPLY__BODY_BUFFER_INFO, &reply, "import"));
	ASSERT_OUTCOME(run(scene.victim, scene.job), NPU_DONE);
	scene.hostile = raw_open(scene.harness);
	scene.before = read_table(scene.observer, scene.session);
	ck_assert_uint_eq(scene.before->count, 5); /* arena (live and not), weights, tensors, the shared memory */
	ck_assert_uint_eq(scene.before->session.live_count, 3);
	return scene;
}

static void expect_same(struct scene *scene, bool state_too, const char *what)
{
	struct table *now = read_table(scene->observer, scene->session);

	assert_same(scene->before, now, state_too, what);
	free(now);
}

static void scene_stop(struct scene *scene)
{
	/* and it works as before */
	input_of(scene->job)[0] = 7;
	ASSERT_OUTCOME(run(scene->victim, scene->job), NPU_DONE);
	ck_assert_uint_eq(output_of(scene->job)[0], 12);
	expect_same(scene, true, "the victim's own run");
	free(scene->before);
	close(scene->hostile);
	close(scene->shared);
	npu_disconnect(scene->victim);
	npu_disconnect(scene->observer);
	harness_stop(scene->harness);
}

/* One request on the hostile connection; its error code, 0 if it was done. */
static Npud__ErrorCode tries(struct scene *scene, Npud__Request__BodyCase which, void *body, int memory)
{
	Npud__Request request = NPUD__REQUEST__INIT;

	request.body_case = which;
	request.hello = body; /* every member of the union is a pointer to a message */
	Npud__ServerFrame *frame = raw_call(scene->hostile, &request, memory);
	Npud__ErrorCode code = frame->reply->error ? frame->reply->error->code : 0;
	raw_free(frame);
	return code;
}

static void expect_nothing_there(Npud__ErrorCode code)
{
	ck_assert_int_eq(code, NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
}

/* Every verb that takes a name, with the victim's: the hostile session has nothing of that name. */
static void foreign_names(struct scene *scene, uint64_t handle)
{
	Npud__BufferRelease release = {PROTOBUF_C_MESSAGE_INIT(&npud__buffer_release__descriptor), handle};
	Npud__JobCommit commit = {PROTOBUF_C_MESSAGE_INIT(&npud__job_commit__descriptor), handle};
	Npud__JobDestroy destroy = {PROTOBUF_C_MESSAGE_INIT(&npud__job_destroy__descriptor), handle};
	Npud__JobGroups groups = NPUD__JOB_GROUPS__INIT;
	Npud__JobSubmit submission = NPUD__JOB_SUBMIT__INIT;
	Npud__JobCancel cancel = NPUD__JOB_CANCEL__INIT;

	groups.job = submission.job = cancel.submission = handle;
	groups.uses = &handle;
	groups.n_uses = 1;
	expect_nothing_there(tries(scene, NPUD__REQUEST__BODY_BUFFER_RELEASE, &release, -1));
	expect_nothing_there(tries(scene, NPUD__REQUEST__BODY_JOB_GROUPS, &groups, -1));
	expect_nothing_there(tries(scene, NPUD__REQUEST__BODY_JOB_COMMIT, &commit, -1));
	expect_nothing_there(tries(scene, NPUD__REQUEST__BODY_JOB_SUBMIT, &submission, -1));
	expect_nothing_there(tries(scene, NPUD__REQUEST__BODY_JOB_DESTROY, &destroy, -1));
	ck_assert_int_eq(tries(scene, NPUD__REQUEST__BODY_JOB_CANCEL, &cancel, -1), 0); /* never an error */
}

START_TEST(names_of_another_session_change_nothing)
{
	struct scene scene = scene_start();

	for (uint64_t index = 0; index < 8; index++)
		for (uint64_t generation = 0; generation < 3; generation++)
			foreign_names(&scene, generation << 32 | index);
	for (size_t i = 0; i < scene.before->count; i++)
		foreign_names(&scene, scene.before->maps[i].iova); /* an address is no name */
	expect_same(&scene, true, "foreign names");
	scene_stop(&scene);
}
END_TEST

static uint64_t begin_job(struct scene *scene, Npud__JobBegin *begin)
{
	Npud__Request request = NPUD__REQUEST__INIT;

	request.body_case = NPUD__REQUEST__BODY_JOB_BEGIN;
	request.job_begin = begin;
	Npud__ServerFrame *frame = raw_call(scene->hostile, &request, -1);
	ck_assert_ptr_null(frame->reply->error);
	uint64_t job = frame->reply->job_info->job;
	raw_free(frame);
	return job;
}

/* An open job of the hostile session that names the victim's buffers, and one that was destroyed. */
START_TEST(jobs_over_another_sessions_memory_change_nothing)
{
	struct scene scene = scene_start();
	Npud__BufferRef ref = NPUD__BUFFER_REF__INIT, *uses[] = {&ref};
	Npud__JobV3 v3 = NPUD__JOB_V3__INIT;
	Npud__JobBegin begin = NPUD__JOB_BEGIN__INIT;
	Npud__JobDestroy destroy = NPUD__JOB_DESTROY__INIT;
	Npud__JobSubmit submission = NPUD__JOB_SUBMIT__INIT;

	begin.generation_case = NPUD__JOB_BEGIN__GENERATION_V3;
	begin.v3 = &v3;
	v3.group_count = v3.bss_count = 1;
	v3.uses = uses;
	for (uint64_t index = 1; index < 8; index++) {
		v3.n_uses = 1;
		ref.handle = HANDLE(index);
		expect_nothing_there(tries(&scene, NPUD__REQUEST__BODY_JOB_BEGIN, &begin, -1));
		v3.n_uses = 0;
		destroy.job = submission.job = begin_job(&scene, &begin);
		ck_assert_int_eq(tries(&scene, NPUD__REQUEST__BODY_JOB_DESTROY, &destroy, -1), 0);
		expect_nothing_there(tries(&scene, NPUD__REQUEST__BODY_JOB_SUBMIT, &submission, -1));
		expect_nothing_there(tries(&scene, NPUD__REQUEST__BODY_JOB_DESTROY, &destroy, -1));
	}
	expect_same(&scene, true, "jobs");
	scene_stop(&scene);
}
END_TEST

/* A client chooses no address; whatever it asks for is in a window that is not attached together with the victim's. */
START_TEST(imports_of_the_same_memory_and_their_release_change_nothing)
{
	struct scene scene = scene_start();
	uint64_t handles[16];

	for (size_t i = 0; i < scene.before->count; i++) {
		/* the victim's addresses as offset and as alignment */
		uint64_t iova = scene.before->maps[i].iova;
		ck_assert_uint_eq(import_raw(scene.hostile, scene.shared, iova, 4096, 0), 0);
		ck_assert_uint_eq(import_raw(scene.hostile, scene.shared, 0, 4096, iova | 1), 0);
		ck_assert_uint_eq(import_raw(scene.hostile, scene.shared, UINT64_MAX & ~4095ull, 8192, 0), 0);
	}
	for (unsigned i = 0; i < 16; i++) {
		handles[i] = import_raw(scene.hostile, scene.shared, i * 4096ull, SHARED_BYTES / 2, 4096u << (i % 8));
		ck_assert_uint_ne(handles[i], 0);
	}
	struct table *all = read_table(scene.observer, 0);
	for (size_t i = 0; i < all->count; i++) {
		const struct npu_map *map = &all->maps[i];
		ck_assert(map->session == scene.session || map->iova >> 32 != scene.before->session.slot);
	}
	free(all);
	expect_same(&scene, true, "imports");
	for (unsigned i = 0; i < 16; i++) {
		Npud__BufferRelease release = NPUD__BUFFER_RELEASE__INIT;
		release.handle = handles[i];
		ck_assert_int_eq(tries(&scene, NPUD__REQUEST__BODY_BUFFER_RELEASE, &release, -1), 0);
		expect_nothing_there(tries(&scene, NPUD__REQUEST__BODY_BUFFER_RELEASE, &release, -1));
	}
	expect_same(&scene, true, "releases");
	scene_stop(&scene);
}
END_TEST

/* Whoever holds the memory may empty it, never take it away: it is sealed, and npud has a descriptor of its own. */
START_TEST(what_is_done_to_the_memory_itself_changes_no_table)
{
	struct scene scene = scene_start();

	ck_assert_int_eq(ftruncate(scene.shared, 0), -1);
	ck_assert_int_eq(ftruncate(scene.shared, SHARED_BYTES / 2), -1);
	ck_assert_int_eq(fallocate(scene.shared, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SHARED_BYTES), 0);
	ck_assert_int_eq(fallocate(scene.shared, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -1);
	expect_same(&scene, true, "truncation");
	/* punched is not populated: nobody imports that again */
	ck_assert_uint_eq(import_raw(scene.hostile, scene.shared, 0, SHARED_BYTES, 0), 0);
	close(scene.shared);
	scene.shared = -1;
	expect_same(&scene, true, "a closed descriptor");
	scene.shared = open("/dev/null", O_RDONLY | O_CLOEXEC); /* for scene_stop() */
	scene_stop(&scene);
}
END_TEST

START_TEST(connections_that_break_the_rules_change_nothing)
{
	static const uint8_t garbage[] = {0xff, 0xff, 0xff, 0xff, 0x07, 0x00};
	struct scene scene = scene_start();

	for (unsigned i = 0; i < 32; i++) {
		int fds[] = {scene.shared, scene.shared, scene.shared, scene.shared, scene.shared};
		int fd = i % 2 ? raw_open(scene.harness) : raw_connect(scene.harness);
		if (i % 2)
			(void)import_raw(fd, scene.shared, 0, 4096, 0);
		(void)raw_send_bytes(fd, garbage, sizeof(garbage), fds, i % 6);
		if (i % 3)
			raw_free(raw_receive(fd));
		close(fd);
	}
	expect_same(&scene, true, "broken connections");
	scene_stop(&scene);
}
END_TEST

/* Code on the NPU, at the victim's addresses: it gets the device, so the victim's memory leaves it; nothing else. */
START_TEST(programs_at_another_sessions_addresses_change_nothing)
{
	struct scene scene = scene_start();
	struct npu_connection *thief = harness_connect(scene.harness);
	struct npu_job *poke = job_of(thief, program_poke());

	scene.harness->hides_completions = true; /* at the same place of its own window lie its control blocks */
	for (size_t i = 0; i < scene.before->count; i++) {
		input_of(poke)[0] = (uint32_t)scene.before->maps[i].iova;
		input_of(poke)[1] = 0xdeadbeef;
		struct npu_result result = run(thief, poke);
		ck_assert(result.outcome == NPU_FAULT || result.outcome == NPU_DONE);
		expect_same(&scene, false, "a program");
		struct table *now = read_table(scene.observer, scene.session);
		ck_assert_uint_eq(now->session.live_count, 0);
		free(now);
	}
	npu_disconnect(thief);
	scene_stop(&scene);
}
END_TEST

/* ------------------------------------------------------------------ who may ask */

struct outsider {
	bool in_group;
	int wanted;
};

/* Another user, with or without the group; connects like anybody. */
static int ask_as_outsider(struct harness *harness, void *user)
{
	const struct outsider *outsider = user;
	gid_t groups[] = {OUTSIDER + 1, OUTSIDER};
	struct npu_connection *connection = NULL;
	struct npu_maps *maps = NULL;

	if (setgroups(outsider->in_group ? 2 : 1, groups) || setresgid(99, 99, 99) || setresuid(99, 99, 99) ||
	    npu_connect(harness->socket, &connection))
		return 2;
	int rc = npu_maps_read(connection, 0, &maps);
	bool good = rc == outsider->wanted && (rc == 0) == (maps != NULL) &&
		    (rc == 0 || strstr(npu_error(), "needs the right \"maps\"")) && npu_ping(connection) == 0;
	npu_maps_free(maps);
	npu_disconnect(connection);
	return good ? 0 : 1;
}

START_TEST(who_is_not_named_is_refused_and_a_supplementary_group_is_enough)
{
	struct outsider without = {.wanted = -EACCES}, within = {.in_group = true};
	struct harness *harness = start();
	struct npu_connection *observer = harness_connect(harness);

	free(read_table(observer, 0));
	npu_disconnect(observer);
	if (getuid() == 0) { /* only root can be somebody else */
		ck_assert_int_eq(chmod(harness->directory, 0711), 0);
		ck_assert_int_eq(chmod(harness->socket, 0666), 0);
		client_wait(client_start(harness, ask_as_outsider, &without));
		client_wait(client_start(harness, ask_as_outsider, &within));
	}
	harness_stop(harness);
}
END_TEST

/* ------------------------------------------------------------------ completeness */

#define SESSIONS 3ul
#define BUFFERS 100ul

/* Connects, imports, releases, disconnects, until it is killed. */
static int come_and_go(struct harness *harness, void *user)
{
	int memory = *(const int *)user;

	for (unsigned round = 0;; round++) {
		int fd = raw_open(harness);
		for (unsigned i = 0; i < 5 + round % 70; i++)
			if (!import_raw(fd, memory, 0, 4096, 0))
				return 1;
		close(fd);
	}
}

/* Every mapping of `expected` is in the table exactly once, and the table is in order. True: others are in it, too. */
static bool expect_complete(const struct table *expected, struct npu_connection *observer)
{
	struct table *now = read_table(observer, 0);
	size_t next = 0;

	for (size_t i = 0; i < now->count; i++) {
		const struct npu_map *map = &now->maps[i];
		if (i > 0)
			ck_assert(now->maps[i - 1].session < map->session ||
				  (now->maps[i - 1].session == map->session &&
				   now->maps[i - 1].iova + now->maps[i - 1].bytes <= map->iova));
		if (next < expected->count && same_map(map, &expected->maps[next], true))
			next++;
		else
			ck_assert_uint_gt(map->session, expected->session.session); /* one that came later */
	}
	ck_assert_uint_eq(next, expected->count);
	bool others = now->count > expected->count;
	free(now);
	return others;
}

START_TEST(pages_are_complete_while_others_connect_and_disconnect)
{
	int fds[SESSIONS], memory = shared_memory();
	struct harness *harness = start();
	struct npu_connection *observer = harness_connect(harness);

	for (unsigned i = 0; i < SESSIONS; i++) {
		fds[i] = raw_open(harness);
		for (unsigned k = 0; k < BUFFERS; k++)
			ck_assert_uint_ne(import_raw(fds[i], memory, k * 4096ull, 4096ull * (1 + k % 4), 0), 0);
	}
	struct table *expected = read_table(observer, 0);
	ck_assert_uint_eq(expected->count, SESSIONS * BUFFERS);
	pid_t guests[] = {client_start(harness, come_and_go, &memory), client_start(harness, come_and_go, &memory)};
	unsigned crowded = 0;
	for (unsigned round = 0; round < 200 || crowded < 10; round++)
		crowded += expect_complete(expected, observer);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(kill(guests[i], SIGKILL), 0);
		ck_assert_int_eq(harness_wait(guests[i]), 128 + SIGKILL);
	}
	(void)expect_complete(expected, observer);
	free(expected);
	for (unsigned i = 0; i < SESSIONS; i++)
		close(fds[i]);
	close(memory);
	npu_disconnect(observer);
	harness_stop(harness);
}
END_TEST

/* Its memory enters and leaves the device all the time. */
static int run_and_run(struct harness *harness, void *user)
{
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(64, 1));

	(void)user;
	for (;;)
		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
}

START_TEST(the_table_is_true_while_the_device_changes_hands)
{
	struct harness *harness = start();
	struct npu_connection *observer = harness_connect(harness);
	pid_t runners[] = {client_start(harness, run_and_run, NULL), client_start(harness, run_and_run, NULL)};
	unsigned seen[4] = {0};

	for (unsigned round = 0; round < 300 || !seen[NPU_MAP_LIVE] || !seen[NPU_MAP_RESERVED]; round++) {
		struct table *table = read_table(observer, 0);
		uint64_t live = 0;
		for (size_t i = 0; i < table->count; i++) {
			const struct npu_map *map = &table->maps[i];
			ck_assert(map->state >= NPU_MAP_RESERVED && map->state <= NPU_MAP_CHANGING);
			seen[map->state]++;
			if (map->state != NPU_MAP_LIVE)
				continue;
			/* one page of the table is one moment: the device reaches one session's memory */
			ck_assert(!live || live == map->session);
			live = map->session;
		}
		free(table);
	}
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(kill(runners[i], SIGKILL), 0);
		ck_assert_int_eq(harness_wait(runners[i]), 128 + SIGKILL);
	}
	npu_disconnect(observer);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("maps");
	TCase *all = tcase_create("maps");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, names_of_another_session_change_nothing);
	tcase_add_test(all, jobs_over_another_sessions_memory_change_nothing);
	tcase_add_test(all, imports_of_the_same_memory_and_their_release_change_nothing);
	tcase_add_test(all, what_is_done_to_the_memory_itself_changes_no_table);
	tcase_add_test(all, connections_that_break_the_rules_change_nothing);
	tcase_add_test(all, programs_at_another_sessions_addresses_change_nothing);
	tcase_add_test(all, who_is_not_named_is_refused_and_a_supplementary_group_is_enough);
	tcase_add_test(all, pages_are_complete_while_others_connect_and_disconnect);
	tcase_add_test(all, the_table_is_true_while_the_device_changes_hands);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
