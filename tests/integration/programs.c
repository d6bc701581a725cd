/* SPDX-License-Identifier: Apache-2.0 */
/* The assembler and the ready-made programs; programs_elf.c writes the file. */
#include "tests/integration/programs.h"

#include <stdlib.h>
#include <string.h>

#include "proto/zhouyi_tcb.h"

#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

void program_group(struct program *program, int32_t precursors)
{
	MUST(program->groups < PROGRAM_MAX_GROUPS);
	program->entry[program->groups] = program->insns;
	program->precursors[program->groups++] = precursors;
}

unsigned program_emit(struct program *program, enum isa_opcode opcode, unsigned rd, unsigned rs1, unsigned rs2,
		      uint32_t a, uint32_t b, uint32_t c)
{
	MUST(program->insns < PROGRAM_MAX_INSNS);
	program->insn[program->insns] = (struct isa_insn){.opcode = (uint8_t)opcode,
							  .rd = (uint8_t)rd,
							  .rs1 = (uint8_t)rs1,
							  .rs2 = (uint8_t)rs2,
							  .a = a,
							  .b = b,
							  .c = c};
	return program->insns++;
}

void program_end(struct program *program)
{
	static const uint32_t end[] = ZY3_END_PACKET;

	MUST(program->insns < PROGRAM_MAX_INSNS);
	memcpy(&program->insn[program->insns++], end, sizeof(end));
}

void program_land(struct program *program, unsigned branch)
{
	program->insn[branch].a = (uint32_t)((int32_t)(program->insns - branch) * (int32_t)ISA_INSN_BYTES);
}

void program_prologue(struct program *program)
{
	program_emit(program, ISA_SREG, R_TASK, 0, 0, ISA_SREG_TASK, 0, 0);
	unsigned first = program_emit(program, ISA_BEQ, 0, R_TASK, 0, 0, 0, 0);
	program_end(program);
	program_land(program, first);
	program_emit(program, ISA_SREG, R_PP, 0, 0, ISA_SREG_PP, 0, 0);
	program_emit(program, ISA_LD32, R_IN, R_PP, 0, PROGRAM_INPUT, 0, 0);
	program_emit(program, ISA_LD32, R_OUT, R_PP, 0, PROGRAM_OUTPUT, 0, 0);
}

struct program program_noop(void)
{
	struct program program = {0};

	program_group(&program, -1);
	program_end(&program);
	return program;
}

/* for (n = words; n; n--) *out++ = *(asid : in)++ + add */
static void emit_copy_loop(struct program *program, uint32_t words, uint32_t add, uint32_t asid)
{
	program_emit(program, ISA_LI, 5, 0, 0, words, 0, 0);
	unsigned top = program_emit(program, ISA_LD32, 6, R_IN, 0, 0, asid, 0);
	program_emit(program, ISA_ADD, 6, 6, 0, add, 0, 0);
	program_emit(program, ISA_ST32, 0, R_OUT, 6, 0, 0, 0);
	program_emit(program, ISA_ADD, R_IN, R_IN, 0, 4, 0, 0);
	program_emit(program, ISA_ADD, R_OUT, R_OUT, 0, 4, 0, 0);
	unsigned loop = program_emit(program, ISA_LOOP, 5, 0, 0, 0, 0, 0);
	program->insn[loop].a = (uint32_t) - (int32_t)((loop - top) * ISA_INSN_BYTES);
}

struct program program_copy(uint32_t words, uint32_t add)
{
	struct program program = {.tensor_bytes = words * 4};

	program_group(&program, -1);
	program_prologue(&program);
	emit_copy_loop(&program, words, add, 0);
	program_end(&program);
	return program;
}

struct program program_constants(uint32_t words)
{
	struct program program = {.constant_bytes = words * 4};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_LD32, R_IN, R_PP, 0, PROGRAM_CONSTANTS, 0, 0);
	emit_copy_loop(&program, words, 0, 1);
	program_end(&program);
	return program;
}

