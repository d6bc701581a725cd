/* SPDX-License-Identifier: Apache-2.0 */
/* A scripted vfio-user server for tests: it runs in a thread, does what a test's script says, and believes nothing. */
#ifndef NPUD_TESTS_VFU_PEER_H
#define NPUD_TESTS_VFU_PEER_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/vfio/vfio.h"
#include "proto/vfio_user.h"
#include "tests/unit/suite.h"

#define PEER_BODY (128u << 10)

/* What the standard handshake answers; a test changes what it is about. */
struct peer_answers {
	uint16_t major, minor;
	const char *json; /* sent with its NUL */
	size_t json_bytes; /* 0 = strlen + 1 */
	bool twin; /* make a twin socket */
	uint32_t info_flags, regions, irqs;
	uint32_t class_revision;
	uint32_t region_flags;
	uint64_t region_size;
	bool long_replies; /* larger argsz, a sparse list, a descriptor nobody asked for */
	uint32_t irq_count[3]; /* INTx, MSI, MSI-X */
	uint32_t irq_flags;
	bool refuse_bind[3];
};

struct peer {
	char directory[32];
	char path[64];
	int listener;
	int fd; /* the connection */
	int twin;
	int irq_fd; /* the client's eventfd */
	uint32_t bound_index;
	pthread_t thread;
	struct peer_answers answers;
	void (*script)(struct peer *peer); /* after the handshake, unless it is `raw` */
	bool raw;
	void *user;
	sem_t go; /* test -> peer */
	sem_t reached; /* peer -> test */
	atomic_int flag;
	/* the last message received */
	struct vfu_header header;
	uint8_t body[PEER_BODY];
	uint32_t body_bytes;
	int fds[VFU_MAX_MSG_FDS];
	unsigned fd_count;
};

static inline unsigned open_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static inline bool readable(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	return poll(&pollfd, 1, 0) == 1;
}

/* ------------------------------------------------------------------ messages */

static inline void peer_drop_fds(struct peer *peer)
{
	while (peer->fd_count > 0)
		close(peer->fds[--peer->fd_count]);
}

/* false when the client hung up */
static inline bool peer_receive_on(struct peer *peer, int fd)
{
	char control[CMSG_SPACE(sizeof(int) * VFU_MAX_MSG_FDS)];
	struct iovec iov = {&peer->header, sizeof(peer->header)};
	struct msghdr msg = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};

	peer_drop_fds(peer);
	if (recvmsg(fd, &msg, MSG_WAITALL | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(peer->header))
		return false;
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS) {
		peer->fd_count = (unsigned)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(peer->fds, CMSG_DATA(cmsg), peer->fd_count * sizeof(int));
	}
	peer->body_bytes = peer->header.size - (uint32_t)sizeof(peer->header);
	if (peer->body_bytes > PEER_BODY)
		return false;
	return peer->body_bytes == 0 ||
	       recv(fd, peer->body, peer->body_bytes, MSG_WAITALL) == (ssize_t)peer->body_bytes;
}

static inline bool peer_receive(struct peer *peer)
{
	return peer_receive_on(peer, peer->fd);
}

static inline void peer_expect(struct peer *peer, uint16_t command)
{
	ck_assert_msg(peer_receive(peer), "the client hung up before command %u", command);
	ck_assert_uint_eq(peer->header.command, command);
	ck_assert_uint_eq(peer->header.flags & VFU_FLAG_TYPE_MASK, VFU_FLAG_COMMAND);
}

static inline void peer_send_on(int fd, const struct vfu_header *header, const void *body, size_t bytes, const int *fds,
				unsigned fd_count)
{
	char control[CMSG_SPACE(sizeof(int) * 32)] = {0};
	struct iovec iov[2] = {{(void *)(uintptr_t)header, sizeof(*header)}, {(void *)(uintptr_t)body, bytes}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = bytes ? 2 : 1};

	if (fd_count) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
	}
	(void)!sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static inline struct vfu_header reply_header(const struct peer *peer, size_t bytes)
{
	return (struct vfu_header){.id = peer->header.id,
				   .command = peer->header.command,
				   .size = (uint32_t)(sizeof(struct vfu_header) + bytes),
				   .flags = VFU_FLAG_REPLY};
}

