/* SPDX-License-Identifier: Apache-2.0 */
/* Walking and reading index tensors, shared by the gathering and scattering operators. */
#ifndef NPUD_EMULATOR_OPS_INDEX_H
#define NPUD_EMULATOR_OPS_INDEX_H

#include "emulator/ops/internal.h"

bool index_load(const uint8_t *p, uint32_t dtype, int64_t dim, int64_t *index);
bool index_type(uint32_t dtype);
bool index_next(int64_t *index, const int64_t *dims, uint32_t rank);
int64_t index_offset(const struct op_tensor *t, const int64_t *index, uint32_t rank);
struct op_tensor index_tail(const struct op_tensor *t, uint32_t skip);

#endif
