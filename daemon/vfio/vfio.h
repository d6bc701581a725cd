/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam to the device: registers, one interrupt, I/O address spaces, reset. One implementation per transport; none
 * of them knows a job, a session or what a register means.
 *
 * Calls are serialised by the caller: one thread at a time uses a vfio_device (the loop while the device is READY, the
 * worker while it switches or resets). One exception: map, unmap and space_free of a space that is not attached touch
 * no register, so the worker may make them beside the loop. Every call returns within the transport's deadline, or the
 * kernel's. After any call returned -ENODEV the device is gone: each later call returns -ENODEV at once and touches
 * nothing; only close is left. What was mapped may stay reachable until then: close before memory is used for anything
 * else.
 */
#ifndef NPUD_VFIO_VFIO_H
#define NPUD_VFIO_VFIO_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/util/types.h"
#include "daemon/vfio/iova.h"

enum vfio_prot { VFIO_READ = 1, VFIO_WRITE = 2 };

/* What life() found: nothing, or the host wants the device back: finish, then close it soon. */
enum vfio_life { VFIO_LIFE_OK = 0, VFIO_LIFE_RELEASE = 1 };

struct vfio_device;
struct vfio_space; /* an I/O address space: one page table of the device, filled whether it is attached or not */

struct vfio_ops {
	const char *name; /* "vfio-user", "type1", "iommufd" */
	/* Aligned 32-bit access to MMIO region 0. A write may be posted; a read orders all earlier writes. */
	int (*reg_read)(struct vfio_device *device, uint32_t offset, uint32_t *value);
	int (*reg_write)(struct vfio_device *device, uint32_t offset, uint32_t value);
	/*
	 * Address spaces, where the transport can keep several; all three NULL where there is one table that has to be
	 * rewritten (vfio-user, type1). An open device is attached to none: it reaches nothing.
	 */
	int (*space_new)(struct vfio_device *device, struct vfio_space **out);
	/* What is mapped in it goes with it. -EBUSY while it is attached. */
	int (*space_free)(struct vfio_device *device, struct vfio_space *space);
	/* From here on the device reaches what `space` maps and nothing else; NULL: nothing. A failure changes nothing.
	 */
	int (*attach)(struct vfio_device *device, struct vfio_space *space);
	/*
	 * Map [offset, offset + bytes) of memory file `fd` at `iova`, in `space` (NULL where there is one table). The
	 * fd stays the caller's. All or nothing. -EEXIST on overlap; -ENOMEM: locked memory, see vfio_map_advice().
	 */
	int (*map)(struct vfio_device *device, struct vfio_space *space, int fd, uint64_t offset, iova_t iova,
		   uint64_t bytes, unsigned prot);
	/* Exactly what one call of map mapped. Returns after the device can no longer reach the range. */
	int (*unmap)(struct vfio_device *device, struct vfio_space *space, iova_t iova, uint64_t bytes);
	/* After the device's own status is clean. */
	int (*irq_unmask)(struct vfio_device *device);
	/* Reset by the transport (function-level); mappings survive. -ENOTSUP where there is none. */
	int (*reset)(struct vfio_device *device);
	/* Why life_fd is readable: enum vfio_life, or -ENODEV. Touches no register of a device that is in error. */
	int (*life)(struct vfio_device *device);
	void (*close)(struct vfio_device *device);
};

#define VFIO_MAX_RESERVED 32u

struct vfio_device {
	const struct vfio_ops *ops;
	int irq_fd; /* eventfd, non-blocking, readable on interrupt */
	int life_fd; /* readable when life() has to be asked; -1 if there is none */
	uint64_t mmio_bytes;
	uint64_t page_bytes; /* granularity of map */
	uint32_t max_mappings;
	uint32_t mappings; /* live, of all spaces */
	/* Bus addresses that can never be mapped: interrupt windows, what lies beyond the IOMMU's reach. Sorted. */
	struct iova_range reserved[VFIO_MAX_RESERVED];
	uint32_t reserved_count;
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

enum vfio_iommu { VFIO_IOMMU_AUTO = 0, VFIO_IOMMU_IOMMUFD, VFIO_IOMMU_TYPE1 };

struct vfio_kernel_options {
	enum vfio_iommu iommu; /* AUTO: iommufd where the kernel offers it for this device, else type1 */
	const char *sys; /* NULL = "/sys" */
	const char *dev; /* NULL = "/dev" */
};

/*
 * Open a device that is bound to vfio-pci ("0000:01:00.0") or vfio-platform ("10000000.npu"), check region 0, arm the
 * interrupt (PCI: MSI-X, then MSI, then INTx). `why` (at least 512 bytes): on failure what, where, which errno, what to
 * do, for every candidate that was tried; on success the candidates that were refused, or "". -EBUSY: another process
 * has the device.
 */
int vfio_kernel_open(const char *address, const struct vfio_kernel_options *options, struct vfio_device **out,
		     char *why, size_t why_bytes);

/*
 * What an operator can do about map() or attach() failing with `error`; "" if there is nothing to say. Locked memory:
 * "needs N, has M, set LimitMEMLOCK=".
 */
void vfio_map_advice(const struct vfio_device *device, int error, uint64_t bytes, char *text, size_t text_bytes);

static inline void vfio_close(struct vfio_device *device)
{
	if (device)
		device->ops->close(device);
}

#endif
