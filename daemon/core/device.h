/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device: who may touch it, which address space holds it, what is in flight. While READY the loop owns it; during
 * SWITCHING and RECOVERING its worker does and the loop touches no register; OFFLINE nobody does, for ever; GONE nobody
 * does until it is back and was opened again.
 */
#ifndef NPUD_CORE_DEVICE_H
#define NPUD_CORE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/address_space.h"
#include "daemon/core/control.h"
#include "daemon/core/mapping.h"
#include "daemon/core/submission.h"
#include "daemon/core/worker.h"
#include "daemon/npu/npu.h"
#include "daemon/policy/quantum.h"
#include "daemon/policy/recovery.h"
#include "daemon/util/list.h"
#include "daemon/util/types.h"
#include "daemon/vfio/vfio.h"

struct buffer;
struct host;
struct scrubber;
struct session;

enum device_state { DEV_READY = 1, DEV_SWITCHING, DEV_RECOVERING, DEV_OFFLINE, DEV_GONE };

/* What the device needs of an event loop. */
struct device_hooks {
	void (*watch)(void *user, bool on); /* the interrupt and the life line: only while READY */
	void (*arm)(void *user, uint64_t ns); /* call device_tick() in so many ns */
	/* Completions were found and may be sent now, before the device is asked for more. May be NULL. */
	void (*flush)(void *user);
};

/* How a device is opened, first and again: transport and NPU, initialised. Called on the worker, may block. */
struct device_source {
	int (*open)(void *user, struct vfio_device **vfio, struct npu_device **npu, char *why, size_t why_bytes);
	void *user;
};

/* What the command pool has been used for. After a bound chain it takes no other, and before one it takes none. */
enum pool_use { POOL_FRESH = 0, POOL_SHARED, POOL_BOUND };

enum device_op { DEV_OP_SWITCH = 1, DEV_OP_RENEW, DEV_OP_MAP, DEV_OP_UNMAP, DEV_OP_RUNG, DEV_OP_CLOSE, DEV_OP_OPEN };

#define DEVICE_LATE_EVENTS 32u

/* The one request that the worker may hold. */
struct device_work {
	struct work work;
	struct device *device;
	enum device_op op;
	struct list unmap; /* struct mapping */
	struct list map;
	struct list mapped; /* out: what is live after the request */
	uint32_t mapped_count; /* out */
	uint32_t unmapped_count; /* out */
	struct mapping *failed; /* out: the mapping that could not be made */
	int failed_error; /* out: why */
	struct address_space *attach; /* switch: whose table the device uses next, NULL = nobody's */
	bool leave_pool; /* switch: a pool exists */
	bool make_pool; /* a session takes over */
	bool quiet; /* close: the device is still there and has to be left in peace */
	bool scrub; /* by reset */
	bool scrub_gm; /* by a job */
	bool was_reset; /* out */
	enum recovery_rung rung;
	struct npu_event late[DEVICE_LATE_EVENTS]; /* out: interrupts that came in between */
	unsigned late_count;
	int result;
	struct vfio_device *vfio; /* out of open: the loop puts it in place */
	struct npu_device *npu;
	const char *stage; /* of a failure */
	char why[512]; /* open: of a failure */
};

/* What went wrong on the device, while the ladder is climbed. */
struct device_incident {
	enum outcome outcome; /* of the guilty */
	const char *reason;
	struct submission *guilty; /* NULL: the oldest in flight when the dust settles, as DEVICE_RESET */
	bool asked; /* an operator wanted it: nobody is guilty or suspected, what may run again does */
	struct npu_event event;
};

struct device_counters {
	uint64_t tenures;
	uint64_t used_ns; /* by submissions */
	uint64_t unknown_completions;
	uint64_t lost_interrupts;
	uint64_t returns; /* opened again after it went away, or as a rung */
	uint64_t resets;
	uint64_t aborts;
};

