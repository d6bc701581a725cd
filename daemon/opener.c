/* SPDX-License-Identifier: Apache-2.0 */
/* Opening configured devices; see opener.h. Decides nothing about sessions, touches no event loop. */
#include "daemon/opener.h"

#include <stdio.h>
#include <string.h>

#include "daemon/util/clock.h"

const char *opener_place(const struct config_device *config)
{
	return config->transport == TRANSPORT_VFIO_USER ? config->path : config->address;
}

static int open_transport(const struct config_device *config, struct vfio_device **vfio, char *why, size_t why_bytes)
{
	const struct vfio_user_options user = {.deadline_ns = config->deadline_ms * NSEC_PER_MSEC};
	const struct vfio_kernel_options kernel = {.iommu = (enum vfio_iommu)config->iommu};

	if (config->transport == TRANSPORT_VFIO_USER)
		return vfio_user_open(config->path, &user, vfio, why, why_bytes);
	return vfio_kernel_open(config->address, &kernel, vfio, why, why_bytes);
}

static int start_npu(const struct opener *opener, struct vfio_device *vfio, struct npu_device **out, char *why,
		     size_t why_bytes)
{
	struct npu_device *npu;
	int error = npu_detect(vfio, &opener->quirks, &npu, why, why_bytes);

	if (error < 0)
		return error;
	error = npu->ops->init(npu);
	if (error < 0) {
		if (snprintf(why, why_bytes, "%s: the NPU cannot be initialised: %s", opener_place(opener->config),
			     strerror(-error)) < 0)
			why[0] = '\0';
		npu_free(npu);
		return error;
	}
	*out = npu;
	return 0;
}

int opener_open(const struct opener *opener, struct vfio_device **vfio_out, struct npu_device **npu_out, char *why,
		size_t why_bytes)
{
	struct vfio_device *vfio;
	char refused[512] = "";

	why[0] = '\0';
	int error = open_transport(opener->config, &vfio, why, why_bytes);
	if (error < 0)
		return error;
	(void)snprintf(refused, sizeof(refused), "%s", why);
	error = start_npu(opener, vfio, npu_out, why, why_bytes);
	if (error < 0) {
		vfio_close(vfio);
		return error;
	}
	(void)snprintf(why, why_bytes, "%s", refused);
	*vfio_out = vfio;
	return 0;
}
