/* SPDX-License-Identifier: Apache-2.0 */
/* The request about what has ended: one page of core's ring to protobuf. Core decides what the peer may see. */
#include "daemon/core/host.h"
#include "daemon/core/tenant.h"
#include "daemon/wire/request.h"
#include "daemon/wire/server.h"

/* Tag and value of the widest numbers, and of a text. */
#define WIDE (1ul + 10)
#define NARROW (1ul + 5)
#define ENTRY_BYTES (3 + 10 * WIDE + 3 * NARROW + 2 + NPUD_MAX_TENANT_BYTES)
#define ENVELOPE_BYTES (3 + NARROW + 3 + 2 * WIDE)

_Static_assert(NPUD_MAX_TIMELINE_PER_FRAME *ENTRY_BYTES + ENVELOPE_BYTES <= CONN_OUT_BYTES,
	       "the fullest page fits a reply");

static void fill_entry(Npud__TimelineEntry *to, char *tenant, uint64_t number, const struct timeline_entry *from)
{
	npud__timeline_entry__init(to);
	to->number = number;
	to->session = from->session;
	to->submission = from->submission;
	to->job = from->job;
	to->queue = from->queue;
	to->tenant = tenant;
	to->device = from->device;
	to->class_ = (Npud__QueueClass)(from->class + 1);
	to->outcome = (Npud__Outcome)from->outcome;
	to->submitted_ns = from->submitted.v;
	to->ready_ns = from->ready.v;
	to->scheduled_ns = from->scheduled.v;
	to->started_ns = from->started.v;
	to->finished_ns = from->finished.v;
}

int handle_timeline_query(struct request *request)
{
	const struct host *host = server_host(request->conn->server);
	const struct viewer viewer = viewer_of(request->conn->session);
	struct timeline_reply *reply = &request->body.timeline;
	struct timeline_page page;

	timeline_read(host->timeline, &viewer, request->message->timeline_query->from, &page);
	npud__timeline__init(&reply->timeline);
	for (uint32_t i = 0; i < page.count; i++) {
		tenant_label(host, page.entries[i].tenant, reply->tenants[i], sizeof(reply->tenants[i]));
		fill_entry(&reply->entries[i], reply->tenants[i], page.numbers[i], &page.entries[i]);
		reply->list[i] = &reply->entries[i];
	}
	reply->timeline.entries = reply->list;
	reply->timeline.n_entries = page.count;
	reply->timeline.next = page.next;
	reply->timeline.end = page.end;
	request->reply.body_case = NPUD__REPLY__BODY_TIMELINE;
	request->reply.timeline = &reply->timeline;
	return 0;
}
