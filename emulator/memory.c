/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address translation of a running task, and its ranges as the tensor operators want them: the client's memory itself
 * where one mapping holds the range, a bounce buffer elsewhere. Must never hand out a byte that is not mapped.
 */
#include "emulator/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/shared_copy.h"

#define MEM_MERGE_BYTES (256u << 10)

/* Tasks of a group may write neighbouring bytes of one tensor: merging them into memory is one step at a time. */
static pthread_mutex_t mem_merge_lock = PTHREAD_MUTEX_INITIALIZER;

/* Part of a range that lies in one memory: on-chip at `data`, or on the bus at `bus`. */
struct mem_part {
	uint8_t *data;
	uint64_t bus;
	uint64_t bytes;
};

/* The bounce buffer of a range; a writer also keeps what it read, so that only bytes it changed are written back. */
struct mem_bounce {
	uint32_t asid;
	uint32_t address;
	uint64_t bytes;
	bool whole; /* the old contents are not readable: everything is written back */
	uint8_t *before; /* NULL: reader */
	uint8_t data[] __attribute__((aligned(64)));
};

void mem_fault(struct mem_view *view, uint32_t asid, uint32_t address, uint64_t bytes, enum op_access access)
{
	if (!view->fault.valid)
		view->fault = (struct mem_fault){true, asid, address, bytes, access};
}

/* GM in place of the bus: the part's memory if `bus` is shadowed, else its length up to the next shadow. */
static void mem_shadow(const struct mem_view *view, struct mem_part *part)
{
	for (unsigned i = 0; i < 2; i++) {
		uint64_t start = view->context->shadow[i].address, size = view->context->shadow[i].bytes;

		if (!size)
			continue;
		if (part->bus >= start && part->bus - start < size) {
			uint64_t inside = part->bus - start;

			part->data = view->chip->gm + view->context->shadow[i].gm_offset + inside;
			part->bytes = part->bytes < size - inside ? part->bytes : size - inside;
			return;
		}
		if (part->bus < start && part->bytes > start - part->bus)
			part->bytes = start - part->bus;
	}
}

static int mem_part(const struct mem_view *view, uint32_t asid, uint32_t address, uint64_t bytes, enum op_access access,
		    struct mem_part *part)
{
	if (asid >= MEM_ASIDS || bytes == 0 || bytes > (1ull << 32) - address)
		return -EFAULT;
	*part = (struct mem_part){.bytes = bytes};
	if (address >= ISA_LOCAL_BASE) {
		part->data = chip_at(view->chip, view->core, view->tec, address, bytes);
		return part->data ? 0 : -EFAULT;
	}
	if (bytes > ISA_LOCAL_BASE - address)
		return -EFAULT;
	if (((access & OP_READ) && !view->context->asid[asid].readable) ||
	    ((access & OP_WRITE) && !view->context->asid[asid].writable))
		return -EFAULT;
	uint64_t base = view->context->asid[asid].base;

	if (base + address + (bytes - 1) < base)
		return -EFAULT;
	part->bus = base + address;
	mem_shadow(view, part);
	return 0;
}

static bool mem_permitted(struct mem_view *view, uint32_t asid, uint32_t address, uint64_t bytes, enum op_access access,
			  bool *remote)
{
	unsigned wanted = (access & OP_READ ? DMA_ACCESS_READ : 0u) | (access & OP_WRITE ? DMA_ACCESS_WRITE : 0u);
	struct mem_part part;
	bool direct;

	if (bytes == 0 || bytes > (1ull << 32) - address)
		return false;
	*remote = false;
	for (uint64_t done = 0; done < bytes; done += part.bytes) {
		if (mem_part(view, asid, address + (uint32_t)done, bytes - done, access, &part))
			return false;
		if (part.data)
			continue;
		if (!dma_allowed(view->dma, part.bus, part.bytes, wanted, &direct))
			return false;
		*remote |= !direct;
	}
	return true;
}

/* Copies a range part by part. */
static int mem_copy(struct mem_view *view, uint32_t asid, uint32_t address, uint8_t *data, uint64_t bytes,
		    enum op_access access)
{
	struct mem_part part;
	bool remote;

	for (uint64_t done = 0; done < bytes; done += part.bytes) {
		int err = mem_part(view, asid, address + (uint32_t)done, bytes - done, access, &part);

		/* A store over several memories changes all of them or none. */
		if (!err && access == OP_WRITE && done == 0 && part.bytes < bytes &&
		    !mem_permitted(view, asid, address, bytes, access, &remote))
			err = -EFAULT;
		if (!err && part.data)
			shared_copy(access == OP_WRITE ? part.data : data + done,
				    access == OP_WRITE ? data + done : part.data, part.bytes);
		else if (!err && access == OP_WRITE)
			err = dma_write(view->dma, part.bus, data + done, part.bytes, view->stop);
		else if (!err)
			err = dma_read(view->dma, part.bus, data + done, part.bytes, view->stop);
		if (err) {
			mem_fault(view, asid, address, bytes, access);
			return -EFAULT;
		}
	}
	return 0;
}

int mem_read(struct mem_view *view, uint32_t asid, uint32_t address, void *data, uint64_t bytes)
{
	return mem_copy(view, asid, address, data, bytes, OP_READ);
}

int mem_write(struct mem_view *view, uint32_t asid, uint32_t address, const void *data, uint64_t bytes)
{
	return mem_copy(view, asid, address, (uint8_t *)(uintptr_t)data, bytes, OP_WRITE);
}

