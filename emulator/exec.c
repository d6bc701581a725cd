/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host threads that stand for TECs. A task is a small state, not a thread: who waits at a barrier, for an
 * acknowledgement or for time costs nothing, and endless programs share the threads by slices.
 */
#include "emulator/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "emulator/log.h"
#include "emulator/ops/ops.h"

#define EXEC_SPIN_NS 60000u /* look for work that long before sleeping, while other tasks of a group still run */

static void exec_signal_one(struct device *device)
{
	if (device->sleepers <= device->waking)
		return;
	device->waking++;
	(void)pthread_cond_signal(&device->work);
}

void exec_wake(struct device *device)
{
	if (atomic_load(&device->spinners) == 0)
		exec_signal_one(device);
}

/* ------------------------------------------------------------------ the ready queue */

void exec_task_ready(struct device *device, struct task *task)
{
	task->state = TASK_READY;
	task->next_ready = NULL;
	if (device->ready_last)
		device->ready_last->next_ready = task;
	else
		device->ready_first = task;
	device->ready_last = task;
	uint32_t ready = atomic_fetch_add(&device->ready_count, 1) + 1;

	/* The calling thread takes one itself, or calls exec_wake() when it is none of ours. */
	if (ready > atomic_load(&device->spinners) + 1)
		exec_signal_one(device);
}

static struct task *exec_take(struct device *device)
{
	struct task *task = device->ready_first;

	if (!task)
		return NULL;
	device->ready_first = task->next_ready;
	if (!device->ready_first)
		device->ready_last = NULL;
	atomic_fetch_sub(&device->ready_count, 1);
	return task;
}

static void exec_unready(struct device *device, const struct task *task)
{
	struct task *before = NULL, *at = device->ready_first;

	while (at && at != task) {
		before = at;
		at = at->next_ready;
	}
	if (!at)
		return;
	if (before)
		before->next_ready = at->next_ready;
	else
		device->ready_first = at->next_ready;
	if (device->ready_last == at)
		device->ready_last = before;
	atomic_fetch_sub(&device->ready_count, 1);
}

/* ------------------------------------------------------------------ groups and their tasks */

static void exec_barrier(struct device *device, struct group *group)
{
	uint64_t cycles = 0;

	if (!group->arrived || group->arrived + group->ended < group->count)
		return;
	group->arrived = 0;
	group->barriers++;
	for (uint32_t i = 0; i < group->count; i++) {
		const struct task *task = &group->task[i];

		if (task->state == TASK_BARRIER && task->cycles > cycles)
			cycles = task->cycles;
	}
	for (uint32_t i = 0; i < group->count; i++) {
		if (group->task[i].state != TASK_BARRIER)
			continue;
		group->task[i].cycles = cycles;
		exec_task_ready(device, &group->task[i]);
	}
}

static void exec_tec_done(struct device *device, const struct task *task)
{
	const uint32_t wanted = ZY3_INTR_TEC | ZY3_INTR_DONE;
	const struct group *group = task->group;
	struct irq_event event = {.types = ZY3_INTR_DONE,
				  .level = ZY3_INTR_TEC,
				  .core = group->core,
				  .tec = task->index,
				  .tcb = task->tcb.task.tcbp};

	if ((task->tcb.task.interrupt_en & wanted) == wanted && !atomic_load(&group->stop))
		irq_raise(device, group->pool, &event);
}

static void exec_task_end(struct device *device, struct task *task)
{
	struct group *group = task->group;

	if (task->state == TASK_READY)
		exec_unready(device, task);
	else if (task->state == TASK_SLEEP)
		device->timers--;
	else if (task->state == TASK_BARRIER)
		group->arrived--;
	else if (task->state == TASK_SIGNAL)
		irq_forget_task(group->pool, task);
	task->state = TASK_ENDED;
	group->ended++;
	if (!task->outcome)
		exec_tec_done(device, task);
	exec_barrier(device, group);
	if (group->ended == group->count)
		tsm_group_ended(device, group);
}

void exec_group_stop(struct device *device, struct group *group)
{
	atomic_store(&group->stop, true);
	if (group->state == GROUP_DELAYED) {
		device->timers--;
		tsm_group_finish(device, group);
		return;
	}
	uint32_t running = 0;

	for (uint32_t i = 0; i < group->count; i++)
		running += group->task[i].state == TASK_RUNNING;
	/* The last end frees the group: nothing of it is touched afterwards. */
	for (uint32_t i = 0, left = group->count - group->ended - running, count = group->count; i < count && left;
	     i++) {
		if (group->task[i].state == TASK_RUNNING || group->task[i].state == TASK_ENDED)
			continue;
		left--;
		exec_task_end(device, &group->task[i]);
	}
}

