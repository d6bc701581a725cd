/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SOCK_SEQPACKET message with its file descriptors. Knows no content; leaks no descriptor, and closes none: that
 * may take for ever (discard.h).
 */
#ifndef NPUD_WIRE_FRAME_H
#define NPUD_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

/* SCM_MAX_FD: more the kernel does not pass at a time. Those without room here it would close, on the loop. */
#define FRAME_MAX_FDS 253u

struct frame {
	uint8_t *data; /* NPUD_MAX_FRAME_BYTES, the caller's */
	size_t bytes;
	int fds[FRAME_MAX_FDS]; /* the frame's until taken */
	unsigned fd_count;
};

/*
 * 1 a frame, 0 the peer closed (or sent an empty message), -EAGAIN nothing there, -EMSGSIZE too large, -EBADMSG more
 * descriptors than NPUD_MAX_FRAME_FDS, or some were cut off; other errors of recvmsg. Whatever the result, only
 * frame->fds are open afterwards.
 */
int frame_receive(int fd, struct frame *frame);
/* -1 when there is none left. */
int frame_take_fd(struct frame *frame);

/*
 * Ends both directions; the peer sees it now. True if nothing is left unread in the socket: only then is to close it
 * to close no descriptor of the peer.
 */
bool frame_shut(int fd);

/*
 * 0, or -EAGAIN when the peer does not read, or another errno when it is gone. `with`, if not negative, goes with it
 * (unless too many are under way) and stays the caller's.
 */
int frame_send(int fd, const uint8_t *data, size_t bytes, int with);

#endif