bool mem_readable(struct mem_view *view, uint32_t asid, uint32_t address, uint64_t bytes, bool *remote)
{
	return mem_permitted(view, asid, address, bytes, OP_READ, remote);
}

/* A write-only range cannot be read through the front door; its bytes then start as zeros and are all written. */
static int mem_bounce_fill(struct mem_view *view, struct mem_bounce *bounce, enum op_access access)
{
	bool remote;

	if (!(access & OP_WRITE))
		return mem_copy(view, bounce->asid, bounce->address, bounce->data, bounce->bytes, OP_READ);
	if (!mem_permitted(view, bounce->asid, bounce->address, bounce->bytes, OP_READ, &remote)) {
		memset(bounce->data, 0, bounce->bytes);
		bounce->whole = true;
		return 0;
	}
	int err = mem_copy(view, bounce->asid, bounce->address, bounce->data, bounce->bytes, OP_READ);

	if (!err)
		memcpy(bounce->before, bounce->data, bounce->bytes);
	return err;
}

static int mem_bounce(struct mem_view *view, uint32_t asid, uint32_t address, uint64_t bytes, enum op_access access,
		      struct op_span *span)
{
	bool remote;

	if (bytes > MEM_MAX_BOUNCE || !mem_permitted(view, asid, address, bytes, access, &remote))
		return -EFAULT;
	struct mem_bounce *bounce = malloc(sizeof(*bounce) + bytes * (access & OP_WRITE ? 2 : 1));

	if (!bounce)
		return -EFAULT;
	*bounce = (struct mem_bounce){.asid = asid, .address = address, .bytes = bytes};
	if (access & OP_WRITE)
		bounce->before = bounce->data + bytes;
	if (mem_bounce_fill(view, bounce, access)) {
		free(bounce);
		return -EFAULT;
	}
	span->data = bounce->data;
	span->cookie[1] = bounce;
	return 0;
}

/* Merges what changed in [at, at + bytes) of the bounce buffer into memory as it is now. */
static int mem_merge(struct mem_view *view, struct mem_bounce *bounce, uint64_t at, uint64_t bytes, uint8_t *now)
{
	const uint8_t *data = bounce->data + at, *before = bounce->before + at;
	uint64_t first = 0, last = bytes;

	while (first < bytes && data[first] == before[first])
		first++;
	while (last > first && data[last - 1] == before[last - 1])
		last--;
	if (first == last)
		return 0;
	uint32_t address = bounce->address + (uint32_t)(at + first);
	int err = mem_read(view, bounce->asid, address, now, last - first);

	for (uint64_t i = first; i < last && !err; i++) {
		if (data[i] != before[i])
			now[i - first] = data[i];
	}
	return err ? err : mem_write(view, bounce->asid, address, now, last - first);
}

static void mem_bounce_write(struct mem_view *view, struct mem_bounce *bounce)
{
	uint8_t *now = bounce->whole ? NULL : malloc(MEM_MERGE_BYTES);
	int err = 0;

	if (!now) {
		(void)mem_write(view, bounce->asid, bounce->address, bounce->data, bounce->bytes);
		return;
	}
	(void)pthread_mutex_lock(&mem_merge_lock);
	for (uint64_t at = 0; at < bounce->bytes && !err; at += MEM_MERGE_BYTES) {
		uint64_t left = bounce->bytes - at;

		err = mem_merge(view, bounce, at, left < MEM_MERGE_BYTES ? left : MEM_MERGE_BYTES, now);
	}
	(void)pthread_mutex_unlock(&mem_merge_lock);
	free(now);
}

static int mem_get(void *ctx, uint32_t asid, uint32_t address, uint64_t bytes, enum op_access access,
		   struct op_span *span)
{
	unsigned wanted = (access & OP_READ ? DMA_ACCESS_READ : 0u) | (access & OP_WRITE ? DMA_ACCESS_WRITE : 0u);
	struct mem_view *view = ctx;
	struct mem_part part;
	struct dma_map *map = NULL;
	int err = mem_part(view, asid, address, bytes, access, &part);

	*span = (struct op_span){.bytes = bytes};
	if (!err && part.bytes < bytes)
		err = -EAGAIN;
	else if (!err && part.data)
		span->data = part.data;
	else if (!err)
		err = dma_pin(view->dma, part.bus, bytes, wanted, &span->data, &map);
	span->cookie[0] = map;
	if (err == -EAGAIN)
		err = mem_bounce(view, asid, address, bytes, access, span);
	if (err) {
		mem_fault(view, asid, address, bytes, access);
		return -EFAULT;
	}
	return 0;
}

static void mem_put(void *ctx, struct op_span *span)
{
	struct mem_view *view = ctx;
	struct mem_bounce *bounce = span->cookie[1];

	if (span->cookie[0])
		dma_unpin(view->dma, span->cookie[0], span->data);
	if (bounce && bounce->before)
		mem_bounce_write(view, bounce);
	free(bounce);
	*span = (struct op_span){0};
}

static uint64_t mem_identity(void *ctx, uint32_t asid, uint32_t address)
{
	const struct mem_view *view = ctx;
	struct mem_part part;

	if (mem_part(view, asid, address, 1, OP_READ, &part) || part.data)
		return 0;
	return dma_identity(view->dma, part.bus);
}

struct op_memory mem_operators(struct mem_view *view)
{
	return (struct op_memory){.get = mem_get, .put = mem_put, .identity = mem_identity, .ctx = view};
}
