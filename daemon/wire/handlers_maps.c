/* SPDX-License-Identifier: Apache-2.0 */
/* The request about everybody's mappings: one page of core's picture to protobuf. Rights were checked before. */
#include <errno.h>
#include <inttypes.h>

#include "daemon/core/device.h"
#include "daemon/core/maps.h"
#include "daemon/wire/request.h"
#include "daemon/wire/server.h"

/* Tag and value of the widest numbers. */
#define WIDE (1ul + 10)
#define NARROW (1ul + 5)
#define FLAG (1ul + 1)
#define MAP_BYTES (2 + 2 * WIDE + 4 * FLAG)
#define SESSION_BYTES (3 + 3 * WIDE + 6 * NARROW + FLAG + 2 + sizeof(((struct device *)NULL)->name))
#define ENVELOPE_BYTES (3 + NARROW + 3 + 2 * WIDE)

_Static_assert(NPUD_MAX_MAPS_PER_FRAME *MAP_BYTES + NPUD_MAX_MAP_SESSIONS_PER_FRAME * SESSION_BYTES + ENVELOPE_BYTES <=
		   CONN_OUT_BYTES,
	       "the fullest page fits a reply");

static void fill_entry(Npud__Map *to, const struct map_entry *from)
{
	npud__map__init(to);
	to->iova = from->iova.v;
	to->bytes = from->bytes;
	to->kind = (Npud__MapKind)from->kind;
	to->state = (Npud__MapState)from->state;
	to->readable = from->readable;
	to->writable = from->writable;
}

static void fill_session(Npud__SessionMaps *to, const struct map_session *from, Npud__Map **entries)
{
	npud__session_maps__init(to);
	to->session = from->id;
	to->device = from->device->index;
	to->device_name = (char *)(uintptr_t)from->device->name;
	to->pid = (uint32_t)from->pid;
	to->uid = from->uid;
	to->slot = from->slot;
	to->closing = from->closing;
	to->map_count = from->count;
	to->map_bytes = from->bytes;
	to->live_count = from->live_count;
	to->live_bytes = from->live_bytes;
	to->maps = entries + from->first;
	to->n_maps = from->on_page;
}

static void fill(struct maps_reply *to, const struct maps_page *page)
{
	npud__maps__init(&to->maps);
	for (uint32_t i = 0; i < page->entry_count; i++) {
		fill_entry(&to->entries[i], &page->entries[i]);
		to->entry_list[i] = &to->entries[i];
	}
	for (uint32_t i = 0; i < page->session_count; i++) {
		fill_session(&to->sessions[i], &page->sessions[i], to->entry_list);
		to->session_list[i] = &to->sessions[i];
	}
	to->maps.sessions = to->session_list;
	to->maps.n_sessions = page->session_count;
	to->maps.next_session = page->next.session;
	to->maps.next_iova = page->next.iova;
}

int handle_maps_query(struct request *request)
{
	const Npud__MapsQuery *query = request->message->maps_query;
	struct maps_cursor from = {query->from_session, query->from_iova};
	struct maps_page page;

	if (maps_read(server_host(request->conn->server), query->session, from, &page) < 0)
		return fail_set(&request->fail, ENOENT, "session %" PRIu64 ": there is no such session",
				query->session);
	fill(&request->body.maps, &page);
	request->reply.body_case = NPUD__REPLY__BODY_MAPS;
	request->reply.maps = &request->body.maps.maps;
	return 0;
}
