/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that does what may block. The loop hands it work and gets it back, in order; a piece of work belongs to
 * exactly one side at a time.
 */
#ifndef NPUD_CORE_WORKER_H
#define NPUD_CORE_WORKER_H

#include <stdbool.h>

#include "daemon/util/list.h"

struct work {
	struct list link;
	void (*run)(struct work *work); /* on the worker */
	void (*done)(struct work *work); /* on the loop, from worker_reap() */
};

struct worker;

/* Without a thread, work waits until worker_step() runs it: for tests. */
int worker_new(bool threaded, struct worker **out);
/* Finishes what was submitted, then stops. done() is called for everything. NULL is legal. */
void worker_free(struct worker *worker);
void worker_submit(struct worker *worker, struct work *work);
/* There is nothing to run: done() comes as soon as the loop gets to it, however long the thread is busy. */
void worker_report(struct worker *worker, struct work *work);
/* Readable when worker_reap() has something. */
int worker_fd(const struct worker *worker);
void worker_reap(struct worker *worker);
/* Threadless workers: run and reap the oldest piece of work; false if there is none. */
bool worker_step(struct worker *worker);

#endif
