/* SPDX-License-Identifier: Apache-2.0 */
/* The V3 register model: published access sequences replayed, reset state, commands and their sticky failure. */
#include "tests/unit/emulator/rig.h"

static struct rig rig;

static void setup(void)
{
	rig_open(&rig);
}

static void teardown(void)
{
	rig_close(&rig);
}

static void expect(uint32_t offset, uint32_t value)
{
	ck_assert_msg(rig_r(&rig, offset) == value, "R[0x%x] is 0x%x, not 0x%x", offset, rig_r(&rig, offset), value);
}

/* R50 R50 W20=1 R20=2 R14 RC00 RC00 W1F00=1000 R2070 W1F00=0 RC00 WC04=1314 W800=0 W81C=1 W808=63D W68=3 */
static void probe(void)
{
	expect(0x50, 0x00010003);
	expect(0x50, 0x00010003);
	rig_w(&rig, 0x20, 1);
	expect(0x20, 2);
	expect(0x14, 0x00010000); /* one partition, one pool */
	expect(0xc00, 0x1314);
	expect(0xc00, 0x1314);
	rig_w(&rig, 0x1f00, 0x1000);
	expect(0x2070, 0x00030000); /* 4 MiB */
	rig_w(&rig, 0x1f00, 0);
	expect(0xc00, 0x1314);
	rig_w(&rig, 0xc04, 0x1314);
	rig_w(&rig, 0x800, 0);
	rig_w(&rig, 0x81c, 1);
	rig_w(&rig, 0x808, 0x63d);
	rig_w(&rig, 0x68, 3);
	expect(0xc04, 0x1314);
	expect(0x81c, 1);
	expect(0x808, 0x63d);
}

START_TEST(trace_of_the_probe)
{
	probe();
	expect(0x804, 0x40);
	expect(0x18, 0);
}
END_TEST

START_TEST(traces_of_first_job_completion_and_linked_second_job)
{
	probe();
	rig_end(&rig, RIG_TEXT);
	uint32_t last = rig_chain(&rig, 4, ZY3_INTR_CORE);

	/* R804(bit6=1) W0=1001 R18=0 R804(bit6=0) W8 WC W4=1 W0=4 R18=0 */
	ck_assert_uint_eq(rig_r(&rig, 0x804) & 0x40, 0x40);
	rig_w(&rig, 0x0, 0x1001);
	expect(0x18, 0);
	ck_assert_uint_eq(rig_r(&rig, 0x804) & 0x40, 0);
	rig_w(&rig, 0x8, (uint32_t)(RIG_BASE >> 32));
	rig_w(&rig, 0xc, (uint32_t)RIG_BASE + RIG_CHAIN);
	rig_w(&rig, 0x4, 1);
	rig_w(&rig, 0x0, 4);
	expect(0x18, 0);
	/* R80C(0x…00000201) R810 R824 R820 R64/R60 W804=1 */
	ck_assert_uint_eq(rig_wait(&rig) & 0xffff, 0x0201);
	expect(0x810, 0);
	expect(0x824, last);
	expect(0x820, 0);
	expect(0x64, 0);
	expect(0x60, 0);
	ck_assert_uint_eq(rig_r(&rig, 0x804), 0x01);
	rig_w(&rig, 0x804, 1);
	expect(0x804, 0);
	expect(0x80c, 0);
	expect(0x818, 1);
	/* R804(bit6=0) R804 W4=2 W0=4 R18: the second chain was linked behind the first */
	uint32_t second = rig_init_tcb(&rig, 0x5000, 0x5080);
	uint32_t end = rig_group(&rig, second, 4, RIG_TEXT, 0, ZY3_INTR_CORE, 0);

	rig_tcb(&rig, last)->task.next = rig_next(0x5000);
	expect(0x804, 0);
	rig_w(&rig, 0x4, 2);
	rig_w(&rig, 0x0, 4);
	expect(0x18, 0);
	rig_expect(&rig, 0x201, end);
}
END_TEST

