/* SPDX-License-Identifier: Apache-2.0 */
/* The real system calls behind the table. */
#include "daemon/vfio/kernel_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "daemon/vfio/uevent.h"

#define MAX_INTERRUPTED 100

static int call_open(const char *path, int flags)
{
	return open(path, flags);
}

static int call_ioctl(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument);
}

static int call_fcntl(int fd, int command, int argument)
{
	return fcntl(fd, command, argument);
}

static int call_eventfd(unsigned initial, int flags)
{
	return eventfd(initial, flags);
}

static int call_getrlimit(int resource, struct rlimit *out)
{
	return getrlimit((__rlimit_resource_t)resource, out);
}

static void call_pause_ns(uint64_t ns)
{
	struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &time, &time) == EINTR) {
	}
}

static const struct kernel_calls real_calls = {
    .open = call_open,
    .close = close,
    .ioctl = call_ioctl,
    .mmap = mmap,
    .munmap = munmap,
    .read = read,
    .pread = pread,
    .pwrite = pwrite,
    .readlink = readlink,
    .access = access,
    .opendir = opendir,
    .fstat = fstat,
    .fcntl = call_fcntl,
    .flock = flock,
    .eventfd = call_eventfd,
    .epoll_create1 = epoll_create1,
    .uevent_open = uevent_open,
    .epoll_ctl = epoll_ctl,
    .getrlimit = call_getrlimit,
    .pause_ns = call_pause_ns,
};

const struct kernel_calls *kernel_calls = &real_calls;

void kernel_calls_set(const struct kernel_calls *calls)
{
	kernel_calls = calls ? calls : &real_calls;
}

int kernel_ioctl(int fd, unsigned long request, void *argument)
{
	for (int i = 0; i < MAX_INTERRUPTED; i++) {
		int rc = kernel_calls->ioctl(fd, request, argument);

		if (rc >= 0)
			return rc;
		if (errno != EINTR)
			return -errno;
	}
	return -EINTR;
}

int kernel_file_error(void)
{
	return errno == ENODEV ? -EINVAL : -errno;
}
