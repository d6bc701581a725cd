/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every system call of the kernel transport fails in turn, on both buses and through both IOMMU interfaces. Whatever
 * happens, what is left after a close is nothing, and a map that failed has changed nothing.
 */
#include "tests/unit/daemon/fake_kernel.h"

#define MEBI (1ull << 20)
#define MAX_CALLS 400u

static const int errors[] = {EIO, EBUSY, EAGAIN, ENODEV, ENOTTY, EINTR};
#define ERRORS ((int)(sizeof(errors) / sizeof(*errors)))

/* _i: bit 0 the bus, then the interface (also without maps by file); every error in turn */
struct variant {
	bool pci;
	bool map_file;
	enum vfio_iommu iommu;
	int error;
};
#define VARIANTS (2 * 4)

static struct variant variant_of(int i, int error)
{
	static const enum vfio_iommu kinds[] = {VFIO_IOMMU_IOMMUFD, VFIO_IOMMU_IOMMUFD, VFIO_IOMMU_TYPE1,
						VFIO_IOMMU_AUTO};

	return (struct variant){i % 2, i / 2 % 4 != 1, kinds[i / 2 % 4], errors[error]};
}

static void arm_failure(unsigned k, int error)
{
	fake.calls = 0;
	fake.fail_at = k;
	fake.fail_errno = error;
	fake.failed = NULL;
}

static void fail_at_open(struct variant variant)
{
	unsigned k, fds;
	char why[512];

	fake_start(variant.pci);
	fake.map_file = variant.map_file;
	fds = fake_open_fds();
	for (k = 1; k < MAX_CALLS; k++) {
		struct vfio_device *device = NULL;

		arm_failure(k, variant.error);
		int rc = fake_open_device(variant.iommu, &device, why);
		ck_assert_msg(fake.failed || rc == 0, "nothing failed, and yet: %s", why);
		ck_assert_msg(rc == 0 || (*why && !device), "call %u (%s) failed with %d and nothing is said", k,
			      fake.failed, rc);
		ck_assert_msg(rc == 0 || variant.error != EINTR || strcmp(fake.failed, "ioctl") != 0,
			      "call %u was interrupted and not repeated: %s", k, why);
		fake.fail_at = 0;
		vfio_close(device);
		ck_assert_msg(fake_open_fds() == fds, "call %u (%s): descriptors", k, fake.failed);
		fake_nothing_left();
		if (!fake.failed)
			break;
	}
	ck_assert_uint_gt(k, 15); /* it did fail, and came to an end */
	ck_assert_uint_lt(k, MAX_CALLS);
	fake_end();
}

START_TEST(a_failed_open_leaves_nothing)
{
	for (int error = 0; error < ERRORS; error++)
		fail_at_open(variant_of(_i, error));
}
END_TEST

struct work {
	struct vfio_space *space;
	bool mapped, attached;
	int rc;
};

/* From an open device to the first job: stops at the first failure. */
static struct work work_do(struct vfio_device *device, int memory, uint32_t *value)
{
	const struct vfio_ops *ops = device->ops;
	struct work work = {0};

	work.rc = ops->space_new ? ops->space_new(device, &work.space) : 0;
	if (work.rc == 0)
		work.rc = ops->map(device, work.space, memory, 0, (iova_t){MEBI}, 40 * MEBI, VFIO_READ | VFIO_WRITE);
	work.mapped = work.rc == 0;
	if (work.rc == 0 && ops->attach)
		work.rc = ops->attach(device, work.space);
	work.attached = work.rc == 0;
	if (work.rc == 0)
		work.rc = ops->reset(device) == -ENODEV ? -ENODEV : 0;
	if (work.rc == 0)
		work.rc = ops->reg_read(device, 0, value);
	if (work.rc == 0)
		work.rc = ops->irq_unmask(device);
	if (work.rc == 0 && ops->life(device) < 0)
		work.rc = -ENODEV;
	return work;
}

