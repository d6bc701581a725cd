/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one compilation: allocated piecemeal under a budget, released at once. */
#ifndef NPUD_EMULATOR_COMPILER_ARENA_H
#define NPUD_EMULATOR_COMPILER_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used; /* in the newest block */
	uint64_t budget; /* bytes that may still be taken */
};

void arena_init(struct arena *arena, uint64_t budget);
/* Zeroed and 64-byte aligned; NULL when the budget or the host's memory is exhausted. */
void *arena_alloc(struct arena *arena, size_t bytes);
void *arena_array(struct arena *arena, size_t count, size_t size);
char *arena_strndup(struct arena *arena, const char *text, size_t bytes);
void arena_free(struct arena *arena);

#endif
