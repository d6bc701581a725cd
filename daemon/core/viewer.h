/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks about sessions, and whose he sees. What he does not see he cannot tell from what is not there: every answer
 * about sessions, submissions and their past asks here.
 */
#ifndef NPUD_CORE_VIEWER_H
#define NPUD_CORE_VIEWER_H

#include <stdbool.h>
#include <stdint.h>

struct session;

struct viewer {
	uint64_t tenant; /* key of his own, which he sees */
	bool all;
};

/* The session asks, with what rights it has. */
struct viewer viewer_of(const struct session *session);
bool viewer_sees(const struct viewer *viewer, uint64_t tenant);
bool viewer_sees_session(const struct viewer *viewer, const struct session *session);

#endif
