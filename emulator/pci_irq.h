/* SPDX-License-Identifier: Apache-2.0 */
/* Between pci.c and pci_irq.c: with the lock held. */
#ifndef NPUD_EMULATOR_PCI_IRQ_H
#define NPUD_EMULATOR_PCI_IRQ_H

#include "emulator/pci.h"

/* The INTx line as status bit 3 shows it. */
bool pci_irq_line(const struct pci *pci);
/* Signals INTx if the line is high and nothing holds it back. */
void pci_irq_evaluate(struct pci *pci);

#endif
