/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has ended: pages from the daemon, put together to one list. Reads up to what had ended when the reading began,
 * so it comes to an end however fast more is added.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "libclient/error.h"
#include "libclient/objects.h"
#include "libclient/rows.h"

struct npu_timeline {
	struct npu_timeline_entry *entries;
	size_t count, room;
	uint64_t next;
};

/* ------------------------------------------------------------------ one page */

static void copy_entry(struct npu_timeline_entry *to, const Npud__TimelineEntry *from)
{
	*to = (struct npu_timeline_entry){
	    .number = from->number,
	    .session = from->session,
	    .submission = from->submission,
	    .job = from->job,
	    .queue = from->queue,
	    .device = from->device,
	    .class_of = (enum npu_class)from->class_,
	    .outcome = (enum npu_outcome)from->outcome,
	    .submitted_ns = from->submitted_ns,
	    .ready_ns = from->ready_ns,
	    .scheduled_ns = from->scheduled_ns,
	    .started_ns = from->started_ns,
	    .finished_ns = from->finished_ns,
	};
	(void)snprintf(to->tenant, sizeof(to->tenant), "%s", from->tenant);
}

void npu_timeline_copy(struct npu_timeline_page *to, const Npud__Timeline *from)
{
	to->count = 0;
	to->next = from->next;
	to->end = from->end;
	to->whole = from->n_entries <= NPUD_MAX_TIMELINE_PER_FRAME;
	for (size_t i = 0; i < from->n_entries && to->whole; i++)
		copy_entry(&to->entries[to->count++], from->entries[i]);
}

static int fetch(struct npu_connection *connection, uint64_t from, struct npu_reply *reply)
{
	Npud__TimelineQuery query = NPUD__TIMELINE_QUERY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	query.from = from;
	request.body_case = NPUD__REQUEST__BODY_TIMELINE_QUERY;
	request.timeline_query = &query;
	int rc = npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_TIMELINE, reply, "timeline");

	if (rc)
		return rc;
	const struct npu_timeline_page *page = &reply->timeline;

	if (!page->whole || page->next > page->end || (page->next <= from && page->next != page->end))
		return npu_fail(-EPROTO, "timeline: npud sent more than fits a page, or pages in a circle");
	return 0;
}

/* ------------------------------------------------------------------ the list */

static int add_page(struct npu_timeline *list, const struct npu_timeline_page *page)
{
	size_t count = list->count + page->count;
	void *entries = npu_rows_room(list->entries, sizeof(*list->entries), count, &list->room);

	if (!entries)
		return npu_fail(-ENOMEM, "timeline: out of memory for %zu entries", count);
	list->entries = entries;
	for (uint32_t i = 0; i < page->count; i++)
		list->entries[list->count++] = page->entries[i];
	list->next = page->next;
	return 0;
}

static int read_pages(struct npu_connection *connection, uint64_t from, struct npu_timeline *list)
{
	struct npu_reply reply;
	uint64_t end = 0;

	/* each page has an entry at least, and all but what came meanwhile fit the daemon's memory */
	for (uint32_t pages = 0; pages < 2 * NPUD_TIMELINE_ENTRIES; pages++) {
		int rc = fetch(connection, from, &reply);

		if (rc == 0)
			rc = add_page(list, &reply.timeline);
		if (rc)
			return rc;
		if (pages == 0)
			end = reply.timeline.end;
		from = list->next;
		if (from >= end)
			return 0;
	}
	return npu_fail(-EPROTO, "timeline: npud sends pages without end");
}

int npu_timeline_read(struct npu_connection *connection, uint64_t from, struct npu_timeline **out)
{
	int rc = npu_link_check_minor(connection, NPU_VISIBLE_MINOR, "timeline");

	if (rc)
		return rc;
	struct npu_timeline *list = calloc(1, sizeof(*list));

	if (!list)
		return npu_fail(-ENOMEM, "timeline: out of memory");
	rc = read_pages(connection, from, list);
	if (rc) {
		npu_timeline_free(list);
		return rc;
	}
	*out = list;
	return 0;
}

void npu_timeline_free(struct npu_timeline *timeline)
{
	if (!timeline)
		return;
	free(timeline->entries);
	free(timeline);
}

size_t npu_timeline_count(const struct npu_timeline *timeline)
{
	return timeline->count;
}

int npu_timeline_entry(const struct npu_timeline *timeline, size_t index, struct npu_timeline_entry *entry)
{
	npu_error_clear();
	if (index >= timeline->count)
		return npu_fail(-ENOENT, "timeline: no entry %zu of %zu", index, timeline->count);
	*entry = timeline->entries[index];
	return 0;
}

uint64_t npu_timeline_next(const struct npu_timeline *timeline)
{
	return timeline->next;
}
