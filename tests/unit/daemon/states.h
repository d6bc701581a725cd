/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small daemon for exhaustive search: two sessions with three jobs on one device that can do all the harm there is,
 * the events that may befall them, what has to be true after each, and a number that stands for the state they are in.
 */
#ifndef NPUD_TESTS_STATES_H
#define NPUD_TESTS_STATES_H

#include "tests/unit/quiet.h"

#include "daemon/core/control.h"
#include "daemon/core/offence.h"
#include "tests/unit/daemon/world.h"

#define SCENE_SESSIONS 2
#define SCENE_JOBS 2 /* per session */
#define SCENE_POOL 32u /* no path submits more in one session: the rest of its pool is free */
#define SCENE_LOG 256u

#define SCENE_EVENTS(X)                                                                                                \
	X(SUBMIT_A1)                                                                                                   \
	X(SUBMIT_A2)                                                                                                   \
	X(SUBMIT_B)                                                                                                    \
	X(CANCEL_A)                                                                                                    \
	X(RELEASE_A)                                                                                                   \
	X(PARDON_A)                                                                                                    \
	X(CLOSE_A)                                                                                                     \
	X(CLOSE_B)                                                                                                     \
	X(WORKER_DONE)                                                                                                 \
	X(WORKER_FAILS)                                                                                                \
	X(WORKER_REFUSED)                                                                                              \
	X(IRQ_DONE)                                                                                                    \
	X(IRQ_FAULT)                                                                                                   \
	X(IRQ_POOL_ERROR)                                                                                              \
	X(BUDGET_ENDS)                                                                                                 \
	X(FOUND_IDLE)                                                                                                  \
	X(VANISHES)                                                                                                    \
	X(RETURNS)                                                                                                     \
	X(WANTED_BACK)                                                                                                 \
	X(RESET)                                                                                                       \
	X(DRAIN)

#define SCENE_ENUMERATOR(name) EV_##name,
#define SCENE_NAME(name) #name,
enum scene_event { SCENE_EVENTS(SCENE_ENUMERATOR) EV_COUNT, EV_OPERATOR = EV_RESET };
static const char *const scene_event_names[] = {SCENE_EVENTS(SCENE_NAME)};

struct scene {
	struct world world;
	struct session *session[SCENE_SESSIONS]; /* NULL: gone */
	uint64_t id[SCENE_SESSIONS];
	struct job *job[SCENE_SESSIONS][SCENE_JOBS]; /* NULL: gone */
	struct queue *queue; /* of the second job of A */
	struct buffer *buffer; /* of the first job of A; NULL: released */
	uint64_t accepted;
	uint64_t told[SCENE_POOL]; /* whose end the client of A has read */
	unsigned told_count;
	const char *wrong; /* the first rule that an event itself found broken */
	uint8_t log[SCENE_LOG]; /* events so far */
	unsigned logged;
	bool planted; /* a submission that is done is finished a second time */
};

static int scene_file = -1;
/* Who does it is only written down. */
static const struct session scene_operator = {.id = 7};

/* Descriptors of one file: what is in the memory does not matter here, making it does. */
static inline struct buffer *scene_buffer(struct session *session)
{
	const struct buffer_request request = {.bytes = 4096};
	struct buffer *buffer;

	ck_assert_int_eq(buffer_import(session, fcntl(scene_file, F_DUPFD_CLOEXEC, 0), &request, &buffer, NULL), 0);
	return buffer;
}

/* One that returns has one page table, one that does not keeps a table for each session. */
static inline void scene_open(struct scene *scene, bool returns, bool shares)
{
	struct host_options options = world_options();

	memset(scene, 0, sizeof(*scene));
	options.scheduler = &sched_fair;
	if (shares)
		options.tenants.fallback.address_space = TENANT_SPACE_SHARED;
	options.quarantine = (struct quarantine_rules){.session_threshold = 1, .half_life_ns = 86400 * NSEC_PER_SEC};
	world_open_on(&scene->world, &options, returns ? &fake_vfio_ops : &fake_table_ops);
	if (returns)
		world_has_source(&scene->world);
	struct session *a = world_session_of(&scene->world, 1000), *b = world_session_of(&scene->world, 1001);
	scene->session[0] = a;
	scene->session[1] = b;
	scene->id[0] = a->id;
	scene->id[1] = b->id;
	ck_assert_int_eq(queue_create(a, &(struct queue_options){.class = SCHED_NORMAL}, &scene->queue, NULL), 0);
	scene->buffer = scene_buffer(a);
	scene->job[0][0] = make_job_of(a, scene->buffer, 1, false);
	scene->job[0][1] = make_job_of(a, scene_buffer(a), 1, false);
	scene->job[1][0] = make_job_of(b, scene_buffer(b), 1, false);
}

