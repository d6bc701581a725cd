/* SPDX-License-Identifier: Apache-2.0 */
/* IOVA windows: exact numbers for V1, V2 and V3 windows with holes, and what the allocator must refuse. */
#include <errno.h>
#include <string.h>

#include "daemon/vfio/iova.h"
#include "tests/unit/suite.h"

#define GIB (1ull << 30)

static struct iova_space *space_of(struct iova_range window, const struct iova_range *holes, size_t count)
{
	struct iova_space *space = NULL;

	ck_assert_int_eq(iova_space_new(window, holes, count, &space), 0);
	return space;
}

static uint64_t take(struct iova_space *space, uint64_t bytes, uint64_t align)
{
	iova_t at = {~0ull};

	ck_assert_int_eq(iova_alloc(space, bytes, align, &at), 0);
	return at.v;
}

START_TEST(v1_window_is_identity_below_3_gib)
{
	static const struct iova_range holes[] = {{0, 0x1000},
						  {0x8000000, 0x100000}}; /* page 0; a board's MSI window */
	struct iova_space *space = space_of(iova_slot_window(0), holes, 2);

	ck_assert_uint_eq(iova_free_bytes(space), 3 * GIB - 0x101000);
	ck_assert_uint_eq(take(space, 1, 0), 0x1000);
	ck_assert_uint_eq(take(space, 0x7000000, 0x1000000), 0x1000000); /* ends exactly at the hole */
	ck_assert_uint_eq(take(space, 0x1000000, 0x100000), 0x8100000); /* does not fit before it */
	iova_t at;
	ck_assert_int_eq(iova_alloc(space, 3 * GIB, 0, &at), -ENOSPC);
	ck_assert_uint_eq(take(space, 3 * GIB - 0x9100000, 0), 0x9100000); /* up to the last byte */
	ck_assert_uint_eq(take(space, 0xffd000, 0), 0x2000);
	ck_assert_uint_eq(take(space, 0x1000, 0), 0xfff000);
	ck_assert_uint_eq(iova_free_bytes(space), 0);
	ck_assert_int_eq(iova_alloc(space, 1, 0, &at), -ENOSPC);
	ck_assert_uint_eq(iova_live(space), 6);
	iova_space_free(space);
}
END_TEST

START_TEST(v2_window_has_a_high_half)
{
	struct iova_space *space = space_of(iova_slot_window(5), NULL, 0);

	ck_assert_uint_eq(take(space, 0x1000, 0), 0x500000000);
	ck_assert_uint_eq(take(space, 3 * GIB - 0x1000, 0), 0x500001000);
	iova_t at;
	ck_assert_int_eq(iova_alloc(space, 1, 0, &at), -ENOSPC); /* the last GiB is on-chip */
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){0x5c0000000}, 0x1000), -EINVAL);
	iova_space_free(space);
}
END_TEST

START_TEST(v3_window_keeps_large_pages_aligned_beside_an_msi_hole)
{
	static const struct iova_range holes[] = {{0x1fee00000, 0x100000}, {0x100000000, 0x100000}};
	struct iova_space *space = space_of(iova_slot_window(1), holes, 2);

	ck_assert_uint_eq(iova_free_bytes(space), 3 * GIB - 0x100000); /* the MSI hole lies outside */
	ck_assert_uint_eq(take(space, 0x300000, 0x200000), 0x100200000);
	ck_assert_uint_eq(take(space, 0x1000, 0x100000), 0x100100000);
	ck_assert_uint_eq(take(space, 0x1000, 0x200000), 0x100600000);
	ck_assert_uint_eq(take(space, 0x100000, 0x1000), 0x100500000);
	ck_assert_uint_eq(take(space, 0x100000, 0x1000), 0x100601000); /* lowest address that fits */
	ck_assert_uint_eq(take(space, 0xff000, 0x1000), 0x100101000);
	iova_space_free(space);
}
END_TEST

