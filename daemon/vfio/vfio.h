/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam to the device: registers, one interrupt, DMA mappings, reset. One implementation per transport; none of them
 * knows a job, a session or what a register means.
 *
 * Calls are serialised by the caller: one thread at a time uses a vfio_device (the loop while the device is READY, the
 * worker while it switches or resets). Every call returns within the transport's deadline. After any call returned
 * -ENODEV the device is gone: each later call returns -ENODEV at once and touches nothing; only close is left.
 */
#ifndef NPUD_VFIO_VFIO_H
#define NPUD_VFIO_VFIO_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/util/types.h"

enum vfio_prot { VFIO_READ = 1, VFIO_WRITE = 2 };

struct vfio_device;

struct vfio_ops {
	const char *name;
	/* Aligned 32-bit access to MMIO region 0. A write may be posted; a read orders all earlier writes. */
	int (*reg_read)(struct vfio_device *device, uint32_t offset, uint32_t *value);
	int (*reg_write)(struct vfio_device *device, uint32_t offset, uint32_t value);
	/* Map [offset, offset + bytes) of memory file `fd` at `iova`. The fd stays the caller's. -EEXIST on overlap. */
	int (*map)(struct vfio_device *device, int fd, uint64_t offset, iova_t iova, uint64_t bytes, unsigned prot);
	/* Returns after the device can no longer reach the range. */
	int (*unmap)(struct vfio_device *device, iova_t iova, uint64_t bytes);
	/* After the device's own status is clean. */
	int (*irq_unmask)(struct vfio_device *device);
	/* Reset by the transport (function-level); mappings survive. -ENOTSUP where there is none. */
	int (*reset)(struct vfio_device *device);
	void (*close)(struct vfio_device *device);
};

struct vfio_device {
	const struct vfio_ops *ops;
	int irq_fd; /* eventfd, non-blocking, readable on interrupt */
	int life_fd; /* polled for hang-up: readable or closed when the device side went away; -1 if there is none */
	uint64_t mmio_bytes;
	uint64_t page_bytes; /* granularity of map */
	uint32_t max_mappings;
	uint32_t mappings; /* live */
};

struct vfio_user_options {
	uint64_t deadline_ns; /* per message; 0 = 1 s */
	uint64_t connect_ns; /* 0 = deadline */
};

/*
 * Connect to a vfio-user server, negotiate, check class and region 0, arm the interrupt (MSI-X, then MSI, then INTx).
 * On failure `why` (at least 256 bytes) says what, where, and what to do.
 */
int vfio_user_open(const char *path, const struct vfio_user_options *options, struct vfio_device **out, char *why,
		   size_t why_bytes);

static inline void vfio_close(struct vfio_device *device)
{
	if (device)
		device->ops->close(device);
}

#endif
