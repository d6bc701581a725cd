/* SPDX-License-Identifier: Apache-2.0 */
/* Chains: how TCBs become groups on cores, what their ends report, and what malformed ones do. */
#include "tests/unit/emulator/rig.h"

#define CORE_DONE (ZY3_INTR_CORE | ZY3_INTR_DONE)
#define CLUSTER_DONE (ZY3_INTR_CLUSTER | ZY3_INTR_DONE)
#define CLUSTER_ERROR (ZY3_INTR_CLUSTER | ZY3_INTR_ERROR)

static struct rig rig;

static void setup(void)
{
	rig_open(&rig);
	rig_init(&rig);
	rig_end(&rig, RIG_TEXT);
}

static void teardown(void)
{
	rig_close(&rig);
}

START_TEST(a_no_op_job_completes_at_core_level)
{
	uint32_t last = rig_chain(&rig, 4, ZY3_INTR_CORE | ZY3_INTR_CLUSTER);

	rig_dispatch(&rig, RIG_CHAIN, 7);
	rig_expect(&rig, CORE_DONE, last);
	rig_expect_silence(&rig);
	ck_assert_uint_eq(rig_r(&rig, RIG_LAST_CMD), 7);
	rig_drain(&rig);
	ck_assert_uint_eq(rig_stats(&rig).jobs, 1);
	ck_assert_uint_eq(rig_stats(&rig).groups, 1);
	ck_assert_uint_eq(rig_stats(&rig).tasks, 4);
}
END_TEST

START_TEST(the_head_address_ignores_its_low_twelve_bits)
{
	uint32_t last = rig_chain(&rig, 1, ZY3_INTR_CORE);

	rig_dispatch(&rig, RIG_CHAIN + 0x180, 1);
	rig_expect(&rig, CORE_DONE, last);
}
END_TEST

START_TEST(a_chain_without_core_enable_reports_at_its_end)
{
	uint32_t last = rig_chain(&rig, 4, ZY3_INTR_CLUSTER);

	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_expect(&rig, CLUSTER_DONE, last);
}
END_TEST

START_TEST(grid_end_reports_after_all_groups_of_the_grid)
{
	uint32_t slow = rig_insn(&rig, RIG_TEXT + 0x100, INSN(ISA_SPIN, .a = 2000000));
	uint32_t first = rig_init_tcb(&rig, RIG_CHAIN, RIG_CHAIN + 128), last;

	rig_end(&rig, slow);
	last = rig_group(&rig, first, 4, RIG_TEXT + 0x100, 0, ZY3_INTR_CORE, first + 4 * 128);
	uint32_t end = rig_group(&rig, last + 128, 4, RIG_TEXT, ZY3_TCB_GRID_END, ZY3_INTR_CLUSTER, 0);

	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_expect(&rig, CORE_DONE, last);
	rig_expect(&rig, CLUSTER_DONE, end);
}
END_TEST

/* Text at `at`: the running task stores its own tick to RIG_DATA + slot * 16, then waits for RIG_DATA + 0x1000. */
static uint32_t gate(uint32_t at, uint32_t slot)
{
	at = rig_insn(&rig, at, INSN(ISA_LI, 1, .a = 1));
	at = rig_insn(&rig, at, INSN(ISA_ST32, 0, 0, 1, .a = RIG_DATA + slot * 16));
	at = rig_insn(&rig, at, INSN(ISA_LD32, 2, .a = RIG_DATA + 0x1000));
	at = rig_insn(&rig, at, INSN(ISA_BEQ, 0, 2, 0, .a = (uint32_t)-16));
	return rig_end(&rig, at);
}

static void await(uint32_t address)
{
	uint64_t until = emu_now_ns() + RIG_WAIT_MS * 1000000ull;

	while (!rig_get(&rig, address))
		ck_assert_msg(emu_now_ns() < until, "the program never got there");
}

static void open_gate(void)
{
	__atomic_store_n(rig_word(&rig, RIG_DATA + 0x1000), 1, __ATOMIC_SEQ_CST);
}