static inline void peer_reply(struct peer *peer, const void *body, size_t bytes)
{
	struct vfu_header header = reply_header(peer, bytes);

	peer_send_on(peer->fd, &header, body, bytes, NULL, 0);
}

static inline void peer_reply_error(struct peer *peer, uint32_t error)
{
	struct vfu_header header = reply_header(peer, 0);

	header.flags |= VFU_FLAG_ERROR;
	header.error = error;
	peer_send_on(peer->fd, &header, NULL, 0, NULL, 0);
}

/* Answers the register read that was just received. */
static inline void peer_reply_read(struct peer *peer, uint32_t value)
{
	uint8_t body[20];

	memcpy(body, peer->body, 16);
	memcpy(body + 16, &value, 4);
	peer_reply(peer, body, sizeof(body));
}

/* ------------------------------------------------------------------ the standard handshake */

static inline void peer_version(struct peer *peer)
{
	const struct peer_answers *answers = &peer->answers;
	uint8_t body[8192];
	struct vfu_version version = {.major = answers->major, .minor = answers->minor};
	size_t bytes = answers->json_bytes ? answers->json_bytes : strlen(answers->json) + 1;
	int twin[2] = {-1, -1};

	peer_expect(peer, VFU_VERSION);
	memcpy(body, &version, sizeof(version));
	memcpy(body + sizeof(version), answers->json, bytes);
	struct vfu_header header = reply_header(peer, sizeof(version) + bytes);
	if (answers->twin)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, twin), 0);
	peer_send_on(peer->fd, &header, body, sizeof(version) + bytes, &twin[1], answers->twin);
	if (answers->twin)
		close(twin[1]);
	peer->twin = twin[0];
}

static inline void peer_answer_region(struct peer *peer)
{
	struct {
		struct vfu_region_info info;
		uint32_t sparse[12];
	} reply = {.info = {.argsz = 32, .flags = peer->answers.region_flags, .size = peer->answers.region_size}};
	size_t bytes = sizeof(reply.info);

	memcpy(&reply.info.index, peer->body + 8, 4);
	struct vfu_header header = reply_header(peer, bytes);
	if (!peer->answers.long_replies) {
		peer_send_on(peer->fd, &header, &reply, bytes, NULL, 0);
		return;
	}
	reply.info.argsz = sizeof(reply);
	reply.info.flags |= VFU_REGION_FLAG_MMAP | VFU_REGION_FLAG_CAPS;
	reply.info.cap_offset = 32;
	reply.sparse[0] = 1 | 1 << 16;
	reply.sparse[2] = 2;
	header = reply_header(peer, sizeof(reply));
	int fds[3] = {peer->listener, peer->listener, peer->listener};
	peer_send_on(peer->fd, &header, &reply, sizeof(reply), fds, 3);
}

static inline void peer_answer_irq(struct peer *peer)
{
	struct vfu_irq_info info;

	memcpy(&info, peer->body, sizeof(info));
	ck_assert_uint_le(info.index, VFU_IRQ_MSIX);
	info.argsz = sizeof(info);
	info.flags = peer->answers.irq_flags;
	info.count = peer->answers.irq_count[info.index];
	peer_reply(peer, &info, sizeof(info));
}

/* true when the interrupt is bound, which ends the handshake */
static inline bool peer_answer_bind(struct peer *peer)
{
	struct vfu_irq_set set;

	memcpy(&set, peer->body, sizeof(set));
	ck_assert_uint_eq(set.flags, VFU_IRQ_SET_DATA_EVENTFD | VFU_IRQ_SET_ACTION_TRIGGER);
	ck_assert_uint_eq(set.start, 0);
	ck_assert_uint_eq(set.count, 1);
	ck_assert_uint_eq(peer->fd_count, 1);
	if (peer->answers.refuse_bind[set.index]) {
		peer_reply_error(peer, ENOTSUP);
		return false;
	}
	peer->irq_fd = peer->fds[0];
	peer->bound_index = set.index;
	peer->fd_count = 0;
	peer_reply(peer, NULL, 0);
	return true;
}

static inline void peer_answer_config(struct peer *peer)
{
	struct vfu_region_access access;

	memcpy(&access, peer->body, sizeof(access));
	ck_assert_uint_eq(access.region, VFU_REGION_CONFIG);
	if (peer->header.command == VFU_REGION_WRITE)
		peer_reply(peer, peer->body, 16);
	else if (access.offset == 8)
		peer_reply_read(peer, peer->answers.class_revision);
	else
		peer_reply(peer, peer->body, 16 + access.count);
}

