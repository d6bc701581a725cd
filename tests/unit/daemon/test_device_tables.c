/* SPDX-License-Identifier: Apache-2.0 */
/* Promises about a device that keeps a page table per session: who is attached when, and what a switch costs. */
#include "tests/unit/daemon/world.h"

static void open_tables(struct world *world, enum scrub_mode scrub)
{
	struct host_options options = world_options();

	options.scrub = scrub;
	world_open_on(world, &options, &fake_table_ops);
}

START_TEST(a_session_is_mapped_once_and_switched_by_its_table)
{
	struct world world;
	open_tables(&world, SCRUB_NONE);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);

	run(&world, a, one);
	ck_assert_str_eq(world.fake->trace, "+mmtcD");
	complete(&world, one);
	run(&world, b, two);
	ck_assert_str_eq(world.fake->trace, "+mmtcDd+mmtcD");
	complete(&world, two);
	world.fake->trace[0] = '\0';
	run(&world, a, one);
	/* nothing is mapped or unmapped any more */
	ck_assert_str_eq(world.fake->trace, "dtcD");
	ck_assert_ptr_eq(world.fake->attached, a->space->io);
	complete(&world, one);
	world_close(&world);
}
END_TEST

START_TEST(a_reset_between_tenants_happens_before_the_next_table)
{
	struct world world;
	open_tables(&world, SCRUB_RESET);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);

	run(&world, a, one);
	complete(&world, one);
	world.fake->trace[0] = '\0';
	run(&world, b, two);
	ck_assert_str_eq(world.fake->trace, "dSi+mmtcD");
	complete(&world, two);
	world_close(&world);
}
END_TEST

START_TEST(global_memory_is_scrubbed_in_a_table_of_its_own)
{
	struct world world;
	open_tables(&world, SCRUB_GM);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);

	run(&world, a, one);
	complete(&world, one);
	world.fake->trace[0] = '\0';
	run(&world, b, two);
	ck_assert_str_eq(world.fake->trace, "d+mmtcDd0+mmtcD");
	complete(&world, two);
	run(&world, a, one);
	/* the scrubber's own table is kept */
	ck_assert_str_eq(world.fake->trace, "d+mmtcDd0+mmtcDdtcDd0tcD");
	complete(&world, one);
	world_close(&world);
}
END_TEST

START_TEST(memory_of_a_session_that_is_not_attached_goes_without_stopping_the_device)
{
	struct world world;
	open_tables(&world, SCRUB_NONE);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);
	struct buffer *more = make_buffer(a, 8192, false);
	struct job *third = make_job_of(a, more, 1, false);

	run(&world, a, third);
	complete(&world, third);
	run(&world, a, one);
	complete(&world, one);
	run(&world, b, two);
	ck_assert_int_eq(job_destroy(third, NULL), 0);
	ck_assert_int_eq(buffer_release_handle(a, more->handle, NULL), 0);
	/* the device belongs to the loop while the worker unmaps */
	ck_assert_int_eq(world.device->state, DEV_READY);
	world.fake->trace[0] = '\0';
	world_work(&world);
	ck_assert_str_eq(world.fake->trace, "u");
	complete(&world, two);
	world_close(&world);
}
END_TEST

START_TEST(a_session_that_ends_leaves_its_table_before_it_is_freed)
{
	struct world world;
	open_tables(&world, SCRUB_NONE);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);

	run(&world, a, one);
	complete(&world, one);
	run(&world, b, two);
	complete(&world, two);
	session_close(b);
	world_work(&world);
	ck_assert_uint_eq(world.host->session_count, 1);
	ck_assert_ptr_null(world.fake->attached);
	ck_assert_ptr_eq(world.fake->live_tables, a->space->io);
	ck_assert_ptr_null(a->space->io->next);
	/* and one that was not attached disturbs nobody */
	session_close(a);
	world_work(&world);
	ck_assert_ptr_null(world.fake->live_tables);
	world_close(&world);
}
END_TEST

START_TEST(a_table_that_cannot_be_attached_lets_nobody_in_before_a_reset)
{
	struct world world;
	open_tables(&world, SCRUB_NONE);
	world_has_source(&world);
	struct session *a = world_session(&world);
	struct job *one = make_job(a);

	world.fake->failing = FAKE_ATTACH;
	uint64_t submission = submit(a, one);
	/* switch fails, reset, attach of nothing fails, reopen */
	for (int i = 0; i < 8; i++)
		ck_assert(!worker_step(world.device->worker) || !strchr(world.fake->trace, 'D'));
	world.fake->failing = 0;
	world_work(&world);
	ck_assert_uint_ge(world.fake->opens, 1);
	complete(&world, one);
	expect(a, submission, OUT_DONE);
	world_close(&world);
}
END_TEST

START_TEST(slots_with_addresses_that_cannot_be_mapped_are_not_given_out)
{
	struct world world;
	open_tables(&world, SCRUB_NONE);
	/* an IOMMU that reaches 16 GiB, with an interrupt window in the arena of slot 2 */
	world.fake->vfio.reserved[0] = (struct iova_range){(2ull << 32) + ARENA_OFFSET, 0x1000};
	world.fake->vfio.reserved[1] = (struct iova_range){4ull << 32, 0 - (4ull << 32)};
	world.fake->vfio.reserved_count = 2;
	device_take_transport(world.device, &world.fake->vfio, &world.fake->npu);
	for (int i = 0; i < 6; i++) {
		struct session *session = world_session(&world);
		ck_assert(session->space->slot == 1 || session->space->slot == 3);
	}
	world_close(&world);
}
END_TEST

START_TEST(a_table_is_not_freed_while_a_recovery_may_exchange_the_transport)
{
	struct world world;
	open_tables(&world, SCRUB_NONE);
	world_has_source(&world);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct job *one = make_job(a), *two = make_job(b);

	run(&world, b, two);
	complete(&world, two);
	uint64_t hung = run(&world, a, one);
	world.fake->failing = FAKE_STAYS_BUSY | FAKE_RESET | FAKE_VFIO_RESET;
	fake_now.v += 2 * NSEC_PER_SEC;
	device_tick(world.device);
	ck_assert_int_eq(world.device->state, DEV_RECOVERING);
	session_close(b);
	ck_assert(!b->reaping);
	world_work(&world);
	expect(a, hung, OUT_TIMEOUT);
	ck_assert_uint_eq(world.fake->opens, 1);
	ck_assert_uint_eq(world.host->session_count, 1);
	world.fake->failing = 0;
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device tables");
	TCase *tcase = tcase_create("device tables");

	tcase_add_test(tcase, a_session_is_mapped_once_and_switched_by_its_table);
	tcase_add_test(tcase, a_reset_between_tenants_happens_before_the_next_table);
	tcase_add_test(tcase, global_memory_is_scrubbed_in_a_table_of_its_own);
	tcase_add_test(tcase, memory_of_a_session_that_is_not_attached_goes_without_stopping_the_device);
	tcase_add_test(tcase, a_session_that_ends_leaves_its_table_before_it_is_freed);
	tcase_add_test(tcase, a_table_that_cannot_be_attached_lets_nobody_in_before_a_reset);
	tcase_add_test(tcase, a_table_is_not_freed_while_a_recovery_may_exchange_the_transport);
	tcase_add_test(tcase, slots_with_addresses_that_cannot_be_mapped_are_not_given_out);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
