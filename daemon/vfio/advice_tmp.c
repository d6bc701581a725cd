/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/vfio/vfio.h"
void vfio_map_advice(const struct vfio_device *device, int error, uint64_t bytes, char *text, size_t text_bytes)
{
	(void)device, (void)error, (void)bytes;
	if (text_bytes)
		text[0] = 0;
}
#include <errno.h>
#include <stdio.h>
int vfio_kernel_open(const char *address, const struct vfio_kernel_options *options, struct vfio_device **out,
		     char *why, size_t why_bytes)
{
	(void)options, (void)out;
	(void)snprintf(why, why_bytes, "%s: no kernel VFIO", address);
	return -ENOTSUP;
}
