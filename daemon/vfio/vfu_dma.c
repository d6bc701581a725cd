/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's map table: what the server may reach, and the server's message DMA into it. It goes through the files
 * (pread, pwrite), never through mapped memory, so a file that shrinks costs an error reply and not a signal.
 */
#include "daemon/vfio/vfu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One descriptor per file and access mode, however many mappings name it. */
struct vfu_file {
	struct vfu_file *next;
	dev_t device;
	ino_t inode;
	int mode; /* O_ACCMODE */
	int fd;
	size_t references;
};

static struct vfu_file *file_find(struct vfu *vfu, const struct stat *st, int mode)
{
	for (struct vfu_file *file = vfu->files; file; file = file->next)
		if (file->device == st->st_dev && file->inode == st->st_ino && file->mode == mode)
			return file;
	return NULL;
}

/* A reference to the file behind `fd`, which stays the caller's. */
static int file_get(struct vfu *vfu, int fd, uint64_t end, struct vfu_file **out)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st))
		return -errno;
	if (st.st_size < 0 || (uint64_t)st.st_size < end)
		return -EINVAL;
	struct vfu_file *file = file_find(vfu, &st, flags & O_ACCMODE);
	if (!file) {
		file = malloc(sizeof(*file));
		if (!file)
			return -ENOMEM;
		*file = (struct vfu_file){.next = vfu->files,
					  .device = st.st_dev,
					  .inode = st.st_ino,
					  .mode = flags & O_ACCMODE,
					  .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)};
		if (file->fd < 0) {
			int error = -errno;

			free(file);
			return error;
		}
		vfu->files = file;
	}
	file->references++;
	*out = file;
	return 0;
}

static void file_put(struct vfu *vfu, struct vfu_file *file)
{
	struct vfu_file **link = &vfu->files;

	if (--file->references > 0)
		return;
	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
	close(file->fd);
	free(file);
}

