/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overwrites on-chip global memory between two tenures, by a job of the daemon: an init TCB that preloads GM from
 * zeros, and one task that ends at once. It runs alone, in addresses (slot 0) that no session has, and is waited for.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/npu/v3_tcb.h"
#include "daemon/util/barrier.h"
#include "daemon/util/clock.h"

#define SCRUB_SLOT 0u
#define CHUNK_BYTES (8ull << 20) /* the size field of an init TCB counts less than 16 MiB */
#define POLLS 20000
#define POLL_NS 50000
#define MAX_TCBS 32u

struct scrubber {
	struct address_space space;
	struct mapping zeros;
	uint32_t offset; /* of the chain in the arena */
};

void scrubber_free(struct scrubber *scrubber)
{
	if (!scrubber)
		return;
	if (scrubber->zeros.fd >= 0)
		close(scrubber->zeros.fd);
	address_space_fini(&scrubber->space);
	free(scrubber);
}

static int make_zeros(struct scrubber *scrubber, uint64_t bytes)
{
	struct mapping *zeros = &scrubber->zeros;

	zeros->fd = memfd_create("npud-zeros", MFD_CLOEXEC);
	if (zeros->fd < 0 || ftruncate(zeros->fd, (off_t)bytes) < 0)
		return -errno;
	zeros->space = &scrubber->space;
	zeros->bytes = bytes;
	zeros->prot = VFIO_READ;
	return address_space_alloc(&scrubber->space, bytes, 0, &zeros->iova);
}

int scrubber_new(const struct device *device, struct scrubber **out)
{
	struct scrubber *scrubber = calloc(1, sizeof(*scrubber));

	if (!scrubber)
		return -ENOMEM;
	scrubber->zeros.fd = -1;
	int error = address_space_init(&scrubber->space, &device->reach, SCRUB_SLOT);
	if (error == 0)
		error = address_space_open_arena(&scrubber->space);
	if (error == 0)
		error = arena_alloc(&scrubber->space, (uint64_t)MAX_TCBS * ZY_TCB_BYTES, &scrubber->offset);
	if (error == 0)
		error = make_zeros(scrubber, device->identity.gm_bytes);
	if (error < 0) {
		scrubber_free(scrubber);
		return error;
	}
	*out = scrubber;
	return 0;
}

/* Its own pointer, or -ETIMEDOUT: any other answer means that the device does not do as it is told. */
static int wait_done(struct npu_device *npu, uint32_t pointer)
{
	struct npu_event events[NPU_MAX_EVENTS];

	for (int poll = 0; poll < POLLS; poll++) {
		int count = npu->ops->irq_collect(npu, events);
		if (count < 0)
			return count;
		for (int i = 0; i < count; i++) {
			if (events[i].kind != NPU_EVENT_DONE)
				return -EIO;
			if (events[i].tcb_pointer == pointer)
				return npu->ops->irq_finish(npu);
		}
		if (count == 0)
			clock_pause(POLL_NS);
	}
	return -ETIMEDOUT;
}

static int run_chunk(struct device *device, uint64_t from, uint64_t bytes)
{
	struct scrubber *scrubber = device->scrubber;
	struct address_space *space = &scrubber->space;
	iova_t head = arena_iova(space, scrubber->offset);
	const struct v3_group group = {.text = space_npu_addr(space, arena_iova(space, 0))};
	struct v3_job job = {
	    .cores = device->identity.cores,
	    .tecs = device->identity.tecs,
	    .bss_count = 1,
	    .asid1 = &space->base,
	    .asid0 = space->base,
	    .gm = {.used = true,
		   .address = scrubber->zeros.iova,
		   .preload = true,
		   .preload_offset = from,
		   .preload_bytes = bytes},
	    .group_count = 1,
	    .groups = &group,
	    .gm_offset_shift = device->host->options.quirks.gm_offset_shift,
	};
	uint32_t tcbs = v3_chain_tcbs(&job);

	if (tcbs == 0 || tcbs > MAX_TCBS)
		return -EINVAL;
	arena_restore_code(space);
	union zy3_tcb *chain = (union zy3_tcb *)(void *)(space->memory + scrubber->offset);
	int error = v3_chain_encode(&job, head, chain);
	if (error < 0)
		return error;
	uint32_t last = space_npu_addr(space, head).v + (tcbs - 1) * ZY_TCB_BYTES;
	device_write_barrier();
	error = device->npu->ops->dispatch(device->npu, head, true, 0);
	return error < 0 ? error : wait_done(device->npu, last);
}

static int run_all(struct device *device)
{
	uint64_t total = device->identity.gm_bytes;
	int error = device->npu->ops->pool_create(device->npu);

	for (uint64_t from = 0; from < total && error == 0; from += CHUNK_BYTES)
		error = run_chunk(device, from, total - from < CHUNK_BYTES ? total - from : CHUNK_BYTES);
	return error < 0 ? error : device_destroy_pool(device->npu);
}

/* Where there is one table, what the scrubber maps is in nobody's way only until it has run. */
static int unmap_parts(struct device *device, struct mapping *const parts[], size_t count)
{
	int result = 0;

	for (size_t i = 0; i < count; i++) {
		int error = parts[i]->live ? device_unmap_one(device, parts[i]) : 0;
		result = error < 0 ? error : result;
	}
	return result;
}

int scrubber_run(struct device *device)
{
	struct scrubber *scrubber = device->scrubber;
	struct mapping *parts[] = {&scrubber->space.pieces[0], &scrubber->zeros};
	int error = 0;

	_Static_assert(ARENA_PAGE + MAX_TCBS * ZY_TCB_BYTES <= ARENA_PIECE_BYTES, "code and chain are in one piece");
	for (size_t i = 0; i < 2 && error == 0; i++)
		error = parts[i]->live ? 0 : device_map_one(device, parts[i]);
	if (error == 0)
		error = device_attach(device, &scrubber->space);
	if (error == 0)
		error = run_all(device);
	int result = device->tables ? device_attach(device, NULL) : unmap_parts(device, parts, 2);
	return error < 0 ? error : result;
}
