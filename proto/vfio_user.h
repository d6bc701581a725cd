/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vfio-user wire protocol (document 0.9.2): the part that a PCI device server and its client need.
 * Everything is in host byte order. Owns layouts and numbers only; no behaviour.
 */
#ifndef NPUD_PROTO_VFIO_USER_H
#define NPUD_PROTO_VFIO_USER_H

#include <stddef.h>
#include <stdint.h>

enum vfu_command {
	VFU_VERSION = 1,
	VFU_DMA_MAP = 2,
	VFU_DMA_UNMAP = 3,
	VFU_DEVICE_GET_INFO = 4,
	VFU_DEVICE_GET_REGION_INFO = 5,
	VFU_DEVICE_GET_REGION_IO_FDS = 6,
	VFU_DEVICE_GET_IRQ_INFO = 7,
	VFU_DEVICE_SET_IRQS = 8,
	VFU_REGION_READ = 9,
	VFU_REGION_WRITE = 10,
	VFU_DMA_READ = 11,
	VFU_DMA_WRITE = 12,
	VFU_DEVICE_RESET = 13,
	VFU_REGION_WRITE_MULTI = 15,
	VFU_DEVICE_FEATURE = 16,
};

#define VFU_FLAG_TYPE_MASK 0x0fu
#define VFU_FLAG_COMMAND 0x00u
#define VFU_FLAG_REPLY 0x01u
#define VFU_FLAG_NO_REPLY 0x10u
#define VFU_FLAG_ERROR 0x20u

struct vfu_header {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* whole message, header included */
	uint32_t flags;
	uint32_t error; /* positive errno in an error reply */
};

struct vfu_version {
	uint16_t major;
	uint16_t minor;
	char json[]; /* NUL-terminated capabilities object */
};

#define VFU_DMA_FLAG_READ 0x1u /* the device may read */
#define VFU_DMA_FLAG_WRITE 0x2u
#define VFU_UNMAP_FLAG_ALL 0x2u

struct vfu_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset; /* in the file that came with the message */
	uint64_t address;
	uint64_t size;
};

struct vfu_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t address;
	uint64_t size;
};

#define VFU_DEVICE_FLAG_RESET 0x1u
#define VFU_DEVICE_FLAG_PCI 0x2u

struct vfu_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};

#define VFU_REGION_FLAG_READ 0x1u
#define VFU_REGION_FLAG_WRITE 0x2u
#define VFU_REGION_FLAG_MMAP 0x4u
#define VFU_REGION_FLAG_CAPS 0x8u

enum vfu_region_index {
	VFU_REGION_BAR0 = 0,
	VFU_REGION_BAR4 = 4,
	VFU_REGION_ROM = 6,
	VFU_REGION_CONFIG = 7,
	VFU_REGION_VGA = 8,
	VFU_REGION_COUNT = 9,
};

struct vfu_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset;
};

struct vfu_region_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	uint8_t data[];
};

enum vfu_irq_index {
	VFU_IRQ_INTX = 0,
	VFU_IRQ_MSI = 1,
	VFU_IRQ_MSIX = 2,
	VFU_IRQ_ERR = 3,
	VFU_IRQ_REQ = 4,
	VFU_IRQ_COUNT = 5,
};

#define VFU_IRQ_INFO_EVENTFD 0x1u
#define VFU_IRQ_INFO_MASKABLE 0x2u
#define VFU_IRQ_INFO_AUTOMASKED 0x4u
#define VFU_IRQ_INFO_NORESIZE 0x8u

struct vfu_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

#define VFU_IRQ_SET_DATA_NONE 0x01u
#define VFU_IRQ_SET_DATA_BOOL 0x02u
#define VFU_IRQ_SET_DATA_EVENTFD 0x04u
#define VFU_IRQ_SET_ACTION_MASK 0x08u
#define VFU_IRQ_SET_ACTION_UNMASK 0x10u
#define VFU_IRQ_SET_ACTION_TRIGGER 0x20u

struct vfu_irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
	uint8_t data[];
};

struct vfu_dma_access {
	uint64_t address;
	uint64_t count;
	uint8_t data[];
};

struct vfu_feature {
	uint32_t argsz;
	uint32_t flags;
	uint8_t data[];
};

/* Defaults that hold when a VERSION message leaves the member out. */
#define VFU_DEFAULT_MAX_MSG_FDS 1u
#define VFU_DEFAULT_MAX_DATA_XFER 1048576u
#define VFU_DEFAULT_MAX_DMA_MAPS 65535u
#define VFU_MAX_MSG_FDS 16

_Static_assert(sizeof(struct vfu_header) == 16, "vfio-user header");
_Static_assert(offsetof(struct vfu_header, size) == 4, "vfio-user header size");
_Static_assert(offsetof(struct vfu_version, json) == 4, "vfio-user version");
_Static_assert(sizeof(struct vfu_dma_map) == 32, "vfio-user DMA_MAP");
_Static_assert(offsetof(struct vfu_dma_map, address) == 16, "vfio-user DMA_MAP address");
_Static_assert(sizeof(struct vfu_dma_unmap) == 24, "vfio-user DMA_UNMAP");
_Static_assert(sizeof(struct vfu_device_info) == 16, "vfio-user GET_INFO");
_Static_assert(sizeof(struct vfu_region_info) == 32, "vfio-user GET_REGION_INFO");
_Static_assert(offsetof(struct vfu_region_info, offset) == 24, "vfio-user region offset");
_Static_assert(offsetof(struct vfu_region_access, data) == 16, "vfio-user region access");
_Static_assert(sizeof(struct vfu_irq_info) == 16, "vfio-user GET_IRQ_INFO");
_Static_assert(offsetof(struct vfu_irq_set, data) == 20, "vfio-user SET_IRQS");
_Static_assert(offsetof(struct vfu_dma_access, data) == 16, "vfio-user DMA access");
_Static_assert(offsetof(struct vfu_feature, data) == 8, "vfio-user DEVICE_FEATURE");

#endif
