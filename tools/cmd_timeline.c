/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npuctl timeline: the last submissions that have ended as a Chrome trace. Process 0 has a track for each NPU; each
 * session is a process of its number, with its submissions from their acceptance to their end.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/commands.h"
#include "tools/show.h"

const char usage_timeline[] =
    "usage: npuctl timeline [-o FILE | --output FILE] [--socket NPUD.sock]\n"
    "Writes when the last submissions were submitted, ready, scheduled, started and finished,\n"
    "as a Chrome trace (for Perfetto, chrome://tracing): of one's own tenant, or everybody's\n"
    "with the right \"sessions\" in npud.json.\n"
    "  -o, --output FILE     instead of standard output\n";

#define DEVICES_PROCESS 0
#define MAX_DEVICES 16u

/* The trace that grows; events NULL once memory ran out. */
struct trace {
	json_t *events;
	json_t *named; /* a member for each session that has its name */
	const struct npu_ps *sessions;
	bool device_named[MAX_DEVICES];
};

static void trace_add(struct trace *trace, json_t *event)
{
	if (trace->events && json_array_append_new(trace->events, event) == 0)
		return;
	json_decref(trace->events);
	trace->events = NULL;
}

static double microseconds(uint64_t ns)
{
	return (double)ns / 1000;
}

/* ------------------------------------------------------------------ names of tracks */

static void name_process(struct trace *trace, uint64_t process, const char *name)
{
	trace_add(trace, json_pack("{ss ss sI s{ss}}", "ph", "M", "name", "process_name", "pid", (json_int_t)process,
				   "args", "name", name));
}

static void name_device(struct trace *trace, uint32_t device)
{
	char name[32];

	if (device >= MAX_DEVICES || trace->device_named[device])
		return;
	trace->device_named[device] = true;
	(void)snprintf(name, sizeof(name), "NPU %u", device);
	trace_add(trace, json_pack("{ss ss si sI s{ss}}", "ph", "M", "name", "thread_name", "pid", DEVICES_PROCESS,
				   "tid", (json_int_t)device, "args", "name", name));
}

/* A session that is gone has its tenant's name alone. */
static void name_session(struct trace *trace, const struct npu_timeline_entry *entry)
{
	struct npu_ps_session session = {.session = 0};
	char name[3 * NPU_NAME_BYTES], number[32];

	(void)snprintf(number, sizeof(number), "%" PRIu64, entry->session);
	if (json_object_get(trace->named, number))
		return;
	(void)json_object_set_new(trace->named, number, json_true());
	for (size_t i = 0; npu_ps_session(trace->sessions, i, &session) == 0 && session.session < entry->session; i++)
		;
	if (session.session == entry->session)
		(void)snprintf(name, sizeof(name), "session %" PRIu64 ": %s, %s", entry->session, entry->tenant,
			       session.client);
	else
		(void)snprintf(name, sizeof(name), "session %" PRIu64 ": %s", entry->session, entry->tenant);
	name_process(trace, entry->session, name);
}

/* ------------------------------------------------------------------ one submission */

static const char *name_of(const struct npu_timeline_entry *entry, char *text, size_t room)
{
	(void)snprintf(text, room, "%" PRIu64 ":0x%" PRIx64, entry->session, entry->submission);
	return text;
}

static json_t *facts(const struct npu_timeline_entry *entry)
{
	return json_pack("{sI sI sI ss ss ss}", "number", (json_int_t)entry->number, "job", (json_int_t)entry->job,
			 "queue", (json_int_t)entry->queue, "tenant", entry->tenant, "class",
			 show_class(entry->class_of), "outcome", npu_outcome_name(entry->outcome));
}

static void add_run(struct trace *trace, const struct npu_timeline_entry *entry)
{
	char name[64];

	if (entry->started_ns == 0)
		return;
	name_device(trace, entry->device);
	trace_add(trace, json_pack("{ss ss ss si sI sf sf so}", "ph", "X", "cat", "run", "name",
				   name_of(entry, name, sizeof(name)), "pid", DEVICES_PROCESS, "tid",
				   (json_int_t)entry->device, "ts", microseconds(entry->started_ns), "dur",
				   microseconds(entry->finished_ns - entry->started_ns), "args", facts(entry)));
}

/* Part of the submission's own track. */
static void add_instant(struct trace *trace, const struct npu_timeline_entry *entry, const char *phase,
			const char *what, uint64_t ns)
{
	char id[64];

	if (ns)
		trace_add(trace, json_pack("{ss ss ss ss sI si sf so}", "ph", phase, "cat", "submission", "id",
					   name_of(entry, id, sizeof(id)), "name", what, "pid",
					   (json_int_t)entry->session, "tid", 0, "ts", microseconds(ns), "args",
					   *phase == 'b' ? facts(entry) : json_object()));
}

static void add_entry(struct trace *trace, const struct npu_timeline_entry *entry)
{
	add_instant(trace, entry, "b", "submission", entry->submitted_ns);
	add_instant(trace, entry, "n", "ready", entry->ready_ns);
	add_instant(trace, entry, "n", "scheduled", entry->scheduled_ns);
	add_instant(trace, entry, "n", "started", entry->started_ns);
	add_instant(trace, entry, "e", "submission", entry->finished_ns);
	add_run(trace, entry);
}

/* NULL without memory. */
static json_t *trace_json(const struct npu_timeline *timeline, const struct npu_ps *sessions)
{
	struct trace trace = {.events = json_array(), .named = json_object(), .sessions = sessions};
	struct npu_timeline_entry entry;

	name_process(&trace, DEVICES_PROCESS, "NPUs");
	for (size_t i = 0; trace.events && npu_timeline_entry(timeline, i, &entry) == 0; i++) {
		name_session(&trace, &entry);
		add_entry(&trace, &entry);
	}
	json_decref(trace.named);
	return trace.events ? json_pack("{so ss}", "traceEvents", trace.events, "displayTimeUnit", "ns") : NULL;
}

/* ------------------------------------------------------------------ the command */

static int timeline_print(struct npu_connection *connection, const struct show_options *options)
{
	struct npu_timeline *timeline = NULL;
	struct npu_ps *sessions = NULL;
	int code = EXIT_FAILURE;

	if (npu_timeline_read(connection, 0, &timeline) == 0 && npu_ps_read(connection, &sessions) == 0)
		code = show_json("timeline", options->output, trace_json(timeline, sessions));
	else
		(void)fprintf(stderr, "npuctl timeline: %s\n", npu_error());
	npu_ps_free(sessions);
	npu_timeline_free(timeline);
	return code;
}

int command_timeline(int argc, char **argv)
{
	struct show_options options = {0};
	int code = 0;

	if (show_options_parse(argc, argv, "timeline", usage_timeline, "o", &options, &code) < 0)
		return code;
	if (optind < argc)
		return usage_error("timeline", "takes no arguments");
	struct npu_connection *connection = show_connect("timeline", &options);
	if (!connection)
		return EXIT_FAILURE;
	code = timeline_print(connection, &options);
	npu_disconnect(connection);
	return code;
}
