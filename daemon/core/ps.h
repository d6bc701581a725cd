/* SPDX-License-Identifier: Apache-2.0 */
/* What every session has and does, page by page, for whoever may see it. Changes nothing and allocates nothing. */
#ifndef NPUD_CORE_PS_H
#define NPUD_CORE_PS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/core/submission.h"
#include "daemon/core/viewer.h"
#include "proto/limits.h"

struct device;
struct host;

/* The numbers of enum SessionState in npud.proto. */
enum ps_state {
	PS_OPEN = 1,
	PS_CLOSING, /* the client is gone, what it had not yet */
	PS_QUARANTINED, /* no submission is taken */
};

struct ps_session {
	uint64_t id;
	const char *tenant; /* its name */
	pid_t pid;
	uid_t uid;
	const char *client;
	const struct device *device;
	enum ps_state state;
	bool attached; /* it holds the device */
	uint32_t queues; /* with its own */
	uint64_t buffers;
	uint64_t buffer_bytes;
	uint64_t jobs;
	struct submission_load load;
	uint32_t unreported; /* ended, the client does not know */
	uint64_t completed;
	uint64_t device_ns;
	uint32_t share_permille; /* of the time that the device worked since the session began */
	uint32_t submission_count;
	uint64_t submissions[NPUD_MAX_PS_SUBMISSIONS]; /* the oldest that have not ended */
};

struct ps_page {
	struct ps_session sessions[NPUD_MAX_PS_SESSIONS_PER_FRAME];
	uint32_t count;
	uint64_t next; /* session to go on with; 0: this was the last page */
};

/* By number, from that one on. */
void ps_read(const struct host *host, const struct viewer *viewer, uint64_t from, struct ps_page *page);

#endif
