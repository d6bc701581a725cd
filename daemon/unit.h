/* SPDX-License-Identifier: Apache-2.0 */
/* A configured device and its events on the loop: interrupt, life line, watchdog, worker. */
#ifndef NPUD_UNIT_H
#define NPUD_UNIT_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>

#include "daemon/config.h"
#include "daemon/core/device.h"
#include "daemon/opener.h"

/* What all devices share of the loop. */
struct unit_loop {
	struct event_base *base;
	void (*flush)(void *user); /* completions may be sent now */
	void *user;
};

struct unit {
	const struct unit_loop *loop; /* NULL until it is started */
	struct device *device;
	struct opener opener;
	int lock; /* negative: the kernel has one, or the device is not there */
	char refused[512]; /* on the way to it: what was tried before */
	bool announced;
	int life_fd;
	struct event irq;
	struct event life;
	struct event timer;
	struct event worker;
	bool watched;
};

/*
 * Takes and opens device `index` of the configuration: 1, or 0 if that failed, which the log says; it is tried again
 * once the unit was started. -EBUSY: somebody else has it. After an error nothing is left. The unit must not move
 * afterwards.
 */
int unit_open(struct unit *unit, const struct config *config, uint32_t index);
/* Its events are on the loop from now on; the device belongs to a host. */
int unit_start(struct unit *unit, const struct unit_loop *loop);
/* In whatever state it is. */
void unit_close(struct unit *unit);

#endif
