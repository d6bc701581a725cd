/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job in the daemon's words: every address as a handle and an offset into one of the two pools. The daemon checks
 * each of them again and makes the device's own description out of it.
 */
#include <errno.h>
#include <stdio.h>

#include "libclient/error.h"
#include "libclient/objects.h"

/* One group as a message, with room for all that it refers to. */
struct group_message {
	Npud__Group group;
	Npud__BufferRef text, parameters, constants, stack, data, profiler;
};

static void refer(Npud__BufferRef *reference, uint64_t handle, uint64_t offset)
{
	npud__buffer_ref__init(reference);
	reference->handle = handle;
	reference->offset = offset;
}

static Npud__Dependency dependency_of(const struct npu_elf_subgraph *subgraph)
{
	switch (subgraph->precursor_count) {
	case 0:
		return NPUD__DEPENDENCY__DEPENDENCY_NONE;
	case -1:
		return NPUD__DEPENDENCY__DEPENDENCY_ALL;
	default:
		return NPUD__DEPENDENCY__DEPENDENCY_PREVIOUS;
	}
}

static void describe_group(const struct npu_graph *graph, uint64_t pool, uint32_t index, struct group_message *out)
{
	const struct npu_elf *elf = graph->elf;
	const struct npu_plan *plan = &graph->plan;
	const struct npu_elf_subgraph *subgraph = &elf->subgraphs[index];
	uint32_t set = plan->set_of[index];

	npud__group__init(&out->group);
	out->group.bss = subgraph->bss;
	out->group.dependency = dependency_of(subgraph);
	refer(&out->text, graph->pool.handle, plan->text.offset + subgraph->text_offset);
	refer(&out->parameters, pool, plan->rodata.offset + subgraph->rodata_offset);
	refer(&out->stack, pool, plan->stack.offset + (uint64_t)set * plan->stack_stride * plan->tecs);
	refer(&out->data, pool, plan->set_data_at[set]);
	out->group.text = &out->text;
	out->group.parameters = &out->parameters;
	out->group.stack = &out->stack;
	out->group.stack_stride = plan->stack_stride;
	out->group.private_data = &out->data;
	out->group.private_stride = (uint32_t)plan->set_data_stride[set];
	out->group.print = subgraph->print_bytes > 0;
	out->group.warmup_len = subgraph->warmup_len;
	if (plan->crodata.bytes) {
		refer(&out->constants, graph->pool.handle, plan->crodata.offset);
		out->group.constants = &out->constants;
	}
	if (elf->profiler_sub != NPU_ELF_NONE) {
		const struct npu_elf_sub *sub = &elf->subs[elf->profiler_sub];

		refer(&out->profiler, pool, plan->reuse_at[sub->section] + sub->offset);
		out->group.profiler = &out->profiler;
		out->group.profiler_offset = subgraph->profiler_offset;
	}
}

static int begin(const struct npu_graph *graph, const struct npu_buffer *pool, uint64_t *handle)
{
	const struct npu_plan *plan = &graph->plan;
	Npud__BufferRef gm_buffer, uses[2], *use_list[2] = {&uses[0], &uses[1]};
	Npud__GmRegion gm = NPUD__GM_REGION__INIT;
	Npud__JobV3 v3 = NPUD__JOB_V3__INIT;
	Npud__JobBegin job_begin = NPUD__JOB_BEGIN__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;

	v3.group_count = graph->elf->subgraph_count;
	v3.bss_count = graph->elf->bss_count;
	refer(&uses[0], graph->pool.handle, 0);
	refer(&uses[1], pool->handle, 0);
	v3.uses = use_list;
	v3.n_uses = 2;
	if (plan->gm_use.used) {
		refer(&gm_buffer, pool->handle, plan->gm.offset);
		gm.buffer = &gm_buffer;
		gm.bytes = plan->gm.bytes;
		gm.preload = plan->gm_use.preload;
		gm.preload_offset = plan->gm_use.preload_offset;
		gm.preload_bytes = plan->gm_use.preload_bytes;
		v3.gm = &gm;
	}
	job_begin.generation_case = NPUD__JOB_BEGIN__GENERATION_V3;
	job_begin.v3 = &v3;
	request.body_case = NPUD__REQUEST__BODY_JOB_BEGIN;
	request.job_begin = &job_begin;
	int rc = npu_link_call(graph->connection, &request, -1, NPUD__REPLY__BODY_JOB_INFO, &reply, "describe a job");

	if (rc)
		return rc;
	if (reply.job == 0)
		return npu_fail(-EPROTO, "describe a job: npud answered without a handle");
	*handle = reply.job;
	return 0;
}

