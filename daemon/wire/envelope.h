/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reply or an event in the frame that carries it. protobuf-c measures what is nested anew at each level, and here
 * everything is: this measures once.
 */
#ifndef NPUD_WIRE_ENVELOPE_H
#define NPUD_WIRE_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "npud.pb-c.h"

/* The size of the frame in `out`, 0 if it does not fit into `bytes`. */
size_t envelope_reply(const Npud__Reply *reply, uint8_t *out, size_t bytes);
/* `kind` is the type of `message`. */
size_t envelope_event(Npud__Event__BodyCase kind, const ProtobufCMessage *message, uint8_t *out, size_t bytes);

#endif
