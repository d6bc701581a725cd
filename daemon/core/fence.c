/* SPDX-License-Identifier: Apache-2.0 */
/* Making, naming and ending fences; see fence.h. */
#include "daemon/core/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/core/host.h"
#include "daemon/core/session.h"

/* ------------------------------------------------------------------ holds */

static int hold_new(struct session *session, struct fence *fence, struct fence_hold **out, struct fail *fail)
{
	struct fence_hold *hold = calloc(1, sizeof(*hold));
	int error = hold ? handles_add(&session->fence_handles, hold, &hold->handle) : -ENOMEM;

	if (error < 0) {
		free(hold);
		if (error == -ENOSPC)
			return fail_limit(fail, "fences", "session", session->fence_handles.live,
					  session->fence_handles.maximum, "release fences");
		return fail_set(fail, -error, "fence: no memory");
	}
	hold->session = session;
	hold->fence = fence;
	fence->holders++;
	list_append(&session->fences, &hold->link);
	*out = hold;
	return 0;
}

static void notify_close(struct fence *fence)
{
	if (fence->notify_fd < 0)
		return;
	close(fence->notify_fd);
	fence->notify_fd = -1;
	quota_release(&fence->payer->quota, QUOTA_FDS, 1);
}

static void fence_put(struct fence *fence)
{
	if (--fence->holders)
		return;
	notify_close(fence);
	handles_remove(&fence->host->fences, fence->name);
	free(fence);
}

void fence_release(struct fence_hold *hold)
{
	handles_remove(&hold->session->fence_handles, hold->handle);
	list_remove(&hold->link);
	fence_put(hold->fence);
	free(hold);
}

int fence_find(struct session *session, uint64_t handle, struct fence_hold **out, struct fail *fail)
{
	struct fence_hold *hold = handles_get(&session->fence_handles, handle);

	if (!hold)
		return fail_set(fail, ENOENT, "fence 0x%" PRIx64 ": no such fence in this session", handle);
	*out = hold;
	return 0;
}

/* ------------------------------------------------------------------ create */

static int fence_new(struct host *host, struct fence **out, struct fail *fail)
{
	struct fence *fence = calloc(1, sizeof(*fence));
	int error = fence ? handles_add(&host->fences, fence, &fence->name) : -ENOMEM;

	/* Never waits: without enough entropy at boot it is refused, not guessable. */
	if (error == 0 && getrandom(fence->secret, sizeof(fence->secret), GRND_NONBLOCK) != sizeof(fence->secret)) {
		handles_remove(&host->fences, fence->name);
		error = -EAGAIN;
	}
	if (error < 0) {
		free(fence);
		return fail_set(fail, ENOMEM, "fence: no memory, or no random numbers yet");
	}
	fence->host = host;
	fence->notify_fd = -1;
	fence->holders = 1;
	completion_init(&fence->completion);
	*out = fence;
	return 0;
}

/* The writing end stays here: that it ends is all that is ever told. */
static int notify_open(struct fence *fence, struct session *payer, int *notify, struct fail *fail)
{
	int ends[2];
	int error = session_charge(payer, QUOTA_FDS, 1, fail);

	if (error < 0)
		return error;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
		quota_release(&payer->quota, QUOTA_FDS, 1);
		return fail_set(fail, ENOMEM, "fence: no descriptor for the notification: %s", strerror(errno));
	}
	*notify = ends[0];
	fence->notify_fd = ends[1];
	fence->payer = payer;
	return 0;
}

static void token_write(const struct fence *fence, struct fence_token *token)
{
	_Static_assert(sizeof(token->bytes) == sizeof(fence->name) + sizeof(fence->secret), "name, then secret");
	memcpy(token->bytes, &fence->name, sizeof(fence->name));
	memcpy(token->bytes + sizeof(fence->name), fence->secret, sizeof(fence->secret));
}

int fence_create(struct session *session, struct fence_made *out, struct fail *fail)
{
	struct fence *fence = NULL;
	int error = fence_new(session->host, &fence, fail);

	if (error < 0 || !fence)
		return error;
	error = hold_new(session, fence, &out->hold, fail);
	if (error == 0) {
		error = notify_open(fence, session, &out->notify_fd, fail);
		if (error < 0)
			fence_release(out->hold);
	}
	if (error < 0) {
		fence_put(fence);
		return error;
	}
	token_write(fence, &out->token);
	return 0;
}

void fence_end(struct fence *fence, enum completion_state state)
{
	notify_close(fence);
	completion_raise(fence->host, &fence->completion, state);
	fence_put(fence);
}

/* ------------------------------------------------------------------ import */

/* In a time that does not depend on how much of it was right. */
static bool same_secret(const uint8_t *a, const uint8_t *b)
{
	unsigned difference = 0;

	for (size_t i = 0; i < NPUD_FENCE_SECRET_BYTES; i++)
		difference |= (unsigned)(a[i] ^ b[i]);
	return difference == 0;
}

int fence_import(struct session *session, const uint8_t *token, size_t bytes, struct fence_hold **out,
		 struct fail *fail)
{
	uint64_t name;

	if (bytes != NPUD_FENCE_TOKEN_BYTES)
		return fail_set(fail, EINVAL, "fence token: %zu bytes, a token has %u", bytes, NPUD_FENCE_TOKEN_BYTES);
	memcpy(&name, token, sizeof(name));
	struct fence *fence = handles_get(&session->host->fences, name);
	if (!fence || !same_secret(fence->secret, token + sizeof(name)))
		return fail_set(fail, ENOENT,
				"fence token: names no fence of this daemon; who made it has to keep it until it is "
				"imported");
	return hold_new(session, fence, out, fail);
}
