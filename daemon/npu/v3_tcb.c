/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoding of V3 TCB chains (docs/hardware/tcb.md). Pure: it touches no device and allocates nothing. It trusts no
 * number of the description: whatever does not fit a field is refused before a byte is written for it.
 */
#include "daemon/npu/v3_tcb.h"

#include <errno.h>
#include <string.h>

#include "proto/limits.h"

#define MAX_CORES 15u /* width of the cluster configuration's field */
#define PAGE_SHIFT 12
#define PRINT_BYTES_PER_TASK 1024u

/* Where the encoder stands: the TCB it writes and that TCB's bus address. */
struct cursor {
	const struct v3_job *job;
	iova_t head;
	union zy3_tcb *out;
	uint32_t at;
	uint32_t segmmu;
};

static uint32_t segmmu_count(const struct v3_job *job)
{
	return (job->cores + 1) / 2;
}

uint32_t v3_chain_tcbs(const struct v3_job *job)
{
	if (job->cores == 0 || job->cores > MAX_CORES || job->tecs == 0 || job->tecs > NPUD_MAX_TECS)
		return 0;
	if (job->bss_count == 0 || job->bss_count > NPUD_MAX_BSS_PER_JOB || job->group_count < job->bss_count ||
	    job->group_count > NPUD_MAX_GROUPS_PER_JOB || !job->groups || !job->asid1)
		return 0;
	/* Sorted, without gaps: each step is 0 or 1, from 0 to the last. */
	uint32_t bss = 0;
	for (uint32_t i = 0; i < job->group_count; i++) {
		if (job->groups[i].bss != bss && (i == 0 || job->groups[i].bss != ++bss))
			return 0;
		if (job->groups[i].dependency > V3_DEP_ALL)
			return 0;
	}
	if (bss != job->bss_count - 1)
		return 0;
	return job->group_count * job->tecs + job->bss_count * (1 + segmmu_count(job));
}

static uint32_t address_low(const struct cursor *cursor, uint32_t index)
{
	return (uint32_t)(cursor->head.v + (uint64_t)index * ZY_TCB_BYTES);
}

static struct zy_asid_word asid_word(iova_t base)
{
	return (struct zy_asid_word){(uint32_t)base.v | ZY3_TCB_ASID_RW, (uint32_t)(base.v >> 32)};
}

/* Marks how many segment-MMU TCBs follow. Two encodings fit the two known values, so no third value is made up. */
static uint32_t segmmu_flag(uint32_t count)
{
	uint32_t mark = count == 1 ? 1 : count == 2 ? 3 : 0;

	return mark << ZY3_TCB_SEGMMU_SHIFT;
}

static int gm_encode(const struct v3_job *job, struct zy3_init_tcb *init)
{
	const struct v3_gm *gm = &job->gm;
	unsigned region = gm->high_qos ? 1 : 0;
	uint64_t end;

	if (!gm->used)
		return 0;
	if ((gm->high_qos && !gm->both_regions) || job->gm_offset_shift > 31)
		return -EINVAL;
	init->gm_ctrl = gm->both_regions ? 2 : 1;
	init->gm_region_addr[region].lo = (uint32_t)gm->address.v;
	init->gm_region_addr[region].hi = (uint32_t)(gm->address.v >> 32);
	init->gm_region_ctrl[!region] = ZY3_GM_SYNC_IGNORE;
	if (!gm->preload)
		return 0;
	/* Whole pages that cover [offset, offset + bytes). */
	if (gm->preload_bytes == 0 || __builtin_add_overflow(gm->preload_offset, gm->preload_bytes - 1, &end))
		return -EINVAL;
	uint64_t pages = (end >> PAGE_SHIFT) - (gm->preload_offset >> PAGE_SHIFT) + 1;
	if (end > (ZY3_GM_SYNC_OFFSET_MASK | 0xfffu) || pages > ZY3_GM_SYNC_PAGES_MASK)
		return -ERANGE;
	uint32_t offset = (uint32_t)(gm->preload_offset >> job->gm_offset_shift) & ZY3_GM_SYNC_OFFSET_MASK;
	init->gm_region_ctrl[region] = ZY3_GM_SYNC_TO_GM | offset | (uint32_t)pages;
	return 0;
}

