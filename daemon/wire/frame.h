/* SPDX-License-Identifier: Apache-2.0 */
/* One SOCK_SEQPACKET message with its file descriptors. Knows no content; leaks no descriptor. */
#ifndef NPUD_WIRE_FRAME_H
#define NPUD_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

struct frame {
	uint8_t *data; /* NPUD_MAX_FRAME_BYTES, the caller's */
	size_t bytes;
	int fds[NPUD_MAX_FRAME_FDS]; /* the frame's until taken */
	unsigned fd_count;
};

/*
 * 1 a frame, 0 the peer closed (or sent an empty message), -EAGAIN nothing there, -EMSGSIZE too large, -EBADMSG
 * descriptors were cut off; other errors of recvmsg. Whatever the result, only frame->fds are open afterwards.
 */
int frame_receive(int fd, struct frame *frame);
/* Closes what was not taken. */
void frame_close_fds(struct frame *frame);
int frame_take_fd(struct frame *frame);

/*
 * 0, or -EAGAIN when the peer does not read, or another errno when it is gone. `with`, if not negative, goes with it
 * (unless too many are under way) and stays the caller's.
 */
int frame_send(int fd, const uint8_t *data, size_t bytes, int with);

#endif
