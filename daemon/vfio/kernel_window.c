/* SPDX-License-Identifier: Apache-2.0 */
/*
 * type1, and iommufd before file maps, pin memory by the address at which a process sees it. The pages stay pinned
 * without it: the address is read during the call only. type1 keeps it for devices that the CPU emulates, which ours
 * is not; iommufd would read it again if the last page table of an address space went and another came, and ours is
 * made before the first map and goes after the last. So the daemon, which serves many gigabytes, shows the kernel
 * 16 MiB at a time.
 */
#include "daemon/vfio/kernel_window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "daemon/vfio/kernel_calls.h"

#define HUGE_BYTES (2ull << 20)
#define RESERVED_BYTES (IOMMU_PIECE_BYTES + HUGE_BYTES)

static void unmap(struct kernel_window *window)
{
	if (window->base)
		kernel_calls->munmap(window->base, window->bytes);
	window->base = NULL;
	window->reserved = false;
}

/* Kernels before 6.7 map a write-sealed file only through a descriptor that could not write anyway. */
static int reopen(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return kernel_calls->open(path, O_RDONLY | O_CLOEXEC);
}

static void *map_file(const struct kernel_window *window, const struct iommu_piece *piece, uint8_t *at)
{
	int prot = piece->prot & VFIO_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;

	return kernel_calls->mmap(at, piece->bytes, prot, MAP_SHARED | (at ? MAP_FIXED : 0),
				  window->own_fd >= 0 ? window->own_fd : piece->fd, (off_t)piece->offset);
}

/* NULL: anywhere. */
static int show(struct kernel_window *window, struct iommu_piece *piece, uint8_t *at)
{
	void *shown = map_file(window, piece, at);

	if (shown == MAP_FAILED && errno == EPERM && !(piece->prot & VFIO_WRITE) && window->own_fd < 0) {
		window->own_fd = reopen(piece->fd);
		if (window->own_fd < 0)
			return kernel_file_error();
		shown = map_file(window, piece, at);
	}
	if (shown == MAP_FAILED)
		return kernel_file_error();
	piece->address = shown;
	return 0;
}

/*
 * Huge pages of the file are entered into the process's page table, and the IOMMU's, as such only where address and
 * offset, and bus address and memory, agree within 2 MiB. A piece that holds none whole may lie anywhere.
 */
static bool may_be_huge(const struct iommu_piece *piece)
{
	uint64_t until_huge = -piece->iova % HUGE_BYTES;

	return (piece->iova ^ piece->offset) % HUGE_BYTES == 0 && piece->bytes >= until_huge + HUGE_BYTES;
}

/* The kernel's own choice, which is right for small pieces and for files that consist of huge pages. */
static int show_anywhere(struct kernel_window *window, struct iommu_piece *piece)
{
	int rc = show(window, piece, NULL);

	if (rc)
		return rc;
	window->base = piece->address;
	window->bytes = piece->bytes;
	return 0;
}

static int reserve(struct kernel_window *window)
{
	void *base =
	    kernel_calls->mmap(NULL, RESERVED_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return -ENOMEM;
	window->base = base;
	window->bytes = RESERVED_BYTES;
	window->reserved = true;
	return 0;
}

int kernel_window_show(struct kernel_window *window, struct iommu_piece *piece)
{
	if (!window->reserved) {
		unmap(window);
		int rc = show_anywhere(window, piece);

		if (rc || !may_be_huge(piece) || ((uintptr_t)piece->address ^ piece->iova) % HUGE_BYTES == 0)
			return rc;
		unmap(window);
		rc = reserve(window);
		if (rc)
			return rc;
	}
	return show(window, piece, window->base + (piece->iova - (uintptr_t)window->base) % HUGE_BYTES);
}

void kernel_window_close(struct kernel_window *window)
{
	unmap(window);
	if (window->own_fd >= 0)
		kernel_calls->close(window->own_fd);
	window->own_fd = -1;
}