static void exec_task_init(struct device *device, struct group *group, struct task *task)
{
	memset(task->reg, 0, sizeof(task->reg));
	task->pc = task->tcb.task.spc;
	task->cycles = task->macs = 0;
	task->tensors = 0;
	task->signal_flag = task->code = task->fetch_valid = 0;
	task->outcome = OUTCOME_NONE;
	task->fresh = true;
	task->view = (struct mem_view){.dma = device->dma,
				       .chip = &device->chip,
				       .context = &group->context,
				       .stop = &group->stop,
				       .core = group->core,
				       .tec = task->index};
	exec_task_ready(device, task);
}

void exec_group_start(struct device *device, struct group *group)
{
	group->state = GROUP_RUNNING;
	group->serial = ++device->group_serial;
	group->barriers = 0;
	group->started_ns = emu_now_ns();
	for (uint32_t i = 0; i < group->count; i++)
		exec_task_init(device, group, &group->task[i]);
}

/* The TEC waits until the host has consumed the payload; a signal that cannot be raised is not waited for. */
static void exec_signal(struct device *device, struct task *task)
{
	struct pool *pool = task->group->pool;
	uint32_t level = irq_abnormal_level(pool, ZY3_INTR_SIGNAL);

	if (pool->intr_ctrl & ZY3_INTR_TEC)
		level = ZY3_INTR_TEC;
	if (!(task->tcb.task.interrupt_en & ZY3_INTR_SIGNAL) || !(pool->intr_ctrl & ZY3_INTR_SIGNAL) || !level) {
		exec_task_ready(device, task);
		return;
	}
	pool->signal_ids = (uint16_t)(pool->signal_ids % 0x7fffu + 1);
	struct irq_event event = {.types = ZY3_INTR_SIGNAL,
				  .level = level,
				  .core = task->group->core,
				  .tec = task->index,
				  .tcb = task->tcb.task.tcbp,
				  .flag = task->signal_flag,
				  .signal_id = pool->signal_ids,
				  .held = task};

	task->state = TASK_SIGNAL;
	device->stats.signals++;
	irq_raise(device, pool, &event);
}

static void exec_task_waits(struct device *device, struct task *task, enum insn_result result)
{
	switch (result) {
	case INSN_BARRIER:
		task->state = TASK_BARRIER;
		task->group->arrived++;
		exec_barrier(device, task->group);
		break;
	case INSN_SIGNAL:
		exec_signal(device, task);
		break;
	case INSN_SLEEP:
		task->state = TASK_SLEEP;
		device->timers++;
		break;
	case INSN_SPIN:
		task->state = TASK_SPIN;
		break;
	default:
		exec_task_ready(device, task);
		break;
	}
}

static void exec_task_ran(struct device *device, struct task *task, enum insn_result result)
{
	struct group *group = task->group;

	if (result == INSN_FAILED && !group->culprit && group->list) {
		group->culprit = task;
		/* Not the last to end: the others are stopped while this one still counts as running. */
		exec_group_stop(device, group);
	}
	if (result == INSN_END || result == INSN_FAILED || atomic_load(&group->stop))
		exec_task_end(device, task);
	else
		exec_task_waits(device, task, result);
}

/* The ids that the device writes into an executed TCB. A client that does not let it write there goes without. */
static void exec_write_ids(struct device *device, struct task *task)
{
	const struct zy3_task_tcb *tcb = &task->tcb.task;
	const uint16_t ids[4] = {(uint16_t)task->group->core, 0, tcb->reserved1, (uint16_t)task->index};

	if (task->fresh && !atomic_load(&task->group->stop))
		(void)dma_write(device->dma, task->bus + offsetof(struct zy3_task_tcb, core_id), ids, sizeof(ids),
				&task->group->stop);
	task->fresh = false;
}

static void exec_run(struct device *device, struct task *task)
{
	task->state = TASK_RUNNING;
	device->running++;
	(void)pthread_mutex_unlock(&device->lock);
	exec_write_ids(device, task);
	enum insn_result result = insn_run(device, task);
	(void)pthread_mutex_lock(&device->lock);
	device->running--;
	exec_task_ran(device, task, result);
	if (device->running == 0)
		(void)pthread_cond_broadcast(&device->quiet);
}

