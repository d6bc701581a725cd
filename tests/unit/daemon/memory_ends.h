/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out once, at a place of the test's choice. The linker puts the functions below in front of the C
 * library's (--wrap in the Makefile); one file of a program includes this.
 */
#ifndef NPUD_TESTS_MEMORY_ENDS_H
#define NPUD_TESTS_MEMORY_ENDS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker wants these names */
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_reallocarray(void *old, size_t count, size_t bytes);
void *__real_malloc(size_t bytes);
int __real_memfd_create(const char *name, unsigned flags);
void *__real_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);

void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);
void *__wrap_malloc(size_t bytes);
int __wrap_memfd_create(const char *name, unsigned flags);
void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);

/* Of the test's thread: what runs beside it has memory. */
static _Thread_local struct {
	bool armed;
	unsigned count;
	unsigned fails_at; /* 0: never */
} memory;

static bool runs_out(void)
{
	if (!memory.armed || ++memory.count != memory.fails_at)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return runs_out() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return runs_out() ? NULL : __real_realloc(old, bytes);
}

void *__wrap_reallocarray(void *old, size_t count, size_t bytes)
{
	return runs_out() ? NULL : __real_reallocarray(old, count, bytes);
}

void *__wrap_malloc(size_t bytes)
{
	return runs_out() ? NULL : __real_malloc(bytes);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
	return runs_out() ? -1 : __real_memfd_create(name, flags);
}

void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	return runs_out() ? MAP_FAILED : __real_mmap(at, bytes, prot, flags, fd, offset);
}

/* NOLINTEND(bugprone-reserved-identifier) */

#endif
