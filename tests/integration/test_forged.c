/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NPU code that writes task control blocks of its own and links them behind the daemon's: the arena is mapped writable
 * for the device, so nothing but the IOMMU and the daemon's disbelief stands between them and the other sessions.
 */
#include <unistd.h>

#include "libclient/objects.h"
#include "proto/zhouyi_tcb.h"
#include "tests/integration/harness.h"

#define CANARY 0x5ec4e7c0u
#define COPY_WORDS 1024u /* a page: the canary begins at one */
#define CANARY_WORDS (256u << 10)
#define TECS 4u
#define SEGMMU_TCBS 2u /* of three cores */
#define GROUPS 24u /* more than the device reads ahead: what lies behind is read when the first group has ended */
#define ARENA_SPARE                                                                                                    \
	0x0010f000u /* a page of the arena that is mapped and unused, as an NPU address and as the low half of a bus   \
		       address */
#define BUDGET_NS 300000000ull

/* Words of the attacker's input tensor. */
enum { IN_VICTIM = 0x100, IN_FORGED = 0x200 };
/* Words of its output tensor. */
enum { OUT_READ = 0, OUT_CAME_BACK = 1, OUT_BEGAN = 2, OUT_TAIL = 3 };

/* ------------------------------------------------------------------ the victim */

struct victim {
	struct npu_connection *connection;
	struct npu_job *job;
	uint32_t *canary; /* behind what the job reads, in the same buffer: mapped whenever the job runs */
	uint32_t address; /* of the canary, in its session */
	uint64_t base; /* of the session's window */
};

/* Where a session's window begins: the library does not keep bus addresses, so a buffer is imported by hand. */
static uint64_t base_of(struct npu_connection *connection)
{
	Npud__BufferImport import = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_buffer buffer = {0};
	struct npu_reply reply;
	int fd;

	ASSERT_NPU(npu_memfd_create(4096, &fd));
	ASSERT_NPU(npu_memfd_map(fd, 4096, &buffer.memory));
	ASSERT_NPU(npu_memfd_seal(fd, false));
	import.bytes = buffer.bytes = 4096;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &import;
	ASSERT_NPU(npu_link_call(connection, &request, fd, NPUD__REPLY__BODY_BUFFER_INFO, &reply, "a probe"));
	close(fd);
	buffer.handle = reply.buffer.handle;
	npu_buffer_release(connection, &buffer);
	ck_assert_uint_eq((uint32_t)reply.buffer.iova, reply.buffer.npu_address);
	ck_assert_uint_ne(reply.buffer.iova >> 32, 0);
	return reply.buffer.iova >> 32 << 32;
}

static void set_canary(struct victim *victim)
{
	size_t at;

	victim->canary = input_of(victim->job) + COPY_WORDS;
	for (uint32_t i = 0; i < CANARY_WORDS; i++)
		victim->canary[i] = CANARY;
	at = (size_t)((uint8_t *)victim->canary - victim->job->pool.memory);
	victim->address = victim->job->pool.npu_address + (uint32_t)at;
	victim->base = base_of(victim->connection);
}

static struct program canary_program(uint32_t add)
{
	struct program program = program_copy(COPY_WORDS, add);

	program.tensor_bytes = (COPY_WORDS + CANARY_WORDS) * 4;
	return program;
}

static struct victim victim_start(struct harness *harness)
{
	struct victim victim = {.connection = harness_connect(harness)};

	victim.job = job_of(victim.connection, canary_program(7));
	set_canary(&victim);
	return victim;
}

/* Its jobs run as if nobody else was there, and its memory is what it was. */
static void expect_unharmed(const struct victim *victim)
{
	static uint32_t round;
	uint32_t *input = input_of(victim->job), *output = output_of(victim->job);
	uint32_t wrong = 0, changed = 0;

	round++;
	for (uint32_t i = 0; i < COPY_WORDS; i++)
		input[i] = round * i;
	struct npu_result result = run(victim->connection, victim->job);
	ASSERT_OUTCOME(result, NPU_DONE);
	/* counted: an assertion for each word would cost a system call for each */
	for (uint32_t i = 0; i < COPY_WORDS; i++)
		wrong += output[i] != round * i + 7;
	for (uint32_t i = 0; i < CANARY_WORDS; i++)
		changed += victim->canary[i] != CANARY;
	ck_assert_msg(!wrong && !changed, "%u output and %u canary words are not what they were", wrong, changed);
}

