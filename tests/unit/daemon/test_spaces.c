/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promises about sessions that share an address space: who shares with whom, that work of several of them is on the
 * device at once, and that neither the end nor the fault of one costs the others anything. Each holds on a device with
 * one table and on one with several.
 */
#include "daemon/core/control.h"
#include "daemon/core/offence.h"
#include "tests/unit/daemon/world.h"

#define WAYS 2 /* a device with one table, with several */
#define ANN 1000
#define BEN 1001

static void open_sharing(struct world *world, enum tenant_space kind, int way)
{
	struct host_options options = world_options();

	options.tenants.fallback.address_space = kind;
	options.max_in_flight = 3;
	options.max_in_flight_ns = UINT64_MAX;
	world_open_on(world, &options, way ? &fake_table_ops : &fake_vfio_ops);
}

static bool is_mapped(const struct world *world, const struct buffer *buffer)
{
	for (unsigned i = 0; i < FAKE_MAPS; i++)
		if (world->fake->maps[i].bytes && world->fake->maps[i].iova == buffer->map.iova.v)
			return true;
	return false;
}

/* ------------------------------------------------------------------ with whom */

START_TEST(without_a_word_of_the_operator_every_session_has_its_own)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_PRIVATE, _i);
	const struct session *a = world_session_of(&world, ANN), *b = world_session_of(&world, ANN);

	ck_assert_ptr_ne(a->space, b->space);
	ck_assert_uint_ne(a->space->slot, b->space->slot);
	world_close(&world);
}
END_TEST

START_TEST(a_tenant_shares_with_itself_and_with_no_other)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	struct session *a = world_session_of(&world, ANN), *b = world_session_of(&world, ANN);
	const struct session *other = world_session_of(&world, BEN);

	ck_assert_ptr_eq(a->space, b->space);
	ck_assert_ptr_ne(a->space, other->space);
	/* one set of addresses, each given once */
	ck_assert_uint_ne(make_buffer(a, 8192, false)->map.iova.v, make_buffer(b, 8192, false)->map.iova.v);
	ck_assert_uint_ne(make_job(a)->arena_offset, make_job(b)->arena_offset);
	world_close(&world);
}
END_TEST

START_TEST(those_who_trust_everyone_share_across_tenants)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_SHARED, _i);
	const struct session *a = world_session_of(&world, ANN), *b = world_session_of(&world, BEN);

	ck_assert_ptr_eq(a->space, b->space);
	ck_assert_ptr_ne(a->tenant, b->tenant);
	world_close(&world);
}
END_TEST

START_TEST(each_device_has_a_space_of_its_own)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	world_has_other(&world);
	const struct session *a = world_session(&world), *b = world_session(&world), *c = world_session(&world);

	ck_assert_ptr_ne(a->device, b->device);
	ck_assert_ptr_ne(a->space, b->space);
	ck_assert_ptr_eq(a->device, c->device);
	ck_assert_ptr_eq(a->space, c->space);
	world_close(&world);
}
END_TEST

/* The addresses that its jobs were made for are the others', too. */
START_TEST(who_shares_stays_where_it_is)
{
	static const enum tenant_space kinds[] = {TENANT_SPACE_PRIVATE, TENANT_SPACE_TENANT};

	for (int kind = 0; kind < 2; kind++) {
		struct world world;
		open_sharing(&world, kinds[kind], _i);
		world_has_other(&world);
		struct session *session = world_session(&world);
		const struct job *job = make_job(session);
		world.device->occupied++; /* somebody else keeps it busy, and the other one is idle */
		uint64_t submission = run(&world, session, job);
		ck_assert_ptr_eq(session->device, kind ? world.device : world.other);
		if (kind)
			complete(&world, job);
		else
			complete_other(&world, job);
		expect(session, submission, OUT_DONE);
		world.device->occupied--;
		world_close(&world);
	}
}
END_TEST

START_TEST(who_shares_is_refused_by_a_drained_device_and_told_what_helps)
{
	struct world world;
	struct fail fail;
	uint64_t submission;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	world_has_other(&world);
	struct session *session = world_session(&world);
	const struct job *job = make_job(session);

	control_drain(session, world.device);
	ck_assert_int_eq(try_submit(session, job, 0, &submission, &fail), -ENODEV);
	ck_assert_msg(strstr(fail.text, "connect again for another device") != NULL, "%s", fail.text);
	/* who does so shares with nobody on the drained one */
	ck_assert_ptr_eq(world_session(&world)->device, world.other);
	control_resume(session, world.device);
	submission = run(&world, session, job);
	complete(&world, job);
	expect(session, submission, OUT_DONE);
	world_close(&world);
}
END_TEST

/* ------------------------------------------------------------------ one tenure */

