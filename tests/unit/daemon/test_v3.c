/* SPDX-License-Identifier: Apache-2.0 */
/* The V3 driver's commands against scripted registers: detection, initialisation, pool, doorbell, reset. */
#include "tests/unit/daemon/v3_fake.h"

/* ------------------------------------------------------------------ detection */

START_TEST(probe_follows_the_reference_trace)
{
	struct fake fake = fake_device(PROBE);
	struct npu_device *npu = detect(&fake, NULL);

	fake_done(&fake);
	ck_assert_int_eq(npu->identity.generation, NPU_GEN_V3);
	ck_assert_uint_eq(npu->identity.revision_register, 0x10000);
	ck_assert_uint_eq(npu->identity.isa, 5);
	ck_assert_uint_eq(npu->identity.config, 1204);
	ck_assert_uint_eq(npu->identity.clusters, 1);
	ck_assert_uint_eq(npu->identity.cores, 3);
	ck_assert_uint_eq(npu->identity.tecs, 4);
	ck_assert_uint_eq(npu->identity.partitions, 1);
	ck_assert_uint_eq(npu->identity.gm_bytes, 4u << 20);
	ck_assert_str_eq(npu->identity.name, "X2_1204MP3");
	ck_assert_uint_eq(npu->rungs, 0x7);
	fake.script = INITIALISE IDLE TICKS_ON;
	ck_assert_int_eq(npu->ops->init(npu), 0);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(init_again_masks_and_resets_first)
{
	struct fake fake;
	struct npu_device *npu = running(&fake, "W808=0 W20=1 R20=2 " INITIALISE IDLE TICKS_ON CREATE TEC_ON);

	ck_assert_int_eq(npu->ops->init(npu), 0);
	ck_assert_int_eq(npu->ops->pool_create(npu), 0); /* the reset took the old pool */
	fake_done(&fake);
	/* after a soft reset of the caller's, once is enough */
	fake.script = "W20=1 R20=2 " INITIALISE IDLE TICKS_ON;
	ck_assert_int_eq(npu->ops->soft_reset(npu), 0);
	ck_assert_int_eq(npu->ops->init(npu), 0);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(both_revisions_of_x2_are_known)
{
	struct fake fake = fake_device("R50=10003 R50=10003 W20=1 R20=2 R14=1020000 RC00=1112 RC00=1112 W1F00=1000 "
				       "R2070=ABC0ABCD W1F00=0");
	struct npu_device *npu = detect(&fake, NULL);

	fake_done(&fake);
	ck_assert_str_eq(npu->identity.name, "X2_1204MP1");
	ck_assert_uint_eq(npu->identity.tecs, 2);
	ck_assert_uint_eq(npu->identity.partitions, 2);
	ck_assert_uint_eq(npu->identity.gm_bytes, 512u << 10);
	npu_free(npu);
}
END_TEST

static const struct {
	const char *script;
	int error;
	const char *why;
} refusals[] = {
    {"R50=0", -ENOTSUP, "Z1 (V1"},
    {"R50=300", -ENOTSUP, "X1 (V2"},
    {"R50=10210", -ENOTSUP, "X3P (V3_2"},
    {"R50=10220", -ENOTSUP, "X3S (V3_2"},
    {"R50=10001", -ENOTSUP, "00010001"},
    {"R50=FFFFFFFF", -ENOTSUP, "powered off"},
    {"R50=10000 R50=FFFFFFFF", -ENODEV, "revision"},
    {"R50=10000 R50=10000 W20=1 R20=FFFFFFFF", -ENODEV, "soft reset"},
    {"R50=10000 R50=10000 W20=1 R20=0 R20=1 R20=1 R20=1 R20=1 R20=1 R20=3 R20=6 R20=0 R20=1", -EIO, "soft reset"},
    {"R50=10000 R50=10000 W20=1 R20=1 R20=2 R14=0", -ENOTSUP, "command pool"},
    {"R50=10000 R50=10000 W20=1 R20=2 R14=10000 RC00=0314", -ENOTSUP, "not present"},
    {"R50=10000 R50=10000 W20=1 R20=2 R14=10000 RC00=1014 RC00=1014", -ENOTSUP, "0 cores"},
    {"R50=10000 R50=10000 W20=1 R20=2 R14=10000 RC00=1310 RC00=1310", -ENOTSUP, "0 TECs"},
    {"R50=10000 R50=10000 W20=1 R20=2 R14=10000 RC00=1314 RC00=1314 W1F00=1000 R2070=F0000 W1F00=0", -ENOTSUP,
     "size code 15"},
    {"R50=10000 R50=10000 W20=1 R20=2 R14=FFFFFFFF", -ENODEV, "build"},
};

START_TEST(what_is_not_a_working_x2_is_refused_with_a_reason)
{
	struct fake fake = fake_device(refusals[_i].script);
	struct npu_device *npu = NULL;
	char why[256] = "";

	ck_assert_int_eq(npu_detect(&fake.base, NULL, &npu, why, sizeof(why)), refusals[_i].error);
	ck_assert_ptr_null(npu);
	ck_assert_msg(strstr(why, refusals[_i].why) != NULL, "'%s' does not mention '%s'", why, refusals[_i].why);
	fake_done(&fake);
}
END_TEST

START_TEST(a_register_region_that_is_too_small_is_refused)
{
	struct fake fake = fake_device("R50=10000");
	struct npu_device *npu = NULL;
	char why[256] = "";

	fake.base.mmio_bytes = 0x3000;
	ck_assert_int_eq(npu_detect(&fake.base, NULL, &npu, why, sizeof(why)), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(why, "12848"));
	fake_done(&fake);
	fake.base.mmio_bytes = 0x40;
	ck_assert_int_eq(npu_detect(&fake.base, NULL, &npu, why, sizeof(why)), -ENOTSUP);
	fake_done(&fake);
}
END_TEST

START_TEST(a_device_that_is_busy_after_reset_is_masked_and_refused)
{
	struct fake fake =
	    fake_device(PROBE INITIALISE "R18=0 W1F00=1000 R2004=60 R3004=0 W1F00=1001 R3004=10 W1F00=1002 R3004=10 "
					 "W1F00=0 W808=0");
	struct npu_device *npu = detect(&fake, NULL);

	ck_assert_int_eq(npu->ops->init(npu), -EIO);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

/* ------------------------------------------------------------------ pool and doorbell */

START_TEST(first_job_follows_the_reference_trace)
{
	struct fake fake = fake_device(PROBE INITIALISE IDLE TICKS_ON);
	struct npu_device *npu = detect(&fake, NULL);

	ck_assert_int_eq(npu->ops->init(npu), 0);
	fake.script = "R804=40 W0=1001 R18=0 R804=0 " TEC_ON "W8=1 WC=23456000 W4=1 W0=4 R18=0";
	ck_assert_int_eq(npu->ops->pool_create(npu), 0);
	ck_assert_int_eq(npu->ops->dispatch(npu, (iova_t){0x123456000}, true, 1), 0);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(a_job_for_one_core_is_dispatched_with_its_index)
{
	struct fake fake;
	struct npu_device *npu = running(&fake, "W8=1 WC=23456000 W4=9 W0=2000005 R18=0");

	ck_assert_int_eq(npu->ops->dispatch_bound(npu, (iova_t){0x123456000}, 2, 9), 0);
	ck_assert_int_eq(npu->ops->dispatch_bound(npu, (iova_t){0x123456000}, 3, 9), -EINVAL); /* three cores */
	ck_assert_int_eq(npu->ops->dispatch_bound(npu, (iova_t){0x123456080}, 0, 9), -EINVAL);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(linked_job_follows_the_reference_trace)
{
	struct fake fake;
	struct npu_device *npu = running(&fake, "W4=2 W0=4 R18=0");

	ck_assert_int_eq(npu->ops->dispatch(npu, (iova_t){0x123456000}, false, 2), 0);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(a_failed_create_is_retried_once)
{
	struct fake fake = fake_device(PROBE INITIALISE IDLE TICKS_ON);
	struct npu_device *npu = detect(&fake, NULL);

	ck_assert_int_eq(npu->ops->init(npu), 0);
	fake.script = "R804=40 W0=1001 R18=80000001 W18=1 W8=0 WC=0 W4=0 W0=2 R18=0 W0=1001 R18=0 R804=0 " TEC_ON;
	ck_assert_int_eq(npu->ops->pool_create(npu), 0);
	fake_done(&fake);
	npu_free(npu);
	fake = fake_device(PROBE INITIALISE IDLE TICKS_ON);
	npu = detect(&fake, NULL);
	ck_assert_int_eq(npu->ops->init(npu), 0);
	fake.script = "R804=40 W0=1001 R18=80000000 W18=0 W8=0 WC=0 W4=0 W0=2 R18=80000000 W18=0 "
		      "W0=1001 R18=80000000 W18=0";
	ck_assert_int_eq(npu->ops->pool_create(npu), -EIO);
	fake_done(&fake);
	fake.script = "R804=40 W0=1001 R18=0 R804=40"; /* no failure, no pool either */
	ck_assert_int_eq(npu->ops->pool_create(npu), -EIO);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(a_stale_pool_is_destroyed_and_never_adopted)
{
	struct fake fake = fake_device(PROBE INITIALISE IDLE TICKS_ON);
	struct npu_device *npu = detect(&fake, NULL);

	ck_assert_int_eq(npu->ops->init(npu), 0);
	fake.script = "R804=0 W8=0 WC=0 W4=0 W0=2 R18=0 W0=1001 R18=0 R804=0 " TEC_ON;
	ck_assert_int_eq(npu->ops->pool_create(npu), 0);
	ck_assert_int_eq(npu->ops->pool_create(npu), -EALREADY);
	fake_done(&fake);
	npu_free(npu);
	/* where STATUS means something else, the quirk skips that */
	fake = fake_device(PROBE INITIALISE IDLE TICKS_ON);
	npu = detect(&fake, &(struct npu_quirks){.create_always = true});
	ck_assert_int_eq(npu->ops->init(npu), 0);
	fake.script = "R804=0 W0=1001 R18=0 R804=0 " TEC_ON;
	ck_assert_int_eq(npu->ops->pool_create(npu), 0);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(a_failed_dispatch_clears_the_failure_bit)
{
	struct fake fake;
	struct npu_device *npu = running(&fake, "W8=0 WC=1000 W4=7 W0=4 R18=80000003 W18=3 "
						"W4=8 W0=4 R18=80000000 W18=0");

	ck_assert_int_eq(npu->ops->dispatch(npu, (iova_t){0x1000}, true, 7), -EIO);
	ck_assert_int_eq(npu->ops->dispatch(npu, (iova_t){0x1000}, false, 8), -EIO); /* the pool is gone, say */
	ck_assert_int_eq(npu->ops->dispatch(npu, (iova_t){0x1080}, true, 7), -EINVAL);
	ck_assert_int_eq(npu->ops->dispatch(npu, (iova_t){0x100000000}, true, 7), -EINVAL);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(no_dispatch_without_a_pool)
{
	struct fake fake = fake_device(PROBE);
	struct npu_device *npu = detect(&fake, NULL);

	ck_assert_int_eq(npu->ops->dispatch(npu, (iova_t){0x1000}, true, 1), -EINVAL);
	ck_assert_int_eq(npu->ops->pool_destroy(npu), 0); /* nothing to do */
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(destroy_follows_the_sequence_and_reports_busy)
{
	struct fake fake;
	struct npu_device *npu = running(&fake, "W8=0 WC=0 W4=0 W0=2 R18=80000000 W18=0 "
						"W8=0 WC=0 W4=0 W0=2 R18=0 W808=63D");

	ck_assert_int_eq(npu->ops->pool_destroy(npu), -EBUSY);
	ck_assert_int_eq(npu->ops->pool_destroy(npu), 0);
	ck_assert_int_eq(npu->ops->pool_destroy(npu), 0);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(abort_leaves_what_ended_before_it_to_be_collected)
{
	struct fake fake;
	struct npu_event event[NPU_MAX_EVENTS];
	struct npu_device *npu = running(&fake, "W0=3 R18=0 "
						"W0=3 R18=80000000 W18=0 "
						"R80C=201 R824=80 R60=0 R64=0 W804=1 R80C=0");

	ck_assert_int_eq(npu->ops->pool_abort(npu), 0);
	ck_assert_int_eq(npu->ops->pool_abort(npu), -EIO);
	ck_assert_int_eq(npu->ops->irq_collect(npu, event), 1);
	ck_assert_int_eq(event[0].kind, NPU_EVENT_DONE);
	ck_assert_uint_eq(event[0].tcb_pointer, 0x80);
	ck_assert_int_eq(npu->ops->irq_collect(npu, event), 0);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(abort_releases_a_signal_that_was_told)
{
	struct fake fake;
	struct npu_event event[NPU_MAX_EVENTS];
	struct npu_device *npu = running(&fake, "R80C=120 R824=4480 R820=20000005 R60=0 R64=0 "
						"W0=3 R18=0 W804=20 "
						"R80C=201 R824=80 R60=0 R64=0 W804=1 R80C=0");

	ck_assert_int_eq(npu->ops->irq_collect(npu, event), 1);
	ck_assert_int_eq(event[0].kind, NPU_EVENT_SIGNAL);
	ck_assert_int_eq(npu->ops->pool_abort(npu), 0);
	/* it is not told again, and what came behind it is */
	ck_assert_int_eq(npu->ops->irq_collect(npu, event), 1);
	ck_assert_int_eq(event[0].kind, NPU_EVENT_DONE);
	ck_assert_int_eq(npu->ops->irq_collect(npu, event), 0);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(quiesce_masks_and_leaves_no_pool)
{
	struct fake fake;
	struct npu_device *npu = running(&fake, "W808=0 W8=0 WC=0 W4=0 W0=2 R18=0 W68=3 W808=0 W68=3");

	ck_assert_int_eq(npu->ops->quiesce(npu), 0);
	ck_assert_int_eq(npu->ops->quiesce(npu), 0);
	fake_done(&fake);
	npu_free(npu);
	npu = running(&fake, "W808=0 W8=0 WC=0 W4=0 W0=2 R18=80000000 W18=0 W0=3 R18=0 "
			     "W8=0 WC=0 W4=0 W0=2 R18=0 W68=3");
	ck_assert_int_eq(npu->ops->quiesce(npu), 0);
	fake_done(&fake);
	npu_free(npu);
	npu = running(&fake, "W808=0 W8=0 WC=0 W4=0 W0=2 R18=80000000 W18=0 W0=3 R18=80000000 W18=0 "
			     "W20=1 R20=2 W68=3");
	ck_assert_int_eq(npu->ops->quiesce(npu), 0);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(idle_needs_queue_cluster_bus_and_every_core)
{
	static const struct {
		const char *script;
		int idle;
	} cases[] = {
	    {IDLE, 1},
	    {"R18=1 W1F00=1000 R2004=60 R3004=10 W1F00=1001 R3004=10 W1F00=1002 R3004=10 W1F00=0", 0},
	    {"R18=0 W1F00=1000 R2004=20 R3004=10 W1F00=1001 R3004=10 W1F00=1002 R3004=10 W1F00=0", 0},
	    {"R18=0 W1F00=1000 R2004=40 R3004=10 W1F00=1001 R3004=10 W1F00=1002 R3004=10 W1F00=0", 0},
	    {"R18=0 W1F00=1000 R2004=60 R3004=0 W1F00=1001 R3004=10 W1F00=1002 R3004=10 W1F00=0", 0},
	    {"R18=0 W1F00=1000 R2004=60 R3004=10 W1F00=1001 R3004=10 W1F00=1002 R3004=EF W1F00=0", 0},
	    {"R18=FFFFFFFF", -ENODEV},
	    {"R18=0 W1F00=1000 R2004=FFFFFFFF", -ENODEV},
	};
	struct fake fake;
	struct npu_device *npu = running(&fake, "");

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		fake.script = cases[i].script;
		ck_assert_int_eq(npu->ops->is_idle(npu), cases[i].idle);
		fake_done(&fake);
	}
	npu_free(npu);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("v3");
	TCase *detection = tcase_create("detection"), *pool = tcase_create("pool");

	tcase_add_test(detection, probe_follows_the_reference_trace);
	tcase_add_test(detection, init_again_masks_and_resets_first);
	tcase_add_test(detection, both_revisions_of_x2_are_known);
	tcase_add_loop_test(detection, what_is_not_a_working_x2_is_refused_with_a_reason, 0,
			    sizeof(refusals) / sizeof(*refusals));
	tcase_add_test(detection, a_register_region_that_is_too_small_is_refused);
	tcase_add_test(detection, a_device_that_is_busy_after_reset_is_masked_and_refused);
	suite_add_tcase(suite, detection);
	tcase_add_test(pool, first_job_follows_the_reference_trace);
	tcase_add_test(pool, linked_job_follows_the_reference_trace);
	tcase_add_test(pool, a_job_for_one_core_is_dispatched_with_its_index);
	tcase_add_test(pool, a_failed_create_is_retried_once);
	tcase_add_test(pool, a_stale_pool_is_destroyed_and_never_adopted);
	tcase_add_test(pool, a_failed_dispatch_clears_the_failure_bit);
	tcase_add_test(pool, no_dispatch_without_a_pool);
	tcase_add_test(pool, destroy_follows_the_sequence_and_reports_busy);
	tcase_add_test(pool, abort_leaves_what_ended_before_it_to_be_collected);
	tcase_add_test(pool, abort_releases_a_signal_that_was_told);
	tcase_add_test(pool, quiesce_masks_and_leaves_no_pool);
	tcase_add_test(pool, idle_needs_queue_cluster_bus_and_every_core);
	suite_add_tcase(suite, pool);
	return suite_main(suite);
}
