/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl ps: what every session has and does, as a table for people or as JSON. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/commands.h"
#include "tools/show.h"

const char usage_ps[] = "usage: npuctl ps [-j | --json] [--socket NPUD.sock]\n"
			"Prints what each session has and does: its own tenant's, or everybody's with the right\n"
			"\"sessions\" in npud.json. Then how many submissions wait in all, by class, and the\n"
			"NPUs with what they do: one that is drained takes nothing new.\n"
			"  -j, --json            for programs: one object\n";

static const char *state_name(enum npu_session_state state)
{
	static const char *const names[] = {"?", "open", "closing", "quarantined"};

	return state >= NPU_SESSION_OPEN && state <= NPU_SESSION_QUARANTINED ? names[state] : names[0];
}

/* ------------------------------------------------------------------ for people */

static void session_print(const struct npu_ps_session *session)
{
	char size[SHOW_BYTES], time[SHOW_BYTES];

	printf("%7" PRIu64 "  %-16s %7u  %-16s %s%s  %s\n", session->session, session->tenant, session->pid,
	       session->client[0] ? session->client : "-", session->device_name, session->attached ? " (holds it)" : "",
	       state_name(session->state));
	printf("         %u queue%s, %" PRIu64 " buffer%s of %s, %" PRIu64 " job%s\n", session->queues,
	       session->queues == 1 ? "" : "s", session->buffers, session->buffers == 1 ? "" : "s",
	       show_size(session->buffer_bytes, size, sizeof(size)), session->jobs, session->jobs == 1 ? "" : "s");
	printf("         submissions: %u waiting, %u queued, %u running, %u not reported, %" PRIu64 " ended;"
	       " device time %s, %u.%u %%\n",
	       session->load.waiting, session->load.queued, session->load.running, session->unreported,
	       session->completed, show_time(session->device_ns, time, sizeof(time)), session->share_permille / 10,
	       session->share_permille % 10);
	for (uint32_t i = 0; i < session->submission_count; i++)
		printf("%s%" PRIu64 ":0x%" PRIx64 "%s", i ? " " : "         oldest: ", session->session,
		       session->submissions[i], i + 1 == session->submission_count ? "\n" : "");
}

static void totals_print(const struct npu_ps *ps)
{
	uint32_t sessions = 0;

	for (enum npu_class class_of = NPU_CLASS_REALTIME; class_of <= NPU_CLASS_IDLE; class_of++) {
		struct npu_load load = {0};

		(void)npu_ps_total(ps, class_of, &sessions, &load);
		if (class_of == NPU_CLASS_REALTIME)
			printf("all %u session%s:\n", sessions, sessions == 1 ? "" : "s");
		printf("         %-8s  %u waiting, %u queued, %u running\n", show_class(class_of), load.waiting,
		       load.queued, load.running);
	}
}

/* An older npud does not tell. */
static void devices_print(struct npu_connection *connection)
{
	struct npu_device_usage usage;
	char text[SHOW_USAGE_BYTES];

	for (uint32_t i = 0; npu_device_usage(connection, i, &usage) == 0; i++)
		printf("%s         %s\n", i ? "" : "NPUs:\n", show_usage(&usage, text, sizeof(text)));
}

static void table_print(const struct npu_ps *ps)
{
	struct npu_ps_session session;

	printf("session  %-16s %7s  %-16s NPU\n", "tenant", "process", "client");
	for (size_t i = 0; npu_ps_session(ps, i, &session) == 0; i++)
		session_print(&session);
	totals_print(ps);
}

/* ------------------------------------------------------------------ for programs */

