/* SPDX-License-Identifier: Apache-2.0 */
/* Finding, making and leaving address spaces; see spaces.h. */
#include "daemon/core/spaces.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/core/address_space.h"
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/session.h"
#include "daemon/core/tenant.h"

/* With whom a session shares: NULL for all whose tenants share with everyone. */
static const struct tenant *partners(const struct session *session)
{
	return session->tenant->profile->address_space == TENANT_SPACE_TENANT ? session->tenant : NULL;
}

static struct address_space *find(const struct session *session)
{
	list_each (node, next, &session->host->spaces) {
		struct address_space *space = list_entry(node, struct address_space, link);
		if (space->device == session->device && space->tenant == partners(session))
			return space;
	}
	return NULL;
}

static int make(struct host *host, const struct device *device, struct address_space **out)
{
	struct address_space *space = calloc(1, sizeof(*space));
	int error = space ? address_space_init(space, &device->reach, host_pick_slot(host, device)) : -ENOMEM;

	if (error < 0) {
		free(space);
		return error;
	}
	space->id = ++host->next_space;
	space->device = device;
	host->slot_spaces[space->slot]++;
	*out = space;
	return 0;
}

int spaces_join(struct session *session)
{
	struct host *host = session->host;
	bool alone = session->tenant->profile->address_space == TENANT_SPACE_PRIVATE;

	session->space = alone ? NULL : find(session);
	if (!session->space) {
		int error = make(host, session->device, &session->space);
		if (error < 0)
			return error;
		session->space->tenant = partners(session);
		if (!alone)
			list_append(&host->spaces, &session->space->link);
	}
	session->space->sessions++;
	session->space->staying++;
	return 0;
}

void spaces_depart(struct session *session)
{
	session->space->staying--;
	session->device->departures++;
}

bool spaces_have_others(const struct session *session)
{
	return session->space->sessions > 1;
}

bool spaces_leave(struct session *session)
{
	if (--session->space->sessions)
		return false;
	list_remove(&session->space->link);
	return true;
}

void spaces_free(struct session *session)
{
	session->host->slot_spaces[session->space->slot]--;
	free(session->space);
}
