/* SPDX-License-Identifier: Apache-2.0 */
/* The V3 chain encoder against published vectors, word for word, and what it must refuse. */
#include <errno.h>
#include <string.h>

#include "daemon/npu/v3_tcb.h"
#include "tests/unit/suite.h"

struct word {
	unsigned offset;
	uint32_t value;
};

/* Every word that is not listed has to be 0. */
static void tcb_expect(const union zy3_tcb *tcb, unsigned index, const struct word *words, size_t count)
{
	uint32_t want[32] = {0};

	for (size_t i = 0; i < count; i++)
		want[words[i].offset / 4] = words[i].value;
	for (unsigned i = 0; i < 32; i++)
		ck_assert_msg(tcb->word[i] == want[i], "TCB %u, byte %u: %x, not %x", index, 4 * i, tcb->word[i],
			      want[i]);
}
#define EXPECT(tcb, index, ...)                                                                                        \
	do {                                                                                                           \
		const struct word words_[] = {__VA_ARGS__};                                                            \
		tcb_expect(&(tcb)[index], index, words_, sizeof(words_) / sizeof(*words_));                            \
	} while (0)

static const iova_t no_weights[2];

/* The two-group X2_1204MP3 executable of the golden vectors. */
static const iova_t vector_weights[] = {{0}};
static const struct v3_group vector_groups[] = {
    {.dependency = V3_DEP_ALL,
     .text = {0x10},
     .parameters = {0x2000},
     .constants = {0x1000},
     .stack = {0xe000},
     .stack_stride = 0x2000,
     .private_data = {0x1e000},
     .private_stride = 0x1000,
     .print = {0x26000}},
    {.dependency = V3_DEP_PREVIOUS,
     .text = {0x20},
     .parameters = {0x2000},
     .constants = {0x1000},
     .stack = {0x16000},
     .stack_stride = 0x2000,
     .private_data = {0x22000},
     .private_stride = 0x1000},
};

static struct v3_job vector_job(void)
{
	return (struct v3_job){.cores = 3,
			       .tecs = 4,
			       .tec_done_irq = true,
			       .bss_count = 1,
			       .asid1 = vector_weights,
			       .group_count = 2,
			       .groups = vector_groups};
}

START_TEST(every_word_of_the_two_group_vector)
{
	struct v3_job job = vector_job();
	iova_t weights = {0x100000000};
	union zy3_tcb tcb[11];

	job.asid1 = &weights;
	memset(tcb, 0xa5, sizeof(tcb));
	ck_assert_uint_eq(v3_chain_tcbs(&job), 11);
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), 0);
	EXPECT(tcb, 0, {0, 0x30000}, {4, 0x4180}, {48, 0x60}, {56, 0x60}, {60, 1});
	EXPECT(tcb, 1, {24, 0x31}, {88, 0x31});
	EXPECT(tcb, 2, {24, 0x31});
	EXPECT(tcb, 3, {0, 0x21}, {4, 0x4200}, {12, 0x10}, {16, 0x13d}, {28, 0x10001}, {32, 0x40001}, {36, 0x10001},
	       {40, 1}, {52, 0xe000}, {56, 0x2000}, {60, 0x1e000}, {64, 0x1000}, {68, 0x26000}, {108, 0x4180});
	EXPECT(tcb, 4, {0, 1}, {4, 0x4280}, {12, 0x10}, {16, 0x13d}, {24, 0x10000}, {28, 0x10001}, {32, 0x40001},
	       {36, 0x10001}, {40, 1}, {44, 0x10000}, {52, 0x10000}, {56, 0x2000}, {60, 0x1f000}, {64, 0x1000},
	       {68, 0x26400}, {108, 0x4200});
	EXPECT(tcb, 5, {0, 1}, {4, 0x4300}, {12, 0x10}, {16, 0x13d}, {24, 0x20000}, {28, 0x10001}, {32, 0x40001},
	       {36, 0x10001}, {40, 1}, {44, 0x20000}, {52, 0x12000}, {56, 0x2000}, {60, 0x20000}, {64, 0x1000},
	       {68, 0x26800}, {108, 0x4280});
	EXPECT(tcb, 6, {0, 0x41}, {4, 0x4380}, {12, 0x10}, {16, 0x13d}, {24, 0x30000}, {28, 0x10001}, {32, 0x40001},
	       {36, 0x10001}, {40, 1}, {44, 0x30000}, {52, 0x14000}, {56, 0x2000}, {60, 0x21000}, {64, 0x1000},
	       {68, 0x26c00}, {108, 0x4300});
	EXPECT(tcb, 7, {0, 0x11}, {4, 0x4400}, {12, 0x20}, {16, 0x3d}, {20, 1}, {28, 0x10001}, {32, 0x40001},
	       {36, 0x10001}, {40, 1}, {52, 0x16000}, {56, 0x2000}, {60, 0x22000}, {64, 0x1000}, {108, 0x4380});
	EXPECT(tcb, 8, {0, 1}, {4, 0x4480}, {12, 0x20}, {16, 0x3d}, {20, 1}, {24, 0x10000}, {28, 0x10001},
	       {32, 0x40001}, {36, 0x10001}, {40, 1}, {44, 0x10000}, {52, 0x18000}, {56, 0x2000}, {60, 0x23000},
	       {64, 0x1000}, {108, 0x4400});
	EXPECT(tcb, 9, {0, 1}, {4, 0x4500}, {12, 0x20}, {16, 0x3d}, {20, 1}, {24, 0x20000}, {28, 0x10001},
	       {32, 0x40001}, {36, 0x10001}, {40, 1}, {44, 0x20000}, {52, 0x1a000}, {56, 0x2000}, {60, 0x24000},
	       {64, 0x1000}, {108, 0x4480});
	EXPECT(tcb, 10, {0, 0xc1}, {12, 0x20}, {16, 0x43d}, {20, 1}, {24, 0x30000}, {28, 0x10001}, {32, 0x40001},
	       {36, 0x10001}, {40, 1}, {44, 0x30000}, {52, 0x1c000}, {56, 0x2000}, {60, 0x25000}, {64, 0x1000},
	       {108, 0x4500});
}
END_TEST

