/* SPDX-License-Identifier: Apache-2.0 */
/* Promises about two devices of a kind: when a session moves, what its old device has let go of by then, who is told.
 */
#include "daemon/policy/placement.h"

#include "tests/unit/daemon/world.h"

/* Three sessions: the first and the third on one device, the second alone on the other. */
struct scene {
	struct world world;
	struct session *first, *alone, *third;
	struct job *of_first, *of_alone, *of_third;
};

/* The workers' turn, and that of the timers that a session set when it arrived. */
static void settle(struct world *world)
{
	world_work(world);
	device_tick(world->device);
	device_tick(world->other);
	world_work(world);
}

static void scene_open(struct scene *scene, int tables)
{
	struct host_options options = world_options();

	world_open_on(&scene->world, &options, tables ? &fake_table_ops : &fake_vfio_ops);
	world_has_other(&scene->world);
	scene->first = world_session(&scene->world);
	scene->alone = world_session(&scene->world);
	scene->third = world_session(&scene->world);
	ck_assert_ptr_eq(scene->third->device, scene->world.device);
	ck_assert_ptr_eq(scene->alone->device, scene->world.other);
	scene->of_first = make_job(scene->first);
	scene->of_alone = make_job(scene->alone);
	scene->of_third = make_job(scene->third);
}

/* The third has been on the device and is idle; the first runs there. */
static void let_both_use_it(struct scene *scene)
{
	struct world *world = &scene->world;

	run(world, scene->third, scene->of_third);
	complete(world, scene->of_third);
	(void)next_result(scene->third, NULL);
	run(world, scene->first, scene->of_first);
	ck_assert_ptr_eq(scene->third->device, world->device);
	fake_now.v += PLACEMENT_STAY_NS;
}

/* A page table for each session that ran there. */
static unsigned tables_of(const struct fake *fake)
{
	unsigned count = 0;

	for (const struct vfio_space *space = fake->live_tables; space; space = space->next)
		count++;
	return count;
}

static void expect_moved(const struct scene *scene, const struct session *session, const struct device *to)
{
	ck_assert_ptr_eq(session->device, to);
	ck_assert_ptr_eq(session->seat, to);
	ck_assert_uint_eq(scene->world.device->sessions + scene->world.other->sessions, 3);
	ck_assert_uint_eq(session->share.device, to->index);
}

START_TEST(an_idle_session_moves_to_the_device_that_is_free)
{
	struct scene scene;
	scene_open(&scene, _i);
	struct world *world = &scene.world;

	uint64_t stays = run(world, scene.first, scene.of_first);
	uint64_t moves = run(world, scene.third, scene.of_third);
	expect_moved(&scene, scene.third, world->other);
	ck_assert_uint_eq(world->device->in_flight_count, 1);
	ck_assert_uint_eq(world->other->in_flight_count, 1);
	complete_other(world, scene.of_third);
	expect(scene.third, moves, OUT_DONE);
	complete(world, scene.of_first);
	expect(scene.first, stays, OUT_DONE);
	world_close(world);
}
END_TEST

/* What it had mapped there is gone before anything is mapped here; the same jobs run. */
START_TEST(the_old_device_lets_go_of_everything_before_the_session_arrives)
{
	struct scene scene;
	scene_open(&scene, _i);
	struct world *world = &scene.world;

	let_both_use_it(&scene);
	ck_assert_uint_eq(tables_of(world->fake), _i ? 2 : 0);
	uint64_t moves = submit(scene.third, scene.of_third);
	if (_i) {
		/* the worker has the table: nothing runs yet */
		ck_assert_ptr_eq(scene.third->device, world->device);
		ck_assert_uint_eq(scene.third->queue.load.in[SUBMISSION_WAITING], 1);
		ck_assert_uint_eq(world->other_fake->vfio.mappings, 0);
	}
	settle(world);
	expect_moved(&scene, scene.third, world->other);
	ck_assert_uint_eq(tables_of(world->fake), _i ? 1 : 0);
	/* the arena's first piece and the buffer, on each */
	ck_assert_uint_eq(world->fake->vfio.mappings, 2);
	ck_assert_uint_eq(world->other_fake->vfio.mappings, 2);
	ck_assert_uint_eq(world->device->mapping_count, 2);
	complete_other(world, scene.of_third);
	expect(scene.third, moves, OUT_DONE);
	world_close(world);
}
END_TEST

