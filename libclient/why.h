/* SPDX-License-Identifier: Apache-2.0 */
/* Why a submission is where it is, as it was received: copied out of the frame. */
#ifndef NPU_CLIENT_WHY_H
#define NPU_CLIENT_WHY_H

#include "libclient/include/npu/npu.h"
#include "npud.pb-c.h"

void npu_why_copy(struct npu_why *to, const Npud__Why *from);

#endif
