/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a switch between sessions costs on a kernel without iommufd: all of a session's memory is unmapped and the
 * other's mapped, so the price is per byte. It is measured with memory of the kind that clients hand over, a memfd.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tools/cleanup.h"
#include "tools/vfio_session.h"

#define MOST_BYTES ((size_t)64 << 20)
#define LEAST_BYTES ((size_t)1 << 20)
#define ROUNDS 3
#define INFO_BYTES 4096u

/* The first range above 1 MiB that has room; the kernel says which there are since Linux 5.4. */
static bool range_pick(const struct vfio_iommu_type1_info_cap_iova_range *cap, size_t room, uint64_t *iova)
{
	for (uint32_t i = 0; i < cap->nr_iovas && i < room; i++) {
		uint64_t start = (cap->iova_ranges[i].start + LEAST_BYTES) & ~(uint64_t)(LEAST_BYTES - 1);

		if (start < cap->iova_ranges[i].end && cap->iova_ranges[i].end - start >= MOST_BYTES) {
			*iova = start;
			return true;
		}
	}
	return false;
}

static int iova_find(const struct vfio_session *session, uint64_t *iova, struct reason *why)
{
	union {
		struct vfio_iommu_type1_info info;
		char bytes[INFO_BYTES];
	} reply = {.bytes = {0}};

	reply.info.argsz = INFO_BYTES;
	if (ioctl(session->container, VFIO_IOMMU_GET_INFO, &reply) < 0)
		return reason_set(why, -errno, "VFIO_IOMMU_GET_INFO: %s", strerror(errno));
	*iova = 1ull << 32;
	uint32_t at = reply.info.flags & VFIO_IOMMU_INFO_CAPS ? reply.info.cap_offset : 0;
	for (int i = 0; i < 8 && at && at <= INFO_BYTES - sizeof(struct vfio_iommu_type1_info_cap_iova_range); i++) {
		const struct vfio_iommu_type1_info_cap_iova_range *cap = (const void *)(reply.bytes + at);

		if (cap->header.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE &&
		    !range_pick(cap, (INFO_BYTES - at - sizeof(*cap)) / sizeof(cap->iova_ranges[0]), iova))
			return reason_set(why, -ENOSPC, "the IOMMU has no range of %zu MiB", MOST_BYTES >> 20);
		at = cap->header.next;
	}
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int round_time(const struct vfio_session *session, void *memory, size_t bytes, uint64_t iova, uint64_t *ns)
{
	struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
					       .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
					       .vaddr = (uintptr_t)memory,
					       .iova = iova,
					       .size = bytes};
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .iova = iova, .size = bytes};
	uint64_t start = now_ns();

	if (ioctl(session->container, VFIO_IOMMU_MAP_DMA, &map) < 0 ||
	    ioctl(session->container, VFIO_IOMMU_UNMAP_DMA, &unmap) < 0)
		return -errno;
	*ns = now_ns() - start;
	return 0;
}

static int time_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int rounds_time(const struct vfio_session *session, void *memory, size_t *bytes, uint64_t iova, uint64_t *ns)
{
	uint64_t times[ROUNDS];
	int error = 0;

	/* -ENOMEM is what the kernel says where RLIMIT_MEMLOCK is short. */
	while ((error = round_time(session, memory, *bytes, iova, &times[0])) == -ENOMEM && *bytes > LEAST_BYTES)
		*bytes /= 2;
	for (int i = 1; !error && i < ROUNDS; i++)
		error = round_time(session, memory, *bytes, iova, &times[i]);
	if (error)
		return error;
	qsort(times, ROUNDS, sizeof(times[0]), time_compare);
	*ns = times[ROUNDS / 2];
	return 0;
}

int vfio_session_switch(const struct vfio_session *session, size_t *bytes, uint64_t *ns, struct reason *why)
{
	uint64_t iova = 0;
	int error = iova_find(session, &iova, why);

	if (error)
		return error;
	_cleanup_close_ int fd = memfd_create("npuctl-doctor", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)MOST_BYTES) < 0)
		return reason_set(why, -errno, "memfd: %s", strerror(errno));
	void *memory = mmap(NULL, MOST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (memory == MAP_FAILED)
		return reason_set(why, -errno, "%zu MiB of memory: %s", MOST_BYTES >> 20, strerror(errno));
	*bytes = MOST_BYTES;
	error = rounds_time(session, memory, bytes, iova, ns);
	(void)munmap(memory, MOST_BYTES);
	return error ? reason_set(why, error, "mapping %zu MiB: %s", *bytes >> 20, strerror(-error)) : 0;
}
