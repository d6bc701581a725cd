/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which eventfd an interrupt means. Bound descriptors decide, not the MSI-X enable bit: a direct client never writes
 * config space. INTx masks itself on each signal and fires again on unmask while the line is high.
 */
#include "emulator/pci_irq.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PCI_COMMAND_DISINTX 0x04u /* in the high byte of the command register */

static void pci_signal(int fd)
{
	uint64_t one = 1;

	/* A full counter (EAGAIN) is as good as one more: the client has something to read. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

static void pci_bind(int *slot, int fd)
{
	/* A client's blocking eventfd must not be able to stop the device. */
	int status = fd >= 0 ? fcntl(fd, F_GETFL) : -1;

	if (status >= 0 && !(status & O_NONBLOCK))
		(void)fcntl(fd, F_SETFL, status | O_NONBLOCK);
	if (*slot >= 0)
		(void)close(*slot);
	*slot = fd;
}

static bool pci_msix_bound(const struct pci *pci)
{
	for (uint32_t v = 0; v < PCI_VECTORS; v++) {
		if (pci->vector[v] >= 0)
			return true;
	}
	return false;
}

bool pci_irq_line(const struct pci *pci)
{
	return pci->level && !pci_msix_bound(pci);
}

void pci_irq_evaluate(struct pci *pci)
{
	if (!pci_irq_line(pci) || pci->intx < 0 || pci->intx_masked || (pci->config[0x05] & PCI_COMMAND_DISINTX))
		return;
	pci->intx_masked = true;
	pci_signal(pci->intx);
}

static void pci_vector_fire(struct pci *pci, uint32_t vector)
{
	uint8_t *pending = &pci->table[PCI_MSIX_PENDING + vector / 8], bit = (uint8_t)(1u << vector % 8);

	if (pci->vector[vector] < 0) {
		*pending |= bit;
		return;
	}
	*pending &= (uint8_t)~bit;
	pci_signal(pci->vector[vector]);
}

void pci_interrupt(struct pci *pci, bool level, bool pulse)
{
	(void)pthread_mutex_lock(&pci->lock);
	pci->level = level;
	if (pulse && pci_msix_bound(pci))
		pci_vector_fire(pci, 0);
	pci_irq_evaluate(pci);
	(void)pthread_mutex_unlock(&pci->lock);
}

void pci_release(struct pci *pci)
{
	(void)pthread_mutex_lock(&pci->lock);
	for (uint32_t v = 0; v < PCI_VECTORS; v++)
		pci_bind(&pci->vector[v], -1);
	pci_bind(&pci->intx, -1);
	pci_bind(&pci->error, -1);
	pci_bind(&pci->request, -1);
	pci_bind(&pci->unmask, -1);
	pci->intx_masked = false;
	(void)pthread_mutex_unlock(&pci->lock);
}

int pci_irq_info(const struct pci *pci, uint32_t index, uint32_t *flags, uint32_t *count)
{
	if (index >= VFU_IRQ_COUNT)
		return -EINVAL;
	*count = index == VFU_IRQ_MSI ? 0 : 1;
	*flags = index == VFU_IRQ_MSI ? 0 : VFU_IRQ_INFO_EVENTFD | VFU_IRQ_INFO_NORESIZE;
	if (index == VFU_IRQ_INTX)
		*flags = VFU_IRQ_INFO_EVENTFD | VFU_IRQ_INFO_MASKABLE | VFU_IRQ_INFO_AUTOMASKED;
	if (index == VFU_IRQ_MSIX) {
		*count = pci->msix ? PCI_VECTORS : 0;
		*flags = pci->msix ? VFU_IRQ_INFO_EVENTFD : 0;
	}
	return 0;
}

static int *pci_slot(struct pci *pci, uint32_t index, uint32_t sub)
{
	switch (index) {
	case VFU_IRQ_INTX:
		return &pci->intx;
	case VFU_IRQ_MSIX:
		return &pci->vector[sub];
	case VFU_IRQ_ERR:
		return &pci->error;
	default:
		return &pci->request;
	}
}

static void pci_bind_sub(struct pci *pci, uint32_t index, uint32_t sub, int fd)
{
	pci_bind(pci_slot(pci, index, sub), fd);
	if (index == VFU_IRQ_INTX)
		pci->intx_masked = false;
	if (index == VFU_IRQ_MSIX && fd >= 0 &&
	    ((pci->table[PCI_MSIX_PENDING + sub / 8] & (1u << sub % 8)) || (sub == 0 && pci->level)))
		pci_vector_fire(pci, sub);
}