/* Index of the first map that ends after `address`. */
static size_t map_after(const struct vfu *vfu, uint64_t address)
{
	size_t low = 0, high = vfu->base.mappings;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct vfu_map *map = &vfu->maps[middle];

		if (map->iova + (map->bytes - 1) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int map_reserve(struct vfu *vfu)
{
	if (vfu->base.mappings < vfu->map_capacity)
		return 0;
	size_t capacity = vfu->map_capacity ? 2 * vfu->map_capacity : 64;
	struct vfu_map *grown = reallocarray(vfu->maps, capacity, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	vfu->maps = grown;
	vfu->map_capacity = capacity;
	return 0;
}

static int send_map(struct vfu *vfu, int fd, const struct vfu_map *map)
{
	struct vfu_dma_map payload = {.argsz = sizeof(payload),
				      .flags = map->prot,
				      .offset = map->offset,
				      .address = map->iova,
				      .size = map->bytes};
	struct vfu_call call = {
	    .command = VFU_DMA_MAP, .payload = &payload, .payload_bytes = sizeof(payload), .fd = fd};
	int rc = vfu_call(vfu, &call);

	if (rc == 0)
		vfu_close_fds(call.reply_fds, call.reply_fd_count);
	return rc;
}

int vfu_dma_map(struct vfio_device *device, struct vfio_space *space, int fd, uint64_t offset, iova_t iova,
		uint64_t bytes, unsigned prot)
{
	struct vfu *vfu = (struct vfu *)device;
	struct vfu_map map = {.iova = iova.v, .bytes = bytes, .offset = offset, .prot = prot};
	uint64_t last, end;

	(void)space;
	if (vfu->gone)
		return -ENODEV;
	if (bytes == 0 || (bytes | offset | iova.v) % device->page_bytes || prot == 0 ||
	    prot & ~(unsigned)(VFIO_READ | VFIO_WRITE) || __builtin_add_overflow(iova.v, bytes - 1, &last) ||
	    __builtin_add_overflow(offset, bytes, &end))
		return -EINVAL;
	size_t index = map_after(vfu, iova.v);
	if (index < device->mappings && vfu->maps[index].iova <= last)
		return -EEXIST;
	if (device->mappings >= device->max_mappings)
		return -ENOSPC;
	int rc = map_reserve(vfu);
	if (rc == 0)
		rc = file_get(vfu, fd, end, &map.file);
	if (rc)
		return rc;
	rc = send_map(vfu, fd, &map);
	if (rc) {
		file_put(vfu, map.file);
		return rc;
	}
	memmove(&vfu->maps[index + 1], &vfu->maps[index], (device->mappings - index) * sizeof(map));
	vfu->maps[index] = map;
	device->mappings++;
	return 0;
}

static void map_remove(struct vfu *vfu, size_t index)
{
	file_put(vfu, vfu->maps[index].file);
	vfu->base.mappings--;
	memmove(&vfu->maps[index], &vfu->maps[index + 1], (vfu->base.mappings - index) * sizeof(*vfu->maps));
}

int vfu_dma_unmap(struct vfio_device *device, struct vfio_space *space, iova_t iova, uint64_t bytes)
{
	struct vfu *vfu = (struct vfu *)device;
	struct vfu_dma_unmap payload = {.argsz = sizeof(payload), .address = iova.v, .size = bytes}, echo;
	size_t index = map_after(vfu, iova.v);

	(void)space;
	if (index >= device->mappings || vfu->maps[index].iova != iova.v || vfu->maps[index].bytes != bytes)
		return vfu->gone ? -ENODEV : -ENOENT;
	int rc = vfu_call_simple(vfu, VFU_DMA_UNMAP, &payload, sizeof(payload), &echo, sizeof(echo));
	if (rc == 0 && (echo.address != iova.v || echo.size != bytes))
		rc = -EPROTO;
	/* The caller reuses the memory next: a server that does not let go of it loses the device and all its maps. */
	if (rc)
		vfu_lose(vfu);
	map_remove(vfu, index);
	return rc ? -ENODEV : 0;
}

/* pread or pwrite of all `bytes`; 0 or a positive errno. */
static int file_access(const struct vfu_file *file, uint64_t offset, uint8_t *data, uint64_t bytes, unsigned prot)
{
	while (bytes > 0) {
		ssize_t n = prot == VFIO_READ ? pread(file->fd, data, bytes, (off_t)offset)
					      : pwrite(file->fd, data, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return EFAULT;
		data += n;
		offset += (uint64_t)n;
		bytes -= (uint64_t)n;
	}
	return 0;
}

/* Checks the whole range first: a refused access changes nothing. */
static int range_check(const struct vfu *vfu, uint64_t address, uint64_t last, unsigned prot)
{
	for (size_t i = map_after(vfu, address); i < vfu->base.mappings; i++) {
		const struct vfu_map *map = &vfu->maps[i];

		if (map->iova > address)
			return EFAULT;
		if (!(map->prot & prot))
			return EACCES;
		if (map->iova + (map->bytes - 1) >= last)
			return 0;
		address = map->iova + map->bytes;
	}
	return EFAULT;
}

int vfu_dma_access(struct vfu *vfu, uint64_t address, uint64_t count, unsigned prot, void *data)
{
	uint8_t *at = data;
	uint64_t last;
	int error = __builtin_add_overflow(address, count - 1, &last) ? EFAULT : range_check(vfu, address, last, prot);

	for (size_t i = map_after(vfu, address); error == 0 && count > 0; i++) {
		const struct vfu_map *map = &vfu->maps[i];
		uint64_t inside = address - map->iova, bytes = map->bytes - inside;

		if (bytes > count)
			bytes = count;
		error = file_access(map->file, map->offset + inside, at, bytes, prot);
		at += bytes;
		address += bytes;
		count -= bytes;
	}
	return error;
}

void vfu_dma_free(struct vfu *vfu)
{
	while (vfu->base.mappings > 0)
		map_remove(vfu, vfu->base.mappings - 1);
	free(vfu->maps);
	vfu->maps = NULL;
}
