/* SPDX-License-Identifier: Apache-2.0 */
/* Address spaces of the kernel transport: which table a device uses, and when one may go. */
#include "tests/unit/daemon/kernel_ways.h"

START_TEST(an_open_device_reaches_nothing)
{
	struct vfio_device *device = open_way(BY_FILE);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(0x4000);

	ck_assert_uint_ne(fake_iommu.attached, 0); /* to a table: an empty one */
	ck_assert_int_eq(map(device, space, memory, 0, 0x10000, 0x2000, RW), 0);
	ck_assert_uint_ne(fake_iommu.attached, table);
	ck_assert_uint_eq(fake_iommu.tables[fake_iommu.attached].count, 0);
	/* nobody maps into the empty one */
	ck_assert_int_eq(map(device, NULL, memory, 0, 0x10000, 0x2000, RW), -EINVAL);
	ck_assert_int_eq(unmap(device, NULL, 0x10000, 0x2000), -EINVAL);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(attach_replaces_and_never_detaches)
{
	struct vfio_device *device = open_way(BY_FILE);
	const struct vfio_ops *ops = device->ops;
	uint32_t a_table, b_table, nothing = fake_iommu.attached;
	struct vfio_space *a = space_of(device, &a_table), *b = space_of(device, &b_table);
	int memory = fake_memfd(0x4000);

	/* the same address in both means different memory */
	ck_assert_int_eq(map(device, a, memory, 0, 0x10000, 0x1000, RW), 0);
	ck_assert_int_eq(map(device, b, memory, 0x1000, 0x10000, 0x1000, RW), 0);
	ck_assert_int_eq(ops->attach(device, a), 0);
	assert_reaches(fake_iommu.attached, 0x10000, memory, 0, FAKE_READ | FAKE_WRITE);
	ck_assert_int_eq(ops->attach(device, b), 0);
	assert_reaches(fake_iommu.attached, 0x10000, memory, 0x1000, FAKE_READ | FAKE_WRITE);
	ck_assert_int_eq(ops->attach(device, NULL), 0);
	ck_assert_uint_eq(fake_iommu.attached, nothing);
	ck_assert_ptr_null(fake_dma(fake_iommu.attached, 0x10000));
	ck_assert_uint_eq(fake_iommu.detaches, 0);
	/* maps may come and go while it is attached */
	ck_assert_int_eq(ops->attach(device, a), 0);
	ck_assert_int_eq(map(device, a, memory, 0, 0x20000, 0x1000, RW), 0);
	assert_reaches(a_table, 0x20000, memory, 0, FAKE_READ | FAKE_WRITE);
	ck_assert_int_eq(unmap(device, a, 0x10000, 0x1000), 0);
	ck_assert_uint_eq(device->mappings, 2);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_failed_attach_changes_nothing)
{
	struct vfio_device *device = open_way(BY_FILE);
	uint32_t a_table, b_table;
	struct vfio_space *a = space_of(device, &a_table), *b = space_of(device, &b_table);

	ck_assert_int_eq(device->ops->attach(device, a), 0);
	fake.fail_at = fake.calls + 1;
	ck_assert_int_eq(device->ops->attach(device, b), -EIO);
	ck_assert_uint_eq(fake_iommu.attached, a_table);
	ck_assert_int_eq(device->ops->space_free(device, a), -EBUSY);
	ck_assert_int_eq(device->ops->space_free(device, b), 0);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(an_attached_space_is_not_freed_and_another_goes_with_its_maps)
{
	struct vfio_device *device = open_way(_i);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(64 * MEBI);

	ck_assert_int_eq(map(device, space, memory, 0, 0, 64 * MEBI, RW), 0);
	ck_assert_int_eq(map(device, space, memory, 0, 0x10000000, 0x1000, RW), 0);
	ck_assert_int_eq(device->ops->attach(device, space), 0);
	unsigned touches = fake.touches;
	ck_assert_int_eq(device->ops->space_free(device, space), -EBUSY);
	ck_assert_uint_eq(fake.touches, touches);
	ck_assert_uint_eq(device->mappings, 2);
	ck_assert_int_eq(device->ops->attach(device, NULL), 0);
	ck_assert_int_eq(device->ops->space_free(device, space), 0);
	ck_assert_uint_eq(device->mappings, 0);
	ck_assert_uint_eq(fake_iommu.pinned, 0);
	ck_assert(!fake_iommu.tables[table].live);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_space_keeps_the_ranges_that_were_promised)
{
	struct vfio_device *device = open_way(BY_FILE);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);

	ck_assert_uint_eq(fake_iommu.tables[table].allowed, 2);
	ck_assert_int_eq(device->ops->space_free(device, space), 0);
	/* a kernel that does not promise is good enough: the second call of space_new */
	fake.fail_at = fake.calls + 2;
	space = space_of(device, &table);
	ck_assert_uint_eq(fake_iommu.tables[table].allowed, 0);
	ck_assert_int_eq(device->ops->attach(device, space), 0);
	vfio_close(device);
	fake_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kernel_spaces");
	TCase *tc = tcase_create("spaces");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, an_open_device_reaches_nothing);
	tcase_add_test(tc, attach_replaces_and_never_detaches);
	tcase_add_test(tc, a_failed_attach_changes_nothing);
	tcase_add_loop_test(tc, an_attached_space_is_not_freed_and_another_goes_with_its_maps, BY_FILE, TYPE1);
	tcase_add_test(tc, a_space_keeps_the_ranges_that_were_promised);
	suite_add_tcase(suite, tc);
	return suite_main(suite);
}
