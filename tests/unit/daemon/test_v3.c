/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The V3 driver against scripted registers. A script is the expected order of accesses, in the notation of the hardware
 * manual's reference traces: R18=80000000 is a read of offset 0x18 that returns 0x80000000, W0=1001 a write.
 */
#include <errno.h>
#include <string.h>

#include "daemon/npu/npu.h"
#include "proto/zhouyi_regs.h"
#include "tests/unit/suite.h"

struct fake {
	struct vfio_device base;
	const char *script; /* what is still expected */
	char wrong[160]; /* the first access that differs */
	bool gone;
	int unmasked;
};

static void fake_wrong(struct fake *fake, const char *what, uint32_t offset, uint32_t value)
{
	if (!fake->wrong[0])
		snprintf(fake->wrong, sizeof(fake->wrong), "%s%X=%X, expected %.60s", what, offset, value,
			 fake->script[0] ? fake->script : "nothing");
}

/* Takes the next word of the script if it is this access. */
static bool fake_step(struct fake *fake, char what, uint32_t offset, uint32_t *value)
{
	char *end, *at = (char *)(uintptr_t)fake->script;

	while (*at == ' ')
		at++;
	if (*at != what || strtoul(at + 1, &end, 16) != offset || *end != '=')
		return false;
	*value = (uint32_t)strtoul(end + 1, &end, 16);
	fake->script = end;
	while (*fake->script == ' ')
		fake->script++;
	return true;
}

static int fake_read(struct vfio_device *device, uint32_t offset, uint32_t *value)
{
	struct fake *fake = (struct fake *)device;

	if (fake->gone || fake->wrong[0])
		return -ENODEV;
	if (fake_step(fake, 'R', offset, value))
		return 0;
	fake_wrong(fake, "R", offset, 0);
	return -ENODEV;
}

static int fake_write(struct vfio_device *device, uint32_t offset, uint32_t value)
{
	struct fake *fake = (struct fake *)device;
	uint32_t want = 0;

	if (fake->gone || fake->wrong[0])
		return -ENODEV;
	if (!fake_step(fake, 'W', offset, &want) || want != value) {
		fake_wrong(fake, "W", offset, value);
		return -ENODEV;
	}
	return 0;
}

static int fake_unmask(struct vfio_device *device)
{
	((struct fake *)device)->unmasked++;
	return 0;
}

static const struct vfio_ops fake_ops = {.reg_read = fake_read, .reg_write = fake_write, .irq_unmask = fake_unmask};

static struct fake fake_device(const char *script)
{
	return (struct fake){.base = {.ops = &fake_ops, .mmio_bytes = 0x10000}, .script = script};
}

static void fake_done(const struct fake *fake)
{
	ck_assert_msg(fake->wrong[0] == '\0', "access %s", fake->wrong);
	ck_assert_msg(fake->script[0] == '\0', "not done: %s", fake->script);
}

/* The reference trace of the probe: one cluster, 3 cores, 1 AIFF, 4 TECs, GM 4 MiB. Detection, then initialisation. */
#define PROBE "R50=10000 R50=10000 W20=1 R20=2 R14=10000 RC00=1314 RC00=1314 W1F00=1000 R2070=30000 W1F00=0 "
#define INITIALISE "RC00=1314 WC04=1314 W800=0 W81C=1 W808=63D W68=3 "
#define IDLE "R18=0 W1F00=1000 R2004=60 R3004=10 W1F00=1001 R3004=10 W1F00=1002 R3004=10 W1F00=0 "
#define TICKS_ON "W68=0 "
#define CREATE "R804=40 W0=1001 R18=0 R804=0 "
#define TEC_ON "W808=73D "

static struct npu_device *detect(struct fake *fake, const struct npu_quirks *quirks)
{
	struct npu_device *npu = NULL;
	char why[256] = "";

	ck_assert_msg(npu_detect(&fake->base, quirks, &npu, why, sizeof(why)) == 0, "%s (%s)", why, fake->wrong);
	return npu;
}

