/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon uses of the kernel's VFIO and iommufd interfaces, declared here because the headers of a build host
 * may be older than the kernel that it builds for. Names are the kernel's; tests/vm/uapi_test.sh compares with real
 * headers. Never include <linux/vfio.h> or <linux/iommufd.h> beside it.
 */
#ifndef NPUD_VFIO_UAPI_H
#define NPUD_VFIO_UAPI_H

#include <stddef.h>
#include <stdint.h>

/* Command words carry neither size nor direction. */
#define VFIO_GET_API_VERSION 0x3b64u
#define VFIO_CHECK_EXTENSION 0x3b65u
#define VFIO_SET_IOMMU 0x3b66u
#define VFIO_GROUP_GET_STATUS 0x3b67u
#define VFIO_GROUP_SET_CONTAINER 0x3b68u
#define VFIO_GROUP_GET_DEVICE_FD 0x3b6au
#define VFIO_DEVICE_GET_INFO 0x3b6bu
#define VFIO_DEVICE_GET_REGION_INFO 0x3b6cu
#define VFIO_DEVICE_GET_IRQ_INFO 0x3b6du
#define VFIO_DEVICE_SET_IRQS 0x3b6eu
#define VFIO_DEVICE_RESET 0x3b6fu
#define VFIO_DEVICE_GET_PCI_HOT_RESET_INFO 0x3b70u /* on a device ... */
#define VFIO_IOMMU_GET_INFO 0x3b70u /* ... and on a container */
#define VFIO_DEVICE_PCI_HOT_RESET 0x3b71u
#define VFIO_IOMMU_MAP_DMA 0x3b71u
#define VFIO_IOMMU_UNMAP_DMA 0x3b72u
#define VFIO_DEVICE_BIND_IOMMUFD 0x3b76u
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT 0x3b77u
#define IOMMU_DESTROY 0x3b80u
#define IOMMU_IOAS_ALLOC 0x3b81u
#define IOMMU_IOAS_ALLOW_IOVAS 0x3b82u
#define IOMMU_IOAS_IOVA_RANGES 0x3b84u
#define IOMMU_IOAS_MAP 0x3b85u
#define IOMMU_IOAS_UNMAP 0x3b86u
#define IOMMU_HWPT_ALLOC 0x3b89u
#define IOMMU_IOAS_MAP_FILE 0x3b8fu

#define VFIO_API_VERSION 0
#define VFIO_TYPE1v2_IOMMU 3u

#define VFIO_GROUP_FLAGS_VIABLE 1u
#define VFIO_DEVICE_FLAGS_RESET 1u
#define VFIO_DEVICE_FLAGS_PCI 2u
#define VFIO_DEVICE_FLAGS_PLATFORM 4u
#define VFIO_REGION_INFO_FLAG_READ 1u
#define VFIO_REGION_INFO_FLAG_WRITE 2u
#define VFIO_REGION_INFO_FLAG_MMAP 4u
#define VFIO_REGION_INFO_FLAG_CAPS 8u
#define VFIO_REGION_INFO_CAP_SPARSE_MMAP 1u
#define VFIO_IRQ_INFO_EVENTFD 1u
#define VFIO_IRQ_INFO_AUTOMASKED 4u
#define VFIO_IRQ_SET_DATA_NONE 1u
#define VFIO_IRQ_SET_DATA_EVENTFD 4u
#define VFIO_IRQ_SET_ACTION_UNMASK 0x10u
#define VFIO_IRQ_SET_ACTION_TRIGGER 0x20u
#define VFIO_PCI_BAR0_REGION_INDEX 0u
#define VFIO_PCI_CONFIG_REGION_INDEX 7u
#define VFIO_PCI_INTX_IRQ_INDEX 0u
#define VFIO_PCI_MSI_IRQ_INDEX 1u
#define VFIO_PCI_MSIX_IRQ_INDEX 2u
#define VFIO_PCI_ERR_IRQ_INDEX 3u
#define VFIO_PCI_REQ_IRQ_INDEX 4u
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID 1u
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED 2u
#define VFIO_IOMMU_INFO_PGSIZES 1u
#define VFIO_IOMMU_INFO_CAPS 2u
#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE 1u
#define VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL 3u
#define VFIO_DMA_MAP_FLAG_READ 1u
#define VFIO_DMA_MAP_FLAG_WRITE 2u
#define IOMMU_IOAS_MAP_FIXED_IOVA 1u
#define IOMMU_IOAS_MAP_WRITEABLE 2u
#define IOMMU_IOAS_MAP_READABLE 4u

