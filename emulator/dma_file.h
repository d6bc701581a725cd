/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory files behind client mappings: one host mapping per file and protection, shared by all client mappings of it
 * (a guest may send 65535 of them for one file). Guards against files that are cut short while in use.
 */
#ifndef NPUD_EMULATOR_DMA_FILE_H
#define NPUD_EMULATOR_DMA_FILE_H

#include <stdbool.h>
#include <stdint.h>

#define DMA_FILE_BUCKETS 1024u

struct dma_file;

struct dma_files {
	struct dma_file *bucket[DMA_FILE_BUCKETS];
};

/* Makes [offset, offset + bytes) of `fd` addressable. -EINVAL not a file or too short, -EACCES not so opened. */
int dma_file_get(struct dma_files *files, int fd, uint64_t offset, uint64_t bytes, bool writable, struct dma_file **out,
		 uint8_t **data);
void dma_file_put(struct dma_files *files, struct dma_file *file);
/* The file was cut short and an access noticed: nothing in it can be trusted any more. */
bool dma_file_poisoned(const struct dma_file *file);

/* Ranges this thread is about to touch; -ENOSPC if it holds too many. */
int dma_guard_push(struct dma_file *file, void *data, uint64_t bytes);
void dma_guard_pop(const void *data);

#endif
