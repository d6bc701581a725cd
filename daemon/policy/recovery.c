/* SPDX-License-Identifier: Apache-2.0 */
/* The recovery ladder as a pure function of what failed, and its accounts. */
#include "daemon/policy/recovery.h"

static enum recovery_rung climb(struct recovery *recovery, unsigned from, uint64_t now_ns)
{
	unsigned rung = from;

	while (rung < RECOVERY_OFFLINE && !(recovery->available & (1u << rung)))
		rung++;
	recovery->rung = rung < RECOVERY_OFFLINE ? (enum recovery_rung)rung : RECOVERY_OFFLINE;
	recovery->climbing = true;
	recovery->rung_began_ns = now_ns;
	recovery->count[recovery->rung].attempts++;
	return recovery->rung;
}

static uint64_t since(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* What the rung that ends now has cost. */
static void account(struct recovery *recovery, int result, uint64_t now_ns)
{
	struct recovery_count *count = &recovery->count[recovery->rung];

	recovery->climbing = false;
	count->last_ns = since(now_ns, recovery->rung_began_ns);
	count->total_ns += count->last_ns;
	count->failures += result < 0;
}

enum recovery_rung recovery_begin(struct recovery *recovery, unsigned available, enum recovery_rung from,
				  uint64_t now_ns)
{
	recovery->available = available;
	recovery->climb_began_ns = now_ns;
	return climb(recovery, (unsigned)from, now_ns);
}

enum recovery_rung recovery_next(struct recovery *recovery, int result, uint64_t now_ns)
{
	if (!recovery->climbing)
		return RECOVERY_DONE;
	account(recovery, result, now_ns);
	if (result >= 0 || recovery->rung == RECOVERY_OFFLINE)
		return RECOVERY_DONE;
	return climb(recovery, (unsigned)recovery->rung + 1, now_ns);
}

void recovery_give_up(struct recovery *recovery, uint64_t now_ns)
{
	if (recovery->climbing)
		account(recovery, -1, now_ns);
}

uint64_t recovery_climb_ns(const struct recovery *recovery, uint64_t now_ns)
{
	return since(now_ns, recovery->climb_began_ns);
}

const char *recovery_rung_name(enum recovery_rung rung)
{
	static const char *const names[] = {"abort", "soft reset", "transport reset", "reopen", "offline"};

	return (unsigned)rung < RECOVERY_RUNGS ? names[rung] : "done";
}
