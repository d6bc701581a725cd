/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host says about a device: that it is in error (AER), or that it is wanted back. One descriptor becomes
 * readable for both. The driver of platform devices can say neither; that VFIO lets go of them is news of the kernel.
 */
#include <errno.h>
#include <sys/eventfd.h>

#include "daemon/vfio/kernel.h"
#include "daemon/vfio/uevent.h"

static int watch(struct vfio_kernel *kernel, uint32_t index, int *out)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct vfio_irq_info info;

	/* ERR is there on PCI Express only, REQ on all but old kernels. */
	if (!kernel_irq_usable(kernel, index, &info))
		return kernel_gone(kernel) ? -ENODEV : 0;
	*out = kernel_calls->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (*out < 0 || kernel_calls->epoll_ctl(kernel->base.life_fd, EPOLL_CTL_ADD, *out, &event))
		return -errno;
	return kernel_irq_bind(kernel, index, *out);
}

/* Without news the device is kept until npud ends: no reason not to use it. */
static int watch_news(struct vfio_kernel *kernel, struct kernel_why *why)
{
	int fd = kernel_calls->uevent_open();

	if (fd < 0)
		(void)why_call(why, fd, "no news when the host wants the device back");
	else
		kernel->base.life_fd = fd;
	return 0;
}

int kernel_life_open(struct vfio_kernel *kernel, struct kernel_why *why)
{
	if (!kernel->id.pci)
		return watch_news(kernel, why);
	kernel->base.life_fd = kernel_calls->epoll_create1(EPOLL_CLOEXEC);
	if (kernel->base.life_fd < 0)
		return why_call(why, -errno, "no descriptor for error and release events");
	int rc = watch(kernel, VFIO_PCI_ERR_IRQ_INDEX, &kernel->error_fd);
	if (rc)
		return why_call(why, rc, "arming the error event");
	rc = watch(kernel, VFIO_PCI_REQ_IRQ_INDEX, &kernel->request_fd);
	return rc ? why_call(why, rc, "arming the release event") : 0;
}

/* Reads an eventfd empty, so that life_fd does not stay readable for what is known. */
static bool fired(int fd)
{
	uint64_t count;

	return fd >= 0 && kernel_calls->read(fd, &count, sizeof(count)) == sizeof(count);
}

int kernel_life(struct vfio_device *device)
{
	struct vfio_kernel *kernel = vfio_kernel(device);

	if (kernel_gone(kernel))
		return -ENODEV;
	if (!kernel->id.pci && device->life_fd >= 0 && uevent_removed(device->life_fd, kernel->id.address))
		kernel->released = true;
	/* The kernel repeats a request every ten seconds, and wants one answer. */
	if (fired(kernel->request_fd))
		kernel->released = true;
	if (fired(kernel->error_fd))
		return kernel_lose(kernel);
	return kernel->released ? VFIO_LIFE_RELEASE : VFIO_LIFE_OK;
}
