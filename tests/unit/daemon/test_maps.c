/* SPDX-License-Identifier: Apache-2.0 */
/* The operators' picture: complete, in order, without doubles, whatever comes and goes; and only a picture. */
#include "daemon/core/maps.h"
#include "daemon/util/alloc_count.h"
#include "tests/unit/daemon/world.h"

#define START ((struct maps_cursor){0, 0})
#define MANY 4096u

/* All pages, one after the other. */
struct table {
	struct map_entry entries[MANY];
	uint64_t owner[MANY];
	uint32_t count;
	uint32_t pages;
	struct map_session sessions[64]; /* as last told */
	uint32_t session_count;
};

static void add_page(struct table *table, const struct maps_page *page)
{
	ck_assert_uint_le(page->entry_count, NPUD_MAX_MAPS_PER_FRAME);
	ck_assert_uint_le(page->session_count, NPUD_MAX_MAP_SESSIONS_PER_FRAME);
	table->pages++;
	for (uint32_t i = 0; i < page->session_count; i++) {
		const struct map_session *session = &page->sessions[i];
		uint32_t last = table->session_count;
		if (last == 0 || table->sessions[last - 1].id != session->id) {
			ck_assert(last == 0 || table->sessions[last - 1].id < session->id);
			table->session_count++;
		}
		table->sessions[table->session_count - 1] = *session;
		for (uint32_t k = 0; k < session->on_page; k++) {
			table->owner[table->count] = session->id;
			table->entries[table->count++] = page->entries[session->first + k];
		}
	}
}

static struct table *read_table(const struct host *host, uint64_t only)
{
	struct table *table = calloc(1, sizeof(*table));
	struct maps_cursor from = START;
	struct maps_page page;

	ck_assert_ptr_nonnull(table);
	do {
		ck_assert_int_eq(maps_read(host, only, from, &page), 0);
		add_page(table, &page);
		from = page.next;
	} while (from.session);
	return table;
}

/* By session, then by address, nothing twice and nothing overlapping. */
static void assert_ordered(const struct table *table)
{
	for (uint32_t i = 1; i < table->count; i++) {
		const struct map_entry *before = &table->entries[i - 1], *entry = &table->entries[i];
		ck_assert_uint_le(table->owner[i - 1], table->owner[i]);
		if (table->owner[i - 1] == table->owner[i])
			ck_assert_uint_ge(entry->iova.v, before->iova.v + before->bytes);
	}
}

static const struct map_entry *find(const struct table *table, uint64_t owner, const struct buffer *buffer)
{
	const struct map_entry *found = NULL;

	for (uint32_t i = 0; i < table->count; i++) {
		if (table->owner[i] != owner || table->entries[i].iova.v != buffer->map.iova.v)
			continue;
		ck_assert_ptr_null(found);
		found = &table->entries[i];
	}
	return found;
}

static enum map_state state_of(const struct host *host, const struct buffer *buffer)
{
	struct table *table = read_table(host, 0);
	const struct map_entry *entry = find(table, buffer->session->id, buffer);

	ck_assert_ptr_nonnull(entry);
	enum map_state state = entry->state;
	free(table);
	return state;
}

static void fill(struct session *session, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		make_buffer(session, 4096ull * (1 + i % 3), i % 2);
}

START_TEST(nothing_is_told_of_a_host_without_sessions)
{
	struct world world;
	struct maps_page page;

	world_open(&world);
	ck_assert_int_eq(maps_read(world.host, 0, START, &page), 0);
	ck_assert_uint_eq(page.session_count, 0);
	ck_assert_uint_eq(page.entry_count, 0);
	ck_assert_uint_eq(page.next.session, 0);
	ck_assert_int_eq(maps_read(world.host, 1, START, &page), -ENOENT);
	ck_assert_int_eq(maps_read(world.host, UINT64_MAX, (struct maps_cursor){UINT64_MAX, UINT64_MAX}, &page),
			 -ENOENT);
	ck_assert_int_eq(maps_read(world.host, 0, (struct maps_cursor){UINT64_MAX, UINT64_MAX}, &page), 0);
	ck_assert_uint_eq(page.session_count, 0);
	world_close(&world);
}
END_TEST

