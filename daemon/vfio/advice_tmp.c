/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/vfio/vfio.h"
void vfio_map_advice(const struct vfio_device *device, int error, uint64_t bytes, char *text, size_t text_bytes)
{
	(void)device, (void)error, (void)bytes;
	if (text_bytes)
		text[0] = 0;
}
