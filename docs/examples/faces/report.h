/* SPDX-License-Identifier: Apache-2.0 */
/* What was found, for people and for programs. */
#ifndef FACES_REPORT_H
#define FACES_REPORT_H

#include "docs/examples/faces/network.h"

struct report {
	const char *photo;
	uint32_t width, height;
	const struct face *faces;
	size_t count;
	uint64_t prepare_ns; /* decoding and placing the photo */
	uint64_t decode_ns; /* from outputs to faces */
	const struct network *network;
};

void report_print(const struct report *report);
int report_write_json(const struct report *report, const char *path, struct reason *why);

#endif