START_TEST(independent_groups_run_on_different_cores_at_once)
{
	uint32_t at = rig_init_tcb(&rig, RIG_CHAIN, RIG_CHAIN + 128);

	for (uint32_t g = 0; g < 3; g++) {
		gate(RIG_TEXT + 0x100 * g, g);
		at = rig_group(&rig, at, 1, RIG_TEXT + 0x100 * g, 0, ZY3_INTR_CORE, g < 2 ? at + 128 : 0) + 128;
	}
	rig_dispatch(&rig, RIG_CHAIN, 1);
	for (uint32_t g = 0; g < 3; g++)
		await(RIG_DATA + 16 * g);
	rig_w(&rig, 0x1f00, 0x1002);
	ck_assert_uint_eq(rig_r(&rig, 0x3004), 0); /* core 2 is busy */
	open_gate();
	uint32_t cores = 0;
	for (uint32_t g = 0; g < 3; g++) {
		cores |= 1u << (rig_wait(&rig) >> ZY3_INTR_CORE_ID_SHIFT & 0xf);
		rig_w(&rig, RIG_STATUS, 1);
	}
	ck_assert_uint_eq(cores, 7);
	rig_wait_idle(&rig);
}
END_TEST

START_TEST(dependencies_hold_groups_back)
{
	uint32_t at = rig_init_tcb(&rig, RIG_CHAIN, RIG_CHAIN + 128);
	static const uint32_t kind[] = {ZY3_TCB_DEP_PREVIOUS, ZY3_TCB_DEP_ALL};
	/* group 0 waits at the gate, group 1 is free, group 2 depends */
	uint32_t text = RIG_TEXT + 0x400;

	text = rig_insn(&rig, text, INSN(ISA_LD32, 2, .a = RIG_DATA + 0x1000));
	text = rig_insn(&rig, text, INSN(ISA_ST32, 0, 0, 2, .a = RIG_DATA + 0x40));
	rig_end(&rig, text);
	gate(RIG_TEXT + 0x100, 0);
	uint32_t g0 = rig_group(&rig, at, 1, RIG_TEXT + 0x100, 0, ZY3_INTR_CORE, at + 128);
	uint32_t g1 = rig_group(&rig, g0 + 128, 1, RIG_TEXT, 0, ZY3_INTR_CORE, g0 + 256);
	uint32_t g2 = rig_group(&rig, g1 + 128, 1, RIG_TEXT + 0x400, kind[_i], ZY3_INTR_CORE, 0);

	rig_dispatch(&rig, RIG_CHAIN, 1);
	await(RIG_DATA);
	rig_expect(&rig, CORE_DONE, g1);
	if (kind[_i] == ZY3_TCB_DEP_PREVIOUS) {
		rig_expect(&rig, CORE_DONE, g2); /* group 0 still runs */
		ck_assert_uint_eq(rig_get(&rig, RIG_DATA + 0x40), 0);
		open_gate();
		rig_expect(&rig, CORE_DONE, g0);
	} else {
		open_gate();
		rig_expect(&rig, CORE_DONE, g0);
		rig_expect(&rig, CORE_DONE, g2);
		ck_assert_uint_eq(rig_get(&rig, RIG_DATA + 0x40), 1);
	}
}
END_TEST

START_TEST(an_init_tcb_never_overtakes_groups_of_the_old_context)
{
	uint32_t first = rig_init_tcb(&rig, RIG_CHAIN, RIG_CHAIN + 128);

	gate(RIG_TEXT + 0x100, 0);
	uint32_t g0 = rig_group(&rig, first, 1, RIG_TEXT + 0x100, 0, ZY3_INTR_CORE, first + 128);
	uint32_t second = rig_init_tcb(&rig, g0 + 128, g0 + 256);
	uint32_t g1 = rig_group(&rig, second, 1, RIG_TEXT, 0, ZY3_INTR_CORE, 0);

	rig_dispatch(&rig, RIG_CHAIN, 1);
	await(RIG_DATA);
	ck_assert_uint_eq(rig_stats(&rig).groups, 0);
	open_gate();
	rig_expect(&rig, CORE_DONE, g0);
	rig_expect(&rig, CORE_DONE, g1);
}
END_TEST

