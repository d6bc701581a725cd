/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reset by the kernel: of the function where it can, else of the slot or bus if everything on it is ours. Page tables
 * and event descriptors survive; what configuration space lost is set again.
 */
#include <errno.h>

#include "daemon/vfio/kernel.h"

#define ATTEMPTS 20
#define PAUSE_NS 10000000u
#define MAX_AFFECTED 64u

/* One buffer for the affected devices, another for the one group that may stand for all of them. */
struct hot_reset_info {
	struct {
		uint32_t argsz;
		uint32_t flags;
		uint32_t count;
	} info;
	struct vfio_pci_dependent_device devices[MAX_AFFECTED];
};
_Static_assert(offsetof(struct hot_reset_info, devices) == offsetof(struct vfio_pci_hot_reset_info, devices), "array");

struct hot_reset {
	struct {
		uint32_t argsz;
		uint32_t flags;
		uint32_t count;
	} reset;
	int32_t group_fd;
};
_Static_assert(offsetof(struct hot_reset, group_fd) == offsetof(struct vfio_pci_hot_reset, group_fds), "array");

/* Somebody holds a lock of the device or its bus for a moment: again, but not for ever. */
static int patient_ioctl(struct vfio_kernel *kernel, unsigned long request, void *argument)
{
	int rc = kernel_device_ioctl(kernel, request, argument);

	for (int i = 1; i < ATTEMPTS && (rc == -EAGAIN || rc == -EBUSY); i++) {
		kernel_calls->pause_ns(PAUSE_NS);
		rc = kernel_device_ioctl(kernel, request, argument);
	}
	return rc < 0 ? rc : 0;
}

static bool affected_are_ours(const struct vfio_kernel *kernel, const struct hot_reset_info *info)
{
	if (info->info.flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID)
		return info->info.flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	if (kernel->group < 0)
		return false;
	for (uint32_t i = 0; i < info->info.count; i++)
		if (info->devices[i].group_id != kernel->id.group)
			return false;
	return true;
}

static int hot_reset(struct vfio_kernel *kernel)
{
	struct hot_reset_info info = {{.argsz = sizeof(info)}, {{0}}};
	struct hot_reset reset = {{.argsz = sizeof(reset.reset)}, -1};

	/* ENODEV means here that neither slot nor bus can be reset, not that the device is gone; ENOSPC, many others.
	 */
	if (kernel_ioctl(kernel->device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info) < 0 ||
	    info.info.count > MAX_AFFECTED || !affected_are_ours(kernel, &info))
		return -ENOTSUP;
	/* iommufd knows what is ours; groups have to be shown. */
	if (!(info.info.flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID)) {
		reset.reset.argsz = sizeof(reset);
		reset.reset.count = 1;
		reset.group_fd = kernel->group;
	}
	return patient_ioctl(kernel, VFIO_DEVICE_PCI_HOT_RESET, &reset);
}

static int reset_by_kernel(struct vfio_kernel *kernel)
{
	if (kernel->has_reset)
		return patient_ioctl(kernel, VFIO_DEVICE_RESET, NULL);
	return kernel->id.pci ? hot_reset(kernel) : -ENOTSUP;
}

int kernel_reset(struct vfio_device *device)
{
	struct vfio_kernel *kernel = vfio_kernel(device);

	if (kernel_gone(kernel))
		return -ENODEV;
	int rc = reset_by_kernel(kernel);
	if (rc)
		return rc;
	if (kernel->id.pci) {
		if (!kernel_pci_alive(kernel))
			return kernel_lose(kernel);
		rc = kernel_pci_enable(kernel);
		if (rc)
			return rc == -ENODEV ? kernel_lose(kernel) : rc;
	}
	/* An interrupt just before the reset left the line masked, and nobody is left to serve it. */
	return kernel_irq_unmask(device);
}