/* ------------------------------------------------------------------ the attacker */

enum attack {
	READ_BY_OTHER_REGION, /* region 2 is the victim's window */
	WRITE_BY_OTHER_REGION,
	RUN_IN_VICTIMS_WINDOW, /* region 0 is: already the instruction fetch goes there */
	COPY_IN_BY_GM, /* global memory is filled from the victim's memory */
	COPY_OUT_BY_GM, /* and written back to it */
	ATTACKS
};

struct attacker {
	struct npu_connection *connection;
	struct npu_job *job;
	uint32_t text, parameters; /* NPU addresses */
	uint32_t reader, writer; /* instructions where the forged tasks start */
};

/* Copies `words` of the input to the spare page, then makes the chain's last TCB point there. */
static void emit_forge(struct program *program, uint32_t words, bool hide_end)
{
	const uint32_t tail = (GROUPS * TECS - 1) * ZY_TCB_BYTES; /* from the first task's TCB on */

	program_emit(program, ISA_LI, 5, 0, 0, ARENA_SPARE, 0, 0);
	program_emit(program, ISA_ADD, 6, R_IN, 0, IN_FORGED * 4, 0, 0);
	program_emit(program, ISA_LI, 7, 0, 0, words, 0, 0);
	unsigned top = program_emit(program, ISA_LD32, 8, 6, 0, 0, 0, 0);
	program_emit(program, ISA_ST32, 0, 5, 8, 0, 0, 0);
	program_emit(program, ISA_ADD, 5, 5, 0, 4, 0, 0);
	program_emit(program, ISA_ADD, 6, 6, 0, 4, 0, 0);
	unsigned loop = program_emit(program, ISA_LOOP, 7, 0, 0, 0, 0, 0);
	program->insn[loop].a = (uint32_t) - (int32_t)((loop - top) * ISA_INSN_BYTES);
	program_emit(program, ISA_SREG, 5, 0, 0, ISA_SREG_TCBP, 0, 0);
	if (hide_end) {
		program_emit(program, ISA_LI, 6, 0, 0, ZY3_TCB_TASK | ZY3_TCB_GROUP_END, 0, 0);
		program_emit(program, ISA_ST32, 0, 5, 6, tail + offsetof(struct zy3_task_tcb, flag), 0, 0);
	}
	program_emit(program, ISA_LI, 6, 0, 0, ARENA_SPARE, 0, 0);
	program_emit(program, ISA_ST32, 0, 5, 6, tail + offsetof(struct zy3_task_tcb, next), 0, 0);
	program_emit(program, ISA_ADD, 6, 5, 0, tail, 0, 0);
	program_emit(program, ISA_ST32, 0, R_OUT, 6, OUT_TAIL * 4, 0, 0);
}

/* What a forged task does: reach for the victim through region 2, tell if it came back. */
static uint32_t emit_reach(struct program *program, bool write)
{
	uint32_t start = program->insns;

	program_prologue(program);
	program_emit(program, ISA_LI, 6, 0, 0, 1, 0, 0);
	program_emit(program, ISA_ST32, 0, R_OUT, 6, OUT_BEGAN * 4, 0, 0);
	program_emit(program, ISA_LD32, 7, R_IN, 0, IN_VICTIM * 4, 0, 0);
	if (write) {
		program_emit(program, ISA_LI, 8, 0, 0, 0xdeadbeef, 0, 0);
		program_emit(program, ISA_ST32, 0, 7, 8, 0, 2, 0);
	} else {
		program_emit(program, ISA_LD32, 8, 7, 0, 0, 2, 0);
		program_emit(program, ISA_ST32, 0, R_OUT, 8, OUT_READ * 4, 0, 0);
	}
	program_emit(program, ISA_ST32, 0, R_OUT, 6, OUT_CAME_BACK * 4, 0, 0);
	program_end(program);
	return start;
}

/* Groups 1 to the last do nothing, one after the other. */
static void add_idle_groups(struct program *program)
{
	uint32_t entry = program->insns;

	program_end(program);
	while (program->groups < GROUPS) {
		program->entry[program->groups] = entry;
		program->precursors[program->groups++] = 1;
	}
}

static struct attacker attacker_start(struct harness *harness, bool hide_end)
{
	struct attacker attacker = {.connection = harness_connect(harness)};
	struct program program = {0};

