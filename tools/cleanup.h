/* SPDX-License-Identifier: Apache-2.0 */
/* Cleanup attributes: what a scope opened, it closes. */
#ifndef NPUD_TOOLS_CLEANUP_H
#define NPUD_TOOLS_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

#define _cleanup_close_ __attribute__((cleanup(cleanup_close)))
#define _cleanup_free_ __attribute__((cleanup(cleanup_free)))

#endif
