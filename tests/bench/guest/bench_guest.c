/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_guest: what npud's kernel transport adds to the kernel's own work, measured where that kernel runs. The table's
 * last rows; scripts/bench_guest.sh starts the guest. With "missing" it prints them without a measurement.
 */
#include "tests/bench/guest/bench_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21u << 26)
#endif
#define WHY_BYTES 512

static const char *const rows[] = {
    "map+unmap 4 KiB, iommufd",
    "map+unmap 2 MiB, iommufd",
    "map+unmap 4 KiB, iommufd in use",
    "map+unmap 2 MiB, iommufd in use",
    "change of tenure by replace",
    "switch, 1 GiB / 1 MiB mapped",
    "raw switch, 1 GiB / 1 MiB mapped",
    "map+unmap 4 KiB, type1",
    "map+unmap 2 MiB, type1",
    "interrupt to JobDone / a wake-up",
    "... without its registers",
    "... nor its client's wake-up",
    "interrupt to JobDone / raw driver",
    "raw driver / a wake-up",
    "... its registers alone",
    "... its message alone",
    "npud per mapped GiB, iommufd",
    "npud per mapped GiB, type1",
};

uint32_t guest_repeats(const struct guest *guest, uint32_t usual)
{
	uint32_t count = usual * guest->scale / 100;

	return count < 5 ? 5 : count;
}

int guest_memory(uint64_t bytes)
{
	unsigned huge = bytes % HUGE_PAGE ? 0 : MFD_HUGETLB | MFD_HUGE_2MB;
	int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING | huge);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) || fallocate(fd, 0, 0, (off_t)bytes))
		bench_fail("no memory file of %llu bytes: %s", (unsigned long long)bytes, strerror(errno));
	return fd;
}

struct pairs pairs_new(const struct guest *guest, uint32_t usual)
{
	struct pairs pairs = {.count = guest_repeats(guest, usual)};

	pairs.ours = calloc(pairs.count, sizeof(*pairs.ours));
	pairs.baseline = calloc(pairs.count, sizeof(*pairs.baseline));
	if (!pairs.ours || !pairs.baseline)
		bench_fail("out of memory");
	return pairs;
}

void pairs_row(struct pairs *pairs, const char *name, double goal)
{
	bench_row(name, bench_latency(pairs->ours, pairs->count).p50_us,
		  bench_latency(pairs->baseline, pairs->count).p50_us, "us", goal, false);
	free(pairs->ours);
	free(pairs->baseline);
}

static void transport_rows(struct guest *guest, const char *address)
{
	struct vfio_kernel_options options = {.iommu = strcmp(guest->iommu, "type1") == 0 ? VFIO_IOMMU_TYPE1
											  : VFIO_IOMMU_IOMMUFD};
	struct vfio_device *vfio = NULL;
	char why[WHY_BYTES];

	if (vfio_kernel_open(address, &options, &vfio, why, sizeof(why)) < 0)
		bench_fail("%s: %s", address, why);
	guest->kernel = vfio_kernel(vfio);
	map_rows(guest);
	if (vfio->ops->attach)
		switch_rows(guest);
	vfio_close(vfio);
}

static int missing(const char *why)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		bench_row_missing(rows[i], why);
	return EXIT_SUCCESS;
}

static int usage(void)
{
	(void)fputs("usage: bench_guest SCALE transport iommufd|type1 ADDRESS\n"
		    "       bench_guest SCALE interrupt|memory iommufd|type1 SOCKET NPUD-PID\n"
		    "       bench_guest missing REASON\n",
		    stderr);
	return 2;
}

static void npud_rows(struct guest *guest, const char *socket, const char *pid, bool interrupt)
{
	guest->socket = socket;
	guest->npud_pid = strtol(pid, NULL, 10);
	if (interrupt)
		interrupt_rows(guest);
	else
		npud_memory_row(guest);
}

int main(int argc, char **argv)
{
	struct guest guest = {0};

	if (argc == 3 && strcmp(argv[1], "missing") == 0)
		return missing(argv[2]);
	if (argc < 5)
		return usage();
	guest.scale = (uint32_t)strtoul(argv[1], NULL, 10);
	guest.iommu = argv[3];
	bool interrupt = strcmp(argv[2], "interrupt") == 0;
	if (argc == 5 && strcmp(argv[2], "transport") == 0)
		transport_rows(&guest, argv[4]);
	else if (argc == 6 && (interrupt || strcmp(argv[2], "memory") == 0))
		npud_rows(&guest, argv[4], argv[5], interrupt);
	else
		return usage();
	return EXIT_SUCCESS;
}