	program_group(&program, -1);
	program_prologue(&program);
	emit_forge(&program, 2 * ZY_TCB_BYTES / 4, hide_end);
	program_end(&program);
	add_idle_groups(&program);
	attacker.reader = emit_reach(&program, false);
	attacker.writer = emit_reach(&program, true);
	attacker.job = job_of(attacker.connection, program);
	const struct npu_graph *graph = attacker.job->graph;
	attacker.text = graph->pool.npu_address + (uint32_t)graph->plan.text.offset;
	attacker.parameters = attacker.job->pool.npu_address + (uint32_t)graph->plan.rodata.offset;
	return attacker;
}

static struct zy_asid_word window(uint64_t base)
{
	return (struct zy_asid_word){(uint32_t)base | ZY3_TCB_ASID_RW, (uint32_t)(base >> 32)};
}

/* An init TCB and one task behind it, in the input tensor. */
static void write_forged(const struct attacker *attacker, const struct victim *victim, uint64_t own_base,
			 enum attack attack)
{
	union zy3_tcb forged[2] = {0};
	uint64_t victims_base = victim->base, canary = victim->base + victim->address;
	struct zy3_init_tcb *init = &forged[0].init;
	struct zy3_task_tcb *task = &forged[1].task;
	bool write = attack == WRITE_BY_OTHER_REGION;

	init->flag = ZY3_TCB_INIT;
	init->next = ARENA_SPARE + ZY_TCB_BYTES;
	init->grid_id = 0x77;
	init->asid[0] = window(attack == RUN_IN_VICTIMS_WINDOW ? victims_base : own_base);
	init->asid[1] = window(own_base);
	init->asid[2] = window(victims_base);
	if (attack == COPY_IN_BY_GM || attack == COPY_OUT_BY_GM) {
		init->gm_ctrl = 1;
		init->gm_region_addr[0] = (struct zy_asid_word){(uint32_t)canary, (uint32_t)(canary >> 32)};
		init->gm_region_ctrl[0] = (attack == COPY_IN_BY_GM ? 1u : 2u) << 30 | 1;
		init->gm_region_ctrl[1] = ZY3_GM_SYNC_IGNORE;
	}
	task->flag = ZY3_TCB_TASK | ZY3_TCB_GROUP_END | ZY3_TCB_GRID_END;
	task->interrupt_en = ZY3_TASK_INTR | 0x600u;
	task->grid_id = 0x77;
	task->grid_dim[0] = task->grid_dim[1] = task->grid_dim[2] = 1;
	task->group_dim[0] = task->group_dim[1] = task->group_dim[2] = 1;
	task->spc = attack == RUN_IN_VICTIMS_WINDOW
			? victim->address
			: attacker->text + (write ? attacker->writer : attacker->reader) * ISA_INSN_BYTES;
	task->pp = attacker->parameters;
	task->tcbp = ARENA_SPARE + ZY_TCB_BYTES;
	input_of(attacker->job)[IN_VICTIM] = victim->address;
	memcpy(input_of(attacker->job) + IN_FORGED, forged, sizeof(forged));
	memset(output_of(attacker->job), 0, 64);
}

static void expect_nothing_seen(const struct attacker *attacker)
{
	const uint32_t *output = output_of(attacker->job);
	uint32_t seen = 0;

	for (uint32_t i = 0; i < PROGRAM_TENSOR_BYTES / 4; i++)
		seen += output[i] == CANARY;
	ck_assert_uint_eq(seen, 0);
	ck_assert_uint_eq(output[OUT_CAME_BACK], 0);
}

