/* SPDX-License-Identifier: Apache-2.0 */
/* The table of client mappings: ranges, permissions, files, and the wait that makes an unmap final. */
#include <fcntl.h>

#include "tests/unit/emulator/rig.h"

#define RW (DMA_ACCESS_READ | DMA_ACCESS_WRITE)
#define BASE 0x10000000ull
#define PAGE 4096ull

static struct dma *dma;
static int fd;
static uint8_t *memory;
static int fds_before;

static void setup(void)
{
	fds_before = rig_count_fds();
	dma = dma_new();
	fd = memfd_create("dma", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void teardown(void)
{
	munmap(memory, 1 << 20);
	close(fd);
	dma_free(dma);
	ck_assert_int_eq(rig_count_fds(), fds_before);
}

static int add(uint64_t offset, uint64_t address, uint64_t bytes, unsigned access)
{
	return dma_map_add(dma, fd, offset, address, bytes, access);
}

START_TEST(overlaps_are_refused_neighbours_are_not)
{
	ck_assert_int_eq(add(0, BASE, 4 * PAGE, RW), 0);
	ck_assert_int_eq(add(0, BASE, 4 * PAGE, RW), -EEXIST);
	ck_assert_int_eq(add(0, BASE + 3 * PAGE, 4 * PAGE, RW), -EEXIST);
	ck_assert_int_eq(add(0, BASE - PAGE, 2 * PAGE, RW), -EEXIST);
	ck_assert_int_eq(add(0, BASE - PAGE, 8 * PAGE, RW), -EEXIST);
	ck_assert_int_eq(add(0, BASE + PAGE, PAGE, RW), -EEXIST);
	ck_assert_int_eq(add(0, BASE - PAGE, PAGE, RW), 0);
	ck_assert_int_eq(add(0, BASE + 4 * PAGE, PAGE, RW), 0);
	ck_assert_uint_eq(dma_map_count(dma), 3);
}
END_TEST

START_TEST(accesses_are_checked_byte_by_byte)
{
	uint8_t byte[16];

	ck_assert_int_eq(add(0, BASE, PAGE, RW), 0);
	ck_assert_int_eq(dma_read(dma, BASE + PAGE - 16, byte, 16, NULL), 0);
	ck_assert_int_eq(dma_read(dma, BASE + PAGE - 15, byte, 16, NULL), -EFAULT);
	ck_assert_int_eq(dma_read(dma, BASE - 1, byte, 1, NULL), -EFAULT);
	ck_assert_int_eq(dma_read(dma, UINT64_MAX - 3, byte, 16, NULL), -EFAULT);
	ck_assert_int_eq(dma_write(dma, BASE, byte, 16, NULL), 0);
}
END_TEST

START_TEST(a_write_that_would_fault_half_way_changes_nothing)
{
	uint8_t byte[16];

	memset(byte, 7, sizeof(byte));
	ck_assert_int_eq(add(0, BASE, PAGE, RW), 0);
	ck_assert_int_eq(add(PAGE, BASE + PAGE, PAGE, DMA_ACCESS_READ), 0);
	ck_assert_int_eq(dma_write(dma, BASE + PAGE - 8, byte, 16, NULL), -EFAULT);
	ck_assert_int_eq(memory[PAGE - 8], 0);
}
END_TEST

START_TEST(permissions_hold_for_every_kind_of_access)
{
	struct dma_map *map;
	uint8_t byte = 1;
	void *data;

	ck_assert_int_eq(add(0, BASE, PAGE, DMA_ACCESS_READ), 0);
	ck_assert_int_eq(add(PAGE, BASE + PAGE, PAGE, DMA_ACCESS_WRITE), 0);
	ck_assert_int_eq(dma_write(dma, BASE, &byte, 1, NULL), -EFAULT);
	ck_assert_int_eq(dma_read(dma, BASE + PAGE, &byte, 1, NULL), -EFAULT);
	ck_assert_int_eq(dma_write(dma, BASE + PAGE, &byte, 1, NULL), 0);
	ck_assert_int_eq(dma_pin(dma, BASE, 1, DMA_ACCESS_WRITE, &data, &map), -EFAULT);
	ck_assert_int_eq(dma_pin(dma, BASE + PAGE, 1, RW, &data, &map), -EFAULT);
	ck_assert_int_eq(add(0, BASE + 4 * PAGE, PAGE, 0), -EINVAL);
	ck_assert_int_eq(add(0, BASE + 4 * PAGE, PAGE, 4), -EINVAL);
}
END_TEST

START_TEST(a_write_sealed_file_maps_readable_only)
{
	ck_assert_int_eq(munmap(memory, 1 << 20), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
	memory = mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_int_eq(add(0, BASE, PAGE, RW), -EACCES);
	ck_assert_int_eq(add(0, BASE, PAGE, DMA_ACCESS_READ), 0);
	ck_assert_uint_eq(dma_map_count(dma), 1);
}
END_TEST

START_TEST(a_read_only_descriptor_maps_readable_only)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int ro = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(dma_map_add(dma, ro, 0, BASE, PAGE, RW), -EACCES);
	ck_assert_int_eq(dma_map_add(dma, ro, 0, BASE, PAGE, DMA_ACCESS_READ), 0);
	close(ro);
}
END_TEST

START_TEST(a_file_that_grew_is_mapped_anew)
{
	uint32_t value = 0x1234, seen = 0;

	ck_assert_int_eq(add(0, BASE, PAGE, RW), 0);
	ck_assert_int_eq(add(1 << 20, BASE + PAGE, PAGE, RW), -EINVAL);
	ck_assert_int_eq(ftruncate(fd, 2 << 20), 0);
	ck_assert_int_eq(add(1 << 20, BASE + PAGE, PAGE, RW), 0);
	ck_assert_int_eq(pwrite(fd, &value, 4, 1 << 20), 4);
	ck_assert_int_eq(dma_read(dma, BASE + PAGE, &seen, 4, NULL), 0);
	ck_assert_uint_eq(seen, value);
}
END_TEST

START_TEST(a_pointer_needs_one_mapping_a_copy_does_not)
{
	struct dma_map *map;
	uint8_t bytes[2 * PAGE];
	void *data;

	/* the file's pages 1 and 0, side by side */
	memory[0] = 1;
	memory[PAGE] = 2;
	ck_assert_int_eq(add(PAGE, BASE, PAGE, RW), 0);
	ck_assert_int_eq(add(0, BASE + PAGE, PAGE, RW), 0);
	ck_assert_int_eq(dma_pin(dma, BASE, 2 * PAGE, RW, &data, &map), -EAGAIN);
	ck_assert_int_eq(dma_pin(dma, BASE, 3 * PAGE, RW, &data, &map), -EFAULT);
	ck_assert_int_eq(dma_read(dma, BASE, bytes, 2 * PAGE, NULL), 0);
	ck_assert_int_eq(bytes[0], 2);
	ck_assert_int_eq(bytes[PAGE], 1);
	ck_assert_int_eq(dma_pin(dma, BASE + PAGE, PAGE, RW, &data, &map), 0);
	*(uint8_t *)data = 9;
	dma_unpin(dma, map, data);
	ck_assert_int_eq(memory[0], 9);
}
END_TEST

START_TEST(the_table_finds_its_way_in_any_order_of_insertion)
{
	uint32_t seed = 12345, order[1024];

	for (uint32_t i = 0; i < 1024; i++)
		order[i] = i;
	for (uint32_t i = 1023; i; i--) {
		seed = seed * 1664525u + 1013904223u;
		uint32_t j = seed % (i + 1), swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
	for (uint32_t i = 0; i < 1024; i++)
		ck_assert_int_eq(add(0, BASE + order[i] * 2 * PAGE, PAGE, RW), 0);
	for (uint64_t i = 0; i < 2048; i++)
		ck_assert(dma_allowed(dma, BASE + i * PAGE, PAGE, RW, NULL) == (i % 2 == 0));
	ck_assert_int_eq(dma_map_remove(dma, BASE + 1024 * PAGE, 512 * PAGE, NULL, NULL), 0);
	ck_assert_uint_eq(dma_map_count(dma), 1024 - 256);
	ck_assert(!dma_allowed(dma, BASE + 1024 * PAGE, PAGE, RW, NULL));
	ck_assert(dma_allowed(dma, BASE + 1022 * PAGE, PAGE, RW, NULL));
}
END_TEST

START_TEST(identities_are_never_used_twice)
{
	ck_assert_int_eq(add(0, BASE, PAGE, RW), 0);
	uint64_t first = dma_identity(dma, BASE), generation = dma_generation(dma);

	ck_assert_uint_ne(first, 0);
	ck_assert_uint_eq(dma_identity(dma, BASE + PAGE), 0);
	ck_assert_int_eq(dma_map_remove(dma, BASE, PAGE, NULL, NULL), 0);
	ck_assert_uint_eq(dma_identity(dma, BASE), 0);
	ck_assert_int_eq(add(0, BASE, PAGE, RW), 0);
	ck_assert_uint_gt(dma_identity(dma, BASE), first);
	ck_assert_uint_ne(dma_generation(dma), generation);
}
END_TEST

START_TEST(the_limit_of_maps_is_enforced)
{
	for (uint64_t i = 0; i < DMA_MAX_MAPS; i++)
		ck_assert_int_eq(add(0, BASE + i * PAGE, PAGE, RW), 0);
	ck_assert_int_eq(add(0, BASE + DMA_MAX_MAPS * PAGE, PAGE, RW), -ENOSPC);
	ck_assert_int_eq(dma_map_remove(dma, BASE, PAGE, NULL, NULL), 0);
	ck_assert_int_eq(add(0, BASE + DMA_MAX_MAPS * PAGE, PAGE, RW), 0);
}
END_TEST

static atomic_int stalls;
static struct dma_map *pinned;
static void *pinned_data;

static void *unmapper(void *done)
{
	ck_assert_int_eq(dma_map_remove(dma, BASE, PAGE, NULL, NULL), 0);
	atomic_store((atomic_bool *)done, true);
	return NULL;
}

START_TEST(an_unmap_waits_for_the_last_user_and_locks_out_new_ones)
{
	atomic_bool done = false;
	struct dma_map *map;
	pthread_t thread;
	void *data;

	ck_assert_int_eq(add(0, BASE, PAGE, RW), 0);
	ck_assert_int_eq(dma_pin(dma, BASE, PAGE, RW, &pinned_data, &pinned), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, unmapper, &done), 0);
	while (dma_map_count(dma))
		;
	ck_assert_int_eq(dma_pin(dma, BASE, 1, RW, &data, &map), -EFAULT);
	ck_assert(!atomic_load(&done));
	memset(pinned_data, 1, PAGE); /* still there */
	dma_unpin(dma, pinned, pinned_data);
	pthread_join(thread, NULL);
	ck_assert(atomic_load(&done));
}
END_TEST

static void stalled(void *ctx)
{
	(void)ctx;
	if (atomic_fetch_add(&stalls, 1) == 0)
		dma_unpin(dma, pinned, pinned_data);
}

START_TEST(a_stalled_unmap_asks_for_help)
{
	atomic_store(&stalls, 0);
	ck_assert_int_eq(add(0, BASE, PAGE, RW), 0);
	ck_assert_int_eq(dma_pin(dma, BASE, PAGE, RW, &pinned_data, &pinned), 0);
	ck_assert_int_eq(dma_map_remove(dma, BASE, PAGE, stalled, NULL), 0);
	ck_assert_int_eq(atomic_load(&stalls), 1);
}
END_TEST

/* ------------------------------------------------------------------ the channel */

static uint64_t asked_address, asked_bytes;

static int transfer(void *ctx, uint64_t address, void *data, uint64_t bytes, bool write, const atomic_bool *stop)
{
	(void)ctx;
	(void)stop;
	asked_address = address;
	asked_bytes = bytes;
	if (!write)
		memset(data, 0x77, bytes);
	return address == BASE + PAGE ? -EFAULT : 0;
}

START_TEST(memory_without_a_file_goes_through_the_channel)
{
	const struct dma_channel channel = {transfer, NULL, NULL};
	struct dma_map *map;
	uint8_t bytes[32];
	bool direct;
	void *data;

	ck_assert_int_eq(dma_map_add(dma, -1, 0, BASE, 2 * PAGE, RW), 0);
	ck_assert_int_eq(dma_read(dma, BASE, bytes, 1, NULL), -EFAULT); /* nobody there */
	dma_set_channel(dma, &channel);
	ck_assert_int_eq(dma_read(dma, BASE + 8, bytes, 32, NULL), 0);
	ck_assert_int_eq(bytes[31], 0x77);
	ck_assert_uint_eq(asked_address, BASE + 8);
	ck_assert_uint_eq(asked_bytes, 32);
	ck_assert_int_eq(dma_read(dma, BASE + PAGE, bytes, 32, NULL), -EFAULT);
	ck_assert_int_eq(dma_pin(dma, BASE, 8, DMA_ACCESS_READ, &data, &map), -EAGAIN);
	ck_assert(dma_allowed(dma, BASE, 8, RW, &direct));
	ck_assert(!direct);
	/* outside the table the channel is not asked */
	asked_address = 0;
	ck_assert_int_eq(dma_read(dma, BASE + 2 * PAGE, bytes, 1, NULL), -EFAULT);
	ck_assert_uint_eq(asked_address, 0);
}
END_TEST

START_TEST(a_blind_device_asks_for_what_is_not_mapped_and_the_other_side_judges)
{
	const struct dma_channel channel = {transfer, NULL, NULL};
	struct dma_map *map;
	uint8_t bytes[32] = {0};
	bool direct;
	void *data;

	dma_set_channel(dma, &channel);
	dma_set_blind(dma);
	/* neither the descriptor nor the permission counts */
	ck_assert_int_eq(add(0, BASE + 8 * PAGE, PAGE, DMA_ACCESS_READ), 0);
	ck_assert_int_eq(dma_pin(dma, BASE + 8 * PAGE, 8, DMA_ACCESS_READ, &data, &map), -EAGAIN);
	ck_assert_int_eq(dma_write(dma, BASE + 8 * PAGE, bytes, 32, NULL), 0);
	ck_assert_uint_eq(asked_address, BASE + 8 * PAGE);
	ck_assert_int_eq(dma_read(dma, BASE + 2 * PAGE, bytes, 32, NULL), 0);
	ck_assert_int_eq(bytes[31], 0x77);
	/* by the page: the other side may know one and not the next */
	ck_assert_int_eq(dma_read(dma, BASE + PAGE - 8, bytes, 32, NULL), -EFAULT);
	ck_assert_uint_eq(asked_address, BASE + PAGE);
	ck_assert(dma_allowed(dma, BASE + PAGE, 8, RW, &direct));
	ck_assert(!direct);
}
END_TEST

START_TEST(a_page_taken_away_reads_as_zero_once_and_faults_after)
{
	struct dma_map *map;
	uint8_t byte = 0;
	void *data;

	ck_assert_int_eq(dma_install_sigbus(), 0);
	ck_assert_int_eq(add(0, BASE, 16 * PAGE, RW), 0);
	ck_assert_int_eq(dma_pin(dma, BASE, 16 * PAGE, RW, &data, &map), 0);
	ck_assert_int_eq(ftruncate(fd, PAGE), 0);
	ck_assert_int_eq(((volatile uint8_t *)data)[8 * PAGE], 0);
	ck_assert(dma_bus_error_take());
	ck_assert(!dma_bus_error_take());
	dma_unpin(dma, map, data);
	/* the file is not believed any more */
	ck_assert_int_eq(dma_read(dma, BASE, &byte, 1, NULL), -EFAULT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dma");
	TCase *table = tcase_create("table");

	tcase_add_checked_fixture(table, setup, teardown);
	tcase_set_timeout(table, 60);
	tcase_add_test(table, overlaps_are_refused_neighbours_are_not);
	tcase_add_test(table, accesses_are_checked_byte_by_byte);
	tcase_add_test(table, a_write_that_would_fault_half_way_changes_nothing);
	tcase_add_test(table, permissions_hold_for_every_kind_of_access);
	tcase_add_test(table, a_write_sealed_file_maps_readable_only);
	tcase_add_test(table, a_read_only_descriptor_maps_readable_only);
	tcase_add_test(table, a_file_that_grew_is_mapped_anew);
	tcase_add_test(table, a_pointer_needs_one_mapping_a_copy_does_not);
	tcase_add_test(table, the_table_finds_its_way_in_any_order_of_insertion);
	tcase_add_test(table, identities_are_never_used_twice);
	tcase_add_test(table, the_limit_of_maps_is_enforced);
	tcase_add_test(table, an_unmap_waits_for_the_last_user_and_locks_out_new_ones);
	tcase_add_test(table, a_stalled_unmap_asks_for_help);
	tcase_add_test(table, memory_without_a_file_goes_through_the_channel);
	tcase_add_test(table, a_blind_device_asks_for_what_is_not_mapped_and_the_other_side_judges);
	tcase_add_test(table, a_page_taken_away_reads_as_zero_once_and_faults_after);
	suite_add_tcase(suite, table);
	return suite_main(suite);
}