START_TEST(a_chain_linked_behind_the_tail_runs_on_a_plain_dispatch)
{
	uint32_t last = rig_chain(&rig, 4, ZY3_INTR_CORE);
	uint32_t hold = rig_group(&rig, RIG_HOLD, 1, RIG_TEXT, ZY3_TCB_DEP_PREVIOUS, ZY3_INTR_CORE, 0);

	rig_tcb(&rig, last)->task.next = rig_next(RIG_HOLD);
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_expect(&rig, CORE_DONE, last);
	rig_expect(&rig, CORE_DONE, hold); /* a hold TCB just runs */
	rig_wait_idle(&rig);
	/* told to look again with nothing linked: nothing happens */
	rig_w(&rig, 0x0, 4);
	ck_assert_uint_eq(rig_r(&rig, 0x18), 0);
	uint32_t next = rig_init_tcb(&rig, 0x5000, 0x5000 + 128);
	uint32_t second = rig_group(&rig, next, 4, RIG_TEXT, 0, ZY3_INTR_CORE, 0);

	__atomic_store_n(&rig_tcb(&rig, RIG_HOLD)->task.next, rig_next(0x5000), __ATOMIC_SEQ_CST);
	rig_w(&rig, 0x4, 2);
	rig_w(&rig, 0x0, 4);
	ck_assert_uint_eq(rig_r(&rig, 0x18), 0);
	rig_expect(&rig, CORE_DONE, second);
	rig_expect_silence(&rig);
}
END_TEST

START_TEST(the_fast_list_is_served_beside_the_slow_one)
{
	gate(RIG_TEXT + 0x100, 0);
	uint32_t first = rig_init_tcb(&rig, RIG_CHAIN, RIG_CHAIN + 128);
	uint32_t slow = rig_group(&rig, first, 1, RIG_TEXT + 0x100, 0, ZY3_INTR_CORE, 0);
	uint32_t next = rig_init_tcb(&rig, 0x5000, 0x5000 + 128);
	uint32_t fast = rig_group(&rig, next, 1, RIG_TEXT, 0, ZY3_INTR_CORE, 0);

	rig_dispatch(&rig, RIG_CHAIN, 1);
	await(RIG_DATA);
	rig_head(&rig, 0x5000);
	rig_w(&rig, 0x0, 0x204);
	rig_expect(&rig, CORE_DONE, fast);
	open_gate();
	rig_expect(&rig, CORE_DONE, slow);
}
END_TEST

START_TEST(bind_dispatch_restricts_a_chain_to_one_core)
{
	uint32_t at = rig_init_tcb(&rig, RIG_CHAIN, RIG_CHAIN + 128);

	for (uint32_t g = 0; g < 3; g++)
		at = rig_group(&rig, at, 2, RIG_TEXT, 0, ZY3_INTR_CORE, g < 2 ? at + 256 : 0) + 128;
	rig_head(&rig, RIG_CHAIN);
	rig_w(&rig, 0x0, 5 | 2u << 24);
	ck_assert_uint_eq(rig_r(&rig, 0x18), 0);
	for (uint32_t g = 0; g < 3; g++) {
		ck_assert_uint_eq(rig_wait(&rig) >> ZY3_INTR_CORE_ID_SHIFT & 0xf, 2);
		rig_w(&rig, RIG_STATUS, 1);
	}
	/* a core that is not there */
	rig_head(&rig, RIG_CHAIN);
	rig_w(&rig, 0x0, 5 | 3u << 24);
	ck_assert_uint_eq(rig_r(&rig, 0x18), ZY3_TSM_FAILED);
}
END_TEST

START_TEST(executed_tcbs_get_their_ids_written_back)
{
	uint32_t last = rig_chain(&rig, 4, ZY3_INTR_CORE);

	rig_head(&rig, RIG_CHAIN);
	rig_w(&rig, 0x0, 5 | 1u << 24);
	rig_expect(&rig, CORE_DONE, last);
	for (uint32_t t = 0; t < 4; t++) {
		const struct zy3_task_tcb *tcb = &rig_tcb(&rig, RIG_CHAIN + 128 + t * 128)->task;

		ck_assert_uint_eq(tcb->core_id, 1);
		ck_assert_uint_eq(tcb->cluster_id, 0);
		ck_assert_uint_eq(tcb->tec_id, t);
	}
}
END_TEST

START_TEST(tec_done_comes_only_where_tcb_and_pool_enable_it)
{
	uint32_t last = rig_chain(&rig, 2, ZY3_INTR_CORE);

	rig_tcb(&rig, RIG_CHAIN + 128)->task.interrupt_en |= ZY3_INTR_TEC;
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_expect(&rig, ZY3_INTR_TEC | ZY3_INTR_DONE, RIG_CHAIN + 128);
	rig_expect(&rig, CORE_DONE, last);
	rig_drain(&rig);
	rig_w(&rig, RIG_INTR_CTRL, 0x63d);
	rig_w(&rig, 0x0, 0x1001);
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_expect(&rig, CORE_DONE, last);
	rig_expect_silence(&rig);
}
END_TEST

