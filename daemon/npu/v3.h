/* SPDX-License-Identifier: Apache-2.0 */
/* Insides of the V3 (X2) driver, shared by detect.c, v3.c (commands) and v3_irq.c (interrupts). */
#ifndef NPUD_NPU_V3_H
#define NPUD_NPU_V3_H

#include "daemon/npu/npu.h"
#include "proto/zhouyi_regs.h"

/* One tenant at a time owns the whole device, so one pool of partition 0 is all there is. */
#define V3_POOL 0u
#define V3_CLUSTER 0u

struct v3 {
	struct npu_device base;
	struct npu_quirks quirks;
	bool fresh; /* soft reset just done: init() need not repeat it */
	bool pool; /* created by us */
	bool ticking; /* the tick counter runs */
	uint32_t tick_low; /* its low half, the last time */
	bool signal_held; /* a signal was reported and its emitter waits for the acknowledgement */
};

static inline int v3_read(struct v3 *v3, uint32_t offset, uint32_t *value)
{
	return v3->base.vfio->ops->reg_read(v3->base.vfio, offset, value);
}

static inline int v3_write(struct v3 *v3, uint32_t offset, uint32_t value)
{
	return v3->base.vfio->ops->reg_write(v3->base.vfio, offset, value);
}

/* For registers that have bits which are always 0: all ones means that nothing answers any more. -ENODEV then. */
int v3_read_live(struct v3 *v3, uint32_t offset, uint32_t *value);

/* v3.c: reads what the device consists of, after a soft reset. */
int v3_new(struct vfio_device *vfio, const struct npu_quirks *quirks, struct npu_device **out, char *why,
	   size_t why_bytes);
int v3_soft_reset(struct npu_device *npu);
int v3_is_idle(struct npu_device *npu);

/* v3_registers.c */
int v3_registers(struct npu_device *npu, struct npu_register out[NPU_MAX_REGISTERS]);

/* v3_irq.c */
int v3_irq_collect(struct npu_device *npu, struct npu_event events[NPU_MAX_EVENTS]);
int v3_irq_ack_signal(struct npu_device *npu);
int v3_irq_finish(struct npu_device *npu);

#endif
