/* SPDX-License-Identifier: Apache-2.0 */
/* What is around a message, written in front of it; see envelope.h. Knows the encoding of a nested field, no content.
 */
#include "daemon/wire/envelope.h"

#define MAX_DEPTH 2u
#define LENGTH_DELIMITED 2u

static size_t varint_bytes(size_t value)
{
	size_t bytes = 1;

	for (; value >= 0x80; value >>= 7)
		bytes++;
	return bytes;
}

static uint8_t *put_varint(uint8_t *at, size_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	return at;
}

/* `fields` from the outside in; their numbers are below 16, which makes a tag one byte. */
static size_t nest(const unsigned *fields, size_t depth, const ProtobufCMessage *message, uint8_t *out, size_t bytes)
{
	size_t inside[MAX_DEPTH]; /* of each field, in bytes */
	size_t size = protobuf_c_message_get_packed_size(message);

	for (size_t i = depth; i-- > 0;) {
		inside[i] = size;
		size += 1 + varint_bytes(size);
	}
	if (size > bytes)
		return 0;
	for (size_t i = 0; i < depth; i++) {
		*out++ = (uint8_t)(fields[i] << 3 | LENGTH_DELIMITED);
		out = put_varint(out, inside[i]);
	}
	protobuf_c_message_pack(message, out);
	return size;
}

size_t envelope_reply(const Npud__Reply *reply, uint8_t *out, size_t bytes)
{
	static const unsigned fields[] = {NPUD__SERVER_FRAME__BODY_REPLY};

	return nest(fields, 1, &reply->base, out, bytes);
}

size_t envelope_event(Npud__Event__BodyCase kind, const ProtobufCMessage *message, uint8_t *out, size_t bytes)
{
	const unsigned fields[MAX_DEPTH] = {NPUD__SERVER_FRAME__BODY_EVENT, (unsigned)kind};

	return nest(fields, MAX_DEPTH, message, out, bytes);
}