/* ------------------------------------------------------------------ events */

/* A job has at most so many that have not ended: what waits is like what waits before it. */
static inline void scene_submit(struct scene *scene, int s, int j, unsigned most, bool restartable)
{
	struct session *session = scene->session[s];
	const struct job *job = scene->job[s][j];
	struct submit_reply reply;

	if (!session || session->closing || !job || job->active == most)
		return;
	const struct submit_request request = {
	    .job = job->handle, .queue = j ? scene->queue->handle : 0, .restartable = restartable};
	if (session_submit(session, &request, &reply, NULL) < 0)
		return;
	ck_assert_uint_lt(++scene->accepted, SCENE_POOL);
}

/* The oldest one that has not ended, else one that never was. */
static inline void scene_cancel(struct scene *scene)
{
	struct session *session = scene->session[0];
	const struct submission *oldest = NULL;

	if (!session || session->closing)
		return;
	for (uint32_t i = 0; session->pool && i < SCENE_POOL; i++) {
		const struct submission *this = &session->pool[i];
		if (this->job && (!oldest || this->item.arrival < oldest->item.arrival))
			oldest = this;
	}
	(void)session_cancel(session, oldest ? submission_id(oldest) : 99);
}

/* A reads what it is told at once; B never does. */
static inline void scene_read(struct scene *scene)
{
	struct session *session = scene->session[0];
	struct session_event event;

	for (;;) {
		session_peek_event(session, &event);
		if (event.kind == EVENT_NONE)
			return;
		for (unsigned i = 0; i < scene->told_count && event.kind == EVENT_DONE; i++)
			if (scene->told[i] == submission_id(event.submission))
				scene->wrong = "a client was told twice of the same end";
		ck_assert_uint_lt(scene->told_count, SCENE_POOL);
		if (event.kind == EVENT_DONE)
			scene->told[scene->told_count++] = submission_id(event.submission);
		session_pop_event(session, &event);
	}
}

static inline void scene_close_session(struct scene *scene, int s)
{
	if (!scene->session[s])
		return;
	session_close(scene->session[s]);
	for (int j = 0; j < SCENE_JOBS; j++)
		scene->job[s][j] = NULL;
	if (s == 0)
		scene->buffer = NULL;
}

/* The buffer of one job, and another job. */
static inline void scene_release(struct scene *scene)
{
	if (scene->buffer)
		(void)buffer_release_handle(scene->session[0], scene->buffer->handle, NULL);
	scene->buffer = NULL;
	if (scene->job[0][1] && job_destroy(scene->job[0][1], NULL) == 0)
		scene->job[0][1] = NULL;
}

static inline void scene_irq(struct scene *scene, int kind)
{
	struct device *device = scene->world.device;
	struct submission *oldest = device_oldest(device);
	uint32_t pointer = oldest && kind != NPU_EVENT_ERROR ? job_last_tcb(oldest->job).v : 0x12345680;
	struct job *job = oldest ? oldest->job : NULL;

	/* While the worker has the device, an end may come late; anything else may as well come afterwards. */
	if (scene->world.fake->event_count == 0 && (kind == NPU_EVENT_DONE || device->state == DEV_READY))
		report(&scene->world, kind, pointer, 0);
	if (kind == NPU_EVENT_DONE)
		scene->world.fake->idle = device->in_flight_count <= 1;
	device_irq(device);
	if (!scene->planted || !oldest || oldest->state != SUBMISSION_FINAL)
		return;
	/* What a forgotten check would do: the same end, once more. */
	struct submission_result result = oldest->result;
	oldest->state = SUBMISSION_RUNNING;
	oldest->job = job;
	submission_finish(oldest, &result, fake_now);
}

