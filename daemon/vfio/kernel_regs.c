/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Register access: mapped memory where the kernel allows it, else pread and pwrite. Any access that fails means that
 * the device is gone, and is the last one.
 */
#include <errno.h>

#include "daemon/vfio/kernel.h"
#include "daemon/vfio/mmio.h"

static int access_check(struct vfio_kernel *kernel, uint32_t offset)
{
	if (kernel_gone(kernel))
		return -ENODEV;
	return offset % 4 || (uint64_t)offset + 4 > kernel->base.mmio_bytes ? -EINVAL : 0;
}

static int read_word(struct vfio_kernel *kernel, uint32_t offset, uint32_t *value)
{
	off_t at = (off_t)(kernel->registers_offset + offset);

	if (kernel->registers)
		return mmio_read(kernel->registers + offset / 4, value);
	return kernel_calls->pread(kernel->device, value, sizeof(*value), at) == sizeof(*value) ? 0 : -ENODEV;
}

static int write_word(struct vfio_kernel *kernel, uint32_t offset, uint32_t value)
{
	off_t at = (off_t)(kernel->registers_offset + offset);

	if (kernel->registers)
		return mmio_write(kernel->registers + offset / 4, value);
	return kernel_calls->pwrite(kernel->device, &value, sizeof(value), at) == sizeof(value) ? 0 : -ENODEV;
}

int kernel_reg_read(struct vfio_device *device, uint32_t offset, uint32_t *value)
{
	struct vfio_kernel *kernel = vfio_kernel(device);
	uint32_t found = 0;
	int rc = access_check(kernel, offset);

	if (rc)
		return rc;
	if (read_word(kernel, offset, &found))
		return kernel_lose(kernel);
	/*
	 * A PCI device that is gone reads as all ones, and so may a register. Its vendor id cannot. Platform buses have
	 * no such second opinion: who knows the register decides.
	 */
	if (found == UINT32_MAX && kernel->id.pci && !kernel_pci_alive(kernel))
		return kernel_lose(kernel);
	*value = found;
	return 0;
}

int kernel_reg_write(struct vfio_device *device, uint32_t offset, uint32_t value)
{
	struct vfio_kernel *kernel = vfio_kernel(device);
	int rc = access_check(kernel, offset);

	if (rc)
		return rc;
	return write_word(kernel, offset, value) ? kernel_lose(kernel) : 0;
}
