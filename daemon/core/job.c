/* SPDX-License-Identifier: Apache-2.0 */
/* Building of jobs: every reference is checked here, once. Encodes through npu/; dispatches nothing. */
#include "daemon/core/job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/buffer.h"
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/core/session.h"
#include "daemon/util/clock.h"

#define TEXT_ALIGN 16u
#define PACKET_BYTES 16u /* one instruction */
#define DEPENDENCY_LISTED 3u
#define UNKNOWN_NS NSEC_PER_MSEC /* what a job that never ran is expected to take */

int job_find(struct session *session, uint64_t handle, struct job **out, struct fail *fail)
{
	struct job *job = handles_get(&session->job_handles, handle);

	if (!job)
		return fail_set(fail, ENOENT, "job 0x%" PRIx64 ": no such job in this session", handle);
	*out = job;
	return 0;
}

static int charge_heap(struct job *job, uint64_t bytes, struct fail *fail)
{
	int error = session_charge(job->session, QUOTA_JOB_BYTES, bytes, fail);

	if (error == 0)
		job->heap_bytes += bytes;
	return error;
}

static void uncharge_heap(struct job *job, uint64_t bytes)
{
	quota_release(&job->session->quota, QUOTA_JOB_BYTES, bytes);
	job->heap_bytes -= bytes;
}

/* ------------------------------------------------------------------ references */

static bool job_uses(const struct job *job, const struct buffer *buffer)
{
	if (buffer->last_job == job->serial)
		return true;
	for (uint32_t i = 0; i < job->buffer_count; i++)
		if (job->buffers[i] == buffer)
			return true;
	return false;
}

static int job_take_buffer(struct job *job, struct buffer *buffer, struct fail *fail)
{
	if (job_uses(job, buffer)) {
		buffer->last_job = job->serial;
		return 0;
	}
	if (job->buffer_count == job->buffer_capacity) {
		uint32_t capacity = job->buffer_capacity ? job->buffer_capacity * 2 : 8;
		uint64_t more = (uint64_t)(capacity - job->buffer_capacity) * sizeof(struct buffer *);
		int error = charge_heap(job, more, fail);
		if (error < 0)
			return error;
		struct buffer **buffers = realloc(job->buffers, capacity * sizeof(struct buffer *));
		if (!buffers) {
			uncharge_heap(job, more);
			return fail_set(fail, ENOMEM, "job: no memory");
		}
		job->buffers = buffers;
		job->buffer_capacity = capacity;
	}
	job->buffers[job->buffer_count++] = buffer;
	buffer->last_job = job->serial;
	buffer->jobs++;
	return 0;
}

/* What a reference has to satisfy. */
struct ref_rule {
	const char *what;
	uint32_t align; /* of the offset; 0 = any */
	uint64_t bytes; /* from the offset on, at least */
	bool required;
	bool writable;
};

static int resolve(struct job *job, const struct job_ref *ref, const struct ref_rule *rule, struct buffer **out,
		   struct fail *fail)
{
	struct buffer *buffer = handles_get(&job->session->buffer_handles, ref->handle);
	uint32_t group = job->groups_added;

	*out = NULL;
	if (!ref->present || ref->handle == 0) {
		if (!rule->required)
			return 0;
		return fail_set(fail, EINVAL, "group %u %s: missing", group, rule->what);
	}
	if (!buffer)
		return fail_set(fail, ENOENT, "group %u %s: buffer 0x%" PRIx64 " does not exist in this session", group,
				rule->what, ref->handle);
	if (ref->offset >= buffer->map.bytes || rule->bytes > buffer->map.bytes - ref->offset)
		return fail_set(fail, EINVAL,
				"group %u %s: offset %" PRIu64 " + %" PRIu64 " bytes is outside the buffer of %" PRIu64,
				group, rule->what, ref->offset, rule->bytes, buffer->map.bytes);
	if (rule->align && ref->offset % rule->align)
		return fail_set(fail, EINVAL, "group %u %s: offset %" PRIu64 " is not a multiple of %u", group,
				rule->what, ref->offset, rule->align);
	if (rule->writable && buffer->read_only)
		return fail_set(fail, EPERM, "group %u %s: the buffer was imported read_only", group, rule->what);
	int error = job_take_buffer(job, buffer, fail);
	if (error == 0)
		*out = buffer;
	return error;
}