static inline void scene_tick(struct scene *scene, uint64_t ns)
{
	fake_now.v += ns;
	device_tick(scene->world.device);
}

/* One request of the worker and what the loop makes of it, with these calls failing meanwhile. */
static inline void scene_work(struct scene *scene, unsigned failing)
{
	scene->world.fake->failing = failing;
	(void)worker_step(scene->world.device->worker);
	scene->world.fake->failing = 0;
}

/* The line is watched while the loop owns the device. */
static inline void scene_vanish(struct scene *scene)
{
	scene->world.fake->gone = true;
	device_life(scene->world.device);
}

static inline void scene_want_back(struct scene *scene)
{
	scene->world.fake->release = true;
	device_life(scene->world.device);
	scene->world.fake->release = false;
}

static inline void scene_sessions_event(struct scene *scene, enum scene_event event)
{
	switch (event) {
	case EV_SUBMIT_A1:
		scene_submit(scene, 0, 0, 2, false);
		break;
	case EV_SUBMIT_A2:
		scene_submit(scene, 0, 1, 1, true);
		break;
	case EV_SUBMIT_B:
		scene_submit(scene, 1, 0, 1, false);
		break;
	case EV_CANCEL_A:
		scene_cancel(scene);
		break;
	case EV_RELEASE_A:
		scene_release(scene);
		break;
	case EV_PARDON_A:
		(void)offence_pardon_session(scene->world.host, scene->id[0], NULL);
		break;
	default:
		scene_close_session(scene, event == EV_CLOSE_B);
		break;
	}
}

static inline void scene_device_event(struct scene *scene, enum scene_event event)
{
	struct world *world = &scene->world;
	struct fake *fake = world->fake;

	switch (event) {
	case EV_WORKER_DONE:
		scene_work(scene, 0);
		break;
	case EV_WORKER_FAILS:
		scene_work(scene, FAKE_ABORT | FAKE_RESET | FAKE_VFIO_RESET | FAKE_CREATE | FAKE_MAP);
		break;
	case EV_WORKER_REFUSED:
		scene_work(scene, FAKE_DISPATCH | FAKE_OPEN);
		break;
	case EV_IRQ_DONE:
		scene_irq(scene, NPU_EVENT_DONE);
		break;
	case EV_IRQ_FAULT:
		scene_irq(scene, NPU_EVENT_FAULT);
		break;
	case EV_IRQ_POOL_ERROR:
		scene_irq(scene, NPU_EVENT_ERROR);
		break;
	case EV_BUDGET_ENDS:
		scene_tick(scene, NSEC_PER_SEC);
		break;
	case EV_FOUND_IDLE:
		fake->idle = 1;
		scene_tick(scene, 1);
		scene_tick(scene, 1); /* believed when it is seen twice */
		break;
	case EV_VANISHES:
		scene_vanish(scene);
		break;
	case EV_RETURNS:
		fake->gone = false;
		scene_tick(scene, world->device->retry_ns);
		break;
	case EV_WANTED_BACK:
		scene_want_back(scene);
		break;
	case EV_RESET:
		(void)control_reset(&scene_operator, world->device, NULL);
		break;
	default:
		(world->device->drained ? control_resume : control_drain)(&scene_operator, world->device);
		break;
	}
}

static inline void scene_apply(struct scene *scene, enum scene_event event)
{
	ck_assert_uint_lt(scene->logged, SCENE_LOG);
	scene->log[scene->logged++] = (uint8_t)event;
	if (event <= EV_CLOSE_B)
		scene_sessions_event(scene, event);
	else
		scene_device_event(scene, event);
	for (int s = 0; s < SCENE_SESSIONS; s++) {
		bool there = false;
		list_each (node, next, &scene->world.host->sessions)
			there |= list_entry(node, struct session, link)->id == scene->id[s];
		if (!there)
			scene->session[s] = NULL;
	}
	if (scene->session[0] && !scene->session[0]->closing)
		scene_read(scene);
}

/* ------------------------------------------------------------------ rules */

struct scene_census {
	uint64_t live, queued, running;
};