START_TEST(work_of_several_sessions_is_on_the_device_at_once)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);

	uint64_t first = run(&world, a, one), second = run(&world, b, two);
	ck_assert_uint_eq(world.device->in_flight_count, 2);
	complete(&world, one);
	expect(a, first, OUT_DONE);
	ck_assert(!has_result(b));
	complete(&world, two);
	expect(b, second, OUT_DONE);
	/* nothing was switched, reset or scrubbed between them */
	ck_assert_uint_eq(world.device->counters.tenures, 1);
	ck_assert_ptr_null(strchr(world.fake->trace, 'S'));
	ck_assert_ptr_null(strchr(world.fake->trace, 'd'));
	world_close(&world);
}
END_TEST

START_TEST(between_spaces_the_device_is_still_reset)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	struct session *a = world_session_of(&world, ANN), *other = world_session_of(&world, BEN);
	struct job *one = make_job(a), *two = make_job(other);

	run(&world, a, one);
	complete(&world, one);
	world.fake->trace[0] = '\0';
	run(&world, other, two);
	ck_assert_ptr_nonnull(strchr(world.fake->trace, 'S'));
	ck_assert_ptr_eq(world.device->attached, other->space);
	complete(&world, two);
	world_close(&world);
}
END_TEST

/* ------------------------------------------------------------------ the end of one */

START_TEST(memory_of_one_is_unmapped_before_it_returns_while_the_others_run)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct buffer *memory = make_buffer(a, 8192, false);
	struct job *one = make_job_of(a, memory, 1, false), *two = make_job(b);

	run(&world, a, one);
	complete(&world, one);
	uint64_t running = run(&world, b, two);
	ck_assert(is_mapped(&world, memory));
	const uint64_t where = memory->map.iova.v;
	session_close(a);
	world_work(&world);
	ck_assert_uint_eq(world.host->session_count, 1);
	for (unsigned i = 0; i < FAKE_MAPS; i++)
		ck_assert(!world.fake->maps[i].bytes || world.fake->maps[i].iova != where);
	complete(&world, two);
	expect(b, running, OUT_DONE);
	ck_assert_uint_eq(world.device->counters.tenures, 1);
	ck_assert_uint_eq(world.host->slot_spaces[b->space->slot], 1);
	world_close(&world);
}
END_TEST

START_TEST(the_last_takes_the_space_with_it)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);
	uint32_t slot = a->space->slot;

	run(&world, a, one);
	run(&world, b, two);
	session_close(a);
	session_close(b);
	world_work(&world);
	ck_assert_uint_eq(world.host->session_count, 0);
	ck_assert_uint_eq(world.host->slot_spaces[slot], 0);
	ck_assert(list_empty(&world.host->spaces));
	ck_assert_ptr_null(world.device->attached);
	ck_assert_ptr_null(world.fake->live_tables);
	world_close(&world);
}
END_TEST

START_TEST(who_comes_while_the_last_one_leaves_gets_a_new_space)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	struct session *a = world_session(&world);
	uint64_t left = a->space->id;

	session_close(a); /* it is the worker's now */
	struct session *b = world_session(&world);
	ck_assert_uint_ne(b->space->id, left);
	struct job *job = make_job(b);
	uint64_t submission = run(&world, b, job);
	complete(&world, job);
	expect(b, submission, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_session_may_end_while_the_device_changes_over_for_it)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);

	(void)submit(a, one);
	ck_assert_int_eq(world.device->state, DEV_SWITCHING);
	session_close(a);
	uint64_t waits = submit(b, two);
	world_work(&world);
	ck_assert_uint_eq(world.host->session_count, 1);
	complete(&world, two);
	expect(b, waits, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(what_one_cancels_costs_the_others_nothing)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);

	(void)run(&world, a, one);
	uint64_t behind = run(&world, b, two);
	world.fake->idle = 0;
	session_close(a); /* while its job runs */
	world_work(&world);
	ck_assert_uint_eq(world.host->session_count, 1);
	complete(&world, two);
	expect(b, behind, OUT_DONE);
	world_close(&world);
}
END_TEST

/* ------------------------------------------------------------------ the fault of one */

