/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request costs: the bare kernel (an echo process behind a SOCK_SEQPACKET socket) beside npud's empty request of
 * the same size. The echo process does nothing but receive and send: the floor under any daemon.
 */
#include "tests/bench/bench.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <npu/npu.h>

#define FRAME_BYTES 4096u
#define WARM_UP 200u

static void echo_serve(int fd, size_t reply_bytes)
{
	static uint8_t frame[FRAME_BYTES];

	while (recv(fd, frame, sizeof(frame), 0) > 0) {
		if (send(fd, frame, reply_bytes, MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

static uint64_t echo_once(int fd, size_t request_bytes)
{
	static uint8_t frame[FRAME_BYTES];
	uint64_t start = bench_clock_ns();

	if (send(fd, frame, request_bytes, MSG_NOSIGNAL) < 0 || recv(fd, frame, sizeof(frame), 0) <= 0)
		bench_fail("the echo process went away");
	return bench_clock_ns() - start;
}

void echo_measure(size_t request_bytes, size_t reply_bytes, uint64_t *ns, uint32_t count)
{
	int pair[2];

	if (request_bytes > FRAME_BYTES || reply_bytes > FRAME_BYTES)
		bench_fail("frames of more than %u bytes", FRAME_BYTES);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		bench_fail("socketpair failed");
	pid_t child = fork();
	if (child < 0)
		bench_fail("fork failed");
	if (child == 0) {
		close(pair[0]);
		echo_serve(pair[1], reply_bytes);
	}
	close(pair[1]);
	for (uint32_t i = 0; i < WARM_UP; i++)
		(void)echo_once(pair[0], request_bytes);
	for (uint32_t i = 0; i < count; i++)
		ns[i] = echo_once(pair[0], request_bytes);
	close(pair[0]);
	(void)waitpid(child, NULL, 0);
}

void ping_measure(const struct bench_options *options, uint64_t *ns, uint32_t count)
{
	struct npu_connection *connection = NULL;

	if (npu_connect(options->npud, &connection) < 0)
		bench_fail("npud: %s", npu_error());
	for (uint32_t i = 0; i < count + WARM_UP; i++) {
		uint64_t start = bench_clock_ns();

		if (npu_ping(connection) < 0)
			bench_fail("ping: %s", npu_error());
		ns[i < WARM_UP ? 0 : i - WARM_UP] = bench_clock_ns() - start;
	}
	npu_disconnect(connection);
}