START_TEST(next_is_a_bus_address_and_tcbp_is_relative)
{
	struct v3_job job = vector_job();
	union zy3_tcb tcb[11];

	job.asid0 = (iova_t){0x700000000};
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x7bf000000}, tcb), 0);
	ck_assert_uint_eq(tcb[0].init.asid[0].lo, 0x60);
	ck_assert_uint_eq(tcb[0].init.asid[0].hi, 7);
	ck_assert_uint_eq(tcb[0].init.next, 0xbf000180);
	ck_assert_uint_eq(tcb[3].task.next, 0xbf000200);
	ck_assert_uint_eq(tcb[10].task.tcbp, 0xbf000500);
	/* a base inside the 4 GiB block: the two differ */
	job.asid0 = (iova_t){0x710000000};
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x7bf000000}, tcb), 0);
	ck_assert_uint_eq(tcb[3].task.next, 0xbf000200);
	ck_assert_uint_eq(tcb[3].task.tcbp, 0xaf000180);
}
END_TEST

static struct v3_group plain_group(uint32_t bss)
{
	return (struct v3_group){.bss = bss,
				 .dependency = V3_DEP_ALL,
				 .stack = {0x10000},
				 .stack_stride = 0x1000,
				 .private_data = {0x20000},
				 .private_stride = 0x1000};
}

START_TEST(two_bss_blocks_each_open_with_their_own_init_tcb)
{
	struct v3_group groups[] = {plain_group(0), plain_group(1)};
	iova_t weights[] = {{0x100000000}, {0x100000000}};
	struct v3_job job = {
	    .cores = 1, .tecs = 4, .bss_count = 2, .asid1 = weights, .group_count = 2, .groups = groups};
	union zy3_tcb tcb[12];

	ck_assert_uint_eq(v3_chain_tcbs(&job), 12);
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), 0);
	EXPECT(tcb, 0, {0, 0x10000}, {4, 0x4100}, {48, 0x60}, {56, 0x60}, {60, 1});
	EXPECT(tcb, 1, {24, 0x31});
	EXPECT(tcb, 6, {0, 0x10000}, {4, 0x4400}, {48, 0x60}, {56, 0x60}, {60, 1});
	EXPECT(tcb, 7, {24, 0x31});
	ck_assert_uint_eq(tcb[5].task.next, 0x4300); /* block 0 links to block 1's init TCB */
	ck_assert_uint_eq(tcb[5].task.flag, ZY3_TCB_TASK | ZY3_TCB_GROUP_END);
	ck_assert_uint_eq(tcb[8].task.flag, ZY3_TCB_TASK | ZY3_TCB_DEP_ALL);
	ck_assert_uint_eq(tcb[8].task.group_id, 0); /* one core: every group on it */
	ck_assert_uint_eq(tcb[11].task.flag, ZY3_TCB_TASK | ZY3_TCB_GROUP_END | ZY3_TCB_GRID_END);
	/* weights of their own */
	weights[1] = (iova_t){0x100001000};
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), 0);
	ck_assert_uint_eq(tcb[6].init.asid[1].lo, 0x1060);
}
END_TEST

