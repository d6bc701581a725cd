/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory files into I/O address spaces, all or nothing: checks first, then pieces, each undone if a later one fails.
 * The records decide what "exactly what was mapped" means; the kernel would take more, and less.
 */
#include <errno.h>
#include <fcntl.h>

#include "daemon/vfio/kernel.h"
#include "daemon/vfio/kernel_window.h"

struct request {
	int fd;
	uint64_t offset;
	uint64_t iova;
	uint64_t bytes;
	unsigned prot;
};

/* The table that a call means: one of several, or the only one. */
static struct vfio_space *space_of(struct vfio_kernel *kernel, struct vfio_space *space)
{
	return space || kernel->base.ops->space_new ? space : &kernel->root;
}

/* What lies beyond the end of the file would be mapped here, and only be missing when it is touched. */
static int address_check(const struct request *request, uint64_t end)
{
	struct stat st;

	if (kernel_calls->fstat(request->fd, &st))
		return kernel_file_error();
	return st.st_size < 0 || (uint64_t)st.st_size < end ? -EINVAL : 0;
}

/* The kernel does not ask whether the process may write what the device will. */
static int file_check(const struct request *request)
{
	if (!(request->prot & VFIO_WRITE))
		return 0;
	int seals = kernel_calls->fcntl(request->fd, F_GET_SEALS, 0);
	if (seals > 0 && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	int flags = kernel_calls->fcntl(request->fd, F_GETFL, 0);
	if (flags < 0)
		return kernel_file_error();
	return (flags & O_ACCMODE) == O_RDWR ? 0 : -EACCES;
}

/* An address space that is not attached would take these, and then refuse to be attached. */
static bool touches_reserved(const struct vfio_device *device, uint64_t first, uint64_t last)
{
	for (uint32_t i = 0; i < device->reserved_count; i++)
		if (device->reserved[i].first <= last &&
		    device->reserved[i].first + (device->reserved[i].bytes - 1) >= first)
			return true;
	return false;
}

static int request_check(const struct vfio_kernel *kernel, const struct request *request)
{
	const struct vfio_device *device = &kernel->base;
	uint64_t last, end;

	if (request->bytes == 0 || (request->bytes | request->offset | request->iova) % device->page_bytes)
		return -EINVAL;
	if (request->prot == 0 || request->prot & ~(unsigned)(VFIO_READ | VFIO_WRITE))
		return -EINVAL;
	if (__builtin_add_overflow(request->iova, request->bytes - 1, &last) ||
	    __builtin_add_overflow(request->offset, request->bytes, &end))
		return -EINVAL;
	if (touches_reserved(device, request->iova, last))
		return -EINVAL;
	/* Each leaves out what its system calls refuse themselves: mmap the one, the pinning of a file the other. */
	return kernel->map_file ? file_check(request) : address_check(request, end);
}

/* Pieces end where bus addresses are multiples of their size, so that no huge page is cut. */
static uint32_t piece_count(const struct request *request)
{
	uint64_t last = request->iova + (request->bytes - 1);
	uint64_t count = last / IOMMU_PIECE_BYTES - request->iova / IOMMU_PIECE_BYTES + 1;

	return count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

static struct iommu_piece piece_at(const struct request *request, uint64_t done)
{
	uint64_t iova = request->iova + done, bytes = IOMMU_PIECE_BYTES - iova % IOMMU_PIECE_BYTES;

	if (bytes > request->bytes - done)
		bytes = request->bytes - done;
	return (struct iommu_piece){
	    .fd = request->fd, .offset = request->offset + done, .iova = iova, .bytes = bytes, .prot = request->prot};
}

static int map_pieces(struct vfio_kernel *kernel, struct vfio_space *space, const struct request *request)
{
	struct kernel_window window = {.own_fd = -1};
	uint64_t done = 0;
	int rc = 0;

	while (rc == 0 && done < request->bytes) {
		struct iommu_piece piece = piece_at(request, done);

		rc = kernel->map_file ? 0 : kernel_window_show(&window, &piece);
		if (rc == 0)
			rc = kernel->iommu->map(kernel, space, &piece);
		if (rc == 0)
			done += piece.bytes;
	}
	kernel_window_close(&window);
	/* What cannot be taken back is reachable until the device is closed. */
	if (rc && done && kernel->iommu->unmap(kernel, space, request->iova, done))
		rc = kernel_lose(kernel);
	return rc == -ENODEV ? kernel_lose(kernel) : rc;
}

/* Differences, modulo 2^32. Atomic: spaces that are not attached are filled by another thread. */
static void count_maps(struct vfio_kernel *kernel, uint32_t maps, uint32_t entries)
{
	__atomic_fetch_add(&kernel->base.mappings, maps, __ATOMIC_RELAXED);
	__atomic_fetch_add(&kernel->entries, entries, __ATOMIC_RELAXED);
}

void kernel_forget_maps(struct vfio_kernel *kernel, const struct map_table *maps)
{
	for (size_t i = 0; i < maps->count; i++)
		count_maps(kernel, -1u, -maps->records[i].pieces);
}

int kernel_map(struct vfio_device *device, struct vfio_space *space, int fd, uint64_t offset, iova_t iova,
	       uint64_t bytes, unsigned prot)
{
	struct vfio_kernel *kernel = vfio_kernel(device);
	const struct request request = {fd, offset, iova.v, bytes, prot};
	struct vfio_space *target = space_of(kernel, space);

	if (kernel_gone(kernel))
		return -ENODEV;
	int rc = target ? request_check(kernel, &request) : -EINVAL;
	if (rc)
		return rc;
	if (map_table_overlaps(&target->maps, iova.v, bytes))
		return -EEXIST;
	uint32_t pieces = piece_count(&request);
	if (pieces > device->max_mappings - __atomic_load_n(&kernel->entries, __ATOMIC_RELAXED))
		return -ENOSPC;
	rc = map_table_reserve(&target->maps);
	if (rc == 0)
		rc = map_pieces(kernel, target, &request);
	if (rc)
		return rc;
	map_table_add(&target->maps, (struct map_record){iova.v, bytes, pieces});
	count_maps(kernel, 1, pieces);
	return 0;
}

int kernel_unmap(struct vfio_device *device, struct vfio_space *space, iova_t iova, uint64_t bytes)
{
	struct vfio_kernel *kernel = vfio_kernel(device);
	struct vfio_space *target = space_of(kernel, space);
	struct map_record record;

	if (kernel_gone(kernel))
		return -ENODEV;
	int rc = target && bytes ? map_table_remove(&target->maps, iova.v, bytes, &record) : -EINVAL;
	if (rc)
		return rc;
	count_maps(kernel, -1u, -record.pieces);
	/* The caller uses the memory for something else next: reach that is in doubt ends with the device. */
	return kernel->iommu->unmap(kernel, target, iova.v, bytes) ? kernel_lose(kernel) : 0;
}