START_TEST(trace_of_the_fast_list)
{
	rig_init(&rig);
	rig_end(&rig, RIG_TEXT);
	uint32_t last = rig_chain(&rig, 4, ZY3_INTR_CORE);

	/* W4=2 W0=204 R18 on a list that never had a chain fails without an address and works with one */
	rig_w(&rig, 0x4, 2);
	rig_w(&rig, 0x0, 0x204);
	expect(0x18, 0x80000000);
	rig_w(&rig, 0x18, 0);
	rig_head(&rig, RIG_CHAIN);
	rig_w(&rig, 0x0, 0x204);
	expect(0x18, 0);
	rig_expect(&rig, 0x201, last);
}
END_TEST

START_TEST(trace_of_destroying_a_pool)
{
	rig_init(&rig);
	/* W8=0 WC=0 W4=0 W0=2 R18=0 W808=63D */
	rig_w(&rig, 0x8, 0);
	rig_w(&rig, 0xc, 0);
	rig_w(&rig, 0x4, 0);
	rig_w(&rig, 0x0, 2);
	expect(0x18, 0);
	rig_w(&rig, 0x808, 0x63d);
	expect(0x804, 0x40);
}
END_TEST

START_TEST(unlisted_offsets_read_zero_and_ignore_writes)
{
	for (uint32_t offset = 0; offset < 0x10000; offset += 4) {
		static const uint32_t listed[] = {0x14, 0x50, 0x68, 0x804, 0xc00};
		bool known = false;

		for (size_t i = 0; i < sizeof(listed) / sizeof(listed[0]); i++)
			known |= offset == listed[i];
		if (!known)
			expect(offset, 0);
	}
	rig_w(&rig, 0x70, 0xffffffff);
	rig_w(&rig, 0x840, 0xffffffff);
	rig_w(&rig, 0xc24, 0xffffffff);
	rig_w(&rig, 0x50, 0xffffffff);
	rig_w(&rig, 0xfffc, 0xffffffff);
	expect(0x70, 0);
	expect(0x840, 0);
	expect(0xc24, 0);
	expect(0x50, 0x00010003);
	expect(0xfffc, 0);
}
END_TEST

START_TEST(soft_reset_returns_to_the_reset_state)
{
	probe();
	rig_end(&rig, RIG_TEXT);
	rig_chain(&rig, 4, ZY3_INTR_CORE);
	rig_w(&rig, 0x0, 0x1001);
	rig_w(&rig, 0x68, 0);
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_wait(&rig); /* left unacknowledged */
	rig_w(&rig, 0x0, 0x1001);
	expect(0x18, 0x80000000);
	ck_assert_int_eq(atomic_load(&rig.level), 1);
	rig_w(&rig, 0x20, 1);
	expect(0x20, 2);
	expect(0x804, 0x40);
	expect(0x808, 0);
	expect(0x80c, 0);
	expect(0x18, 0);
	expect(0xc04, 0);
	expect(0x60, 0);
	expect(0x64, 0);
	expect(0x8, 0);
	ck_assert_int_eq(atomic_load(&rig.level), 0);
	rig_w(&rig, 0x20, 1); /* and again */
	expect(0x20, 2);
}
END_TEST

START_TEST(create_on_an_existing_pool_fails_until_software_clears_the_bit)
{
	rig_init(&rig);
	rig_w(&rig, 0x4, 0x42);
	rig_w(&rig, 0x0, 0x1001);
	expect(0x18, 0x80000000);
	expect(0x814, 0x80000042);
	rig_w(&rig, 0x18, 0x80000000); /* written as 1: stays */
	expect(0x18, 0x80000000);
	rig_w(&rig, 0x18, 0);
	expect(0x18, 0);
	rig_w(&rig, 0x814, 0);
	expect(0x814, 0);
}
END_TEST