START_TEST(a_released_range_is_used_again_and_only_exact_ranges_are_released)
{
	struct iova_space *space = space_of((struct iova_range){0x10000, 0x10000}, NULL, 0);

	ck_assert_uint_eq(take(space, 0x4000, 0), 0x10000);
	ck_assert_uint_eq(take(space, 0x4000, 0), 0x14000);
	ck_assert_uint_eq(take(space, 0x4000, 0), 0x18000);
	ck_assert_int_eq(iova_release(space, (iova_t){0x14000}, 0x3000), -ENOENT);
	ck_assert_int_eq(iova_release(space, (iova_t){0x14000}, 0x5000), -ENOENT);
	ck_assert_int_eq(iova_release(space, (iova_t){0x15000}, 0x1000), -ENOENT);
	ck_assert_int_eq(iova_release(space, (iova_t){0x1c000}, 0x1000), -ENOENT);
	ck_assert_int_eq(iova_release(space, (iova_t){0x14000}, 0), -ENOENT);
	ck_assert_int_eq(iova_release(space, (iova_t){0x14000}, 0x3001), 0); /* sizes are whole pages */
	ck_assert_int_eq(iova_release(space, (iova_t){0x14000}, 0x4000), -ENOENT); /* twice */
	ck_assert_uint_eq(take(space, 0x1000, 0), 0x14000);
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){0x14000}, 0x1000), -EEXIST);
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){0x15000}, 0x4000), -EEXIST); /* runs into the next */
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){0x15000}, 0x3000), 0);
	ck_assert_uint_eq(iova_free_bytes(space), 0x4000);
	ck_assert_uint_eq(iova_live(space), 4);
	iova_space_free(space);
}
END_TEST

START_TEST(holes_merge_clip_and_are_never_released)
{
	static const struct iova_range holes[] = {
	    {0, 0x11000}, {0x14001, 0xffe}, {0x13000, 0x1800}, {0x1f800, ~0ull - 0x1f800}, {0x5000, 0}, {0, 0x100}};
	struct iova_space *space = space_of((struct iova_range){0x10000, 0x10000}, holes, 6);

	/* taken: 10000-11000, 13000-15000 (widened to pages, merged), 1f000-20000 */
	ck_assert_uint_eq(iova_free_bytes(space), 0x10000 - 0x1000 - 0x2000 - 0x1000);
	ck_assert_int_eq(iova_release(space, (iova_t){0x10000}, 0x1000), -ENOENT);
	ck_assert_uint_eq(take(space, 0x3000, 0), 0x15000);
	ck_assert_uint_eq(take(space, 0x2000, 0), 0x11000);
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){0x14000}, 0x1000), -EEXIST);
	ck_assert_uint_eq(iova_live(space), 2);
	iova_space_free(space);
}
END_TEST

START_TEST(numbers_that_wrap_are_refused)
{
	static const struct iova_range wrapping = {~0ull - 10, 100};
	struct iova_space *space = NULL;
	iova_t at = {42};

	ck_assert_int_eq(iova_space_new((struct iova_range){0, 0}, NULL, 0, &space), -EINVAL);
	ck_assert_int_eq(iova_space_new((struct iova_range){~0ull << 12, 0x1000}, NULL, 0, &space), -EINVAL);
	ck_assert_int_eq(iova_space_new((struct iova_range){0x800, 0x1000}, NULL, 0, &space), -EINVAL);
	ck_assert_int_eq(iova_space_new((struct iova_range){0x1000, 0x1000}, &wrapping, 1, &space), -EINVAL);
	ck_assert_ptr_null(space);
	space = space_of((struct iova_range){~0ull << 14, 0x3000}, NULL, 0);
	ck_assert_int_eq(iova_alloc(space, ~0ull, 0, &at), -ENOSPC);
	ck_assert_int_eq(iova_alloc(space, 0, 0, &at), -EINVAL);
	ck_assert_int_eq(iova_alloc(space, 0x1000, 0x3000, &at), -EINVAL);
	ck_assert_int_eq(iova_alloc(space, 0x1000, 1ull << 63, &at), -ENOSPC);
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){~0ull << 14}, ~0ull), -EINVAL);
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){(~0ull << 14) + 0x2000}, 0x2000), -EINVAL);
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){(~0ull << 14) + 0x800}, 0x1000), -EINVAL);
	ck_assert_uint_eq(at.v, 42);
	ck_assert_uint_eq(iova_live(space), 0);
	ck_assert_uint_eq(take(space, 0x3000, 0), ~0ull << 14);
	iova_space_free(space);
	ck_assert_ptr_null(iova_space_free(NULL));
}
END_TEST