/* The devices count their tenures each for itself, and the numbers may be equal. */
START_TEST(every_job_is_mapped_anew_on_the_new_device)
{
	struct scene scene;
	scene_open(&scene, _i);
	struct world *world = &scene.world;
	struct job *more = make_job(scene.third);

	run(world, scene.third, more);
	complete(world, more);
	run(world, scene.third, scene.of_third);
	complete(world, scene.of_third);
	ck_assert_uint_eq(more->epoch, 2);
	run(world, scene.first, scene.of_first);
	submit(scene.third, scene.of_third);
	settle(world);
	ck_assert_uint_eq(world->other->epoch, 2);
	complete_other(world, scene.of_third);
	ck_assert_uint_eq(world->other_fake->vfio.mappings, 2);
	run(world, scene.third, more);
	ck_assert_uint_eq(world->other_fake->vfio.mappings, 3);
	ck_assert_uint_eq(world->other->in_flight_count, 1);
	world_close(world);
}
END_TEST

/* The worker has it already, and counted it. */
START_TEST(what_is_being_released_goes_before_the_session_does)
{
	struct scene scene;
	scene_open(&scene, _i);
	struct world *world = &scene.world;
	struct buffer *spare = make_buffer(scene.third, 8192, false);
	struct job *more = make_job_of(scene.third, spare, 1, false);

	run(world, scene.third, more);
	complete(world, more);
	run(world, scene.first, scene.of_first);
	ck_assert_int_eq(job_destroy(more, NULL), 0);
	ck_assert_int_eq(buffer_release_handle(scene.third, spare->handle, NULL), 0);
	ck_assert_uint_eq(scene.third->releases, 1);
	submit(scene.third, scene.of_third);
	ck_assert(!scene.third->leaving);
	settle(world);
	expect_moved(&scene, scene.third, world->other);
	ck_assert_uint_eq(world->device->mapping_count, 2);
	ck_assert_uint_eq(world->other->in_flight_count, 1);
	world_close(world);
}
END_TEST

/* In the middle of a change of tenure its memory is within the old device's reach. */
START_TEST(a_device_that_changes_hands_is_left_when_that_is_over)
{
	struct scene scene;
	scene_open(&scene, _i);
	struct world *world = &scene.world;

	run(world, scene.third, scene.of_third);
	complete(world, scene.of_third);
	submit(scene.first, scene.of_first);
	ck_assert_int_eq(world->device->state, DEV_SWITCHING);
	ck_assert_ptr_eq(world->device->attached, scene.third->space);
	submit(scene.third, scene.of_third);
	ck_assert_ptr_eq(scene.third->seat, world->other);
	ck_assert_ptr_eq(scene.third->device, world->device);
	settle(world);
	expect_moved(&scene, scene.third, world->other);
	ck_assert_uint_eq(world->other->in_flight_count, 1);
	ck_assert_uint_eq(world->device->in_flight_count, 1);
	world_close(world);
}
END_TEST

/* Nobody takes the device from it: what keeps its neighbour busy waits for something else. */
START_TEST(a_session_gives_up_the_device_that_it_holds)
{
	struct scene scene;
	scene_open(&scene, _i);
	struct world *world = &scene.world;
	struct session *waits = scene.first, *holder = scene.third;

	run(world, holder, scene.of_third);
	complete(world, scene.of_third);
	waits->active++;
	world->device->occupied++;
	submit(holder, scene.of_third);
	ck_assert_ptr_null(world->device->target);
	ck_assert_int_eq(world->device->state, DEV_SWITCHING);
	settle(world);
	expect_moved(&scene, holder, world->other);
	ck_assert_ptr_null(world->device->attached);
	ck_assert_uint_eq(world->fake->vfio.mappings, 0);
	waits->active--;
	world->device->occupied--;
	world_close(world);
}
END_TEST

