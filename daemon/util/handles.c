/* SPDX-License-Identifier: Apache-2.0 */
/* Handle tables. Grows by doubling, never shrinks, never calls back. */
#include "daemon/util/handles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void handles_init(struct handles *handles, uint32_t maximum)
{
	memset(handles, 0, sizeof(*handles));
	handles->maximum = maximum;
}

void handles_fini(struct handles *handles)
{
	free(handles->slots);
	memset(handles, 0, sizeof(*handles));
}

static int handles_grow(struct handles *handles)
{
	uint32_t capacity = handles->capacity ? handles->capacity * 2 : 8;

	if (capacity > handles->maximum)
		capacity = handles->maximum;
	if (capacity <= handles->capacity)
		return -ENOSPC;
	struct handle_slot *slots = realloc(handles->slots, capacity * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	memset(slots + handles->capacity, 0, (capacity - handles->capacity) * sizeof(*slots));
	handles->slots = slots;
	handles->capacity = capacity;
	return 0;
}

int handles_add(struct handles *handles, void *object, uint64_t *out)
{
	uint32_t index;

	if (handles->free_head) {
		index = handles->free_head - 1;
		handles->free_head = handles->slots[index].next_free;
	} else {
		if (handles->used == handles->capacity) {
			int error = handles_grow(handles);
			if (error < 0)
				return error;
		}
		index = handles->used++;
		handles->slots[index].generation = 1;
	}
	struct handle_slot *slot = &handles->slots[index];
	slot->object = object;
	handles->live++;
	*out = (uint64_t)slot->generation << 32 | (index + 1);
	return 0;
}

void *handles_get(const struct handles *handles, uint64_t handle)
{
	uint32_t index = handle_index(handle);

	if (index >= handles->used)
		return NULL;
	const struct handle_slot *slot = &handles->slots[index];
	return slot->generation == (uint32_t)(handle >> 32) ? slot->object : NULL;
}

void *handles_remove(struct handles *handles, uint64_t handle)
{
	void *object = handles_get(handles, handle);

	if (!object)
		return NULL;
	struct handle_slot *slot = &handles->slots[handle_index(handle)];
	slot->object = NULL;
	handles->live--;
	/* A slot whose generations are used up is retired: a handle must never come back. */
	if (++slot->generation != 0) {
		slot->next_free = handles->free_head;
		handles->free_head = handle_index(handle) + 1;
	}
	return object;
}
