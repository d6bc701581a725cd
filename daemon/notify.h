/* SPDX-License-Identifier: Apache-2.0 */
/* What systemd wants to hear and may hand over: readiness, and listening sockets. */
#ifndef NPUD_NOTIFY_H
#define NPUD_NOTIFY_H

/* Sends `state` ("READY=1") to $NOTIFY_SOCKET; nothing happens without one. */
void notify_send(const char *state);

/* The listening socket that systemd passed: its fd, -ENOENT if none was, -EINVAL if it is not what we listen on. */
int notify_listen_fd(void);

#endif
