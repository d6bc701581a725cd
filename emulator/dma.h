/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the device may reach on the bus: the table of client mappings. It checks every access against range and
 * permission; it knows no NPU address and no message format.
 */
#ifndef NPUD_EMULATOR_DMA_H
#define NPUD_EMULATOR_DMA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DMA_PAGE_BYTES 4096u
#define DMA_MAX_MAPS 65535u

enum dma_access { DMA_ACCESS_READ = 1, DMA_ACCESS_WRITE = 2 };

struct dma;
struct dma_map;

/*
 * How memory that came without a descriptor is reached. transfer() returns 0, -EFAULT if the other side refuses, or
 * -ECANCELED soon after *stop became true and kick() was called.
 */
struct dma_channel {
	int (*transfer)(void *ctx, uint64_t address, void *data, uint64_t bytes, bool write, const atomic_bool *stop);
	void (*kick)(void *ctx); /* look at the stop flags again */
	void *ctx;
};

struct dma *dma_new(void);
void dma_free(struct dma *dma);
void dma_set_channel(struct dma *dma, const struct dma_channel *channel);
/*
 * Like hardware that knows no table: every access goes through the channel, mapped or not, and the other side is the
 * judge. Before the first mapping.
 */
void dma_set_blind(struct dma *dma);
void dma_kick(struct dma *dma);

/* fd -1: reachable by the channel only. The fd stays the caller's. -EEXIST overlap, -ENOSPC too many, -EINVAL, -EACCES
 */
int dma_map_add(struct dma *dma, int fd, uint64_t offset, uint64_t address, uint64_t bytes, unsigned access);
/*
 * Removes every mapping inside [address, address + bytes); returns when nobody uses their memory any more. A mapping
 * that the range would cut is -EINVAL and nothing is removed. `stalled` is called if that takes long.
 */
int dma_map_remove(struct dma *dma, uint64_t address, uint64_t bytes, void (*stalled)(void *), void *ctx);
void dma_map_clear(struct dma *dma, void (*stalled)(void *), void *ctx);
uint32_t dma_map_count(struct dma *dma);
/* Changes with every change of the table. */
uint64_t dma_generation(struct dma *dma);
/* Identity of the mapping at an address, never used twice; 0 if there is none. */
uint64_t dma_identity(struct dma *dma, uint64_t address);

/*
 * A direct pointer to a range: 0; -EAGAIN if the range may be accessed but has no single pointer; -EFAULT. Pin and
 * unpin on the same thread, and for no longer than one instruction.
 */
int dma_pin(struct dma *dma, uint64_t address, uint64_t bytes, unsigned access, void **data, struct dma_map **map);
void dma_unpin(struct dma *dma, struct dma_map *map, void *data);

/* Copying access; `stop` as for the channel, or NULL. */
int dma_read(struct dma *dma, uint64_t address, void *data, uint64_t bytes, const atomic_bool *stop);
int dma_write(struct dma *dma, uint64_t address, const void *data, uint64_t bytes, const atomic_bool *stop);
/* Whether a copying access would be allowed. `direct` (may be NULL): it needs no channel. */
bool dma_allowed(struct dma *dma, uint64_t address, uint64_t bytes, unsigned access, bool *direct);

/* True once after a pinned access of this thread hit memory whose file had been cut short. */
bool dma_bus_error_take(void);
/* Installs the SIGBUS handler that turns such an access into a fault of the program. */
int dma_install_sigbus(void);

#endif
