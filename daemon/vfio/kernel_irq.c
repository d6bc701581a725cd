/* SPDX-License-Identifier: Apache-2.0 */
/* Arming the device's one interrupt, on either bus. Knows nothing of what it means. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "daemon/vfio/kernel.h"

/* An irq_set with one descriptor behind it. */
struct irq_set_fd {
	struct {
		uint32_t argsz;
		uint32_t flags;
		uint32_t index;
		uint32_t start;
		uint32_t count;
	} set;
	int32_t fd;
};
_Static_assert(offsetof(struct irq_set_fd, fd) == offsetof(struct vfio_irq_set, data), "the descriptor is the data");

int kernel_irq_usable(struct vfio_kernel *kernel, uint32_t index, struct vfio_irq_info *info)
{
	*info = (struct vfio_irq_info){.argsz = sizeof(*info), .index = index};
	if (index >= kernel->irqs)
		return 0;
	if (kernel_device_ioctl(kernel, VFIO_DEVICE_GET_IRQ_INFO, info) < 0)
		return 0;
	return info->count > 0 && info->flags & VFIO_IRQ_INFO_EVENTFD;
}

int kernel_irq_bind(struct vfio_kernel *kernel, uint32_t index, int fd)
{
	struct irq_set_fd set = {{.argsz = sizeof(set),
				  .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				  .index = index,
				  .count = 1},
				 fd};
	int rc = kernel_device_ioctl(kernel, VFIO_DEVICE_SET_IRQS, &set);

	/* A positive result is the number of vectors that there are, none of them enabled. */
	return rc > 0 ? -ENOSPC : rc;
}

static int index_arm(struct vfio_kernel *kernel, uint32_t index)
{
	struct vfio_irq_info info;

	if (!kernel_irq_usable(kernel, index, &info))
		return kernel_gone(kernel) ? -ENODEV : -ENOENT;
	int rc = kernel_irq_bind(kernel, index, kernel->base.irq_fd);
	if (rc)
		return rc;
	kernel->irq_index = index;
	kernel->automasked = info.flags & VFIO_IRQ_INFO_AUTOMASKED;
	return 0;
}

static int pci_arm(struct vfio_kernel *kernel, struct kernel_why *why)
{
	static const uint32_t order[] = {VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_INTX_IRQ_INDEX};
	static const char *const names[] = {"MSI-X", "MSI", "INTx"};
	int refused[3];

	for (unsigned i = 0; i < 3; i++) {
		refused[i] = index_arm(kernel, order[i]);
		if (refused[i] == 0)
			return 0;
		if (refused[i] == -ENODEV)
			return why_call(why, -ENODEV, "arming the %s interrupt", names[i]);
	}
	why_add(why, 0, "no interrupt can be armed");
	for (unsigned i = 0; i < 3; i++)
		why_add(why, 0, "%s %s: %s", i ? "," : ":", names[i],
			refused[i] == -ENOENT ? "the device has none" : strerror(-refused[i]));
	return -ENOTSUP;
}

static int platform_arm(struct vfio_kernel *kernel, struct kernel_why *why)
{
	int rc = index_arm(kernel, 0);

	if (rc == -ENOENT)
		return why_add(why, -ENOTSUP, "the device has no interrupt that can signal an eventfd");
	return rc ? why_call(why, rc, "arming interrupt 0") : 0;
}

int kernel_irq_arm(struct vfio_kernel *kernel, struct kernel_why *why)
{
	kernel->base.irq_fd = kernel_calls->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (kernel->base.irq_fd < 0)
		return why_call(why, -errno, "no eventfd for the interrupt");
	return kernel->id.pci ? pci_arm(kernel, why) : platform_arm(kernel, why);
}

int kernel_irq_unmask(struct vfio_device *device)
{
	struct vfio_kernel *kernel = vfio_kernel(device);
	struct vfio_irq_set set = {.argsz = sizeof(set),
				   .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
				   .index = kernel->irq_index,
				   .count = 1};

	if (kernel_gone(kernel))
		return -ENODEV;
	/* MSI, MSI-X and edges on a platform: nothing masks them, and the kernel refuses to unmask. */
	if (!kernel->automasked)
		return 0;
	int rc = kernel_device_ioctl(kernel, VFIO_DEVICE_SET_IRQS, &set);
	return rc < 0 ? rc : 0;
}
