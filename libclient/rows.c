/* SPDX-License-Identifier: Apache-2.0 */
/* Twice as large as is needed, so that many pages cost few copies; see rows.h. */
#include "libclient/rows.h"

#include <stdlib.h>

void *npu_rows_room(void *array, size_t member_bytes, size_t wanted, size_t *room)
{
	if (array && wanted <= *room)
		return array;
	void *grown = reallocarray(array, 2 * wanted + 1, member_bytes);

	if (grown)
		*room = 2 * wanted + 1;
	return grown;
}