struct device {
	struct host *host;
	uint32_t index;
	char name[64];
	char reason[256]; /* why it is not READY */
	struct vfio_device *vfio;
	struct npu_device *npu;
	struct npu_identity identity;
	const struct device_hooks *hooks;
	void *user;
	struct worker *worker;
	enum device_state state;
	bool tables; /* keeps the page tables of several sessions, of which it uses one */
	bool closed; /* the transport is closed */
	bool lost; /* the other side went away; acted upon when the loop owns the device */
	bool evicting; /* the host wants the device back: nothing new is fed */
	nsec_t evict_by; /* when what still runs is ended */
	bool drained; /* an operator wants it empty: nothing new is accepted */
	struct device_reset reset;
	struct device_source source; /* open NULL: it is never opened again */
	uint64_t retry_ns; /* until the next attempt, while it is GONE */
	struct space_reach reach;
	uint32_t slots; /* bit per slot that sessions can have */
	uint64_t window_bytes; /* addresses of a slot for buffers, holes included */
	bool pumping;
	uint32_t sessions; /* that sit here */
	uint32_t occupied; /* of them, with a submission that has not ended */

	/* tenure */
	nsec_t switch_began; /* or the making of a new pool */
	enum sched_class switch_class; /* of the work that it is for */
	struct quantum quantum;
	struct address_space *attached; /* that it reaches */
	struct address_space *target; /* of the switch under way */
	struct session *holder; /* of those that are attached: whose work came last, or was the reason */
	struct session *next_holder; /* the same of the switch under way */
	bool dirty; /* a switch failed half-way: mappings of any session may be live */
	bool busy; /* the worker holds the request */
	bool leaking; /* memory of a released buffer is still mapped and cannot be unmapped */
	const struct mapping *unmappable; /* the last mapping that failed; compared, never followed */
	uint64_t unmappable_bytes;
	int unmappable_error;
	uint64_t epoch;
	bool pool; /* a command pool exists */
	enum pool_use pool_use;
	bool chained; /* the pool has a tail to link behind */
	bool redial; /* a doorbell was refused while others run: the chain is linked, ring again */
	uint32_t hold; /* next hold TCB of the ring */
	uint64_t last_space; /* whose residue is on the chip, 0 = nobody's */
	uint64_t gm_space; /* the same for global memory, which a reset may leave */
	uint64_t slot_user[SPACE_SLOTS]; /* since the last reset */

	struct scrubber *scrubber; /* made with the first scrub by a job; the worker's */

	struct list mapped; /* struct mapping, live */
	struct list releasing; /* struct buffer, released and unused */
	struct list in_flight; /* struct submission, oldest first */
	uint32_t departures; /* sessions of it that are closing or on their way to another */
	uint32_t in_flight_count;
	nsec_t last_completion;
	uint64_t dispatches;
	uint64_t idle_at; /* watchdog: `dispatches` when the device last looked idle with work in flight */
	nsec_t armed; /* when the timer fires, 0 = it does not */
	uint32_t mapping_count;

	struct recovery recovery;
	struct device_incident incident;
	bool incident_pending;
	struct device_work work;
	struct device_counters counters;
};

/*
 * A device around an open transport and a detected NPU, which it takes over (also on failure); npu->ops->init() has
 * been called.
 */
int device_new(const char *name, struct vfio_device *vfio, struct npu_device *npu, bool threaded, struct device **out);
/*
 * One that could not be opened yet, and why: GONE from the start. What it is, is known when it comes, and until then no
 * session can sit on it.
 */
int device_new_absent(const char *name, const char *why, bool threaded, struct device **out);
/* From now on a device that went away is opened again when it is back, and a reset may be a reopening. */
void device_set_source(struct device *device, const struct device_source *source);
void device_set_hooks(struct device *device, const struct device_hooks *hooks, void *user);
/* Quiet, unmapped, closed; joins the worker. No session is left. NULL is legal. */
void device_free(struct device *device);

/* --- from the event loop */
void device_irq(struct device *device);
void device_life(struct device *device);
void device_tick(struct device *device);

