/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to Request, within a budget: fields are counted before anything is unpacked, and unpacking takes its memory
 * from one block that is made once and used again for every request. No heap allocation per request.
 */
#ifndef NPUD_WIRE_UNPACK_H
#define NPUD_WIRE_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/util/fail.h"
#include "npud.pb-c.h"

struct unpacker;

int unpacker_new(struct unpacker **out);
struct unpacker *unpacker_free(struct unpacker *unpacker);

/* The request is valid until the next call. -EPROTO with words when it is malformed or over a limit. */
int unpack_request(struct unpacker *unpacker, const uint8_t *data, size_t bytes, const Npud__Request **out,
		   struct fail *fail);

/* The counting alone: for tests. */
int prescan(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t bytes, struct fail *fail);

/* Most that unpacking took so far. */
size_t unpacker_peak(const struct unpacker *unpacker);

#endif
