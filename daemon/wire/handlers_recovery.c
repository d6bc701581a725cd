/* SPDX-License-Identifier: Apache-2.0 */
/* What recoveries have cost and whom they are held against: the operator's side, from protobuf to core and back. */
#include <errno.h>

#include "daemon/core/device.h"
#include "daemon/core/offence.h"
#include "daemon/util/clock.h"
#include "daemon/wire/request.h"
#include "daemon/wire/server.h"

_Static_assert((int)RECOVERY_ABORT + 1 == (int)NPUD__RUNG__RUNG_ABORT &&
		   (int)RECOVERY_SOFT_RESET + 1 == (int)NPUD__RUNG__RUNG_SOFT_RESET &&
		   (int)RECOVERY_TRANSPORT_RESET + 1 == (int)NPUD__RUNG__RUNG_TRANSPORT_RESET &&
		   (int)RECOVERY_REOPEN + 1 == (int)NPUD__RUNG__RUNG_REOPEN &&
		   (int)RECOVERY_OFFLINE + 1 == (int)NPUD__RUNG__RUNG_OFFLINE,
	       "core counts the rungs as the protocol does, from 0");

static void add_rung(struct stats_reply *reply, uint32_t device, unsigned rung, const struct recovery_count *count)
{
	Npud__RungStats *out = &reply->rungs[reply->stats.n_rungs];

	npud__rung_stats__init(out);
	out->device = device;
	out->rung = (Npud__Rung)(rung + 1);
	out->attempts = count->attempts;
	out->failures = count->failures;
	out->total_ns = count->total_ns;
	out->last_ns = count->last_ns;
	reply->rung_list[reply->stats.n_rungs++] = out;
}

void stats_add_recovery(const struct request *request, struct stats_reply *reply)
{
	const struct host *host = server_host(request->conn->server);

	if (request->conn->minor < 2)
		return;
	reply->stats.rungs = reply->rung_list;
	for (uint32_t i = 0; i < host->device_count; i++)
		for (unsigned rung = 0; rung < RECOVERY_RUNGS; rung++) {
			const struct recovery_count *count = &host->devices[i]->recovery.count[rung];
			if (count->attempts)
				add_rung(reply, i, rung, count);
		}
	reply->stats.quarantined = offence_count(host, clock_now());
}

int handle_pardon(struct request *request)
{
	const Npud__Pardon *pardon = request->message->pardon;
	struct host *host = server_host(request->conn->server);
	int error = -EINVAL;

	if (pardon->whom_case == NPUD__PARDON__WHOM_TENANT)
		error = offence_pardon_tenant(host, pardon->tenant, &request->fail);
	else if (pardon->whom_case == NPUD__PARDON__WHOM_SESSION)
		error = offence_pardon_session(host, pardon->session, &request->fail);
	else
		return fail_set(&request->fail, EINVAL, "Pardon: names neither a tenant nor a session");
	return error < 0 ? error : reply_empty(request);
}
