/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recovery ladder: which rung comes next, and what each has cost so far. Pure: it is told what a device can do, how
 * a rung went and what time it is, and answers with the next rung; it never touches the device.
 */
#ifndef NPUD_POLICY_RECOVERY_H
#define NPUD_POLICY_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

enum recovery_rung {
	RECOVERY_ABORT = 0,
	RECOVERY_SOFT_RESET,
	RECOVERY_TRANSPORT_RESET,
	RECOVERY_REOPEN, /* close the transport and open it again: every mapping goes */
	RECOVERY_OFFLINE, /* every device has it; it cannot fail */
	RECOVERY_RUNGS,
	RECOVERY_DONE = RECOVERY_RUNGS,
};

/* Of one rung, since the start; a rung that is under way counts as an attempt. */
struct recovery_count {
	uint64_t attempts;
	uint64_t failures;
	uint64_t total_ns;
	uint64_t last_ns;
};

struct recovery {
	unsigned available; /* bit per rung */
	enum recovery_rung rung;
	bool climbing;
	uint64_t climb_began_ns;
	uint64_t rung_began_ns;
	struct recovery_count count[RECOVERY_RUNGS];
};

/* Start at `from` or the next higher rung that the device has. */
enum recovery_rung recovery_begin(struct recovery *recovery, unsigned available, enum recovery_rung from,
				  uint64_t now_ns);

/* The current rung went well (0) or failed: RECOVERY_DONE or the next rung. Never the same rung twice. */
enum recovery_rung recovery_next(struct recovery *recovery, int result, uint64_t now_ns);

/* The device went away: the rung that was under way, if any, has failed, and none follows. */
void recovery_give_up(struct recovery *recovery, uint64_t now_ns);

/* Since the first rung of the climb. */
uint64_t recovery_climb_ns(const struct recovery *recovery, uint64_t now_ns);

const char *recovery_rung_name(enum recovery_rung rung);

#endif
