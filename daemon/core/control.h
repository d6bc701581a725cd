/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator does to a device: drain it, reset it, look at its registers. Whether he may is decided before; each
 * of the three says in the log who did it.
 */
#ifndef NPUD_CORE_CONTROL_H
#define NPUD_CORE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/npu/npu.h"
#include "daemon/policy/recovery.h"
#include "daemon/util/fail.h"
#include "daemon/util/types.h"

struct device;
struct session;

/* The numbers of enum ResetState in npud.proto; 0: nobody has asked for one. */
enum reset_state { RESET_NONE = 0, RESET_RUNNING, RESET_DONE, RESET_FAILED };

/* The last reset of a device that an operator asked for. */
struct device_reset {
	uint32_t number; /* from 1 on */
	enum reset_state state;
	bool wanted; /* accepted, and not begun: the loop does not own the device yet */
	nsec_t asked;
	uint64_t ns; /* from then to its end */
	enum recovery_rung rung; /* done: what brought it back */
	char reason[384]; /* failed: why, and what to do */
};

/* ------------------------------------------------------------------ control_drain.c */

/*
 * From now on the device takes nothing new, until it is resumed. Sessions move to others where they can, and what was
 * accepted is finished. Holds while the device is away, too. What is so already is no error.
 */
void control_drain(const struct session *admin, struct device *device);
void control_resume(const struct session *admin, struct device *device);

/* Nothing is accepted for a drained device: 0 if the session goes to another, else -ENODEV. */
int control_leave_drained(struct session *session, struct fail *fail);
/* It is drained, and all that was accepted for it has ended: no session keeps it. */
bool control_is_empty(const struct device *device);
/* A session has nothing more for it: perhaps it was the last. */
void control_vacated(struct device *device);

struct device_use {
	uint32_t sessions; /* that sit there */
	uint32_t busy; /* of them, with a submission that has not ended */
	uint32_t submissions; /* theirs */
};
struct device_use control_use(const struct device *device);

/* ------------------------------------------------------------------ control_reset.c */

/*
 * Begins a reset as soon as the loop owns the device, and does not wait for it: device->reset tells. Nobody is to blame
 * for what it ends. -EAGAIN while a recovery or an opening is under way, -ENODEV if the host wants the device,
 * -ENOTSUP if nothing is left that could bring it back.
 */
int control_reset(const struct session *admin, struct device *device, struct fail *fail);
/* On the loop, which owns the device: the climb that was asked for. */
void control_reset_begin(struct device *device);
/* What was asked for has ended, if anything was. */
void control_reset_done(struct device *device, enum recovery_rung rung);
void control_reset_failed(struct device *device, const char *reason);

/* ------------------------------------------------------------------ control_registers.c */

/*
 * Each register of the generation's list is read once. The number of them, or -EAGAIN while the loop does not own the
 * device, -ENODEV if there is none, -ENOTSUP if its generation has no list.
 */
int control_registers(const struct session *admin, struct device *device, struct npu_register out[NPU_MAX_REGISTERS],
		      struct fail *fail);

#endif
