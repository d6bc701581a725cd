/* SPDX-License-Identifier: Apache-2.0 */
/* How a configured device is opened: transport, detection, initialisation. The first time and every later one. */
#ifndef NPUD_OPENER_H
#define NPUD_OPENER_H

#include <stddef.h>

#include "daemon/config.h"
#include "daemon/npu/npu.h"
#include "daemon/vfio/vfio.h"

struct opener {
	const struct config_device *config;
	struct npu_quirks quirks;
	uint64_t session_bytes; /* that one session on each device may have mapped */
	uint64_t all_bytes; /* that all sessions may have mapped */
};

/*
 * A transport whose NPU was found and initialised; may block for the transport's deadline. On failure `why` says what,
 * where and what to do, and nothing is left open. -EBUSY: another process has the device. What `why` says on success is
 * worth a line in the log, if it is not empty.
 */
int opener_open(const struct opener *opener, struct vfio_device **vfio, struct npu_device **npu, char *why,
		size_t why_bytes);

/*
 * Whether the process may lock what the configuration promises to sessions: 0, or 1 and `why` says what is missing. The
 * kernel pins mapped memory: that of the session at work, or of all where the device keeps their tables.
 */
int opener_check_memory(const struct opener *opener, const struct vfio_device *vfio, char *why, size_t why_bytes);

/* What of the configuration names the device: socket or address. */
const char *opener_place(const struct config_device *config);

#endif
