/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two devices, and operators who drain, resume and reset them while four sessions work, in any order that chance makes
 * of it: nothing is lost, refused without reason, run twice at a time or left behind.
 */
#include "daemon/core/control.h"

#include "tests/sim/random.h"
#include "tests/unit/daemon/world.h"

#define SESSIONS 4
#define JOBS 2
#define STEPS 20000

struct scene {
	struct world world;
	struct random random;
	struct session *session[SESSIONS];
	struct job *job[SESSIONS][JOBS];
	uint64_t last[SESSIONS]; /* submission */
	uint64_t accepted, ended, refused;
	bool vanishing; /* devices also go and come */
	bool awake[2]; /* their timers are to fire at once */
};

static void watch(void *user, bool on)
{
	(void)user;
	(void)on;
}

static void arm(void *user, uint64_t ns)
{
	if (ns == 0)
		*(bool *)user = true;
}

static const struct session admin = {.id = 7};

static struct device *device_of(const struct scene *scene, uint32_t which)
{
	return which ? scene->world.other : scene->world.device;
}

static struct fake *fake_of_device(const struct scene *scene, uint32_t which)
{
	return which ? scene->world.other_fake : scene->world.fake;
}

static void open_session(struct scene *scene, uint32_t s)
{
	scene->session[s] = world_session(&scene->world);
	for (int j = 0; j < JOBS; j++)
		scene->job[s][j] = make_job(scene->session[s]);
}

static void scene_open(struct scene *scene, uint64_t seed, bool tables, bool vanishing)
{
	static const struct device_hooks hooks = {watch, arm, NULL};
	struct host_options options = world_options();

	memset(scene, 0, sizeof(*scene));
	options.scheduler = &sched_fair;
	options.default_budget_ns = options.max_budget_ns = 1000 * NSEC_PER_SEC;
	world_open_on(&scene->world, &options, tables ? &fake_table_ops : &fake_vfio_ops);
	world_has_other(&scene->world);
	for (uint32_t i = 0; i < 2; i++) {
		const struct device_source source = {fake_open, fake_of_device(scene, i)};
		device_set_source(device_of(scene, i), &source);
		device_set_hooks(device_of(scene, i), &hooks, &scene->awake[i]);
	}
	scene->random = (struct random){seed};
	scene->vanishing = vanishing;
	for (uint32_t s = 0; s < SESSIONS; s++)
		open_session(scene, s);
}

/* Only with a device that takes nothing is it refused. */
static void submit_some(struct scene *scene, uint32_t s, uint32_t j)
{
	const struct submit_request request = {.job = scene->job[s][j]->handle, .restartable = true};
	struct submit_reply reply;
	struct fail fail;

	if (scene->session[s]->active >= 6)
		return;
	int error = session_submit(scene->session[s], &request, &reply, &fail);
	if (error == 0) {
		scene->last[s] = reply.submission;
		scene->accepted++;
		return;
	}
	ck_assert_int_eq(error, -ENODEV);
	ck_assert_msg(!device_takes_new(scene->session[s]->seat), "%s", fail.text);
	scene->refused++;
}

static void complete_oldest(struct scene *scene, uint32_t which)
{
	struct device *device = device_of(scene, which);
	struct fake *fake = fake_of_device(scene, which);
	const struct submission *oldest = device_oldest(device);

	if (!oldest || device->state != DEV_READY)
		return;
	fake->events[fake->event_count++] =
	    (struct npu_event){.kind = NPU_EVENT_DONE, .tcb_pointer = job_last_tcb(oldest->job).v, .status = 0x201};
	fake->idle = device->in_flight_count <= 1;
	device_irq(device);
}

/* It does not come back before npud has seen that it went, and let go of it. */
static void come(struct scene *scene, uint32_t which)
{
	device_life(device_of(scene, which));
	if (device_of(scene, which)->closed)
		fake_of_device(scene, which)->gone = false;
	device_tick(device_of(scene, which));
}

static void go_or_come(struct scene *scene, uint32_t which)
{
	struct fake *fake = fake_of_device(scene, which);

	if (!fake->gone) {
		fake->gone = true;
		fake->event_count = 0;
	}
	come(scene, which);
}