static int resolve_address(struct job *job, const struct job_ref *ref, const struct ref_rule *rule, npu_addr_t *out,
			   struct fail *fail)
{
	struct buffer *buffer;
	int error = resolve(job, ref, rule, &buffer, fail);

	if (error < 0)
		return error;
	*out = (npu_addr_t){0};
	if (buffer)
		*out = space_npu_addr(job->session->space, iova_add(buffer->map.iova, ref->offset));
	return 0;
}

int job_add_use(struct job *job, const struct job_ref *ref, const char *what, struct fail *fail)
{
	struct ref_rule rule = {.what = what, .required = true};
	struct buffer *buffer;

	if (job->committed)
		return fail_set(fail, EINVAL, "job 0x%" PRIx64 ": already committed", job->handle);
	return resolve(job, ref, &rule, &buffer, fail);
}

/* ------------------------------------------------------------------ begin */

static int resolve_gm(struct job *job, const struct job_v3 *description, struct fail *fail)
{
	uint64_t gm_bytes = job->session->device->identity.gm_bytes;
	uint64_t bytes = description->gm.bytes;
	struct ref_rule rule = {
	    .what = "gm", .align = NPUD_BUFFER_ALIGN, .bytes = bytes, .required = true, .writable = true};
	struct buffer *buffer;

	if (!description->has_gm)
		return 0;
	if (bytes == 0 || bytes > gm_bytes)
		return fail_set(fail, EINVAL, "gm bytes: %" PRIu64 " is not in 1..%" PRIu64, bytes, gm_bytes);
	if (description->gm.preload && (description->gm.preload_offset > bytes ||
					description->gm.preload_bytes > bytes - description->gm.preload_offset))
		return fail_set(fail, EINVAL, "gm preload: outside the region of %" PRIu64 " bytes", bytes);
	int error = resolve(job, &description->gm.buffer, &rule, &buffer, fail);
	if (error < 0)
		return error;
	job->gm.used = true;
	job->gm.address = iova_add(buffer->map.iova, description->gm.buffer.offset);
	job->gm.preload = description->gm.preload;
	job->gm.preload_offset = description->gm.preload_offset;
	job->gm.preload_bytes = description->gm.preload_bytes;
	return 0;
}

static int job_new(struct session *session, uint64_t heap_bytes, struct job **out, struct fail *fail)
{
	int error = session_charge(session, QUOTA_JOBS, 1, fail);

	if (error < 0)
		return error;
	struct job *job = calloc(1, sizeof(*job));
	if (!job) {
		quota_release(&session->quota, QUOTA_JOBS, 1);
		return fail_set(fail, ENOMEM, "job: no memory");
	}
	job->session = session;
	job->serial = ++session->host->next_job;
	job->estimate_ns = UNKNOWN_NS;
	list_init(&job->runs);
	list_append(&session->jobs, &job->link);
	error = charge_heap(job, heap_bytes, fail);
	if (error == 0)
		error = handles_add(&session->job_handles, job, &job->handle);
	if (error == -ENOSPC)
		error = fail_limit(fail, "jobs", "session", session->job_handles.live, session->job_handles.maximum,
				   "destroy jobs");
	else if (error == -ENOMEM)
		error = fail_set(fail, ENOMEM, "job: no memory for a handle");
	if (error < 0) {
		job_free(job);
		return error;
	}
	*out = job;
	return 0;
}

