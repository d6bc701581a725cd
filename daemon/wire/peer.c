/* SPDX-License-Identifier: Apache-2.0 */
/* SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD; see peer.h. */
#include "daemon/wire/peer.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/util/cleanup.h"
#include "daemon/wire/cgroup.h"

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

int peer_credentials(int fd, struct session_identity *out)
{
	struct ucred credentials;
	socklen_t bytes = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) < 0)
		return -errno;
	*out = (struct session_identity){.uid = credentials.uid, .gid = credentials.gid, .pid = credentials.pid};
	return 0;
}

/*
 * By number only where the kernel does not know the option (before 6.5): the number may have been used again, and what
 * /proc could say against that is hidden from npud. Until 6.15, EINVAL is how it says that the process has ended.
 */
int peer_pidfd(int fd, pid_t pid, bool *exact)
{
	int pidfd = -1;
	socklen_t bytes = sizeof(pidfd);

	*exact = getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &bytes) == 0;
	if (*exact)
		return pidfd;
	if (errno != ENOPROTOOPT)
		return errno == EINVAL ? -ESRCH : -errno;
	if (pid <= 0) /* of a namespace that is none of ours */
		return -ENOPROTOOPT;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return pidfd < 0 ? -errno : pidfd;
}

static const char *peer_cgroup(int pidfd, const struct session_identity *identity, char text[CGROUP_TEXT_BYTES])
{
	const char *why = "";
	const char *path = cgroup_of(identity->pid, pidfd, text, &why);

	if (!path)
		log_peer_event(identity->uid, LOG_LEVEL_WARN, "connection.no_cgroup", LOG_U64("uid", identity->uid),
			       LOG_U64("pid", (uint64_t)identity->pid), LOG_STR("reason", why));
	return path;
}

void peer_identify(int fd, int pidfd, const struct host_options *options, struct session_identity *identity)
{
	_cleanup_free_ uint32_t *groups = NULL;
	char text[CGROUP_TEXT_BYTES];
	size_t count = peer_groups(fd, &groups);
	struct rights_subject subject = {identity->uid, identity->gid, groups, count, NULL};

	if (tenants_name_cgroups(&options->tenants))
		subject.cgroup = peer_cgroup(pidfd, identity, text);
	identity->profile = tenants_find(&options->tenants, &options->rights, &subject);
	if (identity->profile)
		identity->rights = tenants_rights(identity->profile, &options->rights, &subject);
}
