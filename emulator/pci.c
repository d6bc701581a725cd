/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Config space and the MSI-X BAR of the PCI function. Writes go through a byte mask; interrupts are pci_irq.c's, which
 * is told when a write changes who may signal.
 */
#include "emulator/pci.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "emulator/pci_irq.h"

#define PCI_VENDOR 0x1234u /* unassigned, customary for emulated devices */
#define PCI_DEVICE 0x1204u
#define PCI_CAP_EXPRESS 0x40u
#define PCI_DEVICE_CONTROL (PCI_CAP_EXPRESS + 0x08u)
#define PCI_DEVICE_CONTROL_FLR 0x80u /* in the high byte */
#define PCI_CAP_MSIX 0x80u

static void pci_put(struct pci *pci, uint32_t at, uint32_t bytes, uint32_t value)
{
	for (uint32_t i = 0; i < bytes; i++)
		pci->config[at + i] = (uint8_t)(value >> (8 * i));
}

static void pci_power_on(struct pci *pci)
{
	memset(pci->config, 0, sizeof(pci->config));
	memset(pci->table, 0, sizeof(pci->table));
	pci_put(pci, 0x00, 2, PCI_VENDOR);
	pci_put(pci, 0x02, 2, PCI_DEVICE);
	pci_put(pci, 0x06, 2, 0x0010);
	pci_put(pci, 0x08, 4, 0x12000000); /* processing accelerator */
	pci_put(pci, 0x2c, 2, PCI_VENDOR);
	pci_put(pci, 0x2e, 2, PCI_DEVICE);
	pci_put(pci, 0x34, 1, PCI_CAP_EXPRESS);
	pci_put(pci, 0x3d, 1, 1);
	pci_put(pci, PCI_CAP_EXPRESS, 2, 0x0010 | (pci->msix ? PCI_CAP_MSIX << 8 : 0));
	pci_put(pci, PCI_CAP_EXPRESS + 0x02, 2, 0x0002);
	pci_put(pci, PCI_CAP_EXPRESS + 0x04, 4, 0x10008000);
	pci_put(pci, PCI_CAP_EXPRESS + 0x0c, 4, 0x11);
	pci_put(pci, PCI_CAP_EXPRESS + 0x12, 2, 0x11);
	for (uint32_t v = 0; v < PCI_VECTORS; v++)
		pci->table[16 * v + 12] = 1; /* vectors start masked */
	if (!pci->msix)
		return;
	pci_put(pci, PCI_CAP_MSIX, 2, 0x0011);
	pci_put(pci, PCI_CAP_MSIX + 2, 2, PCI_VECTORS - 1);
	pci_put(pci, PCI_CAP_MSIX + 4, 4, 4);
	pci_put(pci, PCI_CAP_MSIX + 8, 4, PCI_MSIX_PENDING | 4);
}

int pci_init(struct pci *pci, bool msix)
{
	*pci = (struct pci){.msix = msix, .intx = -1, .error = -1, .request = -1, .unmask = -1};
	for (uint32_t v = 0; v < PCI_VECTORS; v++)
		pci->vector[v] = -1;
	pci_power_on(pci);
	return -pthread_mutex_init(&pci->lock, NULL);
}

void pci_destroy(struct pci *pci)
{
	pci_release(pci);
	(void)pthread_mutex_destroy(&pci->lock);
}

void pci_reset(struct pci *pci)
{
	(void)pthread_mutex_lock(&pci->lock);
	pci_power_on(pci);
	pci->intx_masked = false;
	(void)pthread_mutex_unlock(&pci->lock);
}

uint64_t pci_region_bytes(const struct pci *pci, uint32_t region)
{
	switch (region) {
	case VFU_REGION_BAR0:
		return PCI_BAR0_BYTES;
	case VFU_REGION_BAR4:
		return pci->msix ? PCI_BAR4_BYTES : 0;
	case VFU_REGION_CONFIG:
		return PCI_CONFIG_BYTES;
	default:
		return 0;
	}
}

/* Which bits of a config byte a write may change. */
static uint8_t pci_config_mask(const struct pci *pci, uint64_t at)
{
	switch (at) {
	case 0x04:
		return 0x07;
	case 0x05:
		return 0x04;
	case 0x0c: /* cache line */
	case 0x3c: /* interrupt line */
	case 0x12: /* BAR0: 64 KiB */
	case 0x13:
	case PCI_DEVICE_CONTROL:
	case PCI_CAP_EXPRESS + 0x10: /* link control */
	case PCI_CAP_EXPRESS + 0x28: /* device control 2 */
	case PCI_CAP_EXPRESS + 0x29:
	case PCI_CAP_EXPRESS + 0x30: /* link control 2 */
	case PCI_CAP_EXPRESS + 0x31:
		return 0xff;
	case PCI_DEVICE_CONTROL + 1:
		return 0x7f;
	case 0x21: /* BAR4: 4 KiB */
		return pci->msix ? 0xf0 : 0;
	case 0x22:
	case 0x23:
		return pci->msix ? 0xff : 0;
	case PCI_CAP_MSIX + 3:
		return pci->msix ? 0xc0 : 0;
	default:
		return 0;
	}
}

void pci_read(struct pci *pci, uint32_t region, uint64_t offset, void *data, uint32_t count)
{
	(void)pthread_mutex_lock(&pci->lock);
	/* Status bit 3 is the line itself. */
	pci->config[0x06] = (uint8_t)((pci->config[0x06] & ~0x08) | (pci_irq_line(pci) ? 0x08 : 0));
	memcpy(data, (region == VFU_REGION_CONFIG ? pci->config : pci->table) + offset, count);
	(void)pthread_mutex_unlock(&pci->lock);
}

static void pci_write_config(struct pci *pci, uint64_t at, uint8_t value, bool *reset)
{
	uint8_t mask = pci_config_mask(pci, at);

	if (at == PCI_DEVICE_CONTROL + 1 && (value & PCI_DEVICE_CONTROL_FLR))
		*reset = true;
	pci->config[at] = (uint8_t)((pci->config[at] & ~mask) | (value & mask));
}

void pci_write(struct pci *pci, uint32_t region, uint64_t offset, const uint8_t *data, uint32_t count, bool *reset)
{
	(void)pthread_mutex_lock(&pci->lock);
	for (uint32_t i = 0; i < count; i++) {
		if (region == VFU_REGION_CONFIG)
			pci_write_config(pci, offset + i, data[i], reset);
		else if (offset + i < (uint64_t)PCI_VECTORS * 16)
			pci->table[offset + i] = data[i];
	}
	pci_irq_evaluate(pci); /* DisINTx may have changed */
	(void)pthread_mutex_unlock(&pci->lock);
}