START_TEST(a_mapping_is_told_with_its_owner_place_and_rights)
{
	struct world world;

	world_open(&world);
	struct session *idle = world_session_of(&world, 7), *session = world_session_of(&world, 1000);
	const struct buffer *writable = make_buffer(session, 8192, false), *weights = make_buffer(session, 4096, true);
	struct table *table = read_table(world.host, 0);
	ck_assert_uint_eq(table->session_count, 2);
	ck_assert_uint_eq(table->sessions[0].id, idle->id);
	ck_assert_uint_eq(table->sessions[0].count, 0);
	const struct map_session *told = &table->sessions[1];
	ck_assert_uint_eq(told->id, session->id);
	ck_assert_uint_eq(told->uid, 1000);
	ck_assert_int_eq(told->pid, 1);
	ck_assert_ptr_eq(told->device, world.device);
	ck_assert_uint_eq(told->slot, session->space->slot);
	ck_assert(!told->closing);
	ck_assert_uint_eq(told->count, 2);
	ck_assert_uint_eq(told->bytes, 12288);
	ck_assert_uint_eq(told->live_count, 0);
	const struct map_entry *entry = find(table, session->id, writable);
	ck_assert_uint_eq(entry->bytes, 8192);
	ck_assert(entry->readable && entry->writable);
	ck_assert_int_eq(entry->kind, MAP_KIND_BUFFER);
	ck_assert_int_eq(entry->state, MAP_STATE_RESERVED);
	entry = find(table, session->id, weights);
	ck_assert_uint_eq(entry->bytes, 4096);
	ck_assert(entry->readable && !entry->writable);
	free(table);
	world_close(&world);
}
END_TEST

START_TEST(memory_is_live_while_the_device_reaches_it_and_changing_while_a_worker_has_it)
{
	struct world world;

	world_open(&world);
	struct session *first = world_session(&world), *second = world_session(&world);
	struct buffer *mine = make_buffer(first, 8192, false), *other = make_buffer(second, 8192, false);
	const struct job *job = make_job_of(first, mine, 1, false), *next = make_job_of(second, other, 1, false);
	ck_assert_int_eq(state_of(world.host, mine), MAP_STATE_RESERVED);
	submit(first, job);
	ck_assert_int_eq(state_of(world.host, mine), MAP_STATE_CHANGING);
	ck_assert_int_eq(state_of(world.host, other), MAP_STATE_RESERVED);
	world_work(&world);
	ck_assert_int_eq(state_of(world.host, mine), MAP_STATE_LIVE);
	struct table *table = read_table(world.host, first->id);
	ck_assert_uint_eq(table->count, 3); /* and the arena: the piece that the job needs, and the rest */
	ck_assert_int_eq(table->entries[0].kind, MAP_KIND_ARENA);
	ck_assert_int_eq(table->entries[0].state, MAP_STATE_LIVE);
	ck_assert_uint_eq(table->sessions[0].live_count, 2);
	ck_assert_uint_eq(table->sessions[0].live_bytes, 8192 + ARENA_PIECE_BYTES);
	free(table);
	complete(&world, job);
	run(&world, second, next);
	ck_assert_int_eq(state_of(world.host, mine), MAP_STATE_RESERVED);
	ck_assert_int_eq(state_of(world.host, other), MAP_STATE_LIVE);
	complete(&world, next);
	world_close(&world);
}
END_TEST

/* Wherever a page ended: the next one begins right there, whatever became of the runs in between. */
START_TEST(an_arena_that_changes_between_two_pages_is_told_without_gap_or_overlap)
{
	struct maps_page before, after;
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	const struct job *job = make_job(session);
	ck_assert_int_eq(maps_read(world.host, 0, START, &before), 0);
	run(&world, session, job);
	for (uint64_t at = arena_iova(session->space, 0).v; at < arena_iova(session->space, ARENA_BYTES).v;
	     at += ARENA_PIECE_BYTES) {
		ck_assert_int_eq(maps_read(world.host, 0, (struct maps_cursor){session->id, at}, &after), 0);
		ck_assert_uint_ge(after.entry_count, 1);
		ck_assert_uint_eq(after.entries[0].iova.v, at);
		ck_assert_uint_eq(after.sessions[0].bytes, before.sessions[0].bytes); /* totals are of the whole */
	}
	complete(&world, job);
	world_close(&world);
}
END_TEST

