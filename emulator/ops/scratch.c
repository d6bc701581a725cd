/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scratch memory of the executing thread: grows to what the largest operator needed, then allocates no more.
 * Pointers are valid until the next scratch_reset(), so nothing may keep one across op_run().
 */
#include <pthread.h>
#include <stdlib.h>

#include "emulator/ops/internal.h"

#define SCRATCH_ALIGN 64u
#define SCRATCH_KEEP ((size_t)64 << 20) /* more than this is given back after use */
#define SCRATCH_FIRST ((size_t)256 << 10)

struct scratch_chunk {
	struct scratch_chunk *next;
	size_t bytes;
	size_t used;
	uint8_t *base;
};

static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static pthread_key_t scratch_key;
static __thread struct scratch_chunk *scratch_head;
static __thread size_t scratch_total;

static void chunks_free(void *head)
{
	struct scratch_chunk *chunk = head;

	while (chunk) {
		struct scratch_chunk *next = chunk->next;
		free(chunk->base);
		free(chunk);
		chunk = next;
	}
}

static void scratch_key_make(void)
{
	if (pthread_key_create(&scratch_key, chunks_free))
		abort();
}

static struct scratch_chunk *chunk_new(size_t bytes)
{
	if (bytes > OP_MAX_SCRATCH - scratch_total)
		return NULL;
	struct scratch_chunk *chunk = calloc(1, sizeof(*chunk));
	if (!chunk)
		return NULL;
	chunk->base = aligned_alloc(SCRATCH_ALIGN, bytes);
	if (!chunk->base) {
		free(chunk);
		return NULL;
	}
	chunk->bytes = bytes;
	chunk->next = scratch_head;
	pthread_once(&scratch_once, scratch_key_make);
	if (pthread_setspecific(scratch_key, chunk)) {
		free(chunk->base);
		free(chunk);
		return NULL;
	}
	scratch_head = chunk;
	scratch_total += bytes;
	return chunk;
}

void *scratch_get(size_t bytes)
{
	if (bytes > OP_MAX_SCRATCH)
		return NULL;
	bytes = (bytes + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
	struct scratch_chunk *chunk = scratch_head;
	if (!chunk || bytes > chunk->bytes - chunk->used)
		chunk = chunk_new(bytes > SCRATCH_FIRST ? bytes : SCRATCH_FIRST);
	if (!chunk)
		return NULL;
	void *p = chunk->base + chunk->used;
	chunk->used += bytes;
	return p;
}

/* One chunk stays as it is; several become one of their sum, so that the next run of the same operator fits. */
void scratch_reset(void)
{
	struct scratch_chunk *head = scratch_head;

	if (!head)
		return;
	if (!head->next && head->bytes <= SCRATCH_KEEP) {
		head->used = 0;
		return;
	}
	size_t total = scratch_total;
	scratch_head = NULL;
	scratch_total = 0;
	(void)pthread_setspecific(scratch_key, NULL);
	chunks_free(head);
	if (total <= SCRATCH_KEEP)
		(void)chunk_new(total);
}