START_TEST(thousands_of_extents_in_any_order)
{
	struct iova_space *space = space_of(iova_slot_window(2), NULL, 0);

	for (uint64_t i = 0; i < 4096; i++)
		ck_assert_uint_eq(take(space, 0x1000, 0), 0x200000000 + i * 0x1000);
	for (uint64_t i = 0; i < 4096; i += 2)
		ck_assert_int_eq(iova_release(space, (iova_t){0x200000000 + i * 0x1000}, 0x1000), 0);
	ck_assert_uint_eq(take(space, 0x2000, 0), 0x200000000 + 4096ull * 0x1000);
	for (uint64_t i = 0; i < 4096; i += 2)
		ck_assert_uint_eq(take(space, 0x1000, 0), 0x200000000 + i * 0x1000);
	ck_assert_uint_eq(iova_live(space), 4097);
	iova_space_free(space);
}
END_TEST

START_TEST(holes_at_the_edges_of_a_window_move_them)
{
	static const struct iova_range holes[] = {{0xff000, 0x2000}, {0x1ff000, 0x2000}, {0x200000, 0x1000}};
	struct iova_space *space = space_of((struct iova_range){0x100000, 0x100000}, holes, 3);

	ck_assert_uint_eq(iova_free_bytes(space), 0x100000 - 0x2000);
	iova_t at;
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){0x100000}, 0x1000), -EEXIST);
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){0x1ff000}, 0x1000), -EEXIST);
	ck_assert_int_eq(iova_alloc(space, 0xff000, 0, &at), -ENOSPC);
	ck_assert_uint_eq(take(space, 0xfe000, 0), 0x101000);
	iova_space_free(space);
}
END_TEST

START_TEST(holes_that_overlap_are_one_hole)
{
	static const struct iova_range holes[] = {
	    {0x4000, 0x4000}, {0x6000, 0x4000}, {0x5000, 0x1000}, {0x3000, 0x9000}};
	struct iova_space *space = space_of((struct iova_range){0x1000, 0xf000}, holes, 4);

	ck_assert_uint_eq(iova_free_bytes(space), 0xf000 - 0x9000);
	ck_assert_uint_eq(take(space, 0x2000, 0), 0x1000);
	ck_assert_uint_eq(take(space, 0x4000, 0), 0xc000);
	ck_assert_uint_eq(iova_free_bytes(space), 0);
	iova_space_free(space);
}
END_TEST

START_TEST(a_window_that_is_all_hole_gives_nothing)
{
	static const struct iova_range hole = {0, ~0ull};
	struct iova_space *space = space_of((struct iova_range){0x1000, 0xf000}, &hole, 1);
	iova_t at;

	ck_assert_uint_eq(iova_free_bytes(space), 0);
	ck_assert_int_eq(iova_alloc(space, 1, 0, &at), -ENOSPC);
	ck_assert_int_eq(iova_alloc_natural(space, 4 << 20, 0, 0, &at), -ENOSPC);
	iova_space_free(space);
}
END_TEST

START_TEST(a_window_is_usable_if_its_needed_part_is_whole)
{
	static const struct iova_range window = {0x100000, 0x100000}, needed = {0x80000, 0x10000};
	static const struct iova_range before = {0x7f000, 0x1000}, behind = {0x90000, 0x1000}, first = {0x80000, 1},
				       last = {0x8ffff, 1}, around = {0, 0xa0000}, empty = {0x88000, 0};

	ck_assert(iova_window_usable(window, NULL, 0, needed, 0x100000));
	ck_assert(!iova_window_usable(window, NULL, 0, needed, 0x100001));
	ck_assert(iova_window_usable(window, &before, 1, needed, 1));
	ck_assert(iova_window_usable(window, &behind, 1, needed, 1));
	ck_assert(iova_window_usable(window, &empty, 1, needed, 1));
	ck_assert(!iova_window_usable(window, &first, 1, needed, 1));
	ck_assert(!iova_window_usable(window, &last, 1, needed, 1));
	ck_assert(!iova_window_usable(window, &around, 1, needed, 1));
	/* nothing needed, nothing left, or no window at all */
	ck_assert(iova_window_usable(window, &around, 1, (struct iova_range){0x80000, 0}, 1));
	ck_assert(!iova_window_usable(window, &window, 1, needed, 1));
	ck_assert(!iova_window_usable((struct iova_range){0, 0}, NULL, 0, needed, 0));
}
END_TEST

