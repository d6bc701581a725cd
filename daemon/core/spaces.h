/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who lives in which address space. Private, the default: every session in one of its own, which no other session's
 * programs reach. Where the operator says so, sessions that trust each other share one per device, those of a tenant or
 * those of several: then no tenure changes between them, and their programs can reach one another's memory.
 */
#ifndef NPUD_CORE_SPACES_H
#define NPUD_CORE_SPACES_H

#include <stdbool.h>

struct session;

/* Into session->space, on session->device. -ENOMEM, -ERANGE: the device has no room for an address space. */
int spaces_join(struct session *session);
/* It ends or moves away: its work is no reason to keep the device. */
void spaces_depart(struct session *session);
/* Others go on in its address space. */
bool spaces_have_others(const struct session *session);
/* It ends, and nothing of it is in there any more. True if it was the last: nobody can join, what is left has to go. */
bool spaces_leave(struct session *session);
/* After address_space_fini(), for the last. */
void spaces_free(struct session *session);

#endif
