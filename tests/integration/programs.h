/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small hand-assembled executables for tests: an assembler of a dozen lines and the ELF file around it. Each program
 * has one input and one output tensor; its parameter block holds their addresses at bytes 0 and 4.
 */
#ifndef NPUD_TESTS_PROGRAMS_H
#define NPUD_TESTS_PROGRAMS_H

#include <stddef.h>
#include <stdint.h>

#include "emulator/isa.h"

#define PROGRAM_MAX_INSNS 128u
#define PROGRAM_MAX_GROUPS 32u
#define PROGRAM_PARAMETER_BYTES 1024u
#define PROGRAM_TENSOR_BYTES 4096u
/* In the parameter block: patched with the addresses of input, output and (ASID1) constants; free from here on. */
#define PROGRAM_INPUT 0u
#define PROGRAM_OUTPUT 4u
#define PROGRAM_CONSTANTS 8u
#define PROGRAM_FREE 64u

struct program {
	struct isa_insn insn[PROGRAM_MAX_INSNS];
	unsigned insns;
	uint8_t parameters[PROGRAM_PARAMETER_BYTES];
	uint32_t entry[PROGRAM_MAX_GROUPS]; /* first instruction of each group */
	int32_t precursors[PROGRAM_MAX_GROUPS]; /* -1 everything before, 0 none, 1 the one before */
	unsigned groups;
	uint32_t tensor_bytes; /* 0 = PROGRAM_TENSOR_BYTES */
	uint32_t constant_bytes; /* 0 = no constants; else the weights are bytes 0, 1, 2... modulo 251 */
	int prints;
};

/* Registers that program_prologue() fills. */
enum { R_TASK = 1, R_PP = 2, R_IN = 3, R_OUT = 4 };

/* Starts a group: what follows is its code. */
void program_group(struct program *program, int32_t precursors);
/* Appends one instruction; its index. */
unsigned program_emit(struct program *program, enum isa_opcode opcode, unsigned rd, unsigned rs1, unsigned rs2,
		      uint32_t a, uint32_t b, uint32_t c);
void program_end(struct program *program);
/* A branch's target becomes the next instruction. */
void program_land(struct program *program, unsigned branch);
/* Task 0 goes on with R_IN and R_OUT loaded; the others end. */
void program_prologue(struct program *program);

/* The file, malloc'd. */
void *program_elf(const struct program *program, size_t *bytes);

/* --- ready-made programs */

struct program program_noop(void);
/* out[i] = in[i] + add, for `words` words */
struct program program_copy(uint32_t words, uint32_t add);
/* prints that it runs (see submit_running()), then spins until it is aborted */
struct program program_spin(void);
/* prints that it runs, then waits until in[0] is not 0: out[0] = in[0] */
struct program program_gate(void);
/* spends `cycles`, then out[0] = in[0] */
struct program program_delay(uint32_t cycles);
/* out[0] = the word at ASID0 address in[0] */
struct program program_peek(void);
/* the word at ASID0 address in[0] = in[1], then out[0] = in[1] */
struct program program_poke(void);
/* groups that may run at the same time: out[group] = the core that it runs on */
struct program program_core(unsigned groups);
struct program program_exception(uint32_t code);
struct program program_illegal(void);
struct program program_print(const char *text);
/* out[i] = constant word i: through ASID1 */
struct program program_constants(uint32_t words);
/* groups that follow each other: each adds 1 to out[0], which starts as in[0] */
struct program program_chain(unsigned groups);

#endif
