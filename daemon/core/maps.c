/* SPDX-License-Identifier: Apache-2.0 */
/* Walks sessions by number and mappings by address, in pages; see maps.h. */
#include "daemon/core/maps.h"

#include <errno.h>
#include <string.h>

#include "daemon/core/buffer.h"
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/session.h"
#include "daemon/vfio/vfio.h"

/* ------------------------------------------------------------------ what there is */

typedef void (*mapping_fn)(void *user, const struct mapping *mapping, enum map_kind kind);

/* In no order. */
static void each_mapping(const struct session *session, mapping_fn visit, void *user)
{
	/* While it is reaped, the worker returns the arena; nothing else is left by then. */
	if (session->reaping)
		return;
	if (session->space.arena.fd >= 0)
		visit(user, &session->space.arena, MAP_KIND_ARENA);
	list_each (node, next, &session->buffers) {
		const struct buffer *buffer = list_entry(node, struct buffer, link);
		/* The address of a reaped one may be another's by now. */
		if (!buffer->reaped)
			visit(user, &buffer->map, MAP_KIND_BUFFER);
	}
}

static enum map_state state_of(const struct session *session, const struct mapping *mapping)
{
	/* What may be mapped is the worker's while it has the device: not even to be looked at. */
	if (session->device->busy && device_holds(session->device, session))
		return MAP_STATE_CHANGING;
	return mapping->live ? MAP_STATE_LIVE : MAP_STATE_RESERVED;
}

/* The session with the smallest number that is not below `id`. */
static const struct session *session_from(const struct host *host, uint64_t id)
{
	const struct session *best = NULL;

	list_each (node, next, &host->sessions) {
		const struct session *session = list_entry(node, struct session, link);
		if (session->id >= id && (!best || session->id < best->id))
			best = session;
	}
	return best;
}

/* ------------------------------------------------------------------ pages */

/* The mappings with the smallest addresses from `from` on, as many as there is room for. */
struct pick {
	const struct session *session;
	struct map_session *totals;
	struct map_entry *entries;
	uint64_t from;
	uint32_t room;
	uint32_t count;
	bool more;
};

static void add_totals(struct map_session *totals, const struct mapping *mapping, enum map_state state)
{
	totals->count++;
	totals->bytes += mapping->bytes;
	if (state == MAP_STATE_LIVE) {
		totals->live_count++;
		totals->live_bytes += mapping->bytes;
	}
}

static void pick_mapping(void *user, const struct mapping *mapping, enum map_kind kind)
{
	struct pick *pick = user;
	enum map_state state = state_of(pick->session, mapping);
	uint32_t at = pick->count;

	add_totals(pick->totals, mapping, state);
	if (mapping->iova.v < pick->from)
		return;
	while (at > 0 && pick->entries[at - 1].iova.v > mapping->iova.v)
		at--;
	if (pick->count < pick->room)
		pick->count++;
	else
		pick->more = true; /* this one, or the largest so far, is for a later page */
	if (at == pick->room)
		return;
	memmove(&pick->entries[at + 1], &pick->entries[at], (pick->count - 1 - at) * sizeof(*pick->entries));
	pick->entries[at] = (struct map_entry){.iova = mapping->iova,
					       .bytes = mapping->bytes,
					       .readable = (mapping->prot & VFIO_READ) != 0,
					       .writable = (mapping->prot & VFIO_WRITE) != 0,
					       .kind = kind,
					       .state = state};
}

/* True if mappings of the session did not fit. */
static bool add_session(struct maps_page *page, const struct session *session, uint64_t from)
{
	struct map_session *entry = &page->sessions[page->session_count++];
	struct pick pick = {.session = session,
			    .totals = entry,
			    .entries = &page->entries[page->entry_count],
			    .from = from,
			    .room = NPUD_MAX_MAPS_PER_FRAME - page->entry_count};

	*entry = (struct map_session){.id = session->id,
				      .device = session->device,
				      .pid = session->identity.pid,
				      .uid = session->identity.uid,
				      .slot = session->space.slot,
				      .closing = session->closing,
				      .first = page->entry_count};
	each_mapping(session, pick_mapping, &pick);
	entry->on_page = pick.count;
	page->entry_count += pick.count;
	return pick.more;
}

static bool is_full(const struct maps_page *page)
{
	return page->session_count == NPUD_MAX_MAP_SESSIONS_PER_FRAME || page->entry_count == NPUD_MAX_MAPS_PER_FRAME;
}

int maps_read(const struct host *host, uint64_t only, struct maps_cursor from, struct maps_page *page)
{
	const struct session *session = session_from(host, only ? only : from.session);

	page->session_count = 0;
	page->entry_count = 0;
	page->next = (struct maps_cursor){0, 0};
	if (only && (!session || session->id != only))
		return -ENOENT;
	while (session) {
		uint64_t iova = session->id == from.session ? from.iova : 0;
		if (is_full(page)) {
			page->next = (struct maps_cursor){session->id, iova};
			return 0;
		}
		if (add_session(page, session, iova)) {
			page->next = (struct maps_cursor){session->id, page->entries[page->entry_count - 1].iova.v + 1};
			return 0;
		}
		session = only ? NULL : session_from(host, session->id + 1);
	}
	return 0;
}
