/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory this process may pin for devices, and how much it has pinned. */
#ifndef NPUD_VFIO_LOCKED_MEMORY_H
#define NPUD_VFIO_LOCKED_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* The limit in bytes. CAP_IPC_LOCK or an infinite limit: *unlimited, and *has is UINT64_MAX. */
int vfio_locked_memory(uint64_t *has, bool *unlimited);

/* Locked (type1) or pinned (iommufd) by this process now, 0 where the kernel does not say. */
uint64_t vfio_locked_now(bool pinned);

#endif
