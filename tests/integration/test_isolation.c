/* SPDX-License-Identifier: Apache-2.0 */
/* What one session's program tries on memory that is not its own: another's, what was freed, its own control blocks. */
#include "libclient/objects.h"
#include "tests/integration/harness.h"

#define BIG_BYTES (64u << 20)

/* Reports where its input lies; far larger than anything else of a session, so that its middle is nobody else's. */
static struct program program_big(void)
{
	struct program program = {.tensor_bytes = BIG_BYTES};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_ST32, 0, R_OUT, R_IN, 0, 0, 0);
	program_end(&program);
	return program;
}

/* Releases a job's memory behind the library's back. */
static void release_memory(struct npu_connection *connection, const struct npu_job *job)
{
	Npud__BufferRelease release = NPUD__BUFFER_RELEASE__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;

	release.handle = job->pool.handle;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_RELEASE;
	request.buffer_release = &release;
	ASSERT_NPU(npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_EMPTY, &reply, "release"));
}

/* NPU address (ASID0-relative) of a job's input, as the session sees it: the patched word of its parameter block. */
static uint32_t address_of_input(struct npu_connection *connection)
{
	struct program program = {0};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_ST32, 0, R_OUT, R_IN, 0, 0, 0);
	program_end(&program);
	struct npu_job *job = job_of(connection, program);
	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	return output_of(job)[0];
}

/* The other session is attached now and then; its memory never answers, at any address of the window. */
START_TEST(a_session_reads_no_other_sessions_memory)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *victim = harness_connect(harness), *thief = harness_connect(harness);
	struct npu_job *secret = job_of(victim, program_copy(1024, 0)), *peek = job_of(thief, program_peek());
	const uint32_t step_bytes = 0x8000000; /* a sweep of the window, and around every address the victim uses */
	uint32_t where = address_of_input(victim);
	unsigned seen = 0;

	for (unsigned i = 0; i < 1024; i++)
		input_of(secret)[i] = 0x5ec4e700;
	for (uint64_t at = 0; at < 0xc0000000u; at += step_bytes) {
		for (int near = 0; near < 2; near++) {
			ASSERT_OUTCOME(run(victim, secret), NPU_DONE);
			input_of(peek)[0] = near ? where + (uint32_t)(at / step_bytes) * 0x200000 : (uint32_t)at;
			output_of(peek)[0] = 0;
			struct npu_result result = run(thief, peek);
			ck_assert_msg(result.outcome == NPU_FAULT || result.outcome == NPU_DONE, "%s",
				      npu_outcome_name(result.outcome));
			seen += output_of(peek)[0] == 0x5ec4e700;
		}
	}
	ck_assert_uint_eq(seen, 0);
	npu_disconnect(victim);
	npu_disconnect(thief);
	harness_stop(harness);
}
END_TEST

START_TEST(a_session_writes_no_other_sessions_memory)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *victim = harness_connect(harness), *thief = harness_connect(harness);
	struct npu_job *job = job_of(victim, program_copy(1024, 0)), *poke = job_of(thief, program_poke());
	uint32_t where = address_of_input(victim);

	for (unsigned i = 0; i < 1024; i++)
		input_of(job)[i] = i;
	for (unsigned i = 0; i < 64; i++) {
		input_of(poke)[0] = where + i * 0x200000;
		input_of(poke)[1] = 0xdeadbeef;
		struct npu_result result = run(thief, poke);
		ck_assert(result.outcome == NPU_FAULT || result.outcome == NPU_DONE);
		ASSERT_OUTCOME(run(victim, job), NPU_DONE);
		for (unsigned n = 0; n < 1024; n++)
			ck_assert_uint_eq(output_of(job)[n], n);
	}
	npu_disconnect(victim);
	npu_disconnect(thief);
	harness_stop(harness);
}
END_TEST

START_TEST(freed_memory_faults)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *peek = job_of(connection, program_peek()), *poke = job_of(connection, program_poke()),
		       *job = job_of(connection, program_big());

	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	uint32_t where = output_of(job)[0] + BIG_BYTES / 2, *there = input_of(job) + BIG_BYTES / 8;
	*there = 0x1dea1dea;
	input_of(peek)[0] = input_of(poke)[0] = where;
	ASSERT_OUTCOME(run(connection, peek), NPU_DONE);
	ck_assert_uint_eq(output_of(peek)[0], 0x1dea1dea);
	release_memory(connection, job);
	output_of(peek)[0] = 0;
	ASSERT_OUTCOME(run(connection, peek), NPU_FAULT);
	ck_assert_uint_eq(output_of(peek)[0], 0);
	input_of(poke)[1] = 0xdeadbeef;
	ASSERT_OUTCOME(run(connection, poke), NPU_FAULT);
	ck_assert_uint_eq(*there, 0x1dea1dea);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(memory_of_a_session_that_ended_faults)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *gone = harness_connect(harness), *thief;
	struct npu_job *secret = job_of(gone, program_big());

	uint32_t *words = input_of(secret); /* once: it asserts */
	for (unsigned i = 0; i < BIG_BYTES / 4; i++)
		words[i] = 0x5ec4e701;
	ASSERT_OUTCOME(run(gone, secret), NPU_DONE);
	uint32_t where = output_of(secret)[0];
	npu_disconnect(gone);
	harness_settle(harness);
	/* it gets the window that became free: the same bus addresses */
	thief = harness_connect(harness);
	struct npu_job *peek = job_of(thief, program_peek());
	for (uint32_t at = BIG_BYTES / 4; at < BIG_BYTES; at += BIG_BYTES / 16) {
		input_of(peek)[0] = where + at;
		output_of(peek)[0] = 0;
		ASSERT_OUTCOME(run(thief, peek), NPU_FAULT);
		ck_assert_uint_eq(output_of(peek)[0], 0);
	}
	npu_disconnect(thief);
	harness_stop(harness);
}
END_TEST

