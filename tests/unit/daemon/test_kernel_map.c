/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the kernel transport: what a device reaches after map and unmap, and what is never left over. */
#include "tests/unit/daemon/kernel_ways.h"

/* ------------------------------------------------------------------ map */

START_TEST(the_device_reaches_exactly_the_bytes_of_the_file)
{
	struct vfio_device *device = open_way(_i);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(64 * KIBI);

	ck_assert_int_eq(map(device, space, memory, 0x3000, 0x100001000, 0x5000, RW), 0);
	ck_assert_uint_eq(device->mappings, 1);
	ck_assert_uint_eq(fake_iommu.pinned, 0x5000);
	assert_reaches(table, 0x100001000, memory, 0x3000, FAKE_READ | FAKE_WRITE);
	assert_reaches(table, 0x100005fff, memory, 0x7fff, FAKE_READ | FAKE_WRITE);
	ck_assert_ptr_null(fake_dma(table, 0x100000fff));
	ck_assert_ptr_null(fake_dma(table, 0x100006000));
	/* nothing of it stays in this process but the registers */
	ck_assert_uint_eq(fake_file_bytes(), FAKE_REGION_BYTES);
	ck_assert_int_eq(fake_iommu.mmaps, 1);
	ck_assert_int_eq(unmap(device, space, 0x100001000, 0x5000), 0);
	ck_assert_uint_eq(device->mappings, 0);
	ck_assert_uint_eq(fake_iommu.pinned, 0);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_large_map_shows_16_mib_at_a_time)
{
	struct vfio_device *device = open_way(_i);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(80 * MEBI);

	fake_iommu.mmap_peak = 0;
	ck_assert_int_eq(map(device, space, memory, 0, 0x200000, 70 * MEBI, RW), 0);
	ck_assert_uint_le(fake_iommu.mmap_peak, 32 * MEBI + FAKE_REGION_BYTES); /* one replaces the other */
	ck_assert_uint_eq(fake_file_bytes(), FAKE_REGION_BYTES);
	for (uint64_t at = 0; at < 70 * MEBI; at += MEBI)
		assert_reaches(table, 0x200000 + at, memory, at, FAKE_READ | FAKE_WRITE);
	for (uint32_t i = 0; i < fake_iommu.tables[table].count; i++)
		ck_assert_uint_le(fake_iommu.tables[table].maps[i].bytes, 16 * MEBI);
	ck_assert_uint_eq(device->mappings, 1);
	ck_assert_int_eq(unmap(device, space, 0x200000, 70 * MEBI), 0);
	ck_assert_uint_eq(fake_iommu.tables[table].count, 0);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(huge_pages_stay_whole)
{
	struct vfio_device *device = open_way(_i);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(64 * MEBI);

	/* the file's and the bus's 2 MiB borders coincide, also when neither starts on one */
	ck_assert_int_eq(map(device, space, memory, 2 * MEBI, 0x40000000, 40 * MEBI, VFIO_READ), 0);
	ck_assert_int_eq(map(device, space, memory, 3 * MEBI, 0x50100000, 21 * MEBI, VFIO_READ), 0);
	for (uint32_t i = 0; i < fake_iommu.tables[table].count; i++) {
		const struct fake_map *piece = &fake_iommu.tables[table].maps[i];

		ck_assert_uint_eq(piece->iova % (2 * MEBI), piece->offset % (2 * MEBI));
		if (_i != BY_FILE)
			ck_assert_uint_eq(piece->address % (2 * MEBI), piece->offset % (2 * MEBI));
		ck_assert(i == 0 || piece->iova % (16 * MEBI) == 0 || piece->iova == 0x50100000);
	}
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

static unsigned shown;

static void *mmap_counted(void *address, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	shown++;
	return fake_mmap(address, bytes, prot, flags, fd, offset);
}

START_TEST(what_holds_no_huge_page_is_shown_with_one_call)
{
	struct kernel_calls calls = fake_calls;
	struct vfio_device *device = open_way(_i);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(64 * MEBI);

	calls.mmap = mmap_counted;
	kernel_calls_set(&calls);
	shown = 0;
	ck_assert_int_eq(map(device, space, memory, 0, 0x10000, FAKE_PAGE, RW), 0);
	ck_assert_uint_eq(shown, 1);
	/* 3.5 MiB without a whole one; 5 MiB where the borders of file and bus differ */
	ck_assert_int_eq(map(device, space, memory, 256 * KIBI, 0x40040000, 3584 * KIBI, RW), 0);
	ck_assert_int_eq(map(device, space, memory, MEBI, 0x50000000, 5 * MEBI, RW), 0);
	ck_assert_uint_eq(shown, 3);
	/* pieces of one map, too: the next replaces the last */
	ck_assert_int_eq(map(device, space, memory, 0, 0x60001000, 40 * MEBI, RW), 0);
	ck_assert_uint_eq(shown, 6);
	ck_assert_uint_eq(fake_file_bytes(), FAKE_REGION_BYTES);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(what_may_be_read_only_is_mapped_read_only)
{
	struct vfio_device *device = open_way(_i);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(64 * KIBI);
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	int reader = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(map(device, space, memory, 0, 0x10000, 0x1000, VFIO_READ), 0);
	assert_reaches(table, 0x10000, memory, 0, FAKE_READ);
	/* a descriptor that cannot write is enough, and is never enough for more */
	ck_assert_int_eq(map(device, space, reader, 0x1000, 0x20000, 0x1000, VFIO_READ), 0);
	assert_reaches(table, 0x20000, memory, 0x1000, FAKE_READ);
	ck_assert_int_eq(map(device, space, reader, 0, 0x30000, 0x1000, RW), -EACCES);
	ck_assert_int_eq(map(device, space, reader, 0, 0x30000, 0x1000, VFIO_WRITE), -EACCES);
	ck_assert_int_eq(map(device, space, memory, 0, 0x40000, 0x1000, VFIO_WRITE), 0);
	assert_reaches(table, 0x40000, memory, 0, FAKE_WRITE);
	close(reader);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(sealed_memory_is_read_and_never_written)
{
	struct vfio_device *device = open_way(_i);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(64 * KIBI);

	ck_assert_int_eq(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
	ck_assert_int_eq(map(device, space, memory, 0, 0x10000, 0x2000, VFIO_READ), 0);
	assert_reaches(table, 0x11000, memory, 0x1000, FAKE_READ);
	ck_assert_int_eq(map(device, space, memory, 0, 0x20000, 0x2000, RW), -EPERM);
	ck_assert_uint_eq(device->mappings, 1);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

/* Kernels before 6.7 refuse to map sealed memory through a descriptor that could write. */
static void *mmap_of_old_kernel(void *address, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	if (fd >= 0 && fcntl(fd, F_GET_SEALS) > 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR) {
		errno = EPERM;
		return MAP_FAILED;
	}
	return fake_mmap(address, bytes, prot, flags, fd, offset);
}

START_TEST(old_kernels_read_sealed_memory_too)
{
	struct kernel_calls calls = fake_calls;
	struct vfio_device *device = open_way(_i);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(64 * MEBI);
	unsigned fds = fake_open_fds();

	ck_assert_int_eq(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
	calls.mmap = mmap_of_old_kernel;
	kernel_calls_set(&calls);
	ck_assert_int_eq(map(device, space, memory, 0, 0x10000, 40 * MEBI, VFIO_READ), 0);
	assert_reaches(table, 0x10000 + 39 * MEBI, memory, 39 * MEBI, FAKE_READ);
	ck_assert_uint_eq(fake_open_fds(), fds);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(bad_maps_never_reach_the_kernel)
{
	struct vfio_device *device = open_way(_i);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(0x4000);

	ck_assert_int_eq(map(device, space, memory, 0, 0x10000, 0x2000, RW), 0);
	unsigned touches = fake.touches;
	/* overlap, in every way */
	ck_assert_int_eq(map(device, space, memory, 0, 0x10000, 0x2000, RW), -EEXIST);
	ck_assert_int_eq(map(device, space, memory, 0, 0xf000, 0x2000, RW), -EEXIST);
	ck_assert_int_eq(map(device, space, memory, 0, 0x11000, 0x1000, RW), -EEXIST);
	ck_assert_int_eq(map(device, space, memory, 0, 0xf000, 0x4000, RW), -EEXIST);
	/* shape */
	ck_assert_int_eq(map(device, space, memory, 0, 0x20800, 0x1000, RW), -EINVAL);
	ck_assert_int_eq(map(device, space, memory, 0x10, 0x20000, 0x1000, RW), -EINVAL);
	ck_assert_int_eq(map(device, space, memory, 0, 0x20000, 0x10, RW), -EINVAL);
	ck_assert_int_eq(map(device, space, memory, 0, 0x20000, 0, RW), -EINVAL);
	ck_assert_int_eq(map(device, space, memory, 0, 0x20000, 0x1000, 0), -EINVAL);
	ck_assert_int_eq(map(device, space, memory, 0, 0x20000, 0x1000, 4), -EINVAL);
	/* beyond the number line */
	ck_assert_int_eq(map(device, space, memory, ~0xfffull, 0x20000, 0x2000, RW), -EINVAL);
	ck_assert_int_eq(map(device, space, memory, 0, ~0xfffull, 0x2000, RW), -EINVAL);
	ck_assert_int_eq(map(device, space, memory, 0, ~0xfffull, 0x1000, RW), -EINVAL);
	/* where interrupts go, and above the IOMMU's reach */
	ck_assert_int_eq(map(device, space, memory, 0, 0xfee00000, 0x1000, RW), -EINVAL);
	ck_assert_int_eq(map(device, space, memory, 0, 0xfedff000, 0x2000, RW), -EINVAL);
	ck_assert_int_eq(map(device, space, memory, 0, 1ull << 39, 0x1000, RW), -EINVAL);
	ck_assert_int_eq(map(device, space, -1, 0, 0x20000, 0x1000, RW), -EBADF);
	ck_assert_uint_eq(fake.touches, touches);
	/* beyond the file: by file that is the kernel's business */
	ck_assert_int_eq(map(device, space, memory, 0, 0x20000, 0x5000, RW), -EINVAL);
	ck_assert_int_eq(map(device, space, memory, 0x4000, 0x20000, 0x1000, RW), -EINVAL);
	ck_assert_uint_eq(fake_iommu.pinned, 0x2000);
	if (_i != BY_FILE)
		ck_assert_uint_eq(fake.touches, touches);
	ck_assert_int_eq(map(device, space, memory, 0, 0xfedff000, 0x1000, RW), 0);
	ck_assert_int_eq(map(device, space, memory, 0, 0xfef00000, 0x1000, RW), 0);
	ck_assert_uint_eq(device->mappings, 3);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_file_that_cannot_be_mapped_is_not_the_end_of_the_device)
{
	struct vfio_device *device = open_way(_i);
	uint32_t table, value;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(FAKE_PAGE);

	fake.fail_errno = ENODEV; /* what mmap says of a file without pages */
	for (unsigned k = 1; k < 5; k++) {
		fake.fail_at = fake.calls + k;
		fake.failed = NULL;
		int rc = map(device, space, memory, 0, k * FAKE_PAGE, FAKE_PAGE, VFIO_READ);
		if (!fake.failed || strcmp(fake.failed, "ioctl") == 0)
			break;
		ck_assert_int_lt(rc, 0);
		ck_assert_int_ne(rc, -ENODEV);
		ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0);
	}
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

/* ------------------------------------------------------------------ limits */

START_TEST(the_limit_of_entries_counts_pieces_and_is_kept)
{
	struct vfio_device *device;
	int memory = fake_memfd(64 * MEBI);

	fake_start(true);
	fake_iommu.max_entries = 8;
	device = fake_device_open(VFIO_IOMMU_TYPE1);
	ck_assert_uint_eq(device->max_mappings, 8);
	ck_assert_int_eq(map(device, NULL, memory, 0, 0, 64 * MEBI, VFIO_READ), 0); /* four */
	ck_assert_int_eq(map(device, NULL, memory, 0, 0x10001000, 64 * MEBI, VFIO_READ), -ENOSPC); /* five */
	ck_assert_int_eq(map(device, NULL, memory, 0, 0x10000000, 64 * MEBI, VFIO_READ), 0);
	ck_assert_int_eq(map(device, NULL, memory, 0, 0x20000000, FAKE_PAGE, VFIO_READ), -ENOSPC);
	ck_assert_int_eq(unmap(device, NULL, 0, 64 * MEBI), 0);
	for (uint64_t i = 0; i < 4; i++)
		ck_assert_int_eq(map(device, NULL, memory, 0, i * FAKE_PAGE, FAKE_PAGE, VFIO_READ), 0);
	ck_assert_int_eq(map(device, NULL, memory, 0, 4 * FAKE_PAGE, FAKE_PAGE, VFIO_READ), -ENOSPC);
	ck_assert_uint_eq(device->mappings, 5);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

/* How many single pages fit until `most`; *rc is what the last one got. */
static uint32_t fill(int way, uint32_t most, int *rc)
{
	struct vfio_device *device = open_way(way);
	uint32_t table, taken = 0;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(FAKE_PAGE);

	fake_iommu.trusting = true; /* its own search for overlaps would take minutes */
	for (*rc = 0; *rc == 0 && taken < most; taken += *rc == 0)
		*rc = map(device, space, memory, 0, taken * 2ull * FAKE_PAGE, FAKE_PAGE, VFIO_READ);
	ck_assert_uint_eq(device->mappings, taken);
	close(memory);
	vfio_close(device);
	fake_end();
	return taken;
}

START_TEST(type1_takes_65535_maps)
{
	int rc;

	ck_assert_uint_eq(fill(TYPE1, 65540, &rc), 65535);
	ck_assert_int_eq(rc, -ENOSPC);
}
END_TEST

START_TEST(iommufd_takes_more)
{
	int rc;

	ck_assert_uint_eq(fill(BY_FILE, 65540, &rc), 65540);
	ck_assert_int_eq(rc, 0);
}
END_TEST

START_TEST(a_map_that_fails_half_way_leaves_nothing)
{
	struct vfio_device *device = open_way(_i);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(64 * MEBI);
	unsigned fds = fake_open_fds();

	fake_iommu.limit = 40 * MEBI; /* the third piece does not fit */
	ck_assert_int_eq(map(device, space, memory, 0, 0, 64 * MEBI, RW), -ENOMEM);
	ck_assert_uint_eq(fake_iommu.pinned, 0);
	ck_assert_uint_eq(fake_iommu.tables[table].count, 0);
	ck_assert_uint_eq(device->mappings, 0);
	ck_assert_int_eq(fake_iommu.mmaps, 1);
	ck_assert_uint_eq(fake_open_fds(), fds);
	ck_assert_int_eq(map(device, space, memory, 0, 0, 32 * MEBI, RW), 0);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_failed_map_says_what_to_change)
{
	struct vfio_device *device = open_way(_i);
	char text[512], status[64];

	snprintf(status, sizeof(status), "%s/status", fake.host.root);
	host_file(status, "Name:\tnpud\nVmLck:\t    1024 kB\nVmPin:\t    2048 kB\nCapEff:\t0000000000000000\n");
	fake.status = status;
	fake_iommu.limit = 4 * MEBI;
	vfio_map_advice(device, -ENOMEM, 8 * MEBI, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, _i == TYPE1 ? "needs 9437184" : "needs 10485760"));
	ck_assert_ptr_nonnull(strstr(text, "has 4194304"));
	ck_assert_ptr_nonnull(strstr(text, _i == TYPE1 ? "LimitMEMLOCK=9437184" : "LimitMEMLOCK=10485760"));
	vfio_map_advice(device, -ENOSPC, MEBI, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "dma_entry_limit"));
	if (_i == TYPE1)
		ck_assert_ptr_nonnull(strstr(text, "65535"));
	vfio_map_advice(device, -EINVAL, MEBI, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "4096"));
	vfio_map_advice(device, -ENODEV, MEBI, text, sizeof(text));
	ck_assert_str_eq(text, "");
	/* with the capability there is no limit to raise */
	host_file(status, "Name:\tnpud\nCapEff:\t0000000000004000\n");
	vfio_map_advice(device, -ENOMEM, 8 * MEBI, text, sizeof(text));
	ck_assert_ptr_null(strstr(text, "LimitMEMLOCK"));
	ck_assert_ptr_nonnull(strstr(text, "out of memory"));
	vfio_close(device);
	fake_end();
}
END_TEST

/* ------------------------------------------------------------------ unmap */

START_TEST(only_exact_mappings_are_unmapped)
{
	struct vfio_device *device = open_way(_i);
	uint32_t table;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(0x4000);

	ck_assert_int_eq(map(device, space, memory, 0, 0x10000, 0x2000, RW), 0);
	ck_assert_int_eq(map(device, space, memory, 0, 0x12000, 0x2000, RW), 0);
	ck_assert_int_eq(unmap(device, space, 0x10000, 0x1000), -ENOENT);
	ck_assert_int_eq(unmap(device, space, 0x11000, 0x1000), -ENOENT);
	ck_assert_int_eq(unmap(device, space, 0x10000, 0x4000), -ENOENT); /* two of them */
	ck_assert_int_eq(unmap(device, space, 0x20000, 0x1000), -ENOENT);
	ck_assert_uint_eq(fake_iommu.pinned, 0x4000);
	ck_assert_int_eq(unmap(device, space, 0x10000, 0x2000), 0);
	ck_assert_int_eq(unmap(device, space, 0x10000, 0x2000), -ENOENT);
	ck_assert_ptr_null(fake_dma(table, 0x10000));
	assert_reaches(table, 0x12000, memory, 0, FAKE_READ | FAKE_WRITE);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(reach_in_doubt_ends_with_the_device)
{
	struct vfio_device *device = open_way(_i);
	uint32_t table, value;
	struct vfio_space *space = space_of(device, &table);
	int memory = fake_memfd(0x4000);

	ck_assert_int_eq(map(device, space, memory, 0, 0x10000, 0x2000, RW), 0);
	fake_iommu.short_unmap = true;
	ck_assert_int_eq(unmap(device, space, 0x10000, 0x2000), -ENODEV);
	fake_iommu.short_unmap = false;
	ck_assert_uint_eq(device->mappings, 0);
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), -ENODEV);
	ck_assert_int_eq(map(device, space, memory, 0, 0x10000, 0x2000, RW), -ENODEV);
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("kernel_map");
	TCase *tc = tcase_create("map");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, the_device_reaches_exactly_the_bytes_of_the_file, 0, WAYS);
	tcase_add_loop_test(tc, a_large_map_shows_16_mib_at_a_time, 0, WAYS);
	tcase_add_loop_test(tc, huge_pages_stay_whole, 0, WAYS);
	tcase_add_loop_test(tc, what_holds_no_huge_page_is_shown_with_one_call, BY_ADDRESS, WAYS);
	tcase_add_loop_test(tc, what_may_be_read_only_is_mapped_read_only, 0, WAYS);
	tcase_add_loop_test(tc, sealed_memory_is_read_and_never_written, 0, WAYS);
	tcase_add_loop_test(tc, old_kernels_read_sealed_memory_too, BY_ADDRESS, WAYS);
	tcase_add_loop_test(tc, bad_maps_never_reach_the_kernel, 0, WAYS);
	tcase_add_loop_test(tc, a_file_that_cannot_be_mapped_is_not_the_end_of_the_device, 0, WAYS);
	tcase_add_test(tc, the_limit_of_entries_counts_pieces_and_is_kept);
	tcase_add_test(tc, type1_takes_65535_maps);
	tcase_add_test(tc, iommufd_takes_more);
	tcase_add_loop_test(tc, a_map_that_fails_half_way_leaves_nothing, 0, WAYS);
	tcase_add_loop_test(tc, a_failed_map_says_what_to_change, 0, WAYS);
	tcase_add_loop_test(tc, only_exact_mappings_are_unmapped, 0, WAYS);
	tcase_add_loop_test(tc, reach_in_doubt_ends_with_the_device, 0, WAYS);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return suite_main(suite());
}
