/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vfio-user client written for these tests alone: sends exactly the bytes it is told to and checks exactly the bytes
 * it gets, and a server on a thread to send them to.
 */
#ifndef NPUD_TESTS_EMULATOR_VFU_CLIENT_H
#define NPUD_TESTS_EMULATOR_VFU_CLIENT_H

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "emulator/vfu.h"
#include "tests/unit/emulator/rig.h"

#define CLIENT_JSON                                                                                                    \
	"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":65536,\"pgsizes\":4096,\"max_dma_maps\":"        \
	"65535,\"write_multiple\":true}}"

struct server {
	char dir[64];
	char path[100];
	struct dma *dma;
	struct device *device;
	struct pci pci;
	struct vfu vfu;
	pthread_t thread;
	int stop_fd;
	int fds_before;
};

struct client {
	int fd;
	uint16_t id;
	struct vfu_header header; /* of the last message received */
	uint8_t body[1 << 17];
	size_t bytes;
};

static inline bool server_control(void *ctx)
{
	(void)ctx;
	return true;
}

static inline void *server_thread(void *ctx)
{
	struct server *server = ctx;

	vfu_run(&server->vfu);
	return NULL;
}

static inline void server_start(struct server *server, bool msix)
{
	const struct device_options options = {.cores = 3, .threads = 2, .gm_mib = 4};

	memset(server, 0, sizeof(*server));
	server->fds_before = rig_count_fds();
	strcpy(server->dir, "/tmp/npu-emu-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(server->dir));
	snprintf(server->path, sizeof(server->path), "%s/s", server->dir);
	server->dma = dma_new();
	server->stop_fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(device_new(&options, server->dma, &server->device), 0);
	ck_assert_int_eq(pci_init(&server->pci, msix), 0);
	ck_assert_int_eq(vfu_init(&server->vfu, server->path, server->device, &server->pci, server->dma), 0);
	server->vfu.control_fd = server->stop_fd;
	server->vfu.control = server_control;
	ck_assert_int_eq(pthread_create(&server->thread, NULL, server_thread, server), 0);
}

static inline void server_stop(struct server *server)
{
	uint64_t one = 1;

	ck_assert_int_eq((int)write(server->stop_fd, &one, sizeof(one)), (int)sizeof(one));
	pthread_join(server->thread, NULL);
	ck_assert_uint_eq(dma_map_count(server->dma), 0);
	vfu_destroy(&server->vfu);
	pci_destroy(&server->pci);
	device_free(server->device);
	dma_free(server->dma);
	close(server->stop_fd);
	/* nothing left: neither the socket nor its lock nor a descriptor */
	ck_assert_int_eq(rmdir(server->dir), 0);
	ck_assert_int_eq(rig_count_fds(), server->fds_before);
}

/* ------------------------------------------------------------------ messages */

static inline void client_send_all(struct client *client, const void *data, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = send(client->fd, (const char *)data + done, bytes - done, MSG_NOSIGNAL);

		ck_assert_int_gt((int)n, 0);
		done += (size_t)n;
	}
}

static inline size_t client_pack(struct client *client, uint8_t *message, uint16_t command, uint32_t flags,
				 const void *body, size_t bytes)
{
	struct vfu_header header = {++client->id, command, (uint32_t)(sizeof(header) + bytes), flags, 0};

	memcpy(message, &header, sizeof(header));
	if (bytes)
		memcpy(message + sizeof(header), body, bytes);
	return sizeof(header) + bytes;
}

static inline void client_send(struct client *client, uint16_t command, uint32_t flags, const void *body, size_t bytes,
			       const int *fds, unsigned count)
{
	static uint8_t message[1 << 17];
	size_t size = client_pack(client, message, command, flags, body, bytes);
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(64 * sizeof(int))] = {0};
	struct iovec part = {message, size};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};

	if (count) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	ck_assert_int_eq((int)sendmsg(client->fd, &msg, MSG_NOSIGNAL), (int)size);
}

