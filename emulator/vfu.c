/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's life: one instance per socket path, one client at a time, and nothing of a client left when it is gone.
 */
#include "emulator/vfu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "emulator/log.h"

#define VFU_MESSAGES_PER_TURN 64

/* The lock outlives crashes as a file but not as a lock; whoever holds it may remove a stale socket. */
static int vfu_lock(struct vfu *vfu)
{
	struct stat mine, there;

	for (int attempt = 0; attempt < 10; attempt++) {
		int fd = open(vfu->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			int err = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;

			(void)close(fd);
			return err;
		}
		/* The last owner may have removed the file between our open and our lock. */
		if (!fstat(fd, &mine) && !stat(vfu->lock_path, &there) && mine.st_ino == there.st_ino) {
			vfu->lock_fd = fd;
			return 0;
		}
		(void)close(fd);
	}
	return -EAGAIN;
}

static int vfu_listen(struct vfu *vfu)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, vfu->path, sizeof(address.sun_path));
	vfu->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (vfu->listen_fd < 0)
		return -errno;
	(void)unlink(vfu->path);
	if (bind(vfu->listen_fd, (struct sockaddr *)&address, sizeof(address)) || listen(vfu->listen_fd, 1)) {
		int err = -errno;

		(void)close(vfu->listen_fd);
		vfu->listen_fd = -1;
		return err;
	}
	return 0;
}

static void vfu_irq(void *ctx, bool level, bool pulse)
{
	const struct vfu *vfu = ctx;

	pci_interrupt(vfu->pci, level, pulse);
}

int vfu_init(struct vfu *vfu, const char *path, struct device *device, struct pci *pci, struct dma *dma)
{
	*vfu = (struct vfu){.device = device,
			    .pci = pci,
			    .dma = dma,
			    .lock_fd = -1,
			    .listen_fd = -1,
			    .client_fd = -1,
			    .wake_fd = -1,
			    .control_fd = -1};
	if (strlen(path) >= sizeof(vfu->path))
		return -ENAMETOOLONG;
	memcpy(vfu->path, path, strlen(path));
	(void)snprintf(vfu->lock_path, sizeof(vfu->lock_path), "%s.lock", path);
	int err = vfu_dma_init(vfu);

	if (err)
		return err;
	vfu->inbox.body = malloc(VFU_MAX_BODY);
	vfu->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!vfu->inbox.body)
		err = -ENOMEM;
	else if (vfu->wake_fd < 0)
		err = -errno;
	else
		err = vfu_lock(vfu);
	err = err ? err : vfu_listen(vfu);
	if (err) {
		vfu_destroy(vfu);
		return err;
	}
	device->irq = vfu_irq;
	device->irq_ctx = vfu;
	return 0;
}

static void vfu_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void vfu_destroy(struct vfu *vfu)
{
	vfu->device->irq = NULL;
	if (vfu->listen_fd >= 0)
		(void)unlink(vfu->path);
	if (vfu->lock_fd >= 0)
		(void)unlink(vfu->lock_path);
	vfu_close(&vfu->listen_fd);
	vfu_close(&vfu->lock_fd);
	vfu_close(&vfu->wake_fd);
	vfu_dma_destroy(vfu);
	free(vfu->inbox.body);
	vfu->inbox.body = NULL;
}

static void vfu_accept(struct vfu *vfu)
{
	int fd = accept4(vfu->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	vfu->client_fd = fd;
	vfu->negotiated = vfu->dead = false;
	vfu->peer_xfer = VFU_DEFAULT_MAX_DATA_XFER;
	vfu_dma_connected(vfu, true);
	emu_log(EMU_LOG_INFO, "client connected");
}

/* The client is gone: stop what runs for it, then forget its memory, its eventfds and what it left in the device. */
static void vfu_drop(struct vfu *vfu)
{
	if (vfu->client_fd < 0)
		return;
	vfu_dma_connected(vfu, false);
	device_reset(vfu->device);
	dma_map_clear(vfu->dma, vfu_dma_fail_all, vfu);
	pci_release(vfu->pci);
	pci_reset(vfu->pci);
	vfu_inbox_reset(&vfu->inbox);
	vfu_close(&vfu->client_fd);
	emu_log(EMU_LOG_INFO, "client gone, device reset");
}

static void vfu_serve(struct vfu *vfu)
{
	for (int i = 0; i < VFU_MESSAGES_PER_TURN && !vfu->dead; i++) {
		int got = vfu_receive(vfu);

		if (got < 0)
			vfu->dead = true;
		if (got <= 0)
			return;
		vfu_handle(vfu);
	}
}

static bool vfu_turn(struct vfu *vfu)
{
	enum { CONTROL, WAKE, UNMASK, SOCKET, COUNT };
	/* Between messages no reply is owed: only then may programs ask the client for memory. */
	struct pollfd fd[COUNT] = {{.fd = vfu->control_fd, .events = POLLIN},
				   {.fd = vfu->inbox.header_got ? -1 : vfu->wake_fd, .events = POLLIN},
				   {.fd = pci_unmask_fd(vfu->pci), .events = POLLIN},
				   {.fd = vfu->client_fd >= 0 ? vfu->client_fd : vfu->listen_fd, .events = POLLIN}};
	uint64_t count;

	if (poll(fd, COUNT, -1) < 0)
		return errno == EINTR;
	if (fd[CONTROL].revents && vfu->control(vfu->control_ctx))
		return false;
	if (fd[UNMASK].revents & POLLIN)
		pci_unmask_event(vfu->pci);
	if (fd[SOCKET].revents && vfu->client_fd < 0)
		vfu_accept(vfu);
	else if (fd[SOCKET].revents)
		vfu_serve(vfu);
	if (fd[WAKE].revents && vfu->inbox.header_got == 0 && read(vfu->wake_fd, &count, sizeof(count)) > 0 &&
	    vfu->client_fd >= 0)
		vfu_dma_send(vfu);
	if (vfu->dead) {
		vfu_drop(vfu);
		vfu->dead = false;
	}
	return true;
}

int vfu_run(struct vfu *vfu)
{
	while (vfu_turn(vfu))
		;
	vfu_drop(vfu);
	return 0;
}