/* Or the tests below would show nothing: what they forge works where it is allowed to, in the session's own memory. */
START_TEST(a_forged_chain_does_run_inside_its_own_session)
{
	struct harness *harness = harness_start(NULL);
	struct victim self = {0};
	struct attacker attacker = attacker_start(harness, true);
	union zy3_tcb *forged = (union zy3_tcb *)(void *)(input_of(attacker.job) + IN_FORGED);

	harness->hides_completions = true;
	self.connection = attacker.connection;
	self.job = job_of(attacker.connection, canary_program(0));
	set_canary(&self);
	ASSERT_OUTCOME(run(attacker.connection, self.job), NPU_DONE); /* a buffer is mapped when a job uses it */
	write_forged(&attacker, &self, self.base, READ_BY_OTHER_REGION);
	forged[1].task.tcbp = 0;
	(void)wait_for(attacker.connection, submit(attacker.job, BUDGET_NS)); /* tells the name of the chain's end */
	uint32_t name = output_of(attacker.job)[OUT_TAIL];
	write_forged(&attacker, &self, self.base, READ_BY_OTHER_REGION);
	forged[1].task.tcbp = name;
	ASSERT_OUTCOME(wait_for(attacker.connection, submit(attacker.job, BUDGET_NS)), NPU_DONE);
	ck_assert_uint_eq(output_of(attacker.job)[OUT_TAIL], name);
	ck_assert_uint_eq(output_of(attacker.job)[OUT_READ], CANARY);
	ck_assert_uint_eq(output_of(attacker.job)[OUT_CAME_BACK], 1);
	npu_disconnect(attacker.connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_forged_chain_reaches_no_other_session)
{
	struct harness *harness = harness_start(NULL);
	struct victim victim = victim_start(harness);
	struct attacker attacker = attacker_start(harness, true);
	uint64_t own_base = base_of(attacker.connection);
	enum attack attack = (enum attack)_i;
	bool task_runs = attack == READ_BY_OTHER_REGION || attack == WRITE_BY_OTHER_REGION;

	ck_assert_uint_ne(own_base, victim.base);
	expect_unharmed(&victim);
	for (unsigned round = 0; round < 3; round++) {
		write_forged(&attacker, &victim, own_base, attack);
		struct npu_result result = wait_for(attacker.connection, submit(attacker.job, BUDGET_NS));
		/* the device follows the forged chain, or this test shows nothing */
		ck_assert_uint_eq(output_of(attacker.job)[OUT_BEGAN], task_runs);
		ASSERT_OUTCOME(result, attack == COPY_IN_BY_GM || attack == COPY_OUT_BY_GM ? NPU_EXCEPTION : NPU_FAULT);
		ck_assert(result.started);
		expect_nothing_seen(&attacker);
		expect_unharmed(&victim);
	}
	/* its session is not broken for good */
	ASSERT_OUTCOME(run(attacker.connection, job_of(attacker.connection, program_copy(4, 1))), NPU_DONE);
	npu_disconnect(attacker.connection);
	npu_disconnect(victim.connection);
	harness_stop(harness);
}
END_TEST

/* The same while the victim has work queued all the time: the window changes hands right behind the forged chain. */
START_TEST(a_forged_chain_reaches_nobody_whose_work_is_waiting)
{
	struct harness *harness = harness_start(NULL);
	struct victim victim = victim_start(harness);
	struct attacker attacker = attacker_start(harness, _i != 0);
	uint64_t own_base = base_of(attacker.connection);

	harness->hides_completions = true;
	for (unsigned round = 0; round < 12; round++) {
		uint64_t own[4], theirs[4];

		write_forged(&attacker, &victim, own_base, (enum attack)(round % ATTACKS));
		for (unsigned i = 0; i < 4; i++) {
			own[i] = submit(attacker.job, BUDGET_NS);
			theirs[i] = submit(victim.job, 0);
		}
		for (unsigned i = 0; i < 4; i++) {
			struct npu_result result = wait_for(attacker.connection, own[i]);
			/* where the chain's own end is not hidden, the job is over before the forged part begins */
			ck_assert_msg(result.outcome == NPU_FAULT || result.outcome == NPU_EXCEPTION ||
					  result.outcome == NPU_TIMEOUT || (_i == 0 && result.outcome == NPU_DONE),
				      "%s: %s", npu_outcome_name(result.outcome), result.message);
			ASSERT_OUTCOME(wait_for(victim.connection, theirs[i]), NPU_DONE);
		}
		expect_nothing_seen(&attacker);
		expect_unharmed(&victim);
	}
	npu_disconnect(attacker.connection);
	npu_disconnect(victim.connection);
	harness_stop(harness);
}
END_TEST

/* ------------------------------------------------------------------ nonsense in its own chain */

/* Every link and every name of all TCBs of the chain becomes `value`, for ever. */
static struct program wrecker(uint32_t value, bool for_ever)
{
	struct program program = {0};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_LI, 6, 0, 0, value, 0, 0);
	unsigned top = program_emit(&program, ISA_SREG, 5, 0, 0, ISA_SREG_TCBP, 0, 0);
	program_emit(&program, ISA_LI, 7, 0, 0, GROUPS * TECS, 0, 0);
	unsigned next = program_emit(&program, ISA_ST32, 0, 5, 6, offsetof(struct zy3_task_tcb, next), 0, 0);
	program_emit(&program, ISA_ST32, 0, 5, 6, offsetof(struct zy3_task_tcb, tcbp), 0, 0);
	program_emit(&program, ISA_ADD, 5, 5, 0, ZY_TCB_BYTES, 0, 0);
	unsigned loop = program_emit(&program, ISA_LOOP, 7, 0, 0, 0, 0, 0);
	program.insn[loop].a = (uint32_t) - (int32_t)((loop - next) * ISA_INSN_BYTES);
	if (for_ever) {
		unsigned again = program_emit(&program, ISA_JMP, 0, 0, 0, 0, 0, 0);
		program.insn[again].a = (uint32_t) - (int32_t)((again - top) * ISA_INSN_BYTES);
	}
	program_end(&program);
	add_idle_groups(&program);
	return program;
}

