/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of a vfio-user client: each is checked, done and answered before the next one is looked at. Nothing in
 * a message is believed before its length is.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulator/log.h"
#include "emulator/vfu.h"

/* A reply's payload after the header; `extra` follows `fixed`. */
struct vfu_reply {
	uint8_t fixed[64];
	size_t fixed_bytes;
	uint8_t *extra; /* heap, freed after sending */
	size_t extra_bytes;
};

/* Copies the fixed part of a request; false if the message is too short for it. */
static bool vfu_take(const struct vfu_inbox *inbox, void *fixed, size_t bytes)
{
	if (inbox->body_bytes < bytes)
		return false;
	memcpy(fixed, inbox->body, bytes);
	return true;
}

static int vfu_answer(struct vfu_reply *reply, const void *fixed, size_t bytes)
{
	memcpy(reply->fixed, fixed, bytes);
	reply->fixed_bytes = bytes;
	return 0;
}

/* ------------------------------------------------------------------ VERSION */

/* A member of ours for each that was proposed: a client that knows less gets the defaults, which hold too. */
static void vfu_offer(json_t *ours, const json_t *theirs, const char *name, json_int_t value)
{
	if (json_object_get(theirs, name))
		(void)json_object_set_new(ours, name, json_integer(value));
}

static int vfu_capabilities(struct vfu *vfu, const struct vfu_inbox *inbox, char **text)
{
	size_t bytes = inbox->body_bytes - sizeof(struct vfu_version);
	const char *json = (const char *)inbox->body + sizeof(struct vfu_version);
	json_t *theirs = NULL, *ours = json_object();

	vfu->peer_xfer = VFU_OWN_XFER;
	if (bytes) {
		size_t length = strnlen(json, bytes);
		json_t *root = length < bytes ? json_loadb(json, length, 0, NULL) : NULL;

		theirs = json_incref(json_object_get(root, "capabilities"));
		if (!json_is_object(root) || (theirs && !json_is_object(theirs))) {
			json_decref(theirs);
			json_decref(root);
			json_decref(ours);
			return -EINVAL;
		}
		json_decref(root);
	}
	json_int_t xfer = json_integer_value(json_object_get(theirs, "max_data_xfer_size"));

	if (xfer > 0 && xfer < VFU_OWN_XFER)
		vfu->peer_xfer = (uint64_t)xfer;
	vfu_offer(ours, theirs, "max_msg_fds", VFU_OWN_FDS);
	vfu_offer(ours, theirs, "max_data_xfer_size", VFU_OWN_XFER);
	vfu_offer(ours, theirs, "pgsizes", DMA_PAGE_BYTES);
	vfu_offer(ours, theirs, "max_dma_maps", DMA_MAX_MAPS);
	json_decref(theirs);
	json_t *root = json_pack("{s:o}", "capabilities", ours);

	*text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return *text ? 0 : -ENOMEM;
}

static int vfu_version(struct vfu *vfu, struct vfu_reply *reply)
{
	const struct vfu_inbox *inbox = &vfu->inbox;
	struct vfu_version version;
	char *text = NULL;

	if (vfu->negotiated || !vfu_take(inbox, &version, sizeof(version)) || version.major != 0)
		return -EINVAL;
	int err = vfu_capabilities(vfu, inbox, &text);

	if (err)
		return err;
	if (version.minor > VFU_OWN_MINOR)
		version.minor = VFU_OWN_MINOR;
	vfu->negotiated = true;
	if (inbox->body_bytes > sizeof(version)) {
		reply->extra = (uint8_t *)text;
		reply->extra_bytes = strlen(text) + 1;
	} else {
		free(text); /* never a longer reply than what was asked for */
	}
	emu_log(EMU_LOG_INFO, "client speaks 0.%u, transfers up to %llu bytes", version.minor,
		(unsigned long long)vfu->peer_xfer);
	return vfu_answer(reply, &version, sizeof(version));
}

/* ------------------------------------------------------------------ DMA mappings */

static int vfu_map(struct vfu *vfu)
{
	struct vfu_inbox *inbox = &vfu->inbox;
	struct vfu_dma_map map;

	if (!vfu_take(inbox, &map, sizeof(map)) || map.argsz < sizeof(map) || inbox->fds > 1)
		return -EINVAL;
	if (map.flags == 0 || (map.flags & ~(VFU_DMA_FLAG_READ | VFU_DMA_FLAG_WRITE)))
		return -EINVAL;
	unsigned access = (map.flags & VFU_DMA_FLAG_READ ? DMA_ACCESS_READ : 0u) |
			  (map.flags & VFU_DMA_FLAG_WRITE ? DMA_ACCESS_WRITE : 0u);

	return dma_map_add(vfu->dma, inbox->fds ? inbox->fd[0] : -1, inbox->fds ? map.offset : 0, map.address, map.size,
			   access);
}

