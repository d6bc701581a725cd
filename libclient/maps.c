/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has which addresses: pages from the daemon, put together to one table. Trusts no count and no order in them: a
 * table has bounded size, and fetching it comes to an end.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "libclient/error.h"
#include "libclient/maps.h"
#include "libclient/objects.h"
#include "libclient/rows.h"

/* What a daemon can have at most, and more than anybody wants to read. */
#define MAX_SESSIONS 65536u
#define MAX_MAPS (1u << 22)

#define MAPS_MINOR 1u

struct npu_maps {
	struct npu_maps_session *sessions;
	size_t session_count, session_room;
	struct npu_map *maps;
	size_t count, room;
};

/* ------------------------------------------------------------------ one page */

static void copy_session(struct npu_maps_session *to, const Npud__SessionMaps *from)
{
	*to = (struct npu_maps_session){
	    .session = from->session,
	    .device = from->device,
	    .pid = from->pid,
	    .uid = from->uid,
	    .slot = from->slot,
	    .closing = from->closing,
	    .map_count = from->map_count,
	    .map_bytes = from->map_bytes,
	    .live_count = from->live_count,
	    .live_bytes = from->live_bytes,
	};
	(void)snprintf(to->device_name, sizeof(to->device_name), "%s", from->device_name ? from->device_name : "");
}

static void copy_map(struct npu_map *to, uint64_t session, const Npud__Map *from)
{
	*to = (struct npu_map){
	    .session = session,
	    .iova = from->iova,
	    .bytes = from->bytes,
	    .kind = (enum npu_map_kind)from->kind,
	    .state = (enum npu_map_state)from->state,
	    .readable = from->readable,
	    .writable = from->writable,
	};
}

void npu_maps_copy(struct npu_maps_page *to, const Npud__Maps *from)
{
	to->session_count = to->map_count = 0;
	to->next_session = from->next_session;
	to->next_iova = from->next_iova;
	to->whole = from->n_sessions <= NPUD_MAX_MAP_SESSIONS_PER_FRAME;
	for (size_t i = 0; i < from->n_sessions && to->whole; i++) {
		const Npud__SessionMaps *session = from->sessions[i];

		copy_session(&to->sessions[to->session_count++], session);
		to->whole = session->n_maps <= NPUD_MAX_MAPS_PER_FRAME - to->map_count;
		for (size_t k = 0; k < session->n_maps && to->whole; k++)
			copy_map(&to->maps[to->map_count++], session->session, session->maps[k]);
	}
}

static int fetch(struct npu_connection *connection, uint64_t session, uint64_t from_session, uint64_t from_iova,
		 struct npu_reply *reply)
{
	Npud__MapsQuery query = NPUD__MAPS_QUERY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	query.session = session;
	query.from_session = from_session;
	query.from_iova = from_iova;
	request.body_case = NPUD__REQUEST__BODY_MAPS_QUERY;
	request.maps_query = &query;
	int rc = npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_MAPS, reply, "mappings");
	if (rc)
		return rc;
	const struct npu_maps_page *page = &reply->maps;
	bool goes_on =
	    page->next_session > from_session || (page->next_session == from_session && page->next_iova > from_iova);

	if (!page->whole || (page->next_session && !goes_on))
		return npu_fail(-EPROTO, "mappings: npud sent more than fits a page, or pages in a circle");
	return 0;
}

/* ------------------------------------------------------------------ the table */

/* For one page more: 0 or -ENOMEM. */
static int make_room_for(struct npu_maps *table, const struct npu_maps_page *page)
{
	size_t sessions = table->session_count + page->session_count, count = table->count + page->map_count;
	void *session_array = npu_rows_room(table->sessions, sizeof(*table->sessions), sessions, &table->session_room);

	if (session_array)
		table->sessions = session_array;
	void *map_array = npu_rows_room(table->maps, sizeof(*table->maps), count, &table->room);

	if (map_array)
		table->maps = map_array;
	return session_array && map_array ? 0 : npu_fail(-ENOMEM, "mappings: out of memory for %zu of them", count);
}

/* A session that began on an earlier page is told again, with newer totals. */
static void add_session(struct npu_maps *table, const struct npu_maps_session *session)
{
	size_t last = table->session_count;

	if (last == 0 || table->sessions[last - 1].session != session->session)
		table->session_count++;
	table->sessions[table->session_count - 1] = *session;
}

static int add_page(struct npu_maps *table, const struct npu_maps_page *page)
{
	if (table->session_count + page->session_count > MAX_SESSIONS || table->count + page->map_count > MAX_MAPS)
		return npu_fail(-EPROTO, "mappings: npud tells of more than %u sessions or %u mappings", MAX_SESSIONS,
				MAX_MAPS);
	int rc = make_room_for(table, page);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < page->session_count; i++)
		add_session(table, &page->sessions[i]);
	for (uint32_t i = 0; i < page->map_count; i++)
		table->maps[table->count++] = page->maps[i];
	return 0;
}

static int read_pages(struct npu_connection *connection, uint64_t session, struct npu_maps *table)
{
	struct npu_reply reply;
	uint64_t from_session = 0, from_iova = 0;
	/* each page brings something, so that many are enough for the largest table */
	uint32_t pages = MAX_SESSIONS + MAX_MAPS / NPUD_MAX_MAPS_PER_FRAME;

	do {
		int rc = fetch(connection, session, from_session, from_iova, &reply);

		if (rc == 0)
			rc = add_page(table, &reply.maps);
		if (rc)
			return rc;
		from_session = reply.maps.next_session;
		from_iova = reply.maps.next_iova;
	} while (from_session && --pages);
	return from_session ? npu_fail(-EPROTO, "mappings: npud sends pages without end") : 0;
}

int npu_maps_read(struct npu_connection *connection, uint64_t session, struct npu_maps **out)
{
	int rc = npu_link_check_minor(connection, MAPS_MINOR, "mappings");

	if (rc)
		return rc;
	struct npu_maps *table = calloc(1, sizeof(*table));

	if (!table)
		return npu_fail(-ENOMEM, "mappings: out of memory");
	rc = read_pages(connection, session, table);
	if (rc) {
		npu_maps_free(table);
		return rc;
	}
	*out = table;
	return 0;
}

void npu_maps_free(struct npu_maps *maps)
{
	if (!maps)
		return;
	free(maps->sessions);
	free(maps->maps);
	free(maps);
}

size_t npu_maps_session_count(const struct npu_maps *maps)
{
	return maps->session_count;
}

int npu_maps_session(const struct npu_maps *maps, size_t index, struct npu_maps_session *session)
{
	npu_error_clear();
	if (index >= maps->session_count)
		return npu_fail(-ENOENT, "mappings: no session %zu of %zu", index, maps->session_count);
	*session = maps->sessions[index];
	return 0;
}

size_t npu_maps_count(const struct npu_maps *maps)
{
	return maps->count;
}

int npu_maps_entry(const struct npu_maps *maps, size_t index, struct npu_map *map)
{
	npu_error_clear();
	if (index >= maps->count)
		return npu_fail(-ENOENT, "mappings: no mapping %zu of %zu", index, maps->count);
	*map = maps->maps[index];
	return 0;
}
