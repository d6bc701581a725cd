/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked with npud's objects, makes npud run in the software NPU's virtual time and in step with its clients; see
 * virtual.h. Only this program of the tests does that: npud as it is installed has one clock, the kernel's.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/core/device.h"
#include "daemon/util/clock.h"
#include "tests/virtual/virtual.h"

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names for what is wrapped */
const struct sched_ops *__real_sched_by_name(const char *name);
const struct sched_ops *__wrap_sched_by_name(const char *name);
void __real_device_feed(struct device *device);
void __wrap_device_feed(struct device *device);

static struct virtual_time *shared;
static const struct sched_ops *policy;
static struct sched_ops in_step;
static uint32_t outstanding; /* queued or running */
static uint32_t running;
static uint64_t completed_count;
static bool woken; /* the time that it takes to give the idle device something has passed */

static nsec_t virtual_now(void)
{
	return (nsec_t){atomic_load(&shared->now_ns)};
}

static void enqueue(struct sched *sched, struct sched_item *item, uint64_t now_ns)
{
	outstanding++;
	policy->enqueue(sched, item, now_ns);
}

static void dispatched(struct sched *sched, struct sched_item *item, uint64_t now_ns)
{
	running++;
	woken = false;
	policy->dispatched(sched, item, now_ns);
}

static void completed(struct sched *sched, struct sched_item *item, uint64_t device_ns, uint64_t now_ns)
{
	outstanding--;
	running--;
	completed_count++;
	policy->completed(sched, item, device_ns, now_ns);
}

static void remove_item(struct sched *sched, struct sched_item *item, uint64_t now_ns)
{
	outstanding -= item->own.state != SCHED_ITEM_AWAY;
	running -= item->own.state == SCHED_ITEM_RUNNING;
	policy->remove(sched, item, now_ns);
}

/* Before npud reads when it gives the device the item. */
static struct sched_item *pick_next(struct sched *sched, uint32_t device, uint64_t attached, uint64_t now_ns)
{
	struct sched_item *item = policy->pick_next(sched, device, attached, now_ns);

	if (item && running == 0 && !woken) {
		(void)atomic_fetch_add(&shared->now_ns, atomic_load(&shared->host_ns));
		woken = true;
	}
	return item;
}

/* What has ended was seen, and the device has what it is to have. */
void __wrap_device_feed(struct device *device)
{
	uint32_t backlog = atomic_load(&shared->backlog);

	__real_device_feed(device);
	bool seen = outstanding >= backlog && completed_count == atomic_load(&shared->ended);
	atomic_store(&shared->may_end, backlog ? completed_count + seen : UINT64_MAX);
}

const struct sched_ops *__wrap_sched_by_name(const char *name)
{
	policy = __real_sched_by_name(name);
	if (!policy)
		return NULL;
	in_step = *policy;
	in_step.enqueue = enqueue;
	in_step.dispatched = dispatched;
	in_step.completed = completed;
	in_step.remove = remove_item;
	in_step.pick_next = pick_next;
	return &in_step;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

__attribute__((constructor)) static void use_virtual_time(void)
{
	const char *path = getenv(VIRTUAL_FILE_VARIABLE);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *page = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED)
		abort();
	close(fd);
	shared = page;
	clock_set_source(virtual_now);
}