START_TEST(commands_without_a_pool_fail)
{
	static const uint32_t commands[] = {2, 3, 4, 5, 0x10001, 0x20002, 0x70004, 6, 15};

	rig_w(&rig, 0xc04, 0x1314);
	rig_head(&rig, RIG_CHAIN);
	rig_w(&rig, 0x0, commands[_i]);
	expect(0x18, 0x80000000);
}
END_TEST

START_TEST(a_head_of_zero_is_refused)
{
	rig_init(&rig);
	rig_w(&rig, 0x8, 3);
	rig_w(&rig, 0xc, 0x00000fff);
	rig_w(&rig, 0x0, 4);
	expect(0x18, 0x80000000);
}
END_TEST

START_TEST(destroy_fails_while_tcbs_execute_and_works_after_an_abort)
{
	rig_init(&rig);
	rig_insn(&rig, RIG_TEXT, INSN(ISA_SPIN));
	rig_chain(&rig, 4, ZY3_INTR_CORE);
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_w(&rig, 0x0, 2);
	expect(0x18, 0x80000000);
	rig_w(&rig, 0x18, 0);
	rig_w(&rig, 0x0, 3);
	expect(0x18, 0);
	expect(0x804, 0); /* the pool is still there */
	rig_w(&rig, 0x0, 2);
	expect(0x18, 0);
	expect(0x804, 0x40);
	rig_wait_idle(&rig);
	rig_expect_silence(&rig);
}
END_TEST

/* Until the scheduler waits with a chain's init TCB in hand for the groups before it: then it takes no further head. */
static void await_scheduler_stuck(void)
{
	const struct list *list = &rig.device->pool[0].list[0];
	uint64_t until = emu_now_ns() + RIG_WAIT_MS * 1000000ull;
	bool stuck = false;

	while (!stuck) {
		ck_assert_msg(emu_now_ns() < until, "the scheduler never took the second chain");
		(void)pthread_mutex_lock(&rig.device->lock);
		stuck = list->init_pending && list->heads == 0;
		(void)pthread_mutex_unlock(&rig.device->lock);
		(void)sched_yield();
	}
}

START_TEST(a_ninth_waiting_head_finds_the_pool_full)
{
	rig_init(&rig);
	rig_insn(&rig, RIG_TEXT, INSN(ISA_SPIN));
	rig_chain(&rig, 4, ZY3_INTR_CORE);
	rig_w(&rig, 0xc04, 0x1014); /* no core: no group ever ends */
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_head(&rig, RIG_CHAIN);
	rig_w(&rig, 0x0, 4);
	await_scheduler_stuck();
	for (uint32_t i = 0; i < LIST_HEADS; i++) {
		expect(0x18, 0);
		rig_head(&rig, RIG_CHAIN);
		rig_w(&rig, 0x0, 4);
	}
	expect(0x18, 1);
	rig_head(&rig, RIG_CHAIN);
	rig_w(&rig, 0x0, 4);
	expect(0x18, 0x80000001);
	rig_w(&rig, 0x18, 0);
	expect(0x18, 1);
	rig_abort(&rig);
	expect(0x18, 0);
}
END_TEST

/* Until the command scheduler has given core 0 a group; the cluster is busy from the doorbell on. */
static void await_core_busy(void)
{
	uint64_t until = emu_now_ns() + RIG_WAIT_MS * 1000000ull;

	ck_assert(!rig_idle(&rig));
	rig_w(&rig, 0x1f00, 0x1000);
	while (rig_r(&rig, 0x3004))
		ck_assert_uint_lt(emu_now_ns(), until);
	rig_w(&rig, 0x1f00, 0);
}

