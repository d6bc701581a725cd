/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says about accesses that its IOMMU refused: VT-d's and virtio-iommu's lines. */
#ifndef NPUD_TESTS_KERNEL_LOG_H
#define NPUD_TESTS_KERNEL_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* Reads from here on what the kernel says. */
int kernel_log_open(void);
/*
 * Waits a little for a line about a refused access inside [address, address + bytes); skips all others. VT-d's driver
 * says no more than ten lines in five seconds and drops the rest: who sees none has to let the access happen again.
 */
bool kernel_log_refused(int log, uint64_t address, uint64_t bytes);
/* Refused accesses that were logged since the last look; does not wait. */
unsigned kernel_log_count(int log);

/* The bus address that a line of the log reports as refused. */
bool kernel_log_parse(const char *line, uint64_t *address);

#endif
