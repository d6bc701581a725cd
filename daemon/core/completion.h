/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of one submission as others wait for it. It comes exactly once, whatever happens to the submission or its
 * owner. Who waits was accepted later than what it waits for, so nothing ever waits in a circle.
 */
#ifndef NPUD_CORE_COMPLETION_H
#define NPUD_CORE_COMPLETION_H

#include <stdbool.h>

#include "daemon/util/list.h"

struct host;
struct submission;

/* FAILED: it ended otherwise than well; GONE: its session ended before it. */
enum completion_state { COMPLETION_PENDING = 0, COMPLETION_DONE, COMPLETION_FAILED, COMPLETION_GONE };

struct completion {
	struct list waits; /* struct completion_wait */
	enum completion_state state;
};

/* Part of the submission that waits. */
struct completion_wait {
	struct list link; /* of the completion; alone: not waiting */
	struct submission *submission;
	bool by_fence; /* it waits for a fence */
	enum completion_state state; /* of what it waited for */
};

static inline void completion_init(struct completion *completion)
{
	list_init(&completion->waits);
	completion->state = COMPLETION_PENDING;
}

/* The submission waits for what is pending. */
static inline void completion_await(struct completion *completion, struct completion_wait *wait)
{
	list_append(&completion->waits, &wait->link);
}

/*
 * Whoever waited may run now, or ends without having run: before this returns, or before the outermost call returns
 * when one end brings another. Chains of any length need no deep stack.
 */
void completion_raise(struct host *host, struct completion *completion, enum completion_state state);

#endif
