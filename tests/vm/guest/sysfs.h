/* SPDX-License-Identifier: Apache-2.0 */
/* The device under test as the kernel of the guest knows it. */
#ifndef NPUD_TESTS_SYSFS_H
#define NPUD_TESTS_SYSFS_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether $NPUD_TEST_ADDRESS is a PCI address. Asserts nothing. */
bool sysfs_is_pci(void);
/* Writes the device's address to a file of its VFIO driver ("bind", "unbind") in a child, which may have to wait. */
pid_t sysfs_driver_start(const char *file);
/* Waits for it; fails the test when it failed. */
void sysfs_driver_wait(pid_t pid);
/* Whether it is bound to its VFIO driver. */
bool sysfs_is_bound(void);
/* Descriptors of process `pid` whose names begin with `prefix`. */
unsigned sysfs_count_fds(pid_t pid, const char *prefix);
/* Pages that are pinned for devices now, as the kernel counts them. */
long sysfs_pinned_pages(void);

#endif
