/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mapping and unmapping one page, as the daemon's core asks the transport for it and by bare system calls, in turn and
 * at the same address of the same table. With iommufd that table is filled while another is attached, which is how
 * npud prepares a session's memory; type1 has one table, which the device always uses.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/guest/bench_guest.h"

#define IOVA 0x200000000ull
#define WARM_UP 20u

static void ours_map_unmap(struct vfio_device *vfio, struct vfio_space *space, int fd, uint64_t bytes)
{
	int rc = vfio->ops->map(vfio, space, fd, 0, (iova_t){IOVA}, bytes, VFIO_READ | VFIO_WRITE);

	if (rc == 0)
		rc = vfio->ops->unmap(vfio, space, (iova_t){IOVA}, bytes);
	if (rc)
		bench_fail("%s, %llu bytes: %s", vfio->ops->name, (unsigned long long)bytes, strerror(-rc));
}

static uint64_t time_one(const struct guest *guest, struct vfio_space *space, int fd, uint64_t bytes, bool ours)
{
	uint64_t start = bench_clock_ns();

	if (ours)
		ours_map_unmap(&guest->kernel->base, space, fd, bytes);
	else
		raw_map_unmap(guest->kernel, space, fd, IOVA, bytes);
	return bench_clock_ns() - start;
}

static void map_row(const struct guest *guest, struct vfio_space *space, uint64_t bytes, const char *size,
		    const char *state)
{
	struct pairs pairs = pairs_new(guest, 2000);
	int fd = guest_memory(bytes);
	char name[64];

	for (uint32_t i = 0; i < WARM_UP; i++)
		(void)time_one(guest, space, fd, bytes, i % 2);
	/* Who comes second finds the kernel's caches warm: each does, every other time. */
	for (uint32_t i = 0; i < pairs.count; i++) {
		bool first = i % 2;
		uint64_t a = time_one(guest, space, fd, bytes, first), b = time_one(guest, space, fd, bytes, !first);

		pairs.ours[i] = first ? a : b;
		pairs.baseline[i] = first ? b : a;
	}
	(void)close(fd);
	(void)snprintf(name, sizeof(name), "map+unmap %s, %s%s", size, guest->iommu, state);
	pairs_row(&pairs, name, 1.2);
}

void map_rows(const struct guest *guest)
{
	struct vfio_device *vfio = &guest->kernel->base;
	struct vfio_space *space = NULL;

	if (vfio->ops->space_new && vfio->ops->space_new(vfio, &space) < 0)
		bench_fail("no address space");
	map_row(guest, space, PAGE, "4 KiB", "");
	map_row(guest, space, HUGE_PAGE, "2 MiB", "");
	if (!space)
		return;
	if (vfio->ops->attach(vfio, space) < 0)
		bench_fail("the address space cannot be attached");
	map_row(guest, space, PAGE, "4 KiB", " in use");
	map_row(guest, space, HUGE_PAGE, "2 MiB", " in use");
	if (vfio->ops->attach(vfio, NULL) < 0 || vfio->ops->space_free(vfio, space) < 0)
		bench_fail("the address space cannot be released");
}
