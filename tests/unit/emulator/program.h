/* SPDX-License-Identifier: Apache-2.0 */
/* The bench of rig.h with a program in it: what the tests of instructions and of their faults share. */
#ifndef NPUD_TESTS_EMULATOR_PROGRAM_H
#define NPUD_TESTS_EMULATOR_PROGRAM_H

#include "tests/unit/emulator/rig.h"

#define CORE_DONE (ZY3_INTR_CORE | ZY3_INTR_DONE)
#define FAULT_DONE (ZY3_INTR_CLUSTER | ZY3_INTR_FAULT | ZY3_INTR_DONE)
#define EXCEPTION (ZY3_INTR_CLUSTER | ZY3_INTR_EXCEPTION)
#define TEC_SIGNAL (ZY3_INTR_TEC | ZY3_INTR_SIGNAL)
#define FIRST_TASK (RIG_CHAIN + 128)

static struct rig rig;

static inline void setup(void)
{
	rig_open(&rig);
	rig_init(&rig);
}

static inline void teardown(void)
{
	rig_close(&rig);
}

/* Writes a program to RIG_TEXT and an END behind it. */
static inline void program(const struct isa_insn *insn, size_t count)
{
	uint32_t at = RIG_TEXT;

	for (size_t i = 0; i < count; i++)
		at = rig_insn(&rig, at, insn[i]);
	rig_end(&rig, at);
}
#define PROGRAM(...)                                                                                                   \
	program((const struct isa_insn[]){__VA_ARGS__}, sizeof((const struct isa_insn[]){__VA_ARGS__}) / ISA_INSN_BYTES)

static inline void start(uint32_t tasks)
{
	rig_chain(&rig, tasks, ZY3_INTR_CORE);
	rig_dispatch(&rig, RIG_CHAIN, 0x31);
}

static inline void run(uint32_t tasks)
{
	start(tasks);
	rig_expect(&rig, CORE_DONE, FIRST_TASK + (tasks - 1) * 128);
}

static inline void await(uint32_t address)
{
	uint64_t until = emu_now_ns() + RIG_WAIT_MS * 1000000ull;

	while (!rig_get(&rig, address))
		ck_assert_msg(emu_now_ns() < until, "the program never got there");
}

/* A record of COPY over `count` words from asid 0 : from to asid 0 : to, at the parameter block. */
static inline void copy_record(uint32_t from, uint32_t to, uint32_t count)
{
	struct isa_record *record = (void *)(rig.memory + RIG_PARAM);

	memset(record, 0, sizeof(*record) + 2 * sizeof(record->operand[0]));
	record->op = ISA_T_COPY;
	record->bytes = sizeof(*record) + 2 * sizeof(record->operand[0]);
	record->split = 0;
	record->operand_count = 2;
	for (int i = 0; i < 2; i++) {
		record->operand[i].addr = i ? from : to;
		record->operand[i].dtype = 0xb; /* float */
		record->operand[i].rank = 1;
		record->operand[i].dims[0] = count;
		record->operand[i].strides[0] = 1;
	}
}

static inline void add(TCase *tcase, Suite *suite)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
}

#endif