/* ------------------------------------------------------------------ VFIO */

struct vfio_info_cap_header {
	uint16_t id;
	uint16_t version;
	uint32_t next; /* offset from the start of the info, 0 = last */
};

struct vfio_group_status {
	uint32_t argsz;
	uint32_t flags;
};

struct vfio_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
	uint32_t cap_offset;
	uint32_t pad;
};

struct vfio_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset;
};

struct vfio_region_sparse_mmap_area {
	uint64_t offset;
	uint64_t size;
};

struct vfio_region_info_cap_sparse_mmap {
	struct vfio_info_cap_header header;
	uint32_t nr_areas;
	uint32_t reserved;
	struct vfio_region_sparse_mmap_area areas[];
};

struct vfio_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

struct vfio_irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
	uint8_t data[];
};

struct vfio_pci_dependent_device {
	uint32_t group_id; /* with FLAG_DEV_ID: an iommufd device id */
	uint16_t segment;
	uint8_t bus;
	uint8_t devfn;
};

struct vfio_pci_hot_reset_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t count;
	struct vfio_pci_dependent_device devices[];
};

struct vfio_pci_hot_reset {
	uint32_t argsz;
	uint32_t flags;
	uint32_t count;
	int32_t group_fds[];
};

struct vfio_iommu_type1_info {
	uint32_t argsz;
	uint32_t flags;
	uint64_t iova_pgsizes;
	uint32_t cap_offset;
	uint32_t pad;
};

struct vfio_iova_range {
	uint64_t start;
	uint64_t end; /* inclusive */
};

struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	uint32_t nr_iovas;
	uint32_t reserved;
	struct vfio_iova_range iova_ranges[];
};

struct vfio_iommu_type1_info_dma_avail {
	struct vfio_info_cap_header header;
	uint32_t avail;
};

struct vfio_iommu_type1_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t vaddr;
	uint64_t iova;
	uint64_t size;
};

struct vfio_iommu_type1_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t iova;
	uint64_t size;
	uint8_t data[];
};

/* Kernels before 6.17 know the first 16 bytes, so argsz is 16: no token is ever used. */
struct vfio_device_bind_iommufd {
	uint32_t argsz;
	uint32_t flags;
	int32_t iommufd;
	uint32_t out_devid;
	uint64_t token_uuid_ptr;
};
#define UAPI_BIND_ARGSZ 16u

/* Kernels before 6.15 know the first 12 bytes, so argsz is 12: no PASID is ever used. */
struct vfio_device_attach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pt_id;
	uint32_t pasid;
};
#define UAPI_ATTACH_ARGSZ 12u

/* ------------------------------------------------------------------ iommufd */

struct iommu_destroy {
	uint32_t size;
	uint32_t id;
};

struct iommu_ioas_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_ioas_id;
};

struct iommu_iova_range {
	uint64_t start;
	uint64_t last; /* inclusive */
};

struct iommu_ioas_iova_ranges {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t reserved;
	uint64_t allowed_iovas;
	uint64_t out_iova_alignment;
};

struct iommu_ioas_allow_iovas {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t reserved;
	uint64_t allowed_iovas;
};

struct iommu_ioas_map {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t reserved;
	uint64_t user_va;
	uint64_t length;
	uint64_t iova;
};

struct iommu_ioas_map_file {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	int32_t fd;
	uint64_t start;
	uint64_t length;
	uint64_t iova;
};

struct iommu_ioas_unmap {
	uint32_t size;
	uint32_t ioas_id;
	uint64_t iova;
	uint64_t length;
};

struct iommu_hwpt_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pt_id;
	uint32_t out_hwpt_id;
	uint32_t reserved;
	uint32_t data_type;
	uint32_t data_len;
	uint64_t data_uptr;
	uint32_t fault_id;
	uint32_t reserved2;
};

/* ------------------------------------------------------------------ the kernel's layout, by hand */

#define UAPI_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
#define UAPI_AT(type, member, at) _Static_assert(offsetof(struct type, member) == (at), #type "." #member)