int job_begin_v3(struct session *session, const struct job_v3 *description, struct job **out, struct fail *fail)
{
	struct job *job = NULL;

	if (session->device->identity.generation != NPU_GEN_V3)
		return fail_set(fail, ENOTSUP, "job: this device does not run V3 jobs");
	if (description->group_count == 0 || description->group_count > NPUD_MAX_GROUPS_PER_JOB)
		return fail_set(fail, EINVAL, "job group_count: %u is not in 1..%u", description->group_count,
				NPUD_MAX_GROUPS_PER_JOB);
	if (description->bss_count == 0 || description->bss_count > NPUD_MAX_BSS_PER_JOB ||
	    description->bss_count > description->group_count)
		return fail_set(fail, EINVAL, "job bss_count: %u is not in 1..min(%u, group_count)",
				description->bss_count, NPUD_MAX_BSS_PER_JOB);
	int error = address_space_open_arena(session->space);
	if (error == 0)
		error = session_prepare_pool(session);
	if (error < 0)
		return fail_set(fail, -error, "job: no memory for the session's job arena");
	error = job_new(session, sizeof(*job) + description->group_count * sizeof(struct v3_group), &job, fail);
	if (error < 0 || !job)
		return error;
	job->group_count = description->group_count;
	job->bss_count = description->bss_count;
	job->groups = calloc(job->group_count, sizeof(*job->groups));
	error = job->groups ? resolve_gm(job, description, fail) : fail_set(fail, ENOMEM, "job: no memory");
	if (error < 0) {
		job_free(job);
		return error;
	}
	*out = job;
	return 0;
}

/* ------------------------------------------------------------------ groups */

static int check_group(const struct job *job, const struct job_group *group, struct fail *fail)
{
	uint32_t index = job->groups_added;

	/* First: a committed job has no description any more. */
	if (job->committed)
		return fail_set(fail, EINVAL, "job 0x%" PRIx64 ": already committed", job->handle);
	uint32_t bss = index ? job->groups[index - 1].bss : 0;
	if (index == job->group_count)
		return fail_set(fail, EINVAL, "job 0x%" PRIx64 ": more than the announced %u groups", job->handle,
				job->group_count);
	if (group->bss >= job->bss_count || (group->bss != bss && (index == 0 || group->bss != bss + 1)))
		return fail_set(fail, EINVAL, "group %u bss: %u does not follow %u (0..%u, ascending, without gaps)",
				index, group->bss, bss, job->bss_count - 1);
	if (group->dependency == DEPENDENCY_LISTED || group->precursors)
		return fail_set(fail, ENOTSUP, "group %u dependency: listed precursors need a V3_2 device", index);
	if (group->dependency > DEPENDENCY_LISTED)
		return fail_set(fail, EINVAL, "group %u dependency: %u is unknown", index, group->dependency);
	return 0;
}

/* Bytes that `tecs` blocks at `stride` need at least; the last one's size is the program's business. */
static uint64_t strided_bytes(uint32_t stride, uint32_t tecs)
{
	return (uint64_t)stride * (tecs - 1) + 1;
}

static int resolve_group(struct job *job, const struct job_group *in, struct v3_group *out, struct fail *fail)
{
	uint32_t tecs = job->session->device->identity.tecs;
	const struct {
		const struct job_ref *ref;
		struct ref_rule rule;
		npu_addr_t *out;
	} refs[] = {
	    {&in->text, {"text", TEXT_ALIGN, PACKET_BYTES, true, false}, &out->text},
	    {&in->parameters, {"parameters", 0, 1, false, false}, &out->parameters},
	    {&in->constants, {"constants", 0, 1, false, false}, &out->constants},
	    {&in->stack, {"stack", 0, strided_bytes(in->stack_stride, tecs), false, true}, &out->stack},
	    {&in->private_data,
	     {"private_data", 0, strided_bytes(in->private_stride, tecs), false, true},
	     &out->private_data},
	    {&in->profiler, {"profiler", 0, (uint64_t)in->profiler_offset + 1, false, true}, &out->profiler},
	    {&in->global_param, {"global_param", 0, 1, false, false}, &out->global_param},
	};

	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
		int error = resolve_address(job, refs[i].ref, &refs[i].rule, refs[i].out, fail);
		if (error < 0)
			return error;
	}
	return 0;
}