START_TEST(gm_input_of_64_bytes_preloads_one_page)
{
	struct v3_group group = plain_group(0);
	struct v3_job job = {.cores = 1,
			     .tecs = 4,
			     .bss_count = 1,
			     .asid1 = no_weights,
			     .gm = {.used = true, .address = {0x6000}, .preload = true, .preload_bytes = 64},
			     .group_count = 1,
			     .groups = &group};
	union zy3_tcb tcb[6];

	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), 0);
	EXPECT(tcb, 0, {0, 0x10000}, {4, 0x4100}, {16, 1}, {24, 0x40000001}, {28, 0xc0000000}, {32, 0x6000}, {48, 0x60},
	       {56, 0x60});
	/* a temporary: the address alone */
	job.gm.preload = false;
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), 0);
	EXPECT(tcb, 0, {0, 0x10000}, {4, 0x4100}, {16, 1}, {28, 0xc0000000}, {32, 0x6000}, {48, 0x60}, {56, 0x60});
	/* both regions, high: region 1 is ours */
	job.gm = (struct v3_gm){.used = true, .both_regions = true, .high_qos = true, .address = {0x500006000}};
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), 0);
	EXPECT(tcb, 0, {0, 0x10000}, {4, 0x4100}, {16, 2}, {24, 0xc0000000}, {40, 0x6000}, {44, 5}, {48, 0x60},
	       {56, 0x60});
	job.gm.both_regions = false;
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), -EINVAL);
}
END_TEST

START_TEST(gm_offset_follows_the_quirk)
{
	struct v3_group group = plain_group(0);
	struct v3_job job = {.cores = 1,
			     .tecs = 1,
			     .bss_count = 1,
			     .asid1 = no_weights,
			     .gm = {.used = true,
				    .address = {0x6000},
				    .preload = true,
				    .preload_offset = 0x3001000,
				    .preload_bytes = 0x1001},
			     .group_count = 1,
			     .groups = &group};
	union zy3_tcb tcb[3];

	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), 0);
	ck_assert_uint_eq(tcb[0].init.gm_region_ctrl[0], 0x43001002);
	job.gm_offset_shift = 12;
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), 0);
	ck_assert_uint_eq(tcb[0].init.gm_region_ctrl[0], 0x40003002);
	job.gm.preload_offset = 0x0ffff000;
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), -ERANGE);
	job.gm.preload_offset = UINT64_MAX;
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), -EINVAL);
	job.gm.preload_offset = 0;
	job.gm.preload_bytes = 0x1000000;
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), -ERANGE);
}
END_TEST

/* Six groups that share three stack sets: only the first and fourth wait for everything. */
START_TEST(six_groups_share_three_stack_sets)
{
	static const unsigned set[] = {0, 1, 0, 1, 2, 0};
	static const enum v3_dependency dependency[] = {V3_DEP_NONE, V3_DEP_NONE, V3_DEP_ALL,
							V3_DEP_NONE, V3_DEP_NONE, V3_DEP_ALL};
	struct v3_group groups[6];
	struct v3_job job = {
	    .cores = 1, .tecs = 4, .bss_count = 1, .asid1 = no_weights, .group_count = 6, .groups = groups};
	union zy3_tcb tcb[26];

	for (unsigned i = 0; i < 6; i++) {
		groups[i] = plain_group(0);
		groups[i].dependency = dependency[i];
		groups[i].stack.v = 0x10000 + set[i] * 0x4000;
		groups[i].private_data.v = 0x20000 + set[i] * 0x4000;
	}
	ck_assert_uint_eq(v3_chain_tcbs(&job), 26);
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), 0);
	for (unsigned i = 0; i < 24; i++) {
		const struct zy3_task_tcb *task = &tcb[2 + i].task;
		bool all = dependency[i / 4] == V3_DEP_ALL;

		ck_assert_uint_eq(task->sp, 0x10000 + set[i / 4] * 0x4000 + (i % 4) * 0x1000);
		ck_assert_uint_eq(task->dp, 0x20000 + set[i / 4] * 0x4000 + (i % 4) * 0x1000);
		ck_assert_uint_eq(task->flag & ZY3_TCB_DEP_MASK, i % 4 == 0 && all ? ZY3_TCB_DEP_ALL : 0);
		ck_assert_uint_eq(task->next, i == 23 ? 0 : 0x4000 + (3 + i) * 0x80);
	}
}
END_TEST

