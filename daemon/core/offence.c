/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts, refusals and pardons; see offence.h. */
#include "daemon/core/offence.h"

#include <errno.h>
#include <inttypes.h>

#include "daemon/core/host.h"
#include "daemon/core/session.h"
#include "daemon/core/tenant.h"
#include "daemon/log.h"
#include "daemon/util/clock.h"

static const char refused[] = "earlier submissions of this session or its tenant hung or faulted too often";

static uint64_t session_left(const struct session *session, nsec_t now)
{
	const struct quarantine_rules *rules = &session->host->options.quarantine;

	return quarantine_left(rules, rules->session_threshold, &session->offences, now.v);
}

static uint64_t tenant_left(struct host *host, uint64_t tenant, nsec_t now)
{
	const struct quarantine_rules *rules = &host->options.quarantine;
	const struct quarantine_account *account = quarantine_find(&host->offenders, tenant);

	return account ? quarantine_left(rules, rules->tenant_threshold, account, now.v) : 0;
}

bool offence_book(struct session *session, enum outcome outcome, nsec_t now)
{
	struct host *host = session->host;
	const struct quarantine_rules *rules = &host->options.quarantine;

	if (outcome != OUT_TIMEOUT && outcome != OUT_FAULT && outcome != OUT_EXCEPTION)
		return false;
	struct quarantine_account *account =
	    quarantine_account_of(rules, &host->offenders, session->tenant->key, now.v);
	bool one = quarantine_blame(rules, rules->session_threshold, &session->offences, now.v);
	bool all = quarantine_blame(rules, rules->tenant_threshold, account, now.v);
	if (one)
		log_event(LOG_LEVEL_WARN, "session.quarantined", LOG_U64("session", session->id),
			  LOG_STR("tenant", tenant_name(session->tenant)),
			  LOG_U64("for_ns", session_left(session, now)));
	if (all)
		log_event(LOG_LEVEL_WARN, "tenant.quarantined", LOG_STR("tenant", tenant_name(session->tenant)),
			  LOG_U64("for_ns", tenant_left(host, session->tenant->key, now)));
	return one || all;
}

void offence_drop_queued(struct host *host, nsec_t now)
{
	list_each (node, next, &host->sessions) {
		struct session *session = list_entry(node, struct session, link);
		if (session_left(session, now) || tenant_left(host, session->tenant->key, now))
			session_drop(session, OUT_QUARANTINED, refused, now);
	}
}

static uint64_t whole_seconds(uint64_t ns)
{
	return (ns + NSEC_PER_SEC - 1) / NSEC_PER_SEC;
}

int offence_check(struct session *session, nsec_t now, struct fail *fail)
{
	const char *tenant = tenant_name(session->tenant);
	uint64_t left_ns = tenant_left(session->host, session->tenant->key, now);

	if (left_ns)
		return fail_set(fail, ECANCELED,
				"tenant %s is quarantined: its submissions hung or faulted too often; wait %" PRIu64
				" s, or ask the operator for npuctl pardon --tenant %s",
				tenant, whole_seconds(left_ns), tenant);
	left_ns = session_left(session, now);
	if (left_ns)
		return fail_set(fail, ECANCELED,
				"session %" PRIu64 " is quarantined: its submissions hung or faulted too often; wait "
				"%" PRIu64 " s, or ask the operator for npuctl pardon --session %" PRIu64,
				session->id, whole_seconds(left_ns), session->id);
	return 0;
}

int offence_pardon_tenant(struct host *host, const char *name, struct fail *fail)
{
	uint64_t key;

	if (tenant_key(host, name, &key) < 0)
		return fail_set(
		    fail, ENOENT,
		    "tenant \"%s\": no rule of npud.json makes such a tenant; a name is RULE, or RULE:USER where "
		    "each user pays alone",
		    name);
	struct quarantine_account *account = quarantine_find(&host->offenders, key);
	if (account)
		quarantine_pardon(account);
	list_each (node, next, &host->sessions) {
		struct session *session = list_entry(node, struct session, link);
		if (session->tenant->key == key)
			quarantine_pardon(&session->offences);
	}
	log_event(LOG_LEVEL_INFO, "tenant.pardoned", LOG_STR("tenant", name));
	return 0;
}

int offence_pardon_session(struct host *host, uint64_t id, struct fail *fail)
{
	list_each (node, next, &host->sessions) {
		struct session *session = list_entry(node, struct session, link);
		if (session->id != id)
			continue;
		quarantine_pardon(&session->offences);
		log_event(LOG_LEVEL_INFO, "session.pardoned", LOG_U64("session", id));
		return 0;
	}
	return fail_set(fail, ENOENT, "session %" PRIu64 ": there is none", id);
}

uint64_t offence_count(const struct host *host, nsec_t now)
{
	const struct quarantine_rules *rules = &host->options.quarantine;
	uint64_t count = 0;

	for (unsigned i = 0; i < QUARANTINE_TENANTS; i++)
		count +=
		    quarantine_left(rules, rules->tenant_threshold, &host->offenders.entries[i].account, now.v) > 0;
	list_each (node, next, &host->sessions)
		count += session_left(list_entry(node, struct session, link), now) > 0;
	return count;
}
