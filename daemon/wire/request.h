/* SPDX-License-Identifier: Apache-2.0 */
/* One request on its way to its handler, and the reply that grows there. Lives on the stack. */
#ifndef NPUD_WIRE_REQUEST_H
#define NPUD_WIRE_REQUEST_H

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/ps.h"
#include "daemon/core/timeline.h"
#include "daemon/core/why.h"
#include "daemon/util/fail.h"
#include "daemon/wire/conn.h"
#include "daemon/wire/frame.h"
#include "npud.pb-c.h"

/* One page of mappings on its way to the wire. */
struct maps_reply {
	Npud__Maps maps;
	Npud__SessionMaps sessions[NPUD_MAX_MAP_SESSIONS_PER_FRAME];
	Npud__SessionMaps *session_list[NPUD_MAX_MAP_SESSIONS_PER_FRAME];
	Npud__Map entries[NPUD_MAX_MAPS_PER_FRAME];
	Npud__Map *entry_list[NPUD_MAX_MAPS_PER_FRAME];
};

struct stats_reply {
	Npud__Stats stats;
	Npud__RungStats rungs[HOST_MAX_DEVICES * RECOVERY_RUNGS];
	Npud__RungStats *rung_list[HOST_MAX_DEVICES * RECOVERY_RUNGS];
};

/* One page of sessions. */
struct ps_reply {
	Npud__Ps ps;
	struct ps_page page; /* what the sessions point to */
	Npud__PsTotals totals[SCHED_CLASSES];
	Npud__PsTotals *totals_list[SCHED_CLASSES];
	Npud__PsSession sessions[NPUD_MAX_PS_SESSIONS_PER_FRAME];
	Npud__PsSession *session_list[NPUD_MAX_PS_SESSIONS_PER_FRAME];
};

struct why_reply {
	Npud__Why why;
	uint32_t ahead[SCHED_CLASSES];
	Npud__WhyLimit limits[WHY_LIMITS];
};

/* One page of what has ended. */
struct timeline_reply {
	Npud__Timeline timeline;
	Npud__TimelineEntry entries[NPUD_MAX_TIMELINE_PER_FRAME];
	Npud__TimelineEntry *list[NPUD_MAX_TIMELINE_PER_FRAME];
	char tenants[NPUD_MAX_TIMELINE_PER_FRAME][NPUD_MAX_TENANT_BYTES + 1];
};

struct device_reply {
	Npud__DeviceInfo info;
	Npud__ResetInfo reset;
};

struct registers_reply {
	Npud__Registers registers;
	struct npu_register read[NPU_MAX_REGISTERS]; /* what the others point to */
	Npud__Register entries[NPU_MAX_REGISTERS];
	Npud__Register *entry_list[NPU_MAX_REGISTERS];
	Npud__RegisterField fields[NPU_MAX_REGISTERS][NPU_MAX_REGISTER_FIELDS];
	Npud__RegisterField *field_list[NPU_MAX_REGISTERS][NPU_MAX_REGISTER_FIELDS];
};

struct request {
	struct conn *conn;
	const Npud__Request *message;
	struct frame *frame;
	struct fail fail;
	Npud__Reply reply;
	int reply_fd; /* goes with the reply; -1: none */
	/* what the reply's body points to */
	union {
		Npud__HelloReply hello;
		Npud__Empty empty;
		struct device_reply device;
		Npud__BufferInfo buffer_info;
		Npud__JobInfo job_info;
		struct {
			Npud__SubmitInfo info;
			Npud__FenceInfo fence;
			struct fence_token token;
		} submit;
		Npud__QueueInfo queue_info;
		Npud__FenceInfo fence_info;
		Npud__CancelInfo cancel_info;
		struct stats_reply stats;
		struct maps_reply maps;
		struct ps_reply ps;
		struct why_reply why;
		struct timeline_reply timeline;
		struct registers_reply registers;
	} body;
};

/* Runs the handler: fills request->reply or request->fail; 0 or a negative errno. */
int request_dispatch(struct request *request);

/* handlers.c */
int handle_hello(struct request *request);
int handle_ping(struct request *request);
int handle_stats_query(struct request *request);
int handle_buffer_import(struct request *request);
int handle_buffer_release(struct request *request);
int reply_empty(struct request *request);

/* handlers_device.c */
int handle_device_query(struct request *request);
int handle_device_drain(struct request *request);
int handle_device_reset(struct request *request);
int handle_registers_query(struct request *request);

/* handlers_recovery.c */
int handle_pardon(struct request *request);
void stats_add_recovery(const struct request *request, struct stats_reply *reply);

/* handlers_maps.c */
int handle_maps_query(struct request *request);

/* handlers_ps.c, handlers_why.c, handlers_timeline.c */
int handle_ps_query(struct request *request);
int handle_why_query(struct request *request);
int handle_timeline_query(struct request *request);

/* handlers_job.c */
int handle_job_begin(struct request *request);
int handle_job_groups(struct request *request);
int handle_job_commit(struct request *request);
int handle_job_destroy(struct request *request);
int handle_job_submit(struct request *request);
int handle_job_cancel(struct request *request);

/* handlers_queue.c */
int handle_queue_create(struct request *request);
int handle_queue_change(struct request *request);
int handle_queue_destroy(struct request *request);
int handle_fence_import(struct request *request);
int handle_fence_query(struct request *request);
int handle_fence_release(struct request *request);
void fence_fill(const struct fence_hold *hold, Npud__FenceInfo *out);

/* events.c: one event for a client of this minor version; its size, or 0 if it does not fit (it never should). */
size_t event_encode(const struct session_event *event, uint32_t minor, uint8_t *out, size_t bytes);
int device_status(const struct device *device);
#define CONTROL_MINOR 3u /* the first version in which devices are drained and reset */

#endif
