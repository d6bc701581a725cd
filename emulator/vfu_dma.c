/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DMA by message, for client memory that came without a descriptor. Programs queue requests and wait; the server's
 * loop sends them when it owes the client no reply, because a client that waits for one serves no DMA.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "emulator/log.h"
#include "emulator/vfu.h"

#define VFU_DMA_TIMEOUT_NS 30000000000u

struct vfu_request {
	struct vfu_request *next;
	uint64_t address;
	uint64_t bytes;
	uint8_t *data;
	bool write;
	bool sent;
	bool done;
	uint16_t id;
	int result;
};

static void vfu_dma_unlink(struct vfu *vfu, const struct vfu_request *request)
{
	for (struct vfu_request **at = &vfu->requests; *at; at = &(*at)->next) {
		if (*at == request) {
			*at = request->next;
			return;
		}
	}
}

static void vfu_dma_finish(struct vfu *vfu, struct vfu_request *request, int result)
{
	vfu_dma_unlink(vfu, request);
	request->result = result;
	request->done = true;
	(void)pthread_cond_broadcast(&vfu->dma_done);
}

static void vfu_dma_append(struct vfu *vfu, struct vfu_request *request)
{
	struct vfu_request **at = &vfu->requests;
	uint64_t one = 1;

	while (*at)
		at = &(*at)->next;
	*at = request;
	if (write(vfu->wake_fd, &one, sizeof(one)) < 0)
		emu_log(EMU_LOG_ERROR, "cannot wake the server: errno %d", errno);
}

static int vfu_dma_one(struct vfu *vfu, struct vfu_request *request, const atomic_bool *stop)
{
	uint64_t until = emu_now_ns() + VFU_DMA_TIMEOUT_NS;
	struct timespec at = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};

	(void)pthread_mutex_lock(&vfu->dma_lock);
	if (vfu->connected)
		vfu_dma_append(vfu, request);
	else
		vfu_dma_finish(vfu, request, -EFAULT);
	while (!request->done) {
		if (stop && atomic_load(stop))
			vfu_dma_finish(vfu, request, -ECANCELED);
		else if (pthread_cond_timedwait(&vfu->dma_done, &vfu->dma_lock, &at) == ETIMEDOUT)
			vfu_dma_finish(vfu, request, -EFAULT);
	}
	(void)pthread_mutex_unlock(&vfu->dma_lock);
	return request->result;
}

static int vfu_dma_transfer(void *ctx, uint64_t address, void *data, uint64_t bytes, bool write,
			    const atomic_bool *stop)
{
	struct vfu *vfu = ctx;
	uint64_t most = vfu->peer_xfer;
	int err = 0;

	for (uint64_t done = 0; done < bytes && !err;) {
		uint64_t here = bytes - done < most ? bytes - done : most;
		struct vfu_request request = {
		    .address = address + done, .bytes = here, .data = (uint8_t *)data + done, .write = write};

		err = vfu_dma_one(vfu, &request, stop);
		done += here;
	}
	return err;
}

static void vfu_dma_kick(void *ctx)
{
	struct vfu *vfu = ctx;

	(void)pthread_mutex_lock(&vfu->dma_lock);
	(void)pthread_cond_broadcast(&vfu->dma_done);
	(void)pthread_mutex_unlock(&vfu->dma_lock);
}

static void vfu_dma_send_one(struct vfu *vfu, struct vfu_request *request)
{
	size_t extra = request->write ? (size_t)request->bytes : 0;
	struct vfu_dma_access access = {request->address, request->bytes};
	struct vfu_header header = {.id = vfu->next_id++,
				    .command = request->write ? VFU_DMA_WRITE : VFU_DMA_READ,
				    .size = (uint32_t)(sizeof(header) + sizeof(access) + extra)};
	struct iovec part[3] = {{&header, sizeof(header)}, {&access, sizeof(access)}, {request->data, extra}};

	request->sent = true;
	request->id = header.id;
	vfu_send(vfu, part, extra ? 3 : 2);
}

