/* SPDX-License-Identifier: Apache-2.0 */
/* Who is on the other end of a socket, as the kernel says it at accept. Never asks the peer. */
#ifndef NPUD_WIRE_PEER_H
#define NPUD_WIRE_PEER_H

#include "daemon/core/session.h"

/* Credentials, and the rights that the rules give them. */
int peer_identity(int fd, const struct rights_rules *rules, struct session_identity *out);

/* Of the process that connected; -1 where the kernel has none. */
int peer_pidfd(int fd, pid_t pid);

#endif