static json_t *submissions_json(const struct npu_ps_session *session)
{
	json_t *list = json_array();
	char name[64];
	int error = list ? 0 : -1;

	for (uint32_t i = 0; error == 0 && i < session->submission_count; i++) {
		(void)snprintf(name, sizeof(name), "%" PRIu64 ":0x%" PRIx64, session->session, session->submissions[i]);
		error = json_array_append_new(list, json_string(name));
	}
	if (error == 0)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *session_json(const struct npu_ps_session *session)
{
	return json_pack("{sI ss sI sI ss sI ss ss sb sI sI sI sI sI sI sI sI sI sI sI so}", "session",
			 (json_int_t)session->session, "tenant", session->tenant, "pid", (json_int_t)session->pid,
			 "uid", (json_int_t)session->uid, "client", session->client, "device",
			 (json_int_t)session->device, "device_name", session->device_name, "state",
			 state_name(session->state), "attached", session->attached, "queues",
			 (json_int_t)session->queues, "buffers", (json_int_t)session->buffers, "buffer_bytes",
			 (json_int_t)session->buffer_bytes, "jobs", (json_int_t)session->jobs, "waiting",
			 (json_int_t)session->load.waiting, "queued", (json_int_t)session->load.queued, "running",
			 (json_int_t)session->load.running, "unreported", (json_int_t)session->unreported, "completed",
			 (json_int_t)session->completed, "device_ns", (json_int_t)session->device_ns, "share_permille",
			 (json_int_t)session->share_permille, "submissions", submissions_json(session));
}

static int add_totals(json_t *root, const struct npu_ps *ps)
{
	json_t *classes = json_object();
	uint32_t sessions = 0;
	int error = json_object_set_new(root, "totals", classes);

	for (enum npu_class class_of = NPU_CLASS_REALTIME; class_of <= NPU_CLASS_IDLE && error == 0; class_of++) {
		struct npu_load load = {0};

		(void)npu_ps_total(ps, class_of, &sessions, &load);
		error = json_object_set_new(classes, show_class(class_of),
					    json_pack("{sI sI sI}", "waiting", (json_int_t)load.waiting, "queued",
						      (json_int_t)load.queued, "running", (json_int_t)load.running));
	}
	return error ? error : json_object_set_new(root, "session_count", json_integer(sessions));
}

static int add_devices(json_t *root, struct npu_connection *connection)
{
	struct npu_device_usage usage;
	json_t *devices = json_array();
	int error = json_object_set_new(root, "devices", devices);

	for (uint32_t i = 0; error == 0 && npu_device_usage(connection, i, &usage) == 0; i++)
		error = json_array_append_new(
		    devices, json_pack("{ss ss ss sb sI sI sI}", "name", usage.name, "status",
				       show_status(usage.status), "reason", usage.reason, "drained", usage.drained,
				       "sessions", (json_int_t)usage.sessions, "busy_sessions",
				       (json_int_t)usage.busy_sessions, "submissions", (json_int_t)usage.submissions));
	return error;
}

/* NULL without memory. */
static json_t *table_json(const struct npu_ps *ps, struct npu_connection *connection)
{
	struct npu_ps_session session;
	json_t *sessions = json_array(), *root = json_pack("{so}", "sessions", sessions);
	int error = root ? add_totals(root, ps) : -1;

	if (error == 0)
		error = add_devices(root, connection);

	for (size_t i = 0; error == 0 && npu_ps_session(ps, i, &session) == 0; i++)
		error = json_array_append_new(sessions, session_json(&session));
	if (error == 0)
		return root;
	json_decref(root);
	return NULL;
}

/* ------------------------------------------------------------------ the command */

static int ps_print(struct npu_connection *connection, const struct show_options *options)
{
	struct npu_ps *ps = NULL;
	int code = EXIT_SUCCESS;

	if (npu_ps_read(connection, &ps) < 0) {
		(void)fprintf(stderr, "npuctl ps: %s\n", npu_error());
		return EXIT_FAILURE;
	}
	if (options->json)
		code = show_json("ps", NULL, table_json(ps, connection));
	else {
		table_print(ps);
		devices_print(connection);
	}
	npu_ps_free(ps);
	return code;
}

int command_ps(int argc, char **argv)
{
	struct show_options options = {0};
	int code = 0;

	if (show_options_parse(argc, argv, "ps", usage_ps, "j", &options, &code) < 0)
		return code;
	if (optind < argc)
		return usage_error("ps", "takes no arguments");
	struct npu_connection *connection = show_connect("ps", &options);
	if (!connection)
		return EXIT_FAILURE;
	code = ps_print(connection, &options);
	npu_disconnect(connection);
	return code;
}