/* What the session's own books say must be what is there. */
static inline const char *session_wrong(const struct session *session, struct scene_census *census)
{
	uint64_t live = 0, jobs = 0, buffers = 0;

	for (uint32_t i = 0; session->pool && i < SCENE_POOL; i++) {
		const struct submission *this = &session->pool[i];
		bool queued = this->state == SUBMISSION_QUEUED, running = this->state == SUBMISSION_RUNNING;
		live += queued || running || this->state == SUBMISSION_WAITING;
		census->queued += queued;
		census->running += running;
		if ((this->item.own.state == SCHED_ITEM_QUEUED) != queued ||
		    (this->item.own.state == SCHED_ITEM_RUNNING) != running)
			return "the scheduler and the submission disagree";
		if ((this->job != NULL) != (queued || running || this->state == SUBMISSION_WAITING))
			return "a submission holds its job though it has ended, or the other way round";
		if ((queued || running) && list_first(&this->job->runs) != &this->turn)
			return "a submission is queued or running out of its turn";
	}
	if (session->active != live)
		return "the session does not know how many of its submissions live";
	census->live += live;
	for (const struct list *node = session->jobs.next; node != &session->jobs; node = node->next)
		jobs++;
	for (const struct list *node = session->buffers.next; node != &session->buffers; node = node->next)
		buffers += !list_entry(node, const struct buffer, link)->reaped;
	if (session->quota.used[QUOTA_JOBS] != jobs || session->quota.used[QUOTA_QUEUED] != live ||
	    session->quota.used[QUOTA_BUFFERS] < buffers)
		return "charges are not what is there";
	return NULL;
}

/* One submission of a job is queued or running, the others wait. */
static inline const char *job_wrong(const struct session *session, const struct job *job)
{
	unsigned active = 0, ahead = 0;

	for (uint32_t i = 0; session->pool && i < SCENE_POOL; i++) {
		const struct submission *this = &session->pool[i];
		active += this->job == job;
		ahead += this->job == job && this->state != SUBMISSION_WAITING;
	}
	if (job->active != active)
		return "a job does not know how many of its submissions live";
	if (ahead > 1)
		return "a prepared job is on the device or in its queue twice";
	return NULL;
}

static inline const char *device_wrong(const struct scene *scene, const struct scene_census *census)
{
	const struct device *device = scene->world.device;
	uint64_t in_flight = 0;

	for (const struct list *node = device->in_flight.next; node != &device->in_flight; node = node->next)
		in_flight++;
	if (device->in_flight_count != in_flight || census->running != in_flight)
		return "what is in flight is miscounted";
	/* Of a table that is not in use the loop lets go before the worker does. */
	if (!device->tables && !device->busy && !device->closed &&
	    device->mapping_count != scene->world.fake->vfio.mappings)
		return "mappings are miscounted";
	if (!device_is_usable(device) && !device->lost && census->queued + census->running)
		return "work waits for a device that is not there";
	if (device->state == DEV_READY && device->busy)
		return "the loop and the worker both own the device";
	if (device->state == DEV_RECOVERING && !device->recovery.climbing)
		return "a recovery has no rung";
	if (device->state == DEV_READY && device->attached && control_is_empty(device))
		return "an empty drained device is still somebody's";
	if (device->reset.wanted && (device->reset.state != RESET_RUNNING || !device_is_usable(device)))
		return "a reset is wanted of nobody, or that nobody wants";
	return NULL;
}

/* NULL, or the rule that is broken. */
static inline const char *scene_wrong(const struct scene *scene)
{
	const struct host *host = scene->world.host;
	struct scene_census census = {0};
	const char *wrong = scene->wrong;

	for (const struct list *node = host->sessions.next; !wrong && node != &host->sessions; node = node->next) {
		const struct session *session = list_entry(node, const struct session, link);
		wrong = session_wrong(session, &census);
		for (const struct list *job = session->jobs.next; !wrong && job != &session->jobs; job = job->next)
			wrong = job_wrong(session, list_entry(job, const struct job, link));
	}
	if (wrong)
		return wrong;
	if (host->counters.submissions != census.live)
		return "the host does not know how many submissions live";
	if (host->counters.completed + census.live != scene->accepted)
		return "a submission ended twice, or never";
	if (host->quota.used[QUOTA_SESSIONS] != host->session_count)
		return "sessions are charged wrongly";
	return device_wrong(scene, &census);
}

