/* SPDX-License-Identifier: Apache-2.0 */
/* The budgeted allocator under protobuf-c; see unpack.h. */
#include "daemon/wire/unpack.h"

#include <errno.h>
#include <stdlib.h>

#define ALIGN 16u

struct unpacker {
	ProtobufCAllocator allocator;
	size_t used;
	size_t peak;
	/* Memory that was never needed is never touched, and so never resident. */
	_Alignas(ALIGN) uint8_t memory[NPUD_MAX_UNPACK_BYTES];
};

static void *take(void *data, size_t bytes)
{
	struct unpacker *unpacker = data;

	if (bytes > sizeof(unpacker->memory))
		return NULL;
	size_t rounded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
	if (rounded > sizeof(unpacker->memory) - unpacker->used)
		return NULL;
	void *block = unpacker->memory + unpacker->used;
	unpacker->used += rounded;
	if (unpacker->used > unpacker->peak)
		unpacker->peak = unpacker->used;
	return block;
}

/* Everything goes at once, with the next request. */
static void give_back(void *data, void *block)
{
	(void)data;
	(void)block;
}

int unpacker_new(struct unpacker **out)
{
	struct unpacker *unpacker = aligned_alloc(ALIGN, sizeof(*unpacker));

	if (!unpacker)
		return -ENOMEM;
	unpacker->allocator = (ProtobufCAllocator){take, give_back, unpacker};
	unpacker->used = 0;
	unpacker->peak = 0;
	*out = unpacker;
	return 0;
}

struct unpacker *unpacker_free(struct unpacker *unpacker)
{
	free(unpacker);
	return NULL;
}

size_t unpacker_peak(const struct unpacker *unpacker)
{
	return unpacker->peak;
}

int unpack_request(struct unpacker *unpacker, const uint8_t *data, size_t bytes, const Npud__Request **out,
		   struct fail *fail)
{
	int error = prescan(&npud__request__descriptor, data, bytes, fail);

	if (error < 0)
		return error;
	unpacker->used = 0;
	const Npud__Request *request = npud__request__unpack(&unpacker->allocator, bytes, data);
	if (!request)
		return fail_set(fail, EPROTO, "frame: malformed, or larger than %u bytes when decoded",
				NPUD_MAX_UNPACK_BYTES);
	*out = request;
	return 0;
}
