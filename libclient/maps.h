/* SPDX-License-Identifier: Apache-2.0 */
/* One page of mappings as it was received: copied out of the frame. */
#ifndef NPU_CLIENT_MAPS_H
#define NPU_CLIENT_MAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "libclient/include/npu/npu.h"
#include "npud.pb-c.h"
#include "proto/limits.h"

struct npu_maps_page {
	struct npu_maps_session sessions[NPUD_MAX_MAP_SESSIONS_PER_FRAME];
	struct npu_map maps[NPUD_MAX_MAPS_PER_FRAME];
	uint32_t session_count;
	uint32_t map_count;
	uint64_t next_session; /* 0: the last page */
	uint64_t next_iova;
	bool whole; /* false: the frame had more than a page may have */
};

void npu_maps_copy(struct npu_maps_page *to, const Npud__Maps *from);

#endif