START_TEST(segment_mmu_tcbs_are_read_and_skipped)
{
	uint32_t at = RIG_CHAIN;

	rig_init_tcb(&rig, at, at + 3 * 128);
	rig_tcb(&rig, at)->init.flag = 3u << ZY3_TCB_SEGMMU_SHIFT;
	memset(rig_tcb(&rig, at + 128), 0, 256);
	rig_tcb(&rig, at + 128)->segmmu.even.ctrl = 0x31;
	uint32_t last = rig_group(&rig, at + 3 * 128, 4, RIG_TEXT, 0, ZY3_INTR_CORE, 0);

	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_expect(&rig, CORE_DONE, last);
}
END_TEST

START_TEST(the_context_of_a_pool_outlives_a_chain)
{
	uint32_t last = rig_chain(&rig, 1, ZY3_INTR_CORE);

	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_expect(&rig, CORE_DONE, last);
	/* no init TCB: the addresses of the last one still hold, also on the other list */
	uint32_t other = rig_group(&rig, 0x5000, 1, RIG_TEXT, 0, ZY3_INTR_CORE, 0);

	rig_head(&rig, 0x5000);
	rig_w(&rig, 0x0, 0x204);
	rig_expect(&rig, CORE_DONE, other);
}
END_TEST

/* ------------------------------------------------------------------ malformed chains */

static void break_type(void)
{
	rig_tcb(&rig, RIG_CHAIN + 128)->task.flag = 2 | ZY3_TCB_GROUP_END;
}

static void break_link(void)
{
	rig_tcb(&rig, RIG_CHAIN + 128)->task.next += 4;
}

static void break_init_link(void)
{
	rig_tcb(&rig, RIG_CHAIN)->init.next += 64;
}

static void break_unmapped(void)
{
	rig_tcb(&rig, RIG_CHAIN)->init.next = rig_next(RIG_BYTES);
}

static void break_group_end(void)
{
	rig_tcb(&rig, RIG_CHAIN + 128)->task.next = 0;
}

static void break_gm(void)
{
	rig_tcb(&rig, RIG_CHAIN)->init.gm_ctrl = 3;
}

static void break_preload(void)
{
	struct zy3_init_tcb *init = &rig_tcb(&rig, RIG_CHAIN)->init;

	init->gm_ctrl = 1;
	init->gm_region_addr[0] = (struct zy_asid_word){0x1000, 0x7f};
	init->gm_region_ctrl[0] = ZY3_GM_SYNC_TO_GM | 1;
}

static void break_segmmu(void)
{
	rig_tcb(&rig, RIG_CHAIN)->init.flag = 1u << ZY3_TCB_SEGMMU_SHIFT; /* a task TCB follows */
}

static void break_init_inside(void)
{
	rig_tcb(&rig, RIG_CHAIN + 256)->task.flag = ZY3_TCB_INIT;
}

START_TEST(a_malformed_chain_is_a_pool_error)
{
	static void (*const breaks[])(void) = {break_type,     break_link,      break_init_link,
					       break_unmapped, break_group_end, break_gm,
					       break_preload,  break_segmmu,    break_init_inside};

	rig_chain(&rig, 4, ZY3_INTR_CORE);
	breaks[_i]();
	rig_dispatch(&rig, RIG_CHAIN, 0x77);
	uint32_t status = rig_wait(&rig);

	ck_assert_uint_eq(status & 0xfff, CLUSTER_ERROR);
	ck_assert_uint_eq(rig_r(&rig, RIG_STATUS) & 0x7d, ZY3_INTR_ERROR);
	ck_assert_uint_eq(rig_r(&rig, RIG_FIRST_BAD), ZY3_FIRST_BAD_VALID | 0x77);
	rig_w(&rig, RIG_FIRST_BAD, 0);
	rig_w(&rig, RIG_STATUS, ZY3_INTR_ERROR);
	rig_expect_silence(&rig);
	/* the pool is fed again after an abort */
	rig_abort(&rig);
	uint32_t last = rig_chain(&rig, 4, ZY3_INTR_CORE);

	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_expect(&rig, CORE_DONE, last);
}
END_TEST

