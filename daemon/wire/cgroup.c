/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/cgroup, guarded by a pidfd; see cgroup.h. */
#include "daemon/wire/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/util/cleanup.h"

#define V2_HEAD "0::"

const char *cgroup_parse(char *text, size_t bytes)
{
	char *line = text;

	/* Version 1 hierarchies have lines, too. A line that was cut off is none. */
	for (char *end; (end = memchr(line, '\n', bytes - (size_t)(line - text))); line = end + 1) {
		*end = '\0';
		if (strncmp(line, V2_HEAD, strlen(V2_HEAD)) == 0 && line[strlen(V2_HEAD)] == '/')
			return line + strlen(V2_HEAD);
	}
	return NULL;
}

/* All of the file, or a negative errno. */
static ssize_t read_text(pid_t pid, char text[CGROUP_TEXT_BYTES])
{
	char name[64];
	size_t used = 0;

	if (snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)pid) < 0)
		return -EINVAL;
	_cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (used < CGROUP_TEXT_BYTES) {
		ssize_t count = read(fd, text + used, CGROUP_TEXT_BYTES - used);
		if (count < 0)
			return -errno;
		if (count == 0)
			return (ssize_t)used;
		used += (size_t)count;
	}
	return -EFBIG;
}

/* Readable once the process has ended. Needs no permission, unlike a signal. */
static bool is_alive(int pidfd)
{
	struct pollfd pollfd = {.fd = pidfd, .events = POLLIN};

	return poll(&pollfd, 1, 0) == 0;
}

const char *cgroup_of(pid_t pid, int pidfd, char text[CGROUP_TEXT_BYTES], const char **why)
{
	if (pidfd < 0 || pid <= 0) {
		*why = "the kernel does not tell which process connected (SO_PEERPIDFD)";
		return NULL;
	}
	ssize_t bytes = read_text(pid, text);
	/* Asked after the read: while it lived, the number was its own. */
	if (!is_alive(pidfd)) {
		*why = "the process has ended";
		return NULL;
	}
	if (bytes < 0) {
		*why = "its /proc/PID/cgroup cannot be read; under systemd, npud.service needs ProtectProc=default";
		return NULL;
	}
	const char *path = cgroup_parse(text, (size_t)bytes);
	if (!path)
		*why = "it is in no cgroup of version 2";
	return path;
}
