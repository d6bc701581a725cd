/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fence: the end of a submission as an object of its own that other sessions can wait for. Exists only as the result
 * of an accepted submission, and always ends. Its token names it to whoever is told the token; the descriptor that goes
 * with it is a notification and is never read.
 */
#ifndef NPUD_CORE_FENCE_H
#define NPUD_CORE_FENCE_H

#include <stdint.h>

#include "daemon/core/completion.h"
#include "daemon/util/fail.h"
#include "proto/limits.h"

struct host;
struct session;

struct fence {
	struct host *host;
	struct completion completion;
	unsigned holders; /* sessions, and the submission while it has not ended */
	uint64_t name; /* host->fences */
	uint8_t secret[NPUD_FENCE_SECRET_BYTES];
	int notify_fd; /* closed when it ends; -1: nobody wants to know */
	struct session *payer; /* of the descriptor, while it is open */
};

/* A session's hold on a fence. */
struct fence_hold {
	struct list link; /* session->fences */
	struct session *session;
	struct fence *fence;
	uint64_t handle;
};

struct fence_token {
	uint8_t bytes[NPUD_FENCE_TOKEN_BYTES];
};

/* What a session gets with a submission that it wants a fence for. */
struct fence_made {
	struct fence_hold *hold;
	struct fence_token token;
	int notify_fd; /* becomes readable (end of file) when the fence ends; the caller's */
};

/* For a submission that is being accepted, which puts hold->fence into it: then fence_end() is sure to come. */
int fence_create(struct session *session, struct fence_made *out, struct fail *fail);
int fence_import(struct session *session, const uint8_t *token, size_t bytes, struct fence_hold **out,
		 struct fail *fail);
int fence_find(struct session *session, uint64_t handle, struct fence_hold **out, struct fail *fail);
/* Submissions that wait for it go on waiting. */
void fence_release(struct fence_hold *hold);

/* The submission ended; forgets it. */
void fence_end(struct fence *fence, enum completion_state state);

#endif
