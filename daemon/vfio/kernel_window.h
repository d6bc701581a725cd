/* SPDX-License-Identifier: Apache-2.0 */
/* A place in this process where pieces of a memory file appear for as long as the kernel needs to pin them. */
#ifndef NPUD_VFIO_KERNEL_WINDOW_H
#define NPUD_VFIO_KERNEL_WINDOW_H

#include "daemon/vfio/iommu.h"

#define IOMMU_PIECE_BYTES (16ull << 20)

/* Begins as {.own_fd = -1}. */
struct kernel_window {
	uint8_t *base; /* of what is mapped here: the piece, or the reserved range that it lies in; NULL = nothing */
	uint64_t bytes;
	bool reserved;
	int own_fd; /* the file opened again, read-only; -1 */
};

/* Places the piece and sets its address. The one shown before is gone. */
int kernel_window_show(struct kernel_window *window, struct iommu_piece *piece);
void kernel_window_close(struct kernel_window *window);

#endif
