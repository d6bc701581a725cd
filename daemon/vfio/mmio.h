/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access to registers in mapped memory that may vanish under the access: a device in reset, one that was unplugged or
 * that stopped to decode memory raises SIGBUS. Here that is an error and not the end of the process.
 */
#ifndef NPUD_VFIO_MMIO_H
#define NPUD_VFIO_MMIO_H

#include <stdint.h>

/* Once per process; later calls do nothing. SIGBUS of any other origin goes where it went before. */
void mmio_guard_install(void);

/* 0, or -ENODEV if the access faulted */
int mmio_read(const volatile uint32_t *at, uint32_t *value);
int mmio_write(volatile uint32_t *at, uint32_t value);

#endif
