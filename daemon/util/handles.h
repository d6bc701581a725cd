/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles of one session: index + generation. A stale handle, a guessed one or another session's finds nothing.
 * Owns the table, never the objects.
 */
#ifndef NPUD_UTIL_HANDLES_H
#define NPUD_UTIL_HANDLES_H

#include <stdint.h>

struct handle_slot {
	void *object;
	uint32_t generation;
	uint32_t next_free;
};

struct handles {
	struct handle_slot *slots;
	uint32_t capacity;
	uint32_t used; /* slots ever used */
	uint32_t live;
	uint32_t maximum;
	uint32_t free_head; /* index + 1, 0 = none */
};

void handles_init(struct handles *handles, uint32_t maximum);
void handles_fini(struct handles *handles);

/* -ENOSPC at the maximum, -ENOMEM. */
int handles_add(struct handles *handles, void *object, uint64_t *out);
/* NULL if the handle is stale, foreign or nonsense. */
void *handles_get(const struct handles *handles, uint64_t handle);
void *handles_remove(struct handles *handles, uint64_t handle);

static inline uint32_t handle_index(uint64_t handle)
{
	return (uint32_t)handle - 1;
}

#endif
