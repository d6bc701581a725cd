/* SPDX-License-Identifier: Apache-2.0 */
/* The table of mappings as the library puts it together, from a daemon that is good, old, unwilling, or out of order.
 */
#include "tests/unit/libclient/session.h"

#define SESSIONS 20ul
#define MAPS_EACH 100ul

/* Session k has MAPS_EACH mappings from k << 32 on; a page has up to `page_maps` of one session. */
static void answer_page(struct fake *daemon, Npud__Reply *reply, uint64_t session, uint64_t from_iova,
			uint64_t last_session, uint32_t page_maps)
{
	static char name[] = "npu0";
	Npud__Maps maps = NPUD__MAPS__INIT;
	Npud__SessionMaps part = NPUD__SESSION_MAPS__INIT, *parts[] = {&part};
	Npud__Map entries[NPUD_MAX_MAPS_PER_FRAME + 1], *list[NPUD_MAX_MAPS_PER_FRAME + 1];
	uint64_t base = session << 32, first = from_iova > base ? (from_iova - base + 4095) / 4096 : 0;

	part.session = session;
	part.device_name = name;
	part.uid = 1000 + (uint32_t)session;
	part.map_count = MAPS_EACH;
	part.map_bytes = MAPS_EACH * 4096;
	for (; part.n_maps < page_maps && first + part.n_maps < MAPS_EACH; part.n_maps++) {
		npud__map__init(&entries[part.n_maps]);
		entries[part.n_maps].iova = base + (first + part.n_maps) * 4096;
		entries[part.n_maps].bytes = 4096;
		entries[part.n_maps].kind = NPUD__MAP_KIND__MAP_KIND_BUFFER;
		entries[part.n_maps].state = NPUD__MAP_STATE__MAP_STATE_LIVE;
		entries[part.n_maps].readable = 1;
		list[part.n_maps] = &entries[part.n_maps];
	}
	part.maps = list;
	maps.sessions = parts;
	maps.n_sessions = 1;
	if (first + part.n_maps < MAPS_EACH) {
		maps.next_session = session;
		maps.next_iova = base + (first + part.n_maps) * 4096;
	} else if (session < last_session) {
		maps.next_session = session + 1;
	}
	reply->body_case = NPUD__REPLY__BODY_MAPS;
	reply->maps = &maps;
	fake_reply(daemon, reply);
}

static void answer(struct fake *daemon, Npud__Reply *reply, const Npud__MapsQuery *query)
{
	uint64_t session = query->from_session ? query->from_session : query->session ? query->session : 1;

	answer_page(daemon, reply, session, query->from_session ? query->from_iova : 0,
		    query->session ? query->session : SESSIONS, NPUD_MAX_MAPS_PER_FRAME);
}

static void answer_too_much(struct fake *daemon, Npud__Reply *reply, const Npud__MapsQuery *query)
{
	(void)query;
	answer_page(daemon, reply, 1, 0, 1, NPUD_MAX_MAPS_PER_FRAME + 1);
}

/* Always the first page: where to go on never moves. */
static void answer_in_a_circle(struct fake *daemon, Npud__Reply *reply, const Npud__MapsQuery *query)
{
	(void)query;
	answer_page(daemon, reply, 3, 0, 9, 8);
}

static void answer_too_many_sessions(struct fake *daemon, Npud__Reply *reply, const Npud__MapsQuery *query)
{
	Npud__SessionMaps part = NPUD__SESSION_MAPS__INIT, *parts[NPUD_MAX_MAP_SESSIONS_PER_FRAME + 1];
	Npud__Maps maps = NPUD__MAPS__INIT;

	(void)query;
	for (uint32_t i = 0; i <= NPUD_MAX_MAP_SESSIONS_PER_FRAME; i++)
		parts[i] = &part;
	maps.sessions = parts;
	maps.n_sessions = NPUD_MAX_MAP_SESSIONS_PER_FRAME + 1;
	reply->body_case = NPUD__REPLY__BODY_MAPS;
	reply->maps = &maps;
	fake_reply(daemon, reply);
}

static void answer_nothing(struct fake *daemon, Npud__Reply *reply, const Npud__MapsQuery *query)
{
	Npud__Maps maps = NPUD__MAPS__INIT;

	(void)query;
	reply->body_case = NPUD__REPLY__BODY_MAPS;
	reply->maps = &maps;
	fake_reply(daemon, reply);
}

static void answer_no(struct fake *daemon, Npud__Reply *reply, const Npud__MapsQuery *query)
{
	(void)query;
	fake_refuse(daemon, reply->serial, NPUD__ERROR_CODE__ERROR_PERMISSION, "needs the right \"maps\"");
}

static void begin_with(uint32_t minor, void (*maps)(struct fake *, Npud__Reply *, const Npud__MapsQuery *))
{
	start();
	fake.minor = minor;
	fake.maps = maps;
	begin();
}

