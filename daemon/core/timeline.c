/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of what has ended; see timeline.h. */
#include "daemon/core/timeline.h"

#include <stdlib.h>

#include "daemon/core/device.h"
#include "daemon/core/session.h"
#include "daemon/core/submission.h"
#include "daemon/core/tenant.h"

struct timeline {
	uint64_t end; /* number of the next entry */
	struct timeline_entry ring[NPUD_TIMELINE_ENTRIES];
};

struct timeline *timeline_new(void)
{
	struct timeline *timeline = calloc(1, sizeof(*timeline));

	if (timeline)
		timeline->end = 1;
	return timeline;
}

void timeline_free(struct timeline *timeline)
{
	free(timeline);
}

void timeline_add(struct timeline *timeline, const struct submission *submission, nsec_t now)
{
	const struct submission_result *result = &submission->result;
	const struct session *session = submission->session;

	timeline->ring[timeline->end++ % NPUD_TIMELINE_ENTRIES] = (struct timeline_entry){
	    .session = session->id,
	    .submission = submission_id(submission),
	    .job = submission->job_handle,
	    .queue = submission->queue->handle,
	    .submitted = submission->submitted,
	    .ready = submission->ready,
	    .scheduled = submission->dispatched,
	    .started = {result->started ? now.v - result->device_ns : 0},
	    .finished = now,
	    .tenant = session->tenant->key,
	    .device = (uint8_t)session->device->index,
	    .class = (uint8_t)submission->queue->share.class,
	    .outcome = (uint8_t)result->outcome,
	};
}

void timeline_read(const struct timeline *timeline, const struct viewer *viewer, uint64_t from,
		   struct timeline_page *page)
{
	uint64_t oldest = timeline->end > NPUD_TIMELINE_ENTRIES ? timeline->end - NPUD_TIMELINE_ENTRIES : 1;
	uint64_t number = from > oldest ? from : oldest;

	page->count = 0;
	for (; number < timeline->end && page->count < NPUD_MAX_TIMELINE_PER_FRAME; number++) {
		const struct timeline_entry *entry = &timeline->ring[number % NPUD_TIMELINE_ENTRIES];
		if (!viewer_sees(viewer, entry->tenant))
			continue;
		page->numbers[page->count] = number;
		page->entries[page->count++] = *entry;
	}
	page->next = number < timeline->end ? number : timeline->end;
	page->end = timeline->end;
}