START_TEST(a_session_goes_on_where_its_device_has_a_like)
{
	struct scene scene;
	struct session_event event;
	scene_open(&scene, _i);
	struct world *world = &scene.world;

	uint64_t lost = run(world, scene.first, scene.of_first);
	world->fake->gone = true;
	device_irq(world->device);
	world_work(world);
	expect_moved(&scene, scene.first, world->other);
	expect_moved(&scene, scene.third, world->other);
	/* in this order: what ended, where it sits now, what became of the device */
	session_peek_event(scene.first, &event);
	ck_assert_int_eq(event.kind, EVENT_DONE);
	ck_assert_uint_eq(submission_id(event.submission), lost);
	ck_assert_int_eq(event.submission->result.outcome, OUT_DEVICE_GONE);
	session_pop_event(scene.first, &event);
	session_peek_event(scene.first, &event);
	ck_assert_int_eq(event.kind, EVENT_MOVED);
	ck_assert_ptr_eq(event.device, world->other);
	session_pop_event(scene.first, &event);
	session_peek_event(scene.first, &event);
	ck_assert_int_eq(event.kind, EVENT_DEVICE);
	ck_assert_ptr_eq(event.device, world->device);
	/* the same job, at the same addresses */
	uint64_t again = run(world, scene.first, scene.of_first);
	complete_other(world, scene.of_first);
	expect(scene.first, again, OUT_DONE);
	world_close(world);
}
END_TEST

START_TEST(a_session_without_a_place_finds_one_when_a_device_returns)
{
	struct scene scene;
	struct fail fail;
	uint64_t submission;
	scene_open(&scene, _i);
	struct world *world = &scene.world;

	world_has_source(world);
	world->fake->gone = true;
	device_irq(world->device);
	world_work(world);
	world->other_fake->gone = true;
	device_irq(world->other);
	world_work(world);
	ck_assert_int_eq(try_submit(scene.alone, scene.of_alone, 0, &submission, &fail), -ENODEV);
	ck_assert_ptr_eq(scene.alone->device, world->other);
	world->fake->gone = false;
	pass_time(world, 2 * NSEC_PER_SEC);
	ck_assert_int_eq(world->device->state, DEV_READY);
	expect_moved(&scene, scene.alone, world->device);
	uint64_t again = run(world, scene.alone, scene.of_alone);
	complete(world, scene.of_alone);
	expect(scene.alone, again, OUT_DONE);
	world_close(world);
}
END_TEST

START_TEST(another_kind_of_device_is_no_place_to_go)
{
	struct scene scene;
	struct fail fail;
	uint64_t submission;
	scene_open(&scene, 0);
	struct world *world = &scene.world;

	if (_i == 0)
		world->other->identity.cores = 1;
	else if (_i == 1)
		world->other->reach.reserved[world->other->reach.reserved_count++] =
		    (struct iova_range){.first = 0x8000000, .bytes = 0x100000};
	else
		scene.first->stays = scene.third->stays = true;
	run(world, scene.first, scene.of_first);
	run(world, scene.third, scene.of_third);
	ck_assert_ptr_eq(scene.third->device, world->device);
	world->fake->gone = true;
	device_irq(world->device);
	world_work(world);
	ck_assert_ptr_eq(scene.third->device, world->device);
	ck_assert_int_eq(try_submit(scene.third, scene.of_third, 0, &submission, &fail), -ENODEV);
	ck_assert_uint_eq(scene.alone->active, 0);
	world_close(world);
}
END_TEST

/* A move that its client does not see the end of leaves nothing on either device. */
START_TEST(a_session_may_end_while_it_moves)
{
	struct scene scene;
	scene_open(&scene, _i);
	struct world *world = &scene.world;

	let_both_use_it(&scene);
	submit(scene.third, scene.of_third);
	session_close(scene.third);
	world_work(world);
	ck_assert_uint_eq(world->host->session_count, 2);
	ck_assert_uint_eq(world->other->sessions, 1);
	ck_assert_uint_eq(tables_of(world->fake), _i ? 1 : 0);
	ck_assert_uint_eq(world->other->occupied, 0);
	world_close(world);
}
END_TEST

START_TEST(what_is_cancelled_or_released_during_a_move_is_gone)
{
	struct scene scene;
	scene_open(&scene, 1);
	struct world *world = &scene.world;
	struct buffer *spare = make_buffer(scene.third, 4096, false);

	let_both_use_it(&scene);
	uint64_t submission = submit(scene.third, scene.of_third);
	ck_assert(scene.third->leaving);
	ck_assert_int_eq(session_cancel(scene.third, submission), CANCEL_QUEUED);
	uint64_t handle = spare->handle;
	ck_assert_int_eq(buffer_release_handle(scene.third, handle, NULL), 0);
	world_work(world);
	expect_moved(&scene, scene.third, world->other);
	ck_assert_uint_eq(scene.third->quota.used[QUOTA_BUFFERS], 1);
	ck_assert_uint_eq(scene.third->releases, 0);
	ck_assert_uint_eq(world->other->occupied, 0);
	uint64_t again = run(world, scene.third, scene.of_third);
	complete_other(world, scene.of_third);
	expect(scene.third, submission, OUT_CANCELLED);
	expect(scene.third, again, OUT_DONE);
	world_close(world);
}
END_TEST

