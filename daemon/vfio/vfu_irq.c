/* SPDX-License-Identifier: Apache-2.0 */
/* Arming the one interrupt of a vfio-user device: MSI-X, else MSI, else INTx. Knows nothing of what it means. */
#include "daemon/vfio/vfu.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const char *const index_names[] = {[VFU_IRQ_INTX] = "INTx", [VFU_IRQ_MSI] = "MSI", [VFU_IRQ_MSIX] = "MSI-X"};

/* 1 if the index has an interrupt that can signal an eventfd, 0 if not. */
static int index_usable(struct vfu *vfu, uint32_t index, struct vfu_irq_info *info)
{
	const struct vfu_irq_info request = {.argsz = sizeof(request), .index = index};
	int rc = vfu_call_simple(vfu, VFU_DEVICE_GET_IRQ_INFO, &request, sizeof(request), info, sizeof(*info));

	if (rc)
		return rc == -ENODEV ? rc : 0;
	return info->index == index && info->count > 0 && info->flags & VFU_IRQ_INFO_EVENTFD;
}

/* 1 bound, 0 refused. */
static int index_bind(struct vfu *vfu, uint32_t index)
{
	const struct vfu_irq_set set = {.argsz = sizeof(set),
					.flags = VFU_IRQ_SET_DATA_EVENTFD | VFU_IRQ_SET_ACTION_TRIGGER,
					.index = index,
					.count = 1};
	struct vfu_call call = {
	    .command = VFU_DEVICE_SET_IRQS, .payload = &set, .payload_bytes = sizeof(set), .fd = vfu->base.irq_fd};
	int rc = vfu_call(vfu, &call);

	if (rc == 0)
		vfu_close_fds(call.reply_fds, call.reply_fd_count);
	return rc == 0 ? 1 : rc == -ENODEV ? rc : 0;
}

int vfu_irq_arm(struct vfu *vfu, uint32_t irq_indexes, struct vfu_why why)
{
	static const uint32_t order[] = {VFU_IRQ_MSIX, VFU_IRQ_MSI, VFU_IRQ_INTX};

	vfu->base.irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vfu->base.irq_fd < 0)
		return vfu_fail(why, -errno, "no eventfd for the interrupt: %m");
	for (unsigned i = 0; i < sizeof(order) / sizeof(*order); i++) {
		struct vfu_irq_info info;
		int rc = order[i] < irq_indexes ? index_usable(vfu, order[i], &info) : 0;

		if (rc > 0)
			rc = index_bind(vfu, order[i]);
		if (rc < 0)
			return vfu_fail(why, rc, "the device went away while its %s interrupt was armed",
					index_names[order[i]]);
		if (rc == 0)
			continue;
		vfu->intx = order[i] == VFU_IRQ_INTX;
		return 0;
	}
	return vfu_fail(why, -ENOTSUP, "the device offers no interrupt (MSI-X, MSI or INTx with eventfd)");
}
