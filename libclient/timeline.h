/* SPDX-License-Identifier: Apache-2.0 */
/* One page of what has ended as it was received: copied out of the frame. */
#ifndef NPU_CLIENT_TIMELINE_H
#define NPU_CLIENT_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "libclient/include/npu/npu.h"
#include "npud.pb-c.h"
#include "proto/limits.h"

struct npu_timeline_page {
	struct npu_timeline_entry entries[NPUD_MAX_TIMELINE_PER_FRAME];
	uint32_t count;
	uint64_t next;
	uint64_t end; /* when `next` gets there, this reading is complete */
	bool whole; /* false: the frame had more than a page may have */
};

void npu_timeline_copy(struct npu_timeline_page *to, const Npud__Timeline *from);

#endif
