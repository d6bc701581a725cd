/* SPDX-License-Identifier: Apache-2.0 */
/* Fences of this session: made with a submission, or imported by token. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libclient/error.h"
#include "libclient/objects.h"

_Static_assert((int)NPU_FENCE_PENDING == (int)NPUD__FENCE_STATE__FENCE_PENDING &&
		   (int)NPU_FENCE_DONE == (int)NPUD__FENCE_STATE__FENCE_DONE &&
		   (int)NPU_FENCE_FAILED == (int)NPUD__FENCE_STATE__FENCE_FAILED &&
		   (int)NPU_FENCE_OWNER_GONE == (int)NPUD__FENCE_STATE__FENCE_OWNER_GONE,
	       "ends are counted as the protocol does");
_Static_assert(NPU_FENCE_TOKEN_BYTES == NPUD_FENCE_TOKEN_BYTES && NPU_MAX_DEPENDENCIES == NPUD_MAX_DEPENDENCIES,
	       "limits are the protocol's");

struct npu_fence *npu_fence_new(struct npu_connection *connection)
{
	struct npu_fence *fence = calloc(1, sizeof(*fence));

	if (!fence)
		return NULL;
	fence->connection = connection;
	fence->fd = -1;
	return fence;
}

/* From now on the connection owns it. */
void npu_fence_adopt(struct npu_fence *fence, const struct npu_fence_reply *reply)
{
	struct npu_connection *connection = fence->connection;

	fence->handle = reply->handle;
	fence->has_token = reply->has_token;
	memcpy(fence->token, reply->token, sizeof(fence->token));
	fence->fd = reply->fd;
	(void)pthread_mutex_lock(&connection->lock);
	fence->next = connection->fences;
	connection->fences = fence;
	(void)pthread_mutex_unlock(&connection->lock);
}

int npu_fence_token(const struct npu_fence *fence, uint8_t token[NPU_FENCE_TOKEN_BYTES])
{
	int rc = npu_link_check(fence->connection);

	if (rc)
		return rc;
	if (!fence->has_token)
		return npu_fail(-EINVAL, "fence: an imported fence has no token of its own: pass on the one you got");
	memcpy(token, fence->token, NPU_FENCE_TOKEN_BYTES);
	return 0;
}

int npu_fence_fd(const struct npu_fence *fence)
{
	int rc = npu_link_check(fence->connection);

	if (rc)
		return rc;
	if (fence->fd < 0)
		return npu_fail(-ENOTSUP, "fence: no descriptor came with it; ask for its state");
	return fence->fd;
}

static int ask(struct npu_connection *connection, Npud__Request *request, struct npu_fence_reply *out)
{
	struct npu_reply reply;
	int rc = npu_link_call(connection, request, -1, NPUD__REPLY__BODY_FENCE_INFO, &reply, "fence");

	*out = reply.fence;
	return rc;
}

int npu_fence_import(struct npu_connection *connection, const uint8_t token[NPU_FENCE_TOKEN_BYTES],
		     struct npu_fence **out)
{
	Npud__FenceImport import = NPUD__FENCE_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_fence_reply reply;
	int rc = npu_link_check_minor(connection, NPU_QUEUES_MINOR, "fence");

	if (rc)
		return rc;
	struct npu_fence *fence = npu_fence_new(connection);

	if (!fence)
		return npu_fail(-ENOMEM, "fence: out of memory");
	import.token.data = (uint8_t *)(uintptr_t)token;
	import.token.len = NPU_FENCE_TOKEN_BYTES;
	request.body_case = NPUD__REQUEST__BODY_FENCE_IMPORT;
	request.fence_import = &import;
	rc = ask(connection, &request, &reply);
	if (rc) {
		free(fence);
		return rc;
	}
	npu_fence_adopt(fence, &reply);
	*out = fence;
	return 0;
}

int npu_fence_state(struct npu_fence *fence)
{
	Npud__FenceQuery query = NPUD__FENCE_QUERY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_fence_reply reply;
	int rc = npu_link_check(fence->connection);

	if (rc)
		return rc;
	query.fence = fence->handle;
	request.body_case = NPUD__REQUEST__BODY_FENCE_QUERY;
	request.fence_query = &query;
	rc = ask(fence->connection, &request, &reply);
	return rc ? rc : (int)reply.state;
}

void npu_fence_drop(struct npu_fence *fence)
{
	struct npu_connection *connection = fence->connection;

	(void)pthread_mutex_lock(&connection->lock);
	for (struct npu_fence **link = &connection->fences; *link; link = &(*link)->next) {
		if (*link == fence) {
			*link = fence->next;
			break;
		}
	}
	(void)pthread_mutex_unlock(&connection->lock);
	if (fence->fd >= 0)
		(void)close(fence->fd);
	free(fence);
}

void npu_fence_free(struct npu_fence *fence)
{
	Npud__FenceRelease release = NPUD__FENCE_RELEASE__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;

	if (!fence || npu_link_check(fence->connection))
		return;
	release.fence = fence->handle;
	request.body_case = NPUD__REQUEST__BODY_FENCE_RELEASE;
	request.fence_release = &release;
	/* whatever comes back, nobody refers to it any more */
	(void)npu_link_call(fence->connection, &request, -1, NPUD__REPLY__BODY_EMPTY, &reply, "fence");
	npu_fence_drop(fence);
}
