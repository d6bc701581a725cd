/* SPDX-License-Identifier: Apache-2.0 */
/* Own tenant, or the right to see all; see viewer.h. */
#include "daemon/core/viewer.h"

#include "daemon/core/session.h"
#include "daemon/core/tenant.h"

struct viewer viewer_of(const struct session *session)
{
	return (struct viewer){
	    .tenant = session->tenant->key,
	    .all = (session->identity.rights & RIGHT_BIT(RIGHT_SESSIONS)) != 0,
	};
}

bool viewer_sees(const struct viewer *viewer, uint64_t tenant)
{
	return viewer->all || viewer->tenant == tenant;
}

bool viewer_sees_session(const struct viewer *viewer, const struct session *session)
{
	return viewer_sees(viewer, session->tenant->key);
}
