/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves one device between its own driver and VFIO. What there was is remembered first, so that the way back exists
 * before the first write to sysfs.
 */
#ifndef NPUD_TOOLS_BIND_H
#define NPUD_TOOLS_BIND_H

#include <stdbool.h>

#include "tools/host.h"
#include "tools/reason.h"

/*
 * A folder of root's own. Not below /run/npud, which belongs to npud's user: what root reads back here decides which
 * driver gets the device.
 */
#define BIND_STATE "/run/npuctl"

/* What the device had before; empty texts mean none. */
struct bind_state {
	char driver[HOST_NAME_BYTES];
	char override[HOST_NAME_BYTES];
};

/* Reads what was remembered about a device. -ENOENT: nothing; -EINVAL: not written by this program. */
int bind_state_read(const char *folder, const char *device, struct bind_state *out);
/* Makes the folder if need be. */
int bind_state_write(const char *folder, const char *device, const struct bind_state *state, struct reason *why);
void bind_state_forget(const char *folder, const char *device);

struct binding {
	struct host host;
	struct host_device device;
	const char *folder; /* of bind_state */
	int group;
	bool known; /* unbind: before was remembered, not guessed */
	struct bind_state before;
	/* What was done so far, for the way back. */
	bool remembered;
	bool overridden;
	bool detached;
	bool probed;
};

/* The caller has checked that it may. On failure everything is as it was, or @why says what is not. */
int bind_device(struct binding *binding, struct reason *why);

/* Gives the device back. Once VFIO has let go it is not taken again: @why then says who should have the device. */
int unbind_device(struct binding *binding, struct reason *why);

/* Steps that both share; each says where it failed. */
int bind_write(const struct binding *binding, const char *attribute, const char *text, struct reason *why);
int bind_override(const struct binding *binding, const char *driver, struct reason *why);
int bind_detach(const struct binding *binding, struct reason *why);
int bind_probe(const struct binding *binding, struct reason *why);
/* Waits, a bounded time, until @driver (empty: none) has the device. */
bool bind_wait(const struct binding *binding, const char *driver);
/* Waits, no longer than that, for any driver that wants the device. */
void bind_settle(const struct binding *binding, char out[HOST_NAME_BYTES]);

#endif