START_TEST(five_tasks_do_not_fit_four_tecs)
{
	uint32_t first = rig_init_tcb(&rig, RIG_CHAIN, RIG_CHAIN + 128);

	rig_group(&rig, first, 5, RIG_TEXT, 0, ZY3_INTR_CORE, 0);
	rig_dispatch(&rig, RIG_CHAIN, 1);
	ck_assert_uint_eq(rig_wait(&rig) & 0xfff, CLUSTER_ERROR);
}
END_TEST

START_TEST(an_endless_chain_ends_with_an_abort)
{
	/* two init TCBs that link to each other, and a group that links to itself */
	rig_init_tcb(&rig, RIG_CHAIN, 0x1080);
	rig_init_tcb(&rig, 0x1080, RIG_CHAIN);
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_w(&rig, 0x0, 3);
	ck_assert_uint_eq(rig_r(&rig, 0x18), 0);
	rig_init_tcb(&rig, RIG_CHAIN, 0x1080);
	rig_group(&rig, 0x1080, 1, RIG_TEXT, 0, 0, 0x1080);
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_await_groups(&rig, 1000);
	rig_abort(&rig);
	uint32_t last = rig_chain(&rig, 4, ZY3_INTR_CORE);

	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_expect(&rig, CORE_DONE, last);
}
END_TEST

START_TEST(unacknowledged_completions_stop_the_feeding_not_the_device)
{
	uint32_t first = rig_init_tcb(&rig, RIG_CHAIN, 0x1080);

	rig_group(&rig, first, 1, RIG_TEXT, 0, ZY3_INTR_CORE, 0x1080); /* links to itself, reports each time */
	rig_dispatch(&rig, RIG_CHAIN, 1);
	for (int i = 0; i < 1000; i++)
		rig_expect(&rig, CORE_DONE, 0x1080);
	rig_abort(&rig);
	/* what has ended is still told, and that is the end of it */
	for (int i = 0; i < 1000 && rig_r(&rig, RIG_INTR_STATUS); i++)
		rig_w(&rig, RIG_STATUS, ZY3_INTR_DONE);
	ck_assert_uint_eq(rig_r(&rig, RIG_INTR_STATUS), 0);
}
END_TEST

START_TEST(an_abort_keeps_what_was_not_acknowledged)
{
	uint32_t first = rig_init_tcb(&rig, RIG_CHAIN, 0x1080);
	uint32_t ended = rig_group(&rig, first, 1, RIG_TEXT, 0, ZY3_INTR_CORE, 0x1100);

	rig_insn(&rig, RIG_TEXT + 0x100, INSN(ISA_SPIN));
	rig_group(&rig, ended + ZY_TCB_BYTES, 1, RIG_TEXT + 0x100, ZY3_TCB_DEP_PREVIOUS, ZY3_INTR_CORE, 0);
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_await_groups(&rig, 1);
	rig_abort(&rig);
	/* the first group has ended and says so; the second is gone and says nothing */
	rig_expect(&rig, CORE_DONE, ended);
	rig_expect_silence(&rig);
}
END_TEST

/* ------------------------------------------------------------------ GM */

/* text: copies the word at asid 0 : from to asid 0 : to */
static void copy_text(uint32_t from, uint32_t to)
{
	uint32_t at = rig_insn(&rig, RIG_TEXT, INSN(ISA_LD32, 1, .a = from));

	at = rig_insn(&rig, at, INSN(ISA_ST32, 0, 0, 1, .a = to));
	rig_end(&rig, at);
}

static void gm_chain(uint32_t regions, uint32_t region, uint32_t ctrl, uint32_t shadow)
{
	rig_chain(&rig, 1, ZY3_INTR_CORE);
	struct zy3_init_tcb *init = &rig_tcb(&rig, RIG_CHAIN)->init;

	init->gm_ctrl = regions;
	init->gm_region_ctrl[region] = ctrl;
	init->gm_region_ctrl[!region] = ZY3_GM_SYNC_IGNORE;
	init->gm_region_addr[region] = (struct zy_asid_word){(uint32_t)RIG_BASE + shadow, (uint32_t)(RIG_BASE >> 32)};
}

static void run_chain(void)
{
	rig_dispatch(&rig, RIG_CHAIN, 1);
	ck_assert_uint_eq(rig_wait(&rig) & 0xfff, CORE_DONE);
	rig_w(&rig, RIG_STATUS, 1);
	rig_drain(&rig);
	rig_w(&rig, 0x0, 0x1001);
}