START_TEST(a_single_group_waits_for_nothing_and_interrupts_at_core_level)
{
	struct v3_group group = plain_group(0);
	struct v3_job job = {.cores = 4,
			     .tecs = 2,
			     .grid_id = 0xbeef,
			     .bss_count = 1,
			     .asid1 = no_weights,
			     .group_count = 1,
			     .groups = &group};
	union zy3_tcb tcb[5];

	group.profiler = (npu_addr_t){0x9000};
	group.profiler_offset = 0x40;
	group.global_param = (npu_addr_t){0xa000};
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), 0);
	EXPECT(tcb, 0, {0, 0x30000}, {4, 0x4180}, {20, 0xbeef0000}, {48, 0x60}, {56, 0x60});
	EXPECT(tcb, 2, {24, 0x31}, {88, 0x31});
	ck_assert_uint_eq(tcb[3].task.flag, ZY3_TCB_TASK); /* "all before" of a job with one group is nothing */
	EXPECT(tcb, 4, {0, 0x41}, {16, 0x63d}, {20, 0xbeef0000}, {24, 0x10000}, {28, 0x10001}, {32, 0x20001},
	       {36, 0x10001}, {40, 1}, {44, 0x10000}, {52, 0x11000}, {60, 0x21000}, {72, 0x9040}, {108, 0x4200},
	       {112, 0xa000}, {124, 0x9000});
}
END_TEST

START_TEST(tec_interrupts_only_for_groups_that_print)
{
	struct v3_job job = vector_job();
	union zy3_tcb tcb[11];

	job.tec_done_irq = false;
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), 0);
	ck_assert_uint_eq(tcb[3].task.interrupt_en, 0x3d);
	ck_assert_uint_eq(tcb[3].task.pprint, 0x26000);
}
END_TEST

START_TEST(hold_tcb_is_a_stable_tail)
{
	struct v3_job job = vector_job();
	union zy3_tcb tcb[11], hold;

	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), 0);
	tcb[10].task.interrupt_en |= 0x100;
	tcb[10].task.next = 0x9999;
	v3_hold_encode(&hold, &tcb[10], (npu_addr_t){0x30100}, (npu_addr_t){0x30000});
	tcb[10].task.flag = 0x41;
	tcb[10].task.next = 0;
	tcb[10].task.interrupt_en = 0x43d;
	tcb[10].task.spc = 0x30100;
	tcb[10].task.tcbp = 0x30000;
	ck_assert_mem_eq(&hold, &tcb[10], sizeof(hold));
	static const uint32_t end[] = ZY3_END_PACKET, want[] = {0x014f8000, 0x400c7fff, 0x400c7fff, 0x400c7fff};
	ck_assert_mem_eq(end, want, sizeof(want));
	v3_tcb_set_next(&hold, (iova_t){0x700008000});
	ck_assert_uint_eq(hold.task.next, 0x8000);
}
END_TEST