/* What world_close() asserts, in words, for which the path can be told. */
static inline const char *scene_left_over(struct world *world)
{
	list_each (node, next, &world->host->sessions)
		session_close(list_entry(node, struct session, link));
	world_work(world);
	if (world->host->session_count)
		return "a session never goes";
	if (!quota_is_clear(&world->host->quota))
		return "something stays charged";
	if (!world->device->closed && world->fake->vfio.mappings)
		return "something stays mapped";
	return NULL;
}

/* Left alone on a device that works, everything ends. */
static inline const char *scene_settle(struct scene *scene)
{
	struct world *world = &scene->world;
	const char *wrong = NULL;

	world->fake->gone = false;
	for (int i = 0; i < 24 && !wrong && world->host->counters.submissions; i++) {
		world_work(world);
		scene_tick(scene, NSEC_PER_SEC);
		wrong = scene_wrong(scene);
	}
	world_work(world);
	if (!wrong && world->host->counters.submissions)
		wrong = "a submission never ends";
	if (!wrong && world->device->reset.state == RESET_RUNNING)
		wrong = "a reset never ends";
	return wrong;
}

/* Whatever is going on, everybody leaves, and nothing is left. */
static inline const char *scene_end(struct scene *scene)
{
	scene->world.fake->gone = false;
	const char *wrong = scene_left_over(&scene->world);
	if (!wrong)
		world_close(&scene->world);
	return wrong;
}

/* ------------------------------------------------------------------ the state in a number */

static inline void mix(uint64_t *hash, uint64_t value)
{
	*hash = (*hash ^ value) * 0x9e3779b97f4a7c15ull;
	*hash ^= *hash >> 29;
}

static inline unsigned scene_who(const struct scene *scene, const struct session *session)
{
	for (unsigned s = 0; s < SCENE_SESSIONS; s++)
		if (session && scene->session[s] == session)
			return s + 1;
	return 0;
}

static inline void mix_submission(const struct scene *scene, uint64_t *hash, const struct submission *this)
{
	unsigned who = scene_who(scene, this->session);
	bool second = this->job == scene->job[this->session == scene->session[1]][1];

	mix(hash, who);
	mix(hash, this->state);
	mix(hash, second);
	mix(hash, this->cancel_wanted);
	mix(hash, this->attempts > 0);
	mix(hash, this->lost > 0);
}

static inline void mix_session(const struct scene *scene, uint64_t *hash, int s)
{
	const struct session *session = scene->session[s];

	mix(hash, session ? 1 + session->closing : 0);
	if (!session)
		return;
	mix(hash, session->offences.points > 0);
	for (int j = 0; j < SCENE_JOBS; j++) {
		const struct job *job = scene->job[s][j];
		mix(hash, job ? 1u + job->active : 0);
	}
	for (uint32_t i = 0; session->pool && i < SCENE_POOL; i++)
		if (session->pool[i].state == SUBMISSION_QUEUED)
			mix_submission(scene, hash, &session->pool[i]);
}

static inline uint64_t scene_hash(const struct scene *scene)
{
	const struct device *device = scene->world.device;
	const struct fake *fake = scene->world.fake;
	uint64_t hash = 1;

	const bool flags[] = {device->dirty,  device->evicting, device->lost, device->incident_pending,
			      device->redial, device->pool,     fake->gone,   scene->buffer != NULL,
			      device->drained};
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		mix(&hash, flags[i]);
	mix(&hash, device->state);
	mix(&hash, device->reset.state == RESET_RUNNING ? 1u + device->reset.wanted : 0);
	mix(&hash, device->busy ? device->work.op : 0);
	mix(&hash, device->recovery.climbing ? 1u + device->recovery.rung : 0);
	mix(&hash, device->attached != NULL);
	mix(&hash, scene_who(scene, device->holder));
	mix(&hash, scene_who(scene, device->next_holder));
	mix(&hash, fake->event_count);
	for (const struct list *node = device->in_flight.next; node != &device->in_flight; node = node->next)
		mix_submission(scene, &hash, list_entry(node, const struct submission, link));
	for (int s = 0; s < SCENE_SESSIONS; s++)
		mix_session(scene, &hash, s);
	return hash;
}

#endif
