/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon tells, applied to calls, submissions and devices. Everything is copied out of the frame; what does
 * not match anything outstanding is ignored, because it can be late.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libclient/objects.h"

static void copy_text(char *to, size_t bytes, const char *from)
{
	(void)snprintf(to, bytes, "%s", from ? from : "");
}

static void copy_device(struct npu_device_info *to, const Npud__DeviceInfo *from)
{
	*to = (struct npu_device_info){
	    .generation = (enum npu_generation)from->generation,
	    .status = (enum npu_device_status)from->status,
	    .isa = from->isa,
	    .revision = from->revision,
	    .config = from->config,
	    .clusters = from->clusters,
	    .cores = from->cores,
	    .tecs = from->tecs,
	    .gm_bytes = from->gm_bytes,
	    .address_window_bytes = from->address_window_bytes,
	};
	copy_text(to->name, sizeof(to->name), from->name);
}

static void copy_hello(struct npu_reply *to, const Npud__HelloReply *from)
{
	to->hello.major = from->major;
	to->hello.minor = from->minor;
	to->hello.features = from->features;
	to->hello.device_count = from->device_count;
	to->hello.device = from->device;
	to->hello.max_frame_bytes = from->max_frame_bytes;
	to->hello.max_groups_per_frame = from->max_groups_per_frame;
	to->hello.event_credits = from->event_credits;
}

/* The descriptor that came with the frame goes with the fence, or nowhere. */
static void copy_fence(struct npu_connection *connection, struct npu_fence_reply *to, const Npud__FenceInfo *from)
{
	*to = (struct npu_fence_reply){
	    .handle = from->fence,
	    .state = (enum npu_fence_state)from->state,
	    .has_token = from->token.len == sizeof(to->token),
	    .fd = connection->rx_fd,
	};
	connection->rx_fd = -1;
	if (to->has_token)
		memcpy(to->token, from->token.data, sizeof(to->token));
}

static void copy_body(struct npu_connection *connection, struct npu_reply *to, const Npud__Reply *from)
{
	switch (from->body_case) {
	case NPUD__REPLY__BODY_HELLO:
		copy_hello(to, from->hello);
		break;
	case NPUD__REPLY__BODY_DEVICE_INFO:
		copy_device(&to->device, from->device_info);
		npu_device_copy(&to->usage, from->device_info);
		break;
	case NPUD__REPLY__BODY_BUFFER_INFO:
		to->buffer.handle = from->buffer_info->handle;
		to->buffer.iova = from->buffer_info->iova;
		to->buffer.npu_address = from->buffer_info->npu_address;
		break;
	case NPUD__REPLY__BODY_JOB_INFO:
		to->job = from->job_info->job;
		break;
	case NPUD__REPLY__BODY_SUBMIT_INFO:
		to->submit.submission = from->submit_info->submission;
		to->submit.fence = (struct npu_fence_reply){.fd = -1};
		if (from->submit_info->fence)
			copy_fence(connection, &to->submit.fence, from->submit_info->fence);
		break;
	case NPUD__REPLY__BODY_QUEUE_INFO:
		to->queue = from->queue_info->queue;
		break;
	case NPUD__REPLY__BODY_FENCE_INFO:
		copy_fence(connection, &to->fence, from->fence_info);
		break;
	case NPUD__REPLY__BODY_CANCEL_INFO:
		to->cancel = from->cancel_info->state;
		break;
	case NPUD__REPLY__BODY_MAPS:
		npu_maps_copy(&to->maps, from->maps);
		break;
	case NPUD__REPLY__BODY_PS:
		npu_ps_copy(&to->ps, from->ps);
		break;
	case NPUD__REPLY__BODY_WHY:
		npu_why_copy(&to->why, from->why);
		break;
	case NPUD__REPLY__BODY_TIMELINE:
		npu_timeline_copy(&to->timeline, from->timeline);
		break;
	case NPUD__REPLY__BODY_REGISTERS:
		npu_registers_copy(&to->registers, from->registers);
		break;
	default:
		break;
	}
}

/* ERROR_LIMIT carries its facts apart from the text; the reason has them in one line. */
static void copy_error(struct npu_reply *to, const Npud__Error *error)
{
	/* an error without a code is still an error */
	to->error = error->code ? error->code : NPUD__ERROR_CODE__ERROR_INTERNAL;
	copy_text(to->message, sizeof(to->message), error->message);
	if (!to->message[0])
		(void)snprintf(to->message, sizeof(to->message), "npud refused (error %d)", (int)to->error);
}

static int submit_errno(const Npud__Error *error)
{
	if (error->code == NPUD__ERROR_CODE__ERROR_LIMIT && strcmp(error->limit, "event_credits") == 0)
		return -EAGAIN;
	return npu_errno_of(error->code);
}

static enum npu_outcome refusal_outcome(Npud__ErrorCode code)
{
	switch (code) {
	case NPUD__ERROR_CODE__ERROR_DEVICE_GONE:
		return NPU_DEVICE_GONE;
	case NPUD__ERROR_CODE__ERROR_QUARANTINED:
		return NPU_QUARANTINED;
	default:
		return NPU_CANCELLED;
	}
}

