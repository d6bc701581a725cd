/* SPDX-License-Identifier: Apache-2.0 */
/* A bare connection to npud for what libnpu does not offer to applications: one request, one reply. */
#ifndef NPUD_TOOLS_WIRE_H
#define NPUD_TOOLS_WIRE_H

#include "npud.pb-c.h"
#include "tools/reason.h"

/* Connects and says hello; returns the descriptor. NULL means $NPU_SOCKET, else the default. */
int wire_connect(const char *path, struct reason *why);

/* Sends @request and waits for its reply, which the caller frees with npud__server_frame__free_unpacked(). */
int wire_call(int fd, Npud__Request *request, Npud__ServerFrame **out, struct reason *why);

#endif