static int vfu_unmap(struct vfu *vfu, struct vfu_reply *reply)
{
	struct vfu_dma_unmap unmap;
	int err = 0;

	if (!vfu_take(&vfu->inbox, &unmap, sizeof(unmap)) || unmap.argsz < sizeof(unmap) ||
	    (unmap.flags & ~VFU_UNMAP_FLAG_ALL))
		return -EINVAL;
	if (unmap.flags & VFU_UNMAP_FLAG_ALL) {
		if (unmap.address || unmap.size)
			return -EINVAL;
		dma_map_clear(vfu->dma, vfu_dma_fail_all, vfu);
		vfu_dma_fail_all(vfu);
	} else {
		err = dma_map_remove(vfu->dma, unmap.address, unmap.size, vfu_dma_fail_all, vfu);
		if (!err)
			vfu_dma_fail(vfu, unmap.address, unmap.address + (unmap.size - 1));
	}
	return err ? err : vfu_answer(reply, &unmap, sizeof(unmap));
}

/* ------------------------------------------------------------------ what the device is */

static int vfu_device_info(const struct vfu *vfu, struct vfu_reply *reply)
{
	struct vfu_device_info info;

	if (!vfu_take(&vfu->inbox, &info, sizeof(info)) || info.argsz < sizeof(info))
		return -EINVAL;
	info = (struct vfu_device_info){sizeof(info), VFU_DEVICE_FLAG_RESET | VFU_DEVICE_FLAG_PCI, VFU_REGION_COUNT,
					VFU_IRQ_COUNT};
	return vfu_answer(reply, &info, sizeof(info));
}

static int vfu_region_info(const struct vfu *vfu, struct vfu_reply *reply)
{
	struct vfu_region_info info;

	if (!vfu_take(&vfu->inbox, &info, sizeof(info)) || info.argsz < sizeof(info) || info.index >= VFU_REGION_COUNT)
		return -EINVAL;
	uint64_t bytes = pci_region_bytes(vfu->pci, info.index);

	info = (struct vfu_region_info){.argsz = sizeof(info),
					.flags = bytes ? VFU_REGION_FLAG_READ | VFU_REGION_FLAG_WRITE : 0,
					.index = info.index,
					.size = bytes};
	return vfu_answer(reply, &info, sizeof(info));
}

static int vfu_irq_info(const struct vfu *vfu, struct vfu_reply *reply)
{
	struct vfu_irq_info info;

	if (!vfu_take(&vfu->inbox, &info, sizeof(info)) || info.argsz < sizeof(info))
		return -EINVAL;
	info.argsz = sizeof(info);
	int err = pci_irq_info(vfu->pci, info.index, &info.flags, &info.count);

	return err ? err : vfu_answer(reply, &info, sizeof(info));
}

static int vfu_set_irqs(struct vfu *vfu)
{
	struct vfu_inbox *inbox = &vfu->inbox;
	struct vfu_irq_set set;

	if (!vfu_take(inbox, &set, sizeof(set)) || set.argsz < sizeof(set))
		return -EINVAL;
	size_t bools = set.flags & VFU_IRQ_SET_DATA_BOOL ? set.count : 0;

	if (inbox->body_bytes - sizeof(set) < bools)
		return -EINVAL;
	return pci_irq_set(vfu->pci, &set, inbox->body + sizeof(set), inbox->fd, inbox->fds);
}

/* ------------------------------------------------------------------ regions */

/* Registers are 32 bits: parts of one can be read, only whole ones are written. */
static void vfu_registers_read(struct device *device, uint64_t offset, uint8_t *data, uint32_t count)
{
	for (uint32_t done = 0; done < count;) {
		uint32_t at = (uint32_t)offset + done, inside = at % 4, here = 4 - inside;
		uint32_t value = regs_read(device, at - inside);

		here = here < count - done ? here : count - done;
		memcpy(data + done, (uint8_t *)&value + inside, here);
		done += here;
	}
}

static void vfu_registers_write(struct device *device, uint64_t offset, const uint8_t *data, uint32_t count)
{
	uint32_t value;

	for (uint32_t done = (uint32_t)(-offset & 3u); done + 4 <= count; done += 4) {
		memcpy(&value, data + done, sizeof(value));
		regs_write(device, (uint32_t)offset + done, value);
	}
}

static int vfu_region_check(const struct vfu *vfu, const struct vfu_region_access *access)
{
	uint64_t bytes = access->region < VFU_REGION_COUNT ? pci_region_bytes(vfu->pci, access->region) : 0;

	if (access->count > VFU_OWN_XFER)
		return -E2BIG;
	return access->offset > bytes || access->count > bytes - access->offset || !bytes ? -EINVAL : 0;
}

