/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a device of the kernel: found in sysfs, then through the first IOMMU interface that takes it. What a
 * candidate opened before it failed is closed before the next one is asked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/vfio/kernel.h"

static void fd_close(int fd)
{
	if (fd >= 0)
		kernel_calls->close(fd);
}

/* The device first: while it is open its group, container and iommufd cannot end. */
void kernel_close(struct vfio_device *device)
{
	struct vfio_kernel *kernel = vfio_kernel(device);

	kernel_regions_close(kernel);
	kernel->iommu->close(kernel);
	fd_close(kernel->device);
	fd_close(kernel->base.irq_fd);
	fd_close(kernel->base.life_fd);
	fd_close(kernel->error_fd);
	fd_close(kernel->request_fd);
	fd_close(kernel->group);
	fd_close(kernel->container);
	fd_close(kernel->iommufd);
	free(kernel);
}

static struct vfio_kernel *kernel_new(const struct kernel_identity *id, const struct iommu_ops *iommu)
{
	struct vfio_kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel)
		return NULL;
	*kernel = (struct vfio_kernel){.base = {.ops = iommu->device, .irq_fd = -1, .life_fd = -1},
				       .iommu = iommu,
				       .id = *id,
				       .device = -1,
				       .container = -1,
				       .group = -1,
				       .iommufd = -1,
				       .error_fd = -1,
				       .request_fd = -1,
				       .spaces_lock = PTHREAD_MUTEX_INITIALIZER};
	list_init(&kernel->spaces);
	list_init(&kernel->root.link);
	return kernel;
}

static int device_open(struct vfio_kernel *kernel, struct kernel_why *why)
{
	int rc = kernel->iommu->open(kernel, why);

	if (rc)
		return rc;
	/* What is mapped has to be mapped into this process too, in its own pages. */
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	if (kernel->base.page_bytes < page)
		kernel->base.page_bytes = page;
	rc = kernel_regions_open(kernel, why);
	if (rc == 0)
		rc = kernel_irq_arm(kernel, why);
	return rc ? rc : kernel_life_open(kernel, why);
}

static int candidate_open(const struct kernel_identity *id, const struct iommu_ops *iommu, struct vfio_device **out,
			  struct kernel_why *why)
{
	struct vfio_kernel *kernel = kernel_new(id, iommu);

	size_t others = strlen(why->text);
	why_add(why, 0, "%s%s: ", others ? "; " : "", iommu->device->name);
	if (!kernel)
		return why_call(why, -ENOMEM, "opening");
	size_t before = strlen(why->text);
	int rc = device_open(kernel, why);
	if (rc == 0) {
		/* What it has to do without is worth being said, its name alone is not. */
		if (strlen(why->text) == before)
			why->text[others] = '\0';
		*out = &kernel->base;
		return 0;
	}
	if (strlen(why->text) == before)
		why_call(why, rc, "failed");
	kernel_close(&kernel->base);
	return rc;
}

int vfio_kernel_open(const char *address, const struct vfio_kernel_options *options, struct vfio_device **out,
		     char *why, size_t why_bytes)
{
	static const struct iommu_ops *const candidates[] = {&iommu_iommufd, &iommu_type1};
	static const enum vfio_iommu wanted[] = {VFIO_IOMMU_IOMMUFD, VFIO_IOMMU_TYPE1};
	struct kernel_why reason = {why, why_bytes};
	enum vfio_iommu choice = options ? options->iommu : VFIO_IOMMU_AUTO;
	struct kernel_identity id;

	why[0] = '\0';
	int rc = kernel_find(address, options, &id, &reason);
	if (rc)
		return rc;
	rc = -ENOTSUP;
	for (unsigned i = 0; i < 2; i++) {
		if (choice != VFIO_IOMMU_AUTO && choice != wanted[i])
			continue;
		rc = candidate_open(&id, candidates[i], out, &reason);
		/* Somebody has it: the other interface could only get in his way. */
		if (rc == 0 || rc == -EBUSY)
			break;
	}
	return rc;
}