/* A device with a pool, whose next accesses are `script`. */
static struct npu_device *running(struct fake *fake, const char *script)
{
	*fake = fake_device(PROBE INITIALISE IDLE TICKS_ON CREATE TEC_ON);
	struct npu_device *npu = detect(fake, NULL);
	ck_assert_int_eq(npu->ops->init(npu), 0);
	ck_assert_int_eq(npu->ops->pool_create(npu), 0);
	fake_done(fake);
	fake->script = script;
	return npu;
}

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
	ck_assert_uint_eq(npu->rungs, 0xf);
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

START_TEST(linked_job_follows_the_reference_trace)
{
	struct fake fake;
	struct npu_device *npu = running(&fake, "R804=0 R804=0 W4=2 W0=4 R18=0");

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
						"R804=0 R804=0 W4=8 W0=4 R18=80000000 W18=0 R804=40");

	ck_assert_int_eq(npu->ops->dispatch(npu, (iova_t){0x1000}, true, 7), -EIO);
	ck_assert_int_eq(npu->ops->dispatch(npu, (iova_t){0x1000}, false, 8), -EIO);
	ck_assert_int_eq(npu->ops->dispatch(npu, (iova_t){0x1000}, false, 9), -EIO); /* the pool is gone */
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

START_TEST(abort_forgets_what_was_pending)
{
	struct fake fake;
	struct npu_device *npu =
	    running(&fake, "W0=3 R18=0 R80C=0 "
			   "W0=3 R18=0 R80C=201 R810=0 R824=80 R820=0 R64=0 R60=90000000 W804=1 R80C=0 "
			   "W0=3 R18=80000000 W18=0");

	ck_assert_int_eq(npu->ops->pool_abort(npu), 0);
	ck_assert_int_eq(npu->ops->pool_abort(npu), 0);
	ck_assert_int_eq(npu->ops->pool_abort(npu), -EIO);
	fake_done(&fake);
	npu_free(npu);
}
END_TEST