static int pci_irq_trigger(struct pci *pci, const struct vfu_irq_set *set, const uint8_t *data, int *fds,
			   unsigned fd_count)
{
	uint32_t kind = set->flags & 7u, flags, count = 0;

	(void)pci_irq_info(pci, set->index, &flags, &count);
	if (kind == VFU_IRQ_SET_DATA_NONE && set->count == 0) {
		for (uint32_t i = 0; i < count; i++)
			pci_bind_sub(pci, set->index, i, -1);
		if (set->index == VFU_IRQ_INTX)
			pci_bind(&pci->unmask, -1);
		return 0;
	}
	for (uint32_t i = 0; i < set->count; i++) {
		if (kind == VFU_IRQ_SET_DATA_EVENTFD) {
			pci_bind_sub(pci, set->index, set->start + i, fd_count ? fds[i] : -1);
			if (fd_count)
				fds[i] = -1;
		} else if (kind == VFU_IRQ_SET_DATA_NONE || data[i]) {
			pci_signal(*pci_slot(pci, set->index, set->start + i));
		}
	}
	return 0;
}

static int pci_irq_mask(struct pci *pci, const struct vfu_irq_set *set, const uint8_t *data, int *fds,
			unsigned fd_count)
{
	uint32_t kind = set->flags & 7u;
	bool unmask = set->flags & VFU_IRQ_SET_ACTION_UNMASK;

	if (set->index != VFU_IRQ_INTX || set->count != 1)
		return -EINVAL;
	if (kind == VFU_IRQ_SET_DATA_EVENTFD) {
		if (!unmask)
			return -ENOTSUP;
		pci_bind(&pci->unmask, fd_count ? fds[0] : -1);
		if (fd_count)
			fds[0] = -1;
	} else if (kind == VFU_IRQ_SET_DATA_NONE || data[0]) {
		pci->intx_masked = !unmask;
	}
	return 0;
}

static int pci_irq_check(const struct pci *pci, const struct vfu_irq_set *set, unsigned fd_count)
{
	uint32_t kind = set->flags & 7u, action = set->flags & 0x38u, flags, count;

	if ((set->flags & ~0x3fu) || __builtin_popcount(kind) != 1 || __builtin_popcount(action) != 1)
		return -EINVAL;
	if (pci_irq_info(pci, set->index, &flags, &count))
		return -EINVAL;
	if (set->start > count || set->count > count - set->start)
		return -EINVAL;
	if (fd_count && (kind != VFU_IRQ_SET_DATA_EVENTFD || fd_count != set->count))
		return -EINVAL;
	/* count 0 disables an index, and only that way */
	if (set->count == 0 && (set->start || set->flags != (VFU_IRQ_SET_DATA_NONE | VFU_IRQ_SET_ACTION_TRIGGER)))
		return -EINVAL;
	return 0;
}

int pci_irq_set(struct pci *pci, const struct vfu_irq_set *set, const uint8_t *data, int *fds, unsigned fd_count)
{
	int err = pci_irq_check(pci, set, fd_count);

	if (err)
		return err;
	(void)pthread_mutex_lock(&pci->lock);
	if (set->flags & VFU_IRQ_SET_ACTION_TRIGGER)
		err = pci_irq_trigger(pci, set, data, fds, fd_count);
	else
		err = pci_irq_mask(pci, set, data, fds, fd_count);
	pci_irq_evaluate(pci);
	(void)pthread_mutex_unlock(&pci->lock);
	return err;
}

int pci_unmask_fd(struct pci *pci)
{
	(void)pthread_mutex_lock(&pci->lock);
	int fd = pci->unmask;
	(void)pthread_mutex_unlock(&pci->lock);

	return fd;
}

void pci_unmask_event(struct pci *pci)
{
	uint64_t count;

	(void)pthread_mutex_lock(&pci->lock);
	if (pci->unmask >= 0 && read(pci->unmask, &count, sizeof(count)) == sizeof(count)) {
		pci->intx_masked = false;
		pci_irq_evaluate(pci);
	}
	(void)pthread_mutex_unlock(&pci->lock);
}
