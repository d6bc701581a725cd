/* SPDX-License-Identifier: Apache-2.0 */
/* Which process this is: a forked child must not use its parent's session. Costs a load, not a system call. */
#include <errno.h>
#include <stdatomic.h>

#include "libclient/connection.h"
#include "libclient/error.h"

static _Atomic unsigned forks; /* ancestors of this process since the library was loaded */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
	atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
	(void)pthread_atfork(NULL, NULL, count_fork);
}

unsigned npu_process_number(void)
{
	(void)pthread_once(&once, watch_forks);
	return atomic_load_explicit(&forks, memory_order_relaxed);
}

int npu_link_check(const struct npu_connection *connection)
{
	npu_error_clear();
	if (connection->process != atomic_load_explicit(&forks, memory_order_relaxed))
		return npu_fail(-EOWNERDEAD,
				"the connection belongs to the parent process: connect again after fork()");
	return 0;
}

int npu_link_check_minor(const struct npu_connection *connection, uint32_t minor, const char *what)
{
	int rc = npu_link_check(connection);

	if (rc)
		return rc;
	if (connection->minor < minor)
		return npu_fail(-ENOTSUP, "%s: npud speaks protocol %u.%u, which has no such request; %u.%u has", what,
				NPUD_PROTOCOL_MAJOR, connection->minor, NPUD_PROTOCOL_MAJOR, minor);
	return 0;
}
