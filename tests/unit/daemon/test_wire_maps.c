/* SPDX-License-Identifier: Apache-2.0 */
/* The request for mappings over the wire: who may ask, in which version, and that the fullest page fits its frame. */
#include "tests/unit/daemon/wire_bench.h"

#define SLOT_BYTES (1ull << 32)

static Npud__ServerFrame *query(struct bench *bench, int fd, uint64_t session, uint64_t from_session,
				uint64_t from_iova)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__MapsQuery body = NPUD__MAPS_QUERY__INIT;

	body.session = session;
	body.from_session = from_session;
	body.from_iova = from_iova;
	request.body_case = NPUD__REQUEST__BODY_MAPS_QUERY;
	request.maps_query = &body;
	return ask(bench, fd, &request, NULL, 0);
}

START_TEST(a_client_without_the_right_learns_which_and_nothing_else)
{
	char texts[3][NPUD_MAX_ERROR_TEXT];
	struct bench bench;

	bench_open(&bench);
	int fd = client_of(&bench, 1000, RIGHTS_ALL & ~RIGHT_BIT(RIGHT_MAPS));
	for (unsigned i = 0; i < 3; i++) {
		/* whether there is such a session, and memory, or not */
		Npud__ServerFrame *frame = query(&bench, fd, i, 0, 0);
		ck_assert_ptr_nonnull(frame->reply->error);
		ck_assert_int_eq(frame->reply->error->code, NPUD__ERROR_CODE__ERROR_PERMISSION);
		ck_assert_int_eq(frame->reply->body_case, NPUD__REPLY__BODY__NOT_SET);
		(void)snprintf(texts[i], sizeof(texts[i]), "%s", frame->reply->error->message);
		drop(frame);
		if (i == 1)
			make_buffer(world_session(&bench.world), 8192, false);
	}
	ck_assert_ptr_nonnull(strstr(texts[0], "right \"maps\""));
	ck_assert_ptr_nonnull(strstr(texts[0], "rights.maps in npud.json"));
	ck_assert_str_eq(texts[0], texts[1]);
	ck_assert_str_eq(texts[0], texts[2]);
	/* and goes on working */
	ck_assert_int_eq(ping(&bench, fd), 0);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(the_right_alone_is_enough)
{
	struct bench bench;

	bench_open(&bench);
	struct session *session = world_session_of(&bench.world, 1234);
	const struct buffer *buffer = make_buffer(session, 8192, true);
	int fd = client_of(&bench, 1000, RIGHT_BIT(RIGHT_MAPS));
	Npud__ServerFrame *frame = query(&bench, fd, session->id, 0, 0);
	ck_assert_ptr_null(frame->reply->error);
	const Npud__Maps *maps = frame->reply->maps;
	ck_assert_uint_eq(maps->n_sessions, 1);
	ck_assert_uint_eq(maps->next_session, 0);
	const Npud__SessionMaps *told = maps->sessions[0];
	ck_assert_uint_eq(told->session, session->id);
	ck_assert_str_eq(told->device_name, "fake0");
	ck_assert_uint_eq(told->uid, 1234);
	ck_assert_uint_eq(told->slot, session->space->slot);
	ck_assert_uint_eq(told->n_maps, 1);
	ck_assert_uint_eq(told->maps[0]->iova, buffer->map.iova.v);
	ck_assert_uint_eq(told->maps[0]->iova / SLOT_BYTES, told->slot);
	ck_assert_uint_eq(told->maps[0]->bytes, 8192);
	ck_assert_int_eq(told->maps[0]->kind, NPUD__MAP_KIND__MAP_KIND_BUFFER);
	ck_assert_int_eq(told->maps[0]->state, NPUD__MAP_STATE__MAP_STATE_RESERVED);
	ck_assert(told->maps[0]->readable && !told->maps[0]->writable);
	drop(frame);
	ck_assert_int_eq(error_of(query(&bench, fd, 999, 0, 0)), NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
	ck_assert_int_eq(ping(&bench, fd), 0);
	close(fd);
	bench_close(&bench);
}
END_TEST

/* Not the size of a reply, but the widest page that can be. */
START_TEST(the_fullest_page_fits_its_frame)
{
	struct bench bench;

	bench_open(&bench);
	memset(bench.world.device->name, 'n', sizeof(bench.world.device->name) - 1);
	for (unsigned i = 0; i < NPUD_MAX_MAP_SESSIONS_PER_FRAME; i++) {
		struct session *session = world_session_of(&bench.world, UINT32_MAX);
		unsigned count = i == 0 ? 0 : i < 11 ? 5 : 14; /* 64 on the first page, and some more */
		for (unsigned k = 0; k < count; k++)
			make_buffer(session, 4096, false);
		session->identity.pid = INT32_MAX;
	}
	int fd = client_of(&bench, 1000, RIGHTS_ALL);
	Npud__ServerFrame *frame = query(&bench, fd, 0, 0, 0);
	ck_assert_ptr_null(frame->reply->error);
	ck_assert_uint_eq(frame->reply->maps->n_sessions, NPUD_MAX_MAP_SESSIONS_PER_FRAME);
	ck_assert_uint_eq(frame->reply->maps->next_session, NPUD_MAX_MAP_SESSIONS_PER_FRAME + 1);
	size_t told = 0;
	for (size_t i = 0; i < frame->reply->maps->n_sessions; i++)
		told += frame->reply->maps->sessions[i]->n_maps;
	ck_assert_uint_eq(told, NPUD_MAX_MAPS_PER_FRAME);
	drop(frame);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(an_older_client_does_not_know_the_request)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__Hello body = NPUD__HELLO__INIT;
	struct bench bench;
	int fd;

	bench_open(&bench);
	fd = admit(&bench, 0, RIGHTS_ALL, &bench.world.host->options.tenants.fallback);
	body.major = NPUD_PROTOCOL_MAJOR;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &body;
	ck_assert_int_eq(error_of(ask(&bench, fd, &request, NULL, 0)), 0);
	ck_assert_int_eq(ping(&bench, fd), 0);
	ck_assert_int_eq(error_of(query(&bench, fd, 0, 0, 0)), NPUD__ERROR_CODE__ERROR_PROTOCOL);
	ck_assert(is_closed(fd));
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(nobody_asks_before_hello_or_with_descriptors)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__MapsQuery body = NPUD__MAPS_QUERY__INIT;
	struct bench bench;
	int fd, stranger = 0;

	bench_open(&bench);
	fd = admit(&bench, 0, RIGHTS_ALL, &bench.world.host->options.tenants.fallback);
	ck_assert_int_eq(error_of(query(&bench, fd, 0, 0, 0)), NPUD__ERROR_CODE__ERROR_PROTOCOL);
	close(fd);
	fd = client_of(&bench, 0, RIGHTS_ALL);
	request.body_case = NPUD__REQUEST__BODY_MAPS_QUERY;
	request.maps_query = &body;
	ck_assert_int_eq(error_of(ask(&bench, fd, &request, &stranger, 1)), NPUD__ERROR_CODE__ERROR_PROTOCOL);
	ck_assert(is_closed(fd));
	close(fd);
	bench_close(&bench);
}
END_TEST

/* The real way in: whoever runs this test, connected through the socket. */
START_TEST(rights_follow_from_the_peer_and_the_rules)
{
	struct bench bench;

	bench_open(&bench);
	struct right_rule *rule = &bench.world.host->options.rights.of[RIGHT_MAPS];
	int before = client(&bench);
	bool root = getuid() == 0;
	ck_assert_int_eq(error_of(query(&bench, before, 0, 0, 0)), root ? 0 : NPUD__ERROR_CODE__ERROR_PERMISSION);
	rule->users = (struct right_ids){.count = 1, .id = {getuid()}};
	int by_user = client(&bench);
	ck_assert_int_eq(error_of(query(&bench, by_user, 0, 0, 0)), 0);
	rule->users.count = 0;
	rule->groups = (struct right_ids){.count = 1, .id = {getgid()}};
	int by_group = client(&bench);
	ck_assert_int_eq(error_of(query(&bench, by_group, 0, 0, 0)), 0);
	/* decided at accept, never again */
	rule->groups.count = 0;
	ck_assert_int_eq(error_of(query(&bench, by_user, 0, 0, 0)), 0);
	ck_assert_int_eq(error_of(query(&bench, before, 0, 0, 0)), root ? 0 : NPUD__ERROR_CODE__ERROR_PERMISSION);
	close(before);
	close(by_user);
	close(by_group);
	bench_close(&bench);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire_maps");
	TCase *tcase = tcase_create("wire_maps");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_client_without_the_right_learns_which_and_nothing_else);
	tcase_add_test(tcase, the_right_alone_is_enough);
	tcase_add_test(tcase, the_fullest_page_fits_its_frame);
	tcase_add_test(tcase, an_older_client_does_not_know_the_request);
	tcase_add_test(tcase, nobody_asks_before_hello_or_with_descriptors);
	tcase_add_test(tcase, rights_follow_from_the_peer_and_the_rules);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
