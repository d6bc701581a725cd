/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into npud: the ioctl of VFIO or iommufd that $FAIL_IOCTL counts to (from 1) fails with EIO before the
 * kernel sees it, and so does every one with the request $FAIL_REQUEST (hexadecimal). $FAIL_IOCTL_TOLD names a file
 * that gets a line about the last one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define VFIO_TYPE 0x3bu

int ioctl(int fd, unsigned long request, ...);

static void tell(unsigned long request)
{
	const char *path = getenv("FAIL_IOCTL_TOLD");
	FILE *file = path ? fopen(path, "we") : NULL;

	if (!file)
		return;
	(void)fprintf(file, "%lx\n", request);
	(void)fclose(file);
}

__attribute__((visibility("default"))) int ioctl(int fd, unsigned long request, ...)
{
	static atomic_ulong count;
	const char *wanted = getenv("FAIL_IOCTL"), *always = getenv("FAIL_REQUEST");
	bool fails = always && strtoul(always, NULL, 16) == request;
	int (*real)(int, unsigned long, ...);
	va_list args;

	va_start(args, request);
	void *argument = va_arg(args, void *);
	va_end(args);
	if ((request >> 8 & 0xff) == VFIO_TYPE && wanted)
		fails |= atomic_fetch_add(&count, 1) + 1 == strtoul(wanted, NULL, 10);
	if (fails) {
		tell(request);
		errno = EIO;
		return -1;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "ioctl");
	return real(fd, request, argument);
}
