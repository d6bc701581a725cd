/* SPDX-License-Identifier: Apache-2.0 */
/* The request about sessions: one page of core's picture to protobuf. Core decides what the peer may see. */
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/ps.h"
#include "daemon/wire/request.h"
#include "daemon/wire/server.h"

/* Tag and value of the widest numbers, and of texts. */
#define WIDE (2ul + 10)
#define NARROW (2ul + 5)
#define TEXT(bytes) (2ul + 2 + (bytes))
#define ROW_BYTES                                                                                                      \
	(3 + 7 * WIDE + 12 * NARROW + TEXT(NPUD_MAX_TENANT_BYTES) + TEXT(NPUD_MAX_CLIENT_BYTES) +                      \
	 TEXT(sizeof(((struct device *)NULL)->name)) + TEXT(NPUD_MAX_PS_SUBMISSIONS * 10ul))
#define TOTALS_BYTES (SCHED_CLASSES * (2 + 4 * NARROW))
#define ENVELOPE_BYTES (3 + NARROW + 3 + WIDE + NARROW)

_Static_assert(NPUD_MAX_PS_SESSIONS_PER_FRAME *ROW_BYTES + TOTALS_BYTES + ENVELOPE_BYTES <= CONN_OUT_BYTES,
	       "the fullest page fits a reply");

_Static_assert((int)PS_OPEN == (int)NPUD__SESSION_STATE__SESSION_OPEN &&
		   (int)PS_CLOSING == (int)NPUD__SESSION_STATE__SESSION_CLOSING &&
		   (int)PS_QUARANTINED == (int)NPUD__SESSION_STATE__SESSION_QUARANTINED,
	       "core counts states as the protocol does");

static void fill_totals(struct ps_reply *to, const struct host *host)
{
	for (unsigned class = 0; class < SCHED_CLASSES; class ++) {
		const struct submission_load *load = &host->load[class];
		Npud__PsTotals *totals = &to->totals[class];
		npud__ps_totals__init(totals);
		totals->class_ = (Npud__QueueClass)(class + 1);
		totals->waiting = load->in[SUBMISSION_WAITING];
		totals->queued = load->in[SUBMISSION_QUEUED];
		totals->running = load->in[SUBMISSION_RUNNING];
		to->totals_list[class] = totals;
	}
	to->ps.totals = to->totals_list;
	to->ps.n_totals = SCHED_CLASSES;
}

static void fill_session(Npud__PsSession *to, struct ps_session *from)
{
	npud__ps_session__init(to);
	to->session = from->id;
	to->tenant = (char *)(uintptr_t)from->tenant;
	to->pid = (uint32_t)from->pid;
	to->uid = from->uid;
	to->client = (char *)(uintptr_t)from->client;
	to->device = from->device->index;
	to->device_name = (char *)(uintptr_t)from->device->name;
	to->state = (Npud__SessionState)from->state;
	to->attached = from->attached;
	to->queues = from->queues;
	to->buffers = from->buffers;
	to->buffer_bytes = from->buffer_bytes;
	to->jobs = from->jobs;
	to->waiting = from->load.in[SUBMISSION_WAITING];
	to->queued = from->load.in[SUBMISSION_QUEUED];
	to->running = from->load.in[SUBMISSION_RUNNING];
	to->unreported = from->unreported;
	to->completed = from->completed;
	to->device_ns = from->device_ns;
	to->share_permille = from->share_permille;
	to->submissions = from->submissions;
	to->n_submissions = from->submission_count;
}

int handle_ps_query(struct request *request)
{
	const struct host *host = server_host(request->conn->server);
	const struct viewer viewer = viewer_of(request->conn->session);
	struct ps_reply *reply = &request->body.ps;

	ps_read(host, &viewer, request->message->ps_query->from_session, &reply->page);
	npud__ps__init(&reply->ps);
	fill_totals(reply, host);
	for (uint32_t i = 0; i < reply->page.count; i++) {
		fill_session(&reply->sessions[i], &reply->page.sessions[i]);
		reply->session_list[i] = &reply->sessions[i];
	}
	reply->ps.sessions = reply->session_list;
	reply->ps.n_sessions = reply->page.count;
	reply->ps.next_session = reply->page.next;
	reply->ps.session_count = host->session_count;
	request->reply.body_case = NPUD__REPLY__BODY_PS;
	request->reply.ps = &reply->ps;
	return 0;
}
