/* SPDX-License-Identifier: Apache-2.0 */
/* flock(2) on a file beside what it guards. The file stays: removing it would let two processes hold "the" lock. */
#include "daemon/util/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>

#include "daemon/util/cleanup.h"

int lockfile_take(const char *path, const char *suffix)
{
	char name[PATH_MAX];
	int bytes = snprintf(name, sizeof(name), "%s%s", path, suffix);

	if (bytes < 0 || (size_t)bytes >= sizeof(name))
		return -ENAMETOOLONG;
	_cleanup_close_ int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return steal_fd(&fd);
}
