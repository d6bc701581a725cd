/* SPDX-License-Identifier: Apache-2.0 */
/* One page of sessions as it was received: copied out of the frame. */
#ifndef NPU_CLIENT_PS_H
#define NPU_CLIENT_PS_H

#include <stdbool.h>
#include <stdint.h>

#include "libclient/include/npu/npu.h"
#include "npud.pb-c.h"
#include "proto/limits.h"

struct npu_ps_page {
	struct npu_ps_session sessions[NPUD_MAX_PS_SESSIONS_PER_FRAME];
	uint32_t count;
	struct npu_load totals[NPU_CLASS_IDLE + 1]; /* by class */
	uint32_t session_count; /* of all tenants */
	uint64_t next_session; /* 0: the last page */
	bool whole; /* false: the frame had more than a page may have */
};

void npu_ps_copy(struct npu_ps_page *to, const Npud__Ps *from);

#endif
