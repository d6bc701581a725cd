/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts: what a device reports is matched against what is in flight. A pointer from the device is a claim: it can
 * only ever end submissions of the session that holds the device.
 */
#include <string.h>

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/job.h"
#include "daemon/core/session.h"
#include "daemon/util/clock.h"
#include "proto/zhouyi_regs.h"

#define DRAIN_ROUNDS 16

nsec_t device_start_of(const struct device *device, const struct submission *submission)
{
	return submission->dispatched.v > device->last_completion.v ? submission->dispatched : device->last_completion;
}

static struct submission *find_last(const struct device *device, uint32_t pointer)
{
	list_each (node, next, &device->in_flight) {
		struct submission *submission = list_entry(node, struct submission, link);
		if (job_last_tcb(submission->job).v == pointer)
			return submission;
	}
	return NULL;
}

static struct submission *find_inside(const struct device *device, uint32_t pointer, int64_t *index)
{
	list_each (node, next, &device->in_flight) {
		struct submission *submission = list_entry(node, struct submission, link);
		*index = job_tcb_index(submission->job, pointer);
		if (*index >= 0)
			return submission;
	}
	return NULL;
}

/* A hold TCB keeps the enables of the task it was copied from, so it reports its own end. */
static bool is_hold(uint32_t pointer)
{
	return pointer >= ARENA_OFFSET && pointer < ARENA_OFFSET + ARENA_PAGE;
}

void device_complete_until(struct device *device, struct submission *last, const struct npu_event *event, nsec_t now)
{
	struct host *host = device->host;
	bool done = false;

	while (!done && !list_empty(&device->in_flight)) {
		struct submission *submission = list_entry(list_first(&device->in_flight), struct submission, link);
		struct submission_result result = {
		    .outcome = OUT_DONE,
		    .queued_ns = nsec_since(submission->dispatched, submission->submitted),
		    .device_ns = nsec_since(now, device_start_of(device, submission)),
		    .started = true,
		};
		done = submission == last;
		if (done && event) {
			result.tcb_pointer = event->tcb_pointer;
			result.hardware_status = event->status;
			result.signal_flags = event->signal_flags;
			result.device_ticks = event->ticks;
		}
		device->in_flight_count--;
		device->last_completion = now;
		job_learn(submission->job, result.device_ns);
		host->options.scheduler->completed(host->sched, &submission->item, result.device_ns, now.v);
		submission_finish(submission, &result, now);
	}
}

/* The text lies in daemon memory of the session's space; where is read from the copy that no device reaches. */
static void print_event(struct device *device, const struct npu_event *event)
{
	char text[NPUD_MAX_PRINT_BYTES];
	int64_t index;
	struct submission *submission = find_inside(device, event->tcb_pointer, &index);

	if (!submission) {
		device->counters.unknown_completions++;
		return;
	}
	const struct job *job = submission->job;
	const union zy3_tcb *tcb = &job->pristine[index];
	uint32_t from = tcb->task.pprint;
	if ((tcb->task.flag & ZY3_TCB_TYPE_MASK) != ZY3_TCB_TASK || from < ARENA_OFFSET + ARENA_PAGE ||
	    from > ARENA_OFFSET + ARENA_BYTES - (NPUD_MAX_PRINT_BYTES + 1))
		return;
	uint32_t bytes = event->signal_flags & ZY3_SIGNAL_CODE_MASK;
	if (bytes > sizeof(text))
		bytes = sizeof(text);
	/* Copied before it is looked at: the device may still be writing. */
	memcpy(text, device->attached->memory + (from - ARENA_OFFSET), bytes);
	bytes = (uint32_t)strnlen(text, bytes);
	uint32_t group = 0;
	for (int64_t i = 0; i < index; i++)
		if ((job->pristine[i].task.flag & ZY3_TCB_TYPE_MASK) == ZY3_TCB_TASK &&
		    job->pristine[i].task.flag & ZY3_TCB_GROUP_END)
			group++;
	if (bytes)
		session_push_print(submission->session, submission_id(submission), group, tcb->task.task_id, text,
				   bytes);
}

static void done_event(struct device *device, const struct npu_event *event, nsec_t now)
{
	struct submission *submission = find_last(device, event->tcb_pointer);
	int64_t index;

	if (submission)
		device_complete_until(device, submission, event, now);
	else if (!is_hold(event->tcb_pointer) && !find_inside(device, event->tcb_pointer, &index))
		device->counters.unknown_completions++;
}

static void bad_event(struct device *device, const struct npu_event *event, enum outcome outcome, const char *reason)
{
	int64_t index;
	struct submission *guilty = find_inside(device, event->tcb_pointer, &index);

	if (!guilty && !list_empty(&device->in_flight))
		guilty = list_entry(list_first(&device->in_flight), struct submission, link);
	if (!guilty && event->kind != NPU_EVENT_ERROR) {
		device->counters.unknown_completions++;
		return;
	}
	device_blame(device, outcome, reason, guilty, event);
}

void device_event(struct device *device, const struct npu_event *event, nsec_t now)
{
	switch (event->kind) {
	case NPU_EVENT_DONE:
		done_event(device, event, now);
		break;
	case NPU_EVENT_EXCEPTION:
		bad_event(device, event, OUT_EXCEPTION, "the program raised an exception");
		break;
	case NPU_EVENT_FAULT:
		bad_event(device, event, OUT_FAULT, "the program reached memory that it does not own");
		break;
	case NPU_EVENT_ERROR:
		bad_event(device, event, OUT_EXCEPTION, "the device reported a command pool error");
		break;
	case NPU_EVENT_SIGNAL:
		if (event->signal_flags & (ZY3_SIGNAL_HW_EXCEPTION | ZY3_SIGNAL_SW_EXCEPTION))
			bad_event(device, event, OUT_EXCEPTION, "the program raised an exception");
		else if (event->signal_flags & ZY3_SIGNAL_PRINT)
			print_event(device, event);
		break;
	default:
		device->counters.unknown_completions++;
		break;
	}
}

static int collect_all(struct device *device)
{
	struct npu_device *npu = device->npu;
	struct npu_event events[NPU_MAX_EVENTS];

	for (int round = 0; round < DRAIN_ROUNDS; round++) {
		int found = npu->ops->irq_collect(npu, events);
		if (found < 0)
			return found;
		if (found == 0)
			break;
		nsec_t now = clock_now();
		for (int i = 0; i < found; i++) {
			device_event(device, &events[i], now);
			if (events[i].kind != NPU_EVENT_SIGNAL)
				continue;
			int error = npu->ops->irq_ack_signal(npu);
			if (error < 0)
				return error;
		}
		/* The client need not wait for what the device says next. */
		if (device->hooks && device->hooks->flush)
			device->hooks->flush(device->user);
	}
	return npu->ops->irq_finish(npu);
}

int device_drain(struct device *device)
{
	bool was_pumping = device->pumping;

	/* Sending may find a client gone, which ends its session: nothing is fed or recovered in the middle of this. */
	device->pumping = true;
	int error = collect_all(device);
	device->pumping = was_pumping;
	return error;
}