/* Its client is told where it is, not where it would have been. */
START_TEST(a_device_that_goes_while_a_session_is_on_its_way_to_it_ends_what_waits)
{
	struct scene scene;
	scene_open(&scene, 1);
	struct world *world = &scene.world;

	let_both_use_it(&scene);
	uint64_t submission = submit(scene.third, scene.of_third);
	world->other_fake->gone = true;
	device_irq(world->other);
	expect(scene.third, submission, OUT_DEVICE_GONE);
	world_work(world);
	expect_moved(&scene, scene.third, world->device);
	expect_moved(&scene, scene.alone, world->device);
	world_close(world);
}
END_TEST

/* Memory that such a table still maps must not go back before the table does. */
START_TEST(a_table_that_cannot_be_freed_goes_with_the_transport)
{
	struct scene scene;
	scene_open(&scene, 1);
	struct world *world = &scene.world;

	world_has_source(world);
	let_both_use_it(&scene);
	complete(world, scene.of_first);
	run(world, scene.first, scene.of_first);
	submit(scene.third, scene.of_third);
	world->fake->failing = FAKE_SPACE_FREE;
	world_work(world);
	ck_assert_uint_eq(world->fake->opens, 1);
	device_tick(world->other);
	world_work(world);
	expect_moved(&scene, scene.third, world->other);
	ck_assert_uint_eq(world->other->in_flight_count, 1);
	world->fake->failing = 0;
	world_close(world);
}
END_TEST

/* Caches are tagged by bus address, and the memory there has changed since. */
START_TEST(a_session_that_returns_finds_clean_caches)
{
	struct scene scene;
	scene_open(&scene, 1);
	struct world *world = &scene.world;

	world->host->options.scrub = SCRUB_NONE;
	let_both_use_it(&scene);
	ck_assert_uint_ne(scene.first->space->slot, scene.third->space->slot);
	submit(scene.third, scene.of_third);
	settle(world);
	expect_moved(&scene, scene.third, world->other);
	complete_other(world, scene.of_third);
	run(world, scene.alone, scene.of_alone);
	complete(world, scene.of_first);
	fake_now.v += PLACEMENT_STAY_NS;
	world->fake->trace[0] = '\0';
	submit(scene.third, scene.of_third);
	settle(world);
	expect_moved(&scene, scene.third, world->device);
	ck_assert_ptr_nonnull(strchr(world->fake->trace, 'S'));
	world_close(world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("move");
	TCase *all = tcase_create("move");

	tcase_add_loop_test(all, an_idle_session_moves_to_the_device_that_is_free, 0, 2);
	tcase_add_loop_test(all, the_old_device_lets_go_of_everything_before_the_session_arrives, 0, 2);
	tcase_add_loop_test(all, every_job_is_mapped_anew_on_the_new_device, 0, 2);
	tcase_add_loop_test(all, what_is_being_released_goes_before_the_session_does, 0, 2);
	tcase_add_loop_test(all, a_device_that_changes_hands_is_left_when_that_is_over, 0, 2);
	tcase_add_loop_test(all, a_session_gives_up_the_device_that_it_holds, 0, 2);
	tcase_add_loop_test(all, a_session_goes_on_where_its_device_has_a_like, 0, 2);
	tcase_add_loop_test(all, a_session_without_a_place_finds_one_when_a_device_returns, 0, 2);
	tcase_add_loop_test(all, another_kind_of_device_is_no_place_to_go, 0, 3);
	tcase_add_loop_test(all, a_session_may_end_while_it_moves, 0, 2);
	tcase_add_test(all, what_is_cancelled_or_released_during_a_move_is_gone);
	tcase_add_test(all, a_device_that_goes_while_a_session_is_on_its_way_to_it_ends_what_waits);
	tcase_add_test(all, a_table_that_cannot_be_freed_goes_with_the_transport);
	tcase_add_test(all, a_session_that_returns_finds_clean_caches);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
