/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every event in every state that is reached in at most DEPTH steps: the shipped session, job, submission, device and
 * recovery are driven breadth first, each path from the start, and states that were seen before are not gone into
 * again. STATES_DEPTH=N searches deeper.
 */
#include "tests/unit/daemon/states.h"

#include <sanitizer/asan_interface.h>

#define DEPTH 8u
#define MAX_DEPTH 32u
#define MAX_STATES (1u << 18)
#define SEEN_SLOTS (2ul * MAX_STATES)

/*
 * A session's pool of submissions is large enough for every allocator to get it from the kernel and give it back, and
 * each path makes two. So the blocks are kept, out of bounds while nobody has them (--wrap in the Makefile).
 * NOLINTBEGIN(bugprone-reserved-identifier): the linker wants these names
 */
void *__real_calloc(size_t count, size_t bytes);
void __real_free(void *block);
void *__wrap_calloc(size_t count, size_t bytes);
void __wrap_free(void *block);

static struct submission pools[SCENE_SESSIONS][NPUD_MAX_INFLIGHT_EVENTS];
static bool pool_taken[SCENE_SESSIONS];

void *__wrap_calloc(size_t count, size_t bytes)
{
	for (int i = 0; i < SCENE_SESSIONS && count * bytes == sizeof(pools[0]); i++) {
		if (pool_taken[i])
			continue;
		pool_taken[i] = true;
		ASAN_UNPOISON_MEMORY_REGION(pools[i], sizeof(pools[i]));
		/* The others are as session_prepare_pool() leaves them: no path comes so far. */
		memset(pools[i], 0, SCENE_POOL * sizeof(pools[i][0]));
		return pools[i];
	}
	return __real_calloc(count, bytes);
}

void __wrap_free(void *block)
{
	for (int i = 0; i < SCENE_SESSIONS; i++) {
		if (block != pools[i])
			continue;
		pool_taken[i] = false;
		ASAN_POISON_MEMORY_REGION(pools[i], sizeof(pools[i]));
		return;
	}
	__real_free(block);
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* Rows of the table: what the objects were when an event came. */
enum row { ROW_DEVICE = 0, ROW_SUBMISSION = 8, ROW_RUNG = 16, ROW_SESSION = 24, ROWS = 32 };

static const char *const row_names[ROWS] = {
    [ROW_DEVICE + DEV_READY] = "device ready",
    [ROW_DEVICE + DEV_SWITCHING] = "device switching",
    [ROW_DEVICE + DEV_RECOVERING] = "device recovering",
    [ROW_DEVICE + DEV_OFFLINE] = "device offline",
    [ROW_DEVICE + DEV_GONE] = "device gone",
    [ROW_SUBMISSION + SUBMISSION_WAITING] = "submission waiting",
    [ROW_SUBMISSION + SUBMISSION_QUEUED] = "submission queued",
    [ROW_SUBMISSION + SUBMISSION_RUNNING] = "submission running",
    [ROW_SUBMISSION + SUBMISSION_FINAL] = "submission final",
    [ROW_RUNG + RECOVERY_ABORT] = "rung abort",
    [ROW_RUNG + RECOVERY_SOFT_RESET] = "rung soft reset",
    [ROW_RUNG + RECOVERY_TRANSPORT_RESET] = "rung transport reset",
    [ROW_RUNG + RECOVERY_REOPEN] = "rung reopen",
    [ROW_RUNG + RECOVERY_OFFLINE] = "rung offline",
    [ROW_SESSION + 0] = "session open",
    [ROW_SESSION + 1] = "session closing",
    [ROW_SESSION + 2] = "session quarantined",
};

struct path {
	uint8_t steps;
	uint8_t event[MAX_DEPTH];
};

struct search {
	uint64_t *seen; /* open addressing; 0: free */
	struct path *paths; /* one for each state, in the order of discovery */
	uint32_t states;
	uint32_t at_depth[MAX_DEPTH + 1];
	uint64_t transitions;
	uint32_t tried[ROWS]; /* states, each with every event */
	uint32_t moved[ROWS][EV_COUNT];
	uint32_t changed[EV_COUNT];
	unsigned fds;
	const struct path *from; /* NULL: where all begins */
	bool operated; /* an operator joins in */
	bool stranded; /* a device that is gone does not come back */
	bool shares; /* both sessions are in one address space */
	bool planted;
};

/* ------------------------------------------------------------------ the search */

static bool is_new(struct search *search, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash % SEEN_SLOTS);

	while (search->seen[at] && search->seen[at] != hash)
		at = (uint32_t)((at + 1) % SEEN_SLOTS);
	if (search->seen[at])
		return false;
	search->seen[at] = hash;
	return true;
}

