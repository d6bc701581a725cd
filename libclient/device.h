/* SPDX-License-Identifier: Apache-2.0 */
/* Use and registers of a device as they were received: copied out of the frame. */
#ifndef NPU_CLIENT_DEVICE_H
#define NPU_CLIENT_DEVICE_H

#include <stdbool.h>

#include "libclient/include/npu/operator.h"
#include "npud.pb-c.h"

struct npu_registers_page {
	struct npu_register_info registers[NPU_REGISTERS];
	uint32_t count;
	bool whole; /* false: the frame had more than a device may have */
};

void npu_device_copy(struct npu_device_usage *to, const Npud__DeviceInfo *from);
void npu_registers_copy(struct npu_registers_page *to, const Npud__Registers *from);

#endif
