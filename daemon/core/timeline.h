/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When what happened to the last submissions that ended. Memory that is made once and written at each end: nothing is
 * allocated or searched on the way of a submission.
 */
#ifndef NPUD_CORE_TIMELINE_H
#define NPUD_CORE_TIMELINE_H

#include <stdint.h>

#include "daemon/core/viewer.h"
#include "daemon/util/types.h"
#include "proto/limits.h"

struct submission;
struct timeline;

/* Instants that did not come are 0. */
struct timeline_entry {
	uint64_t session;
	uint64_t submission;
	uint64_t job;
	uint64_t queue;
	nsec_t submitted;
	nsec_t ready; /* handed to the scheduler */
	nsec_t scheduled; /* its doorbell */
	nsec_t started; /* doorbell or the completion before, whichever is later */
	nsec_t finished;
	uint64_t tenant; /* its key */
	uint8_t device;
	uint8_t class; /* enum sched_class */
	uint8_t outcome; /* enum outcome */
};

struct timeline_page {
	struct timeline_entry entries[NPUD_MAX_TIMELINE_PER_FRAME];
	uint64_t numbers[NPUD_MAX_TIMELINE_PER_FRAME]; /* of the entries: 1, 2... in the order of the ends */
	uint32_t count;
	uint64_t next; /* where to go on */
	uint64_t end; /* of what there is now */
};

/* NULL without memory. */
struct timeline *timeline_new(void);
/* NULL is legal. */
void timeline_free(struct timeline *timeline);

/* It has its result. */
void timeline_add(struct timeline *timeline, const struct submission *submission, nsec_t now);

/* From the number on, or from the oldest that is left. */
void timeline_read(const struct timeline *timeline, const struct viewer *viewer, uint64_t from,
		   struct timeline_page *page);

#endif
