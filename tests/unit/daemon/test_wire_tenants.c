/* SPDX-License-Identifier: Apache-2.0 */
/* Over the wire: who is refused and how, and that each request needs its own right and no other. */
#include "daemon/core/tenant.h"
#include "tests/unit/daemon/wire_bench.h"

START_TEST(who_belongs_to_no_tenant_is_told_so_once)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__Hello body = NPUD__HELLO__INIT;
	struct bench bench;

	bench_open(&bench);
	int fd = admit(&bench, 1234, RIGHTS_NONE, NULL), other = client_of(&bench, 1000, RIGHTS_NONE);
	body.major = NPUD_PROTOCOL_MAJOR;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &body;
	Npud__ServerFrame *frame = ask(&bench, fd, &request, NULL, 0);
	ck_assert_ptr_nonnull(frame->reply->error);
	ck_assert_int_eq(frame->reply->error->code, NPUD__ERROR_CODE__ERROR_PERMISSION);
	ck_assert_ptr_nonnull(strstr(frame->reply->error->message, "user 1234 is in no tenant"));
	drop(frame);
	ck_assert(is_closed(fd));
	ck_assert_uint_eq(bench.world.host->session_count, 1);
	ck_assert_int_eq(ping(&bench, other), 0);
	close(fd);
	close(other);
	bench_close(&bench);
}
END_TEST

static void fill_import(Npud__Request *request)
{
	static Npud__BufferImport body;

	npud__buffer_import__init(&body);
	body.bytes = 8192;
	request->body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request->buffer_import = &body;
}

static void fill_submit(Npud__Request *request)
{
	static Npud__JobSubmit body;

	npud__job_submit__init(&body);
	request->body_case = NPUD__REQUEST__BODY_JOB_SUBMIT;
	request->job_submit = &body;
}

static void fill_stats(Npud__Request *request)
{
	static Npud__StatsQuery body;

	npud__stats_query__init(&body);
	request->body_case = NPUD__REQUEST__BODY_STATS_QUERY;
	request->stats_query = &body;
}

static void fill_maps(Npud__Request *request)
{
	static Npud__MapsQuery body;

	npud__maps_query__init(&body);
	request->body_case = NPUD__REQUEST__BODY_MAPS_QUERY;
	request->maps_query = &body;
}

static const struct {
	enum right right;
	void (*fill)(Npud__Request *request);
	bool carries_memory;
	Npud__ErrorCode with; /* what the request is answered once the right is there */
} guarded[] = {{RIGHT_IMPORT, fill_import, true, 0},
	       {RIGHT_SUBMIT, fill_submit, false, NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT},
	       {RIGHT_ADMIN, fill_stats, false, 0},
	       {RIGHT_MAPS, fill_maps, false, 0}};

static Npud__ServerFrame *try_guarded(struct bench *bench, int fd, int which)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	int memory = make_memory(8192, F_SEAL_SHRINK);

	guarded[which].fill(&request);
	Npud__ServerFrame *frame = ask(bench, fd, &request, &memory, guarded[which].carries_memory);
	close(memory);
	return frame;
}

START_TEST(a_request_needs_its_right_and_no_other)
{
	const uint32_t right = RIGHT_BIT(guarded[_i].right);
	char expected[64];
	struct bench bench;

	bench_open(&bench);
	int without = client_of(&bench, 1000, RIGHTS_ALL & ~right), with = client_of(&bench, 1000, right);
	unsigned before = count_open_fds();
	Npud__ServerFrame *frame = try_guarded(&bench, without, _i);
	ck_assert_ptr_nonnull(frame->reply->error);
	(void)snprintf(expected, sizeof(expected), "needs the right \"%s\"", right_name(guarded[_i].right));
	ck_assert_ptr_nonnull(strstr(frame->reply->error->message, expected));
	ck_assert_int_eq(error_of(frame), NPUD__ERROR_CODE__ERROR_PERMISSION);
	ck_assert_uint_eq(count_open_fds(), before); /* what came along is closed */
	ck_assert(quota_is_clear(&bench.world.host->quota) || bench.world.host->quota.used[QUOTA_BUFFERS] == 0);
	ck_assert_int_eq(ping(&bench, without), 0);
	ck_assert_int_eq(error_of(try_guarded(&bench, with, _i)), guarded[_i].with);
	close(without);
	close(with);
	bench_close(&bench);
}
END_TEST

START_TEST(what_a_client_always_may_needs_no_right)
{
	struct bench bench;

	bench_open(&bench);
	int fd = client_of(&bench, 1000, RIGHTS_NONE);
	ck_assert_int_eq(ping(&bench, fd), 0);
	close(fd);
	bench_close(&bench);
}
END_TEST

/* Our own uid is root's or the daemon's: it has every right, whatever its tenant has. */
START_TEST(a_peer_is_identified_when_it_is_accepted_and_stays_who_it_is)
{
	struct bench bench;

	bench_open(&bench);
	struct tenant_rules *rules = &bench.world.host->options.tenants;
	rules->rule[0].profile = rules->fallback;
	(void)snprintf(rules->rule[0].profile.name, TENANT_NAME_BYTES, "ours");
	rules->rule[0].match.who.users = (struct right_ids){.count = 1, .id = {getuid()}};
	rules->count = 1;
	int early = client_open(&bench);
	rules->count = 0;
	int late = client_open(&bench);
	ck_assert_int_eq(hello(&bench, late, NPUD_PROTOCOL_MAJOR), 0);
	ck_assert_int_eq(hello(&bench, early, NPUD_PROTOCOL_MAJOR), 0);
	struct session *first = list_entry(list_first(&bench.world.host->sessions), struct session, link);
	struct session *second = list_entry(first->link.next, struct session, link);
	ck_assert_str_eq(first->tenant->profile->name, "default");
	ck_assert_str_eq(second->tenant->profile->name, "ours");
	ck_assert_uint_eq(second->identity.rights, RIGHTS_ALL);
	close(early);
	close(late);
	bench_close(&bench);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire_tenants");
	TCase *tcase = tcase_create("wire_tenants");

	tcase_add_test(tcase, who_belongs_to_no_tenant_is_told_so_once);
	tcase_add_loop_test(tcase, a_request_needs_its_right_and_no_other, 0,
			    (int)(sizeof(guarded) / sizeof(guarded[0])));
	tcase_add_test(tcase, what_a_client_always_may_needs_no_right);
	tcase_add_test(tcase, a_peer_is_identified_when_it_is_accepted_and_stays_who_it_is);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
