/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl stats: what npud holds and has done, one "name value" a line, for people and for scripts. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/wire.h"

const char usage_stats[] =
    "usage: npuctl stats [--socket NPUD.sock]\n"
    "Prints what npud holds and has done, one \"name value\" a line. Only root and the user that\n"
    "npud runs as may ask.\n";

/* Names of four words: "recovery.0.abort.attempts". */
static void rung_print(const Npud__RungStats *rung)
{
	static const char *const names[] = {"?", "abort", "soft_reset", "transport_reset", "reopen", "offline"};
	unsigned index = (unsigned)rung->rung < sizeof(names) / sizeof(names[0]) ? (unsigned)rung->rung : 0;
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {{"attempts", rung->attempts},
		    {"failures", rung->failures},
		    {"total_ns", rung->total_ns},
		    {"last_ns", rung->last_ns}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("recovery.%u.%s.%s %" PRIu64 "\n", rung->device, names[index], rows[i].name, rows[i].value);
}

static void stats_print(const Npud__Stats *stats)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
	    {"sessions", stats->sessions},
	    {"buffers", stats->buffers},
	    {"buffer_bytes", stats->buffer_bytes},
	    {"jobs", stats->jobs},
	    {"submissions", stats->submissions},
	    {"mappings", stats->mappings},
	    {"arena_bytes", stats->arena_bytes},
	    {"tenures", stats->tenures},
	    {"completed", stats->completed},
	    {"unknown_completions", stats->unknown_completions},
	    {"resets", stats->resets},
	    {"aborts", stats->aborts},
	    {"open_fds", stats->open_fds},
	    {"allocations", stats->allocations},
	    {"resident_bytes", stats->resident_bytes},
	    {"quarantined", stats->quarantined},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("%-20s %" PRIu64 "\n", rows[i].name, rows[i].value);
	for (size_t i = 0; i < stats->n_rungs; i++)
		rung_print(stats->rungs[i]);
}

static int stats_query(int fd, struct reason *why)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__StatsQuery query = NPUD__STATS_QUERY__INIT;
	Npud__ServerFrame *frame = NULL;

	request.serial = 2;
	request.body_case = NPUD__REQUEST__BODY_STATS_QUERY;
	request.stats_query = &query;
	int error = wire_call(fd, &request, &frame, why);
	if (error)
		return error;
	if (frame->reply->body_case == NPUD__REPLY__BODY_STATS)
		stats_print(frame->reply->stats);
	else
		error = reason_set(why, -EPROTO, "npud answered something else than statistics");
	npud__server_frame__free_unpacked(frame, NULL);
	return error;
}

int command_stats(int argc, char **argv)
{
	const char *socket = NULL;
	struct reason why = {0};
	int code = 0;

	if (options_parse_simple(argc, argv, "stats", usage_stats, &socket, &code) < 0)
		return code;
	int fd = wire_connect(socket, &why);
	int error = fd < 0 ? fd : stats_query(fd, &why);
	if (fd >= 0)
		close(fd);
	if (error) {
		(void)fprintf(stderr, "npuctl stats: %s\n", why.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
