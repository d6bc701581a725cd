/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software NPU against a hostile client: whatever it sends, maps, writes into registers or lets the device run, the
 * server goes on to serve the next one, and keeps nothing of the last.
 *
 * Input: steps of the client, each a byte `kind` (low 3 bits; bit 7: send the memory's descriptor along), a u16 length
 * and that many bytes. The memory is 1 MiB; what it holds can be mapped and run.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "emulator/device.h"
#include "emulator/pci.h"
#include "emulator/vfu.h"
#include "tests/fuzz/fuzz.h"

/* bytes as they are; into the memory at a u16 offset in 16-byte units; a message: command, flags, body; a moment's rest
 */
enum step { STEP_RAW, STEP_MEMORY, STEP_MESSAGE, STEP_REST };

#define STEP_FD 0x80u
#define MEMORY_BYTES (1u << 20)
#define REST_US 300u
#define MAX_RESTS 4
#define MAX_OPEN_FDS 64

static struct {
	struct vfu vfu;
	struct pci pci;
	struct dma *dma;
	struct device *device;
	struct sockaddr_un address;
} emu;

static void *serve(void *unused)
{
	(void)vfu_run(&emu.vfu);
	return unused;
}

static void remove_folder(void)
{
	char lock[sizeof(emu.address.sun_path) + 8];

	snprintf(lock, sizeof(lock), "%s.lock", emu.address.sun_path);
	unlink(lock);
	unlink(emu.address.sun_path);
	*strrchr(emu.address.sun_path, '/') = '\0';
	rmdir(emu.address.sun_path);
}

/* One server for all inputs: what one client leaves behind, the next one would find. */
static void start_once(void)
{
	const struct device_options options = {.cores = 3, .threads = 2, .gm_mib = 1, .time = TIME_VIRTUAL};
	char folder[] = "/tmp/npud-fuzz.XXXXXX";
	pthread_t thread;

	if (emu.device)
		return;
	require(mkdtemp(folder) != NULL);
	emu.address.sun_family = AF_UNIX;
	snprintf(emu.address.sun_path, sizeof(emu.address.sun_path), "%s/s", folder);
	require(dma_install_sigbus() == 0);
	emu.dma = dma_new();
	require(emu.dma != NULL);
	require(device_new(&options, emu.dma, &emu.device) == 0);
	require(pci_init(&emu.pci, true) == 0);
	require(vfu_init(&emu.vfu, emu.address.sun_path, emu.device, &emu.pci, emu.dma) == 0);
	require(atexit(remove_folder) == 0);
	require(pthread_create(&thread, NULL, serve, NULL) == 0);
	pthread_detach(thread);
}

/* Replies are read so that the server never has to wait for us; what they say is its business. */
static void drain(int fd, int flags)
{
	static uint8_t sink[65536];

	while (recv(fd, sink, sizeof(sink), flags) > 0)
		;
}

static void send_step(int fd, int memory, uint8_t kind, const void *data, size_t bytes)
{
	struct iovec iov = {(void *)(uintptr_t)data, bytes};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (kind & STEP_FD) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &memory, sizeof(memory));
	}
	if (bytes && sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* it has hung up on us */
}

static void send_message(int fd, int memory, uint8_t kind, const uint8_t *data, size_t bytes)
{
	uint8_t message[sizeof(struct vfu_header) + 4096];
	struct vfu_header header = {.id = 1};

	if (bytes < 2 || bytes - 2 > 4096)
		return;
	header.command = data[0];
	header.flags = data[1];
	header.size = (uint32_t)(sizeof(header) + bytes - 2);
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), data + 2, bytes - 2);
	send_step(fd, memory, kind, message, header.size);
}

static void fill_memory(int memory, const uint8_t *data, size_t bytes)
{
	if (bytes < 2)
		return;
	off_t offset = (off_t)((data[0] | data[1] << 8) * 16);
	if ((size_t)offset + bytes <= MEMORY_BYTES)
		require(pwrite(memory, data + 2, bytes - 2, offset) == (ssize_t)(bytes - 2));
}

static void play(int fd, int memory, const uint8_t *data, size_t size)
{
	unsigned rests = 0;

	for (size_t at = 0; size - at >= 3;) {
		uint8_t kind = data[at];
		size_t bytes = (size_t)data[at + 1] | (size_t)data[at + 2] << 8;
		at += 3;
		if (bytes > size - at)
			bytes = size - at;
		switch (kind & 7) {
		case STEP_RAW:
			send_step(fd, memory, kind, data + at, bytes);
			break;
		case STEP_MEMORY:
			fill_memory(memory, data + at, bytes);
			break;
		case STEP_MESSAGE:
			send_message(fd, memory, kind, data + at, bytes);
			break;
		default:
			if (rests++ < MAX_RESTS)
				usleep(REST_US);
		}
		at += bytes;
		drain(fd, MSG_DONTWAIT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Long enough for any machine, short enough to be found: a server that stops serving is what we look for. */
	struct timeval patience = {.tv_sec = 5};

	start_once();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	require(fd >= 0);
	require(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	require(connect(fd, (struct sockaddr *)&emu.address, sizeof(emu.address)) == 0);
	int memory = memfd_create("fuzz", MFD_CLOEXEC);
	require(memory >= 0 && memory < MAX_OPEN_FDS && ftruncate(memory, MEMORY_BYTES) == 0);
	play(fd, memory, data, size);
	shutdown(fd, SHUT_WR);
	uint8_t byte;
	ssize_t n;
	do
		n = recv(fd, &byte, 1, 0);
	while (n > 0);
	require(n == 0 || errno != EAGAIN);
	close(memory);
	close(fd);
	return 0;
}