START_TEST(a_chain_that_wrecks_itself_harms_its_owner_alone)
{
	/* no address, misaligned, the END code, the hold TCBs, the spare page, a client's memory */
	static const uint32_t values[] = {0xffffffff, 0x00100004, 0x00100000, 0x00100080, ARENA_SPARE, 0x02000000, 0};
	struct harness *harness = harness_start(NULL);
	struct victim victim = victim_start(harness);
	struct npu_connection *hostile = harness_connect(harness);

	harness->hides_completions = true;
	for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
		for (int for_ever = 0; for_ever < 2; for_ever++) {
			struct npu_job *job = job_of(hostile, wrecker(values[i], for_ever));
			/* a chain that ends early ends without a word: the budget has it */
			struct npu_result result = wait_for(hostile, submit(job, BUDGET_NS / 3));

			ck_assert_msg(result.outcome != NPU_DONE || !for_ever, "value %#x", values[i]);
			ck_assert_msg(result.outcome == NPU_DONE || result.outcome == NPU_EXCEPTION ||
					  result.outcome == NPU_FAULT || result.outcome == NPU_TIMEOUT,
				      "%s: %s", npu_outcome_name(result.outcome), result.message);
			expect_unharmed(&victim);
		}
	}
	ASSERT_OUTCOME(run(hostile, job_of(hostile, program_copy(4, 1))), NPU_DONE);
	npu_disconnect(hostile);
	npu_disconnect(victim.connection);
	harness_stop(harness);
}
END_TEST

/* The last TCB leads back into the chain: it never ends, its budget does. */
START_TEST(a_chain_that_leads_back_into_itself_ends_with_its_budget)
{
	struct harness *harness = harness_start(NULL);
	struct victim victim = victim_start(harness);
	struct npu_connection *hostile = harness_connect(harness);
	const uint32_t tail = (GROUPS * TECS - 1) * ZY_TCB_BYTES, back = (GROUPS - 4) * TECS * ZY_TCB_BYTES;
	struct program program = {0};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_SREG, 5, 0, 0, ISA_SREG_TCBP, 0, 0);
	program_emit(&program, ISA_LI, 6, 0, 0, ZY3_TCB_TASK | ZY3_TCB_GROUP_END, 0, 0);
	program_emit(&program, ISA_ST32, 0, 5, 6, tail + offsetof(struct zy3_task_tcb, flag), 0, 0);
	program_emit(&program, ISA_ADD, 6, 5, 0, back, 0, 0); /* the window's base has no low half */
	program_emit(&program, ISA_ST32, 0, 5, 6, tail + offsetof(struct zy3_task_tcb, next), 0, 0);
	program_end(&program);
	add_idle_groups(&program);
	struct npu_job *job = job_of(hostile, program);
	uint64_t endless = submit(job, BUDGET_NS), waiting = submit(victim.job, 0);
	ASSERT_OUTCOME(wait_for(hostile, endless), NPU_TIMEOUT);
	ASSERT_OUTCOME(wait_for(victim.connection, waiting), NPU_DONE);
	expect_unharmed(&victim);
	npu_disconnect(hostile);
	npu_disconnect(victim.connection);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("forged");
	TCase *all = tcase_create("forged");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, a_forged_chain_does_run_inside_its_own_session);
	tcase_add_loop_test(all, a_forged_chain_reaches_no_other_session, 0, ATTACKS);
	tcase_add_loop_test(all, a_forged_chain_reaches_nobody_whose_work_is_waiting, 0, 2);
	tcase_add_test(all, a_chain_that_wrecks_itself_harms_its_owner_alone);
	tcase_add_test(all, a_chain_that_leads_back_into_itself_ends_with_its_budget);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
