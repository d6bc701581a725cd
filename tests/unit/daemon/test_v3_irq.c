/* SPDX-License-Identifier: Apache-2.0 */
/* The V3 driver's interrupt decoding against scripted registers: what each cause means and how it is acknowledged. */
#include "tests/unit/daemon/v3_fake.h"

static int collect(const char *script, struct npu_event events[NPU_MAX_EVENTS])
{
	struct fake fake;
	struct npu_device *npu = running(&fake, script);
	int n = npu->ops->irq_collect(npu, events);

	fake_done(&fake);
	npu_free(npu);
	return n;
}

START_TEST(a_completion_reads_what_it_needs_and_no_more)
{
	struct npu_event event[NPU_MAX_EVENTS];

	ck_assert_int_eq(collect("R80C=00000201 R824=4480 R60=70000000 R64=5 W804=1", event), 1);
	ck_assert_int_eq(event[0].kind, NPU_EVENT_DONE);
	ck_assert_uint_eq(event[0].tcb_pointer, 0x4480);
	ck_assert_uint_eq(event[0].status, 0x201);
	ck_assert_uint_eq(event[0].signal_flags, 0);
	ck_assert_uint_eq(event[0].ticks, 0x570000000);
}
END_TEST

/* What the counter shows to reads one after the other, and what it stood at. */
static const struct {
	const char *name;
	const char *reads;
	uint64_t ticks;
} counters[] = {
    {"has just begun a turn: the high half read behind belongs to it", "R60=3 R64=5", 0x500000003},
    {"is near the end of a turn", "R60=90000000 R64=5 R64=5 R60=90000001", 0x590000001},
    {"wraps between low and high", "R60=FFFFFFFF R64=6 R64=6 R60=2 R60=3 R64=6", 0x600000003},
    {"wraps where the high half goes first", "R60=FFFFFFFE R64=5 R64=5 R60=0 R60=1 R64=6", 0x600000001},
};

START_TEST(a_tick_carry_between_two_reads_is_seen)
{
	struct npu_event event[NPU_MAX_EVENTS];
	char script[128];

	(void)snprintf(script, sizeof(script), "R80C=201 R824=0 %s W804=1", counters[_i].reads);
	ck_assert_int_eq(collect(script, event), 1);
	ck_assert_msg(event[0].ticks == counters[_i].ticks, "%s: %llx", counters[_i].name,
		      (unsigned long long)event[0].ticks);
}
END_TEST

