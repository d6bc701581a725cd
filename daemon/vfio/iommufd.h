/* SPDX-License-Identifier: Apache-2.0 */
/* Insides of the iommufd back end, shared by its files: iommufd_open.c, iommu_iommufd.c (address spaces and maps). */
#ifndef NPUD_VFIO_IOMMUFD_H
#define NPUD_VFIO_IOMMUFD_H

#include "daemon/vfio/kernel.h"

int iommufd_open(struct vfio_kernel *kernel, struct kernel_why *why);

/* An address space and its page table; nothing on failure. */
int iommufd_space_fill(struct vfio_kernel *kernel, struct vfio_space *space);
int iommufd_attach(struct vfio_device *device, struct vfio_space *space);

#endif
