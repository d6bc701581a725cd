/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closes what clients passed where that may take for ever: close() waits for whoever serves the file, who may be the
 * client (FUSE), and for the peer of a socket that lingers. A short-lived thread each; the loop hears of the end.
 */
#ifndef NPUD_WIRE_DISCARD_H
#define NPUD_WIRE_DISCARD_H

#include <event2/event.h>
#include <stdbool.h>
#include <sys/types.h>

#include "daemon/util/list.h"
#include "proto/limits.h"

struct discarder;

/* Embedded in what has to wait for the end; the threads' while it is under way. Never more than one at a time. */
struct discard {
	struct list link; /* while there is no thread to be had */
	struct discarder *discarder;
	void (*done)(struct discard *discard); /* on the loop */
	uid_t uid; /* whose they were */
	unsigned count; /* 0: not under way */
	int *fds; /* few[], or allocated: honest clients pass no more, and most connections none */
	int few[NPUD_MAX_FRAME_FDS];
};

int discarder_new(struct event_base *base, struct discarder **out);
/* Waits a moment for what is under way, whose done() is called, and leaves alone what is stuck. NULL is legal. */
void discarder_free(struct discarder *discarder);

void discard_init(struct discard *discard, struct discarder *discarder, uid_t uid,
		  void (*done)(struct discard *discard));
bool discard_is_under_way(const struct discard *discard);
/* Does nothing without any. Out of memory, more of them than few[] has stay open: nowhere could they be closed. */
void discard_start(struct discard *discard, const int *fds, unsigned count);

/* A socket of a client that gets no connection: nobody waits for its end. Only while there is room for one. */
void discard_socket(struct discarder *discarder, uid_t uid, int fd);
bool discarder_has_room(const struct discarder *discarder);

/* How many are under way, for tests. */
unsigned discarder_count(const struct discarder *discarder);

#endif