START_TEST(ticks_take_two_reads_in_either_half_of_a_turn)
{
	struct fake fake;
	struct npu_event event[NPU_MAX_EVENTS];
	struct npu_device *npu = running(&fake, "R80C=201 R824=0 R60=80000000 R64=5 R64=5 R60=80000001 W804=1 "
						"R80C=201 R824=0 R64=5 R60=90000000 W804=1 "
						"R80C=201 R824=0 R64=5 R60=2 R60=3 R64=6 W804=1 "
						"R80C=201 R824=0 R60=4 R64=6 W804=1");
	static const uint64_t ticks[] = {0x580000001, 0x590000000, 0x600000003, 0x600000004};

	for (size_t i = 0; i < sizeof(ticks) / sizeof(*ticks); i++) {
		ck_assert_int_eq(npu->ops->irq_collect(npu, event), 1);
		ck_assert_uint_eq(event[0].ticks, ticks[i]);
	}
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

static const struct {
	const char *name;
	const char *script;
	int kind;
} decodes[] = {
#define TICKS "R60=0 R64=0 "
#define BODY "R824=4480 " TICKS
#define BAD "R824=4480 R820=0 " TICKS "R814=80000001 W814=0 "
#define SIGNAL(flags) "R824=4480 R820=" flags " " TICKS
    {"core done", "R80C=201 " BODY "W804=1", NPU_EVENT_DONE},
    {"cluster done", "R80C=401 " BODY "W804=1", NPU_EVENT_DONE},
    {"fault with done is a fault", "R80C=209 " BAD "W804=8 W804=1", NPU_EVENT_FAULT},
    {"a bare fault leaves a done of somebody else alone", "R80C=208 " BAD "W804=8", NPU_EVENT_FAULT},
    {"fault at TEC level counts", "R80C=108 " BAD "W804=8", NPU_EVENT_FAULT},
    {"exception", "R80C=204 " BAD "W804=4", NPU_EVENT_EXCEPTION},
    {"exception with done is an exception", "R80C=205 " BAD "W804=1", NPU_EVENT_EXCEPTION},
    {"error", "R80C=810 " BAD "W804=10", NPU_EVENT_ERROR},
    {"error and fault is an error", "R80C=818 " BAD "W804=8", NPU_EVENT_ERROR},
    {"a type without level", "R80C=1 " BODY "W804=1 R80C=0", 0},
    {"TEC done is not a completion", "R80C=101 " BODY "W804=1 R80C=0", 0},
    {"TEC done before a completion", "R80C=101 " BODY "W804=1 R80C=201 " BODY "W804=1", NPU_EVENT_DONE},
    {"exception signal", "R80C=220 " SIGNAL("40000107") "W804=20", NPU_EVENT_EXCEPTION},
    {"hardware exception signal", "R80C=220 " SIGNAL("80000001") "W804=20", NPU_EVENT_EXCEPTION},
    {"spurious", "R80C=0", 0},
    {"only ids, no cause", "R80C=FFFF0000", 0},
    {"all ones: nobody there", "R80C=FFFFFFFF", -ENODEV},
};

START_TEST(every_cause_is_decoded_and_acknowledged_once)
{
	struct npu_event event[NPU_MAX_EVENTS];
	int n = collect(decodes[_i].script, event), kind = decodes[_i].kind;

	ck_assert_msg(n == (kind > 0 ? 1 : kind), "%s: %d events", decodes[_i].name, n);
	if (kind > 0) {
		ck_assert_msg((int)event[0].kind == kind, "%s: kind %d", decodes[_i].name, event[0].kind);
		ck_assert_uint_eq(event[0].tcb_pointer, 0x4480);
	}
}
END_TEST

START_TEST(a_signal_holds_its_emitter_until_the_payload_is_consumed)
{
	struct fake fake;
	struct npu_device *npu = running(&fake, "R80C=120 " SIGNAL("20000005"));
	struct npu_event event[NPU_MAX_EVENTS];

	ck_assert_int_eq(npu->ops->irq_ack_signal(npu), -EINVAL); /* none is held */
	ck_assert_int_eq(npu->ops->irq_collect(npu, event), 1);
	ck_assert_int_eq(event[0].kind, NPU_EVENT_SIGNAL);
	ck_assert_uint_eq(event[0].signal_flags, 0x20000005);
	fake_done(&fake); /* not acknowledged */
	ck_assert_int_eq(npu->ops->irq_collect(npu, event), 0); /* and not reported twice */
	fake.script = "W804=20 R80C=201 " BODY "W804=1";
	ck_assert_int_eq(npu->ops->irq_ack_signal(npu), 0);
	ck_assert_int_eq(npu->ops->irq_collect(npu, event), 1);
	fake_done(&fake);
	ck_assert_int_eq(npu->ops->irq_finish(npu), 0);
	ck_assert_int_eq(fake.unmasked, 1);
	npu_free(npu);
}
END_TEST

START_TEST(a_signal_together_with_a_completion_gives_both)
{
	struct fake fake;
	struct npu_device *npu = running(&fake, "R80C=321 " SIGNAL("20000005") "W804=1");
	struct npu_event event[NPU_MAX_EVENTS];

	ck_assert_int_eq(npu->ops->irq_collect(npu, event), 2);
	ck_assert_int_eq(event[0].kind, NPU_EVENT_DONE);
	ck_assert_int_eq(event[1].kind, NPU_EVENT_SIGNAL);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(a_flood_of_task_interrupts_does_not_hold_the_loop)
{
	static char script[8192];
	struct npu_event event[NPU_MAX_EVENTS];
	size_t at = 0;

	for (int i = 0; i < 64; i++)
		at += (size_t)snprintf(script + at, sizeof(script) - at, "R80C=101 " BODY "W804=1 ");
	ck_assert_int_eq(collect(script, event), 0);
}
END_TEST

START_TEST(a_device_that_is_gone_stays_gone)
{
	struct npu_event event[NPU_MAX_EVENTS];
	struct fake fake;
	struct npu_device *npu = running(&fake, "");

	fake.gone = true;
	ck_assert_int_eq(npu->ops->irq_collect(npu, event), -ENODEV);
	ck_assert_int_eq(npu->ops->dispatch(npu, (iova_t){0x1000}, true, 1), -ENODEV);
	ck_assert_int_eq(npu->ops->is_idle(npu), -ENODEV);
	ck_assert_int_eq(npu->ops->pool_abort(npu), -ENODEV);
	ck_assert_int_eq(npu->ops->pool_destroy(npu), -ENODEV);
	ck_assert_int_eq(npu->ops->quiesce(npu), -ENODEV);
	ck_assert_int_eq(npu->ops->soft_reset(npu), -ENODEV);
	ck_assert_int_eq(npu->ops->init(npu), -ENODEV);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("v3_irq");
	TCase *irq = tcase_create("interrupts");

	tcase_add_test(irq, a_completion_reads_what_it_needs_and_no_more);
	tcase_add_loop_test(irq, a_tick_carry_between_two_reads_is_seen, 0, sizeof(counters) / sizeof(*counters));
	tcase_add_test(irq, ticks_take_two_reads_in_either_half_of_a_turn);
	tcase_add_loop_test(irq, every_cause_is_decoded_and_acknowledged_once, 0, sizeof(decodes) / sizeof(*decodes));
	tcase_add_test(irq, a_signal_holds_its_emitter_until_the_payload_is_consumed);
	tcase_add_test(irq, a_signal_together_with_a_completion_gives_both);
	tcase_add_test(irq, a_flood_of_task_interrupts_does_not_hold_the_loop);
	tcase_add_test(irq, a_device_that_is_gone_stays_gone);
	suite_add_tcase(suite, irq);
	return suite_main(suite);
}
