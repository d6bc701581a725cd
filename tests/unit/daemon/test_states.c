/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every event in every state that is reached in at most DEPTH steps: the shipped session, job, submission, device and
 * recovery are driven breadth first, each path from the start, and states that were seen before are not gone into
 * again. STATES_DEPTH=N searches deeper.
 */
#include "tests/unit/daemon/states.h"

#define DEPTH 8u
#define MAX_DEPTH 32u
#define MAX_STATES (1u << 18)

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
	uint32_t visits[ROWS][EV_COUNT];
	bool planted;
};

/* ------------------------------------------------------------------ where a failure happened */

static const struct path *current;

static void print_path(void)
{
	if (!current)
		return;
	printf("after");
	for (unsigned i = 0; i < current->steps; i++)
		printf(" %s", scene_event_names[current->event[i]]);
	printf("\n");
	(void)fflush(stdout);
}

/* ------------------------------------------------------------------ the search */

static bool is_new(struct search *search, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash % (2 * MAX_STATES));

	while (search->seen[at] && search->seen[at] != hash)
		at = (at + 1) % (2 * MAX_STATES);
	if (search->seen[at])
		return false;
	search->seen[at] = hash;
	return true;
}

static void visit(struct search *search, const struct scene *scene, enum scene_event event)
{
	const struct device *device = scene->world.device;
	bool rows[ROWS] = {0};

	rows[ROW_DEVICE + device->state] = true;
	rows[ROW_SESSION + 2] = offence_count(scene->world.host, fake_now) > 0;
	if (device->recovery.climbing)
		rows[ROW_RUNG + device->recovery.rung] = true;
	for (int s = 0; s < SCENE_SESSIONS; s++) {
		const struct session *session = scene->session[s];
		if (!session)
			continue;
		rows[ROW_SESSION + session->closing] = true;
		for (uint32_t i = 0; session->pool && i < 8; i++)
			rows[ROW_SUBMISSION + session->pool[i].state] = true;
	}
	for (int row = 0; row < ROWS; row++)
		search->visits[row][event] += rows[row];
}

/* Goes the path from the start; NULL, or the rule that it broke. */
static const char *walk(struct search *search, const struct path *path)
{
	static struct scene scene;
	const char *wrong = NULL;

	current = path;
	scene_open(&scene);
	scene.planted = search->planted;
	for (unsigned i = 0; i < path->steps && !wrong; i++) {
		if (i + 1 == path->steps)
			visit(search, &scene, (enum scene_event)path->event[i]);
		scene_apply(&scene, (enum scene_event)path->event[i]);
		wrong = scene_wrong(&scene);
	}
	if (wrong)
		return wrong;
	search->transitions += path->steps > 0;
	if (is_new(search, scene_hash(&scene))) {
		ck_assert_uint_lt(search->states, MAX_STATES);
		search->at_depth[path->steps]++;
		search->paths[search->states++] = *path;
	}
	return scene_end(&scene);
}

static const char *search_all(struct search *search, unsigned depth)
{
	const char *wrong = walk(search, &(struct path){0});

	for (uint32_t at = 0; at < search->states && !wrong; at++) {
		struct path path = search->paths[at];
		if (path.steps == depth)
			break;
		path.steps++;
		for (int event = 0; event < EV_COUNT && !wrong; event++) {
			path.event[path.steps - 1] = (uint8_t)event;
			wrong = walk(search, &path);
		}
		if (wrong)
			print_path();
	}
	return wrong;
}

static void search_open(struct search *search)
{
	memset(search, 0, sizeof(*search));
	search->seen = calloc(2ul * MAX_STATES, sizeof(*search->seen));
	search->paths = calloc(MAX_STATES, sizeof(*search->paths));
	ck_assert(search->seen && search->paths);
}

static void search_close(struct search *search)
{
	current = NULL;
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
	printf("\nhow often an event came while something was in a state:\n");
	for (int row = 0, column = 0; row < ROWS; row++)
		if (row_names[row])
			printf("  %2d %s\n", ++column, row_names[row]);
	printf("%-16s", "");
	for (int row = 0, column = 0; row < ROWS; row++)
		if (row_names[row])
			printf(" %6d", ++column);
	printf("\n");
	for (int event = 0; event < EV_COUNT; event++) {
		printf("%-16s", scene_event_names[event]);
		for (int row = 0; row < ROWS; row++)
			if (row_names[row])
				printf(" %6u", search->visits[row][event]);
		printf("\n");
	}
}

static unsigned depth_wanted(void)
{
	const char *text = getenv("STATES_DEPTH");
	unsigned depth = text ? (unsigned)strtoul(text, NULL, 10) : DEPTH;

	return depth < MAX_DEPTH ? depth : MAX_DEPTH;
}

START_TEST(every_event_in_every_state_ends_each_submission_once_and_leaves_nothing)
{
	static struct search search;
	unsigned depth = depth_wanted();

	search_open(&search);
	const char *wrong = search_all(&search, depth);
	ck_assert_msg(!wrong, "%s", wrong);
	print_table(&search, depth);
	ck_assert_uint_gt(search.at_depth[depth], 0);
	for (int row = 0; row < ROWS; row++)
		for (int event = 0; event < EV_COUNT && row_names[row]; event++)
			ck_assert_msg(search.visits[row][event] > 0, "%s never met %s", scene_event_names[event],
				      row_names[row]);
	search_close(&search);
}
END_TEST

START_TEST(a_planted_double_completion_is_found)
{
	static struct search search;

	search_open(&search);
	search.planted = true;
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
	tcase_add_test(tcase, a_planted_double_completion_is_found);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
