/* SPDX-License-Identifier: Apache-2.0 */
/* Fills struct fail. Never allocates, never logs. */
#include "daemon/util/fail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

int fail_set(struct fail *fail, int error, const char *format, ...)
{
	va_list args;

	if (!fail)
		return -error;
	va_start(args, format);
	if (vsnprintf(fail->text, sizeof(fail->text), format, args) < 0)
		fail->text[0] = '\0';
	va_end(args);
	fail->limit = NULL;
	fail->owner = NULL;
	fail->used = 0;
	fail->maximum = 0;
	return -error;
}

static int set_numbers(struct fail *fail, const char *limit, const char *owner, uint64_t used, uint64_t maximum)
{
	if (fail) {
		fail->limit = limit;
		fail->owner = owner;
		fail->used = used;
		fail->maximum = maximum;
	}
	return -EDQUOT;
}

int fail_limit(struct fail *fail, const char *limit, const char *owner, uint64_t used, uint64_t maximum,
	       const char *advice)
{
	(void)fail_set(fail, EDQUOT, "limit %s of the %s is reached: %" PRIu64 " of %" PRIu64 " used; %s", limit, owner,
		       used, maximum, advice);
	return set_numbers(fail, limit, owner, used, maximum);
}

int fail_capacity(struct fail *fail, const char *limit, const char *owner, uint64_t used, uint64_t maximum)
{
	(void)fail_set(fail, EDQUOT,
		       "capacity of the %s for %s is reached: %" PRIu64 " of %" PRIu64
		       " used by all tenants together; try again later or ask the operator to raise it",
		       owner, limit, used, maximum);
	return set_numbers(fail, limit, owner, used, maximum);
}
