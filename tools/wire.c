/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare connection to npud: SOCK_SEQPACKET, one protobuf message per frame. Waits a bounded time; events that arrive
 * in between are dropped, since nothing here submits jobs.
 */
#include "tools/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/limits.h"

#define WIRE_TIMEOUT_S 5
#define WIRE_MAX_EVENTS 64

static int wire_send(int fd, Npud__Request *request, struct reason *why)
{
	uint8_t frame[NPUD_MAX_FRAME_BYTES];

	if (npud__request__get_packed_size(request) > sizeof(frame))
		return reason_set(why, -EMSGSIZE, "the request is too large");
	size_t bytes = npud__request__pack(request, frame);
	if (send(fd, frame, bytes, MSG_NOSIGNAL) < 0)
		return reason_set(why, -errno, "npud: %s", strerror(errno));
	return 0;
}

static int wire_receive(int fd, Npud__ServerFrame **out, struct reason *why)
{
	uint8_t frame[NPUD_MAX_FRAME_BYTES];
	ssize_t bytes = recv(fd, frame, sizeof(frame), 0);

	if (bytes == 0)
		return reason_set(why, -EPIPE, "npud closed the connection");
	if (bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return reason_set(why, -ETIMEDOUT, "npud did not answer within %d s", WIRE_TIMEOUT_S);
	if (bytes < 0)
		return reason_set(why, -errno, "npud: %s", strerror(errno));
	*out = npud__server_frame__unpack(NULL, (size_t)bytes, frame);
	return *out ? 0 : reason_set(why, -EPROTO, "npud sent something that is not a message");
}

int wire_call(int fd, Npud__Request *request, Npud__ServerFrame **out, struct reason *why)
{
	int error = wire_send(fd, request, why);

	for (int i = 0; !error && i < WIRE_MAX_EVENTS; i++) {
		Npud__ServerFrame *frame = NULL;

		error = wire_receive(fd, &frame, why);
		if (error || !frame)
			return error;
		if (frame->body_case == NPUD__SERVER_FRAME__BODY_REPLY && frame->reply->serial == request->serial) {
			if (!frame->reply->error) {
				*out = frame;
				return 0;
			}
			error = reason_set(why, -EREMOTEIO, "npud refuses: %s", frame->reply->error->message);
		}
		npud__server_frame__free_unpacked(frame, NULL);
	}
	return error ? error : reason_set(why, -EPROTO, "npud sent only events and no reply");
}

static int wire_hello(int fd, struct reason *why)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__Hello hello = NPUD__HELLO__INIT;
	Npud__ServerFrame *reply = NULL;
	char name[] = "npuctl";

	hello.major = NPUD_PROTOCOL_MAJOR;
	hello.minor = NPUD_PROTOCOL_MINOR;
	hello.client_name = name;
	request.serial = 1;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &hello;
	int error = wire_call(fd, &request, &reply, why);
	if (!error)
		npud__server_frame__free_unpacked(reply, NULL);
	return error;
}

static int wire_open(const char *path, struct reason *why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = WIRE_TIMEOUT_S};

	if (strlen(path) >= sizeof(address.sun_path))
		return reason_set(why, -ENAMETOOLONG, "%s: the path of a socket has at most %zu bytes", path,
				  sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return reason_set(why, -errno, "socket: %s", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = reason_set(why, -errno, "cannot reach npud at %s: %s", path, strerror(errno));

		close(fd);
		return error;
	}
	return fd;
}

int wire_connect(const char *path, struct reason *why)
{
	const char *fallback = getenv(NPUD_SOCKET_ENV);

	if (!path)
		path = fallback && *fallback ? fallback : NPUD_DEFAULT_SOCKET;
	int fd = wire_open(path, why);
	if (fd < 0)
		return fd;
	int error = wire_hello(fd, why);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}