START_TEST(the_debug_window_shows_idleness_only_while_selected)
{
	rig_init(&rig);
	expect(0x2004, 0);
	expect(0x2070, 0);
	rig_wait_idle(&rig);
	rig_w(&rig, 0x1f00, 0x1000);
	expect(0x2004, 0x60);
	expect(0x2848, CHIP_LOCAL_CODE);
	expect(0x284c, CHIP_SHARED_CODE);
	for (uint32_t core = 0; core < 3; core++) {
		rig_w(&rig, 0x1f00, 0x1000 | core);
		expect(0x3004, 0x10);
	}
	rig_w(&rig, 0x1f00, 0x1003); /* a core, then a cluster that is not there */
	expect(0x3004, 0);
	rig_w(&rig, 0x1f00, 0x1010);
	expect(0x2004, 0);
	rig_insn(&rig, RIG_TEXT, INSN(ISA_SPIN));
	rig_chain(&rig, 1, 0);
	rig_dispatch(&rig, RIG_CHAIN, 1);
	await_core_busy();
	rig_w(&rig, 0x1f00, 0x1000);
	expect(0x3004, 0);
	expect(0x2004, 0);
	rig_w(&rig, 0x1f00, 0x1001);
	expect(0x3004, 0x10);
	rig_abort(&rig);
}
END_TEST

START_TEST(groups_wait_until_a_core_is_enabled)
{
	rig_init(&rig);
	rig_end(&rig, RIG_TEXT);
	uint32_t last = rig_chain(&rig, 4, ZY3_INTR_CORE);

	rig_w(&rig, 0xc04, 0x1014);
	expect(0x18, 0); /* nothing ran: switching off is no failure */
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_wait_idle(&rig);
	rig_w(&rig, 0xc04, 0x1114);
	rig_expect(&rig, 0x201, last);
}
END_TEST

START_TEST(switching_cores_off_under_a_group_sets_the_failure_bit)
{
	rig_init(&rig);
	rig_insn(&rig, RIG_TEXT, INSN(ISA_SPIN));
	rig_chain(&rig, 1, 0);
	rig_dispatch(&rig, RIG_CHAIN, 1);
	await_core_busy();
	rig_w(&rig, 0xc04, 0x1014);
	expect(0x18, 0x80000000);
}
END_TEST

START_TEST(the_tick_counter_counts_with_bit_zero_clear)
{
	rig_w(&rig, 0x68, 0);
	uint32_t first = rig_r(&rig, 0x60);
	uint64_t until = emu_now_ns() + 1000000;

	while (emu_now_ns() < until)
		;
	uint32_t second = rig_r(&rig, 0x60);

	ck_assert_uint_ge(second - first, 1000000);
	rig_w(&rig, 0x68, 1); /* stopped, kept */
	uint32_t stopped = rig_r(&rig, 0x60);

	ck_assert_uint_ge(stopped, second);
	expect(0x60, stopped);
	rig_w(&rig, 0x68, 3); /* stopped, cleared */
	expect(0x60, 0);
	expect(0x64, 0);
}
END_TEST

START_TEST(one_cause_is_presented_at_a_time)
{
	rig_init(&rig);
	rig_end(&rig, RIG_TEXT);
	uint32_t first = rig_init_tcb(&rig, RIG_CHAIN, RIG_CHAIN + 128);
	uint32_t a = rig_group(&rig, first, 1, RIG_TEXT, 0, ZY3_INTR_CORE, first + 128);
	uint32_t b = rig_group(&rig, a + 128, 1, RIG_TEXT, ZY3_TCB_DEP_PREVIOUS, ZY3_INTR_CORE, 0);

	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_await_groups(&rig, 2);
	expect(0x824, a);
	rig_w(&rig, 0x804, 0x3c); /* other causes: not this one */
	expect(0x824, a);
	ck_assert_uint_eq(rig_wait(&rig) & 0xfff, 0x201);
	rig_w(&rig, 0x804, 1);
	ck_assert_uint_eq(rig_wait(&rig) & 0xfff, 0x201); /* a new edge for the next cause */
	expect(0x824, b);
	ck_assert_int_eq(atomic_load(&rig.level), 1);
	rig_w(&rig, 0x804, 1);
	rig_expect_silence(&rig);
}
END_TEST

