/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The V3 (X2) generation: reset, initialisation, command pool, doorbell. The order of register accesses is that of
 * docs/hardware/sequences.md. The sticky failure bit of the task manager is cleared after every failure; nothing here
 * polls without bound.
 */
#include "daemon/npu/v3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RESET_TRIES 10 /* of 50 us each */
#define X2_CONFIG 1204u

static void delay_us(long us)
{
	struct timespec left = {0, us * 1000};

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

int v3_read_live(struct v3 *v3, uint32_t offset, uint32_t *value)
{
	int rc = v3_read(v3, offset, value);

	return rc == 0 && *value == UINT32_MAX ? -ENODEV : rc;
}

/* Writes pairs of offset and value. */
static int write_all(struct v3 *v3, const uint32_t (*writes)[2], size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = v3_write(v3, writes[i][0], writes[i][1]);
	return rc;
}
#define WRITE_ALL(v3, ...)                                                                                             \
	write_all(v3, (const uint32_t[][2]){__VA_ARGS__},                                                              \
		  sizeof((const uint32_t[][2]){__VA_ARGS__}) / sizeof(uint32_t[2]))

/* The verdict on the last command: 0, or -EIO and the failure bit cleared. */
static int command_check(struct v3 *v3)
{
	uint32_t status;
	int rc = v3_read_live(v3, ZY3_TSM_STATUS, &status);

	if (rc || !(status & ZY3_TSM_FAILED))
		return rc;
	rc = v3_write(v3, ZY3_TSM_STATUS, status & ~ZY3_TSM_FAILED);
	return rc ? rc : -EIO;
}

static int command(struct v3 *v3, uint32_t operation)
{
	int rc = v3_write(v3, ZY3_CMD_HANDLE, operation | V3_POOL << ZY3_CMD_POOL_SHIFT);

	return rc ? rc : command_check(v3);
}

/* ------------------------------------------------------------------ reset and initialisation */

int v3_soft_reset(struct npu_device *npu)
{
	struct v3 *v3 = (struct v3 *)npu;
	uint32_t value = 0;
	int rc = v3_write(v3, ZY3_SOFT_RESET, ZY_SOFT_RESET_START);

	v3->pool = v3->ticking = v3->signal_held = v3->fresh = false;
	for (int i = 0; i < RESET_TRIES && rc == 0 && value != ZY_SOFT_RESET_DONE; i++) {
		delay_us(ZY_RESET_DELAY_US);
		rc = v3_read_live(v3, ZY3_SOFT_RESET, &value);
	}
	if (rc == 0 && value != ZY_SOFT_RESET_DONE)
		rc = -EIO;
	v3->fresh = rc == 0;
	return rc;
}

static int mask(struct v3 *v3)
{
	return v3_write(v3, ZY3_POOL(V3_POOL, ZY3_POOL_INTR_CTRL), 0);
}

/* Registers from their reset state to work; ends with the interrupts enabled. */
static int initialise(struct v3 *v3)
{
	uint32_t config;
	int rc = v3_read_live(v3, ZY3_CLUSTER(V3_CLUSTER, ZY3_CLUSTER_CONFIG), &config);

	if (rc)
		return rc;
	return WRITE_ALL(
	    v3, {ZY3_CLUSTER(V3_CLUSTER, ZY3_CLUSTER_CONTROL), ZY3_CLUSTER_ENABLE | (config & ZY3_CLUSTER_COUNTS_MASK)},
	    {ZY3_POOL(V3_POOL, ZY3_POOL_CONFIG), 0}, {ZY3_POOL(V3_POOL, ZY3_POOL_SECURE), ZY3_POOL_NON_SECURE},
	    {ZY3_POOL(V3_POOL, ZY3_POOL_INTR_CTRL), ZY3_INTR_CTRL_DEFAULT}, {ZY3_TICK_CTRL, ZY3_TICK_DISABLE});
}

static int v3_init(struct npu_device *npu)
{
	struct v3 *v3 = (struct v3 *)npu;
	int rc = 0;

	if (!v3->fresh) {
		rc = mask(v3);
		if (rc == 0)
			rc = v3_soft_reset(npu);
	}
	v3->fresh = false;
	if (rc == 0)
		rc = initialise(v3);
	if (rc == 0)
		rc = v3_is_idle(npu);
	if (rc == 0)
		rc = -EIO; /* busy right after a reset: nothing of this device can be relied on */
	if (rc > 0)
		rc = v3_write(v3, ZY3_TICK_CTRL, ZY3_TICK_ENABLE);
	v3->ticking = rc == 0;
	if (rc < 0 && rc != -ENODEV)
		(void)mask(v3);
	return rc;
}

/* ------------------------------------------------------------------ pool */

static int destroy_command(struct v3 *v3)
{
	int rc = WRITE_ALL(v3, {ZY3_CMD_ADDR_HIGH, 0}, {ZY3_CMD_ADDR_LOW, 0}, {ZY3_CMD_INFO, 0});

	return rc ? rc : command(v3, ZY3_OP_DESTROY);
}

static int pool_exists(struct v3 *v3)
{
	uint32_t status;
	int rc = v3_read_live(v3, ZY3_POOL(V3_POOL, ZY3_POOL_STATUS), &status);

	return rc ? rc : !(status & ZY3_STATUS_IDLE);
}

static int v3_pool_create(struct npu_device *npu)
{
	struct v3 *v3 = (struct v3 *)npu;
	const uint32_t create = ZY3_OP_CREATE | ZY3_CMD_MAP_ALL;
	int rc = v3->pool ? -EALREADY : pool_exists(v3);

	/* A pool that is not ours may still hold a chain of somebody else: never adopt it. */
	if (rc > 0 && !v3->quirks.create_always)
		rc = destroy_command(v3);
	if (rc < 0)
		return rc;
	rc = command(v3, create);
	if (rc == -EIO) {
		rc = destroy_command(v3);
		if (rc == 0 || rc == -EIO)
			rc = command(v3, create);
	}
	if (rc == 0)
		rc = pool_exists(v3);
	if (rc <= 0)
		return rc ? rc : -EIO;
	/* Print signals come at TEC level; TEC-done interrupts still need their bit in the TCB. */
	rc = v3_write(v3, ZY3_POOL(V3_POOL, ZY3_POOL_INTR_CTRL), ZY3_INTR_CTRL_WITH_TEC);
	v3->pool = rc == 0;
	return rc;
}

static int v3_pool_destroy(struct npu_device *npu)
{
	struct v3 *v3 = (struct v3 *)npu;

	if (!v3->pool)
		return 0;
	int rc = destroy_command(v3);
	if (rc)
		return rc == -EIO ? -EBUSY : rc;
	v3->pool = v3->signal_held = false;
	return v3_write(v3, ZY3_POOL(V3_POOL, ZY3_POOL_INTR_CTRL), ZY3_INTR_CTRL_DEFAULT);
}

static int v3_pool_abort(struct npu_device *npu)
{
	struct v3 *v3 = (struct v3 *)npu;
	int rc = command(v3, ZY3_OP_ABORT);

	if (rc)
		return rc;
	delay_us(ZY_RESET_DELAY_US);
	/* Its emitter is gone, its payload was told. What else is pending stays: a job may have ended until just now.
	 */
	return v3->signal_held ? v3_irq_ack_signal(npu) : 0;
}

static bool is_head(iova_t head)
{
	return head.v % 4096 == 0 && (uint32_t)head.v;
}

static int write_head(struct v3 *v3, iova_t head)
{
	return WRITE_ALL(v3, {ZY3_CMD_ADDR_HIGH, (uint32_t)(head.v >> 32)}, {ZY3_CMD_ADDR_LOW, (uint32_t)head.v});
}

static int v3_dispatch(struct npu_device *npu, iova_t head, bool first, uint16_t tag)
{
	struct v3 *v3 = (struct v3 *)npu;
	int rc = 0;

	if (!v3->pool || (first && !is_head(head)))
		return -EINVAL;
	/* The chain and the link to it have to be visible before the doorbell rings. */
	__sync_synchronize();
	if (first)
		rc = write_head(v3, head);
	/* Whether the pool is still there is not asked: the command fails without one. */
	if (rc == 0)
		rc = v3_write(v3, ZY3_CMD_INFO, tag);
	return rc ? rc : command(v3, ZY3_OP_DISPATCH);
}

static int v3_dispatch_bound(struct npu_device *npu, iova_t head, uint32_t core, uint16_t tag)
{
	struct v3 *v3 = (struct v3 *)npu;

	if (!v3->pool || !is_head(head) || core >= npu->identity.cores)
		return -EINVAL;
	__sync_synchronize();
	int rc = write_head(v3, head);
	if (rc == 0)
		rc = v3_write(v3, ZY3_CMD_INFO, tag);
	return rc ? rc : command(v3, ZY3_OP_BIND_DISPATCH | core << ZY3_CMD_CORE_SHIFT);
}

static int v3_quiesce(struct npu_device *npu)
{
	struct v3 *v3 = (struct v3 *)npu;
	int rc = mask(v3);

	if (rc == 0 && v3->pool) {
		rc = destroy_command(v3);
		if (rc == -EIO) {
			rc = command(v3, ZY3_OP_ABORT);
			if (rc == 0) {
				delay_us(ZY_RESET_DELAY_US);
				rc = destroy_command(v3);
			}
		}
		v3->pool = v3->signal_held = false;
	}
	if (rc == -EIO)
		rc = v3_soft_reset(npu); /* masks and forgets everything */
	if (rc == 0)
		rc = v3_write(v3, ZY3_TICK_CTRL, ZY3_TICK_DISABLE);
	v3->ticking = v3->fresh = false;
	return rc;
}

/* ------------------------------------------------------------------ idle */

static int cores_idle(struct v3 *v3)
{
	const uint32_t need = ZY3_DEBUG_CLUSTER_IDLE | ZY3_DEBUG_BUS_IDLE;
	uint32_t status, idle = 1;
	int rc = v3_write(v3, ZY3_DEBUG_SELECT, ZY3_DEBUG_ENABLE | V3_CLUSTER << ZY3_DEBUG_CLUSTER_SHIFT);

	if (rc == 0)
		rc = v3_read_live(v3, ZY3_DEBUG_CLUSTER_STATUS, &status);
	if (rc == 0)
		idle = (status & need) == need;
	for (uint32_t core = 0; core < v3->base.identity.cores && rc == 0; core++) {
		if (core > 0)
			rc = v3_write(v3, ZY3_DEBUG_SELECT,
				      ZY3_DEBUG_ENABLE | V3_CLUSTER << ZY3_DEBUG_CLUSTER_SHIFT | core);
		if (rc == 0)
			rc = v3_read_live(v3, ZY3_DEBUG_CORE_STATUS, &status);
		if (rc == 0 && !(status & ZY3_DEBUG_CORE_IDLE))
			idle = 0;
	}
	if (rc == 0)
		rc = v3_write(v3, ZY3_DEBUG_SELECT, 0);
	return rc ? rc : (int)idle;
}

int v3_is_idle(struct npu_device *npu)
{
	struct v3 *v3 = (struct v3 *)npu;
	uint32_t status;
	int rc = v3_read_live(v3, ZY3_TSM_STATUS, &status);

	if (rc)
		return rc;
	/* A queue that is full is not idle; the cores decide the rest. */
	rc = cores_idle(v3);
	return rc > 0 ? !(status & ZY3_TSM_FULL_MASK) : rc;
}

/* ------------------------------------------------------------------ object */

static void v3_free(struct npu_device *npu)
{
	free(npu);
}

static const struct npu_ops v3_ops = {
    .init = v3_init,
    .quiesce = v3_quiesce,
    .pool_create = v3_pool_create,
    .pool_destroy = v3_pool_destroy,
    .pool_abort = v3_pool_abort,
    .dispatch = v3_dispatch,
    .dispatch_bound = v3_dispatch_bound,
    .irq_collect = v3_irq_collect,
    .irq_ack_signal = v3_irq_ack_signal,
    .irq_finish = v3_irq_finish,
    .is_idle = v3_is_idle,
    .soft_reset = v3_soft_reset,
    .registers = v3_registers,
    .free = v3_free,
};

static int read_cluster(struct v3 *v3, char *why, size_t why_bytes)
{
	struct npu_identity *identity = &v3->base.identity;
	uint32_t config;
	int rc = v3_read_live(v3, ZY3_CLUSTER(V3_CLUSTER, ZY3_CLUSTER_CONFIG), &config);

	if (rc == 0 && !(config & ZY3_CLUSTER_PRESENT)) {
		snprintf(why, why_bytes, "cluster 0 is not present (configuration %08x): powered off?", config);
		return -ENOTSUP;
	}
	/* Present first, then the counts: two readings, as the procedure has it. */
	if (rc == 0)
		rc = v3_read_live(v3, ZY3_CLUSTER(V3_CLUSTER, ZY3_CLUSTER_CONFIG), &config);
	if (rc) {
		snprintf(why, why_bytes, "cluster configuration cannot be read: %s", strerror(-rc));
		return rc;
	}
	identity->clusters = 1;
	identity->cores = config >> ZY3_CLUSTER_CORES_SHIFT & 0xf;
	identity->tecs = config >> ZY3_CLUSTER_TECS_SHIFT & 0xf;
	if (identity->cores == 0 || identity->tecs == 0) {
		snprintf(why, why_bytes, "cluster 0 has %u cores of %u TECs (configuration %08x)", identity->cores,
			 identity->tecs, config);
		return -ENOTSUP;
	}
	return 0;
}

static int read_gm(struct v3 *v3, char *why, size_t why_bytes)
{
	uint32_t control = 0;
	int rc = v3_write(v3, ZY3_DEBUG_SELECT, ZY3_DEBUG_ENABLE | V3_CLUSTER << ZY3_DEBUG_CLUSTER_SHIFT);

	if (rc == 0)
		rc = v3_read_live(v3, ZY3_DEBUG_GM_CONTROL, &control);
	if (rc == 0)
		rc = v3_write(v3, ZY3_DEBUG_SELECT, 0);
	uint32_t code = control >> ZY3_DEBUG_GM_SIZE_SHIFT & 0xf;
	if (rc == 0 && code > 7) {
		snprintf(why, why_bytes, "global memory size code %u is unknown (0 to 7)", code);
		return -ENOTSUP;
	}
	if (rc)
		snprintf(why, why_bytes, "global memory size cannot be read: %s", strerror(-rc));
	v3->base.identity.gm_bytes = zy3_gm_bytes(code & 7);
	return rc;
}

static int identify(struct v3 *v3, char *why, size_t why_bytes)
{
	struct npu_identity *identity = &v3->base.identity;
	uint32_t build = 0;
	int rc = v3_soft_reset(&v3->base);

	if (rc) {
		snprintf(why, why_bytes, "soft reset did not end within %d us: %s",
			 RESET_TRIES * (int)ZY_RESET_DELAY_US, strerror(-rc));
		return rc;
	}
	rc = v3_read_live(v3, ZY3_TSM_BUILD_INFO, &build);
	if (rc) {
		snprintf(why, why_bytes, "build information cannot be read: %s", strerror(-rc));
		return rc;
	}
	identity->partitions = (build >> ZY3_BUILD_PARTITIONS_SHIFT & 3) + 1;
	if ((build >> ZY3_BUILD_POOLS_SHIFT & 0xf) == 0) {
		snprintf(why, why_bytes, "the task manager has no command pool (build information %08x)", build);
		return -ENOTSUP;
	}
	rc = read_cluster(v3, why, why_bytes);
	return rc ? rc : read_gm(v3, why, why_bytes);
}

int v3_new(struct vfio_device *vfio, const struct npu_quirks *quirks, struct npu_device **out, char *why,
	   size_t why_bytes)
{
	uint32_t revision;
	struct v3 *v3 = calloc(1, sizeof(*v3));

	if (!v3) {
		snprintf(why, why_bytes, "out of memory");
		return -ENOMEM;
	}
	v3->base = (struct npu_device){
	    .ops = &v3_ops, .vfio = vfio, .identity = {.generation = NPU_GEN_V3, .isa = 5, .config = X2_CONFIG}};
	if (quirks)
		v3->quirks = *quirks;
	/* Read again before anything is written: this has to be an X2. */
	int rc = v3_read_live(v3, ZY_REVISION, &revision);
	if (rc)
		snprintf(why, why_bytes, "revision register cannot be read: %s", strerror(-rc));
	else
		rc = identify(v3, why, why_bytes);
	if (rc) {
		free(v3);
		return rc;
	}
	v3->base.identity.revision_register = revision;
	v3->base.rungs = npu_ladder(revision);
	snprintf(v3->base.identity.name, sizeof(v3->base.identity.name), "X2_%uMP%u", X2_CONFIG,
		 v3->base.identity.cores);
	*out = &v3->base;
	return 0;
}
