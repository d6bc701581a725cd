/* SPDX-License-Identifier: Apache-2.0 */
/* Own tenant, or the right to see all; see viewer.h. */
#include "daemon/core/viewer.h"

#include "daemon/core/session.h"

struct viewer viewer_of(const struct session *session)
{
	return (struct viewer){
	    .tenant = tenant_id_of(session->tenant),
	    .all = (session->identity.rights & RIGHT_BIT(RIGHT_SESSIONS)) != 0,
	};
}

bool viewer_sees(const struct viewer *viewer, struct tenant_id tenant)
{
	return viewer->all || (viewer->tenant.profile == tenant.profile && viewer->tenant.uid == tenant.uid);
}

bool viewer_sees_session(const struct viewer *viewer, const struct session *session)
{
	return viewer_sees(viewer, tenant_id_of(session->tenant));
}
