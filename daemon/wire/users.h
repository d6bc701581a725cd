/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many connections each user has, told at every accept in a time that depends neither on how many there are nor on
 * which user ids somebody has picked. Never allocates after it was made.
 */
#ifndef NPUD_WIRE_USERS_H
#define NPUD_WIRE_USERS_H

#include <stdint.h>
#include <sys/types.h>

struct users;

/* For so many connections at most, 1 to 1 << 24: entering more is a bug. */
int users_new(uint64_t connections, struct users **out);
void users_free(struct users *users);

uint32_t users_count(const struct users *users, uid_t uid);
void users_enter(struct users *users, uid_t uid);
/* One that entered. */
void users_leave(struct users *users, uid_t uid);

#endif
