/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every session has at which bus addresses: a picture for operators, page by page. It changes nothing, allocates
 * nothing, and reads nothing that a worker may be changing.
 */
#ifndef NPUD_CORE_MAPS_H
#define NPUD_CORE_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/util/types.h"
#include "proto/limits.h"

struct device;
struct host;

/* The numbers of enum MapKind and enum MapState in npud.proto. */
enum map_kind { MAP_KIND_BUFFER = 1, MAP_KIND_ARENA = 2 };
enum map_state {
	MAP_STATE_RESERVED = 1, /* the device does not reach it */
	MAP_STATE_LIVE = 2,
	MAP_STATE_CHANGING = 3, /* a change of tenure, a recovery or an unmap is under way */
};

struct map_entry {
	iova_t iova;
	uint64_t bytes;
	bool readable; /* by the device */
	bool writable;
	enum map_kind kind;
	enum map_state state;
};

struct map_session {
	uint64_t id;
	const struct device *device;
	pid_t pid;
	uid_t uid;
	uint32_t slot;
	bool closing; /* the client is gone, its memory not yet */
	/* of the whole session, whatever part of it is on this page */
	uint32_t count;
	uint32_t live_count;
	uint64_t bytes;
	uint64_t live_bytes;
	uint32_t first; /* on this page, in maps_page.entries */
	uint32_t on_page;
};

/* The first session and address that were not told yet; session 0: from the start, or nothing is left. */
struct maps_cursor {
	uint64_t session;
	uint64_t iova;
};

struct maps_page {
	struct map_session sessions[NPUD_MAX_MAP_SESSIONS_PER_FRAME];
	struct map_entry entries[NPUD_MAX_MAPS_PER_FRAME];
	uint32_t session_count;
	uint32_t entry_count;
	struct maps_cursor next;
};

/*
 * One page, by session and then by address. Sessions and mappings may come and go between two pages: what stays is told
 * once. `only` is a session, or 0 for all; -ENOENT if there is no such session.
 */
int maps_read(const struct host *host, uint64_t only, struct maps_cursor from, struct maps_page *page);

#endif