START_TEST(a_page_that_ends_in_an_arena_goes_on_behind_it)
{
	struct maps_page page;
	struct world world;

	world_open(&world);
	/* one place is left on the page when the second session's turn comes: for the live part of its arena */
	fill(world_session(&world), NPUD_MAX_MAPS_PER_FRAME - 1);
	struct session *session = world_session(&world);
	const struct job *job = make_job(session);
	run(&world, session, job);
	ck_assert_int_eq(maps_read(world.host, 0, START, &page), 0);
	const struct map_entry *last = &page.entries[NPUD_MAX_MAPS_PER_FRAME - 1];
	ck_assert_uint_eq(page.entry_count, NPUD_MAX_MAPS_PER_FRAME);
	ck_assert_int_eq(last->state, MAP_STATE_LIVE);
	ck_assert_uint_eq(page.next.session, session->id);
	ck_assert_uint_eq(page.next.iova, last->iova.v + last->bytes);
	/* the device lets go of it, so that the arena is one run that began before */
	complete(&world, job);
	struct session *other = world_session(&world);
	const struct job *next = make_job(other);
	run(&world, other, next);
	struct maps_cursor from = page.next;
	ck_assert_int_eq(maps_read(world.host, session->id, from, &page), 0);
	ck_assert_uint_eq(page.entries[0].iova.v, from.iova);
	ck_assert_uint_eq(page.entries[0].bytes, ARENA_BYTES - ARENA_PIECE_BYTES);
	complete(&world, next);
	world_close(&world);
}
END_TEST

START_TEST(half_way_between_two_tables_nothing_is_claimed)
{
	struct host_options options = world_options();
	struct world world;

	world_open_on(&world, &options, &fake_table_ops);
	struct session *session = world_session(&world);
	struct buffer *buffer = make_buffer(session, 8192, false);
	const struct job *job = make_job_of(session, buffer, 1, false);
	run(&world, session, job);
	ck_assert_int_eq(state_of(world.host, buffer), MAP_STATE_LIVE);
	complete(&world, job);
	world.device->dirty = true;
	ck_assert_int_eq(state_of(world.host, buffer), MAP_STATE_CHANGING);
	world.device->dirty = false;
	ck_assert_int_eq(state_of(world.host, buffer), MAP_STATE_LIVE);
	world_close(&world);
}
END_TEST

START_TEST(a_released_buffer_is_told_until_its_address_is_free_and_never_beside_its_successor)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	struct buffer *buffer = make_buffer(session, 8192, false);
	const struct job *job = make_job_of(session, buffer, 1, false);
	uint64_t address = buffer->map.iova.v;
	run(&world, session, job);
	buffer_release(buffer);
	ck_assert_int_eq(state_of(world.host, buffer), MAP_STATE_LIVE); /* the run needs it */
	complete(&world, job);
	struct table *table = read_table(world.host, 0);
	ck_assert_uint_eq(table->count, 2); /* the arena, live and not; the job still refers to the buffer */
	free(table);
	const struct buffer *successor = make_buffer(session, 8192, false);
	ck_assert_uint_eq(successor->map.iova.v, address);
	table = read_table(world.host, 0);
	ck_assert_uint_eq(table->count, 3);
	assert_ordered(table);
	free(table);
	world_close(&world);
}
END_TEST

START_TEST(a_session_whose_client_is_gone_is_told_until_its_memory_is)
{
	struct world world;

	world_open(&world);
	struct session *session = world_session(&world);
	const struct job *job = make_job(session);
	run(&world, session, job);
	session_close(session);
	struct table *table = read_table(world.host, 0);
	ck_assert_uint_eq(table->session_count, 1);
	ck_assert(table->sessions[0].closing);
	ck_assert_uint_eq(table->count, 2);
	free(table);
	/* step by step to its end: whatever the worker has of it is not looked at */
	while (worker_step(world.device->worker)) {
		table = read_table(world.host, 0);
		assert_ordered(table);
		free(table);
	}
	table = read_table(world.host, 0);
	ck_assert_uint_eq(table->session_count, 0);
	free(table);
	world_close(&world);
}
END_TEST

START_TEST(pages_are_complete_and_in_order_at_every_size)
{
	static const unsigned counts[] = {0, 1, 63, 64, 65, 127, 128, 129, 200};
	unsigned total = 0;
	struct world world;

	world_open(&world);
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct session *session = world_session(&world);
		fill(session, counts[i]);
		total += counts[i];
		struct table *all = read_table(world.host, 0), *one = read_table(world.host, session->id);
		ck_assert_uint_eq(all->count, total);
		ck_assert_uint_eq(all->session_count, i + 1);
		assert_ordered(all);
		ck_assert_uint_eq(one->session_count, 1);
		ck_assert_uint_eq(one->count, counts[i]);
		ck_assert_uint_eq(one->sessions[0].count, counts[i]);
		ck_assert_uint_eq(one->pages, counts[i] ? (counts[i] + 63) / 64 : 1);
		list_each (node, next, &session->buffers)
			ck_assert_ptr_nonnull(find(one, session->id, list_entry(node, struct buffer, link)));
		free(all);
		free(one);
	}
	world_close(&world);
}
END_TEST

