/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about jobs: from protobuf to core and back. Checks nothing that core checks. */
#include <errno.h>
#include <stddef.h>

#include "daemon/core/job.h"
#include "daemon/wire/request.h"

static struct job_ref to_ref(const Npud__BufferRef *ref)
{
	if (!ref)
		return (struct job_ref){.present = false};
	return (struct job_ref){.present = true, .handle = ref->handle, .offset = ref->offset};
}

static int reply_job(struct request *request, uint64_t handle)
{
	npud__job_info__init(&request->body.job_info);
	request->body.job_info.job = handle;
	request->reply.body_case = NPUD__REPLY__BODY_JOB_INFO;
	request->reply.job_info = &request->body.job_info;
	return 0;
}

static void to_job_v3(const Npud__JobV3 *in, struct job_v3 *out)
{
	*out = (struct job_v3){.group_count = in->group_count, .bss_count = in->bss_count};
	if (!in->gm)
		return;
	out->has_gm = true;
	out->gm.buffer = to_ref(in->gm->buffer);
	out->gm.bytes = in->gm->bytes;
	out->gm.preload = in->gm->preload;
	out->gm.preload_offset = in->gm->preload_offset;
	out->gm.preload_bytes = in->gm->preload_bytes;
}

int handle_job_begin(struct request *request)
{
	const Npud__JobBegin *begin = request->message->job_begin;
	struct job_v3 description;
	struct job *job;

	if (begin->generation_case == NPUD__JOB_BEGIN__GENERATION__NOT_SET)
		return fail_set(&request->fail, EINVAL, "JobBegin: no generation that this daemon knows");
	if (begin->generation_case != NPUD__JOB_BEGIN__GENERATION_V3)
		return fail_set(&request->fail, ENOTSUP, "JobBegin: this daemon runs V3 jobs only");
	to_job_v3(begin->v3, &description);
	int error = job_begin_v3(request->conn->session, &description, &job, &request->fail);
	for (size_t i = 0; error == 0 && i < begin->v3->n_uses; i++) {
		struct job_ref ref = to_ref(begin->v3->uses[i]);
		error = job_add_use(job, &ref, "uses", &request->fail);
		if (error < 0)
			job_free(job);
	}
	return error < 0 ? error : reply_job(request, job->handle);
}

static void to_group(const Npud__Group *in, struct job_group *out)
{
	*out = (struct job_group){
	    .bss = in->bss,
	    .dependency = (uint32_t)in->dependency,
	    .precursors = in->n_precursors > 0,
	    .text = to_ref(in->text),
	    .parameters = to_ref(in->parameters),
	    .constants = to_ref(in->constants),
	    .stack = to_ref(in->stack),
	    .stack_stride = in->stack_stride,
	    .private_data = to_ref(in->private_data),
	    .private_stride = in->private_stride,
	    .print = in->print,
	    .profiler = to_ref(in->profiler),
	    .global_param = to_ref(in->global_param),
	    .profiler_offset = in->profiler_offset,
	};
}

int handle_job_groups(struct request *request)
{
	const Npud__JobGroups *groups = request->message->job_groups;
	struct job *job;

	int error = job_find(request->conn->session, groups->job, &job, &request->fail);
	if (error < 0)
		return error;
	struct job_mark before = job_mark(job);
	for (size_t i = 0; error == 0 && i < groups->n_uses; i++) {
		struct job_ref ref = {.present = true, .handle = groups->uses[i]};
		error = job_add_use(job, &ref, "uses", &request->fail);
	}
	for (size_t i = 0; error == 0 && i < groups->n_groups; i++) {
		struct job_group group;
		to_group(groups->groups[i], &group);
		error = job_add_group(job, &group, &request->fail);
	}
	if (error < 0) {
		job_rollback(job, before);
		return error;
	}
	return reply_empty(request);
}

int handle_job_commit(struct request *request)
{
	uint64_t handle = request->message->job_commit->job;
	struct job *job;

	int error = job_find(request->conn->session, handle, &job, &request->fail);
	if (error == 0)
		error = job_commit(job, &request->fail);
	return error < 0 ? error : reply_job(request, handle);
}

int handle_job_destroy(struct request *request)
{
	struct job *job;

	int error = job_find(request->conn->session, request->message->job_destroy->job, &job, &request->fail);
	if (error == 0)
		error = job_destroy(job, &request->fail);
	return error < 0 ? error : reply_empty(request);
}

int handle_job_submit(struct request *request)
{
	const Npud__JobSubmit *submit = request->message->job_submit;
	struct submit_request wanted = {
	    .job = submit->job,
	    .cookie = submit->cookie,
	    .budget_ns = submit->budget_ns,
	    .queue = submit->queue,
	    .deadline_ns = submit->deadline_ns,
	    .core = submit->core,
	    .restartable = submit->restartable,
	    .want_fence = submit->want_fence,
	    .after = submit->after,
	    .after_count = submit->n_after,
	    .fences = submit->fences,
	    .fence_count = submit->n_fences,
	};
	struct submit_reply accepted;

	int error = session_submit(request->conn->session, &wanted, &accepted, &request->fail);
	if (error < 0)
		return error;
	Npud__SubmitInfo *info = &request->body.submit.info;
	npud__submit_info__init(info);
	info->submission = accepted.submission;
	if (wanted.want_fence) {
		info->fence = &request->body.submit.fence;
		request->body.submit.token = accepted.fence.token;
		request->reply_fd = accepted.fence.notify_fd;
		fence_fill(accepted.fence.hold, info->fence);
		info->fence->token.data = request->body.submit.token.bytes;
		info->fence->token.len = NPUD_FENCE_TOKEN_BYTES;
	}
	request->reply.body_case = NPUD__REPLY__BODY_SUBMIT_INFO;
	request->reply.submit_info = info;
	return 0;
}

int handle_job_cancel(struct request *request)
{
	_Static_assert((int)CANCEL_QUEUED == (int)NPUD__CANCEL_STATE__CANCEL_QUEUED &&
			   (int)CANCEL_RUNNING == (int)NPUD__CANCEL_STATE__CANCEL_RUNNING &&
			   (int)CANCEL_FINISHED == (int)NPUD__CANCEL_STATE__CANCEL_FINISHED,
		       "core counts cancel states as the protocol does");
	enum cancel_state state = session_cancel(request->conn->session, request->message->job_cancel->submission);

	npud__cancel_info__init(&request->body.cancel_info);
	request->body.cancel_info.state = (Npud__CancelState)state;
	request->reply.body_case = NPUD__REPLY__BODY_CANCEL_INFO;
	request->reply.cancel_info = &request->body.cancel_info;
	return 0;
}