static void read_events(struct scene *scene, struct session *session)
{
	struct session_event event;

	for (session_peek_event(session, &event); event.kind != EVENT_NONE; session_peek_event(session, &event)) {
		if (event.kind == EVENT_DONE) {
			enum outcome outcome = event.submission->result.outcome;
			ck_assert_msg(outcome == OUT_DONE || outcome == OUT_CANCELLED ||
					  (scene->vanishing && outcome == OUT_DEVICE_GONE),
				      "outcome %d", outcome);
			scene->ended++;
		}
		session_pop_event(session, &event);
	}
}

static void close_and_come_again(struct scene *scene, uint32_t s)
{
	read_events(scene, scene->session[s]);
	/* what it had is its own affair */
	scene->accepted -= scene->session[s]->active;
	session_close(scene->session[s]);
	open_session(scene, s);
}

static void step(struct scene *scene)
{
	uint32_t what = random_below(&scene->random, 1000), which = random_below(&scene->random, 2),
		 s = random_below(&scene->random, SESSIONS);
	struct device *device = device_of(scene, which);

	if (what < 300)
		submit_some(scene, s, random_below(&scene->random, JOBS));
	else if (what < 550)
		complete_oldest(scene, which);
	else if (what < 850)
		(void)worker_step(device->worker);
	else if (what < 900)
		control_drain(&admin, device);
	else if (what < 940)
		control_resume(&admin, device);
	else if (what < 955)
		(void)control_reset(&admin, device, NULL);
	else if (what < 980)
		fake_now.v += NSEC_PER_MSEC, device_tick(device);
	else if (what < 990)
		(void)session_cancel(scene->session[s], scene->last[s]);
	else if (what < 995)
		close_and_come_again(scene, s);
	else if (scene->vanishing)
		go_or_come(scene, which);
	for (uint32_t i = 0; i < 2; i++) {
		bool fires = scene->awake[i];
		scene->awake[i] = false;
		if (fires)
			device_tick(device_of(scene, i));
	}
	for (uint32_t i = 0; i < SESSIONS; i++)
		read_events(scene, scene->session[i]);
}

static bool is_live(const struct scene *scene)
{
	for (uint32_t s = 0; s < SESSIONS; s++)
		if (scene->session[s]->active)
			return true;
	return false;
}

/* Drained or not, with both devices there all that was accepted ends. */
static void settle(struct scene *scene)
{
	for (int i = 0; i < 500 && (i < 10 || is_live(scene)); i++) {
		for (uint32_t d = 0; d < 2; d++) {
			world_work(&scene->world);
			complete_oldest(scene, d);
			come(scene, d);
		}
	}
	world_work(&scene->world);
	ck_assert(!is_live(scene));
	for (uint32_t s = 0; s < SESSIONS; s++)
		read_events(scene, scene->session[s]);
}

START_TEST(nothing_is_lost_whatever_operators_do_to_two_devices)
{
	struct scene scene;

	scene_open(&scene, 4711 + (uint64_t)_i, _i & 1, _i & 2);
	for (int i = 0; i < STEPS; i++) {
		step(&scene);
		for (uint32_t d = 0; d < 2; d++) {
			const struct device *device = device_of(&scene, d);
			ck_assert(device->state != DEV_READY || !device->attached || !control_is_empty(device));
			ck_assert_uint_le(device->occupied, device->sessions);
		}
	}
	settle(&scene);
	ck_assert_uint_eq(scene.ended, scene.accepted);
	ck_assert_uint_gt(scene.refused, 0);
	ck_assert_uint_gt(scene.ended, STEPS / 20);
	for (uint32_t d = 0; d < 2; d++) {
		ck_assert_uint_gt(device_of(&scene, d)->counters.tenures, 10);
		ck_assert_uint_gt(device_of(&scene, d)->reset.number, 10);
	}
	world_close(&scene.world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control at random");
	TCase *tcase = tcase_create("control at random");

	tcase_add_loop_test(tcase, nothing_is_lost_whatever_operators_do_to_two_devices, 0, 8);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