/* What there is, by row. */
static void look(const struct scene *scene, bool rows[ROWS])
{
	const struct device *device = scene->world.device;

	memset(rows, 0, ROWS * sizeof(*rows));
	rows[ROW_DEVICE + device->state] = true;
	rows[ROW_SESSION + 2] = offence_count(scene->world.host, fake_now) > 0;
	if (device->recovery.climbing)
		rows[ROW_RUNG + device->recovery.rung] = true;
	for (int s = 0; s < SCENE_SESSIONS; s++) {
		const struct session *session = scene->session[s];
		if (!session)
			continue;
		rows[ROW_SESSION + session->closing] = true;
		for (uint32_t i = 0; session->pool && i < SCENE_POOL; i++)
			rows[ROW_SUBMISSION + session->pool[i].state] = true;
	}
}

/* Goes the path from the start: what is wrong there was found when it was gone first. */
static void go(const struct search *search, struct scene *scene, const struct path *path)
{
	scene_open(scene, !search->stranded, search->shares);
	scene->planted = search->planted;
	for (unsigned i = 0; i < path->steps; i++)
		scene_apply(scene, (enum scene_event)path->event[i]);
}

/* Where an event led. */
enum place { PLACE_SAME = 0, PLACE_KNOWN, PLACE_NEW };

/* One event in the state that the path leads to. */
static const char *step(struct search *search, struct scene *scene, const struct path *path, enum scene_event event,
			enum place *place)
{
	uint64_t before = scene_hash(scene);
	bool rows[ROWS];

	look(scene, rows);
	scene_apply(scene, event);
	search->transitions++;
	const char *wrong = scene_wrong(scene);
	uint64_t after = scene_hash(scene);
	*place = after == before ? PLACE_SAME : is_new(search, after) ? PLACE_NEW : PLACE_KNOWN;
	for (int row = 0; row < ROWS; row++) {
		search->tried[row] += rows[row] && event == 0;
		search->moved[row][event] += rows[row] && *place != PLACE_SAME;
	}
	search->changed[event] += *place != PLACE_SAME;
	if (wrong || *place != PLACE_NEW)
		return wrong;
	ck_assert_uint_lt(search->states, MAX_STATES);
	struct path *found = &search->paths[search->states++];
	*found = *path;
	found->event[found->steps++] = (uint8_t)event;
	search->at_depth[found->steps]++;
	return NULL;
}

/*
 * Every event; the way is gone again when the one before led somewhere else. In a new state everything is left to end
 * by itself; where that was seen, it is ended in the middle of everything.
 */
static const char *expand(struct search *search, const struct path *path)
{
	static struct scene scene;
	const int events = search->operated ? EV_COUNT : EV_OPERATOR;
	const char *wrong = NULL;

	go(search, &scene, path);
	for (int event = 0; event < events && !wrong; event++) {
		enum place place;
		wrong = step(search, &scene, path, (enum scene_event)event, &place);
		if (!wrong && place == PLACE_NEW)
			wrong = scene_settle(&scene);
		if (!wrong && (place != PLACE_SAME || event == events - 1))
			wrong = scene_end(&scene);
		if (!wrong && place != PLACE_SAME && event < events - 1)
			go(search, &scene, path);
	}
	for (unsigned i = 0; i < scene.logged && wrong; i++)
		printf("%s%s", scene_event_names[scene.log[i]], i + 1 < scene.logged ? " " : ":\n");
	(void)fflush(stdout);
	return wrong;
}

static const char *search_all(struct search *search, unsigned depth)
{
	const char *wrong = NULL;

	search->states = 1;
	search->paths[0] = search->from ? *search->from : (struct path){0};
	search->at_depth[search->paths[0].steps] = 1;
	for (uint32_t at = 0; at < search->states && !wrong && search->paths[at].steps < depth; at++) {
		const struct path path = search->paths[at];
		wrong = expand(search, &path);
	}
	return wrong;
}

static void search_open(struct search *search)
{
	search->seen = calloc(SEEN_SLOTS, sizeof(*search->seen));
	search->paths = calloc(MAX_STATES, sizeof(*search->paths));
	ck_assert(search->seen && search->paths);
	search->fds = count_open_fds();
	scene_file = make_memory(4096, F_SEAL_SHRINK);
	fds_are_counted = false;
}

static void search_close(struct search *search)
{
	close(scene_file);
	if (!search->planted) /* whose world stays as it was found */
		ck_assert_uint_eq(count_open_fds(), search->fds);
	free(search->seen);
	free(search->paths);
}

/* ------------------------------------------------------------------ what was seen */