/* Send groups from `first` on: as many as one frame takes. Returns their number or a negative errno. */
static int send_groups(const struct npu_graph *graph, uint64_t pool, uint64_t handle, uint32_t first)
{
	struct group_message messages[NPUD_MAX_GROUPS_PER_FRAME];
	Npud__Group *list[NPUD_MAX_GROUPS_PER_FRAME];
	Npud__JobGroups groups = NPUD__JOB_GROUPS__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;
	uint32_t count = graph->elf->subgraph_count - first;

	if (count > graph->connection->max_groups_per_frame)
		count = graph->connection->max_groups_per_frame;
	for (uint32_t i = 0; i < count; i++) {
		describe_group(graph, pool, first + i, &messages[i]);
		list[i] = &messages[i].group;
	}
	groups.job = handle;
	groups.groups = list;
	groups.n_groups = count;
	request.serial = INT32_MAX; /* the largest there will be: sizes are compared before it is known */
	request.body_case = NPUD__REQUEST__BODY_JOB_GROUPS;
	request.job_groups = &groups;
	while (groups.n_groups > 1 && npud__request__get_packed_size(&request) > graph->connection->max_frame_bytes)
		groups.n_groups /= 2;
	int rc =
	    npu_link_call(graph->connection, &request, -1, NPUD__REPLY__BODY_EMPTY, &reply, "describe a job's groups");

	return rc ? rc : (int)groups.n_groups;
}

static int commit(struct npu_connection *connection, uint64_t handle)
{
	Npud__JobCommit job_commit = NPUD__JOB_COMMIT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;

	job_commit.job = handle;
	request.body_case = NPUD__REQUEST__BODY_JOB_COMMIT;
	request.job_commit = &job_commit;
	return npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_JOB_INFO, &reply, "prepare a job");
}

void npu_job_destroy(struct npu_connection *connection, uint64_t handle)
{
	Npud__JobDestroy destroy = NPUD__JOB_DESTROY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;

	destroy.job = handle;
	request.body_case = NPUD__REQUEST__BODY_JOB_DESTROY;
	request.job_destroy = &destroy;
	/* if the daemon is gone, so is the job */
	(void)npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_EMPTY, &reply, "end a job");
}

int npu_job_describe(const struct npu_graph *graph, const struct npu_buffer *pool, uint64_t *handle)
{
	uint64_t made = 0;
	int rc = begin(graph, pool, &made);

	if (rc)
		return rc;
	for (uint32_t first = 0; first < graph->elf->subgraph_count && rc == 0;) {
		int sent = send_groups(graph, pool->handle, made, first);

		if (sent < 0)
			rc = sent;
		else
			first += (uint32_t)sent;
	}
	if (rc == 0)
		rc = commit(graph->connection, made);
	if (rc == 0) {
		*handle = made;
		return 0;
	}
	/* the reason stays that of the failure, not of the clearing up */
	char reason[NPUD_MAX_ERROR_TEXT + NPUD_MAX_STRING_BYTES];

	(void)snprintf(reason, sizeof(reason), "%s", npu_error());
	npu_job_destroy(graph->connection, made);
	return npu_fail(rc, "%s", reason);
}
