/* SPDX-License-Identifier: Apache-2.0 */
/* Growing byte strings, and the notes that executables keep their tables in. */
#include "emulator/compiler/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_free(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){0};
}

size_t bytes_append(struct bytes *b, const void *data, size_t count)
{
	size_t at = b->used;

	if (b->failed || count > SIZE_MAX / 4 - b->used) {
		b->failed = true;
		return at;
	}
	if (b->used + count > b->room) {
		size_t room = b->room * 2 > b->used + count ? b->room * 2 : b->used + count + 256;
		uint8_t *bigger = realloc(b->data, room);
		if (!bigger) {
			b->failed = true;
			return at;
		}
		b->data = bigger;
		b->room = room;
	}
	if (data)
		memcpy(b->data + at, data, count);
	else
		memset(b->data + at, 0, count);
	b->used += count;
	return at;
}

void bytes_align(struct bytes *b, size_t alignment)
{
	size_t over = b->used & (alignment - 1);

	if (over)
		bytes_append(b, NULL, alignment - over);
}

void bytes_note(struct bytes *b, const char *name, const void *data, size_t count)
{
	size_t length = strlen(name) + 1;

	if (count == 0)
		return;
	if (count > UINT32_MAX) {
		b->failed = true;
		return;
	}
	bytes_u32(b, (uint32_t)length);
	bytes_u32(b, (uint32_t)count);
	bytes_u32(b, 1);
	bytes_append(b, name, length);
	bytes_align(b, 4);
	bytes_append(b, data, count);
	bytes_align(b, 4);
}

void bytes_printf(struct bytes *b, const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n > 0)
		bytes_append(b, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}
