/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scripted registers. A script is the expected order of accesses, in the notation of the hardware manual's reference
 * traces: R18=80000000 is a read of offset 0x18 that returns 0x80000000, W0=1001 a write.
 */
#ifndef NPUD_TESTS_V3_FAKE_H
#define NPUD_TESTS_V3_FAKE_H

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

static inline void fake_wrong(struct fake *fake, const char *what, uint32_t offset, uint32_t value)
{
	if (!fake->wrong[0])
		snprintf(fake->wrong, sizeof(fake->wrong), "%s%X=%X, expected %.60s", what, offset, value,
			 fake->script[0] ? fake->script : "nothing");
}

/* Takes the next word of the script if it is this access. */
static inline bool fake_step(struct fake *fake, char what, uint32_t offset, uint32_t *value)
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

static inline int fake_read(struct vfio_device *device, uint32_t offset, uint32_t *value)
{
	struct fake *fake = (struct fake *)device;

	if (fake->gone || fake->wrong[0])
		return -ENODEV;
	if (fake_step(fake, 'R', offset, value))
		return 0;
	fake_wrong(fake, "R", offset, 0);
	return -ENODEV;
}

static inline int fake_write(struct vfio_device *device, uint32_t offset, uint32_t value)
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

static inline int fake_unmask(struct vfio_device *device)
{
	((struct fake *)device)->unmasked++;
	return 0;
}

static const struct vfio_ops fake_ops = {.reg_read = fake_read, .reg_write = fake_write, .irq_unmask = fake_unmask};

static inline struct fake fake_device(const char *script)
{
	return (struct fake){.base = {.ops = &fake_ops, .mmio_bytes = 0x10000}, .script = script};
}

static inline void fake_done(const struct fake *fake)
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

static inline struct npu_device *detect(struct fake *fake, const struct npu_quirks *quirks)
{
	struct npu_device *npu = NULL;
	char why[256] = "";

	ck_assert_msg(npu_detect(&fake->base, quirks, &npu, why, sizeof(why)) == 0, "%s (%s)", why, fake->wrong);
	return npu;
}

/* A device with a pool, whose next accesses are `script`. */
static inline struct npu_device *running(struct fake *fake, const char *script)
{
	*fake = fake_device(PROBE INITIALISE IDLE TICKS_ON CREATE TEC_ON);
	struct npu_device *npu = detect(fake, NULL);
	ck_assert_int_eq(npu->ops->init(npu), 0);
	ck_assert_int_eq(npu->ops->pool_create(npu), 0);
	fake_done(fake);
	fake->script = script;
	return npu;
}

#endif
