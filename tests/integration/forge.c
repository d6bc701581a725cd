/* SPDX-License-Identifier: Apache-2.0 */
/* Victims, attackers and forged chains; see forge.h. */
#include "tests/integration/forge.h"

#include <unistd.h>

#include "libclient/objects.h"

#define COPY_WORDS 1024u /* a page: the canary begins at one */
#define CANARY_WORDS (256u << 10)

/* ------------------------------------------------------------------ the victim */

/* Where a session's window begins: the library does not keep bus addresses, so a buffer is imported by hand. */
uint64_t base_of(struct npu_connection *connection)
{
	Npud__BufferImport import = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_buffer buffer = {0};
	struct npu_reply reply;
	int fd;

	ASSERT_NPU(npu_memfd_create(4096, &fd));
	ASSERT_NPU(npu_memfd_map(fd, &buffer.memory, &buffer.mapped));
	ASSERT_NPU(npu_memfd_seal(fd, false));
	import.bytes = 4096;
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
	victim->where.address = victim->job->pool.npu_address + (uint32_t)at;
	victim->where.base = base_of(victim->connection);
}

static struct program canary_program(uint32_t add)
{
	struct program program = program_copy(COPY_WORDS, add);

	program.tensor_bytes = (COPY_WORDS + CANARY_WORDS) * 4;
	return program;
}

struct victim victim_in(struct npu_connection *connection, uint32_t add)
{
	struct victim victim = {.connection = connection};

	victim.job = job_of(connection, canary_program(add));
	set_canary(&victim);
	return victim;
}

struct victim victim_start(struct harness *harness)
{
	return victim_in(harness_connect(harness), 7);
}

void expect_unharmed(const struct victim *victim)
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

/* Copies `words` of the input to the spare page, then makes the chain's last TCB point there. */
static void emit_forge(struct program *program, uint32_t words, bool hide_end)
{
	const uint32_t tail = (FORGE_GROUPS * FORGE_TECS - 1) * ZY_TCB_BYTES; /* from the first task's TCB on */

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

void add_idle_groups(struct program *program)
{
	uint32_t entry = program->insns;

	program_end(program);
	while (program->groups < FORGE_GROUPS) {
		program->entry[program->groups] = entry;
		program->precursors[program->groups++] = 1;
	}
}

struct attacker attacker_start(struct harness *harness, bool hide_end)
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
	attacker.base = base_of(attacker.connection);
	const struct npu_graph *graph = attacker.job->graph;
	attacker.text = graph->pool.npu_address + (uint32_t)graph->plan.text.offset;
	attacker.parameters = attacker.job->pool.npu_address + (uint32_t)graph->plan.rodata.offset;
	return attacker;
}

static struct zy_asid_word window(uint64_t base)
{
	return (struct zy_asid_word){(uint32_t)base | ZY3_TCB_ASID_RW, (uint32_t)(base >> 32)};
}

void write_forged(const struct attacker *attacker, struct target target, enum attack attack)
{
	union zy3_tcb forged[2] = {0};
	uint64_t canary = target.base + target.address;
	struct zy3_init_tcb *init = &forged[0].init;
	struct zy3_task_tcb *task = &forged[1].task;
	bool write = attack == WRITE_BY_OTHER_REGION;

	init->flag = ZY3_TCB_INIT;
	init->next = ARENA_SPARE + ZY_TCB_BYTES;
	init->grid_id = 0x77;
	init->asid[0] = window(attack == RUN_IN_VICTIMS_WINDOW ? target.base : attacker->base);
	init->asid[1] = window(attacker->base);
	init->asid[2] = window(target.base);
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
			? target.address
			: attacker->text + (write ? attacker->writer : attacker->reader) * ISA_INSN_BYTES;
	task->pp = attacker->parameters;
	task->tcbp = ARENA_SPARE + ZY_TCB_BYTES;
	input_of(attacker->job)[IN_VICTIM] = target.address;
	memcpy(input_of(attacker->job) + IN_FORGED, forged, sizeof(forged));
	memset(output_of(attacker->job), 0, 64);
}

void expect_nothing_seen(const struct attacker *attacker)
{
	const uint32_t *output = output_of(attacker->job);
	uint32_t seen = 0;

	for (uint32_t i = 0; i < PROGRAM_TENSOR_BYTES / 4; i++)
		seen += output[i] == CANARY;
	ck_assert_uint_eq(seen, 0);
	ck_assert_uint_eq(output[OUT_CAME_BACK], 0);
}
