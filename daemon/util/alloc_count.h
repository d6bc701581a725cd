/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the process's heap allocations, so that "none between submit and completion" can be checked from outside. */
#ifndef NPUD_UTIL_ALLOC_COUNT_H
#define NPUD_UTIL_ALLOC_COUNT_H

#include <stdint.h>

/* malloc, calloc, realloc and aligned allocations so far; 0 always under a sanitizer, which has its own allocator. */
uint64_t alloc_count(void);

#endif