START_TEST(gm_stands_in_for_the_memory_it_shadows)
{
	*rig_word(&rig, 0x800010) = 0x11111111;
	/* through the shadow: GM's zero, not the memory's word */
	copy_text(0x800010, RIG_DATA);
	*rig_word(&rig, RIG_DATA) = 0xffffffff;
	gm_chain(1, 0, 0, 0x800000);
	run_chain();
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA), 0);
	/* written through the shadow, read at GM's own window; the memory stays as it was */
	*rig_word(&rig, RIG_DATA) = 0x22222222;
	copy_text(RIG_DATA, 0x800020);
	run_chain();
	copy_text(ISA_GM_BASE + 0x20, RIG_DATA + 4);
	run_chain();
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA + 4), 0x22222222);
	ck_assert_uint_eq(rig_get(&rig, 0x800020), 0);
}
END_TEST

START_TEST(gm_is_preloaded_from_the_sync_range)
{
	*rig_word(&rig, 0x802010) = 0x33333333;
	copy_text(0x802010, RIG_DATA);
	gm_chain(1, 0, ZY3_GM_SYNC_TO_GM | 0x2000 | 1, 0x800000);
	run_chain();
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA), 0x33333333);
	ck_assert_uint_eq(*(uint32_t *)(void *)(rig.device->chip.gm + 0x2010), 0x33333333);
}
END_TEST

START_TEST(two_regions_split_gm_in_halves)
{
	*rig_word(&rig, 0x800000) = 0x44444444;
	copy_text(ISA_GM_BASE + (2u << 20), RIG_DATA);
	gm_chain(2, 1, ZY3_GM_SYNC_TO_GM | 1, 0x800000);
	run_chain();
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA), 0x44444444);
	/* behind the half, memory is memory */
	*rig_word(&rig, 0xa00000) = 0x55555555;
	copy_text(0xa00000, RIG_DATA);
	run_chain();
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA), 0x55555555);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tsm");
	TCase *chains = tcase_create("chains"), *bad = tcase_create("malformed"), *gm = tcase_create("gm");

	tcase_add_checked_fixture(chains, setup, teardown);
	tcase_add_test(chains, a_no_op_job_completes_at_core_level);
	tcase_add_test(chains, the_head_address_ignores_its_low_twelve_bits);
	tcase_add_test(chains, a_chain_without_core_enable_reports_at_its_end);
	tcase_add_test(chains, grid_end_reports_after_all_groups_of_the_grid);
	tcase_add_test(chains, independent_groups_run_on_different_cores_at_once);
	tcase_add_loop_test(chains, dependencies_hold_groups_back, 0, 2);
	tcase_add_test(chains, an_init_tcb_never_overtakes_groups_of_the_old_context);
	tcase_add_test(chains, a_chain_linked_behind_the_tail_runs_on_a_plain_dispatch);
	tcase_add_test(chains, the_fast_list_is_served_beside_the_slow_one);
	tcase_add_test(chains, bind_dispatch_restricts_a_chain_to_one_core);
	tcase_add_test(chains, executed_tcbs_get_their_ids_written_back);
	tcase_add_test(chains, tec_done_comes_only_where_tcb_and_pool_enable_it);
	tcase_add_test(chains, segment_mmu_tcbs_are_read_and_skipped);
	tcase_add_test(chains, the_context_of_a_pool_outlives_a_chain);
	suite_add_tcase(suite, chains);
	tcase_add_checked_fixture(bad, setup, teardown);
	tcase_add_loop_test(bad, a_malformed_chain_is_a_pool_error, 0, 9);
	tcase_add_test(bad, five_tasks_do_not_fit_four_tecs);
	tcase_add_test(bad, an_endless_chain_ends_with_an_abort);
	tcase_add_test(bad, an_abort_keeps_what_was_not_acknowledged);
	tcase_add_test(bad, unacknowledged_completions_stop_the_feeding_not_the_device);
	suite_add_tcase(suite, bad);
	tcase_add_checked_fixture(gm, setup, teardown);
	tcase_add_test(gm, gm_stands_in_for_the_memory_it_shadows);
	tcase_add_test(gm, gm_is_preloaded_from_the_sync_range);
	tcase_add_test(gm, two_regions_split_gm_in_halves);
	suite_add_tcase(suite, gm);
	return suite_main(suite);
}
