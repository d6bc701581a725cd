/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing hands by replace: the device goes from one address space to the other and back, through the transport and
 * by the bare system call. Then the same between spaces with much and with little mapped.
 */
#include <string.h>
#include <unistd.h>

#include "tests/bench/guest/bench_guest.h"

#define IOVA 0x200000000ull
#define WARM_UP 4u

/* Two address spaces with the same memory in both. */
struct couple {
	struct vfio_device *vfio;
	struct vfio_space *space[2];
};

static struct couple couple_new(const struct guest *guest, int fd, uint64_t bytes)
{
	struct couple couple = {.vfio = &guest->kernel->base};
	const struct vfio_ops *ops = couple.vfio->ops;

	for (int i = 0; i < 2; i++) {
		int rc = ops->space_new(couple.vfio, &couple.space[i]);

		if (rc == 0)
			rc = ops->map(couple.vfio, couple.space[i], fd, 0, (iova_t){IOVA}, bytes,
				      VFIO_READ | VFIO_WRITE);
		if (rc)
			bench_fail("an address space of %llu MiB: %s", (unsigned long long)(bytes / MIB),
				   strerror(-rc));
	}
	return couple;
}

static void attach(const struct couple *couple, struct vfio_space *space)
{
	int rc = couple->vfio->ops->attach(couple->vfio, space);

	if (rc)
		bench_fail("attach: %s", strerror(-rc));
}

static void couple_free(struct couple *couple)
{
	attach(couple, NULL);
	for (int i = 0; i < 2; i++)
		if (couple->vfio->ops->space_free(couple->vfio, couple->space[i]) < 0)
			bench_fail("an address space cannot be released");
}

/* There and back: both ways end where they began. */
static uint64_t there_and_back(const struct guest *guest, const struct couple *couple, bool ours)
{
	uint64_t start = bench_clock_ns();

	for (int i = 1; i >= 0; i--) {
		if (ours)
			attach(couple, couple->space[i]);
		else
			raw_attach(guest->kernel, couple->space[i]);
	}
	return (bench_clock_ns() - start) / 2;
}

static void replace_row(const struct guest *guest, const struct couple *couple)
{
	struct pairs pairs = pairs_new(guest, 200);

	attach(couple, couple->space[0]);
	for (uint32_t i = 0; i < WARM_UP; i++)
		(void)there_and_back(guest, couple, i % 2);
	for (uint32_t i = 0; i < pairs.count; i++) {
		bool first = i % 2;
		uint64_t a = there_and_back(guest, couple, first), b = there_and_back(guest, couple, !first);

		pairs.ours[i] = first ? a : b;
		pairs.baseline[i] = first ? b : a;
	}
	pairs_row(&pairs, "change of tenure by replace", 1.2);
}

static uint64_t switch_one(const struct guest *guest, const struct couple *couple, bool ours)
{
	attach(couple, couple->space[0]);
	return there_and_back(guest, couple, ours);
}

static void size_rows(const struct guest *guest, const struct couple *large, const struct couple *small)
{
	struct pairs ours = pairs_new(guest, 50), raw = pairs_new(guest, 50);

	for (uint32_t i = 0; i < ours.count; i++) {
		struct pairs *turns[2] = {i % 2 ? &ours : &raw, i % 2 ? &raw : &ours};

		for (int turn = 0; turn < 2; turn++) {
			turns[turn]->ours[i] = switch_one(guest, large, turns[turn] == &ours);
			turns[turn]->baseline[i] = switch_one(guest, small, turns[turn] == &ours);
		}
	}
	pairs_row(&ours, "switch, 1 GiB / 1 MiB mapped", 1.1);
	pairs_row(&raw, "raw switch, 1 GiB / 1 MiB mapped", 0);
}

void switch_rows(const struct guest *guest)
{
	int fd = guest_memory(GIB);
	struct couple small = couple_new(guest, fd, MIB), large = couple_new(guest, fd, GIB);

	replace_row(guest, &small);
	size_rows(guest, &large, &small);
	couple_free(&large);
	couple_free(&small);
	(void)close(fd);
}
