/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving a session to another device: decided while nothing of it runs or waits, done when its old device holds nothing
 * of it any more. In between, what it submits waits in its queues. Addresses and prepared jobs stay as they are. A
 * device that is drained is left in two steps by who is never idle: what was accepted ends there, what comes waits.
 */
#ifndef NPUD_CORE_MOVE_H
#define NPUD_CORE_MOVE_H

#include <stdbool.h>
#include <stdint.h>

struct session;

/* Looks whether another device is better, and begins to move there if so. */
void move_consider(struct session *session);
bool move_is_pending(const struct session *session);
/* What it submits from now on runs elsewhere, when what it has submitted has ended. False if it can go nowhere. */
bool move_away(struct session *session);
/* A submission with this arrival is for the device that the session goes to. */
bool move_holds_back(const struct session *session, uint64_t arrival);
/* One of its submissions has ended: perhaps the last that it had to wait for. */
void move_depart(struct session *session);
/* One more step of a move that is pending, if nothing is in its way: the old device let go of something. */
void move_continue(struct session *session);

#endif
