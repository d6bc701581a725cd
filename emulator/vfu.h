/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vfio-user server: one socket, one client at a time, one device. It moves messages; what registers, interrupts
 * and mappings mean is the device's, the PCI function's and the DMA table's.
 */
#ifndef NPUD_EMULATOR_VFU_H
#define NPUD_EMULATOR_VFU_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "emulator/device.h"
#include "emulator/dma.h"
#include "emulator/pci.h"
#include "proto/vfio_user.h"

#define VFU_OWN_MINOR 2u
#define VFU_OWN_FDS 8u /* descriptors per message that we take */
#define VFU_OWN_XFER 1048576u
#define VFU_MAX_BODY (VFU_OWN_XFER + 4096u)
#define VFU_CHUNKS 4u /* DMA messages that wait for their answers */

/* A message being received. */
struct vfu_inbox {
	struct vfu_header header;
	size_t header_got;
	uint8_t *body;
	size_t body_bytes;
	size_t body_got;
	int fd[VFU_OWN_FDS];
	unsigned fds;
	bool too_many_fds;
};

struct vfu_request;

/* A part of a request that the client was asked for. */
struct vfu_chunk {
	struct vfu_request *request; /* NULL: it was given up */
	uint64_t offset;
	uint64_t bytes;
	uint16_t id;
	uint16_t command;
	bool busy;
};

struct vfu {
	struct device *device;
	struct pci *pci;
	struct dma *dma;
	char path[108];
	char lock_path[128];
	int lock_fd;
	int listen_fd;
	int client_fd;
	int wake_fd; /* eventfd: DMA requests wait to be sent */
	int control_fd; /* borrowed; readable: control() is called */
	bool (*control)(void *ctx); /* true: end vfu_run() */
	void *control_ctx;
	bool negotiated;
	bool dead; /* the connection is to be given up */
	uint64_t peer_xfer;
	struct vfu_inbox inbox;
	/* DMA by message */
	pthread_mutex_t dma_lock;
	pthread_cond_t dma_done;
	struct vfu_request *requests;
	struct vfu_chunk chunk[VFU_CHUNKS];
	bool connected;
	uint16_t next_id;
};

/* Listens on `path`. -EADDRINUSE: another instance serves it. */
int vfu_init(struct vfu *vfu, const char *path, struct device *device, struct pci *pci, struct dma *dma);
void vfu_destroy(struct vfu *vfu);
/* Serves clients one after the other until control() says so. */
int vfu_run(struct vfu *vfu);

/* vfu_io.c */
/* 1 a message is complete, 0 nothing more to read now, negative: the connection is over. */
int vfu_receive(struct vfu *vfu);
void vfu_inbox_reset(struct vfu_inbox *inbox);
void vfu_send(struct vfu *vfu, const struct iovec *part, int parts);

/* vfu_cmd.c */
void vfu_handle(struct vfu *vfu);

/* vfu_dma.c */
int vfu_dma_init(struct vfu *vfu);
void vfu_dma_destroy(struct vfu *vfu);
void vfu_dma_send(struct vfu *vfu);
void vfu_dma_reply(struct vfu *vfu);
/* Ends every request that touches a range. */
void vfu_dma_fail(struct vfu *vfu, uint64_t address, uint64_t last);
void vfu_dma_fail_all(void *vfu);
void vfu_dma_connected(struct vfu *vfu, bool connected);

#endif