static int vfu_region_read(struct vfu *vfu, struct vfu_reply *reply)
{
	struct vfu_region_access access;

	if (!vfu_take(&vfu->inbox, &access, sizeof(access)))
		return -EINVAL;
	int err = vfu_region_check(vfu, &access);

	if (err)
		return err;
	uint8_t *data = reply->fixed + sizeof(access);

	if (sizeof(access) + access.count > sizeof(reply->fixed)) {
		data = reply->extra = malloc(access.count);
		if (!data)
			return -ENOMEM;
		reply->extra_bytes = access.count;
	}
	if (access.region == VFU_REGION_BAR0)
		vfu_registers_read(vfu->device, access.offset, data, access.count);
	else
		pci_read(vfu->pci, access.region, access.offset, data, access.count);
	(void)vfu_answer(reply, &access, sizeof(access));
	if (!reply->extra)
		reply->fixed_bytes += access.count;
	return 0;
}

static void vfu_reset(struct vfu *vfu)
{
	device_reset(vfu->device);
	pci_reset(vfu->pci);
}

static int vfu_region_write(struct vfu *vfu, struct vfu_reply *reply)
{
	const struct vfu_inbox *inbox = &vfu->inbox;
	struct vfu_region_access access;
	bool reset = false;

	if (!vfu_take(inbox, &access, sizeof(access)))
		return -EINVAL;
	int err = vfu_region_check(vfu, &access);

	if (err)
		return err;
	if (inbox->body_bytes - sizeof(access) != access.count)
		return -EINVAL;
	const uint8_t *data = inbox->body + sizeof(access);

	if (access.region == VFU_REGION_BAR0)
		vfu_registers_write(vfu->device, access.offset, data, access.count);
	else
		pci_write(vfu->pci, access.region, access.offset, data, access.count, &reset);
	if (reset)
		vfu_reset(vfu);
	return vfu_answer(reply, &access, sizeof(access));
}

/* ------------------------------------------------------------------ dispatch */

static int vfu_dispatch(struct vfu *vfu, struct vfu_reply *reply)
{
	const struct vfu_inbox *inbox = &vfu->inbox;
	uint16_t command = inbox->header.command;

	if (inbox->too_many_fds || (inbox->fds && command != VFU_DMA_MAP && command != VFU_DEVICE_SET_IRQS))
		return -EINVAL;
	switch (command) {
	case VFU_VERSION:
		return vfu_version(vfu, reply);
	case VFU_DMA_MAP:
		return vfu_map(vfu);
	case VFU_DMA_UNMAP:
		return vfu_unmap(vfu, reply);
	case VFU_DEVICE_GET_INFO:
		return vfu_device_info(vfu, reply);
	case VFU_DEVICE_GET_REGION_INFO:
		return vfu_region_info(vfu, reply);
	case VFU_DEVICE_GET_IRQ_INFO:
		return vfu_irq_info(vfu, reply);
	case VFU_DEVICE_SET_IRQS:
		return vfu_set_irqs(vfu);
	case VFU_REGION_READ:
		return vfu_region_read(vfu, reply);
	case VFU_REGION_WRITE:
		return vfu_region_write(vfu, reply);
	case VFU_DEVICE_RESET:
		vfu_reset(vfu);
		return 0;
	default:
		return -ENOTSUP;
	}
}

static void vfu_reply_send(struct vfu *vfu, int err, const struct vfu_reply *reply)
{
	const struct vfu_header *command = &vfu->inbox.header;
	size_t payload = err ? 0 : reply->fixed_bytes + reply->extra_bytes;
	struct vfu_header header = {.id = command->id,
				    .command = command->command,
				    .size = (uint32_t)(sizeof(header) + payload),
				    .flags = VFU_FLAG_REPLY | (err ? VFU_FLAG_ERROR : 0),
				    .error = (uint32_t)-err};
	struct iovec part[3] = {{&header, sizeof(header)},
				{(void *)(uintptr_t)reply->fixed, reply->fixed_bytes},
				{reply->extra, reply->extra_bytes}};

	if (!(command->flags & VFU_FLAG_NO_REPLY))
		vfu_send(vfu, part, err ? 1 : 3);
}

void vfu_handle(struct vfu *vfu)
{
	const struct vfu_header *header = &vfu->inbox.header;
	uint32_t type = header->flags & VFU_FLAG_TYPE_MASK;
	bool early = !vfu->negotiated && header->command != VFU_VERSION;
	struct vfu_reply reply = {.fixed_bytes = 0};

	if (type == VFU_FLAG_REPLY && vfu->negotiated) {
		vfu_dma_reply(vfu);
		vfu_inbox_reset(&vfu->inbox);
		return;
	}
	int err = early || type != VFU_FLAG_COMMAND ? -EINVAL : vfu_dispatch(vfu, &reply);

	if (err)
		emu_log(EMU_LOG_DEBUG, "command %u refused: errno %d", header->command, -err);
	/* Who gets the reply may rely on the descriptors being closed. */
	vfu_inbox_reset(&vfu->inbox);
	vfu_reply_send(vfu, err, &reply);
	free(reply.extra);
	/* Nothing may come before VERSION, and a failed one leaves nothing to talk about. */
	if (!vfu->negotiated || type != VFU_FLAG_COMMAND)
		vfu->dead = true;
}
