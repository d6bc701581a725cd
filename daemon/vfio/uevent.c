/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink messages of the kernel about devices; see uevent.h. Believes only what the kernel itself sent. */
#include "daemon/vfio/uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/util/cleanup.h"

#define KERNEL_GROUP 1u /* 2 is what udev says */
#define MESSAGES 64 /* at a time; the descriptor stays readable for the rest */

int uevent_open(void)
{
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return steal_fd(&fd);
}

/* "remove@/devices/platform/10000000.npu/vfio-dev/vfio0", NUL, then keys. */
bool uevent_is_removal(const char *message, size_t bytes, const char *address)
{
	static const char action[] = "remove@";
	char part[128];

	if (bytes < sizeof(action) || strnlen(message, bytes) == bytes ||
	    strncmp(message, action, sizeof(action) - 1) != 0)
		return false;
	if (snprintf(part, sizeof(part), "/%s/vfio-dev/", address) >= (int)sizeof(part))
		return false;
	return strstr(message, part) != NULL;
}

bool uevent_removed(int fd, const char *address)
{
	char message[4096];
	bool removed = false;

	for (int i = 0; i < MESSAGES; i++) {
		struct sockaddr_nl sender = {0};
		socklen_t length = sizeof(sender);
		ssize_t bytes = recvfrom(fd, message, sizeof(message), 0, (struct sockaddr *)&sender, &length);
		/* ENOBUFS: messages were lost; the next ones are read. */
		if (bytes < 0 && errno != ENOBUFS && errno != EINTR)
			break;
		if (bytes > 0 && sender.nl_pid == 0)
			removed |= uevent_is_removal(message, (size_t)bytes, address);
	}
	return removed;
}