START_TEST(abort_of_a_device_that_never_falls_silent_ends)
{
	static char script[8192];
	struct fake fake;
	size_t at = (size_t)snprintf(script, sizeof(script), "W0=3 R18=0 ");

	for (int i = 0; i < 64; i++)
		at += (size_t)snprintf(script + at, sizeof(script) - at,
				       "R80C=201 R810=0 R824=80 R820=0 R64=0 R60=90000000 W804=1 ");
	struct npu_device *npu = running(&fake, script);
	ck_assert_int_eq(npu->ops->pool_abort(npu), -EIO);
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

/* ------------------------------------------------------------------ interrupts */

static int collect(const char *script, struct npu_event events[NPU_MAX_EVENTS])
{
	struct fake fake;
	struct npu_device *npu = running(&fake, script);
	int n = npu->ops->irq_collect(npu, events);

	fake_done(&fake);
	npu_free(npu);
	return n;
}

START_TEST(completion_follows_the_reference_trace)
{
	struct npu_event event[NPU_MAX_EVENTS];

	ck_assert_int_eq(collect("R80C=00000201 R810=0 R824=4480 R820=0 R64=5 R60=90000000 W804=1", event), 1);
	ck_assert_int_eq(event[0].kind, NPU_EVENT_DONE);
	ck_assert_uint_eq(event[0].tcb_pointer, 0x4480);
	ck_assert_uint_eq(event[0].status, 0x201);
	ck_assert_uint_eq(event[0].ticks, 0x590000000);
}
END_TEST

START_TEST(a_tick_carry_between_the_two_reads_is_seen)
{
	struct npu_event event[NPU_MAX_EVENTS];

	/* the low half wrapped between the two reads */
	ck_assert_int_eq(collect("R80C=201 R810=0 R824=0 R820=0 R64=5 R60=3 R64=6 R60=4 W804=1", event), 1);
	ck_assert_uint_eq(event[0].ticks, 0x600000004);
	/* it is small, but did not wrap just now */
	ck_assert_int_eq(collect("R80C=201 R810=0 R824=0 R820=0 R64=5 R60=3 R64=5 W804=1", event), 1);
	ck_assert_uint_eq(event[0].ticks, 0x500000003);
}
END_TEST

static const struct {
	const char *name;
	const char *script;
	int kind;
} decodes[] = {
#define BODY "R810=0 R824=4480 R820=0 R64=0 R60=80000000 "
#define BAD "R814=80000001 W814=0 "
    {"core done", "R80C=201 " BODY "W804=1", NPU_EVENT_DONE},
    {"cluster done", "R80C=401 " BODY "W804=1", NPU_EVENT_DONE},
    {"fault with done is a fault", "R80C=209 " BODY BAD "W804=8 W804=1", NPU_EVENT_FAULT},
    {"a bare fault leaves a done of somebody else alone", "R80C=208 " BODY BAD "W804=8", NPU_EVENT_FAULT},
    {"fault at TEC level counts", "R80C=108 " BODY BAD "W804=8", NPU_EVENT_FAULT},
    {"exception", "R80C=204 " BODY BAD "W804=4", NPU_EVENT_EXCEPTION},
    {"exception with done is an exception", "R80C=205 " BODY BAD "W804=1", NPU_EVENT_EXCEPTION},
    {"error", "R80C=810 " BODY BAD "W804=10", NPU_EVENT_ERROR},
    {"error and fault is an error", "R80C=818 " BODY BAD "W804=8", NPU_EVENT_ERROR},
    {"a type without level", "R80C=1 " BODY "W804=1 R80C=0", 0},
    {"TEC done is not a completion", "R80C=101 " BODY "W804=1 R80C=0", 0},
    {"TEC done before a completion", "R80C=101 " BODY "W804=1 R80C=201 " BODY "W804=1", NPU_EVENT_DONE},
    {"exception signal", "R80C=220 R810=10001 R824=4480 R820=40000107 R64=0 R60=80000000 W804=20", NPU_EVENT_EXCEPTION},
    {"hardware exception signal", "R80C=220 R810=10001 R824=4480 R820=80000001 R64=0 R60=80000000 W804=20",
     NPU_EVENT_EXCEPTION},
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
	struct npu_device *npu = running(&fake, "R80C=120 R810=10001 R824=4480 R820=20000005 R64=0 R60=80000000");
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
	struct npu_device *npu =
	    running(&fake, "R80C=321 R810=10001 R824=4480 R820=20000005 R64=0 R60=80000000 W804=1");
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
	Suite *suite = suite_create("v3");
	TCase *detection = tcase_create("detection"), *pool = tcase_create("pool"), *irq = tcase_create("interrupts");

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
	tcase_add_test(pool, a_failed_create_is_retried_once);
	tcase_add_test(pool, a_stale_pool_is_destroyed_and_never_adopted);
	tcase_add_test(pool, a_failed_dispatch_clears_the_failure_bit);
	tcase_add_test(pool, no_dispatch_without_a_pool);
	tcase_add_test(pool, destroy_follows_the_sequence_and_reports_busy);
	tcase_add_test(pool, abort_forgets_what_was_pending);
	tcase_add_test(pool, abort_of_a_device_that_never_falls_silent_ends);
	tcase_add_test(pool, quiesce_masks_and_leaves_no_pool);
	tcase_add_test(pool, idle_needs_queue_cluster_bus_and_every_core);
	suite_add_tcase(suite, pool);
	tcase_add_test(irq, completion_follows_the_reference_trace);
	tcase_add_test(irq, a_tick_carry_between_the_two_reads_is_seen);
	tcase_add_loop_test(irq, every_cause_is_decoded_and_acknowledged_once, 0, sizeof(decodes) / sizeof(*decodes));
	tcase_add_test(irq, a_signal_holds_its_emitter_until_the_payload_is_consumed);
	tcase_add_test(irq, a_signal_together_with_a_completion_gives_both);
	tcase_add_test(irq, a_flood_of_task_interrupts_does_not_hold_the_loop);
	tcase_add_test(irq, a_device_that_is_gone_stays_gone);
	suite_add_tcase(suite, irq);
	return suite_main(suite);
}
