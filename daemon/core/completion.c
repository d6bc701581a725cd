/* SPDX-License-Identifier: Apache-2.0 */
/* Telling those that wait for the end of a submission; see completion.h. */
#include "daemon/core/completion.h"

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/queue.h"
#include "daemon/core/session.h"
#include "daemon/core/submission.h"
#include "daemon/util/clock.h"

static void wake(struct completion_wait *wait)
{
	struct submission *submission = wait->submission;
	nsec_t now = clock_now();

	submission->dependencies--;
	if (wait->state == COMPLETION_FAILED) {
		submission_drop(submission, OUT_DEPENDENCY, "a submission that it depends on failed", now);
	} else if (wait->state == COMPLETION_GONE) {
		submission_drop(submission, OUT_DEPENDENCY, "a submission that it depends on ended with its owner",
				now);
	} else if (submission->dependencies == 0) {
		queue_advance(submission->queue, now);
		device_wake(submission->session->device);
	}
}

void completion_raise(struct host *host, struct completion *completion, enum completion_state state)
{
	struct list *first;

	completion->state = state;
	list_each (node, next, &completion->waits)
		list_entry(node, struct completion_wait, link)->state = state;
	list_splice(&host->woken, &completion->waits);
	if (host->waking)
		return;
	host->waking = true;
	while ((first = list_first(&host->woken))) {
		list_remove(first);
		wake(list_entry(first, struct completion_wait, link));
	}
	host->waking = false;
}
