/* SPDX-License-Identifier: Apache-2.0 */
/* The table from request to handler, with what every request of a kind has to satisfy. */
#include <errno.h>
#include <stddef.h>

#include "daemon/wire/request.h"

struct verb {
	const char *name;
	int (*handle)(struct request *request);
	unsigned fds; /* exactly */
	bool before_hello;
	uint32_t minor; /* of the version that brought it */
	uint32_t rights; /* that the peer needs */
};

static const struct verb verbs[] = {
    [NPUD__REQUEST__BODY_HELLO] = {"Hello", handle_hello, 0, true, 0, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_PING] = {"Ping", handle_ping, 0, false, 0, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_DEVICE_QUERY] = {"DeviceQuery", handle_device_query, 0, false, 0, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_BUFFER_IMPORT] = {"BufferImport", handle_buffer_import, 1, false, 0, RIGHT_BIT(RIGHT_IMPORT)},
    [NPUD__REQUEST__BODY_BUFFER_RELEASE] = {"BufferRelease", handle_buffer_release, 0, false, 0, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_JOB_BEGIN] = {"JobBegin", handle_job_begin, 0, false, 0, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_JOB_GROUPS] = {"JobGroups", handle_job_groups, 0, false, 0, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_JOB_COMMIT] = {"JobCommit", handle_job_commit, 0, false, 0, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_JOB_DESTROY] = {"JobDestroy", handle_job_destroy, 0, false, 0, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_JOB_SUBMIT] = {"JobSubmit", handle_job_submit, 0, false, 0, RIGHT_BIT(RIGHT_SUBMIT)},
    [NPUD__REQUEST__BODY_JOB_CANCEL] = {"JobCancel", handle_job_cancel, 0, false, 0, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_STATS_QUERY] = {"StatsQuery", handle_stats_query, 0, false, 0, RIGHT_BIT(RIGHT_ADMIN)},
    [NPUD__REQUEST__BODY_QUEUE_CREATE] = {"QueueCreate", handle_queue_create, 0, false, 2, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_QUEUE_CHANGE] = {"QueueChange", handle_queue_change, 0, false, 2, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_QUEUE_DESTROY] = {"QueueDestroy", handle_queue_destroy, 0, false, 2, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_FENCE_IMPORT] = {"FenceImport", handle_fence_import, 0, false, 2, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_FENCE_QUERY] = {"FenceQuery", handle_fence_query, 0, false, 2, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_FENCE_RELEASE] = {"FenceRelease", handle_fence_release, 0, false, 2, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_MAPS_QUERY] = {"MapsQuery", handle_maps_query, 0, false, 1, RIGHT_BIT(RIGHT_MAPS)},
    [NPUD__REQUEST__BODY_PS_QUERY] = {"PsQuery", handle_ps_query, 0, false, 2, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_WHY_QUERY] = {"WhyQuery", handle_why_query, 0, false, 2, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_TIMELINE_QUERY] = {"TimelineQuery", handle_timeline_query, 0, false, 2, RIGHTS_NONE},
    [NPUD__REQUEST__BODY_DEVICE_DRAIN] = {"DeviceDrain", handle_device_drain, 0, false, 3, RIGHT_BIT(RIGHT_DRAIN)},
    [NPUD__REQUEST__BODY_DEVICE_RESET] = {"DeviceReset", handle_device_reset, 0, false, 3, RIGHT_BIT(RIGHT_RESET)},
    [NPUD__REQUEST__BODY_REGISTERS_QUERY] = {"RegistersQuery", handle_registers_query, 0, false, 3,
					     RIGHT_BIT(RIGHT_REGISTERS)},
    [NPUD__REQUEST__BODY_PARDON] = {"Pardon", handle_pardon, 0, false, 2, RIGHT_BIT(RIGHT_ADMIN)},
};

/* Says nothing that depends on what others have. */
static int refuse(struct request *request, const struct verb *verb, uint32_t missing)
{
	const char *name = right_name((enum right)__builtin_ctz(missing));

	return fail_set(
	    &request->fail, EPERM,
	    "%s: needs the right \"%s\"; root has it, others get it by rights.%s in npud.json or from their tenant",
	    verb->name, name, name);
}

int request_dispatch(struct request *request)
{
	unsigned body = (unsigned)request->message->body_case;
	struct fail *fail = &request->fail;

	if (body >= sizeof(verbs) / sizeof(verbs[0]) || !verbs[body].handle)
		return fail_set(fail, EPROTO, "request: no body that this daemon knows");
	const struct verb *verb = &verbs[body];
	if (!verb->before_hello && !request->conn->session)
		return fail_set(fail, EPROTO, "%s: the first request must be Hello", verb->name);
	if (verb->minor > request->conn->minor)
		return fail_set(fail, EPROTO, "%s: belongs to protocol %u.%u, %u.%u was agreed", verb->name,
				NPUD_PROTOCOL_MAJOR, verb->minor, NPUD_PROTOCOL_MAJOR, request->conn->minor);
	if (request->frame->fd_count != verb->fds)
		return fail_set(fail, EPROTO, "%s: %u file descriptors came, %u are expected", verb->name,
				request->frame->fd_count, verb->fds);
	uint32_t missing = verb->rights & ~request->conn->identity.rights;
	return missing ? refuse(request, verb, missing) : verb->handle(request);
}
