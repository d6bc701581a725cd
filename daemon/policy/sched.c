/* SPDX-License-Identifier: Apache-2.0 */
/* The policies by name; see sched.h. */
#include "daemon/policy/sched.h"

#include <string.h>

const struct sched_ops *sched_by_name(const char *name)
{
	static const struct sched_ops *const policies[] = {&sched_fair, &sched_fifo};

	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		if (strcmp(name, policies[i]->name) == 0)
			return policies[i];
	return NULL;
}