/* ------------------------------------------------------------------ time */

/* Handles what is due and returns when to look again, 0 if nothing waits for time. */
static uint64_t exec_expire(struct device *device)
{
	uint64_t now = device->timers ? emu_now_ns() : 0, next = 0;

	for (uint32_t g = 0; g < DEVICE_GROUPS && device->timers; g++) {
		struct group *group = &device->group[g];

		if (group->state == GROUP_DELAYED && group->finish_ns <= now) {
			device->timers--;
			tsm_group_ended(device, group);
		}
		if (group->state == GROUP_DELAYED) {
			next = !next || group->finish_ns < next ? group->finish_ns : next;
		}
		for (uint32_t t = 0; group->state == GROUP_RUNNING && t < group->count; t++) {
			struct task *task = &group->task[t];

			if (task->state != TASK_SLEEP)
				continue;
			if (task->wake_ns <= now) {
				device->timers--;
				exec_task_ready(device, task);
			} else {
				next = !next || task->wake_ns < next ? task->wake_ns : next;
			}
		}
	}
	return next;
}

/* ------------------------------------------------------------------ the threads */

static bool exec_has_work(const struct device *device)
{
	return device->shutdown || device->ready_first || (device->tsm_pending && !device->tsm_running);
}

/* Barriers follow each other in microseconds: sleeping at each would cost more than the work between them. */
static void exec_look_around(struct device *device)
{
	uint64_t until = emu_now_ns() + EXEC_SPIN_NS;

	atomic_fetch_add(&device->spinners, 1);
	(void)pthread_mutex_unlock(&device->lock);
	while (atomic_load_explicit(&device->ready_count, memory_order_relaxed) == 0 &&
	       !atomic_load_explicit(&device->tsm_pending, memory_order_relaxed) && emu_now_ns() < until)
		__builtin_ia32_pause();
	(void)pthread_mutex_lock(&device->lock);
	atomic_fetch_sub(&device->spinners, 1);
}

static void exec_wait(struct device *device, uint64_t next)
{
	if (!next && device->running) {
		exec_look_around(device);
		if (exec_has_work(device) || device->timers)
			return;
	}
	device->sleepers++;
	if (next) {
		struct timespec at = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)};

		(void)pthread_cond_timedwait(&device->work, &device->lock, &at);
	} else {
		(void)pthread_cond_wait(&device->work, &device->lock);
	}
	device->sleepers--;
	if (device->waking)
		device->waking--;
}

static void exec_tsm(struct device *device)
{
	device->tsm_running = true;
	device->tsm_pending = false;
	tsm_step(device);
	device->tsm_running = false;
	(void)pthread_cond_broadcast(&device->quiet);
}

static void *exec_thread(void *argument)
{
	struct device *device = argument;

	(void)prctl(PR_SET_TIMERSLACK, 1000);
	op_thread_init();
	(void)pthread_mutex_lock(&device->lock);
	while (!device->shutdown) {
		uint64_t next = exec_expire(device);
		struct task *task;

		if (device->tsm_pending && !device->tsm_running)
			exec_tsm(device);
		else if ((task = exec_take(device)))
			exec_run(device, task);
		else
			exec_wait(device, next);
	}
	(void)pthread_mutex_unlock(&device->lock);
	return NULL;
}

int exec_start(struct device *device)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t wanted = device->options.threads ? device->options.threads : processors > 0 ? (uint32_t)processors : 1;
	uint32_t most = device->options.cores * DEVICE_TECS;

	wanted = wanted < most ? wanted : most;
	device->thread = calloc(wanted, sizeof(*device->thread));
	if (!device->thread)
		return -ENOMEM;
	for (device->threads = 0; device->threads < wanted; device->threads++) {
		int err = pthread_create(&device->thread[device->threads], NULL, exec_thread, device);

		if (err)
			return -err; /* the caller's device_free() ends those that run */
	}
	return 0;
}

void exec_stop(struct device *device)
{
	device_reset(device);
	(void)pthread_mutex_lock(&device->lock);
	device->shutdown = true;
	(void)pthread_cond_broadcast(&device->work);
	(void)pthread_mutex_unlock(&device->lock);
	for (uint32_t i = 0; i < device->threads; i++)
		(void)pthread_join(device->thread[i], NULL);
	device->threads = 0;
	free(device->thread);
	device->thread = NULL;
}
