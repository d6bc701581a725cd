/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's one clock: monotonic. Tests put their own in its place. */
#ifndef NPUD_UTIL_CLOCK_H
#define NPUD_UTIL_CLOCK_H

#include "daemon/util/types.h"

#define NSEC_PER_USEC 1000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC 1000000000ull

nsec_t clock_now(void);

/* NULL restores the kernel's clock. */
void clock_set_source(nsec_t (*source)(void));

/* On a worker, which may block: a pause between two looks at something. */
void clock_pause(uint64_t ns);
/* For tests whose devices need no time; NULL restores the pause. */
void clock_set_pause(void (*pause)(uint64_t ns));

#endif
