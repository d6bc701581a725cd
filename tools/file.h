/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files, in and out of memory. */
#ifndef NPUD_TOOLS_FILE_H
#define NPUD_TOOLS_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "tools/reason.h"

/* Reads a regular file of at most @max bytes; an empty one is refused. The caller frees *@out. */
int file_read(const char *path, size_t max, uint8_t **out, size_t *bytes, struct reason *why);

/* Writes two pieces as one file; a file that could not be completed is removed. */
int file_write(const char *path, const void *head, size_t head_bytes, const void *body, size_t body_bytes,
	       struct reason *why);

#endif