/* What a failure half-way has to look like, and that the device still serves if it is not gone. */
static void work_check(struct vfio_device *device, struct work work, int memory)
{
	struct vfio_space *space = work.space;
	uint32_t value;

	ck_assert_uint_eq(device->mappings, work.mapped);
	ck_assert_uint_eq(fake_iommu.pinned, work.mapped ? 40 * MEBI : 0);
	ck_assert_uint_eq(fake_file_bytes(), FAKE_REGION_BYTES);
	if (work.rc == -ENODEV) {
		ck_assert_int_eq(device->ops->reg_read(device, 0, &value), -ENODEV);
		return;
	}
	if (!space && device->ops->space_new)
		ck_assert_int_eq(device->ops->space_new(device, &space), 0);
	if (!work.mapped)
		ck_assert_int_eq(device->ops->map(device, space, memory, 0, (iova_t){MEBI}, 40 * MEBI, VFIO_READ), 0);
	if (device->ops->attach)
		ck_assert_int_eq(device->ops->attach(device, space), 0);
	ck_assert_int_eq(device->ops->unmap(device, space, (iova_t){MEBI}, 40 * MEBI), 0);
	ck_assert_uint_eq(fake_iommu.pinned, 0);
}

static void fail_at_work(struct variant variant)
{
	int memory = fake_memfd(40 * MEBI);
	unsigned k, fds;
	bool failed = true;

	fake_start(variant.pci);
	fake.map_file = variant.map_file;
	fake.irqs[VFIO_PCI_MSIX_IRQ_INDEX].count = fake.irqs[VFIO_PCI_MSI_IRQ_INDEX].count = 0;
	fds = fake_open_fds();
	for (k = 1; failed && k < MAX_CALLS; k++) {
		struct vfio_device *device = fake_device_open(variant.iommu);
		uint32_t value;

		arm_failure(k, variant.error);
		struct work work = work_do(device, memory, &value);
		failed = fake.failed;
		fake.fail_at = 0;
		work_check(device, work, memory);
		vfio_close(device);
		ck_assert_msg(fake_open_fds() == fds, "call %u: descriptors", k);
		fake_nothing_left();
	}
	ck_assert_uint_gt(k, 7);
	ck_assert_uint_lt(k, MAX_CALLS);
	close(memory);
	fake_end();
}

START_TEST(a_failure_at_work_leaves_nothing)
{
	for (int error = 0; error < ERRORS; error++)
		fail_at_work(variant_of(_i, error));
}
END_TEST

/* One failure inside the undoing of another: the third piece does not fit, then call k fails. */
static void fail_at_undo(struct variant variant)
{
	int memory = fake_memfd(64 * MEBI);

	fake_start(variant.pci);
	fake.map_file = variant.map_file;
	for (unsigned k = 1; k < 14; k++) {
		struct vfio_device *device = fake_device_open(variant.iommu);
		struct vfio_space *space = NULL;

		if (device->ops->space_new)
			ck_assert_int_eq(device->ops->space_new(device, &space), 0);
		fake_iommu.limit = 40 * MEBI;
		arm_failure(k, variant.error);
		int rc = device->ops->map(device, space, memory, 0, (iova_t){0}, 64 * MEBI, VFIO_READ);
		fake.fail_at = 0;
		fake_iommu.limit = 1ull << 40;
		ck_assert_int_lt(rc, 0);
		ck_assert(rc == -ENODEV || fake_iommu.pinned == 0);
		ck_assert_uint_eq(device->mappings, 0);
		vfio_close(device);
		fake_nothing_left();
	}
	close(memory);
	fake_end();
}

START_TEST(a_failed_undo_ends_the_device)
{
	for (int error = 0; error < ERRORS; error++)
		fail_at_undo(variant_of(_i, error));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("kernel_fail");
	TCase *tc = tcase_create("fail");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_failed_open_leaves_nothing, 0, VARIANTS);
	tcase_add_loop_test(tc, a_failure_at_work_leaves_nothing, 0, VARIANTS);
	tcase_add_loop_test(tc, a_failed_undo_ends_the_device, 0, VARIANTS);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return suite_main(suite());
}