START_TEST(many_sessions_need_several_pages)
{
	struct world world;

	world_open(&world);
	for (unsigned i = 0; i < 3 * NPUD_MAX_MAP_SESSIONS_PER_FRAME + 1; i++)
		world_session(&world);
	struct table *table = read_table(world.host, 0);
	ck_assert_uint_eq(table->session_count, 3 * NPUD_MAX_MAP_SESSIONS_PER_FRAME + 1);
	ck_assert_uint_eq(table->pages, 4);
	free(table);
	world_close(&world);
}
END_TEST

/* Three that stay; between two pages one comes with memory, one goes, and one that stays moves its own about. */
START_TEST(what_stays_is_told_once_while_others_come_and_go)
{
	struct session *stay[3], *guest = NULL;
	struct maps_cursor from = START;
	struct buffer *moving = NULL;
	struct maps_page page;
	struct world world;
	unsigned kept = 0;

	world_open(&world);
	for (unsigned i = 0; i < 3; i++) {
		stay[i] = world_session(&world);
		fill(stay[i], 100);
		struct session *leaves = world_session(&world);
		fill(leaves, 10);
		session_close(leaves);
	}
	struct table *table = calloc(1, sizeof(*table));
	ck_assert_ptr_nonnull(table);
	do {
		ck_assert_int_eq(maps_read(world.host, 0, from, &page), 0);
		add_page(table, &page);
		from = page.next;
		if (guest)
			session_close(guest);
		guest = world_session(&world);
		fill(guest, 5);
		if (moving)
			buffer_release(moving);
		device_pump(world.device);
		moving = make_buffer(stay[table->pages % 2 ? 2 : 0], 4096, false);
		if (table->pages == 3)
			session_close(stay[1]); /* in the middle of what is being told */
		world_work(&world);
	} while (from.session && table->pages < 100);
	ck_assert_uint_eq(from.session, 0);
	assert_ordered(table);
	for (unsigned i = 0; i < 3; i += 2) {
		list_each (node, next, &stay[i]->buffers) {
			const struct buffer *buffer = list_entry(node, struct buffer, link);
			if (buffer == moving || kept == 200)
				continue;
			ck_assert_ptr_nonnull(find(table, stay[i]->id, buffer));
			kept++;
		}
	}
	ck_assert_uint_eq(kept, 200);
	free(table);
	world_close(&world);
}
END_TEST

START_TEST(looking_allocates_nothing_and_changes_nothing)
{
	struct world world;
	struct maps_page page;

	world_open(&world);
	struct session *session = world_session(&world);
	fill(session, 70);
	run(&world, session, make_job(session));
	struct host_stats before, after;
	char trace[sizeof(world.fake->trace)];
	memcpy(trace, world.fake->trace, sizeof(trace));
	host_stats_read(world.host, &before);
	uint64_t allocations = alloc_count();
	for (uint64_t iova = 0; iova < 16ull << 30; iova += 1ull << 26)
		for (uint64_t id = 0; id < 4; id++)
			(void)maps_read(world.host, id, (struct maps_cursor){id, iova}, &page);
	ck_assert_uint_eq(alloc_count(), allocations);
	host_stats_read(world.host, &after);
	ck_assert_int_eq(memcmp(&before, &after, sizeof(before)), 0);
	ck_assert_str_eq(world.fake->trace, trace);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("maps");
	TCase *tcase = tcase_create("maps");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, nothing_is_told_of_a_host_without_sessions);
	tcase_add_test(tcase, a_mapping_is_told_with_its_owner_place_and_rights);
	tcase_add_test(tcase, memory_is_live_while_the_device_reaches_it_and_changing_while_a_worker_has_it);
	tcase_add_test(tcase, an_arena_that_changes_between_two_pages_is_told_without_gap_or_overlap);
	tcase_add_test(tcase, a_page_that_ends_in_an_arena_goes_on_behind_it);
	tcase_add_test(tcase, half_way_between_two_tables_nothing_is_claimed);
	tcase_add_test(tcase, a_released_buffer_is_told_until_its_address_is_free_and_never_beside_its_successor);
	tcase_add_test(tcase, a_session_whose_client_is_gone_is_told_until_its_memory_is);
	tcase_add_test(tcase, pages_are_complete_and_in_order_at_every_size);
	tcase_add_test(tcase, many_sessions_need_several_pages);
	tcase_add_test(tcase, what_stays_is_told_once_while_others_come_and_go);
	tcase_add_test(tcase, looking_allocates_nothing_and_changes_nothing);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
