/* SPDX-License-Identifier: Apache-2.0 */
/* What a session has to tell its client, as frames. */
#include <stdio.h>

#include "daemon/core/device.h"
#include "daemon/wire/request.h"

_Static_assert((int)OUT_DONE == (int)NPUD__OUTCOME__OUTCOME_DONE &&
		   (int)OUT_EXCEPTION == (int)NPUD__OUTCOME__OUTCOME_EXCEPTION &&
		   (int)OUT_FAULT == (int)NPUD__OUTCOME__OUTCOME_FAULT &&
		   (int)OUT_TIMEOUT == (int)NPUD__OUTCOME__OUTCOME_TIMEOUT &&
		   (int)OUT_CANCELLED == (int)NPUD__OUTCOME__OUTCOME_CANCELLED &&
		   (int)OUT_DEVICE_RESET == (int)NPUD__OUTCOME__OUTCOME_DEVICE_RESET &&
		   (int)OUT_DEVICE_GONE == (int)NPUD__OUTCOME__OUTCOME_DEVICE_GONE &&
		   (int)OUT_SHED == (int)NPUD__OUTCOME__OUTCOME_SHED &&
		   (int)OUT_QUARANTINED == (int)NPUD__OUTCOME__OUTCOME_QUARANTINED &&
		   (int)OUT_DEPENDENCY == (int)NPUD__OUTCOME__OUTCOME_DEPENDENCY,
	       "core counts outcomes as the protocol does");

int device_status(const struct device *device)
{
	switch (device->state) {
	case DEV_READY:
	case DEV_SWITCHING:
		return NPUD__DEVICE_STATUS__DEVICE_READY;
	case DEV_RECOVERING:
		return NPUD__DEVICE_STATUS__DEVICE_RECOVERING;
	case DEV_OFFLINE:
	case DEV_GONE:
	default:
		return NPUD__DEVICE_STATUS__DEVICE_OFFLINE;
	}
}

/* 0 if it does not fit. */
static size_t pack(Npud__Event *event, uint8_t *out, size_t bytes)
{
	Npud__ServerFrame frame = NPUD__SERVER_FRAME__INIT;

	frame.body_case = NPUD__SERVER_FRAME__BODY_EVENT;
	frame.event = event;
	if (npud__server_frame__get_packed_size(&frame) > bytes)
		return 0;
	return npud__server_frame__pack(&frame, out);
}

/* Older clients do not know the newer ways to end. */
static Npud__Outcome outcome_for(enum outcome outcome, uint32_t minor)
{
	return (Npud__Outcome)(outcome == OUT_QUARANTINED && minor < 2 ? OUT_CANCELLED : outcome);
}

static size_t encode_done(const struct submission *submission, uint32_t minor, uint8_t *out, size_t bytes)
{
	const struct submission_result *result = &submission->result;
	Npud__Event event = NPUD__EVENT__INIT;
	Npud__JobDone done = NPUD__JOB_DONE__INIT;
	char message[NPUD_MAX_ERROR_TEXT];

	message[0] = '\0';
	if (result->outcome != OUT_DONE &&
	    snprintf(message, sizeof(message), "%s%s%s", result->reason ? result->reason : "ended by the daemon",
		     result->started ? "" : " (it never reached the device)",
		     submission->attempts ? " (after it had been put back)" : "") < 0)
		message[0] = '\0';
	done.submission = submission_id(submission);
	done.job = submission->job_handle;
	done.cookie = submission->cookie;
	done.outcome = outcome_for(result->outcome, minor);
	done.message = message;
	done.tcb_pointer = result->tcb_pointer;
	done.hardware_status = result->hardware_status;
	done.signal_flags = result->signal_flags;
	done.queued_ns = result->queued_ns;
	done.device_ns = result->device_ns;
	done.device_ticks = result->device_ticks;
	done.started = result->started;
	event.body_case = NPUD__EVENT__BODY_JOB_DONE;
	event.job_done = &done;
	return pack(&event, out, bytes);
}

static size_t encode_print(const struct session_print *print, uint8_t *out, size_t bytes)
{
	Npud__Event event = NPUD__EVENT__INIT;
	Npud__JobPrint message = NPUD__JOB_PRINT__INIT;

	message.submission = print->submission;
	message.group = print->group;
	message.task = print->task;
	message.text.data = (uint8_t *)(uintptr_t)print->text;
	message.text.len = print->bytes;
	event.body_case = NPUD__EVENT__BODY_JOB_PRINT;
	event.job_print = &message;
	return pack(&event, out, bytes);
}

static size_t encode_device(const struct device *device, uint32_t minor, uint8_t *out, size_t bytes)
{
	Npud__Event event = NPUD__EVENT__INIT;
	Npud__DeviceState state = NPUD__DEVICE_STATE__INIT;

	state.index = device->index;
	state.status = (Npud__DeviceStatus)device_status(device);
	state.reason = (char *)(uintptr_t)device->reason;
	state.drained = device->drained && minor >= CONTROL_MINOR;
	event.body_case = NPUD__EVENT__BODY_DEVICE_STATE;
	event.device_state = &state;
	return pack(&event, out, bytes);
}

static size_t encode_moved(const struct device *device, uint8_t *out, size_t bytes)
{
	Npud__Event event = NPUD__EVENT__INIT;
	Npud__SessionMoved moved = NPUD__SESSION_MOVED__INIT;

	moved.device = device->index;
	event.body_case = NPUD__EVENT__BODY_SESSION_MOVED;
	event.session_moved = &moved;
	return pack(&event, out, bytes);
}

size_t event_encode(const struct session_event *event, uint32_t minor, uint8_t *out, size_t bytes)
{
	switch (event->kind) {
	case EVENT_PRINT:
		return encode_print(event->print, out, bytes);
	case EVENT_DONE:
		return encode_done(event->submission, minor, out, bytes);
	case EVENT_MOVED:
		return encode_moved(event->device, out, bytes);
	case EVENT_DEVICE:
		return encode_device(event->device, minor, out, bytes);
	case EVENT_NONE:
	default:
		return 0;
	}
}
