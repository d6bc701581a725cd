/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam to a generation of the NPU: what the registers mean. It sees addresses, chains and pools; it never sees a
 * session, a client or a socket. All calls run on whoever owns the vfio_device at that moment (see vfio.h) and return
 * 0 or a negative errno; -ENODEV means the device is gone.
 */
#ifndef NPUD_NPU_NPU_H
#define NPUD_NPU_NPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/util/types.h"
#include "daemon/vfio/vfio.h"

enum npu_gen { NPU_GEN_V1 = 1, NPU_GEN_V2 = 2, NPU_GEN_V3 = 3, NPU_GEN_V3_2 = 4 };

struct npu_identity {
	enum npu_gen generation;
	uint32_t revision_register;
	uint32_t isa;
	uint32_t revision;
	uint32_t config;
	uint32_t clusters;
	uint32_t cores;
	uint32_t tecs;
	uint32_t partitions;
	uint64_t gm_bytes;
	char name[32]; /* "X2_1204MP3" */
};

/* One thing that an interrupt reported. */
struct npu_event {
	enum {
		NPU_EVENT_DONE = 1,
		NPU_EVENT_EXCEPTION,
		NPU_EVENT_FAULT,
		NPU_EVENT_ERROR, /* pool error: nothing of the pool can be trusted to finish */
		NPU_EVENT_SIGNAL, /* print and the like; the emitter waits until irq_ack_signal() */
	} kind;
	uint32_t tcb_pointer; /* ASID0-relative, as reported: a claim, not a fact */
	uint32_t status; /* raw interrupt status word */
	uint32_t signal_flags;
	uint64_t ticks;
};

#define NPU_MAX_EVENTS 8

/* A status register as it was read, and what parts of it mean. */
#define NPU_MAX_REGISTERS 24u
#define NPU_MAX_REGISTER_FIELDS 5u

struct npu_register_field {
	char name[16]; /* empty: there are no more */
	uint32_t shift;
	uint32_t mask; /* after the shift */
};

struct npu_register {
	char name[20];
	uint32_t offset;
	uint32_t value;
	struct npu_register_field fields[NPU_MAX_REGISTER_FIELDS];
};

struct npu_device;

/* Rungs of the recovery ladder that depend on the generation, in order; each declares which it has. */
enum npu_rung { NPU_RUNG_ABORT = 0, NPU_RUNG_SOFT_RESET, NPU_RUNG_VFIO_RESET, NPU_RUNG_COUNT };

struct npu_ops {
	/* Registers to their working state: after claim, soft reset or VFIO reset. Masks, resets, checks idle,
	 * initialises. */
	int (*init)(struct npu_device *npu);
	/* Leave it quiet: interrupts masked, pool gone. */
	int (*quiesce)(struct npu_device *npu);
	/* A tenure's command pool. create after a page table is in place; destroy only when idle (-EBUSY else). */
	int (*pool_create)(struct npu_device *npu);
	int (*pool_destroy)(struct npu_device *npu);
	/*
	 * Every TCB of the pool stops; nothing is reported for it. What ended before that and is still pending is left
	 * for irq_collect(), which has to be called until 0 before the next dispatch: it names TCBs that may run again.
	 */
	int (*pool_abort)(struct npu_device *npu);
	/*
	 * Doorbell. `first` starts a chain list at `head` (4 KiB aligned); otherwise the chain has been linked behind
	 * the tail by the caller and the hardware is told to look again. `tag` is diagnostic.
	 */
	int (*dispatch)(struct npu_device *npu, iova_t head, bool first, uint16_t tag);
	/* The same for a chain that one core is to run alone: the first of a new pool, and the last before its end. */
	int (*dispatch_bound)(struct npu_device *npu, iova_t head, uint32_t core, uint16_t tag);
	/*
	 * Read and acknowledge pending interrupts: fills events, returns their number (0 = status clean). Bounded; call
	 * again until 0, then irq_finish().
	 */
	int (*irq_collect)(struct npu_device *npu, struct npu_event events[NPU_MAX_EVENTS]);
	/* Release the emitter of a SIGNAL event, after its payload was consumed. */
	int (*irq_ack_signal)(struct npu_device *npu);
	int (*irq_finish)(struct npu_device *npu);
	/* 1 pool, cluster and cores idle; 0 not */
	int (*is_idle)(struct npu_device *npu);
	int (*soft_reset)(struct npu_device *npu); /* then init() is needed */
	/*
	 * Reads each register of a fixed list once and writes none: those whose reading changes nothing. Their number.
	 * NULL: no such registers are known.
	 */
	int (*registers)(struct npu_device *npu, struct npu_register out[NPU_MAX_REGISTERS]);
	void (*free)(struct npu_device *npu);
};

struct npu_device {
	const struct npu_ops *ops;
	struct vfio_device *vfio; /* borrowed */
	struct npu_identity identity;
	unsigned rungs; /* bit per enum npu_rung that this device has */
};

/* Of an NPU with this revision register; 0 if it is none. */
unsigned npu_ladder(uint32_t revision);

/* Switches for what the hardware specification leaves unresolved; docs/hardware/unverified.md lists them. */
struct npu_quirks {
	bool reset_keeps_gm; /* soft reset leaves GM contents: scrub GM by a daemon job */
	bool create_always; /* issue create even if STATUS says a pool exists */
	uint32_t
	    gm_offset_shift; /* V3 GM sync offset field: 0 = as intended, 12 = as the vendor's library computes it */
};

/* Read the revision register and build the driver object for it. -ENODEV gone, -ENOTSUP unknown revision (`why`). */
int npu_detect(struct vfio_device *vfio, const struct npu_quirks *quirks, struct npu_device **out, char *why,
	       size_t why_bytes);

static inline void npu_free(struct npu_device *npu)
{
	if (npu)
		npu->ops->free(npu);
}

#endif
