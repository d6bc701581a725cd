/* SPDX-License-Identifier: Apache-2.0 */
/* A client without the library: whatever frames a test wants to send. */
#ifndef NPUD_TESTS_RAW_H
#define NPUD_TESTS_RAW_H

#include <stddef.h>
#include <stdint.h>

#include "npud.pb-c.h"
#include "tests/integration/harness.h"

#define RAW_MAX_FDS 253u /* SCM_MAX_FD: more the kernel does not pass at a time */

/* Connected, nothing said. */
int raw_connect(const struct harness *harness);
/* Bytes as they are, with descriptors. 0 or -errno. */
int raw_send_bytes(int fd, const void *data, size_t bytes, const int *fds, unsigned fd_count);
int raw_send(int fd, const Npud__Request *request, int passed_fd);
/* The next frame (npud__server_frame__free_unpacked), NULL when the daemon closed the connection. */
Npud__ServerFrame *raw_receive(int fd);
/* Send and receive, asserting a reply to this serial; events in between are dropped. */
Npud__ServerFrame *raw_call(int fd, Npud__Request *request, int passed_fd);
/* One with this body, which is still to be set. */
Npud__Request raw_request(Npud__Request__BodyCase body);
/* The greeting, asserting success. */
void raw_hello(int fd, const char *name);
/* Connected and greeted. */
int raw_open(const struct harness *harness);
/* The same under another name than "test". */
int raw_open_as(const struct harness *harness, const char *client);
void raw_free(Npud__ServerFrame *frame);

/* The daemon answers ERROR_PROTOCOL, or nothing, and hangs up. */
void raw_expect_closed(int fd);
/* The code of the error reply, 0 for success; the connection has to stay usable. */
Npud__ErrorCode raw_code(int fd, Npud__Request *request, int passed_fd);
#define ASSERT_CODE(fd, request, passed, wanted)                                                                       \
	do {                                                                                                           \
		Npud__ErrorCode code_ = raw_code(fd, request, passed);                                                 \
		ck_assert_msg(code_ == (wanted), "%s: error %d, not %d", #request, code_, wanted);                     \
	} while (0)

/* A memfd as an import wants it: populated. */
int raw_memory(size_t bytes, int seals);
Npud__ErrorCode raw_import(int fd, int file, uint64_t offset, uint64_t bytes, uint64_t align, bool read_only);
/* Of new memory. */
uint64_t raw_import_handle(int fd, size_t bytes, bool read_only);
/* The new job, or 0 and why not. */
uint64_t raw_job_begin(int fd, uint32_t groups, uint32_t bss, Npud__ErrorCode *code);
/* A committed job of one group that has all it needs in this buffer of at least 8 KiB: its program at the start. */
uint64_t raw_job_of(int fd, uint64_t buffer);
/* Submits, and reads until it has ended. */
Npud__Outcome raw_run(int fd, uint64_t job, uint64_t budget_ns);

#endif
