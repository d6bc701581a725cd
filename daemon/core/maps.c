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

typedef void (*entry_fn)(void *user, const struct map_entry *entry);

static enum map_state state_of(const struct session *session, const struct mapping *mapping)
{
	const struct device *device = session->device;

	/* What may be mapped is the worker's while it has the device: not even to be looked at. */
	if (device->busy && device_holds(device, session))
		return MAP_STATE_CHANGING;
	/* Half-way between two tables nobody knows which one the device uses. */
	if (device->tables && device->dirty)
		return MAP_STATE_CHANGING;
	/* A table that the device does not use reaches nothing. */
	if (device->tables && device->attached != session->space)
		return MAP_STATE_RESERVED;
	return mapping->live ? MAP_STATE_LIVE : MAP_STATE_RESERVED;
}

static struct map_entry entry_of(const struct mapping *mapping, enum map_kind kind, enum map_state state)
{
	return (struct map_entry){.iova = mapping->iova,
				  .bytes = mapping->bytes,
				  .readable = (mapping->prot & VFIO_READ) != 0,
				  .writable = (mapping->prot & VFIO_WRITE) != 0,
				  .kind = kind,
				  .state = state};
}

/*
 * Pieces side by side in the same state are told as one, from the first at `from` or above: what was told as part of
 * one run may be in the middle of another by now.
 */
static void each_piece(const struct session *session, uint64_t from, entry_fn visit, void *user)
{
	const struct mapping *pieces = session->space->pieces;
	uint32_t first = 0;

	while (pieces && first < ARENA_PIECES && pieces[first].iova.v < from)
		first++;
	for (uint32_t i = first, end; pieces && i < ARENA_PIECES; i = end) {
		struct map_entry entry = entry_of(&pieces[i], MAP_KIND_ARENA, state_of(session, &pieces[i]));
		for (end = i + 1; end < ARENA_PIECES && state_of(session, &pieces[end]) == entry.state; end++)
			entry.bytes += pieces[end].bytes;
		visit(user, &entry);
	}
}

/* What lies at `from` or above, in no order. */
static void each_entry(const struct session *session, uint64_t from, entry_fn visit, void *user)
{
	/* While it is reaped, the worker returns the arena; nothing else is left by then. */
	if (session->reaping)
		return;
	each_piece(session, from, visit, user);
	list_each (node, next, &session->buffers) {
		const struct buffer *buffer = list_entry(node, struct buffer, link);
		/* The address of a reaped one may be another's by now; one that is released may be with the worker. */
		if (buffer->reaped || buffer->map.iova.v < from)
			continue;
		struct map_entry entry = entry_of(
		    &buffer->map, MAP_KIND_BUFFER,
		    buffer->released && session->device->tables ? MAP_STATE_CHANGING : state_of(session, &buffer->map));
		visit(user, &entry);
	}
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

static void add_totals(void *user, const struct map_entry *entry)
{
	struct map_session *totals = user;

	totals->count++;
	totals->bytes += entry->bytes;
	if (entry->state == MAP_STATE_LIVE) {
		totals->live_count++;
		totals->live_bytes += entry->bytes;
	}
}

/* Those with the smallest addresses, as many as there is room for. */
struct pick {
	struct map_entry *entries;
	uint32_t room;
	uint32_t count;
	bool more;
};

static void pick_entry(void *user, const struct map_entry *entry)
{
	struct pick *pick = user;
	uint32_t at = pick->count;

	while (at > 0 && pick->entries[at - 1].iova.v > entry->iova.v)
		at--;
	if (pick->count < pick->room)
		pick->count++;
	else
		pick->more = true; /* this one, or the largest so far, is for a later page */
	if (at == pick->room)
		return;
	memmove(&pick->entries[at + 1], &pick->entries[at], (pick->count - 1 - at) * sizeof(*pick->entries));
	pick->entries[at] = *entry;
}

/* True if mappings of the session did not fit. */
static bool add_session(struct maps_page *page, const struct session *session, uint64_t from)
{
	struct map_session *entry = &page->sessions[page->session_count++];
	struct pick pick = {.entries = &page->entries[page->entry_count],
			    .room = NPUD_MAX_MAPS_PER_FRAME - page->entry_count};

	*entry = (struct map_session){.id = session->id,
				      .device = session->device,
				      .pid = session->identity.pid,
				      .uid = session->identity.uid,
				      .slot = session->space->slot,
				      .closing = session->closing,
				      .first = page->entry_count};
	each_entry(session, 0, add_totals, entry);
	each_entry(session, from, pick_entry, &pick);
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
			const struct map_entry *last = &page->entries[page->entry_count - 1];
			page->next = (struct maps_cursor){session->id, last->iova.v + last->bytes};
			return 0;
		}
		session = only ? NULL : session_from(host, session->id + 1);
	}
	return 0;
}
