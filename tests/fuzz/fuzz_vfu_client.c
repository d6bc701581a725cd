/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's vfio-user client against a hostile server: whatever the bytes, every call returns, a failure has a
 * reason, and no descriptor is left over.
 *
 * Input: steps of the server, each a byte `kind` (low 3 bits; bit 7: send a descriptor along), a u16 length and that
 * many bytes. When the steps are used up the server hangs up, so nothing ever waits for a deadline.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/vfio/vfio.h"
#include "proto/vfio_user.h"
#include "tests/fuzz/fuzz.h"

enum step { STEP_RAW, STEP_REPLY, STEP_REPLY_ERROR, STEP_REQUEST, STEP_REPLY_SHORT };

#define STEP_FD 0x80u
#define MAX_MESSAGE 4096u

static struct {
	int listener;
	const uint8_t *data;
	size_t size;
	struct sockaddr_un address;
} server;

static void send_bytes(int fd, const void *data, size_t bytes, bool with_fd)
{
	struct iovec iov = {(void *)(uintptr_t)data, bytes};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (with_fd) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	if (bytes && sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* the client is gone or does not read: both are its right */
}

static bool recv_bytes(int fd, void *data, size_t bytes)
{
	return bytes == 0 || recv(fd, data, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

/* The client's next command that wants an answer. */
static bool next_command(int fd, struct vfu_header *header)
{
	static uint8_t body[65536 + 64];

	do {
		if (!recv_bytes(fd, header, sizeof(*header)))
			return false;
		require(header->size >= sizeof(*header) && header->size - sizeof(*header) <= sizeof(body));
		if (!recv_bytes(fd, body, header->size - sizeof(*header)))
			return false;
	} while ((header->flags & VFU_FLAG_TYPE_MASK) == VFU_FLAG_REPLY || (header->flags & VFU_FLAG_NO_REPLY));
	return true;
}

static void reply(int fd, uint8_t kind, const uint8_t *body, size_t bytes)
{
	uint8_t message[sizeof(struct vfu_header) + MAX_MESSAGE];
	struct vfu_header header;

	if (bytes > MAX_MESSAGE || !next_command(fd, &header))
		return;
	header.flags = VFU_FLAG_REPLY;
	header.error = 0;
	if ((kind & 7) == STEP_REPLY_ERROR) {
		header.flags |= VFU_FLAG_ERROR;
		header.error = bytes ? body[0] : 0;
		bytes = 0;
	}
	header.size = (uint32_t)(sizeof(header) + bytes);
	if ((kind & 7) == STEP_REPLY_SHORT && bytes)
		header.size--;
	memcpy(message, &header, sizeof(header));
	if (bytes)
		memcpy(message + sizeof(header), body, bytes);
	send_bytes(fd, message, sizeof(header) + bytes, kind & STEP_FD);
}

/* The first byte of the step's bytes is the command, the rest its body. */
static void request(int fd, uint8_t kind, const uint8_t *body, size_t bytes)
{
	uint8_t message[sizeof(struct vfu_header) + MAX_MESSAGE];
	struct vfu_header header = {.id = 7, .flags = VFU_FLAG_COMMAND};

	if (bytes == 0 || bytes - 1 > MAX_MESSAGE)
		return;
	header.command = body[0];
	header.size = (uint32_t)(sizeof(header) + bytes - 1);
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), body + 1, bytes - 1);
	send_bytes(fd, message, sizeof(header) + bytes - 1, kind & STEP_FD);
}

static void *serve(void *unused)
{
	int fd = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC);

	for (size_t at = 0; fd >= 0 && server.size - at >= 3;) {
		uint8_t kind = server.data[at];
		size_t bytes = (size_t)server.data[at + 1] | (size_t)server.data[at + 2] << 8;
		at += 3;
		if (bytes > server.size - at)
			bytes = server.size - at;
		const uint8_t *body = server.data + at;
		at += bytes;
		if ((kind & 7) == STEP_RAW)
			send_bytes(fd, body, bytes, kind & STEP_FD);
		else if ((kind & 7) == STEP_REQUEST)
			request(fd, kind, body, bytes);
		else
			reply(fd, kind, body, bytes);
	}
	if (fd >= 0)
		close(fd);
	return unused;
}

static void remove_folder(void)
{
	unlink(server.address.sun_path);
	*strrchr(server.address.sun_path, '/') = '\0';
	rmdir(server.address.sun_path);
}

static void listen_once(void)
{
	char folder[] = "/tmp/npud-fuzz.XXXXXX";

	if (server.listener > 0)
		return;
	require(mkdtemp(folder) != NULL);
	server.address.sun_family = AF_UNIX;
	snprintf(server.address.sun_path, sizeof(server.address.sun_path), "%s/s", folder);
	server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	require(server.listener > 0);
	require(bind(server.listener, (struct sockaddr *)&server.address, sizeof(server.address)) == 0);
	require(listen(server.listener, 8) == 0);
	require(atexit(remove_folder) == 0);
}

/* Everything that the daemon does with an open device. */
static void use(struct vfio_device *device, int memory)
{
	uint32_t value = 0;
	int rc = device->ops->map(device, NULL, memory, 0, (iova_t){0x100000000}, device->page_bytes,
				  VFIO_READ | VFIO_WRITE);

	require(rc <= 0);
	require(device->ops->map(device, NULL, memory, 0, (iova_t){0x200000000}, 0, VFIO_READ) < 0);
	for (uint32_t offset = 0; offset < 0x60; offset += 0x10) {
		if (device->ops->reg_write(device, offset, offset) == 0)
			rc = device->ops->reg_read(device, offset, &value);
		require(rc <= 0);
	}
	device->ops->irq_unmask(device);
	device->ops->reset(device);
	device->ops->unmap(device, NULL, (iova_t){0x100000000}, device->page_bytes);
	require(device->mappings <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vfio_user_options options = {.deadline_ns = 10000000, .connect_ns = 1000000000};
	struct vfio_device *device = NULL;
	char why[256] = "";
	pthread_t thread;

	listen_once();
	int before = dup(STDERR_FILENO);
	close(before);
	server.data = data;
	server.size = size;
	require(pthread_create(&thread, NULL, serve, NULL) == 0);
	int memory = memfd_create("fuzz", MFD_CLOEXEC);
	require(memory >= 0 && ftruncate(memory, 1 << 20) == 0);
	int rc = vfio_user_open(server.address.sun_path, &options, &device, why, sizeof(why));
	if (rc == 0)
		use(device, memory);
	else
		require(why[0] != '\0' && memchr(why, 0, sizeof(why)) != NULL);
	vfio_close(device);
	close(memory);
	pthread_join(thread, NULL);
	int after = dup(STDERR_FILENO);
	close(after);
	require(before == after);
	return 0;
}
