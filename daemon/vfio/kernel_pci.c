/* SPDX-License-Identifier: Apache-2.0 */
/* The few words of PCI configuration space that VFIO leaves to us. */
#include <errno.h>

#include "daemon/vfio/kernel.h"

#define CONFIG_VENDOR 0x00u
#define CONFIG_COMMAND 0x04u
#define COMMAND_MEMORY_AND_MASTER 0x6u

static int config_read(const struct vfio_kernel *kernel, uint32_t at, uint16_t *value)
{
	ssize_t n = kernel_calls->pread(kernel->device, value, sizeof(*value), (off_t)(kernel->config_offset + at));

	if (n == sizeof(*value))
		return 0;
	return n < 0 ? -errno : -EIO;
}

static int config_write(const struct vfio_kernel *kernel, uint32_t at, uint16_t value)
{
	ssize_t n = kernel_calls->pwrite(kernel->device, &value, sizeof(value), (off_t)(kernel->config_offset + at));

	if (n == sizeof(value))
		return 0;
	return n < 0 ? -errno : -EIO;
}

bool kernel_pci_alive(const struct vfio_kernel *kernel)
{
	uint16_t vendor = UINT16_MAX;

	return config_read(kernel, CONFIG_VENDOR, &vendor) == 0 && vendor != UINT16_MAX;
}

/* VFIO opens a device with bus mastering off, and a reset switches it off again. */
int kernel_pci_enable(const struct vfio_kernel *kernel)
{
	uint16_t command = 0;
	int rc = config_read(kernel, CONFIG_COMMAND, &command);

	if (rc)
		return rc;
	if ((command & COMMAND_MEMORY_AND_MASTER) == COMMAND_MEMORY_AND_MASTER)
		return 0;
	rc = config_write(kernel, CONFIG_COMMAND, command | COMMAND_MEMORY_AND_MASTER);
	if (rc == 0)
		rc = config_read(kernel, CONFIG_COMMAND, &command);
	if (rc)
		return rc;
	return (command & COMMAND_MEMORY_AND_MASTER) == COMMAND_MEMORY_AND_MASTER ? 0 : -EIO;
}
