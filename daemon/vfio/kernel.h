/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Insides of the kernel transport, shared by its files: kernel_find.c (sysfs), kernel_region.c (information, BAR),
 * kernel_regs.c (register access), kernel_pci.c (configuration space), kernel_irq.c, kernel_life.c, kernel_reset.c,
 * kernel_map.c (memory), kernel_open.c (the ops tables, choice of the IOMMU interface). iommu.h is the seam below.
 */
#ifndef NPUD_VFIO_KERNEL_H
#define NPUD_VFIO_KERNEL_H

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/vfio/iommu.h"
#include "daemon/vfio/kernel_calls.h"
#include "daemon/vfio/uapi.h"
#include "daemon/vfio/vfio.h"

/* The reasons of all candidates, one after the other. */
struct kernel_why {
	char *text;
	size_t bytes;
};

/* Append and return `error`. why_call() adds what errno says: ": No such file or directory (ENOENT)". */
int why_add(struct kernel_why *why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
int why_call(struct kernel_why *why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What sysfs says about a device. */
struct kernel_identity {
	char address[64];
	char directory[320];
	const char *dev; /* "/dev" */
	bool pci;
	uint32_t group;
};

struct vfio_kernel {
	struct vfio_device base;
	const struct iommu_ops *iommu;
	struct kernel_identity id;
	atomic_bool gone; /* the worker maps beside the loop */
	bool has_reset;
	bool automasked; /* level interrupt: unmask after use */
	bool released; /* the host asked for the device */
	int device;
	int container; /* type1 */
	int group; /* type1 */
	int iommufd;
	uint32_t device_id; /* iommufd's name of the device */
	bool map_file; /* the kernel maps memory files without a process address */
	uint32_t regions;
	uint32_t irqs;
	uint32_t irq_index;
	uint64_t registers_offset; /* of region 0 in `device` */
	uint64_t config_offset;
	volatile uint32_t *registers; /* NULL: pread and pwrite */
	int error_fd;
	int request_fd;
	uint32_t entries; /* live, as the kernel counts: pieces, not maps */
	struct vfio_space root; /* type1: the one table; iommufd: the empty one */
	struct vfio_space *_Atomic attached;
	pthread_mutex_t spaces_lock;
	struct list spaces;
};

static inline struct vfio_kernel *vfio_kernel(struct vfio_device *device)
{
	return (struct vfio_kernel *)device;
}

static inline bool kernel_gone(struct vfio_kernel *kernel)
{
	return atomic_load_explicit(&kernel->gone, memory_order_relaxed);
}

/* From here on nothing is touched. Returns -ENODEV. */
static inline int kernel_lose(struct vfio_kernel *kernel)
{
	atomic_store_explicit(&kernel->gone, true, memory_order_relaxed);
	return -ENODEV;
}

/* A system call of the device: -ENODEV from the kernel is for ever. */
static inline int kernel_device_ioctl(struct vfio_kernel *kernel, unsigned long request, void *argument)
{
	int rc = kernel_ioctl(kernel->device, request, argument);

	return rc == -ENODEV ? kernel_lose(kernel) : rc;
}

/* kernel_find.c: -ENOENT no such device, -ENOTSUP wrong driver or no isolation */
int kernel_find(const char *address, const struct vfio_kernel_options *options, struct kernel_identity *out,
		struct kernel_why *why);
/* The node of the character device below `dev`/vfio/devices, or a negative errno. */
int kernel_find_cdev(const struct kernel_identity *id, char *name, size_t bytes);
/* Names of the group's devices that are bound to host drivers: "0000:00:1f.0 (e1000e)"; "" if none is. */
void kernel_find_foreign(const struct kernel_identity *id, char *names, size_t bytes);

/* kernel_region.c */
int kernel_regions_open(struct vfio_kernel *kernel, struct kernel_why *why);
void kernel_regions_close(struct vfio_kernel *kernel);

/* kernel_regs.c */
int kernel_reg_read(struct vfio_device *device, uint32_t offset, uint32_t *value);
int kernel_reg_write(struct vfio_device *device, uint32_t offset, uint32_t value);

/* kernel_pci.c */
bool kernel_pci_alive(const struct vfio_kernel *kernel);
/* Memory decoding and bus mastering of a device that is alive. -EIO if it does not take them. */
int kernel_pci_enable(const struct vfio_kernel *kernel);

/* kernel_irq.c: `fd` -1 unbinds; 0, or a negative errno (-ENOSPC: too few vectors) */
int kernel_irq_bind(struct vfio_kernel *kernel, uint32_t index, int fd);
/* 1 and *info, or 0 if the index cannot signal an eventfd. */
int kernel_irq_usable(struct vfio_kernel *kernel, uint32_t index, struct vfio_irq_info *info);
int kernel_irq_arm(struct vfio_kernel *kernel, struct kernel_why *why);
int kernel_irq_unmask(struct vfio_device *device);

/* kernel_life.c */
int kernel_life_open(struct vfio_kernel *kernel, struct kernel_why *why);
int kernel_life(struct vfio_device *device);

/* kernel_reset.c */
int kernel_reset(struct vfio_device *device);

/* kernel_map.c */
int kernel_map(struct vfio_device *device, struct vfio_space *space, int fd, uint64_t offset, iova_t iova,
	       uint64_t bytes, unsigned prot);
int kernel_unmap(struct vfio_device *device, struct vfio_space *space, iova_t iova, uint64_t bytes);
/* They went with their address space. */
void kernel_forget_maps(struct vfio_kernel *kernel, const struct map_table *maps);

/* kernel_open.c: last of the ops */
void kernel_close(struct vfio_device *device);

#endif
