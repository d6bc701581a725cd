/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies to and from memory that clients and programs write whenever they like: racing with them is their affair and
 * harmless here, because nothing is read twice. The thread sanitizer is told so.
 */
#ifndef NPUD_EMULATOR_SHARED_COPY_H
#define NPUD_EMULATOR_SHARED_COPY_H

#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define SHARED_COPY_BY_HAND 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHARED_COPY_BY_HAND 1
#endif
#endif

#ifdef SHARED_COPY_BY_HAND
__attribute__((no_sanitize("thread"), noinline)) static void shared_copy(void *to, const void *from, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++)
		((volatile uint8_t *)to)[i] = ((const volatile uint8_t *)from)[i];
}
#else
static inline void shared_copy(void *to, const void *from, uint64_t bytes)
{
	memcpy(to, from, bytes);
}
#endif

#endif