static inline bool client_read_all(struct client *client, void *data, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		struct pollfd fd = {.fd = client->fd, .events = POLLIN};

		ck_assert_msg(poll(&fd, 1, RIG_WAIT_MS) == 1, "the server does not answer");
		ssize_t n = recv(client->fd, (char *)data + done, bytes - done, 0);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* The next message; false if the server closed the connection. */
static inline bool client_receive(struct client *client)
{
	if (!client_read_all(client, &client->header, sizeof(client->header)))
		return false;
	client->bytes = client->header.size - sizeof(client->header);
	ck_assert_uint_le(client->bytes, sizeof(client->body));
	return client_read_all(client, client->body, client->bytes);
}

/* A command and its reply: 0 or the error's errno. */
static inline int client_call(struct client *client, uint16_t command, const void *body, size_t bytes, const int *fds,
			      unsigned count)
{
	client_send(client, command, 0, body, bytes, fds, count);
	ck_assert(client_receive(client));
	ck_assert_uint_eq(client->header.id, client->id);
	ck_assert_uint_eq(client->header.command, command);
	if (client->header.flags & VFU_FLAG_ERROR) {
		ck_assert_uint_eq(client->header.flags, 0x21);
		ck_assert_uint_eq(client->header.size, 16); /* an error reply is a header alone */
		ck_assert_uint_ne(client->header.error, 0);
		return (int)client->header.error;
	}
	ck_assert_uint_eq(client->header.flags, 0x01);
	return 0;
}

static inline void client_dial(struct client *client, const struct server *server)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(client, 0, sizeof(*client));
	strcpy(address.sun_path, server->path);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static inline int client_version(struct client *client, uint16_t major, uint16_t minor, const char *json)
{
	uint8_t body[512];
	struct vfu_version version = {.major = major, .minor = minor};
	size_t bytes = json ? strlen(json) + 1 : 0;

	memcpy(body, &version, sizeof(version));
	if (json)
		memcpy(body + sizeof(version), json, bytes);
	return client_call(client, VFU_VERSION, body, sizeof(version) + bytes, NULL, 0);
}

static inline void client_open(struct client *client, const struct server *server)
{
	client_dial(client, server);
	ck_assert_int_eq(client_version(client, 0, 0, CLIENT_JSON), 0);
}

/* ------------------------------------------------------------------ regions, memory, interrupts */

static inline int client_access(struct client *client, uint16_t command, uint32_t region, uint64_t offset,
				const void *data, uint32_t count)
{
	uint8_t body[4096 + sizeof(struct vfu_region_access)];
	struct vfu_region_access access = {offset, region, count};

	memcpy(body, &access, sizeof(access));
	if (data)
		memcpy(body + sizeof(access), data, count);
	return client_call(client, command, body, sizeof(access) + (data ? count : 0), NULL, 0);
}

static inline uint32_t client_read(struct client *client, uint32_t region, uint64_t offset, uint32_t count)
{
	uint32_t value = 0;

	ck_assert_int_eq(client_access(client, VFU_REGION_READ, region, offset, NULL, count), 0);
	ck_assert_uint_eq(client->bytes, sizeof(struct vfu_region_access) + count);
	memcpy(&value, client->body + sizeof(struct vfu_region_access), count);
	return value;
}

static inline void client_write(struct client *client, uint32_t region, uint64_t offset, uint32_t value, uint32_t count)
{
	ck_assert_int_eq(client_access(client, VFU_REGION_WRITE, region, offset, &value, count), 0);
	ck_assert_uint_eq(client->bytes, sizeof(struct vfu_region_access));
}

static inline uint32_t client_r(struct client *client, uint32_t offset)
{
	return client_read(client, VFU_REGION_BAR0, offset, 4);
}

static inline void client_w(struct client *client, uint32_t offset, uint32_t value)
{
	client_write(client, VFU_REGION_BAR0, offset, value, 4);
}

static inline int client_map(struct client *client, int fd, uint64_t offset, uint64_t address, uint64_t size,
			     uint32_t flags)
{
	struct vfu_dma_map map = {sizeof(map), flags, offset, address, size};

	return client_call(client, VFU_DMA_MAP, &map, sizeof(map), &fd, fd >= 0);
}

static inline int client_unmap(struct client *client, uint64_t address, uint64_t size, uint32_t flags)
{
	struct vfu_dma_unmap unmap = {sizeof(unmap), flags, address, size};
	int err = client_call(client, VFU_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0);

	if (!err) {
		ck_assert_uint_eq(client->bytes, sizeof(unmap));
		ck_assert_int_eq(memcmp(client->body, &unmap, sizeof(unmap)), 0);
	}
	return err;
}

static inline int client_irq(struct client *client, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
			     const int *fds, unsigned fd_count)
{
	struct vfu_irq_set set = {sizeof(set), flags, index, start, count};

	return client_call(client, VFU_DEVICE_SET_IRQS, &set, sizeof(set), fds, fd_count);
}

static inline void client_init_device(struct client *client)
{
	client_w(client, 0x20, 1);
	ck_assert_uint_eq(client_r(client, 0x20), 2);
	client_w(client, 0xc04, 0x1314);
	client_w(client, RIG_INTR_CTRL, 0x73d);
	client_w(client, 0x0, 0x1001);
	ck_assert_uint_eq(client_r(client, 0x18), 0);
}

static inline void client_dispatch(struct client *client, uint32_t address)
{
	client_w(client, 0x8, (uint32_t)(RIG_BASE >> 32));
	client_w(client, 0xc, (uint32_t)RIG_BASE + address);
	client_w(client, 0x0, 4);
}

/* Whether an eventfd fires within `ms`. */
static inline bool event_within(int fd, int ms)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	uint64_t count;

	return poll(&pollfd, 1, ms) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

#endif
