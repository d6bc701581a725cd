/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why something failed, as one line for a person. Functions that can fail for reasons worth reading take one; it is
 * only written on failure, and callers print it unchanged.
 */
#ifndef NPUD_TOOLS_REASON_H
#define NPUD_TOOLS_REASON_H

#include <stdarg.h>
#include <stdio.h>

#define REASON_BYTES 640

struct reason {
	char text[REASON_BYTES];
};

/* Writes the reason and returns @error, so that a failure is one statement. */
__attribute__((format(printf, 3, 4))) static inline int reason_set(struct reason *why, int error, const char *format,
								   ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return error;
}

#endif
