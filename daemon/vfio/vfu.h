/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Insides of the vfio-user client, shared by its files: vfu_stream.c (bytes in), vfu_rpc.c (frames, server requests),
 * vfu_dma.c (the map table), vfu_setup.c (handshake), vfu_irq.c (interrupt), vfio_user.c (the ops table).
 */
#ifndef NPUD_VFIO_VFU_H
#define NPUD_VFIO_VFU_H

#include "daemon/vfio/vfio.h"
#include "proto/vfio_user.h"

/* What we announce: the largest DMA_READ/DMA_WRITE that the server may send. */
#define VFU_MAX_XFER 65536u
/* The largest frame that we accept: such a transfer. Everything else is smaller. */
#define VFU_BODY_BYTES (VFU_MAX_XFER + (uint32_t)sizeof(struct vfu_dma_access))

/* REGION_READ's reply and REGION_WRITE's request with up to four bytes of data */
struct vfu_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	uint8_t data[4];
	uint8_t unused[4];
};
_Static_assert(offsetof(struct vfu_access, data) == sizeof(struct vfu_region_access), "access with data");

struct pollfd;
struct vfu_file; /* a memory file that live mappings name */

struct vfu_map {
	uint64_t iova;
	uint64_t bytes;
	uint64_t offset;
	unsigned prot;
	struct vfu_file *file;
};

/* A received byte stream. What one system call brings beyond a message waits here. */
struct vfu_stream {
	int fd;
	uint32_t start;
	uint32_t end;
	uint8_t data[512];
	int fds[VFU_MAX_MSG_FDS]; /* that came with what is here */
	unsigned fd_count;
};

struct vfu {
	struct vfio_device base;
	struct vfu_stream main;
	struct vfu_stream twin; /* the server's requests; fd -1 if they share `main` */
	bool gone;
	bool twin_pending; /* the twin had something while a reply went first */
	bool has_reset;
	bool intx; /* level interrupt that masks itself: unmask after use */
	uint16_t next_id;
	uint32_t server_max_fds;
	uint32_t server_max_xfer;
	uint64_t deadline_ns;
	struct vfu_map *maps; /* sorted by iova */
	size_t map_capacity;
	struct vfu_file *files;
	/* One reply and one server request are handled at a time, each in place: no allocation per message. */
	uint8_t reply[VFU_BODY_BYTES];
	uint8_t request[VFU_BODY_BYTES];
};

/* A command and where its reply goes. */
struct vfu_call {
	uint16_t command;
	const void *payload;
	uint32_t payload_bytes;
	const void *tail; /* optional second part */
	uint32_t tail_bytes;
	int fd; /* sent along, -1 for none */
	/* out */
	uint32_t reply_bytes; /* of vfu->reply */
	int reply_fds[VFU_MAX_MSG_FDS];
	unsigned reply_fd_count; /* the caller's to close */
};

/* vfu_stream.c */

static inline uint32_t vfu_buffered(const struct vfu_stream *stream)
{
	return stream->end - stream->start;
}
nsec_t vfu_now(void);
/* 0, -ETIMEDOUT; revents are left in fds. */
int vfu_wait(struct pollfd *fds, unsigned count, nsec_t deadline);
/* One attempt to have more buffered, without waiting. -EAGAIN if nothing came. */
int vfu_stream_try(struct vfu_stream *stream);
int vfu_stream_read(struct vfu_stream *stream, void *data, size_t bytes, nsec_t deadline);
/* Descriptors of the message that was read: into fds (the caller's then) or closed. */
unsigned vfu_stream_take_fds(struct vfu_stream *stream, int fds[VFU_MAX_MSG_FDS]);
void vfu_stream_close(struct vfu_stream *stream);

/* vfu_rpc.c */

/* Send and wait for the reply. -errno as the server reported it (never -ENODEV), -ENODEV: the device is gone. */
int vfu_call(struct vfu *vfu, struct vfu_call *call);
/* The same for calls whose reply carries no descriptor and has exactly `reply_bytes`, copied out; else gone. */
int vfu_call_simple(struct vfu *vfu, uint16_t command, const void *payload, uint32_t bytes, void *reply,
		    uint32_t reply_bytes);
/* Send without asking for a reply: order is kept, errors show up at the next call. */
int vfu_post(struct vfu *vfu, uint16_t command, const void *payload, uint32_t bytes, const void *tail,
	     uint32_t tail_bytes);
/* The stream is lost: no later call touches the socket. Returns -ENODEV. */
int vfu_lose(struct vfu *vfu);
void vfu_close_fds(const int *fds, unsigned count);

/* vfu_dma.c */
int vfu_dma_map(struct vfio_device *device, struct vfio_space *space, int fd, uint64_t offset, iova_t iova,
		uint64_t bytes, unsigned prot);
int vfu_dma_unmap(struct vfio_device *device, struct vfio_space *space, iova_t iova, uint64_t bytes);
/* The server's own access: 0, or the positive errno to answer. `prot` is the right that it needs. */
int vfu_dma_access(struct vfu *vfu, uint64_t address, uint64_t count, unsigned prot, void *data);
void vfu_dma_free(struct vfu *vfu);

/* vfu_setup.c, vfu_irq.c: `why` gets the reason of a failure */
struct vfu_why {
	char *text;
	size_t bytes;
};
int vfu_fail(struct vfu_why why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vfu_connect(const char *path, uint64_t deadline_ns, int *fd, struct vfu_why why);
int vfu_handshake(struct vfu *vfu, struct vfu_why why);
int vfu_device_check(struct vfu *vfu, uint32_t *irq_indexes, struct vfu_why why);
int vfu_irq_arm(struct vfu *vfu, uint32_t irq_indexes, struct vfu_why why);

#endif
