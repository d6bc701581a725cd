/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a device through group and container, and reads one register of it. Uses the build host's <linux/vfio.h>,
 * which has this interface since Linux 3.6 and 4.1.
 */
#include "tools/vfio_session.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proto/zhouyi_regs.h"
#include "tools/sysfs.h"

static int node_open(const struct host *host, const char *name, int *fd, struct reason *why)
{
	char path[SYSFS_PATH_BYTES];
	int error = sysfs_path(path, "%s/vfio/%s", host->dev, name);

	if (error)
		return reason_set(why, error, "%s: the path is too long", name);
	*fd = open(path, O_RDWR | O_CLOEXEC);
	return *fd >= 0 ? 0 : reason_set(why, -errno, "%s: %s", path, strerror(errno));
}

static int container_open(struct vfio_session *session, const struct host *host, struct reason *why)
{
	session->step = VFIO_STEP_CONTAINER;
	int error = node_open(host, "vfio", &session->container, why);
	if (error)
		return error;
	int version = ioctl(session->container, VFIO_GET_API_VERSION);
	if (version != VFIO_API_VERSION)
		return reason_set(why, version < 0 ? -errno : -ENOTSUP, "%s/vfio/vfio does not speak VFIO", host->dev);
	if (ioctl(session->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0)
		return reason_set(why, -ENOTSUP, "VFIO has no type1 IOMMU driver (modprobe vfio_iommu_type1)");
	return 0;
}

static int group_open(struct vfio_session *session, const struct host *host, int group, struct reason *why)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	char name[16];

	session->step = VFIO_STEP_GROUP;
	(void)snprintf(name, sizeof(name), "%d", group);
	int error = node_open(host, name, &session->group, why);
	if (error)
		return error;
	session->step = VFIO_STEP_VIABLE;
	if (ioctl(session->group, VFIO_GROUP_GET_STATUS, &status) < 0)
		return reason_set(why, -errno, "VFIO_GROUP_GET_STATUS: %s", strerror(errno));
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return reason_set(why, -EPERM, "the kernel calls IOMMU group %d not viable", group);
	return 0;
}

static int device_open(struct vfio_session *session, const char *device, struct reason *why)
{
	/* This is still a question of the group: EPERM means that a device of it is the kernel's. */
	if (ioctl(session->group, VFIO_GROUP_SET_CONTAINER, &session->container) < 0)
		return reason_set(why, -errno, "VFIO_GROUP_SET_CONTAINER: %s", strerror(errno));
	session->step = VFIO_STEP_IOMMU;
	if (ioctl(session->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
		return reason_set(why, -errno, "VFIO_SET_IOMMU: %s", strerror(errno));
	session->step = VFIO_STEP_DEVICE;
	session->device = ioctl(session->group, VFIO_GROUP_GET_DEVICE_FD, device);
	if (session->device < 0)
		return reason_set(why, -errno, "VFIO_GROUP_GET_DEVICE_FD: %s", strerror(errno));
	session->step = VFIO_STEP_OPEN;
	return 0;
}

int vfio_session_open(struct vfio_session *session, const struct host *host, int group, const char *device,
		      struct reason *why)
{
	*session = VFIO_SESSION_CLOSED;
	int error = container_open(session, host, why);
	if (!error)
		error = group_open(session, host, group, why);
	if (!error)
		error = device_open(session, device, why);
	if (error) {
		enum vfio_step step = session->step;

		vfio_session_close(session);
		session->step = step;
	}
	return error;
}

void vfio_session_close(struct vfio_session *session)
{
	/* The device pins its group, and the group its container. */
	if (session->device >= 0)
		close(session->device);
	if (session->group >= 0)
		close(session->group);
	if (session->container >= 0)
		close(session->container);
	*session = VFIO_SESSION_CLOSED;
}

static int region_find(const struct vfio_session *session, uint32_t index, struct vfio_region_info *out,
		       struct reason *why)
{
	*out = (struct vfio_region_info){.argsz = sizeof(*out), .index = index};
	if (ioctl(session->device, VFIO_DEVICE_GET_REGION_INFO, out) < 0)
		return reason_set(why, -errno, "VFIO_DEVICE_GET_REGION_INFO: %s", strerror(errno));
	return 0;
}

/* Memory decoding is off after a reset. Bus mastering stays off: nothing here wants DMA. */
static int decode_enable(const struct vfio_session *session, struct reason *why)
{
	struct vfio_region_info config;
	uint16_t command = 0;
	int error = region_find(session, VFIO_PCI_CONFIG_REGION_INDEX, &config, why);

	if (error)
		return error;
	off_t at = (off_t)config.offset + PCI_COMMAND;
	if (pread(session->device, &command, sizeof(command), at) != (ssize_t)sizeof(command))
		return reason_set(why, -EIO, "the PCI command register cannot be read");
	command = htole16((uint16_t)(le16toh(command) | PCI_COMMAND_MEMORY));
	if (pwrite(session->device, &command, sizeof(command), at) != (ssize_t)sizeof(command))
		return reason_set(why, -EIO, "the PCI command register cannot be written");
	return 0;
}

int vfio_session_revision(const struct vfio_session *session, enum host_bus bus, uint32_t *revision, struct reason *why)
{
	struct vfio_region_info region;
	uint32_t value = 0;
	int error = bus == HOST_PCI ? decode_enable(session, why) : 0;

	if (!error)
		error = region_find(session, 0, &region, why);
	if (error)
		return error;
	if (region.size < ZY_REVISION + sizeof(value))
		return reason_set(why, -ENOTSUP, "region 0 has %llu bytes: too small for any Zhouyi NPU",
				  (unsigned long long)region.size);
	ssize_t bytes = pread(session->device, &value, sizeof(value), (off_t)region.offset + ZY_REVISION);
	if (bytes != (ssize_t)sizeof(value))
		return reason_set(why, bytes < 0 ? -errno : -EIO, "the revision register cannot be read: %s",
				  strerror(bytes < 0 ? errno : EIO));
	*revision = le32toh(value);
	return 0;
}
