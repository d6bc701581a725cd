/* SPDX-License-Identifier: Apache-2.0 */
/* Inside a guest: npud's transport and npud itself on the kernel's VFIO, beside the bare system calls. */
#ifndef NPUD_TESTS_BENCH_GUEST_H
#define NPUD_TESTS_BENCH_GUEST_H

#include <errno.h>

#include "daemon/vfio/kernel.h"
#include "tests/bench/bench.h"

#define KIB 1024ull
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define PAGE (4 * KIB)
#define HUGE_PAGE (2 * MIB)

/* What one run of the program measures, and how often. */
struct guest {
	struct vfio_kernel
	    *kernel; /* the device, opened by npud's transport; its descriptors serve the raw loops too */
	const char *iommu; /* "iommufd" or "type1": a part of each row's name */
	const char *socket; /* of npud */
	long npud_pid;
	uint32_t scale; /* per cent of the usual number of repetitions */
};

/* At least five. */
uint32_t guest_repeats(const struct guest *guest, uint32_t usual);
/* A populated memory file, of 2 MiB pages if @bytes is a multiple of them. */
int guest_memory(uint64_t bytes);

/* Pairs of times, taken in turn: of two ways to do the same, or of one in two states. */
struct pairs {
	uint64_t *ours;
	uint64_t *baseline;
	uint32_t count;
};

struct pairs pairs_new(const struct guest *guest, uint32_t usual);
/* One row of the table, of the medians; then the samples are gone. */
void pairs_row(struct pairs *pairs, const char *name, double goal);

/* guest_raw.c: the same by the fewest system calls, on the same descriptors. */
void raw_map_unmap(const struct vfio_kernel *kernel, const struct vfio_space *space, int fd, uint64_t iova,
		   uint64_t bytes);
void raw_attach(const struct vfio_kernel *kernel, const struct vfio_space *space);

/* Rows, one file each. */
void map_rows(const struct guest *guest);
void switch_rows(const struct guest *guest);
void interrupt_rows(const struct guest *guest);
void npud_memory_row(const struct guest *guest);

/* guest_steal.c: npud's descriptors, which the kernel gives to who may trace it. */
struct stolen {
	int device;
	int irq_fd; /* npud waits for it */
	int interrupt; /* what the device signals instead */
	volatile uint32_t *registers;
};

void steal_interrupt(struct stolen *stolen, long pid);
/* npud gets it back. */
void return_interrupt(struct stolen *stolen);

#endif