START_TEST(natural_alignment_is_the_largest_page_that_fits)
{
	const uint64_t x86 = 1ull << 12 | 1ull << 21 | 1ull << 30, arm64k = 1ull << 16 | 1ull << 29;

	ck_assert_uint_eq(iova_natural_align(1, 0), 0x1000);
	ck_assert_uint_eq(iova_natural_align(0x1fffff, 0), 0x1000);
	ck_assert_uint_eq(iova_natural_align(0x200000, 0), 0x200000);
	ck_assert_uint_eq(iova_natural_align(~0ull, 0), 0x200000);
	ck_assert_uint_eq(iova_natural_align(0x1ff000, x86), 0x1000);
	ck_assert_uint_eq(iova_natural_align(0x200000, x86), 0x200000);
	/* no client memory comes in pages of 1 GiB: such an alignment would only make holes */
	ck_assert_uint_eq(iova_natural_align(4 * GIB, x86), 0x200000);
	ck_assert_uint_eq(iova_natural_align(0x200000, arm64k), 0x10000);
	ck_assert_uint_eq(iova_natural_align(0xffff, arm64k), 0x1000);
	ck_assert_uint_eq(iova_natural_align(0x200000, 1ull << 12), 0x1000);
}
END_TEST

START_TEST(a_natural_address_is_preferred_but_never_a_reason_to_refuse)
{
	struct iova_space *space = space_of((struct iova_range){0x100000, 0x500000}, NULL, 0);
	iova_t at;

	ck_assert_int_eq(iova_alloc_natural(space, 0x200000, 0, 0, &at), 0);
	ck_assert_uint_eq(at.v, 0x200000);
	ck_assert_int_eq(iova_alloc_natural(space, 0x1000, 0, 0, &at), 0);
	ck_assert_uint_eq(at.v, 0x100000);
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){0x401000}, 0x1000), 0);
	/* 0x402000 to 0x600000 is what is left: one page less than 2 MiB, and then 2 MiB that are not aligned */
	ck_assert_int_eq(iova_alloc_natural(space, 0x200000, 0, 0, &at), -ENOSPC);
	ck_assert_int_eq(iova_release(space, (iova_t){0x401000}, 0x1000), 0);
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){0x5ff000}, 0x1000), 0);
	ck_assert_int_eq(iova_release(space, (iova_t){0x200000}, 0x200000), 0);
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){0x200000}, 0x1000), 0);
	ck_assert_int_eq(iova_alloc_at(space, (iova_t){0x500000}, 0x1000), 0);
	/* no multiple of 2 MiB has 2 MiB behind it any more */
	ck_assert_int_eq(iova_alloc_natural(space, 0x200000, 0, 0, &at), 0);
	ck_assert_uint_eq(at.v, 0x201000);
	/* what the caller asks for is not given up */
	ck_assert_int_eq(iova_alloc_natural(space, 0x200000, 0x400000, 0, &at), -ENOSPC);
	ck_assert_int_eq(iova_alloc_natural(space, 0, 0, 0, &at), -EINVAL);
	ck_assert_int_eq(iova_alloc_natural(space, 0x200000, 0x3000, 0, &at), -EINVAL);
	ck_assert_int_eq(iova_alloc_natural(space, 0x1000, 0x3000, 0, &at), -EINVAL);
	iova_space_free(space);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("iova");
	TCase *all = tcase_create("iova");

	tcase_add_test(all, v1_window_is_identity_below_3_gib);
	tcase_add_test(all, v2_window_has_a_high_half);
	tcase_add_test(all, v3_window_keeps_large_pages_aligned_beside_an_msi_hole);
	tcase_add_test(all, a_released_range_is_used_again_and_only_exact_ranges_are_released);
	tcase_add_test(all, holes_merge_clip_and_are_never_released);
	tcase_add_test(all, numbers_that_wrap_are_refused);
	tcase_add_test(all, thousands_of_extents_in_any_order);
	tcase_add_test(all, holes_at_the_edges_of_a_window_move_them);
	tcase_add_test(all, holes_that_overlap_are_one_hole);
	tcase_add_test(all, a_window_that_is_all_hole_gives_nothing);
	tcase_add_test(all, a_window_is_usable_if_its_needed_part_is_whole);
	tcase_add_test(all, natural_alignment_is_the_largest_page_that_fits);
	tcase_add_test(all, a_natural_address_is_preferred_but_never_a_reason_to_refuse);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
