/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the kernel transport that need no device: holes, the table of maps, locked memory, threads. */
#include <pthread.h>

#include "daemon/vfio/iommu.h"
#include "daemon/vfio/locked_memory.h"
#include "tests/unit/daemon/fake_kernel.h"

/* ------------------------------------------------------------------ holes */

static bool reserved(const struct vfio_device *device, uint64_t address)
{
	for (uint32_t i = 0; i < device->reserved_count; i++)
		if (address - device->reserved[i].first < device->reserved[i].bytes)
			return true;
	return false;
}

START_TEST(holes_are_the_complement_in_whatever_order_the_kernel_says_it)
{
	struct iommu_usable usable[] = {{0x300000, 0x3fffff}, {0x1000, 0xfffff}, {0x200000, 0x2fffff}};
	struct vfio_device device = {0};

	iommu_reserve_rest(&device, usable, 3);
	ck_assert_uint_eq(device.reserved_count, 3);
	ck_assert(reserved(&device, 0) && reserved(&device, 0xfff) && !reserved(&device, 0x1000));
	ck_assert(!reserved(&device, 0xfffff) && reserved(&device, 0x100000) && reserved(&device, 0x1fffff));
	ck_assert(!reserved(&device, 0x200000) && !reserved(&device, 0x2fffff) && !reserved(&device, 0x300000));
	ck_assert(!reserved(&device, 0x3fffff) && reserved(&device, 0x400000));
	ck_assert_uint_eq(device.reserved[2].first + device.reserved[2].bytes, UINT64_MAX);
}
END_TEST

START_TEST(everything_and_nothing_may_be_usable)
{
	struct iommu_usable all = {0, UINT64_MAX}, overlapping[] = {{0, 0x1fff}, {0x1000, 0x2fff}, {5, 4}};
	struct vfio_device device = {0};

	iommu_reserve_rest(&device, &all, 1);
	ck_assert_uint_eq(device.reserved_count, 0);
	iommu_reserve_rest(&device, &all, 0);
	ck_assert_uint_eq(device.reserved_count, 1);
	ck_assert(reserved(&device, 0) && reserved(&device, UINT64_MAX - 1));
	iommu_reserve_rest(&device, overlapping, 3);
	ck_assert_uint_eq(device.reserved_count, 1);
	ck_assert_uint_eq(device.reserved[0].first, 0x3000);
}
END_TEST

START_TEST(too_many_holes_reserve_too_much_and_never_too_little)
{
	struct iommu_usable usable[VFIO_MAX_RESERVED + 10];
	struct vfio_device device = {0};
	const size_t count = sizeof(usable) / sizeof(*usable);

	for (uint64_t i = 0; i < count; i++)
		usable[i] = (struct iommu_usable){i * 0x10000, i * 0x10000 + 0x7fff};
	iommu_reserve_rest(&device, usable, count);
	ck_assert_uint_eq(device.reserved_count, VFIO_MAX_RESERVED);
	for (uint64_t i = 0; i < count; i++) {
		ck_assert(reserved(&device, i * 0x10000 + 0x8000)); /* every hole */
		ck_assert(i >= VFIO_MAX_RESERVED || !reserved(&device, i * 0x10000));
	}
	ck_assert(reserved(&device, count * 0x10000));
}
END_TEST

/* ------------------------------------------------------------------ the table of maps */

START_TEST(the_table_keeps_what_came_in_any_order)
{
	struct map_table table = {0};
	struct map_record out;

	/* 0, 7, 14, 21, 3, 10, … : every number below 25 once */
	for (uint64_t i = 0; i < 25; i++) {
		ck_assert_int_eq(map_table_reserve(&table), 0);
		map_table_add(&table, (struct map_record){i * 7 % 25 * 0x10000, 0x8000, (uint32_t)(i * 7 % 25)});
	}
	for (uint64_t i = 0; i < 25; i++) {
		ck_assert(map_table_overlaps(&table, i * 0x10000 + 0x7fff, 1));
		ck_assert(!map_table_overlaps(&table, i * 0x10000 + 0x8000, 0x8000));
		ck_assert(map_table_overlaps(&table, i * 0x10000 + 0x8000, 0x8001) == (i < 24));
	}
	ck_assert(map_table_overlaps(&table, 0, UINT64_MAX));
	for (uint64_t i = 0; i < 25; i++) {
		uint64_t at = i * 11 % 25;

		ck_assert_int_eq(map_table_remove(&table, at * 0x10000, 0x7000, &out), -ENOENT);
		ck_assert_int_eq(map_table_remove(&table, at * 0x10000 + 0x1000, 0x7000, &out), -ENOENT);
		ck_assert_int_eq(map_table_remove(&table, at * 0x10000, 0x8000, &out), 0);
		ck_assert_uint_eq(out.pieces, at);
		ck_assert_int_eq(map_table_remove(&table, at * 0x10000, 0x8000, &out), -ENOENT);
	}
	ck_assert_uint_eq(table.count, 0);
	map_table_free(&table);
}
END_TEST