/* One BSS block opens with an init TCB and the segment-MMU TCBs. */
static int block_open(struct cursor *cursor, uint32_t bss)
{
	const struct v3_job *job = cursor->job;
	struct zy3_init_tcb *init = &cursor->out[cursor->at].init;

	if (job->asid1[bss].v & ZY3_TCB_ASID_FLAGS)
		return -EINVAL;
	memset(cursor->out + cursor->at, 0, (size_t)(1 + cursor->segmmu) * ZY_TCB_BYTES);
	init->flag = ZY3_TCB_INIT | segmmu_flag(cursor->segmmu);
	init->next = address_low(cursor, cursor->at + 1 + cursor->segmmu);
	init->grid_id = job->grid_id;
	init->asid[0] = asid_word(job->asid0);
	init->asid[1] = asid_word(job->asid1[bss]);
	for (uint32_t core = 0; core < job->cores; core++) {
		struct zy3_segmmu_tcb *segmmu = &cursor->out[cursor->at + 1 + core / 2].segmmu;

		(core % 2 ? &segmmu->odd : &segmmu->even)->ctrl = ZY3_SEGMMU_CTRL_DEFAULT;
	}
	cursor->at += 1 + cursor->segmmu;
	return bss == 0 ? gm_encode(job, init) : 0;
}

/* base + stride * task, refused when it leaves the 32-bit NPU address range */
static bool address_of_task(uint32_t base, uint32_t stride, uint32_t task, uint32_t *out)
{
	uint32_t offset;

	return !__builtin_mul_overflow(stride, task, &offset) && !__builtin_add_overflow(base, offset, out);
}

static uint32_t task_flag(const struct v3_job *job, uint32_t group, uint32_t task)
{
	static const uint32_t dependency[] = {
	    [V3_DEP_NONE] = ZY3_TCB_DEP_NONE, [V3_DEP_PREVIOUS] = ZY3_TCB_DEP_PREVIOUS, [V3_DEP_ALL] = ZY3_TCB_DEP_ALL};
	bool single = job->group_count == 1, last_task = task == job->tecs - 1;
	enum v3_dependency wanted = job->groups[group].dependency;
	uint32_t flag = ZY3_TCB_TASK;

	if (task == 0 && !(single && wanted == V3_DEP_ALL))
		flag |= dependency[wanted];
	if (last_task)
		flag |= ZY3_TCB_GROUP_END;
	/* A single group carries no grid end: it may run beside other groups. */
	if (last_task && group == job->group_count - 1 && !single)
		flag |= ZY3_TCB_GRID_END;
	return flag;
}

static uint32_t task_interrupts(const struct v3_job *job, uint32_t group, uint32_t task)
{
	uint32_t enable = ZY3_TASK_INTR;

	if (group == job->group_count - 1 && task == job->tecs - 1) {
		enable |= 0x400u; /* cluster level */
		if (job->group_count == 1)
			enable |= 0x200u; /* core level */
	}
	if (job->groups[group].print.v && job->tec_done_irq)
		enable |= 0x100u; /* TEC level */
	return enable;
}

static int task_addresses(const struct v3_job *job, const struct v3_group *group, uint32_t task,
			  struct zy3_task_tcb *tcb)
{
	(void)job;
	if (!address_of_task(group->stack.v, group->stack_stride, task, &tcb->sp) ||
	    !address_of_task(group->private_data.v, group->private_stride, task, &tcb->dp))
		return -ERANGE;
	if (group->print.v && !address_of_task(group->print.v, PRINT_BYTES_PER_TASK, task, &tcb->pprint))
		return -ERANGE;
	if (group->profiler.v) {
		if (__builtin_add_overflow(group->profiler.v, group->profiler_offset, &tcb->pprofiler))
			return -ERANGE;
		tcb->profiler_base = group->profiler.v;
	}
	tcb->spc = group->text.v;
	tcb->pp = group->parameters.v;
	tcb->cp = group->constants.v;
	tcb->global_param = group->global_param.v;
	return 0;
}

