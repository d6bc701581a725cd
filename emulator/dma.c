/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of client mappings: sorted by bus address, looked up by bisection. It checks every access against range
 * and permission; it never looks at what the memory holds.
 */
#include "emulator/dma.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "emulator/dma_file.h"
#include "emulator/log.h"
#include "emulator/shared_copy.h"

#define DMA_STALL_NS 50000000u

struct dma_map {
	uint64_t address;
	uint64_t bytes;
	uint64_t identity;
	unsigned access;
	struct dma_file *file; /* NULL: channel only */
	uint8_t *data;
	atomic_uint pins;
};

struct dma {
	pthread_rwlock_t table_lock;
	struct dma_map **map;
	uint32_t count;
	uint32_t room;
	uint64_t next_identity;
	atomic_uint_fast64_t generation;
	struct dma_files files; /* under table_lock, written */
	struct dma_channel channel;
	bool blind; /* the table judges nothing */
	pthread_mutex_t idle_lock;
	pthread_cond_t idle; /* a pin was given back while somebody waits */
	atomic_uint waiters;
};

struct dma *dma_new(void)
{
	struct dma *dma = calloc(1, sizeof(*dma));
	pthread_rwlockattr_t attr;
	pthread_condattr_t monotonic;

	if (!dma)
		return NULL;
	/* A spinning program must not keep an unmap waiting by reading the table again and again. */
	(void)pthread_rwlockattr_init(&attr);
	(void)pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	(void)pthread_rwlock_init(&dma->table_lock, &attr);
	(void)pthread_rwlockattr_destroy(&attr);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&dma->idle, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	(void)pthread_mutex_init(&dma->idle_lock, NULL);
	dma->next_identity = 1;
	return dma;
}

void dma_free(struct dma *dma)
{
	if (!dma)
		return;
	dma_map_clear(dma, NULL, NULL);
	free(dma->map);
	(void)pthread_rwlock_destroy(&dma->table_lock);
	(void)pthread_mutex_destroy(&dma->idle_lock);
	(void)pthread_cond_destroy(&dma->idle);
	free(dma);
}

void dma_set_channel(struct dma *dma, const struct dma_channel *channel)
{
	(void)pthread_rwlock_wrlock(&dma->table_lock);
	dma->channel = channel ? *channel : (struct dma_channel){0};
	(void)pthread_rwlock_unlock(&dma->table_lock);
}

void dma_set_blind(struct dma *dma)
{
	dma->blind = true;
}

void dma_kick(struct dma *dma)
{
	(void)pthread_rwlock_rdlock(&dma->table_lock);
	struct dma_channel channel = dma->channel;
	(void)pthread_rwlock_unlock(&dma->table_lock);

	if (channel.kick)
		channel.kick(channel.ctx);
}

