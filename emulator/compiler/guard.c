/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks a hostile ONNX file: nesting is bounded before the recursive decoder sees a byte, memory while it works.
 */
#include "emulator/compiler/cc.h"

#include <stdlib.h>

#define GUARD_MAX_DEPTH 48u
#define GUARD_FIXED_BYTES (64ull << 20)
#define GUARD_FACTOR 16u

struct reader {
	const uint8_t *at;
	const uint8_t *end;
};

static bool read_varint(struct reader *r, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
		uint8_t byte = *r->at++;
		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static bool skip(struct reader *r, uint64_t bytes)
{
	if (bytes > (uint64_t)(r->end - r->at))
		return false;
	r->at += bytes;
	return true;
}

/* Walks one message by its descriptor. 0; -1 malformed; -2 too deep. Depth is bounded, so recursion is safe. */
static int guard_message(const ProtobufCMessageDescriptor *type, struct reader r, unsigned depth)
{
	uint64_t tag = 0;
	uint64_t length = 0;

	if (depth > GUARD_MAX_DEPTH)
		return -2;
	while (r.at < r.end) {
		if (!read_varint(&r, &tag))
			return -1;
		switch (tag & 7) {
		case 0:
			if (!read_varint(&r, &length))
				return -1;
			break;
		case 1:
			if (!skip(&r, 8))
				return -1;
			break;
		case 5:
			if (!skip(&r, 4))
				return -1;
			break;
		case 2: {
			if (!read_varint(&r, &length) || length > (uint64_t)(r.end - r.at) || tag >> 3 > UINT32_MAX)
				return -1;
			const ProtobufCFieldDescriptor *field =
			    protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
			struct reader inner = {r.at, r.at + length};
			r.at += length;
			if (!field || field->type != PROTOBUF_C_TYPE_MESSAGE)
				break;
			int rc = guard_message(field->descriptor, inner, depth + 1);
			if (rc)
				return rc;
			break;
		}
		default:
			return -1;
		}
	}
	return 0;
}

static void *guard_alloc(void *data, size_t bytes)
{
	struct arena *arena = data;

	return arena_alloc(arena, bytes);
}

static void guard_free(void *data, void *pointer)
{
	(void)data;
	(void)pointer; /* the arena goes as a whole */
}

Onnx__ModelProto *model_unpack(struct cc *cc, const void *data, size_t bytes)
{
	struct reader r = {data, (const uint8_t *)data + bytes};
	ProtobufCAllocator allocator = {.alloc = guard_alloc, .free = guard_free, .allocator_data = &cc->arena};

	if (bytes == 0) {
		cc_bad(cc, "the file is empty");
		return NULL;
	}
	switch (guard_message(&onnx__model_proto__descriptor, r, 0)) {
	case 0:
		break;
	case -2:
		cc_bad(cc, "messages are nested more than %u deep", GUARD_MAX_DEPTH);
		return NULL;
	default:
		cc_bad(cc, "not an ONNX model: the protobuf encoding is malformed");
		return NULL;
	}
	uint64_t before = cc->arena.budget;
	uint64_t limit = GUARD_FIXED_BYTES + (uint64_t)bytes * GUARD_FACTOR;
	cc->arena.budget = limit < before ? limit : before;
	uint64_t granted = cc->arena.budget;
	Onnx__ModelProto *model = onnx__model_proto__unpack(&allocator, bytes, data);
	cc->arena.budget = before - (granted - cc->arena.budget);
	if (!model)
		cc_bad(cc, "not an ONNX model: decoding failed");
	return model;
}
