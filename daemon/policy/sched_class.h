/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which class a device serves: the best that has work, except that each below it is guaranteed its remainder. A class
 * earns its remainder of the device time that passes while it has work and a better one is served. It is next when it
 * has earned what its next item is estimated to take.
 */
#ifndef NPUD_POLICY_SCHED_CLASS_H
#define NPUD_POLICY_SCHED_CLASS_H

#include "daemon/policy/sched.h"

struct sched_class_account {
	int64_t credit; /* in nanoseconds / SCHED_WHOLE */
	uint64_t since_ns; /* that it has work */
	uint32_t remainder; /* permille */
	bool ready; /* it has work that may run */
};

struct sched_classes {
	struct sched_class_account of[SCHED_CLASSES];
};

void classes_init(struct sched_classes *classes, const uint32_t remainder[SCHED_CLASSES]);
/* A class has work that may run, or none. Without, what it earned is lost; what it owes stays. */
void classes_set_ready(struct sched_classes *classes, enum sched_class class, bool ready, uint64_t now_ns);
/* The best that has work; SCHED_CLASSES if none has. */
enum sched_class classes_best(const struct sched_classes *classes);
/* It has earned so much. */
bool classes_has_earned(const struct sched_classes *classes, enum sched_class class, uint64_t ns);
/* It is served for so long; `contended`: while a better one has work. */
void classes_spend(struct sched_classes *classes, enum sched_class class, bool contended, uint64_t ns);
/* Less of it was used. */
void classes_return(struct sched_classes *classes, enum sched_class class, bool contended, uint64_t ns);
/* So much device time passed, for that class. */
void classes_elapse(struct sched_classes *classes, enum sched_class class, uint64_t device_ns, uint64_t now_ns);

#endif