START_TEST(masking_lowers_the_line_and_unmasking_raises_it_again)
{
	rig_init(&rig);
	rig_end(&rig, RIG_TEXT);
	rig_chain(&rig, 1, ZY3_INTR_CORE);
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_wait(&rig);
	rig_w(&rig, 0x808, 0);
	ck_assert_int_eq(atomic_load(&rig.level), 0);
	rig_w(&rig, 0x808, 0x63d);
	ck_assert_int_eq(atomic_load(&rig.level), 1);
	ck_assert_uint_eq(rig_wait(&rig) & 0xfff, 0x201);
	rig_w(&rig, 0x804, 1);
	rig_expect_silence(&rig);
}
END_TEST

START_TEST(a_cause_that_is_not_enabled_shows_in_status_only)
{
	rig_init(&rig);
	rig_w(&rig, 0x808, 0);
	rig_end(&rig, RIG_TEXT);
	rig_chain(&rig, 1, ZY3_INTR_CORE);
	rig_dispatch(&rig, RIG_CHAIN, 1);
	uint64_t until = emu_now_ns() + RIG_WAIT_MS * 1000000ull;
	while (!(rig_r(&rig, 0x804) & 1))
		ck_assert_uint_lt(emu_now_ns(), until);
	rig_expect_silence(&rig);
	rig_w(&rig, 0x804, 1);
	expect(0x804, 0);
}
END_TEST

START_TEST(the_model_follows_its_options)
{
	const struct device_options options = {.cores = 4, .threads = 1, .gm_mib = 16};

	rig_close(&rig);
	rig_open_with(&rig, &options);
	expect(0xc00, 0x1414);
	rig_w(&rig, 0x1f00, 0x1000);
	expect(0x2070, 0x00050000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("regs");
	TCase *traces = tcase_create("traces"), *rules = tcase_create("rules");

	tcase_add_checked_fixture(traces, setup, teardown);
	tcase_add_test(traces, trace_of_the_probe);
	tcase_add_test(traces, traces_of_first_job_completion_and_linked_second_job);
	tcase_add_test(traces, trace_of_the_fast_list);
	tcase_add_test(traces, trace_of_destroying_a_pool);
	suite_add_tcase(suite, traces);
	tcase_add_checked_fixture(rules, setup, teardown);
	tcase_set_timeout(rules, 30);
	tcase_add_test(rules, unlisted_offsets_read_zero_and_ignore_writes);
	tcase_add_test(rules, soft_reset_returns_to_the_reset_state);
	tcase_add_test(rules, create_on_an_existing_pool_fails_until_software_clears_the_bit);
	tcase_add_loop_test(rules, commands_without_a_pool_fail, 0, 9);
	tcase_add_test(rules, a_head_of_zero_is_refused);
	tcase_add_test(rules, destroy_fails_while_tcbs_execute_and_works_after_an_abort);
	tcase_add_test(rules, a_ninth_waiting_head_finds_the_pool_full);
	tcase_add_test(rules, the_debug_window_shows_idleness_only_while_selected);
	tcase_add_test(rules, groups_wait_until_a_core_is_enabled);
	tcase_add_test(rules, switching_cores_off_under_a_group_sets_the_failure_bit);
	tcase_add_test(rules, the_tick_counter_counts_with_bit_zero_clear);
	tcase_add_test(rules, one_cause_is_presented_at_a_time);
	tcase_add_test(rules, masking_lowers_the_line_and_unmasking_raises_it_again);
	tcase_add_test(rules, a_cause_that_is_not_enabled_shows_in_status_only);
	tcase_add_test(rules, the_model_follows_its_options);
	suite_add_tcase(suite, rules);
	return suite_main(suite);
}
