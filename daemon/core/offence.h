/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of those whose work makes recoveries necessary: verdicts are booked, who has too many is refused and
 * what it has queued ends. Joins the pure policy with sessions and tenants; touches no device.
 */
#ifndef NPUD_CORE_OFFENCE_H
#define NPUD_CORE_OFFENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/submission.h"
#include "daemon/util/fail.h"
#include "daemon/util/types.h"

struct host;
struct session;

/* A submission of this session was guilty. True if that was once too often: offence_drop_queued() is due. */
bool offence_book(struct session *session, enum outcome outcome, nsec_t now);
/* What is queued of those that are refused now ends. */
void offence_drop_queued(struct host *host, nsec_t now);
/* -ECANCELED and words if nothing is taken from this session at the moment. */
int offence_check(struct session *session, nsec_t now, struct fail *fail);

/* All points go, of a tenant with all its sessions, or of one session. -ENOENT: there is no such. */
int offence_pardon_tenant(struct host *host, const char *name, struct fail *fail);
int offence_pardon_session(struct host *host, uint64_t session, struct fail *fail);

/* Tenants and sessions that are refused now. */
uint64_t offence_count(const struct host *host, nsec_t now);

#endif
