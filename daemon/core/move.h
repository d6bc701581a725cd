/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving a session to another device: decided while nothing of it runs or waits, done when its old device holds nothing
 * of it any more. In between, what it submits waits in its queues. Addresses and prepared jobs stay as they are.
 */
#ifndef NPUD_CORE_MOVE_H
#define NPUD_CORE_MOVE_H

#include <stdbool.h>

struct session;

/* Looks whether another device is better, and begins to move there if so. */
void move_consider(struct session *session);
bool move_is_pending(const struct session *session);
/* One more step of a move that is pending, if nothing is in its way: the old device let go of something. */
void move_continue(struct session *session);

#endif
