/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the device reaches: mapping, unmapping and switching page tables, on the worker. A device with one table reaches
 * whatever is mapped; one with several reaches what the table of the session maps that it is attached to.
 */
#include <errno.h>

#include "daemon/core/device.h"

int device_map_one(struct device *device, struct mapping *mapping)
{
	struct vfio_device *vfio = device->vfio;
	struct address_space *space = mapping->space;
	int error = 0;

	if (device->tables && !space->io)
		error = vfio->ops->space_new(vfio, &space->io);
	if (error == 0)
		error = vfio->ops->map(vfio, space->io, mapping->fd, mapping->offset, mapping->iova, mapping->bytes,
				       mapping->prot);
	if (error == 0)
		mapping->live = true;
	return error;
}

int device_unmap_one(struct device *device, struct mapping *mapping)
{
	struct vfio_device *vfio = device->vfio;
	int error = vfio->ops->unmap(vfio, mapping->space->io, mapping->iova, mapping->bytes);

	if (error == 0)
		mapping->live = false;
	return error;
}

int device_attach(struct device *device, const struct address_space *space)
{
	struct vfio_device *vfio = device->vfio;

	return device->tables ? vfio->ops->attach(vfio, space ? space->io : NULL) : 0;
}

int device_unmap_all(struct device_work *work)
{
	int result = 0;

	list_each (node, next, &work->unmap) {
		int error = device_unmap_one(work->device, list_entry(node, struct mapping, link));
		if (error < 0) {
			result = device_fail_at(work, "unmap", error);
			continue;
		}
		list_remove(node);
		work->unmapped_count++;
	}
	return result;
}

/* A mapping that cannot be made is its owner's failure, not the device's. */
int device_map_all(struct device_work *work)
{
	list_each (node, next, &work->map) {
		struct mapping *mapping = list_entry(node, struct mapping, link);
		list_remove(node);
		int error = work->failed ? -ECANCELED : device_map_one(work->device, mapping);
		if (error == -ENODEV)
			return device_fail_at(work, "map", error);
		if (error < 0) {
			if (!work->failed) {
				work->failed = mapping;
				work->failed_error = error;
			}
			continue;
		}
		list_append(&work->mapped, node);
		work->mapped_count++;
	}
	return 0;
}

/* The table of a session that ended or moves away; nothing of it is in any list. It stays if that fails. */
void device_free_space(struct device *device, struct address_space *space)
{
	if (!space->io)
		return;
	/* With the transport went its tables. */
	if (!device->vfio || device->vfio->ops->space_free(device->vfio, space->io) == 0)
		space->io = NULL;
}
