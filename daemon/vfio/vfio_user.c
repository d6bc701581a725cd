/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vfio-user transport: the ops table that the device layer sees. A server that lies, stalls or dies costs at most
 * one deadline, after which every call returns -ENODEV.
 */
#include "daemon/vfio/vfu.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define DEFAULT_DEADLINE_NS 1000000000ull

static int reg_read(struct vfio_device *device, uint32_t offset, uint32_t *value)
{
	const struct vfu_region_access request = {.offset = offset, .region = VFU_REGION_BAR0, .count = 4};
	struct vfu_access reply;

	if (offset % 4 || (uint64_t)offset + 4 > device->mmio_bytes)
		return -EINVAL;
	int rc = vfu_call_simple((struct vfu *)device, VFU_REGION_READ, &request, sizeof(request), &reply,
				 offsetof(struct vfu_access, data) + 4);
	if (rc)
		return rc;
	if (reply.count != 4 || reply.offset != offset)
		return vfu_lose((struct vfu *)device);
	memcpy(value, reply.data, sizeof(*value));
	return 0;
}

static int reg_write(struct vfio_device *device, uint32_t offset, uint32_t value)
{
	const struct vfu_region_access request = {.offset = offset, .region = VFU_REGION_BAR0, .count = 4};

	if (offset % 4 || (uint64_t)offset + 4 > device->mmio_bytes)
		return -EINVAL;
	return vfu_post((struct vfu *)device, VFU_REGION_WRITE, &request, sizeof(request), &value, sizeof(value));
}

static int irq_unmask(struct vfio_device *device)
{
	struct vfu *vfu = (struct vfu *)device;
	const struct vfu_irq_set set = {.argsz = sizeof(set),
					.flags = VFU_IRQ_SET_DATA_NONE | VFU_IRQ_SET_ACTION_UNMASK,
					.index = VFU_IRQ_INTX,
					.count = 1};

	if (vfu->gone)
		return -ENODEV;
	/* MSI and MSI-X are edges: nothing masks them. */
	return vfu->intx ? vfu_post(vfu, VFU_DEVICE_SET_IRQS, &set, sizeof(set), NULL, 0) : 0;
}

static int reset(struct vfio_device *device)
{
	struct vfu *vfu = (struct vfu *)device;

	if (vfu->gone)
		return -ENODEV;
	return vfu->has_reset ? vfu_call_simple(vfu, VFU_DEVICE_RESET, NULL, 0, NULL, 0) : -ENOTSUP;
}

/* Readable only when the connection ended: see life_open(). */
static int life(struct vfio_device *device)
{
	struct vfu *vfu = (struct vfu *)device;
	struct pollfd ended = {.fd = device->life_fd, .events = POLLIN};

	if (vfu->gone)
		return -ENODEV;
	return poll(&ended, 1, 0) > 0 ? vfu_lose(vfu) : VFIO_LIFE_OK;
}

static void close_device(struct vfio_device *device)
{
	struct vfu *vfu = (struct vfu *)device;

	vfu_dma_free(vfu);
	vfu_stream_close(&vfu->main);
	vfu_stream_close(&vfu->twin);
	if (device->irq_fd >= 0)
		close(device->irq_fd);
	if (device->life_fd >= 0)
		close(device->life_fd);
	free(vfu);
}

static const struct vfio_ops vfio_user_ops = {
    .name = "vfio-user",
    .reg_read = reg_read,
    .reg_write = reg_write,
    .map = vfu_dma_map,
    .unmap = vfu_dma_unmap,
    .irq_unmask = irq_unmask,
    .reset = reset,
    .life = life,
    .close = close_device,
};

/* The socket itself is readable whenever the server asks for something; this one only when the connection ends. */
static int life_open(struct vfu *vfu, struct vfu_why why)
{
	struct epoll_event event = {.events = EPOLLRDHUP};

	vfu->base.life_fd = epoll_create1(EPOLL_CLOEXEC);
	if (vfu->base.life_fd < 0 || epoll_ctl(vfu->base.life_fd, EPOLL_CTL_ADD, vfu->main.fd, &event))
		return vfu_fail(why, -errno, "cannot watch the connection: %m");
	return 0;
}

static int open_connected(struct vfu *vfu, struct vfu_why why)
{
	uint32_t irq_indexes = 0;
	int rc = life_open(vfu, why);

	if (rc == 0)
		rc = vfu_handshake(vfu, why);
	if (rc == 0)
		rc = vfu_device_check(vfu, &irq_indexes, why);
	if (rc == 0)
		rc = vfu_irq_arm(vfu, irq_indexes, why);
	return rc;
}

int vfio_user_open(const char *path, const struct vfio_user_options *options, struct vfio_device **out, char *why,
		   size_t why_bytes)
{
	const struct vfu_why reason = {why, why_bytes};
	uint64_t deadline = options && options->deadline_ns ? options->deadline_ns : DEFAULT_DEADLINE_NS;
	struct vfu *vfu = calloc(1, sizeof(*vfu));

	if (!vfu)
		return vfu_fail(reason, -ENOMEM, "%s: out of memory", path);
	vfu->base = (struct vfio_device){.ops = &vfio_user_ops, .irq_fd = -1, .life_fd = -1};
	vfu->main.fd = -1;
	vfu->twin.fd = -1;
	vfu->deadline_ns = deadline;
	int rc =
	    vfu_connect(path, options && options->connect_ns ? options->connect_ns : deadline, &vfu->main.fd, reason);
	if (rc == 0)
		rc = open_connected(vfu, reason);
	if (rc) {
		close_device(&vfu->base);
		return rc;
	}
	*out = &vfu->base;
	return 0;
}
