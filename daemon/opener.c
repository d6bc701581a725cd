/* SPDX-License-Identifier: Apache-2.0 */
/* Opening configured devices; see opener.h. Decides nothing about sessions, touches no event loop. */
#include "daemon/opener.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/npu/window.h"
#include "daemon/util/clock.h"
#include "daemon/vfio/locked_memory.h"

/* Below this nothing runs: a job's control blocks and a small graph. */
#define LEAST_LOCKED_BYTES (1ull << 20)

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

/* No more than the host has is ever locked. */
static uint64_t at_most_memory(uint64_t bytes)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	uint64_t memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;

	return bytes < memory ? bytes : memory;
}

int opener_check_memory(const struct opener *opener, const struct vfio_device *vfio, char *why, size_t why_bytes)
{
	bool one_table = vfio->ops->space_new == NULL, unlimited = false;
	uint64_t needs = at_most_memory(one_table ? opener->session_bytes : opener->all_bytes), has = 0;

	why[0] = '\0';
	if (opener->config->transport == TRANSPORT_VFIO_USER || vfio_locked_memory(&has, &unlimited) < 0 || unlimited ||
	    has >= needs)
		return 0;
	(void)snprintf(why, why_bytes,
		       "locked memory: needs %" PRIu64 " bytes for what %s may map, has %" PRIu64
		       " (RLIMIT_MEMLOCK), set LimitMEMLOCK=",
		       needs, one_table ? "a session on each device" : "all sessions", has);
	return 1;
}

/* Nothing could ever be mapped: better said now than with the first job. */
static int refuse_without_memory(const struct opener *opener, char *why, size_t why_bytes)
{
	bool unlimited = false;
	uint64_t has = 0;

	if (opener->config->transport == TRANSPORT_VFIO_USER || vfio_locked_memory(&has, &unlimited) < 0 || unlimited ||
	    has >= LEAST_LOCKED_BYTES)
		return 0;
	(void)snprintf(why, why_bytes,
		       "%s: locked memory: needs %llu bytes at the least, has %" PRIu64
		       " (RLIMIT_MEMLOCK), set LimitMEMLOCK=",
		       opener->config->address, LEAST_LOCKED_BYTES, has);
	return -ENOMEM;
}

static int start_npu(const struct opener *opener, struct vfio_device *vfio, struct npu_device **out, char *why,
		     size_t why_bytes)
{
	struct npu_device *npu;
	int error = npu_detect(vfio, &opener->quirks, &npu, why, why_bytes);

	if (error < 0)
		return error;
	if (!npu_window_slots(npu->identity.generation, vfio->reserved, vfio->reserved_count)) {
		(void)snprintf(why, why_bytes,
			       "%s: the IOMMU leaves no window of addresses that the NPU's programs can use",
			       opener_place(opener->config));
		npu_free(npu);
		return -ENOTSUP;
	}
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
	int error = refuse_without_memory(opener, why, why_bytes);
	if (error == 0)
		error = open_transport(opener->config, &vfio, why, why_bytes);
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