START_TEST(inconsistent_descriptions_are_refused)
{
	union zy3_tcb tcb[11];
	struct v3_group groups[2] = {vector_groups[0], vector_groups[1]};
	iova_t weights[2] = {{0}};
	struct v3_job good = vector_job(), job;

	good.groups = groups;
	good.asid1 = weights;
#define REFUSED(change, error)                                                                                         \
	do {                                                                                                           \
		job = good;                                                                                            \
		change;                                                                                                \
		ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x4000}, tcb), error);                                 \
		memcpy(groups, vector_groups, sizeof(groups));                                                         \
		weights[0].v = 0;                                                                                      \
	} while (0)
	REFUSED(job.cores = 0, -EINVAL);
	REFUSED(job.cores = 16, -EINVAL);
	REFUSED(job.tecs = 0, -EINVAL);
	REFUSED(job.tecs = 5, -EINVAL);
	REFUSED(job.bss_count = 0, -EINVAL);
	REFUSED(job.bss_count = 2, -EINVAL); /* no group uses block 1 */
	REFUSED(job.bss_count = 65, -EINVAL);
	REFUSED(job.group_count = 0, -EINVAL);
	REFUSED(job.group_count = 8193, -EINVAL);
	REFUSED(groups[0].bss = 1, -EINVAL);
	REFUSED((job.bss_count = 2, groups[0].bss = 1, groups[1].bss = 0), -EINVAL);
	REFUSED((job.bss_count = 3, groups[1].bss = 2), -EINVAL);
	REFUSED(groups[1].dependency = (enum v3_dependency)3, -EINVAL);
	REFUSED(weights[0].v = 0x800, -EINVAL);
	REFUSED(job.asid0.v = 0x20, -EINVAL);
	REFUSED(groups[1].stack.v = 0xffffe000, -ERANGE);
	REFUSED(groups[1].stack_stride = 0x80000000, -ERANGE);
	REFUSED(groups[1].private_stride = 0xfffff000, -ERANGE);
	REFUSED(groups[0].print.v = 0xfffffc00, -ERANGE);
	REFUSED((groups[0].profiler.v = 0x1000, groups[0].profiler_offset = 0xfffff000), -ERANGE);
	ck_assert_int_eq(v3_chain_encode(&good, (iova_t){0x4000}, tcb), 0);
}
END_TEST

START_TEST(a_chain_that_leaves_its_window_is_refused)
{
	union zy3_tcb tcb[11];
	struct v3_job job = vector_job();

	job.asid0 = (iova_t){0x100000000};
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x100001080}, tcb), -EINVAL); /* not 4 KiB aligned */
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x100000000}, tcb), -EINVAL); /* low word 0 reads as "end" */
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0xfffff000}, tcb), -ERANGE); /* below the base */
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x200001000}, tcb), -ERANGE); /* out of 32-bit reach */
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x1fffff000}, tcb), 0);
	job.asid0 = (iova_t){0x100001000};
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){0x100001000}, tcb), -ERANGE); /* pointer 0 */
	struct v3_group groups[9];
	for (unsigned i = 0; i < 9; i++)
		groups[i] = plain_group(0);
	union zy3_tcb many[39];
	struct v3_job wide = {.cores = 3,
			      .tecs = 4,
			      .bss_count = 1,
			      .asid1 = no_weights,
			      .asid0 = {0x80000000},
			      .group_count = 9,
			      .groups = groups};
	ck_assert_uint_eq(v3_chain_tcbs(&wide), 39);
	ck_assert_int_eq(v3_chain_encode(&wide, (iova_t){0xfffff000}, many), -ERANGE); /* crosses 4 GiB */
	ck_assert_int_eq(v3_chain_encode(&wide, (iova_t){0xffffe000}, many), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcb");
	TCase *chain = tcase_create("chain");

	tcase_add_test(chain, every_word_of_the_two_group_vector);
	tcase_add_test(chain, next_is_a_bus_address_and_tcbp_is_relative);
	tcase_add_test(chain, two_bss_blocks_each_open_with_their_own_init_tcb);
	tcase_add_test(chain, gm_input_of_64_bytes_preloads_one_page);
	tcase_add_test(chain, gm_offset_follows_the_quirk);
	tcase_add_test(chain, six_groups_share_three_stack_sets);
	tcase_add_test(chain, a_single_group_waits_for_nothing_and_interrupts_at_core_level);
	tcase_add_test(chain, tec_interrupts_only_for_groups_that_print);
	tcase_add_test(chain, hold_tcb_is_a_stable_tail);
	tcase_add_test(chain, inconsistent_descriptions_are_refused);
	tcase_add_test(chain, a_chain_that_leaves_its_window_is_refused);
	suite_add_tcase(suite, chain);
	return suite_main(suite);
}
