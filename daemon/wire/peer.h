/* SPDX-License-Identifier: Apache-2.0 */
/* Who is on the other end of a socket, as the kernel says it at accept. Never asks the peer. */
#ifndef NPUD_WIRE_PEER_H
#define NPUD_WIRE_PEER_H

#include "daemon/core/host.h"
#include "daemon/core/session.h"

/* User, group and process. 0 or a negative errno. */
int peer_credentials(int fd, struct session_identity *out);

/*
 * Of the process that connected, or a negative errno: -ESRCH if it has ended, any other if nobody will say when it
 * ends. `exact`: it cannot be of another process.
 */
int peer_pidfd(int fd, pid_t pid, bool *exact);

/* To credentials, what the rules make of them: tenant and rights. `pidfd` is exact, or negative. */
void peer_identify(int fd, int pidfd, const struct host_options *options, struct session_identity *identity);

#endif