/* Says that it runs: what submit_running() waits for. */
static void begin_running(struct program *program)
{
	program->prints = 1;
	memcpy(program->parameters + PROGRAM_FREE, "running", 7);
	program_group(program, -1);
	program_prologue(program);
	program_emit(program, ISA_PRINT, 0, R_PP, 0, PROGRAM_FREE, 7, 0);
}

struct program program_spin(void)
{
	struct program program = {0};

	begin_running(&program);
	program_emit(&program, ISA_SPIN, 0, 0, 0, 0, 0, 0);
	program_end(&program);
	return program;
}

struct program program_gate(void)
{
	struct program program = {0};

	begin_running(&program);
	program_emit(&program, ISA_LD32, 5, R_IN, 0, 0, 0, 0);
	program_emit(&program, ISA_BEQ, 0, 5, 0, -(uint32_t)ISA_INSN_BYTES, 0, 0);
	program_emit(&program, ISA_ST32, 0, R_OUT, 5, 0, 0, 0);
	program_end(&program);
	return program;
}

struct program program_delay(uint32_t cycles)
{
	struct program program = {0};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_SPIN, 0, 0, 0, cycles, 0, 0);
	emit_copy_loop(&program, 1, 0, 0);
	program_end(&program);
	return program;
}

struct program program_peek(void)
{
	struct program program = {0};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_LD32, 5, R_IN, 0, 0, 0, 0);
	program_emit(&program, ISA_LD32, 6, 5, 0, 0, 0, 0);
	program_emit(&program, ISA_ST32, 0, R_OUT, 6, 0, 0, 0);
	program_end(&program);
	return program;
}

struct program program_poke(void)
{
	struct program program = {0};

	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_LD32, 5, R_IN, 0, 0, 0, 0);
	program_emit(&program, ISA_LD32, 6, R_IN, 0, 4, 0, 0);
	program_emit(&program, ISA_ST32, 0, 5, 6, 0, 0, 0);
	program_emit(&program, ISA_ST32, 0, R_OUT, 6, 0, 0, 0);
	program_end(&program);
	return program;
}

struct program program_core(unsigned groups)
{
	struct program program = {0};

	for (unsigned i = 0; i < groups; i++) {
		program_group(&program, 0);
		program_prologue(&program);
		program_emit(&program, ISA_SREG, 5, 0, 0, ISA_SREG_CORE, 0, 0);
		program_emit(&program, ISA_SPIN, 0, 0, 0, 1000, 0, 0);
		program_emit(&program, ISA_ST32, 0, R_OUT, 5, i * 4, 0, 0);
		program_end(&program);
	}
	return program;
}

struct program program_exception(uint32_t code)
{
	struct program program = {0};

	program_group(&program, -1);
	program_emit(&program, ISA_EXCEPTION, 0, 0, 0, code, 0, 0);
	program_end(&program);
	return program;
}

struct program program_illegal(void)
{
	struct program program = {0};

	program_group(&program, -1);
	program_emit(&program, (enum isa_opcode)0xee, 0, 0, 0, 0, 0, 0);
	program_end(&program);
	return program;
}

struct program program_print(const char *text)
{
	struct program program = {.prints = 1};
	size_t bytes = strlen(text);

	MUST(bytes < PROGRAM_PARAMETER_BYTES - PROGRAM_FREE);
	memcpy(program.parameters + PROGRAM_FREE, text, bytes);
	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_PRINT, 0, R_PP, 0, PROGRAM_FREE, (uint32_t)bytes, 0);
	program_end(&program);
	return program;
}

struct program program_chain(unsigned groups)
{
	struct program program = {0};

	for (unsigned i = 0; i < groups; i++) {
		program_group(&program, i == 0 ? -1 : 1);
		program_prologue(&program);
		program_emit(&program, ISA_LD32, 6, i == 0 ? R_IN : R_OUT, 0, 0, 0, 0);
		program_emit(&program, ISA_ADD, 6, 6, 0, 1, 0, 0);
		program_emit(&program, ISA_ST32, 0, R_OUT, 6, 0, 0, 0);
		program_end(&program);
	}
	return program;
}
