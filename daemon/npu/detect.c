/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which NPU is this? One register tells, at the same place in every generation. Writes nothing before it knows.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/npu/v3.h"

struct product {
	uint32_t revision;
	const char *name;
	const char *generation;
	bool supported;
};

static const struct product products[] = {
    {ZY_REVISION_Z1, "Z1", "V1", false},     {ZY_REVISION_Z2, "Z2", "V2", false},
    {ZY_REVISION_Z3, "Z3", "V2", false},     {ZY_REVISION_X1, "X1", "V2", false},
    {ZY_REVISION_X2_R0P2, "X2", "V3", true}, {ZY_REVISION_X2_R0P3, "X2", "V3", true},
    {ZY_REVISION_X3P, "X3P", "V3_2", false}, {ZY_REVISION_X3S, "X3S", "V3_2", false},
};

static const struct product *product_find(uint32_t revision)
{
	for (size_t i = 0; i < sizeof(products) / sizeof(*products); i++)
		if (products[i].revision == revision)
			return &products[i];
	return NULL;
}

int npu_detect(struct vfio_device *vfio, const struct npu_quirks *quirks, struct npu_device **out, char *why,
	       size_t why_bytes)
{
	uint32_t revision;

	if (vfio->mmio_bytes < ZY_REVISION + 4) {
		snprintf(why, why_bytes, "region 0 has %llu bytes: too small for any Zhouyi NPU",
			 (unsigned long long)vfio->mmio_bytes);
		return -ENOTSUP;
	}
	int rc = vfio->ops->reg_read(vfio, ZY_REVISION, &revision);
	if (rc) {
		snprintf(why, why_bytes, "revision register cannot be read: %s", strerror(-rc));
		return rc;
	}
	const struct product *product = product_find(revision);
	if (!product) {
		snprintf(why, why_bytes, "revision register reads %08x: not a known Zhouyi NPU%s", revision,
			 revision == UINT32_MAX ? "; all ones: powered off, or clock missing" : "");
		return -ENOTSUP;
	}
	if (!product->supported) {
		snprintf(why, why_bytes, "%s (%s, revision register %08x) is not supported by this version: X2 is",
			 product->name, product->generation, revision);
		return -ENOTSUP;
	}
	if (vfio->mmio_bytes < ZY3_MMIO_BYTES) {
		snprintf(why, why_bytes, "region 0 has %llu bytes, the registers of an X2 need %u",
			 (unsigned long long)vfio->mmio_bytes, ZY3_MMIO_BYTES);
		return -ENOTSUP;
	}
	return v3_new(vfio, quirks, out, why, why_bytes);
}
