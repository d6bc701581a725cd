/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte string on the heap. Failure sticks: append freely, check once. */
#ifndef NPUD_EMULATOR_COMPILER_BYTES_H
#define NPUD_EMULATOR_COMPILER_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	uint8_t *data;
	size_t used;
	size_t room;
	bool failed;
};

void bytes_free(struct bytes *b);
/* `data` may be NULL: zeros. Returns the offset of what was appended. */
size_t bytes_append(struct bytes *b, const void *data, size_t count);
void bytes_align(struct bytes *b, size_t alignment);
static inline size_t bytes_u32(struct bytes *b, uint32_t value)
{
	return bytes_append(b, &value, sizeof(value));
}
/* One note: name, contents. Notes without contents would count as absent and are left out. */
void bytes_note(struct bytes *b, const char *name, const void *data, size_t count);
void bytes_printf(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