static inline void peer_answer_info(struct peer *peer)
{
	uint32_t info[8] = {16, peer->answers.info_flags, peer->answers.regions, peer->answers.irqs};

	if (peer->answers.long_replies)
		info[0] = 32;
	peer_reply(peer, info, info[0]);
}

/* Answers until the interrupt is armed; false when the client gave up before. */
static inline bool peer_handshake(struct peer *peer)
{
	peer_version(peer);
	while (peer_receive(peer)) {
		switch (peer->header.command) {
		case VFU_DEVICE_GET_INFO:
			peer_answer_info(peer);
			break;
		case VFU_DEVICE_GET_REGION_INFO:
			peer_answer_region(peer);
			break;
		case VFU_DEVICE_GET_IRQ_INFO:
			peer_answer_irq(peer);
			break;
		case VFU_DEVICE_SET_IRQS:
			if (peer_answer_bind(peer))
				return true;
			break;
		default:
			peer_answer_config(peer);
			break;
		}
	}
	return false;
}

/* ------------------------------------------------------------------ life */

static inline void *peer_run(void *user)
{
	struct peer *peer = user;

	peer->fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
	if (peer->fd < 0)
		return NULL;
	if ((peer->raw || peer_handshake(peer)) && peer->script)
		peer->script(peer);
	peer_drop_fds(peer);
	if (peer->fd >= 0)
		close(peer->fd);
	if (peer->twin >= 0)
		close(peer->twin);
	if (peer->irq_fd >= 0)
		close(peer->irq_fd);
	return NULL;
}

static inline struct peer *peer_new(void (*script)(struct peer *peer))
{
	struct peer *peer = calloc(1, sizeof(*peer));

	ck_assert_ptr_nonnull(peer);
	peer->answers = (struct peer_answers){.minor = 1,
					      .json = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":"
						      "65536,\"pgsizes\":4096,\"max_dma_maps\":8,\"future\":[1]}}",
					      .info_flags = VFU_DEVICE_FLAG_PCI | VFU_DEVICE_FLAG_RESET,
					      .regions = 9,
					      .irqs = 5,
					      .class_revision = 0x12000001,
					      .region_flags = VFU_REGION_FLAG_READ | VFU_REGION_FLAG_WRITE,
					      .region_size = 0x10000,
					      .irq_count = {1, 0, 4},
					      .irq_flags = VFU_IRQ_INFO_EVENTFD};
	peer->script = script;
	peer->fd = peer->twin = peer->irq_fd = -1;
	sem_init(&peer->go, 0, 0);
	sem_init(&peer->reached, 0, 0);
	snprintf(peer->directory, sizeof(peer->directory), "/tmp/vfu-peer-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(peer->directory));
	snprintf(peer->path, sizeof(peer->path), "%s/s", peer->directory);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, peer->path, sizeof(peer->path));
	peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(peer->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(peer->listener, 1), 0);
	return peer;
}

static inline void peer_start(struct peer *peer)
{
	ck_assert_int_eq(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
}

static inline void peer_free(struct peer *peer)
{
	pthread_join(peer->thread, NULL);
	close(peer->listener);
	unlink(peer->path);
	rmdir(peer->directory);
	sem_destroy(&peer->go);
	sem_destroy(&peer->reached);
	free(peer);
}

/* Open against a started peer. */
static inline struct vfio_device *peer_open(struct peer *peer)
{
	struct vfio_device *device = NULL;
	char why[256] = "";

	peer_start(peer);
	ck_assert_msg(vfio_user_open(peer->path, NULL, &device, why, sizeof(why)) == 0, "%s", why);
	return device;
}

static unsigned fds_before;

static inline void count_fds(void)
{
	fds_before = open_fds();
}

static inline void no_fd_left(void)
{
	ck_assert_uint_eq(open_fds(), fds_before);
}

/* Serves register reads with 0x1234 until the client hangs up. */
static inline void serve_reads(struct peer *peer)
{
	while (peer_receive(peer))
		if (!(peer->header.flags & VFU_FLAG_NO_REPLY))
			peer_reply_read(peer, 0x1234);
}

static inline int memfd_of(size_t bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

#endif