/* Index of the first mapping that ends behind `address`. */
static uint32_t dma_search(const struct dma *dma, uint64_t address)
{
	uint32_t low = 0, high = dma->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct dma_map *map = dma->map[middle];

		if (map->address + (map->bytes - 1) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct dma_map *dma_find(const struct dma *dma, uint64_t address)
{
	uint32_t i = dma_search(dma, address);

	return i < dma->count && dma->map[i]->address <= address ? dma->map[i] : NULL;
}

static int dma_reserve(struct dma *dma)
{
	if (dma->count < dma->room)
		return 0;
	uint32_t room = dma->room ? dma->room * 2 : 64;
	struct dma_map **map = reallocarray(dma->map, room, sizeof(*map));

	if (!map)
		return -ENOMEM;
	dma->map = map;
	dma->room = room;
	return 0;
}

static int dma_insert(struct dma *dma, struct dma_map *map, int fd, uint64_t offset)
{
	uint32_t at = dma_search(dma, map->address);

	if (at < dma->count && dma->map[at]->address <= map->address + (map->bytes - 1))
		return -EEXIST;
	if (dma->count >= DMA_MAX_MAPS)
		return -ENOSPC;
	int err = dma_reserve(dma);
	if (!err && fd >= 0 && !dma->blind)
		err = dma_file_get(&dma->files, fd, offset, map->bytes, map->access & DMA_ACCESS_WRITE, &map->file,
				   &map->data);
	if (err)
		return err;
	memmove(&dma->map[at + 1], &dma->map[at], (size_t)(dma->count - at) * sizeof(*dma->map));
	dma->map[at] = map;
	dma->count++;
	map->identity = dma->next_identity++;
	atomic_fetch_add(&dma->generation, 1);
	return 0;
}

int dma_map_add(struct dma *dma, int fd, uint64_t offset, uint64_t address, uint64_t bytes, unsigned access)
{
	if (bytes == 0 || access == 0 || (access & ~(unsigned)(DMA_ACCESS_READ | DMA_ACCESS_WRITE)))
		return -EINVAL;
	if ((address | bytes | offset) % DMA_PAGE_BYTES || address + (bytes - 1) < address || offset + bytes < offset)
		return -EINVAL;
	struct dma_map *map = calloc(1, sizeof(*map));

	if (!map)
		return -ENOMEM;
	map->address = address;
	map->bytes = bytes;
	map->access = access;
	(void)pthread_rwlock_wrlock(&dma->table_lock);
	int err = dma_insert(dma, map, fd, offset);
	(void)pthread_rwlock_unlock(&dma->table_lock);
	if (err)
		free(map);
	return err;
}

static void dma_wait_unpinned(struct dma *dma, struct dma_map *map, void (*stalled)(void *), void *ctx)
{
	(void)pthread_mutex_lock(&dma->idle_lock);
	atomic_fetch_add(&dma->waiters, 1);
	while (atomic_load(&map->pins)) {
		uint64_t until = emu_now_ns() + DMA_STALL_NS;
		struct timespec at = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};

		if (pthread_cond_timedwait(&dma->idle, &dma->idle_lock, &at) == ETIMEDOUT && stalled) {
			(void)pthread_mutex_unlock(&dma->idle_lock);
			stalled(ctx);
			(void)pthread_mutex_lock(&dma->idle_lock);
		}
	}
	atomic_fetch_sub(&dma->waiters, 1);
	(void)pthread_mutex_unlock(&dma->idle_lock);
}

/* Takes the mappings [first, last) out of the table, into a list that the caller owns. */
static struct dma_map **dma_take(struct dma *dma, uint32_t first, uint32_t last)
{
	uint32_t n = last - first;
	struct dma_map **taken = calloc(n, sizeof(*taken));

	if (!taken)
		return NULL;
	memcpy(taken, &dma->map[first], n * sizeof(*taken));
	memmove(&dma->map[first], &dma->map[last], (size_t)(dma->count - last) * sizeof(*dma->map));
	dma->count -= n;
	atomic_fetch_add(&dma->generation, 1);
	return taken;
}

static void dma_release(struct dma *dma, struct dma_map **taken, uint32_t n, void (*stalled)(void *), void *ctx)
{
	for (uint32_t i = 0; i < n; i++)
		dma_wait_unpinned(dma, taken[i], stalled, ctx);
	(void)pthread_rwlock_wrlock(&dma->table_lock);
	for (uint32_t i = 0; i < n; i++)
		dma_file_put(&dma->files, taken[i]->file);
	(void)pthread_rwlock_unlock(&dma->table_lock);
	for (uint32_t i = 0; i < n; i++)
		free(taken[i]);
	free(taken);
}

static int dma_remove(struct dma *dma, uint64_t address, uint64_t end, void (*stalled)(void *), void *ctx)
{
	struct dma_map **taken = NULL;
	int err = 0;

	(void)pthread_rwlock_wrlock(&dma->table_lock);
	uint32_t first = dma_search(dma, address), last = first;

	while (last < dma->count && dma->map[last]->address <= end) {
		const struct dma_map *map = dma->map[last++];

		if (map->address < address || map->address + (map->bytes - 1) > end)
			err = -EINVAL;
	}
	if (!err && last > first) {
		taken = dma_take(dma, first, last);
		if (!taken)
			err = -ENOMEM;
	}
	(void)pthread_rwlock_unlock(&dma->table_lock);
	if (taken)
		dma_release(dma, taken, last - first, stalled, ctx);
	return err;
}

int dma_map_remove(struct dma *dma, uint64_t address, uint64_t bytes, void (*stalled)(void *), void *ctx)
{
	/* Clients unmap supersets; the last one ends at 2^64 exactly. */
	if (bytes == 0 || address + (bytes - 1) < address)
		return -EINVAL;
	return dma_remove(dma, address, address + (bytes - 1), stalled, ctx);
}

void dma_map_clear(struct dma *dma, void (*stalled)(void *), void *ctx)
{
	(void)dma_remove(dma, 0, UINT64_MAX, stalled, ctx);
}

uint32_t dma_map_count(struct dma *dma)
{
	(void)pthread_rwlock_rdlock(&dma->table_lock);
	uint32_t count = dma->count;
	(void)pthread_rwlock_unlock(&dma->table_lock);

	return count;
}

uint64_t dma_generation(struct dma *dma)
{
	return atomic_load(&dma->generation);
}

uint64_t dma_identity(struct dma *dma, uint64_t address)
{
	(void)pthread_rwlock_rdlock(&dma->table_lock);
	const struct dma_map *map = dma_find(dma, address);
	uint64_t identity = map ? map->identity : 0;
	(void)pthread_rwlock_unlock(&dma->table_lock);

	return identity;
}

/* With the table locked: every byte mapped, with permission. */
static bool dma_covered(const struct dma *dma, uint64_t address, uint64_t bytes, unsigned access, bool *direct)
{
	uint32_t i = dma_search(dma, address);

	if (bytes == 0 || address + (bytes - 1) < address)
		return false;
	if (dma->blind) {
		*direct = false;
		return true;
	}
	for (; bytes; i++) {
		const struct dma_map *map = i < dma->count ? dma->map[i] : NULL;

		if (!map || map->address > address || (map->access & access) != access)
			return false;
		if (map->file && dma_file_poisoned(map->file))
			return false;
		if (!map->file)
			*direct = false;
		uint64_t here = map->bytes - (address - map->address);
		if (here >= bytes)
			return true;
		address += here;
		bytes -= here;
	}
	return true;
}

bool dma_allowed(struct dma *dma, uint64_t address, uint64_t bytes, unsigned access, bool *direct)
{
	bool all_direct = true;

	(void)pthread_rwlock_rdlock(&dma->table_lock);
	bool allowed = dma_covered(dma, address, bytes, access, &all_direct);
	(void)pthread_rwlock_unlock(&dma->table_lock);
	if (direct)
		*direct = all_direct;
	return allowed;
}

int dma_pin(struct dma *dma, uint64_t address, uint64_t bytes, unsigned access, void **data, struct dma_map **out)
{
	bool direct = true;
	int err = -EFAULT;

	(void)pthread_rwlock_rdlock(&dma->table_lock);
	struct dma_map *map = dma_find(dma, address);

	if (map && map->file && bytes <= map->bytes - (address - map->address)) {
		if (bytes && (map->access & access) == access && !dma_file_poisoned(map->file)) {
			atomic_fetch_add(&map->pins, 1);
			*data = map->data + (address - map->address);
			*out = map;
			err = 0;
		}
	} else if (dma_covered(dma, address, bytes, access, &direct)) {
		err = -EAGAIN;
	}
	(void)pthread_rwlock_unlock(&dma->table_lock);
	if (!err && dma_guard_push(map->file, *data, bytes)) {
		dma_unpin(dma, map, NULL);
		err = -EAGAIN;
	}
	return err;
}

void dma_unpin(struct dma *dma, struct dma_map *map, void *data)
{
	if (data)
		dma_guard_pop(data);
	if (atomic_fetch_sub(&map->pins, 1) == 1 && atomic_load(&dma->waiters)) {
		(void)pthread_mutex_lock(&dma->idle_lock);
		(void)pthread_cond_broadcast(&dma->idle);
		(void)pthread_mutex_unlock(&dma->idle_lock);
	}
}

/* With the table locked: how far the mappings from this one on go that only the channel reaches. */
static uint64_t dma_channel_run(const struct dma *dma, uint64_t address, uint64_t bytes, unsigned access)
{
	uint32_t i = dma_search(dma, address);
	uint64_t end = address;

	for (; i < dma->count && end - address < bytes; i++) {
		const struct dma_map *map = dma->map[i];

		if (map->address > end || map->file || !(map->access & access))
			break;
		end = map->address + map->bytes;
		if (!end)
			return bytes;
	}
	return end - address < bytes ? end - address : bytes;
}

/* One step of a copy: returns the bytes done or a negative errno. */
static int64_t dma_copy_step(struct dma *dma, uint64_t address, uint8_t *data, uint64_t bytes, bool write,
			     const atomic_bool *stop)
{
	unsigned access = write ? DMA_ACCESS_WRITE : DMA_ACCESS_READ;

	(void)pthread_rwlock_rdlock(&dma->table_lock);
	struct dma_map *map = dma_find(dma, address);
	struct dma_channel channel = dma->channel;
	bool direct = map && map->file, known = map && (map->access & access);

	if (!dma->blind && !known) {
		(void)pthread_rwlock_unlock(&dma->table_lock);
		return -EFAULT;
	}
	/* What is not in the table is asked for by the page: the other side may know one and not the next. */
	uint64_t here = DMA_PAGE_BYTES - address % DMA_PAGE_BYTES;

	if (direct)
		here = map->bytes - (address - map->address);
	else if (known)
		here = dma_channel_run(dma, address, bytes, access);
	(void)pthread_rwlock_unlock(&dma->table_lock);

	here = here < bytes ? here : bytes;
	if (!direct) {
		int err = channel.transfer ? channel.transfer(channel.ctx, address, data, here, write, stop) : -EFAULT;
		return err ? err : (int64_t)here;
	}
	void *memory;
	int err = dma_pin(dma, address, here, access, &memory, &map);
	if (err)
		return -EFAULT;
	shared_copy(write ? memory : data, write ? data : memory, here);
	dma_unpin(dma, map, memory);
	return dma_bus_error_take() ? -EFAULT : (int64_t)here;
}

static int dma_copy(struct dma *dma, uint64_t address, uint8_t *data, uint64_t bytes, bool write,
		    const atomic_bool *stop)
{
	while (bytes) {
		int64_t done = dma_copy_step(dma, address, data, bytes, write, stop);

		if (done < 0)
			return (int)done;
		address += (uint64_t)done;
		data += done;
		bytes -= (uint64_t)done;
	}
	return 0;
}

int dma_read(struct dma *dma, uint64_t address, void *data, uint64_t bytes, const atomic_bool *stop)
{
	return dma_copy(dma, address, data, bytes, false, stop);
}

int dma_write(struct dma *dma, uint64_t address, const void *data, uint64_t bytes, const atomic_bool *stop)
{
	bool direct;

	/* All or nothing: a write that would fault half way changes nothing. */
	if (!dma_allowed(dma, address, bytes, DMA_ACCESS_WRITE, &direct))
		return -EFAULT;
	return dma_copy(dma, address, (uint8_t *)(uintptr_t)data, bytes, true, stop);
}
