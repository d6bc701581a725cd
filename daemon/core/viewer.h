/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks about sessions, and whose he sees. What he does not see he cannot tell from what is not there: every answer
 * about sessions, submissions and their past asks here.
 */
#ifndef NPUD_CORE_VIEWER_H
#define NPUD_CORE_VIEWER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct session;
struct tenant;

/* Which tenant, even when it is gone. */
struct tenant_id {
	uid_t uid;
};

struct tenant_id tenant_id_of(const struct tenant *tenant);
/* Its name for people. */
void tenant_label(struct tenant_id tenant, char *out, size_t bytes);

struct viewer {
	struct tenant_id tenant; /* he sees his own */
	bool all;
};

/* The session asks, with what rights it has. */
struct viewer viewer_of(const struct session *session);
bool viewer_sees(const struct viewer *viewer, struct tenant_id tenant);
bool viewer_sees_session(const struct viewer *viewer, const struct session *session);

#endif
