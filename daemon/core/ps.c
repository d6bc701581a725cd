/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of sessions in the order of their numbers, which is that of the host's list; see ps.h. */
#include "daemon/core/ps.h"

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/offence.h"
#include "daemon/core/session.h"
#include "daemon/core/tenant.h"
#include "daemon/util/clock.h"

/* A session that was alone on its device has all of it. */
static uint32_t share_of(const struct session *session)
{
	uint64_t worked = session->device->counters.used_ns - session->device_before_ns;

	return worked ? (uint32_t)((double)session->device_ns / (double)worked * SCHED_WHOLE + 0.5) : 0;
}

static void add_load(struct submission_load *sum, const struct queue *queue)
{
	for (unsigned state = SUBMISSION_WAITING; state <= SUBMISSION_RUNNING; state++)
		sum->in[state] += queue->load.in[state];
}

static bool is_live(const struct submission *submission)
{
	return submission->state >= SUBMISSION_WAITING && submission->state <= SUBMISSION_RUNNING;
}

/* The oldest, in their order. */
static void name_submissions(struct ps_session *row, const struct session *session)
{
	const struct submission *oldest[NPUD_MAX_PS_SUBMISSIONS];
	uint32_t count = 0;

	for (uint32_t i = 0; session->active && i < NPUD_MAX_INFLIGHT_EVENTS; i++) {
		const struct submission *submission = &session->pool[i];
		uint32_t at = count;
		if (!is_live(submission))
			continue;
		if (count < NPUD_MAX_PS_SUBMISSIONS)
			count++;
		else if (oldest[--at]->item.arrival < submission->item.arrival)
			continue;
		for (; at > 0 && oldest[at - 1]->item.arrival > submission->item.arrival; at--)
			oldest[at] = oldest[at - 1];
		oldest[at] = submission;
	}
	row->submission_count = count;
	for (uint32_t i = 0; i < count; i++)
		row->submissions[i] = submission_id(oldest[i]);
}

static enum ps_state state_of(struct session *session, nsec_t now)
{
	if (session->closing)
		return PS_CLOSING;
	return offence_check(session, now, NULL) < 0 ? PS_QUARANTINED : PS_OPEN;
}

static void fill(struct ps_session *row, struct session *session, nsec_t now)
{
	*row = (struct ps_session){
	    .id = session->id,
	    .tenant = tenant_name(session->tenant),
	    .pid = session->identity.pid,
	    .uid = session->identity.uid,
	    .client = session->client,
	    .device = session->device,
	    .state = state_of(session, now),
	    .attached = session->device->attached == session->space,
	    .queues = session->queue_handles.live + 1,
	    .buffers = session->quota.used[QUOTA_BUFFERS],
	    .buffer_bytes = session->quota.used[QUOTA_BUFFER_BYTES],
	    .jobs = session->quota.used[QUOTA_JOBS],
	    .unreported = session->unreported,
	    .completed = session->completed,
	    .device_ns = session->device_ns,
	    .share_permille = share_of(session),
	};
	add_load(&row->load, &session->queue);
	list_each (node, next, &session->queues)
		add_load(&row->load, list_entry(node, struct queue, link));
	name_submissions(row, session);
}

void ps_read(const struct host *host, const struct viewer *viewer, uint64_t from, struct ps_page *page)
{
	nsec_t now = clock_now();

	page->count = 0;
	page->next = 0;
	list_each (node, next, &host->sessions) {
		struct session *session = list_entry(node, struct session, link);
		if (session->id < from || !viewer_sees_session(viewer, session))
			continue;
		if (page->count == NPUD_MAX_PS_SESSIONS_PER_FRAME) {
			page->next = session->id;
			return;
		}
		fill(&page->sessions[page->count++], session, now);
	}
}