int job_add_group(struct job *job, const struct job_group *group, struct fail *fail)
{
	int error = check_group(job, group, fail);

	if (error < 0)
		return error;
	struct v3_group *out = &job->groups[job->groups_added];
	memset(out, 0, sizeof(*out));
	out->bss = group->bss;
	out->dependency = (enum v3_dependency)group->dependency;
	out->stack_stride = group->stack_stride;
	out->private_stride = group->private_stride;
	out->profiler_offset = group->profiler_offset;
	error = resolve_group(job, group, out, fail);
	if (error < 0)
		return error;
	if (group->print) {
		/* Numbered for now; commit knows where the pages are. */
		out->print = (npu_addr_t){++job->print_groups};
	}
	job->groups_added++;
	return 0;
}

struct job_mark job_mark(const struct job *job)
{
	return (struct job_mark){job->groups_added, job->print_groups, job->buffer_count};
}

void job_rollback(struct job *job, struct job_mark mark)
{
	job->groups_added = mark.groups_added;
	job->print_groups = mark.print_groups;
	while (job->buffer_count > mark.buffer_count) {
		struct buffer *buffer = job->buffers[--job->buffer_count];
		buffer->last_job = 0;
		buffer_forget(buffer);
	}
}

/* ------------------------------------------------------------------ commit */

/* Between the number of a group's print area and its address. */
static void place_prints(struct job *job, uint32_t stride, bool resolve)
{
	const struct address_space *space = job->session->space;
	uint32_t number = 0;

	for (uint32_t i = 0; i < job->group_count; i++) {
		if (job->groups[i].print.v == 0)
			continue;
		uint32_t at = job->print_offset + number++ * stride;
		job->groups[i].print = resolve ? space_npu_addr(space, arena_iova(space, at)) : (npu_addr_t){number};
	}
}

static int take_arena(struct job *job, uint32_t tecs, struct fail *fail)
{
	struct session *session = job->session;
	uint64_t chain = ((uint64_t)job->tcbs * ZY_TCB_BYTES + ARENA_PAGE - 1) / ARENA_PAGE * ARENA_PAGE;
	uint64_t print_stride = (uint64_t)tecs * (NPUD_MAX_PRINT_BYTES + 1);
	uint64_t print = (job->print_groups * print_stride + ARENA_PAGE - 1) / ARENA_PAGE * ARENA_PAGE;
	uint32_t offset;

	int error = session_charge(session, QUOTA_TCB_BYTES, chain + print, fail);
	if (error < 0)
		return error;
	error = arena_alloc(session->space, chain + print, &offset);
	if (error < 0) {
		quota_release(&session->quota, QUOTA_TCB_BYTES, chain + print);
		return fail_limit(fail, "tcb_arena", "address space", (uint64_t)session->space->pages_used * ARENA_PAGE,
				  ARENA_BYTES, "destroy jobs or make them smaller");
	}
	job->arena_bytes = chain + print;
	job->arena_offset = offset;
	job->print_offset = offset + (uint32_t)chain;
	return 0;
}

static int encode(struct job *job, struct fail *fail)
{
	struct session *session = job->session;
	const struct npu_identity *identity = &session->device->identity;
	iova_t asid1[NPUD_MAX_BSS_PER_JOB];

	for (uint32_t i = 0; i < job->bss_count; i++)
		asid1[i] = session->space->base;
	struct v3_job description = {
	    .cores = identity->cores,
	    .tecs = identity->tecs,
	    .grid_id = session->space->next_grid++,
	    .bss_count = job->bss_count,
	    .asid1 = asid1,
	    .asid0 = session->space->base,
	    .gm = job->gm,
	    .group_count = job->group_count,
	    .groups = job->groups,
	    .gm_offset_shift = session->host->options.quirks.gm_offset_shift,
	};
	job->tcbs = v3_chain_tcbs(&description);
	if (job->tcbs == 0)
		return fail_set(fail, EINVAL, "job 0x%" PRIx64 ": inconsistent groups", job->handle);
	int error = take_arena(job, identity->tecs, fail);
	if (error < 0)
		return error;
	error = charge_heap(job, (uint64_t)job->tcbs * ZY_TCB_BYTES, fail);
	if (error < 0)
		return error;
	job->pristine = calloc(job->tcbs, ZY_TCB_BYTES);
	if (!job->pristine)
		return fail_set(fail, ENOMEM, "job: no memory");
	place_prints(job, identity->tecs * (NPUD_MAX_PRINT_BYTES + 1), true);
	error = v3_chain_encode(&description, arena_iova(session->space, job->arena_offset), job->pristine);
	if (error == 0)
		return 0;
	place_prints(job, 0, false);
	return fail_set(fail, -error, "job 0x%" PRIx64 ": cannot be encoded for this device", job->handle);
}

