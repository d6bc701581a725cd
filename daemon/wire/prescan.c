/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks an encoded message without building anything: counts fields, measures texts, bounds depth. Guards the decoder
 * against few bytes that become much memory.
 */
#include <errno.h>
#include <string.h>

#include "daemon/wire/unpack.h"

#define MAX_DEPTH 6u
#define MAX_FIELDS 4096u /* no honest frame has more: a field takes four bytes and more on average */
#define MAX_UNKNOWN 32u
#define MAX_REPEATED 4096u

struct scan {
	unsigned fields;
	unsigned unknown;
	unsigned nested;
	struct fail *fail;
};

struct reader {
	const uint8_t *at;
	const uint8_t *end;
};

static int read_varint(struct reader *reader, uint64_t *out)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70 && reader->at < reader->end; shift += 7) {
		uint8_t byte = *reader->at++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*out = value;
			return 0;
		}
	}
	return -EPROTO;
}

static int skip(struct reader *reader, uint64_t bytes)
{
	if (bytes > (uint64_t)(reader->end - reader->at))
		return -EPROTO;
	reader->at += bytes;
	return 0;
}

static int scan_message(const ProtobufCMessageDescriptor *descriptor, struct reader reader, struct scan *scan,
			unsigned depth);

static int scan_length_delimited(const ProtobufCFieldDescriptor *field, struct reader *reader, struct scan *scan,
				 unsigned depth)
{
	uint64_t bytes;

	if (read_varint(reader, &bytes) < 0 || bytes > (uint64_t)(reader->end - reader->at))
		return fail_set(scan->fail, EPROTO, "frame: %s is cut off", field ? field->name : "an unknown field");
	struct reader inner = {reader->at, reader->at + bytes};
	reader->at = inner.end;
	if (!field)
		return 0;
	switch (field->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		/* An empty one takes two bytes, and as long to decode as any other. */
		if (++scan->nested > NPUD_MAX_NESTED_PER_FRAME)
			return fail_set(scan->fail, EPROTO, "frame: more than %u messages in it; send several frames",
					NPUD_MAX_NESTED_PER_FRAME);
		return scan_message(field->descriptor, inner, scan, depth + 1);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
		if (bytes > NPUD_MAX_STRING_BYTES)
			return fail_set(scan->fail, EPROTO, "frame: %s is longer than %u bytes", field->name,
					NPUD_MAX_STRING_BYTES);
		return 0;
	default:
		/* packed numbers: at least one byte each */
		if (bytes > (uint64_t)MAX_REPEATED * 10)
			return fail_set(scan->fail, EPROTO, "frame: too many %s", field->name);
		return 0;
	}
}

static unsigned repeat_limit(const ProtobufCFieldDescriptor *field)
{
	if (field->label != PROTOBUF_C_LABEL_REPEATED)
		return 1;
	return strcmp(field->name, "groups") == 0 ? NPUD_MAX_GROUPS_PER_FRAME : MAX_REPEATED;
}

static int scan_field(const ProtobufCMessageDescriptor *descriptor, struct reader *reader, struct scan *scan,
		      unsigned depth, const ProtobufCFieldDescriptor **out)
{
	uint64_t tag;
	uint64_t value;

	if (read_varint(reader, &tag) < 0 || tag > UINT32_MAX || tag >> 3 == 0)
		return fail_set(scan->fail, EPROTO, "frame: malformed tag in %s", descriptor->name);
	const ProtobufCFieldDescriptor *field =
	    protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(tag >> 3));
	*out = field;
	if (++scan->fields > MAX_FIELDS || (!field && ++scan->unknown > MAX_UNKNOWN))
		return fail_set(scan->fail, EPROTO, "frame: too many fields; send groups in several frames");
	int error;
	switch (tag & 7) {
	case 0:
		error = read_varint(reader, &value);
		break;
	case 1:
		error = skip(reader, 8);
		break;
	case 2:
		return scan_length_delimited(field, reader, scan, depth);
	case 5:
		error = skip(reader, 4);
		break;
	default:
		error = -EPROTO;
		break;
	}
	if (error < 0)
		return fail_set(scan->fail, EPROTO, "frame: %s in %s is malformed", field ? field->name : "a field",
				descriptor->name);
	return 0;
}

static int scan_message(const ProtobufCMessageDescriptor *descriptor, struct reader reader, struct scan *scan,
			unsigned depth)
{
	uint16_t seen[32] = {0};
	const ProtobufCFieldDescriptor *field = NULL;

	if (depth > MAX_DEPTH)
		return fail_set(scan->fail, EPROTO, "frame: nested too deeply");
	while (reader.at < reader.end) {
		int error = scan_field(descriptor, &reader, scan, depth, &field);
		if (error < 0)
			return error;
		size_t index = field ? (size_t)(field - descriptor->fields) : 0;
		if (!field || index >= sizeof(seen) / sizeof(seen[0]))
			continue;
		/* A field twice would be merged, with memory for both. */
		if (++seen[index] > repeat_limit(field))
			return fail_set(scan->fail, EPROTO, "frame: %s comes more than %u times", field->name,
					repeat_limit(field));
	}
	return 0;
}

int prescan(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t bytes, struct fail *fail)
{
	struct scan scan = {.fail = fail};

	return scan_message(descriptor, (struct reader){data, data + bytes}, &scan, 0);
}
