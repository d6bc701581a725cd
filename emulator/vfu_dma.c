/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DMA by message, for client memory that came without a descriptor. Programs queue requests and wait; the server's
 * loop sends them in chunks when it owes the client no reply, because a client that waits for one serves no DMA.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "emulator/log.h"
#include "emulator/vfu.h"

#define VFU_DMA_TIMEOUT_NS 30000000000u

/*
 * QEMU loses the rest of a reply that its socket takes only in part. One that fits a single socket buffer of the kernel
 * is taken whole or not at all; what is on its way together stays below the least that a socket takes.
 */
#define VFU_READ_BYTES 32768u

struct vfu_request {
	struct vfu_request *next;
	uint64_t address;
	uint64_t bytes;
	uint8_t *data;
	uint64_t asked; /* bytes that chunks were sent for */
	uint64_t answered;
	bool write;
	bool done;
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
	/* The answers to its chunks still come, and are nobody's. */
	for (unsigned i = 0; i < VFU_CHUNKS; i++) {
		if (vfu->chunk[i].request == request)
			vfu->chunk[i].request = NULL;
	}
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
	struct vfu_request request = {.address = address, .bytes = bytes, .data = data, .write = write};

	return vfu_dma_one(ctx, &request, stop);
}

static void vfu_dma_kick(void *ctx)
{
	struct vfu *vfu = ctx;

	(void)pthread_mutex_lock(&vfu->dma_lock);
	(void)pthread_cond_broadcast(&vfu->dma_done);
	(void)pthread_mutex_unlock(&vfu->dma_lock);
}

/* ------------------------------------------------------------------ chunks */

static struct vfu_chunk *vfu_chunk_free(struct vfu *vfu)
{
	for (unsigned i = 0; i < VFU_CHUNKS; i++) {
		if (!vfu->chunk[i].busy)
			return &vfu->chunk[i];
	}
	return NULL;
}

static void vfu_chunk_send(struct vfu *vfu, struct vfu_chunk *chunk, struct vfu_request *request, uint64_t bytes)
{
	size_t extra = request->write ? (size_t)bytes : 0;
	struct vfu_dma_access access = {request->address + request->asked, bytes};
	struct vfu_header header = {.id = vfu->next_id++,
				    .command = request->write ? VFU_DMA_WRITE : VFU_DMA_READ,
				    .size = (uint32_t)(sizeof(header) + sizeof(access) + extra)};
	struct iovec part[3] = {
	    {&header, sizeof(header)}, {&access, sizeof(access)}, {request->data + request->asked, extra}};

	*chunk = (struct vfu_chunk){request, request->asked, bytes, header.id, header.command, true};
	request->asked += bytes;
	vfu_send(vfu, part, extra ? 3 : 2);
}

/* With the lock: sends what there is room for. */
static void vfu_chunks_send(struct vfu *vfu)
{
	struct vfu_chunk *chunk = vfu_chunk_free(vfu);

	for (struct vfu_request *request = vfu->requests, *next; request && chunk && !vfu->dead; request = next) {
		unsigned access = request->write ? DMA_ACCESS_WRITE : DMA_ACCESS_READ;
		uint64_t most = request->write || vfu->peer_xfer < VFU_READ_BYTES ? vfu->peer_xfer : VFU_READ_BYTES;
		uint64_t left = request->bytes - request->asked, bytes = left < most ? left : most;

		next = request->next;
		if (!left)
			continue;
		/* The mapping may have gone while the request waited. */
		if (!dma_allowed(vfu->dma, request->address + request->asked, bytes, access, NULL)) {
			vfu_dma_finish(vfu, request, -EFAULT);
			continue;
		}
		vfu_chunk_send(vfu, chunk, request, bytes);
		chunk = vfu_chunk_free(vfu);
		if (request->asked < request->bytes)
			next = request;
	}
}

void vfu_dma_send(struct vfu *vfu)
{
	(void)pthread_mutex_lock(&vfu->dma_lock);
	vfu_chunks_send(vfu);
	(void)pthread_mutex_unlock(&vfu->dma_lock);
}

static int vfu_chunk_result(const struct vfu_inbox *inbox, const struct vfu_chunk *chunk)
{
	const struct vfu_request *request = chunk->request;
	struct vfu_dma_access access;

	if (inbox->header.flags & VFU_FLAG_ERROR)
		return -EFAULT;
	if (request->write)
		return 0;
	if (inbox->body_bytes < sizeof(access))
		return -EFAULT;
	memcpy(&access, inbox->body, sizeof(access));
	if (access.count != chunk->bytes || inbox->body_bytes - sizeof(access) != chunk->bytes)
		return -EFAULT;
	memcpy(request->data + chunk->offset, inbox->body + sizeof(access), chunk->bytes);
	return 0;
}

static void vfu_chunk_answer(struct vfu *vfu, struct vfu_chunk *chunk)
{
	struct vfu_request *request = chunk->request;

	chunk->busy = false;
	if (!request)
		return;
	int err = vfu_chunk_result(&vfu->inbox, chunk);

	chunk->request = NULL;
	request->answered += chunk->bytes;
	if (err || request->answered == request->bytes)
		vfu_dma_finish(vfu, request, err);
}

void vfu_dma_reply(struct vfu *vfu)
{
	const struct vfu_header *header = &vfu->inbox.header;

	(void)pthread_mutex_lock(&vfu->dma_lock);
	for (unsigned i = 0; i < VFU_CHUNKS; i++) {
		struct vfu_chunk *chunk = &vfu->chunk[i];

		if (chunk->busy && chunk->id == header->id && chunk->command == header->command) {
			vfu_chunk_answer(vfu, chunk);
			break;
		}
	}
	vfu_chunks_send(vfu);
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
	memset(vfu->chunk, 0, sizeof(vfu->chunk));
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
