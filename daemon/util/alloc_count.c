/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in front of the C library's allocator to count calls, for every library of the process. Changes nothing else.
 */
#include "daemon/util/alloc_count.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#if !defined(SANITIZED) && defined(__GLIBC__)

static _Atomic uint64_t allocations;

/* The C library's own names for what the definitions below hide. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t align, size_t bytes);

#define EXPORTED __attribute__((visibility("default")))

static void count_one(void)
{
	atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
}

EXPORTED void *malloc(size_t bytes)
{
	count_one();
	return __libc_malloc(bytes);
}

EXPORTED void *calloc(size_t count, size_t bytes)
{
	count_one();
	return __libc_calloc(count, bytes);
}

EXPORTED void *realloc(void *old, size_t bytes)
{
	count_one();
	return __libc_realloc(old, bytes);
}

EXPORTED void *aligned_alloc(size_t align, size_t bytes)
{
	count_one();
	return __libc_memalign(align, bytes);
}

EXPORTED int posix_memalign(void **out, size_t align, size_t bytes)
{
	if (align < sizeof(void *) || (align & (align - 1)) != 0)
		return EINVAL;
	count_one();
	void *memory = __libc_memalign(align, bytes);
	if (!memory)
		return ENOMEM;
	*out = memory;
	return 0;
}

uint64_t alloc_count(void)
{
	return atomic_load_explicit(&allocations, memory_order_relaxed);
}

#else

uint64_t alloc_count(void)
{
	return 0;
}

#endif