START_TEST(a_hang_of_one_costs_the_others_nothing)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	struct session *guilty = world_session(&world), *b = world_session(&world), *c = world_session(&world);
	struct job *hung = make_job(guilty), *two = make_job(b), *three = make_job(c);

	uint64_t ends = run(&world, guilty, hung), second = run(&world, b, two), third = run(&world, c, three);
	ck_assert_uint_eq(world.device->in_flight_count, 3);
	pass_time(&world, NSEC_PER_SEC);
	expect(guilty, ends, OUT_TIMEOUT);
	ck_assert(!has_result(b));
	ck_assert(!has_result(c));
	/* on the device again, in the order in which they came */
	ck_assert_uint_eq(submission_id(device_oldest(world.device)), second);
	complete(&world, two);
	complete(&world, three);
	expect(b, second, OUT_DONE);
	expect(c, third, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(only_the_guilty_has_a_point_against_it)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_SHARED, _i);
	struct session *guilty = world_session_of(&world, ANN), *b = world_session_of(&world, BEN);
	struct job *bad = make_job(guilty), *two = make_job(b);

	uint64_t ends = run(&world, guilty, bad), second = run(&world, b, two);
	report(&world, NPU_EVENT_EXCEPTION, job_last_tcb(bad).v, 0);
	device_irq(world.device);
	world_work(&world);
	expect(guilty, ends, OUT_EXCEPTION);
	ck_assert_uint_gt(guilty->offences.points, 0);
	ck_assert_uint_eq(b->offences.points, 0);
	complete(&world, two);
	expect(b, second, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(at_a_reset_only_what_ran_and_may_not_run_twice_is_lost)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);

	uint64_t started = run(&world, a, one), behind = run(&world, b, two);
	lose_the_device(&world);
	expect(a, started, OUT_DEVICE_RESET);
	ck_assert(!has_result(b));
	complete(&world, two);
	expect(b, behind, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(at_a_reset_what_may_run_twice_runs_again_before_what_waited_behind_it)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);

	uint64_t started = run_restartable(&world, one), behind = run(&world, b, two);
	lose_the_device(&world);
	ck_assert(!has_result(a));
	ck_assert(!has_result(b));
	ck_assert_uint_eq(submission_id(device_oldest(world.device)), started);
	complete(&world, one);
	complete(&world, two);
	expect(a, started, OUT_DONE);
	expect(b, behind, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(a_device_that_comes_back_maps_the_memory_of_all_anew)
{
	struct world world;
	open_sharing(&world, TENANT_SPACE_TENANT, _i);
	world_has_source(&world);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);

	run(&world, a, one);
	complete(&world, one);
	run(&world, b, two);
	complete(&world, two);
	world.fake->gone = true;
	device_irq(world.device);
	world_work(&world);
	ck_assert_int_eq(world.device->state, DEV_GONE);
	ck_assert_ptr_null(world.device->attached);
	world.fake->gone = false;
	pass_time(&world, NSEC_PER_SEC);
	ck_assert_int_eq(world.device->state, DEV_READY);
	(void)next_result(a, NULL);
	(void)next_result(b, NULL);
	uint64_t again = run(&world, b, two);
	complete(&world, two);
	expect(b, again, OUT_DONE);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spaces");
	TCase *tcase = tcase_create("spaces");

	tcase_add_loop_test(tcase, without_a_word_of_the_operator_every_session_has_its_own, 0, WAYS);
	tcase_add_loop_test(tcase, a_tenant_shares_with_itself_and_with_no_other, 0, WAYS);
	tcase_add_loop_test(tcase, those_who_trust_everyone_share_across_tenants, 0, WAYS);
	tcase_add_loop_test(tcase, each_device_has_a_space_of_its_own, 0, WAYS);
	tcase_add_loop_test(tcase, who_shares_stays_where_it_is, 0, WAYS);
	tcase_add_loop_test(tcase, who_shares_is_refused_by_a_drained_device_and_told_what_helps, 0, WAYS);
	tcase_add_loop_test(tcase, work_of_several_sessions_is_on_the_device_at_once, 0, WAYS);
	tcase_add_loop_test(tcase, between_spaces_the_device_is_still_reset, 0, WAYS);
	tcase_add_loop_test(tcase, memory_of_one_is_unmapped_before_it_returns_while_the_others_run, 0, WAYS);
	tcase_add_loop_test(tcase, the_last_takes_the_space_with_it, 0, WAYS);
	tcase_add_loop_test(tcase, who_comes_while_the_last_one_leaves_gets_a_new_space, 0, WAYS);
	tcase_add_loop_test(tcase, a_session_may_end_while_the_device_changes_over_for_it, 0, WAYS);
	tcase_add_loop_test(tcase, what_one_cancels_costs_the_others_nothing, 0, WAYS);
	tcase_add_loop_test(tcase, a_hang_of_one_costs_the_others_nothing, 0, WAYS);
	tcase_add_loop_test(tcase, only_the_guilty_has_a_point_against_it, 0, WAYS);
	tcase_add_loop_test(tcase, at_a_reset_only_what_ran_and_may_not_run_twice_is_lost, 0, WAYS);
	tcase_add_loop_test(tcase, at_a_reset_what_may_run_twice_runs_again_before_what_waited_behind_it, 0, WAYS);
	tcase_add_loop_test(tcase, a_device_that_comes_back_maps_the_memory_of_all_anew, 0, WAYS);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
