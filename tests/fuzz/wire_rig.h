/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon behind one socket, with a device that does what it is told: single-threaded, with its own clock. A
 * conversation is a row of steps, each a u16 (length in the low 14 bits, number of descriptors above) and that many
 * bytes. Length 0 is not sent but makes something happen: 0 the oldest run ends well, 1 the device reports what the
 * next 5 bytes say, 2 time passes, 3 the device goes away.
 */
#ifndef NPUD_TESTS_FUZZ_WIRE_RIG_H
#define NPUD_TESTS_FUZZ_WIRE_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/wire/server.h"

struct rig {
	struct event_base *base;
	struct host *host;
	struct device *device;
	struct server *server;
	int client; /* its end of the socket */
};

/* What all rigs share; made once. */
void rig_prepare(void);
/* With a client. */
void rig_open(struct rig *rig);
/* Another client; the one before has left. */
void rig_connect(struct rig *rig);
/* The client goes, and leaves nothing. */
void rig_close(struct rig *rig);

void rig_send(struct rig *rig, const uint8_t *data, size_t bytes, unsigned fd_count);
/* Until nobody has anything to do. */
void rig_settle(struct rig *rig);
/* Reads what the daemon has sent; false if it has hung up. */
bool rig_drain(struct rig *rig);

struct rig_step {
	const uint8_t *data;
	size_t bytes; /* 0: something happens */
	unsigned count; /* of descriptors, or what happens */
};
/* The step at the start of at least two bytes. */
struct rig_step rig_read(const uint8_t *data, size_t size);
/* Plays it; the bytes that it took. */
size_t rig_play(struct rig *rig, const uint8_t *data, size_t size);

#endif
