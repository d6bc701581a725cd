/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into npud: of the calls that serving a client comes down to, the one that a test counts to fails before the
 * kernel sees it. Streams are left alone: the device is on one, and what happens when that fails is another test's.
 */
#include "tests/hostile/fail_call.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static struct fail_call *control;

__attribute__((constructor)) static void attach(void)
{
	/* the device's process is preloaded, too */
	const char *path = strcmp(program_invocation_short_name, "npud") ? NULL : getenv("FAIL_CALL");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *page = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	if (page != MAP_FAILED)
		control = page;
}

static bool fails(const char *name, int error)
{
	int count = control ? atomic_load(&control->countdown) : 0;

	while (count > 0 && !atomic_compare_exchange_weak(&control->countdown, &count, count - 1))
		;
	if (count != 1)
		return false;
	(void)snprintf(control->last, sizeof(control->last), "%s", name);
	atomic_fetch_add(&control->failed, 1);
	errno = error;
	return true;
}

static bool is_client(int fd)
{
	int type = 0, error = errno;
	socklen_t bytes = sizeof(type);
	int (*real)(int, int, int, void *, socklen_t *);

	*(void **)&real = dlsym(RTLD_NEXT, "getsockopt");
	bool client = real(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_SEQPACKET;
	errno = error;
	return client;
}

/* The real one, called after the fake one has let it pass. */
#define REAL(result, name, ...)                                                                                        \
	result (*real)(__VA_ARGS__);                                                                                   \
	*(void **)&real = dlsym(RTLD_NEXT, #name)

EXPORT int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
	REAL(int, accept4, int, struct sockaddr *, socklen_t *, int);
	return fails("accept4", EMFILE) ? -1 : real(fd, address, bytes, flags);
}

EXPORT int getsockopt(int fd, int level, int option, void *value, socklen_t *bytes)
{
	REAL(int, getsockopt, int, int, int, void *, socklen_t *);
	return fails("getsockopt", ENOBUFS) ? -1 : real(fd, level, option, value, bytes);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	REAL(ssize_t, recvmsg, int, struct msghdr *, int);
	return is_client(fd) && fails("recvmsg", ENOMEM) ? -1 : real(fd, message, flags);
}

EXPORT ssize_t send(int fd, const void *data, size_t bytes, int flags)
{
	REAL(ssize_t, send, int, const void *, size_t, int);
	return is_client(fd) && fails("send", EPIPE) ? -1 : real(fd, data, bytes, flags);
}

EXPORT int fcntl(int fd, int command, ...)
{
	REAL(int, fcntl, int, int, ...);
	va_list args;

	va_start(args, command);
	void *argument = va_arg(args, void *);
	va_end(args);
	return fails("fcntl", EIO) ? -1 : real(fd, command, argument);
}

EXPORT int fstat(int fd, struct stat *file)
{
	REAL(int, fstat, int, struct stat *);
	return fails("fstat", EIO) ? -1 : real(fd, file);
}

EXPORT off_t lseek(int fd, off_t offset, int whence)
{
	REAL(off_t, lseek, int, off_t, int);
	return fails("lseek", EIO) ? -1 : real(fd, offset, whence);
}

EXPORT int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	REAL(int, epoll_ctl, int, int, int, struct epoll_event *);
	return operation == EPOLL_CTL_ADD && fails("epoll_ctl", ENOMEM) ? -1 : real(epoll, operation, fd, event);
}

EXPORT int memfd_create(const char *name, unsigned flags)
{
	REAL(int, memfd_create, const char *, unsigned);
	return fails("memfd_create", EMFILE) ? -1 : real(name, flags);
}

EXPORT int ftruncate(int fd, off_t bytes)
{
	REAL(int, ftruncate, int, off_t);
	return fails("ftruncate", ENOSPC) ? -1 : real(fd, bytes);
}

EXPORT void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	REAL(void *, mmap, void *, size_t, int, int, int, off_t);
	return fd >= 0 && fails("mmap", ENOMEM) ? MAP_FAILED : real(address, bytes, protection, flags, fd, offset);
}