/* ------------------------------------------------------------------ locked memory */

START_TEST(locked_memory_knows_limit_and_capability)
{
	char status[64];
	uint64_t has;
	bool unlimited;

	fake_start(true);
	snprintf(status, sizeof(status), "%s/status", fake.host.root);
	fake.status = status;
	fake_iommu.limit = 8 << 20;
	host_file(status, "Name:\tnpud\nVmLck:\t    12 kB\nVmPin:\t    34 kB\nCapEff:\t0000000000000000\n");
	ck_assert_int_eq(vfio_locked_memory(&has, &unlimited), 0);
	ck_assert(!unlimited);
	ck_assert_uint_eq(has, 8 << 20);
	ck_assert_uint_eq(vfio_locked_now(false), 12 << 10);
	ck_assert_uint_eq(vfio_locked_now(true), 34 << 10);
	host_file(status, "Name:\tnpud\nCapEff:\t000001ffffffbfff\n"); /* all but CAP_IPC_LOCK */
	ck_assert_int_eq(vfio_locked_memory(&has, &unlimited), 0);
	ck_assert(!unlimited);
	host_file(status, "Name:\tnpud\nCapEff:\t0000000000004000\n"); /* it alone */
	ck_assert_int_eq(vfio_locked_memory(&has, &unlimited), 0);
	ck_assert(unlimited && has == UINT64_MAX);
	host_file(status, "Name:\tnpud\nCapEff:\t0000000000000000\n");
	fake_iommu.limit = RLIM_INFINITY;
	ck_assert_int_eq(vfio_locked_memory(&has, &unlimited), 0);
	ck_assert(unlimited && has == UINT64_MAX);
	for (unsigned k = 1; k <= 3; k++) {
		fake.fail_at = fake.calls + k;
		ck_assert_int_eq(vfio_locked_memory(&has, &unlimited), -EIO);
	}
	ck_assert_int_eq(unlink(status), 0);
	ck_assert_int_eq(vfio_locked_memory(&has, &unlimited), -ENOENT);
	ck_assert_uint_eq(vfio_locked_now(true), 0);
	fake_end();
}
END_TEST

START_TEST(the_kernels_own_numbers_can_be_read)
{
	uint64_t has = 0;
	bool unlimited = false;

	ck_assert_int_eq(vfio_locked_memory(&has, &unlimited), 0);
	ck_assert(unlimited == (has == UINT64_MAX));
}
END_TEST

/* ------------------------------------------------------------------ the worker beside the loop */

struct worker {
	struct vfio_device *device;
	struct vfio_space *space;
	int memory;
};

static void *work(void *argument)
{
	const struct worker *worker = argument;
	const struct vfio_ops *ops = worker->device->ops;

	for (uint64_t i = 0; i < 200; i++) {
		ck_assert_int_eq(
		    ops->map(worker->device, worker->space, worker->memory, 0, (iova_t){0x10000}, FAKE_PAGE, VFIO_READ),
		    0);
		ck_assert_int_eq(ops->unmap(worker->device, worker->space, (iova_t){0x10000}, FAKE_PAGE), 0);
	}
	ck_assert_int_eq(ops->space_free(worker->device, worker->space), 0);
	return NULL;
}

START_TEST(a_space_that_is_not_attached_is_filled_beside_the_loop)
{
	struct worker worker = {.memory = fake_memfd(FAKE_PAGE)};
	pthread_t thread;
	uint32_t value;

	fake_start(true);
	fake.map_file = _i;
	worker.device = fake_device_open(VFIO_IOMMU_IOMMUFD);
	ck_assert_int_eq(worker.device->ops->space_new(worker.device, &worker.space), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, work, &worker), 0);
	for (uint32_t i = 0; i < 5000; i++) {
		ck_assert_int_eq(worker.device->ops->reg_write(worker.device, 8, i), 0);
		ck_assert_int_eq(worker.device->ops->reg_read(worker.device, 8, &value), 0);
		ck_assert_uint_eq(value, i);
		ck_assert_int_eq(worker.device->ops->irq_unmask(worker.device), 0);
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(worker.device->mappings, 0);
	close(worker.memory);
	vfio_close(worker.device);
	fake_end();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("kernel_parts");
	TCase *tc = tcase_create("parts");

	tcase_add_test(tc, holes_are_the_complement_in_whatever_order_the_kernel_says_it);
	tcase_add_test(tc, everything_and_nothing_may_be_usable);
	tcase_add_test(tc, too_many_holes_reserve_too_much_and_never_too_little);
	tcase_add_test(tc, the_table_keeps_what_came_in_any_order);
	tcase_add_test(tc, locked_memory_knows_limit_and_capability);
	tcase_add_test(tc, the_kernels_own_numbers_can_be_read);
	tcase_add_loop_test(tc, a_space_that_is_not_attached_is_filled_beside_the_loop, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return suite_main(suite());
}
