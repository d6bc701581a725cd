/* SPDX-License-Identifier: Apache-2.0 */
/* Windows per generation: exact numbers, and which slots are left by what real machines reserve. */
#include <errno.h>

#include "daemon/npu/window.h"
#include "tests/unit/suite.h"

#define GIB (1ull << 30)
#define MIB (1ull << 20)
#define ALL_GENERATIONS NPU_GEN_V1, NPU_GEN_V2, NPU_GEN_V3, NPU_GEN_V3_2

/* What lies beyond an IOMMU of so many address bits. */
#define BEYOND(bits_)                                                                                                  \
	{                                                                                                              \
		1ull << (bits_), 0 - (1ull << (bits_))                                                                 \
	}
#define X86_MSI                                                                                                        \
	{                                                                                                              \
		0xfee00000, 0x100000                                                                                   \
	}
#define ARM_MSI                                                                                                        \
	{                                                                                                              \
		0x08000000, 0x100000                                                                                   \
	}

static struct npu_window window_of(enum npu_gen generation, uint32_t slot)
{
	struct npu_window window;

	ck_assert_int_eq(npu_window(generation, slot, &window), 0);
	return window;
}

static uint64_t end_of(struct iova_range range)
{
	return range.first + range.bytes;
}

START_TEST(v1_has_one_identity_window_below_3_gib)
{
	struct npu_window window = window_of(NPU_GEN_V1, 0);
	struct npu_window none;

	ck_assert_uint_eq(window.base.v, 0);
	ck_assert_uint_eq(end_of(window.reach), 3 * GIB);
	ck_assert_uint_eq(end_of(window.clients), 3 * GIB);
	ck_assert_int_eq(npu_window(NPU_GEN_V1, 1, &none), -ERANGE);
	ck_assert_uint_eq(npu_reach(NPU_GEN_V1)->bases_readable, 0);
	ck_assert_uint_eq(npu_reach(NPU_GEN_V1)->bases_writable, 0);
	ck_assert_uint_eq(npu_window_slots(NPU_GEN_V1, NULL, 0), 1);
}
END_TEST

START_TEST(v2_has_seven_windows_for_two_of_four_ase_registers)
{
	struct npu_window window = window_of(NPU_GEN_V2, 7);
	struct npu_window none;

	ck_assert_uint_eq(window.base.v, 0x700000000);
	ck_assert_uint_eq(end_of(window.reach), 0x7c0000000);
	ck_assert_uint_le(end_of(window.reach), 1ull << 35);
	ck_assert_int_eq(npu_window(NPU_GEN_V2, 8, &none), -ERANGE);
	ck_assert_uint_eq(npu_reach(NPU_GEN_V2)->bases_readable, 0x3);
	ck_assert_uint_eq(npu_reach(NPU_GEN_V2)->bases_writable, 0x1);
	ck_assert_uint_eq(npu_window_slots(NPU_GEN_V2, NULL, 0), 0xfe);
}
END_TEST

START_TEST(v3_has_seven_windows_of_3_gib)
{
	struct npu_window window = window_of(NPU_GEN_V3, 1), none;

	ck_assert_uint_eq(window.base.v, 0x100000000);
	ck_assert_uint_eq(window.arena.first, 0x100100000);
	ck_assert_uint_eq(window.arena.bytes, 16 * MIB);
	ck_assert_uint_eq(window.clients.first, 0x102000000);
	ck_assert_uint_eq(end_of(window.clients), 0x1c0000000);
	ck_assert_int_eq(npu_window(NPU_GEN_V3, 8, &none), -ERANGE);
	ck_assert_uint_eq(npu_window_slots(NPU_GEN_V3, NULL, 0), 0xfe);
}
END_TEST

START_TEST(v3_2_has_eight_windows_of_3_and_a_half_gib)
{
	struct npu_window window = window_of(NPU_GEN_V3_2, 8), none;

	ck_assert_uint_eq(window.base.v, 0x800000000);
	ck_assert_uint_eq(end_of(window.reach), 0x8e0000000);
	ck_assert_uint_le(end_of(window.reach), 36 * GIB);
	ck_assert_int_eq(npu_window(NPU_GEN_V3_2, 9, &none), -ERANGE);
	ck_assert_uint_eq(npu_window_slots(NPU_GEN_V3_2, NULL, 0), 0x1fe);
}
END_TEST

START_TEST(the_parts_of_every_window_lie_in_its_reach_and_apart)
{
	static const enum npu_gen generations[] = {ALL_GENERATIONS};

	for (size_t i = 0; i < sizeof(generations) / sizeof(*generations); i++) {
		const struct npu_reach *reach = npu_reach(generations[i]);

		ck_assert_ptr_nonnull(reach);
		ck_assert_uint_eq(reach->bases_writable & ~reach->bases_readable, 0);
		for (uint32_t slot = 0; slot <= reach->last_slot; slot++) {
			struct npu_window window = window_of(generations[i], slot);

			ck_assert_uint_eq(window.base.v % reach->base_align, 0);
			ck_assert_uint_eq(window.reach.first, window.base.v);
			ck_assert_uint_lt(window.reach.bytes, IOVA_SLOT_BYTES);
			ck_assert_uint_gt(window.arena.first, window.base.v); /* NPU address 0 is nobody's */
			ck_assert_uint_le(end_of(window.arena), window.clients.first);
			ck_assert_uint_eq(end_of(window.clients), end_of(window.reach));
			ck_assert_uint_eq(window.clients.first % IOVA_LARGE_PAGE, 0);
		}
	}
}
END_TEST

