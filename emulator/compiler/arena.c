/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one compilation. Large requests get a block of their own, small ones share; nothing is freed singly. */
#include "emulator/compiler/arena.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_ALIGN 64u
#define ARENA_BLOCK (256u << 10)

struct arena_block {
	struct arena_block *next;
	size_t bytes; /* after the header */
	unsigned char pad[ARENA_ALIGN - sizeof(struct arena_block *) - sizeof(size_t)];
	unsigned char data[];
};

void arena_init(struct arena *arena, uint64_t budget)
{
	*arena = (struct arena){.budget = budget};
}

static struct arena_block *arena_grow(struct arena *arena, size_t bytes)
{
	struct arena_block *block = NULL;

	if (bytes > arena->budget)
		return NULL;
	if (posix_memalign((void **)&block, ARENA_ALIGN, sizeof(*block) + bytes))
		return NULL;
	memset(block, 0, sizeof(*block) + bytes);
	block->bytes = bytes;
	arena->budget -= bytes;
	return block;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
	if (bytes == 0)
		bytes = 1;
	if (bytes > SIZE_MAX / 2)
		return NULL;
	bytes = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (arena->blocks && bytes <= arena->blocks->bytes - arena->used) {
		void *data = arena->blocks->data + arena->used;
		arena->used += bytes;
		return data;
	}
	if (bytes > ARENA_BLOCK / 4 && arena->blocks) {
		/* Behind the newest block, which keeps its free space. */
		struct arena_block *block = arena_grow(arena, bytes);
		if (!block)
			return NULL;
		block->next = arena->blocks->next;
		arena->blocks->next = block;
		return block->data;
	}
	struct arena_block *block = arena_grow(arena, bytes > ARENA_BLOCK ? bytes : ARENA_BLOCK);
	if (!block)
		return NULL;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->used = bytes;
	return block->data;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size)
		return NULL;
	return arena_alloc(arena, count * size);
}

char *arena_strndup(struct arena *arena, const char *text, size_t bytes)
{
	char *copy = bytes < SIZE_MAX ? arena_alloc(arena, bytes + 1) : NULL;

	if (copy)
		memcpy(copy, text, bytes);
	return copy;
}

void arena_free(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *next = arena->blocks->next;
		free(arena->blocks);
		arena->blocks = next;
	}
	arena->used = 0;
}
