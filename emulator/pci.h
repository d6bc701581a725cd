/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI function around the NPU: config space, the MSI-X table's BAR, and which eventfd an interrupt means. It knows
 * no NPU register and no socket. Thread-safe; never calls anybody.
 */
#ifndef NPUD_EMULATOR_PCI_H
#define NPUD_EMULATOR_PCI_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/vfio_user.h"

#define PCI_CONFIG_BYTES 4096u
#define PCI_BAR0_BYTES 65536u
#define PCI_BAR4_BYTES 4096u
#define PCI_VECTORS 4u
#define PCI_MSIX_PENDING 0x800u /* in BAR4 */

struct pci {
	pthread_mutex_t lock;
	bool msix;
	uint8_t config[PCI_CONFIG_BYTES];
	uint8_t table[PCI_BAR4_BYTES];
	int vector[PCI_VECTORS]; /* eventfds, -1 unbound */
	int intx;
	int error;
	int request;
	int unmask; /* eventfd that the client writes to unmask INTx */
	bool intx_masked;
	bool level;
};

int pci_init(struct pci *pci, bool msix);
void pci_destroy(struct pci *pci);
/* Function-level reset: config space and table to power-on; eventfds stay. */
void pci_reset(struct pci *pci);
/* Forgets every eventfd (client gone). */
void pci_release(struct pci *pci);

uint64_t pci_region_bytes(const struct pci *pci, uint32_t region);
/* Config space and BAR4; the range was checked against pci_region_bytes(). */
void pci_read(struct pci *pci, uint32_t region, uint64_t offset, void *data, uint32_t count);
/* *reset: the write asks for a function-level reset. */
void pci_write(struct pci *pci, uint32_t region, uint64_t offset, const uint8_t *data, uint32_t count, bool *reset);

/* Line level of the device, and whether a new cause was presented. */
void pci_interrupt(struct pci *pci, bool level, bool pulse);

int pci_irq_info(const struct pci *pci, uint32_t index, uint32_t *flags, uint32_t *count);
/*
 * SET_IRQS: `data` are count bytes for DATA_BOOL. Takes over the descriptors it keeps, setting them to -1 in `fds`; the
 * caller closes the others. 0 or a negative errno.
 */
int pci_irq_set(struct pci *pci, const struct vfu_irq_set *set, const uint8_t *data, int *fds, unsigned fd_count);
/* The eventfd to poll for unmasking, or -1; pci_unmask_event() after it became readable. */
int pci_unmask_fd(struct pci *pci);
void pci_unmask_event(struct pci *pci);

#endif