/* On-chip memories keep what was written until somebody scrubs them: a tenure change has to. */
START_TEST(on_chip_memory_holds_nothing_of_another_session)
{
	static const uint32_t places[] = {ISA_LOCAL_BASE,          ISA_SHARED_BASE,          ISA_GM_BASE,
					  ISA_LOCAL_BASE + 0x1000, ISA_SHARED_BASE + 0x1000, ISA_GM_BASE + 0x100000};
	struct harness *harness = harness_start(NULL);
	struct npu_connection *writer = harness_connect(harness), *reader = harness_connect(harness);
	struct npu_job *poke = job_of(writer, program_poke()), *peek = job_of(reader, program_peek()),
		       *mine = job_of(writer, program_peek());
	unsigned kept = 0;

	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
		input_of(poke)[0] = places[i];
		input_of(poke)[1] = 0x5ec4e702;
		ASSERT_OUTCOME(run(writer, poke), NPU_DONE);
		input_of(mine)[0] = places[i];
		ASSERT_OUTCOME(run(writer, mine), NPU_DONE);
		kept += output_of(mine)[0] == 0x5ec4e702;
		input_of(peek)[0] = places[i];
		ASSERT_OUTCOME(run(reader, peek), NPU_DONE);
		ck_assert_uint_ne(output_of(peek)[0], 0x5ec4e702);
	}
	ck_assert_uint_gt(kept, 0); /* or the test means nothing */
	npu_disconnect(writer);
	npu_disconnect(reader);
	harness_stop(harness);
}
END_TEST

/* Overwrites the control blocks of its own run, from its own on, with `value`. */
static struct program vandal(uint32_t value, uint32_t words)
{
	struct program program = {0};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_SREG, 5, 0, 0, ISA_SREG_TCBP, 0, 0);
	program_emit(&program, ISA_LI, 6, 0, 0, value, 0, 0);
	program_emit(&program, ISA_LI, 7, 0, 0, words, 0, 0);
	program_emit(&program, ISA_ST32, 0, 5, 6, 0, 0, 0);
	program_emit(&program, ISA_ADD, 5, 5, 0, 4, 0, 0);
	program_emit(&program, ISA_LOOP, 7, 0, 0, (uint32_t)-32, 0, 0);
	program_end(&program);
	return program;
}

START_TEST(a_program_that_overwrites_its_control_blocks_harms_nobody)
{
	static const uint32_t values[] = {0, 0xffffffff, 0x41, 0x00001000};
	struct harness *harness = harness_start(NULL);
	struct npu_connection *hostile = harness_connect(harness), *other = harness_connect(harness);
	struct npu_job *good = job_of(other, program_copy(64, 3));

	for (unsigned i = 0; i < 4; i++) {
		struct npu_job *job = job_of(hostile, vandal(values[i], i % 2 ? 32 * 4 : 32));

		for (unsigned round = 0; round < 3; round++) {
			/* whatever becomes of it, it ends */
			(void)wait_for(hostile, submit(job, 50000000));
			input_of(good)[0] = round;
			ASSERT_OUTCOME(run(other, good), NPU_DONE);
			ck_assert_uint_eq(output_of(good)[0], round + 3);
		}
	}
	/* and its own session is not broken for good */
	struct npu_job *again = job_of(hostile, program_copy(4, 1));
	ASSERT_OUTCOME(run(hostile, again), NPU_DONE);
	npu_disconnect(hostile);
	npu_disconnect(other);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("isolation");
	TCase *all = tcase_create("isolation");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, a_session_reads_no_other_sessions_memory);
	tcase_add_test(all, a_session_writes_no_other_sessions_memory);
	tcase_add_test(all, freed_memory_faults);
	tcase_add_test(all, memory_of_a_session_that_ended_faults);
	tcase_add_test(all, on_chip_memory_holds_nothing_of_another_session);
	tcase_add_test(all, a_program_that_overwrites_its_control_blocks_harms_nobody);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