static void unencode(struct job *job)
{
	free(job->pristine);
	job->pristine = NULL;
	if (job->arena_bytes) {
		arena_release(job->session->space, job->arena_offset, job->arena_bytes);
		quota_release(&job->session->quota, QUOTA_TCB_BYTES, job->arena_bytes);
		job->arena_bytes = 0;
	}
}

int job_commit(struct job *job, struct fail *fail)
{
	if (job->committed)
		return fail_set(fail, EINVAL, "job 0x%" PRIx64 ": already committed", job->handle);
	if (job->groups_added != job->group_count)
		return fail_set(fail, EINVAL, "job 0x%" PRIx64 ": %u of %u groups described", job->handle,
				job->groups_added, job->group_count);
	if (job->groups[job->group_count - 1].bss != job->bss_count - 1)
		return fail_set(fail, EINVAL, "job 0x%" PRIx64 ": bss %u is not used by any group", job->handle,
				job->bss_count - 1);
	uint64_t before = job->heap_bytes;
	int error = encode(job, fail);
	if (error < 0) {
		unencode(job);
		if (job->heap_bytes > before)
			uncharge_heap(job, job->heap_bytes - before);
		return error;
	}
	job->committed = true;
	free(job->groups);
	job->groups = NULL;
	uncharge_heap(job, job->group_count * sizeof(struct v3_group));
	return 0;
}

/* ------------------------------------------------------------------ end */

void job_free(struct job *job)
{
	if (!job)
		return;
	struct session *session = job->session;
	if (job->handle)
		handles_remove(&session->job_handles, job->handle);
	unencode(job);
	quota_release(&session->quota, QUOTA_JOB_BYTES, job->heap_bytes);
	quota_release(&session->quota, QUOTA_JOBS, 1);
	list_remove(&job->link);
	/* The last reference to a buffer may free it; the session settles when its list is empty. */
	for (uint32_t i = 0; i < job->buffer_count; i++)
		buffer_forget(job->buffers[i]);
	free(job->buffers);
	free(job->groups);
	free(job);
}

int job_destroy(struct job *job, struct fail *fail)
{
	if (job->active)
		return fail_set(fail, EBUSY, "job 0x%" PRIx64 ": %u submissions have not ended; wait or cancel first",
				job->handle, job->active);
	job_free(job);
	return 0;
}

void job_learn(struct job *job, uint64_t device_ns)
{
	job->estimate_ns = job->has_run ? (job->estimate_ns * 3 + device_ns) / 4 : device_ns;
	job->has_run = true;
}

npu_addr_t job_last_tcb(const struct job *job)
{
	uint32_t offset = job->arena_offset + (job->tcbs - 1) * ZY_TCB_BYTES;

	return space_npu_addr(job->session->space, arena_iova(job->session->space, offset));
}

int64_t job_tcb_index(const struct job *job, uint32_t pointer)
{
	uint32_t first = space_npu_addr(job->session->space, arena_iova(job->session->space, job->arena_offset)).v;

	if (pointer < first || pointer - first >= job->tcbs * ZY_TCB_BYTES || (pointer - first) % ZY_TCB_BYTES)
		return -1;
	return (pointer - first) / ZY_TCB_BYTES;
}