static void answer_submission(struct npu_connection *connection, struct npu_slot *slot, const Npud__Reply *reply)
{
	slot->answered = true;
	if (!reply->error) {
		if (reply->body_case == NPUD__REPLY__BODY_SUBMIT_INFO)
			slot->submission = reply->submit_info->submission;
		return;
	}
	if (slot->done)
		return;
	slot->refusal = submit_errno(reply->error);
	slot->result.outcome = refusal_outcome(reply->error->code);
	copy_text(slot->result.message, sizeof(slot->result.message), reply->error->message);
	npu_slot_complete(connection, slot);
	npu_attention_raise(connection);
}

void npu_events_reply(struct npu_connection *connection, const Npud__Reply *reply)
{
	if (reply->serial == 0 && reply->error) {
		npu_link_break(connection, npu_errno_of(reply->error->code), reply->error->message);
		return;
	}
	if (reply->serial & 0x80000000u) {
		uint32_t index = reply->serial & 0x1ffu;

		if (index < connection->credits && connection->slots[index].ticket &&
		    connection->slots[index].serial == reply->serial)
			answer_submission(connection, &connection->slots[index], reply);
		return;
	}
	for (struct npu_call *call = connection->calls; call; call = call->next) {
		if (call->serial != reply->serial || call->answered)
			continue;
		call->reply->kind = reply->body_case;
		call->reply->error = NPUD__ERROR_CODE__ERROR_UNSPECIFIED;
		call->reply->message[0] = '\0';
		if (reply->error)
			copy_error(call->reply, reply->error);
		else
			copy_body(connection, call->reply, reply);
		call->answered = true;
		return;
	}
}

/* The cookie is our ticket; the application's own stays in the slot. */
static void job_done(struct npu_connection *connection, const Npud__JobDone *done)
{
	struct npu_slot *slot = npu_slot_of(connection, done->cookie);

	if (!slot || slot->done)
		return;
	slot->result.outcome = done->outcome ? (enum npu_outcome)done->outcome : NPU_DEVICE_GONE;
	slot->result.tcb_pointer = done->tcb_pointer;
	slot->result.hardware_status = done->hardware_status;
	slot->result.signal_flags = done->signal_flags;
	slot->result.queued_ns = done->queued_ns;
	slot->result.device_ns = done->device_ns;
	slot->result.device_ticks = done->device_ticks;
	slot->result.started = done->started;
	copy_text(slot->result.message, sizeof(slot->result.message), done->message);
	npu_slot_complete(connection, slot);
	npu_attention_raise(connection);
}

static struct npu_job *job_of_submission(const struct npu_connection *connection, uint64_t submission)
{
	for (uint32_t i = 0; submission && i < connection->credits; i++) {
		if (connection->slots[i].ticket && connection->slots[i].submission == submission)
			return connection->slots[i].job;
	}
	return NULL;
}

static void job_print(struct npu_connection *connection, const Npud__JobPrint *event)
{
	struct npu_job *job = job_of_submission(connection, event->submission);

	/* nobody listens, or nobody has listened for too long: text is lost, never memory */
	if (!connection->print || !job || connection->print_count == NPU_PRINT_QUEUE)
		return;
	struct npu_print *print =
	    &connection->prints[(connection->print_head + connection->print_count) % NPU_PRINT_QUEUE];
	size_t bytes = event->text.len < NPUD_MAX_PRINT_BYTES ? event->text.len : NPUD_MAX_PRINT_BYTES;

	print->job = job;
	print->group = event->group;
	print->task = event->task;
	if (bytes)
		memcpy(print->text, event->text.data, bytes);
	print->text[bytes] = '\0';
	connection->print_count++;
	npu_attention_raise(connection);
}

void npu_events_event(struct npu_connection *connection, const Npud__Event *event)
{
	switch (event->body_case) {
	case NPUD__EVENT__BODY_JOB_DONE:
		job_done(connection, event->job_done);
		break;
	case NPUD__EVENT__BODY_JOB_PRINT:
		job_print(connection, event->job_print);
		break;
	case NPUD__EVENT__BODY_DEVICE_STATE:
		if (event->device_state->index < NPU_MAX_DEVICES) {
			connection->device_status[event->device_state->index] =
			    (enum npu_device_status)event->device_state->status;
			connection->device_news[event->device_state->index]++;
		}
		break;
	case NPUD__EVENT__BODY_SESSION_MOVED:
		if (event->session_moved->device < connection->device_count)
			connection->device = event->session_moved->device;
		break;
	default:
		/* an event of a newer daemon */
		break;
	}
}

/* Nobody else will tell the application that these submissions are over: callbacks run, waits fail. */
void npu_events_broken(struct npu_connection *connection)
{
	for (uint32_t i = 0; i < connection->credits; i++) {
		struct npu_slot *slot = &connection->slots[i];

		if (!slot->ticket || slot->done)
			continue;
		slot->refusal = connection->broken;
		slot->result.started = true; /* nobody can disprove it */
		slot->result.outcome = connection->broken == -ESHUTDOWN ? NPU_CANCELLED : NPU_DEVICE_GONE;
		copy_text(slot->result.message, sizeof(slot->result.message), connection->broken_reason);
		npu_slot_complete(connection, slot);
	}
}