static int task_encode(struct cursor *cursor, uint32_t group, uint32_t task)
{
	const struct v3_job *job = cursor->job;
	struct zy3_task_tcb *tcb = &cursor->out[cursor->at].task;
	bool end = group == job->group_count - 1 && task == job->tecs - 1;

	memset(tcb, 0, sizeof(*tcb));
	tcb->flag = task_flag(job, group, task);
	/* The next task, or the next block's init TCB: they follow one another in memory. */
	tcb->next = end ? 0 : address_low(cursor, cursor->at + 1);
	tcb->interrupt_en = task_interrupts(job, group, task);
	tcb->group_id = (uint16_t)(group % job->cores);
	tcb->grid_id = job->grid_id;
	tcb->task_id = (uint16_t)task;
	for (unsigned axis = 0; axis < 3; axis++) {
		tcb->grid_dim[axis] = 1;
		tcb->group_dim[axis] = axis == 0 ? (uint16_t)job->tecs : 1;
	}
	tcb->group_xyz[0] = 1;
	tcb->task_xyz[0] = (uint16_t)task;
	tcb->tcbp = (uint32_t)(cursor->head.v - job->asid0.v) + cursor->at * ZY_TCB_BYTES;
	cursor->at++;
	return task_addresses(job, &job->groups[group], task, tcb);
}

/* The chain lies inside the ASID0 window and inside one 4 GiB block, and no `next` in it can read as "end". */
static int placement_check(const struct v3_job *job, iova_t head, uint32_t count)
{
	uint64_t bytes = (uint64_t)count * ZY_TCB_BYTES, last;

	if (job->asid0.v & ZY3_TCB_ASID_FLAGS || head.v % ZY_TCB_CHAIN_ALIGN || (uint32_t)head.v == 0)
		return -EINVAL;
	if (__builtin_add_overflow(head.v, bytes - 1, &last) || head.v < job->asid0.v)
		return -ERANGE;
	if (head.v >> 32 != last >> 32 || last - job->asid0.v > UINT32_MAX || head.v == job->asid0.v)
		return -ERANGE;
	return 0;
}

int v3_chain_encode(const struct v3_job *job, iova_t head, union zy3_tcb *out)
{
	uint32_t count = v3_chain_tcbs(job);
	struct cursor cursor = {.job = job, .head = head, .out = out, .segmmu = segmmu_count(job)};
	int rc = count ? placement_check(job, head, count) : -EINVAL;

	for (uint32_t group = 0; group < job->group_count && rc == 0; group++) {
		if (group == 0 || job->groups[group].bss != job->groups[group - 1].bss)
			rc = block_open(&cursor, job->groups[group].bss);
		for (uint32_t task = 0; task < job->tecs && rc == 0; task++)
			rc = task_encode(&cursor, group, task);
	}
	return rc;
}

void v3_tcb_set_next(union zy3_tcb *tcb, iova_t next)
{
	/* The device re-reads this word on each dispatch: one store, never a torn one. */
	__atomic_store_n(&tcb->word[1], (uint32_t)next.v, __ATOMIC_RELEASE);
}

void v3_hold_encode(union zy3_tcb *out, const union zy3_tcb *last_task, npu_addr_t code, npu_addr_t self)
{
	struct zy3_task_tcb tcb = last_task->task;

	tcb.flag = ZY3_TCB_TASK | ZY3_TCB_GROUP_END;
	tcb.next = 0;
	tcb.interrupt_en &= ~0x100u;
	tcb.spc = code.v;
	tcb.tcbp = self.v;
	out->task = tcb;
}
