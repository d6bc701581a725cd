/* SPDX-License-Identifier: Apache-2.0 */
/* The recovery ladder as a pure function of what failed. */
#include "daemon/policy/recovery.h"

static enum recovery_rung climb(const struct recovery *recovery, unsigned from)
{
	for (unsigned rung = from; rung < RECOVERY_OFFLINE; rung++)
		if (recovery->available & (1u << rung))
			return (enum recovery_rung)rung;
	return RECOVERY_OFFLINE;
}

enum recovery_rung recovery_begin(struct recovery *recovery, unsigned available, enum recovery_rung from)
{
	recovery->available = available;
	recovery->rung = climb(recovery, (unsigned)from);
	return recovery->rung;
}

enum recovery_rung recovery_next(struct recovery *recovery, int result)
{
	if (result >= 0 || recovery->rung >= RECOVERY_OFFLINE)
		return RECOVERY_DONE;
	recovery->rung = climb(recovery, (unsigned)recovery->rung + 1);
	return recovery->rung;
}

const char *recovery_rung_name(enum recovery_rung rung)
{
	static const char *const names[] = {"abort", "soft reset", "transport reset", "reopen", "offline"};

	return (unsigned)rung < RECOVERY_RUNGS ? names[rung] : "done";
}