UAPI_SIZE(vfio_info_cap_header, 8);
UAPI_AT(vfio_info_cap_header, next, 4);
UAPI_SIZE(vfio_group_status, 8);
UAPI_SIZE(vfio_device_info, 24);
UAPI_AT(vfio_device_info, num_irqs, 12);
UAPI_AT(vfio_device_info, cap_offset, 16);
UAPI_SIZE(vfio_region_info, 32);
UAPI_AT(vfio_region_info, cap_offset, 12);
UAPI_AT(vfio_region_info, size, 16);
UAPI_AT(vfio_region_info, offset, 24);
UAPI_SIZE(vfio_region_sparse_mmap_area, 16);
UAPI_SIZE(vfio_region_info_cap_sparse_mmap, 16);
UAPI_AT(vfio_region_info_cap_sparse_mmap, nr_areas, 8);
UAPI_SIZE(vfio_irq_info, 16);
UAPI_AT(vfio_irq_info, count, 12);
UAPI_SIZE(vfio_irq_set, 20);
UAPI_AT(vfio_irq_set, count, 16);
UAPI_AT(vfio_irq_set, data, 20);
UAPI_SIZE(vfio_pci_dependent_device, 8);
UAPI_AT(vfio_pci_dependent_device, devfn, 7);
UAPI_SIZE(vfio_pci_hot_reset_info, 12);
UAPI_AT(vfio_pci_hot_reset_info, devices, 12);
UAPI_SIZE(vfio_pci_hot_reset, 12);
UAPI_AT(vfio_pci_hot_reset, group_fds, 12);
UAPI_SIZE(vfio_iommu_type1_info, 24);
UAPI_AT(vfio_iommu_type1_info, iova_pgsizes, 8);
UAPI_AT(vfio_iommu_type1_info, cap_offset, 16);
UAPI_SIZE(vfio_iova_range, 16);
UAPI_SIZE(vfio_iommu_type1_info_cap_iova_range, 16);
UAPI_AT(vfio_iommu_type1_info_cap_iova_range, nr_iovas, 8);
UAPI_SIZE(vfio_iommu_type1_info_dma_avail, 12);
UAPI_AT(vfio_iommu_type1_info_dma_avail, avail, 8);
UAPI_SIZE(vfio_iommu_type1_dma_map, 32);
UAPI_AT(vfio_iommu_type1_dma_map, vaddr, 8);
UAPI_AT(vfio_iommu_type1_dma_map, size, 24);
UAPI_SIZE(vfio_iommu_type1_dma_unmap, 24);
UAPI_AT(vfio_iommu_type1_dma_unmap, size, 16);
UAPI_SIZE(vfio_device_bind_iommufd, 24);
UAPI_AT(vfio_device_bind_iommufd, out_devid, 12);
UAPI_AT(vfio_device_bind_iommufd, token_uuid_ptr, UAPI_BIND_ARGSZ);
UAPI_SIZE(vfio_device_attach_iommufd_pt, 16);
UAPI_AT(vfio_device_attach_iommufd_pt, pt_id, 8);
UAPI_AT(vfio_device_attach_iommufd_pt, pasid, UAPI_ATTACH_ARGSZ);
UAPI_SIZE(iommu_destroy, 8);
UAPI_SIZE(iommu_ioas_alloc, 12);
UAPI_AT(iommu_ioas_alloc, out_ioas_id, 8);
UAPI_SIZE(iommu_iova_range, 16);
UAPI_SIZE(iommu_ioas_iova_ranges, 32);
UAPI_AT(iommu_ioas_iova_ranges, allowed_iovas, 16);
UAPI_AT(iommu_ioas_iova_ranges, out_iova_alignment, 24);
UAPI_SIZE(iommu_ioas_allow_iovas, 24);
UAPI_SIZE(iommu_ioas_map, 40);
UAPI_AT(iommu_ioas_map, user_va, 16);
UAPI_AT(iommu_ioas_map, iova, 32);
UAPI_SIZE(iommu_ioas_map_file, 40);
UAPI_AT(iommu_ioas_map_file, fd, 12);
UAPI_AT(iommu_ioas_map_file, start, 16);
UAPI_SIZE(iommu_ioas_unmap, 24);
UAPI_AT(iommu_ioas_unmap, length, 16);
UAPI_SIZE(iommu_hwpt_alloc, 48);
UAPI_AT(iommu_hwpt_alloc, out_hwpt_id, 16);
UAPI_AT(iommu_hwpt_alloc, data_uptr, 32);
UAPI_AT(iommu_hwpt_alloc, fault_id, 40);

#endif