START_TEST(an_unknown_generation_has_nothing)
{
	struct npu_window window;

	ck_assert_ptr_null(npu_reach((enum npu_gen)0));
	ck_assert_ptr_null(npu_reach((enum npu_gen)5));
	ck_assert_int_eq(npu_window((enum npu_gen)0, 0, &window), -ENOTSUP);
	ck_assert_int_eq(npu_window((enum npu_gen)5, 0, &window), -ENOTSUP);
	ck_assert_uint_eq(npu_window_slots((enum npu_gen)5, NULL, 0), 0);
}
END_TEST

/* What machines say cannot be mapped, and the slots that remain: V1, V2 and V3, V3_2. */
static const struct {
	const char *name;
	struct iova_range holes[3];
	uint32_t v1, v3, v3_2;
} machines[] = {
    {"x86, 39 bits", {X86_MSI, BEYOND(39)}, 1, 0xfe, 0x1fe},
    {"x86, 48 bits", {X86_MSI, BEYOND(48)}, 1, 0xfe, 0x1fe},
    {"arm64, 48 bits: the MSI window lies among the buffers of slot 0", {ARM_MSI, BEYOND(48)}, 1, 0xfe, 0x1fe},
    {"36 bits", {BEYOND(36)}, 1, 0xfe, 0x1fe},
    {"35 bits: slot 8 is out of reach", {BEYOND(35)}, 1, 0xfe, 0xfe},
    {"34 bits", {BEYOND(34)}, 1, 0x0e, 0x0e},
    {"33 bits", {BEYOND(33)}, 1, 0x02, 0x02},
    {"32 bits: only slot 0, which then is the sessions'", {X86_MSI, BEYOND(32)}, 1, 0x01, 0x01},
    {"32 bits, arm64", {ARM_MSI, BEYOND(32)}, 1, 0x01, 0x01},
    {"24 bits: nothing", {BEYOND(24)}, 0, 0, 0},
    {"28 bits: less than buffers need", {BEYOND(28)}, 0, 0, 0},
    {"the first page of an arena", {{0x300100000, 0x1000}}, 1, 0xf6, 0x1f6},
    {"one byte at the end of an arena", {{0x3010fffff, 1}}, 1, 0xf6, 0x1f6},
    {"one byte beyond an arena", {{0x301100000, 1}}, 1, 0xfe, 0x1fe},
    {"one byte before an arena", {{0x3000fffff, 1}}, 1, 0xfe, 0x1fe},
    {"all but 256 MiB of the buffers", {{0x402000000, 0xbe000000 - 0x10000000}}, 1, 0xfe, 0x1fe},
    {"one page less", {{0x402000000, 0xbe000000 - 0x10000000 + 0x1000}}, 1, 0xee, 0x1fe},
    {"two holes that overlap are not counted twice",
     {{0x402000000, 0x80000000}, {0x402000000, 0xbe000000 - 0x10000000}},
     1,
     0xfe,
     0x1fe},
    {"above 3 GiB only V3_2 looks", {{0x5c0000000, 0x40000000}}, 1, 0xfe, 0x1fe},
    {"everything", {{0, UINT64_MAX}}, 0, 0, 0},
    {"everything, with a length that wraps", {{0x1000, UINT64_MAX}}, 0, 0, 0},
};

START_TEST(what_a_machine_reserves_leaves_the_right_slots)
{
	const struct iova_range *holes = machines[_i].holes;

	ck_assert_msg(npu_window_slots(NPU_GEN_V1, holes, 3) == machines[_i].v1, "V1: %s", machines[_i].name);
	ck_assert_msg(npu_window_slots(NPU_GEN_V2, holes, 3) == machines[_i].v3, "V2: %s", machines[_i].name);
	ck_assert_msg(npu_window_slots(NPU_GEN_V3, holes, 3) == machines[_i].v3, "V3: %s", machines[_i].name);
	ck_assert_msg(npu_window_slots(NPU_GEN_V3_2, holes, 3) == machines[_i].v3_2, "V3_2: %s", machines[_i].name);
}
END_TEST

START_TEST(buffers_of_a_window_go_around_the_holes_of_a_board)
{
	static const struct iova_range holes[] = {ARM_MSI, BEYOND(32)};
	struct npu_window window = window_of(NPU_GEN_V1, 0);
	struct iova_space *space = NULL;
	iova_t at;

	ck_assert_int_eq(iova_space_new(window.clients, holes, 2, &space), 0);
	ck_assert_uint_eq(iova_free_bytes(space), window.clients.bytes - 0x100000);
	/* 32 MiB to 128 MiB is free before the hole */
	ck_assert_int_eq(iova_alloc_natural(space, 96 * MIB, 0, 0, &at), 0);
	ck_assert_uint_eq(at.v, 0x2000000);
	ck_assert_int_eq(iova_alloc_natural(space, 4 * MIB, 0, 0, &at), 0);
	ck_assert_uint_eq(at.v, 0x8200000);
	ck_assert_int_eq(iova_alloc_natural(space, MIB, 0, 0, &at), 0);
	ck_assert_uint_eq(at.v, 0x8100000);
	iova_space_free(space);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("window");
	TCase *all = tcase_create("window");

	tcase_add_test(all, v1_has_one_identity_window_below_3_gib);
	tcase_add_test(all, v2_has_seven_windows_for_two_of_four_ase_registers);
	tcase_add_test(all, v3_has_seven_windows_of_3_gib);
	tcase_add_test(all, v3_2_has_eight_windows_of_3_and_a_half_gib);
	tcase_add_test(all, the_parts_of_every_window_lie_in_its_reach_and_apart);
	tcase_add_test(all, an_unknown_generation_has_nothing);
	tcase_add_loop_test(all, what_a_machine_reserves_leaves_the_right_slots, 0,
			    (int)(sizeof(machines) / sizeof(*machines)));
	tcase_add_test(all, buffers_of_a_window_go_around_the_holes_of_a_board);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