void vfu_dma_send(struct vfu *vfu)
{
	(void)pthread_mutex_lock(&vfu->dma_lock);
	for (struct vfu_request *request = vfu->requests, *next; request && !vfu->dead; request = next) {
		unsigned access = request->write ? DMA_ACCESS_WRITE : DMA_ACCESS_READ;

		next = request->next;
		if (request->sent)
			continue;
		/* The mapping may have gone while the request waited. */
		if (dma_allowed(vfu->dma, request->address, request->bytes, access, NULL))
			vfu_dma_send_one(vfu, request);
		else
			vfu_dma_finish(vfu, request, -EFAULT);
	}
	(void)pthread_mutex_unlock(&vfu->dma_lock);
}

static int vfu_dma_result(const struct vfu_inbox *inbox, struct vfu_request *request)
{
	struct vfu_dma_access access;

	if (inbox->header.flags & VFU_FLAG_ERROR)
		return -EFAULT;
	if (request->write)
		return 0;
	if (inbox->body_bytes < sizeof(access))
		return -EFAULT;
	memcpy(&access, inbox->body, sizeof(access));
	if (access.count != request->bytes || inbox->body_bytes - sizeof(access) != request->bytes)
		return -EFAULT;
	memcpy(request->data, inbox->body + sizeof(access), request->bytes);
	return 0;
}

void vfu_dma_reply(struct vfu *vfu)
{
	const struct vfu_inbox *inbox = &vfu->inbox;

	(void)pthread_mutex_lock(&vfu->dma_lock);
	for (struct vfu_request *request = vfu->requests; request; request = request->next) {
		uint16_t command = request->write ? VFU_DMA_WRITE : VFU_DMA_READ;

		/* Nobody's reply belongs to a request that was given up. */
		if (!request->sent || request->id != inbox->header.id || inbox->header.command != command)
			continue;
		vfu_dma_finish(vfu, request, vfu_dma_result(inbox, request));
		break;
	}
	(void)pthread_mutex_unlock(&vfu->dma_lock);
}

void vfu_dma_fail(struct vfu *vfu, uint64_t address, uint64_t last)
{
	(void)pthread_mutex_lock(&vfu->dma_lock);
	for (struct vfu_request *request = vfu->requests, *next; request; request = next) {
		next = request->next;
		if (request->address <= last && request->address + (request->bytes - 1) >= address)
			vfu_dma_finish(vfu, request, -EFAULT);
	}
	(void)pthread_mutex_unlock(&vfu->dma_lock);
}

void vfu_dma_fail_all(void *ctx)
{
	vfu_dma_fail(ctx, 0, UINT64_MAX);
}

void vfu_dma_connected(struct vfu *vfu, bool connected)
{
	(void)pthread_mutex_lock(&vfu->dma_lock);
	vfu->connected = connected;
	(void)pthread_mutex_unlock(&vfu->dma_lock);
	if (!connected)
		vfu_dma_fail_all(vfu);
}

int vfu_dma_init(struct vfu *vfu)
{
	const struct dma_channel channel = {vfu_dma_transfer, vfu_dma_kick, vfu};
	pthread_condattr_t monotonic;
	int err = pthread_mutex_init(&vfu->dma_lock, NULL);

	err = err ? err : pthread_condattr_init(&monotonic);
	if (err)
		return -err;
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	err = pthread_cond_init(&vfu->dma_done, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	vfu->peer_xfer = VFU_DEFAULT_MAX_DATA_XFER;
	if (!err)
		dma_set_channel(vfu->dma, &channel);
	return -err;
}

void vfu_dma_destroy(struct vfu *vfu)
{
	dma_set_channel(vfu->dma, NULL);
	(void)pthread_mutex_destroy(&vfu->dma_lock);
	(void)pthread_cond_destroy(&vfu->dma_done);
}