static void print_table(const struct search *search, unsigned depth)
{
	printf("%u states, %llu transitions, depth %u; by depth:", search->states,
	       (unsigned long long)search->transitions, depth);
	for (unsigned i = 0; i <= depth; i++)
		printf(" %u", search->at_depth[i]);
	printf("\nin so many states was a... (each met every event), and so many changed by each event\n%-22s", "");
	for (int event = 0; event < EV_COUNT; event++)
		printf(" %14s", scene_event_names[event]);
	printf("\n");
	for (int row = 0; row < ROWS; row++) {
		if (!row_names[row])
			continue;
		printf("%-20s %5u", row_names[row], search->tried[row]);
		for (int event = 0; event < EV_COUNT; event++)
			printf(" %14u", search->moved[row][event]);
		printf("\n");
	}
	(void)fflush(stdout);
}

static unsigned depth_wanted(void)
{
	const char *text = getenv("STATES_DEPTH");
	unsigned depth = text ? (unsigned)strtoul(text, NULL, 10) : DEPTH;

	return depth < MAX_DEPTH ? depth : MAX_DEPTH;
}

static void check_rows(const struct search *search, const int *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(search->tried[rows[i]], "there never was a %s", row_names[rows[i]]);
}

/* Whoever asked closes it. */
static void run_search(struct search *search, unsigned depth)
{
	search_open(search);
	const char *wrong = search_all(search, depth);
	ck_assert_msg(!wrong, "%s", wrong);
	print_table(search, depth);
	ck_assert_uint_gt(search->at_depth[depth], 0);
}

START_TEST(every_event_in_every_state_ends_each_submission_once_and_leaves_nothing)
{
	static struct search search;
	unsigned depth = depth_wanted();

	run_search(&search, depth);
	for (int row = 0; row < ROWS; row++)
		if (row_names[row] && row != ROW_DEVICE + DEV_OFFLINE)
			check_rows(&search, &row, 1);
	for (int event = 0; event < EV_OPERATOR; event++)
		ck_assert_msg(search.changed[event], "%s never changed anything", scene_event_names[event]);
	search_close(&search);
}
END_TEST

/* The last rung is another one there. Begins at the foot of the ladder, so that its end is not the search's. */
START_TEST(so_it_is_with_a_device_that_never_comes_back)
{
	static const int rows[] = {ROW_DEVICE + DEV_OFFLINE, ROW_DEVICE + DEV_GONE, ROW_RUNG + RECOVERY_OFFLINE};
	static const struct path fault = {
	    6, {EV_SUBMIT_A1, EV_WORKER_DONE, EV_SUBMIT_A2, EV_WORKER_DONE, EV_SUBMIT_B, EV_IRQ_FAULT}};
	static struct search search = {.from = &fault, .operated = true, .stranded = true};

	run_search(&search, depth_wanted() + 3);
	check_rows(&search, rows, sizeof(rows) / sizeof(rows[0]));
	search_close(&search);
}
END_TEST

/* With work on the device, behind it, and of another session. */
START_TEST(so_it_is_when_an_operator_resets_and_drains)
{
	static const struct path busy = {5, {EV_SUBMIT_A1, EV_WORKER_DONE, EV_SUBMIT_A2, EV_WORKER_DONE, EV_SUBMIT_B}};
	static struct search search = {.from = &busy, .operated = true};

	run_search(&search, depth_wanted() + 2);
	ck_assert(search.changed[EV_RESET] && search.changed[EV_DRAIN]);
	search_close(&search);
}
END_TEST

/* Work of both is on the device at once, and neither's end is the end of what it reaches. */
START_TEST(so_it_is_with_sessions_that_share_an_address_space)
{
	static const struct path both = {4, {EV_SUBMIT_A1, EV_WORKER_DONE, EV_SUBMIT_B, EV_WORKER_DONE}};
	static struct search search = {.from = &both, .operated = true, .shares = true};

	run_search(&search, depth_wanted() + 1);
	search_close(&search);
}
END_TEST

START_TEST(a_planted_double_completion_is_found)
{
	static struct search search = {.planted = true};

	search_open(&search);
	const char *wrong = search_all(&search, DEPTH);
	ck_assert_ptr_nonnull(wrong);
	printf("planted: %s\n", wrong);
	search_close(&search);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("states");
	TCase *tcase = tcase_create("states");

	tcase_set_timeout(tcase, 600);
	tcase_add_test(tcase, every_event_in_every_state_ends_each_submission_once_and_leaves_nothing);
	tcase_add_test(tcase, so_it_is_with_a_device_that_never_comes_back);
	tcase_add_test(tcase, so_it_is_when_an_operator_resets_and_drains);
	tcase_add_test(tcase, so_it_is_with_sessions_that_share_an_address_space);
	tcase_add_test(tcase, a_planted_double_completion_is_found);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
