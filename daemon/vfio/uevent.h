/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's announcements about devices, for those whose driver cannot ask to be released (vfio-platform): before it
 * waits for the last descriptor, VFIO removes its own child of the device, and says so.
 */
#ifndef NPUD_VFIO_UEVENT_H
#define NPUD_VFIO_UEVENT_H

#include <stdbool.h>
#include <stddef.h>

/* A non-blocking descriptor, readable when there is news of any device; or a negative errno. */
int uevent_open(void);
/* Reads what there is, a bounded amount: true if VFIO let go of the device with this bus name. */
bool uevent_removed(int fd, const char *address);

/* One message, `bytes` long, is the removal of VFIO's child of the device. */
bool uevent_is_removal(const char *message, size_t bytes, const char *address);

#endif
