/* SPDX-License-Identifier: Apache-2.0 */
/* Who is on the other end of a socket, as the kernel says it at accept. Never asks the peer. */
#ifndef NPUD_WIRE_PEER_H
#define NPUD_WIRE_PEER_H

#include "daemon/core/host.h"
#include "daemon/core/session.h"

/* User, group and process. 0 or a negative errno. */
int peer_credentials(int fd, struct session_identity *out);

/* Of the process that connected; -1 where the kernel has none. `exact`: it cannot be of another process. */
int peer_pidfd(int fd, pid_t pid, bool *exact);

/* To credentials, what the rules make of them: tenant and rights. `pidfd` is exact, or -1. */
void peer_identify(int fd, int pidfd, const struct host_options *options, struct session_identity *identity);

#endif
