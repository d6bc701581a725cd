/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recovery ladder: which rung comes next. Pure: it is told what a device can do and how a rung went, and answers
 * with the next rung; it never touches the device.
 */
#ifndef NPUD_POLICY_RECOVERY_H
#define NPUD_POLICY_RECOVERY_H

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

struct recovery {
	unsigned available; /* bit per rung */
	enum recovery_rung rung;
};

/* Start at `from` or the next higher rung that the device has. */
enum recovery_rung recovery_begin(struct recovery *recovery, unsigned available, enum recovery_rung from);

/* The current rung went well (0) or failed: RECOVERY_DONE or the next rung. Never the same rung twice. */
enum recovery_rung recovery_next(struct recovery *recovery, int result);

const char *recovery_rung_name(enum recovery_rung rung);

#endif
