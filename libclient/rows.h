/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that grow as pages come in. */
#ifndef NPU_CLIENT_ROWS_H
#define NPU_CLIENT_ROWS_H

#include <stddef.h>

/* The array with room for `wanted` members; NULL without memory, and then it is as it was. */
void *npu_rows_room(void *array, size_t member_bytes, size_t wanted, size_t *room);

#endif
