/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeat offenders: each guilty verdict is a point, points halve with time, and who has too many is refused until they
 * have become few. One account per session, which ends with it, and one per tenant, which outlives its sessions: a new
 * connection is no clean sheet. Pure: it is told what time it is.
 */
#ifndef NPUD_POLICY_QUARANTINE_H
#define NPUD_POLICY_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

#define QUARANTINE_POINT (UINT64_C(1) << 32)
#define QUARANTINE_TENANTS 64u /* with points at the same time; beyond, who has the fewest is forgotten */
#define QUARANTINE_MAX_THRESHOLD 1000000u

struct quarantine_rules {
	uint32_t session_threshold; /* points at which a session is refused; 0: never */
	uint32_t tenant_threshold; /* the same for all of a tenant */
	uint64_t half_life_ns; /* > 0 */
	uint64_t minimum_ns; /* a quarantine lasts so long, however fast points decay */
};

struct quarantine_account {
	uint64_t points; /* in QUARANTINE_POINT, as of at_ns */
	uint64_t at_ns;
	uint64_t until_ns; /* not before then */
};

/* Points that are left. */
uint64_t quarantine_points(const struct quarantine_rules *rules, const struct quarantine_account *account,
			   uint64_t now_ns);
/* One verdict. True if the account is refused from now on and was not before. */
bool quarantine_blame(const struct quarantine_rules *rules, uint32_t threshold, struct quarantine_account *account,
		      uint64_t now_ns);
/* For how long it is still refused if nothing else happens; 0: it is not. */
uint64_t quarantine_left(const struct quarantine_rules *rules, uint32_t threshold,
			 const struct quarantine_account *account, uint64_t now_ns);
void quarantine_pardon(struct quarantine_account *account);

/* ------------------------------------------------------------------ tenants */

struct quarantine_tenants {
	struct {
		uint64_t tenant;
		struct quarantine_account account; /* no points: free */
	} entries[QUARANTINE_TENANTS];
	uint32_t used; /* of the entries: the rest never had an account */
};

/* NULL: it has no account, and so no points. */
struct quarantine_account *quarantine_find(struct quarantine_tenants *tenants, uint64_t tenant);
/* Found or made. */
struct quarantine_account *quarantine_account_of(const struct quarantine_rules *rules,
						 struct quarantine_tenants *tenants, uint64_t tenant, uint64_t now_ns);

#endif
