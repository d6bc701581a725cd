/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: pages from the daemon, put together to one table. Trusts no count and no order in them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libclient/error.h"
#include "libclient/objects.h"
#include "libclient/rows.h"

_Static_assert(NPU_PS_SUBMISSIONS == NPUD_MAX_PS_SUBMISSIONS, "as many as the protocol has");

/* What a daemon can have at most, and more than anybody wants to read. */
#define MAX_SESSIONS 65536u

struct npu_ps {
	struct npu_ps_session *sessions;
	size_t count, room;
	struct npu_load totals[NPU_CLASS_IDLE + 1];
	uint32_t session_count;
};

/* ------------------------------------------------------------------ one page */

static void copy_session(struct npu_ps_session *to, const Npud__PsSession *from)
{
	*to = (struct npu_ps_session){
	    .session = from->session,
	    .state = (enum npu_session_state)from->state,
	    .device = from->device,
	    .pid = from->pid,
	    .uid = from->uid,
	    .attached = from->attached,
	    .queues = from->queues,
	    .buffers = from->buffers,
	    .buffer_bytes = from->buffer_bytes,
	    .jobs = from->jobs,
	    .load = {from->waiting, from->queued, from->running},
	    .unreported = from->unreported,
	    .completed = from->completed,
	    .device_ns = from->device_ns,
	    .share_permille = from->share_permille,
	};
	(void)snprintf(to->tenant, sizeof(to->tenant), "%s", from->tenant);
	(void)snprintf(to->client, sizeof(to->client), "%s", from->client);
	(void)snprintf(to->device_name, sizeof(to->device_name), "%s", from->device_name);
	for (size_t i = 0; i < from->n_submissions && i < NPU_PS_SUBMISSIONS; i++)
		to->submissions[to->submission_count++] = from->submissions[i];
}

void npu_ps_copy(struct npu_ps_page *to, const Npud__Ps *from)
{
	to->count = 0;
	to->session_count = from->session_count;
	to->next_session = from->next_session;
	to->whole = from->n_sessions <= NPUD_MAX_PS_SESSIONS_PER_FRAME;
	memset(to->totals, 0, sizeof(to->totals));
	for (size_t i = 0; i < from->n_totals; i++) {
		const Npud__PsTotals *totals = from->totals[i];

		if (totals->class_ >= NPUD__QUEUE_CLASS__CLASS_REALTIME &&
		    totals->class_ <= NPUD__QUEUE_CLASS__CLASS_IDLE)
			to->totals[totals->class_] =
			    (struct npu_load){totals->waiting, totals->queued, totals->running};
	}
	for (size_t i = 0; i < from->n_sessions && to->whole; i++)
		copy_session(&to->sessions[to->count++], from->sessions[i]);
}

static int fetch(struct npu_connection *connection, uint64_t from, struct npu_reply *reply)
{
	Npud__PsQuery query = NPUD__PS_QUERY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	query.from_session = from;
	request.body_case = NPUD__REQUEST__BODY_PS_QUERY;
	request.ps_query = &query;
	int rc = npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_PS, reply, "sessions");

	if (rc)
		return rc;
	if (!reply->ps.whole || (reply->ps.next_session && reply->ps.next_session <= from))
		return npu_fail(-EPROTO, "sessions: npud sent more than fits a page, or pages in a circle");
	return 0;
}

/* ------------------------------------------------------------------ the table */

static int add_page(struct npu_ps *table, const struct npu_ps_page *page)
{
	size_t count = table->count + page->count;

	if (count > MAX_SESSIONS)
		return npu_fail(-EPROTO, "sessions: npud tells of more than %u", MAX_SESSIONS);
	void *sessions = npu_rows_room(table->sessions, sizeof(*table->sessions), count, &table->room);

	if (!sessions)
		return npu_fail(-ENOMEM, "sessions: out of memory for %zu of them", count);
	table->sessions = sessions;
	for (uint32_t i = 0; i < page->count; i++)
		table->sessions[table->count++] = page->sessions[i];
	table->session_count = page->session_count;
	memcpy(table->totals, page->totals, sizeof(table->totals));
	return 0;
}

static int read_pages(struct npu_connection *connection, struct npu_ps *table)
{
	struct npu_reply reply;
	uint64_t from = 0;
	uint32_t pages = MAX_SESSIONS; /* each has one session at least */

	do {
		int rc = fetch(connection, from, &reply);

		if (rc == 0)
			rc = add_page(table, &reply.ps);
		if (rc)
			return rc;
		from = reply.ps.next_session;
	} while (from && --pages);
	return from ? npu_fail(-EPROTO, "sessions: npud sends pages without end") : 0;
}

int npu_ps_read(struct npu_connection *connection, struct npu_ps **out)
{
	int rc = npu_link_check_minor(connection, NPU_VISIBLE_MINOR, "sessions");

	if (rc)
		return rc;
	struct npu_ps *table = calloc(1, sizeof(*table));

	if (!table)
		return npu_fail(-ENOMEM, "sessions: out of memory");
	rc = read_pages(connection, table);
	if (rc) {
		npu_ps_free(table);
		return rc;
	}
	*out = table;
	return 0;
}

void npu_ps_free(struct npu_ps *ps)
{
	if (!ps)
		return;
	free(ps->sessions);
	free(ps);
}

size_t npu_ps_count(const struct npu_ps *ps)
{
	return ps->count;
}

int npu_ps_session(const struct npu_ps *ps, size_t index, struct npu_ps_session *session)
{
	npu_error_clear();
	if (index >= ps->count)
		return npu_fail(-ENOENT, "sessions: no session %zu of %zu", index, ps->count);
	*session = ps->sessions[index];
	return 0;
}

int npu_ps_total(const struct npu_ps *ps, enum npu_class class_of, uint32_t *sessions, struct npu_load *load)
{
	npu_error_clear();
	if (class_of < NPU_CLASS_REALTIME || class_of > NPU_CLASS_IDLE)
		return npu_fail(-EINVAL, "sessions: there is no class %u", (unsigned)class_of);
	if (sessions)
		*sessions = ps->session_count;
	*load = ps->totals[class_of];
	return 0;
}
