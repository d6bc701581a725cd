/* SPDX-License-Identifier: Apache-2.0 */
/* SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD; see peer.h. */
#include "daemon/wire/peer.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/util/cleanup.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

_Static_assert(sizeof(gid_t) == sizeof(uint32_t) && sizeof(uid_t) == sizeof(uint32_t), "rights are about such numbers");

/* How many there are, the caller's to free. A peer whose groups cannot be told has none: fewer rights, never more. */
static size_t peer_groups(int fd, uint32_t **out)
{
	socklen_t bytes = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &bytes) == 0 || errno != ERANGE)
		return 0;
	_cleanup_free_ uint32_t *groups = malloc(bytes);
	if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) < 0)
		return 0;
	*out = groups;
	groups = NULL;
	return bytes / sizeof(**out);
}

int peer_identity(int fd, const struct rights_rules *rules, struct session_identity *out)
{
	_cleanup_free_ uint32_t *groups = NULL;
	struct ucred credentials;
	socklen_t bytes = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) < 0)
		return -errno;
	size_t count = peer_groups(fd, &groups);
	struct rights_subject subject = {credentials.uid, credentials.gid, groups, count};
	*out = (struct session_identity){credentials.uid, credentials.gid, credentials.pid, rights_of(rules, &subject)};
	return 0;
}

/* By number only where the kernel cannot tell: then a pid may have been used again. */
int peer_pidfd(int fd, pid_t pid)
{
	int pidfd = -1;
	socklen_t bytes = sizeof(pidfd);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &bytes) == 0)
		return pidfd;
	return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}
