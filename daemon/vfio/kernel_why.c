/* SPDX-License-Identifier: Apache-2.0 */
/* Reasons, one after the other, with the name of the errno: what an operator searches for. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/vfio/kernel.h"

static void append(struct kernel_why *why, const char *format, va_list args)
{
	size_t used = strnlen(why->text, why->bytes);

	if (used < why->bytes)
		vsnprintf(why->text + used, why->bytes - used, format, args);
}

int why_add(struct kernel_why *why, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(why, format, args);
	va_end(args);
	return error;
}

int why_call(struct kernel_why *why, int error, const char *format, ...)
{
	const char *name = strerrorname_np(-error);
	va_list args;

	va_start(args, format);
	append(why, format, args);
	va_end(args);
	return why_add(why, error, ": %s (%s)", strerror(-error), name ? name : "?");
}