START_TEST(pages_become_one_table)
{
	struct npu_maps *maps = NULL;
	struct npu_maps_session session;
	struct npu_map map;

	begin_with(1, answer);
	ck_assert_msg(npu_maps_read(npu, 0, &maps) == 0, "%s", npu_error());
	npu_disconnect(npu); /* the table needs it no more */
	npu = NULL;
	ck_assert_uint_eq(npu_maps_session_count(maps), SESSIONS);
	ck_assert_uint_eq(npu_maps_count(maps), SESSIONS * MAPS_EACH);
	for (size_t i = 0; i < SESSIONS; i++) {
		ck_assert_int_eq(npu_maps_session(maps, i, &session), 0);
		ck_assert_uint_eq(session.session, i + 1);
		ck_assert_uint_eq(session.uid, 1001 + i);
		ck_assert_str_eq(session.device_name, "npu0");
		ck_assert_uint_eq(session.map_count, MAPS_EACH);
	}
	for (size_t i = 0; i < SESSIONS * MAPS_EACH; i++) {
		ck_assert_int_eq(npu_maps_entry(maps, i, &map), 0);
		ck_assert_uint_eq(map.session, i / MAPS_EACH + 1);
		ck_assert_uint_eq(map.iova, (map.session << 32) + i % MAPS_EACH * 4096);
		ck_assert(map.readable && !map.writable);
		ck_assert_int_eq(map.state, NPU_MAP_LIVE);
	}
	ck_assert_int_eq(npu_maps_session(maps, SESSIONS, &session), -ENOENT);
	ck_assert_int_eq(npu_maps_entry(maps, SIZE_MAX, &map), -ENOENT);
	npu_maps_free(maps);
	npu_maps_free(NULL);
	finish();
}
END_TEST

START_TEST(one_session_is_asked_for_alone)
{
	struct npu_maps *maps = NULL;
	struct npu_maps_session session;

	begin_with(1, answer);
	ck_assert_int_eq(npu_maps_read(npu, 7, &maps), 0);
	ck_assert_uint_eq(npu_maps_session_count(maps), 1);
	ck_assert_uint_eq(npu_maps_count(maps), MAPS_EACH);
	ck_assert_int_eq(npu_maps_session(maps, 0, &session), 0);
	ck_assert_uint_eq(session.session, 7);
	npu_maps_free(maps);
	finish();
}
END_TEST

START_TEST(nobody_there_is_an_empty_table)
{
	struct npu_maps *maps = NULL;

	begin_with(1, answer_nothing);
	ck_assert_int_eq(npu_maps_read(npu, 0, &maps), 0);
	ck_assert_uint_eq(npu_maps_session_count(maps), 0);
	ck_assert_uint_eq(npu_maps_count(maps), 0);
	npu_maps_free(maps);
	finish();
}
END_TEST

START_TEST(an_older_daemon_is_not_asked)
{
	struct npu_maps *maps = NULL;

	begin_with(0, NULL); /* it would hang up */
	ck_assert_int_eq(npu_maps_read(npu, 0, &maps), -ENOTSUP);
	ck_assert_ptr_null(maps);
	ck_assert_ptr_nonnull(strstr(npu_error(), "protocol 1.0"));
	ck_assert_int_eq(npu_ping(npu), 0);
	finish();
}
END_TEST

START_TEST(a_newer_daemon_is_asked)
{
	struct npu_maps *maps = NULL;

	begin_with(NPUD_PROTOCOL_MINOR + 5, answer);
	ck_assert_int_eq(npu_maps_read(npu, 1, &maps), 0);
	npu_maps_free(maps);
	finish();
}
END_TEST

START_TEST(a_missing_right_is_named)
{
	struct npu_maps *maps = NULL;

	begin_with(1, answer_no);
	ck_assert_int_eq(npu_maps_read(npu, 0, &maps), -EACCES);
	ck_assert_ptr_null(maps);
	ck_assert_ptr_nonnull(strstr(npu_error(), "needs the right \"maps\""));
	finish();
}
END_TEST

START_TEST(a_daemon_out_of_order_is_not_followed)
{
	static void (*const wrong[])(struct fake *, Npud__Reply *, const Npud__MapsQuery *) = {
	    answer_too_much, answer_in_a_circle, answer_too_many_sessions};
	struct npu_maps *maps = NULL;

	begin_with(1, wrong[_i]);
	ck_assert_int_eq(npu_maps_read(npu, 0, &maps), -EPROTO);
	ck_assert_ptr_null(maps);
	ck_assert_int_eq(npu_ping(npu), 0);
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("maps");
	TCase *tests = tcase_create("maps");

	tcase_add_test(tests, pages_become_one_table);
	tcase_add_test(tests, one_session_is_asked_for_alone);
	tcase_add_test(tests, nobody_there_is_an_empty_table);
	tcase_add_test(tests, an_older_daemon_is_not_asked);
	tcase_add_test(tests, a_newer_daemon_is_asked);
	tcase_add_test(tests, a_missing_right_is_named);
	tcase_add_loop_test(tests, a_daemon_out_of_order_is_not_followed, 0, 3);
	suite_add_tcase(suite, tests);
	return suite_main(suite);
}
