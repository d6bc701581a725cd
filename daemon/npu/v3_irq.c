/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of the V3 generation: read, decode, acknowledge. Tolerates spurious wake-ups, acknowledges only what it
 * has seen, and never turns a fault into a completion. What an event claims is for the caller to check.
 */
#include "daemon/npu/v3.h"

#include <errno.h>

#define MAX_PASSES 64 /* over causes that are nobody's business: TEC-done */
/* What makes an interrupt worth reading: a level, or a type other than signal (a signal has a level). */
#define PENDING_MASK (ZY3_INTR_LEVELS | 0x1fu)
#define ABNORMAL (ZY3_INTR_EXCEPTION | ZY3_INTR_FAULT | ZY3_INTR_ERROR)
#define TICK_HALF 0x80000000u
#define TICK_TRIES 3 /* who is held up for half a turn between two reads has no use for exact ticks */

static int acknowledge(struct v3 *v3, uint32_t cause)
{
	return v3_write(v3, ZY3_POOL(V3_POOL, ZY3_POOL_STATUS), cause);
}

/*
 * 64 bits out of two registers while they count. The half that cannot be carried into or out of between two reads says
 * who comes first: the low one when it has just begun, the high one when the low one is near its end. Where it was the
 * last time tells which it will be, so that two reads are enough but for twice in a turn of the low half.
 */
static int read_ticks(struct v3 *v3, uint64_t *ticks)
{
	uint32_t high = 0;
	int rc = 0;

	for (int i = 0; i < TICK_TRIES && rc == 0; i++) {
		bool high_first = v3->tick_low >= TICK_HALF;

		if (high_first)
			rc = v3_read(v3, ZY3_TICK_HIGH, &high);
		if (rc == 0)
			rc = v3_read(v3, ZY3_TICK_LOW, &v3->tick_low);
		if (rc == 0 && !high_first)
			rc = v3_read(v3, ZY3_TICK_HIGH, &high);
		if (high_first == (v3->tick_low >= TICK_HALF))
			break;
	}
	*ticks = (uint64_t)high << 32 | v3->tick_low;
	return rc;
}

/* Clears what the next failure reports; the tag in it is one that we chose. */
static int clear_bad_command(struct v3 *v3)
{
	uint32_t bad;
	int rc = v3_read(v3, ZY3_POOL(V3_POOL, ZY3_POOL_FIRST_BAD_CMD), &bad);

	return rc ? rc : v3_write(v3, ZY3_POOL(V3_POOL, ZY3_POOL_FIRST_BAD_CMD), 0);
}

/* What belongs to the cause on show. A register may be far away and a client waits: what is not needed is not read. */
static int read_cause(struct v3 *v3, struct npu_event *event)
{
	int rc = v3_read(v3, ZY3_POOL(V3_POOL, ZY3_POOL_TCB_PTR), &event->tcb_pointer);

	if (rc == 0 && event->status & (ABNORMAL | ZY3_INTR_SIGNAL))
		rc = v3_read(v3, ZY3_POOL(V3_POOL, ZY3_POOL_SIGNAL_FLAG), &event->signal_flags);
	if (rc == 0 && v3->ticking)
		rc = read_ticks(v3, &event->ticks);
	if (rc == 0 && event->status & ABNORMAL)
		rc = clear_bad_command(v3);
	return rc;
}

/* One branch per pass. A fault comes together with a done, which must not survive it; a done that was not shown with
 * the fault belongs to another TCB and stays. */
static int acknowledge_types(struct v3 *v3, uint32_t status)
{
	int rc = 0;

	if (status & ZY3_INTR_FAULT) {
		rc = acknowledge(v3, ZY3_INTR_FAULT);
		if (rc == 0 && status & ZY3_INTR_DONE)
			rc = acknowledge(v3, ZY3_INTR_DONE);
	} else if (status & ZY3_INTR_DONE) {
		rc = acknowledge(v3, ZY3_INTR_DONE);
	} else if (status & ZY3_INTR_ERROR) {
		rc = acknowledge(v3, ZY3_INTR_ERROR);
	} else if (status & ZY3_INTR_EXCEPTION) {
		rc = acknowledge(v3, ZY3_INTR_EXCEPTION);
	}
	return rc;
}

/* Fills 0, 1 or 2 events: a signal may come together with another type. */
static int decode(const struct npu_event *cause, struct npu_event *events)
{
	uint32_t status = cause->status;
	bool exception_signal =
	    status & ZY3_INTR_SIGNAL && cause->signal_flags & (ZY3_SIGNAL_HW_EXCEPTION | ZY3_SIGNAL_SW_EXCEPTION);
	int count = 0;

	if (status & (ABNORMAL | ZY3_INTR_DONE) || exception_signal) {
		struct npu_event *event = &events[count++];

		*event = *cause;
		event->kind = status & ZY3_INTR_ERROR                           ? NPU_EVENT_ERROR
			      : status & ZY3_INTR_FAULT                         ? NPU_EVENT_FAULT
			      : status & ZY3_INTR_EXCEPTION || exception_signal ? NPU_EVENT_EXCEPTION
										: NPU_EVENT_DONE;
		/* A task that ended is not a job that ended. */
		if (event->kind == NPU_EVENT_DONE && !(status & (ZY3_INTR_CORE | ZY3_INTR_CLUSTER | ZY3_INTR_POOL)))
			count--;
	}
	if (status & ZY3_INTR_SIGNAL && !exception_signal) {
		events[count] = *cause;
		events[count++].kind = NPU_EVENT_SIGNAL;
	}
	return count;
}

/* One cause. Events filled, 0 if it was nobody's business, -EAGAIN if nothing is pending. */
static int collect_one(struct v3 *v3, struct npu_event *events)
{
	struct npu_event cause = {0};
	int rc = v3_read_live(v3, ZY3_POOL(V3_POOL, ZY3_POOL_INTR_STATUS), &cause.status);

	if (rc == 0 && !(cause.status & PENDING_MASK))
		rc = -EAGAIN;
	if (rc == 0)
		rc = read_cause(v3, &cause);
	if (rc == 0)
		rc = acknowledge_types(v3, cause.status);
	if (rc)
		return rc;
	int count = decode(&cause, events);
	if (!(cause.status & ZY3_INTR_SIGNAL))
		return count;
	if (count == 0 || events[count - 1].kind != NPU_EVENT_SIGNAL) {
		/* An exception signal: its payload is in the event, nothing has to be fetched from memory. */
		rc = acknowledge(v3, ZY3_INTR_SIGNAL);
		return rc ? rc : count;
	}
	v3->signal_held = true;
	return count;
}

int v3_irq_collect(struct npu_device *npu, struct npu_event events[NPU_MAX_EVENTS])
{
	struct v3 *v3 = (struct v3 *)npu;
	int rc = 0;

	/* An unacknowledged signal would be shown again for ever; nothing else is shown before it is gone. */
	if (v3->signal_held)
		return 0;
	for (int pass = 0; pass < MAX_PASSES && rc == 0; pass++)
		rc = collect_one(v3, events);
	return rc == -EAGAIN ? 0 : rc;
}

int v3_irq_ack_signal(struct npu_device *npu)
{
	struct v3 *v3 = (struct v3 *)npu;

	if (!v3->signal_held)
		return -EINVAL;
	v3->signal_held = false;
	return acknowledge(v3, ZY3_INTR_SIGNAL);
}

int v3_irq_finish(struct npu_device *npu)
{
	return npu->vfio->ops->irq_unmask(npu->vfio);
}