/* --- from sessions */
/* Something changed: feed, switch, release, recover, whatever is next. */
void device_pump(struct device *device);
/* Work became runnable outside the device's own affairs: it is looked at in a moment. */
void device_wake(struct device *device);
bool device_holds(const struct device *device, const struct session *session);
bool device_is_usable(const struct device *device);
/* It was there at least once. */
bool device_is_known(const struct device *device);
/* It is, and will go on so: sessions may come to it. */
bool device_takes_new(const struct device *device);
/* What is prepared for one of them, addresses and jobs, is good for the other. */
bool device_is_alike(const struct device *device, const struct device *other);
void device_release_buffer(struct device *device, struct buffer *buffer);

/* --- inside core */
/* device_scrub.c: all on the worker, while it owns the device and nothing of a session is mapped */
int scrubber_new(const struct device *device, struct scrubber **out);
void scrubber_free(struct scrubber *scrubber);
int scrubber_run(struct device *device);
/* device_map.c: on the worker */
int device_map_one(struct device *device, struct mapping *mapping);
int device_unmap_one(struct device *device, struct mapping *mapping);
int device_map_all(struct device_work *work);
int device_unmap_all(struct device_work *work);
int device_attach(struct device *device, const struct address_space *space);
void device_free_space(struct device *device, struct address_space *space);
/* device_work.c */
void device_work_start(struct device *device, enum device_op op, enum device_state state);
void device_work_run(struct work *work);
int device_fail_at(struct device_work *work, const char *stage, int error);
int device_destroy_pool(struct npu_device *npu);
/* device_feed.c */
void device_feed(struct device *device);
bool device_has_room(const struct device *device);
/* It has to run in a pool of its own, or what runs now has to. */
bool device_needs_new_pool(const struct device *device, const struct submission *submission);
/* device_tenure.c */
void device_start_switch(struct device *device, struct session *target, struct list *wanted);
/* A new command pool for the session that is attached, before this submission of it. */
void device_start_renew(struct device *device, const struct submission *submission);
void device_switch_ended(struct device *device);
void device_renew_ended(struct device *device);
void device_was_reset(struct device *device);
void device_now_holds(struct device *device, const struct address_space *space);
/* What its caches know of these addresses is old when the space returns. */
void device_forget_slot(struct device *device, const struct address_space *space);
/* The session ends, and its address space may go on: nobody is left to charge. */
void device_forget_holder(struct device *device, const struct session *session);
/* device.c */
/* Returns true if the worker has to unmap something first. */
bool device_start_releases(struct device *device);
/* Those that end or move away, as far as they can. */
void device_settle_sessions(struct device *device);
/* Before device_free_space(): nothing of the session and its space is live. The device does not hold it. */
void device_leave_space(struct device *device, struct session *session);
struct submission *device_oldest(const struct device *device);
void device_work_done(struct work *work);
/* device_life.c */
void device_take_transport(struct device *device, struct vfio_device *vfio, struct npu_device *npu);
void device_stop(struct device *device, enum device_state state, const char *reason);
void device_lost(struct device *device);
void device_evict(struct device *device);
bool device_is_evicted(const struct device *device, nsec_t now);
void device_set_absent(struct device *device, const char *why);
void device_retry(struct device *device);
void device_opened(struct device *device);
void device_forget(struct device *device);
/* Nothing is mapped any more: the table went, or all tables did. */
void device_forget_mappings(struct device *device);
/* device_irq.c */
nsec_t device_start_of(const struct device *device, const struct submission *submission);
int device_drain(struct device *device);
void device_event(struct device *device, const struct npu_event *event, nsec_t now);
void device_complete_until(struct device *device, struct submission *last, const struct npu_event *event, nsec_t now);
/* device_recover.c */
void device_judge(struct device *device, nsec_t now);
void device_recover(struct device *device, enum recovery_rung from);
void device_recover_done(struct device *device);
void device_blame(struct device *device, enum outcome outcome, const char *reason, struct submission *guilty,
		  const struct npu_event *event);

#endif
