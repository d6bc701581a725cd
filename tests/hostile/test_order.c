/* SPDX-License-Identifier: Apache-2.0 */
/* An attacker that asks for things in any order: what it names may be there, gone, busy, or somebody else's. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emulator/isa.h"
#include "proto/limits.h"
#include "proto/zhouyi_tcb.h"
#include "tests/hostile/scene.h"
#include "tests/integration/raw.h"

#define BUFFERS 6u
#define JOBS 5u
#define SUBMISSIONS 16u

/* What a session should have, and names that it no longer has. */
struct model {
	uint64_t state; /* of the random numbers */
	uint64_t buffer[BUFFERS], job[JOBS], submission[SUBMISSIONS]; /* 0: none */
	uint64_t stale_buffer, stale_job;
	int fd, program[2];
};

static unsigned pick(struct model *model, unsigned count)
{
	return (unsigned)(scene_random(&model->state) >> 16) % count;
}

/* Nothing happens in this order that the daemon may not refuse; what may not come is named. */
static Npud__ErrorCode say(struct model *model, Npud__Request *request)
{
	Npud__ErrorCode code = raw_code(model->fd, request, -1);

	ck_assert_msg(code == 0 || code == NPUD__ERROR_CODE__ERROR_INVALID || code == NPUD__ERROR_CODE__ERROR_BUSY ||
			  code == NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT || code == NPUD__ERROR_CODE__ERROR_LIMIT,
		      "body %d: error %d", (int)request->body_case, code);
	return code;
}

static void step_import(struct model *model)
{
	Npud__BufferImport import = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_BUFFER_IMPORT);
	uint64_t *slot = &model->buffer[pick(model, BUFFERS)];

	if (*slot)
		return;
	import.bytes = 0x4000;
	request.buffer_import = &import;
	/* one in eight never ends by itself */
	Npud__ServerFrame *frame = raw_call(model->fd, &request, model->program[pick(model, 8) == 0]);
	ck_assert_ptr_null(frame->reply->error);
	*slot = frame->reply->buffer_info->handle;
	ck_assert_uint_ne(*slot, model->stale_buffer);
	raw_free(frame);
}

static void step_release(struct model *model)
{
	Npud__BufferRelease release = NPUD__BUFFER_RELEASE__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_BUFFER_RELEASE);
	uint64_t *slot = &model->buffer[pick(model, BUFFERS)];

	request.buffer_release = &release;
	release.handle = *slot;
	ck_assert_int_eq(say(model, &request), *slot ? 0 : NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
	if (*slot)
		model->stale_buffer = *slot;
	*slot = 0;
	release.handle = model->stale_buffer;
	ck_assert_int_eq(say(model, &request), NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
}

static void step_job(struct model *model)
{
	uint64_t *slot = &model->job[pick(model, JOBS)], buffer = model->buffer[pick(model, BUFFERS)];
	Npud__ErrorCode code;

	if (*slot)
		return;
	if (buffer)
		*slot = raw_job_of(model->fd, buffer);
	else
		*slot = raw_job_begin(model->fd, 1 + pick(model, 3), 1, &code); /* never to be committed */
	ck_assert_uint_ne(*slot, model->stale_job);
}

static void step_destroy(struct model *model)
{
	Npud__JobDestroy destroy = NPUD__JOB_DESTROY__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_JOB_DESTROY);
	uint64_t *slot = &model->job[pick(model, JOBS)];

	request.job_destroy = &destroy;
	destroy.job = *slot;
	Npud__ErrorCode code = say(model, &request);
	if (!*slot)
		ck_assert_int_eq(code, NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
	if (code)
		return; /* busy */
	model->stale_job = *slot;
	*slot = 0;
	destroy.job = model->stale_job;
	ck_assert_int_eq(say(model, &request), NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
}

static void step_commit(struct model *model)
{
	Npud__JobCommit commit = NPUD__JOB_COMMIT__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_JOB_COMMIT);

	request.job_commit = &commit;
	commit.job = pick(model, 4) ? model->job[pick(model, JOBS)] : model->stale_job;
	ck_assert_int_ne(say(model, &request), 0); /* a second time, or with groups missing */
}

static void step_submit(struct model *model)
{
	Npud__JobSubmit message = NPUD__JOB_SUBMIT__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_JOB_SUBMIT);

	request.job_submit = &message;
	message.job = pick(model, 8) ? model->job[pick(model, JOBS)] : model->stale_job;
	message.budget_ns = 3000000;
	Npud__ServerFrame *frame = raw_call(model->fd, &request, -1);
	if (!frame->reply->error)
		model->submission[pick(model, SUBMISSIONS)] = frame->reply->submit_info->submission;
	raw_free(frame);
}

static void step_cancel(struct model *model)
{
	Npud__JobCancel cancel = NPUD__JOB_CANCEL__INIT;
	Npud__Request request = raw_request(NPUD__REQUEST__BODY_JOB_CANCEL);

	request.job_cancel = &cancel;
	cancel.submission = model->submission[pick(model, SUBMISSIONS)];
	ck_assert_int_eq(say(model, &request), 0);
}

static void step_leave(struct model *model)
{
	if (pick(model, 20))
		return;
	close(model->fd);
	model->fd = raw_open(harness);
	memset(model->buffer, 0, sizeof(model->buffer));
	memset(model->job, 0, sizeof(model->job));
	model->stale_buffer = model->stale_job = 0;
}

static int make_program(struct isa_insn insn)
{
	int file = raw_memory(0x4000, F_SEAL_SHRINK);

	ck_assert_int_eq(pwrite(file, &insn, sizeof(insn), 0), sizeof(insn));
	return file;
}

static int any_order(struct harness *where, void *user)
{
	static void (*const steps[])(struct model *) = {step_import,  step_release, step_job,    step_job,
							step_destroy, step_commit,  step_submit, step_submit,
							step_submit,  step_cancel,  step_cancel, step_leave};
	struct model model = {.state = *(const uint64_t *)user, .fd = raw_open(where)};
	static const uint32_t end[] = ZY3_END_PACKET;
	struct isa_insn insn;

	memcpy(&insn, end, sizeof(insn));
	model.program[0] = make_program(insn);
	model.program[1] = make_program((struct isa_insn){.opcode = ISA_SPIN});
	for (unsigned i = 0; i < 4000; i++)
		steps[pick(&model, sizeof(steps) / sizeof(*steps))](&model);
	close(model.fd);
	return 0;
}

START_TEST(attack_use_after_free_by_release_and_cancel_order)
{
	static const uint64_t seeds[] = {1, 0x1234567, 0xfeedface, 0x9e3779b97f4a7c15ull};
	pid_t pids[4];

	for (unsigned i = 0; i < 4; i++)
		pids[i] =
		    client_start_as(harness, i % 2 ? MALLORY : TRUDY, MALLORY, any_order, (void *)(uintptr_t)&seeds[i]);
	for (unsigned i = 0; i < 4; i++) {
		scene_innocent_works();
		client_wait(pids[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("order");
	TCase *all = tcase_create("order");

	tcase_set_timeout(all, 120);
	tcase_add_checked_fixture(all, scene_setup, scene_stop);
	tcase_add_test(all, attack_use_after_free_by_release_and_cancel_order);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
