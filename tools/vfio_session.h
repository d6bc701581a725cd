/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device opened for a look, through the kernel's group and container interface: does the kernel give it out, what
 * does a switch of address spaces cost, what is in the revision register. Never enables DMA, never keeps a mapping.
 */
#ifndef NPUD_TOOLS_VFIO_SESSION_H
#define NPUD_TOOLS_VFIO_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "tools/host.h"
#include "tools/reason.h"

/* How far opening came: the step that failed, or VFIO_STEP_OPEN. */
enum vfio_step {
	VFIO_STEP_CONTAINER,
	VFIO_STEP_GROUP,
	VFIO_STEP_VIABLE,
	VFIO_STEP_IOMMU,
	VFIO_STEP_DEVICE,
	VFIO_STEP_OPEN
};

struct vfio_session {
	int container;
	int group;
	int device;
	enum vfio_step step;
};

#define VFIO_SESSION_CLOSED                                                                                            \
	(struct vfio_session)                                                                                          \
	{                                                                                                              \
		-1, -1, -1, VFIO_STEP_CONTAINER                                                                        \
	}

/* Opening resets the device if it can be reset. -EBUSY at VFIO_STEP_GROUP: somebody has it. */
int vfio_session_open(struct vfio_session *session, const struct host *host, int group, const char *device,
		      struct reason *why);
void vfio_session_close(struct vfio_session *session);

/*
 * Maps memory for the device and unmaps it, a few times; *@ns is the median of a round of *@bytes, which are fewer
 * where locked memory is short.
 */
int vfio_session_switch(const struct vfio_session *session, size_t *bytes, uint64_t *ns, struct reason *why);

/* The revision register. A device without clock can stop the machine at this: the caller has made sure. */
int vfio_session_revision(const struct vfio_session *session, enum host_bus bus, uint32_t *revision,
			  struct reason *why);

#endif
