/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl maps: which session has memory at which addresses, as a table for people or as JSON. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <npu/npu.h>

#include "tools/commands.h"
#include "tools/show.h"

const char usage_maps[] = "usage: npuctl maps [--session N] [--json] [--socket NPUD.sock]\n"
			  "Prints which session has memory at which bus addresses of its NPU, and what the NPU\n"
			  "reaches right now.\n"
			  "  --session N           that session alone\n"
			  "  --json                for programs: one object\n"
			  "Root may ask, and who npud.json gives the right \"maps\".\n";

struct maps_options {
	const char *socket;
	uint64_t session; /* 0: all */
	bool json;
};

/* ------------------------------------------------------------------ words */

static const char *kind_name(enum npu_map_kind kind)
{
	static const char *const names[] = {"?", "buffer", "arena"};

	return kind >= NPU_MAP_BUFFER && kind <= NPU_MAP_ARENA ? names[kind] : names[0];
}

static const char *state_name(enum npu_map_state state)
{
	static const char *const names[] = {"?", "reserved", "live", "changing"};

	return state >= NPU_MAP_RESERVED && state <= NPU_MAP_CHANGING ? names[state] : names[0];
}

static const char *access_name(const struct npu_map *map)
{
	if (map->readable)
		return map->writable ? "rw" : "r-";
	return map->writable ? "-w" : "--";
}

/* ------------------------------------------------------------------ for people */

static void session_print(const struct npu_maps_session *session)
{
	const struct passwd *user = getpwuid(session->uid);
	char size[32], live[32];

	printf("session %" PRIu64 ": %s, process %u%s, user %u%s%s%s, window %u%s\n", session->session,
	       session->device_name, session->pid, session->pid == (uint32_t)getpid() ? " (this npuctl)" : "",
	       session->uid, user ? " (" : "", user ? user->pw_name : "", user ? ")" : "", session->slot,
	       session->closing ? ", its client is gone" : "");
	if (session->map_count == 0)
		printf("   nothing\n");
	else
		printf("   %u mapping%s of %s, %u of %s live\n", session->map_count, session->map_count == 1 ? "" : "s",
		       show_size(session->map_bytes, size, sizeof(size)), session->live_count,
		       show_size(session->live_bytes, live, sizeof(live)));
}

static void map_print(const struct npu_map *map)
{
	char size[32];

	printf("   0x%09" PRIx64 "-0x%09" PRIx64 "  %10s  %-6s  %s  %s\n", map->iova, map->iova + map->bytes,
	       show_size(map->bytes, size, sizeof(size)), kind_name(map->kind), access_name(map),
	       state_name(map->state));
}

static void table_print(const struct npu_maps *maps)
{
	struct npu_maps_session session;
	struct npu_map map;
	size_t at = 0;

	for (size_t i = 0; npu_maps_session(maps, i, &session) == 0; i++) {
		session_print(&session);
		for (; npu_maps_entry(maps, at, &map) == 0 && map.session == session.session; at++)
			map_print(&map);
	}
}

/* ------------------------------------------------------------------ for programs */

static json_t *map_json(const struct npu_map *map)
{
	return json_pack("{sI sI ss ss sb sb}", "iova", (json_int_t)map->iova, "bytes", (json_int_t)map->bytes, "kind",
			 kind_name(map->kind), "state", state_name(map->state), "readable", map->readable, "writable",
			 map->writable);
}

static json_t *session_json(const struct npu_maps_session *session, json_t *list)
{
	return json_pack("{sI sI ss sI sI sI sb sI sI sI sI so}", "session", (json_int_t)session->session, "device",
			 (json_int_t)session->device, "device_name", session->device_name, "pid",
			 (json_int_t)session->pid, "uid", (json_int_t)session->uid, "slot", (json_int_t)session->slot,
			 "closing", session->closing, "map_count", (json_int_t)session->map_count, "map_bytes",
			 (json_int_t)session->map_bytes, "live_count", (json_int_t)session->live_count, "live_bytes",
			 (json_int_t)session->live_bytes, "maps", list);
}

/* A new list, or NULL. */
static json_t *sessions_json(const struct npu_maps *maps)
{
	struct npu_maps_session session;
	struct npu_map map;
	json_t *sessions = json_array();
	size_t at = 0;
	int error = sessions ? 0 : -1;

	for (size_t i = 0; error == 0 && npu_maps_session(maps, i, &session) == 0; i++) {
		json_t *list = json_array();

		for (; error == 0 && npu_maps_entry(maps, at, &map) == 0 && map.session == session.session; at++)
			error = json_array_append_new(list, map_json(&map));
		error |= json_array_append_new(sessions, session_json(&session, list));
	}
	if (error == 0)
		return sessions;
	json_decref(sessions);
	return NULL;
}

/* ------------------------------------------------------------------ the command */

static int maps_print(struct npu_connection *connection, const struct maps_options *options)
{
	struct npu_maps *maps = NULL;
	int code = EXIT_SUCCESS;

	if (npu_maps_read(connection, options->session, &maps) < 0) {
		(void)fprintf(stderr, "npuctl maps: %s\n", npu_error());
		return EXIT_FAILURE;
	}
	if (options->json)
		code = show_json("maps", NULL, json_pack("{so}", "sessions", sessions_json(maps)));
	else
		table_print(maps);
	npu_maps_free(maps);
	return code;
}

static int session_parse(const char *text, uint64_t *out)
{
	char *end = NULL;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value == 0)
		return usage_error("maps", "--session is the number of a session, from 1 on");
	*out = value;
	return 0;
}

/* 0 to go on, else -1 with the exit code in *code. */
static int options_parse(int argc, char **argv, struct maps_options *options, int *code)
{
	static const struct option list[] = {{"session", required_argument, NULL, 'n'},
					     {"json", no_argument, NULL, 'j'},
					     {"socket", required_argument, NULL, 's'},
					     {"help", no_argument, NULL, 'h'},
					     {NULL, 0, NULL, 0}};
	int option;

	*code = 0;
	while (*code == 0 && (option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage_maps, stdout);
			return -1;
		}
		if (option == 'n')
			*code = session_parse(optarg, &options->session);
		else if (option == 'j')
			options->json = true;
		else if (option == 's')
			options->socket = optarg;
		else
			*code = EXIT_USAGE; /* getopt has said why */
	}
	if (*code == 0 && optind < argc)
		*code = usage_error("maps", "takes no arguments");
	return *code ? -1 : 0;
}

int command_maps(int argc, char **argv)
{
	struct npu_connection *connection = NULL;
	struct maps_options options = {0};
	int code = 0;

	if (options_parse(argc, argv, &options, &code) < 0)
		return code;
	if (npu_connect(options.socket, &connection) < 0) {
		(void)fprintf(stderr, "npuctl maps: cannot reach npud: %s\n", npu_error());
		return EXIT_FAILURE;
	}
	code = maps_print(connection, &options);
	npu_disconnect(connection);
	return code;
}
