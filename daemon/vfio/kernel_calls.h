/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every system call of the kernel transport goes through this table, so that tests can put a kernel of their own in
 * its place and let any single call fail. The functions behave as the C library's: -1 and errno.
 */
#ifndef NPUD_VFIO_KERNEL_CALLS_H
#define NPUD_VFIO_KERNEL_CALLS_H

#include <dirent.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>

struct kernel_calls {
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	int (*ioctl)(int fd, unsigned long request, void *argument);
	void *(*mmap)(void *address, size_t bytes, int prot, int flags, int fd, off_t offset);
	int (*munmap)(void *address, size_t bytes);
	ssize_t (*read)(int fd, void *data, size_t bytes);
	ssize_t (*pread)(int fd, void *data, size_t bytes, off_t offset);
	ssize_t (*pwrite)(int fd, const void *data, size_t bytes, off_t offset);
	ssize_t (*readlink)(const char *path, char *target, size_t bytes);
	int (*access)(const char *path, int mode);
	DIR *(*opendir)(const char *path);
	int (*fstat)(int fd, struct stat *out);
	int (*fcntl)(int fd, int command, int argument);
	int (*flock)(int fd, int operation);
	int (*eventfd)(unsigned initial, int flags);
	int (*epoll_create1)(int flags);
	int (*uevent_open)(void); /* a negative errno, as uevent.h has it */
	int (*epoll_ctl)(int epoll, int operation, int fd, struct epoll_event *event);
	int (*getrlimit)(int resource, struct rlimit *out);
	void (*pause_ns)(uint64_t ns);
};

extern const struct kernel_calls *kernel_calls;

/* NULL: the real ones */
void kernel_calls_set(const struct kernel_calls *calls);

/* 0 or the positive result, or a negative errno. EINTR is the kernel's way to say "once more". */
int kernel_ioctl(int fd, unsigned long request, void *argument);

/*
 * -errno of a call on a file that a client chose. ENODEV there means that the file cannot be mapped, and must not be
 * taken for the device's end.
 */
int kernel_file_error(void);

#endif
