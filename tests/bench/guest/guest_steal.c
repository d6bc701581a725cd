/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's interrupt, taken from a running npud: its descriptors are copied (pidfd_getfd), and the kernel is told
 * to signal an eventfd of ours. npud notices nothing, and hears of an interrupt when we say so.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/bench/guest/bench_guest.h"

/* The lowest descriptor of the process above @after whose name begins with one of two. */
static int find_fd(long pid, int after, const char *name, const char *other)
{
	char path[64], target[128];
	int found = -1;

	(void)snprintf(path, sizeof(path), "/proc/%ld/fd", pid);
	DIR *directory = opendir(path);
	if (!directory)
		bench_fail("%s: %s", path, strerror(errno));
	for (const struct dirent *entry; (entry = readdir(directory));) {
		int fd = (int)strtol(entry->d_name, NULL, 10);
		ssize_t bytes = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);

		target[bytes < 0 ? 0 : bytes] = '\0';
		if (fd > after && (found < 0 || fd < found) &&
		    (strncmp(target, name, strlen(name)) == 0 || strncmp(target, other, strlen(other)) == 0))
			found = fd;
	}
	closedir(directory);
	if (found < 0)
		bench_fail("npud has no %s", name);
	return found;
}

static int copy_fd(int process, int fd)
{
	int copy = (int)syscall(SYS_pidfd_getfd, process, fd, 0);

	if (copy < 0)
		bench_fail("pidfd_getfd: %s", strerror(errno));
	return copy;
}

/* npud takes MSI-X if there is any, and the software NPU has it. */
static void interrupt_to(int device, int eventfd)
{
	struct {
		uint32_t argsz, flags, index, start, count;
		int32_t fd;
	} set = {.argsz = sizeof(set),
		 .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		 .index = VFIO_PCI_MSIX_IRQ_INDEX,
		 .count = 1,
		 .fd = eventfd};

	if (ioctl(device, VFIO_DEVICE_SET_IRQS, &set))
		bench_fail("VFIO_DEVICE_SET_IRQS: %s", strerror(errno));
}

static volatile uint32_t *registers_of(int device)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = VFIO_PCI_BAR0_REGION_INDEX};

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info))
		bench_fail("VFIO_DEVICE_GET_REGION_INFO: %s", strerror(errno));
	void *at = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset);
	if (at == MAP_FAILED)
		bench_fail("the registers cannot be mapped: %s", strerror(errno));
	return at;
}

/* Of npud's eventfds the transport opens the interrupt's first, right behind the device. */
void steal_interrupt(struct stolen *stolen, long pid)
{
	int process = (int)syscall(SYS_pidfd_open, pid, 0);

	if (process < 0)
		bench_fail("npud, process %ld: %s", pid, strerror(errno));
	int device = find_fd(pid, -1, "/dev/vfio/devices/", "anon_inode:[vfio-device]");
	int irq_fd = find_fd(pid, device, "anon_inode:[eventfd]", "anon_inode:[eventfd]");
	*stolen = (struct stolen){.device = copy_fd(process, device),
				  .irq_fd = copy_fd(process, irq_fd),
				  .interrupt = eventfd(0, EFD_CLOEXEC)};
	if (stolen->interrupt < 0)
		bench_fail("eventfd: %s", strerror(errno));
	stolen->registers = registers_of(stolen->device);
	interrupt_to(stolen->device, stolen->interrupt);
	(void)close(process);
}

void return_interrupt(struct stolen *stolen)
{
	interrupt_to(stolen->device, stolen->irq_fd);
	(void)close(stolen->device);
	(void)close(stolen->irq_fd);
	(void)close(stolen->interrupt);
}
