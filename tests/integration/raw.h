/* SPDX-License-Identifier: Apache-2.0 */
/* A client without the library: whatever frames a test wants to send. */
#ifndef NPUD_TESTS_RAW_H
#define NPUD_TESTS_RAW_H

#include <stddef.h>
#include <stdint.h>

#include "npud.pb-c.h"
#include "tests/integration/harness.h"

/* Connected, nothing said. */
int raw_connect(const struct harness *harness);
/* Bytes as they are, with descriptors. 0 or -errno. */
int raw_send_bytes(int fd, const void *data, size_t bytes, const int *fds, unsigned fd_count);
int raw_send(int fd, const Npud__Request *request, int passed_fd);
/* The next frame (npud__server_frame__free_unpacked), NULL when the daemon closed the connection. */
Npud__ServerFrame *raw_receive(int fd);
/* Send and receive, asserting a reply to this serial; events in between are dropped. */
Npud__ServerFrame *raw_call(int fd, Npud__Request *request, int passed_fd);
/* Connected and greeted. */
int raw_open(const struct harness *harness);
/* The same under another name than "test". */
int raw_open_as(const struct harness *harness, const char *client);
void raw_free(Npud__ServerFrame *frame);

#endif
