/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that fault, break the rules or lose their memory: what is reported, and that nothing else suffers. */
#include "tests/unit/emulator/program.h"

/* ------------------------------------------------------------------ faults and exceptions */

static const struct isa_insn bad_accesses[] = {
    {ISA_LD32, 1, 0, 0, RIG_BYTES, 0, 0}, /* behind the mapping */
    {ISA_ST32, 0, 0, 1, RIG_BYTES - 2, 0, 0}, /* across its end */
    {ISA_LD32, 1, 0, 0, RIG_DATA, 2, 0}, /* a region without permission */
    {ISA_LD32, 1, 0, 0, RIG_DATA, 4, 0}, /* a region that does not exist */
    {ISA_LD8, 1, 0, 0, ISA_LOCAL_BASE + CHIP_LOCAL_BYTES, 0, 0}, /* behind local memory */
    {ISA_ST8, 0, 0, 1, ISA_SHARED_BASE + CHIP_SHARED_BYTES, 0, 0}, /* behind shared memory */
    {ISA_LD32, 1, 0, 0, ISA_GM_BASE + (4u << 20) - 3, 0, 0}, /* across GM's end */
    {ISA_LD32, 1, 0, 0, 0xfffffffd, 0, 0}, /* across the top */
    {ISA_ST32, 0, 0, 1, ISA_LOCAL_BASE - 2, 0, 0}, /* from memory into the chip */
    {ISA_TENSOR, 0, 0, 0, 0, RIG_BYTES, 64}, /* a record outside */
};

START_TEST(an_access_outside_what_is_mapped_is_a_fault_of_that_task)
{
	/* only task 1 does it */
	PROGRAM(INSN(ISA_SREG, 2, .a = ISA_SREG_TASK), INSN(ISA_LI, 3, .a = 1), INSN(ISA_BNE, 0, 2, 3, 32),
		bad_accesses[_i], INSN(ISA_SPIN));
	start(4);
	ck_assert_uint_eq(rig_wait(&rig) & 0xfff, FAULT_DONE);
	ck_assert_uint_eq(rig_r(&rig, RIG_TCB_PTR), FIRST_TASK + 128);
	ck_assert_uint_eq(rig_r(&rig, RIG_FIRST_BAD), 0x80000031);
	rig_w(&rig, RIG_FIRST_BAD, 0);
	/* fault first, then the done that came with it: one event, acknowledged twice */
	rig_w(&rig, RIG_STATUS, 8);
	ck_assert_uint_eq(rig_r(&rig, RIG_STATUS), 1);
	rig_w(&rig, RIG_STATUS, 1);
	rig_expect_silence(&rig);
	rig_wait_idle(&rig); /* the group ended, spinning tasks too */
	ck_assert_uint_eq(rig_stats(&rig).faults, 1);
	/* nothing more is fed until an abort */
	rig_head(&rig, RIG_CHAIN);
	rig_w(&rig, 0x0, 4);
	rig_wait_idle(&rig);
	rig_abort(&rig);
	PROGRAM(INSN(ISA_LI, 1));
	run(4);
}
END_TEST

START_TEST(permissions_are_the_mappings)
{
	int fd = memfd_create("ro", MFD_CLOEXEC);

	ck_assert_int_eq(ftruncate(fd, 8192), 0);
	ck_assert_int_eq(dma_map_add(rig.dma, fd, 0, RIG_BASE + RIG_BYTES, 4096, DMA_ACCESS_READ), 0);
	ck_assert_int_eq(dma_map_add(rig.dma, fd, 4096, RIG_BASE + RIG_BYTES + 4096, 4096, DMA_ACCESS_WRITE), 0);
	PROGRAM(INSN(ISA_LD32, 1, .a = RIG_BYTES), INSN(ISA_ST32, 0, 0, 1, RIG_BYTES + 4096));
	run(1);
	PROGRAM(INSN(ISA_ST8, 0, 0, 1, RIG_BYTES + 4));
	start(1);
	rig_expect(&rig, FAULT_DONE, FIRST_TASK);
	rig_abort(&rig);
	PROGRAM(INSN(ISA_LD8, 1, .a = RIG_BYTES + 4096));
	start(1);
	rig_expect(&rig, FAULT_DONE, FIRST_TASK);
	rig_abort(&rig);
	/* and the init TCB's */
	PROGRAM(INSN(ISA_ST8, 0, 0, 1, RIG_DATA, 1));
	rig_chain(&rig, 1, ZY3_INTR_CORE);
	rig_tcb(&rig, RIG_CHAIN)->init.asid[1].lo &= ~ZY3_TCB_ASID_WRITE;
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_expect(&rig, FAULT_DONE, FIRST_TASK);
	close(fd);
}
END_TEST

START_TEST(a_program_outside_memory_faults_at_its_first_fetch)
{
	rig_chain(&rig, 1, ZY3_INTR_CORE);
	rig_tcb(&rig, FIRST_TASK)->task.spc = RIG_BYTES;
	rig_dispatch(&rig, RIG_CHAIN, 1);
	rig_expect(&rig, FAULT_DONE, FIRST_TASK);
}
END_TEST

START_TEST(illegal_instructions_are_exceptions)
{
	static const struct isa_insn insn[] = {{0x00, 0, 0, 0, 0, 0, 0},      {0x0a, 0, 0, 0, 0, 0, 0},
					       {0x14, 0, 0, 0, 0, 0, 0},      {0x41, 0, 0, 0, 0, 0, 0},
					       {0xff, 0, 0, 0, 0, 0, 0},      {ISA_LI, 32, 0, 0, 0, 0, 0},
					       {ISA_ADD, 1, 99, 0, 0, 0, 0},  {ISA_ADD, 1, 0, 32, 0, 0, 0},
					       {ISA_SREG, 1, 0, 0, 13, 0, 0}, {ISA_JMP, 0, 0, 0, 8, 0, 0}};

	program(&insn[_i], 1);
	start(2);
	ck_assert_uint_eq(rig_wait(&rig) & 0xfff, EXCEPTION);
	ck_assert_uint_eq(rig_r(&rig, RIG_SIGNAL_FLAG), ZY3_SIGNAL_HW_EXCEPTION | ISA_EXC_ILLEGAL);
	ck_assert_uint_eq(rig_r(&rig, RIG_STATUS) & 0x7f, ZY3_INTR_EXCEPTION);
	rig_w(&rig, RIG_STATUS, ZY3_INTR_EXCEPTION);
	rig_expect_silence(&rig);
	rig_abort(&rig);
}
END_TEST

START_TEST(a_software_exception_carries_its_code)
{
	PROGRAM(INSN(ISA_EXCEPTION, .a = 0x1234));
	start(1);
	rig_expect(&rig, EXCEPTION, FIRST_TASK);
	/* the flag is gone with the event; read before: */
	rig_abort(&rig);
	start(1);
	ck_assert_uint_eq(rig_wait(&rig) & 0xfff, EXCEPTION);
	ck_assert_uint_eq(rig_r(&rig, RIG_SIGNAL_FLAG), ZY3_SIGNAL_SW_EXCEPTION | ISA_EXC_SOFTWARE | 0x34);
	ck_assert_uint_eq(rig_stats(&rig).exceptions, 2);
}
END_TEST

START_TEST(bad_records_are_exceptions)
{
	static const uint32_t bytes[] = {0, 15, 4097, 0xffffffff, 16};

	/* the last one has a fair size and no sense */
	memset(rig.memory + RIG_PARAM, 0xee, 64);
	PROGRAM(INSN(ISA_TENSOR, .c = bytes[_i]));
	start(1);
	ck_assert_uint_eq(rig_wait(&rig) & 0xfff, EXCEPTION);
	ck_assert_uint_eq(rig_r(&rig, RIG_SIGNAL_FLAG), ZY3_SIGNAL_HW_EXCEPTION | ISA_EXC_RECORD);
	rig_abort(&rig);
}
END_TEST

START_TEST(abnormal_events_need_their_type_enabled)
{
	PROGRAM(INSN(ISA_EXCEPTION));
	rig_chain(&rig, 1, ZY3_INTR_CORE);
	rig_tcb(&rig, FIRST_TASK)->task.interrupt_en &= ~ZY3_INTR_EXCEPTION;
	rig_dispatch(&rig, RIG_CHAIN, 1);
	uint64_t until = emu_now_ns() + RIG_WAIT_MS * 1000000ull;
	while (!(rig_r(&rig, RIG_STATUS) & ZY3_INTR_EXCEPTION))
		ck_assert_uint_lt(emu_now_ns(), until);
	rig_expect_silence(&rig);
	rig_abort(&rig);
	/* core level if that is all there is */
	rig_w(&rig, RIG_INTR_CTRL, 0x23d);
	start(1);
	rig_expect(&rig, ZY3_INTR_CORE | ZY3_INTR_EXCEPTION, FIRST_TASK);
}
END_TEST

START_TEST(a_tensor_operand_outside_is_a_fault)
{
	copy_record(RIG_DATA, RIG_BYTES - 2000, 1000);
	PROGRAM(INSN(ISA_TENSOR, .a = ISA_T_COPY, .c = sizeof(struct isa_record) + 2 * sizeof(struct isa_operand)));
	start(1);
	rig_expect(&rig, FAULT_DONE, FIRST_TASK);
}
END_TEST

START_TEST(a_file_cut_short_under_a_program_is_a_fault)
{
	int fd = memfd_create("cut", MFD_CLOEXEC);

	ck_assert_int_eq(dma_install_sigbus(), 0);
	ck_assert_int_eq(ftruncate(fd, 65536), 0);
	ck_assert_int_eq(dma_map_add(rig.dma, fd, 0, RIG_BASE + RIG_BYTES, 65536, 3), 0);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	if (_i) {
		copy_record(RIG_BYTES, RIG_DATA, 4000);
		PROGRAM(INSN(ISA_TENSOR, .c = sizeof(struct isa_record) + 2 * sizeof(struct isa_operand)));
	} else {
		PROGRAM(INSN(ISA_LD32, 1, .a = RIG_BYTES + 8192));
	}
	start(1);
	rig_expect(&rig, FAULT_DONE, FIRST_TASK);
	close(fd);
}
END_TEST

START_TEST(an_abort_reaches_into_one_endless_operator)
{
	/* 2^32 exponentials of the same word: far longer than anybody waits */
	struct isa_record *record = (void *)rig_word(&rig, RIG_PARAM);
	struct isa_reduce_params *params = (void *)&record->operand[2];

	copy_record(RIG_DATA + 128, RIG_DATA + 64, 1);
	record->op = ISA_T_REDUCE;
	record->split = ISA_SPLIT_NONE;
	record->bytes += sizeof(*params);
	for (int i = 0; i < 2; i++) {
		record->operand[i].rank = 2;
		record->operand[i].strides[0] = record->operand[i].strides[1] = !i;
		record->operand[i].dims[0] = record->operand[i].dims[1] = i ? 1u << 16 : 1;
	}
	params->fn = ISA_R_LOG_SUM_EXP;
	PROGRAM(INSN(ISA_LI, 1, .a = 1), INSN(ISA_ST32, 0, 0, 1, RIG_DATA),
		INSN(ISA_TENSOR, .a = ISA_T_REDUCE, .c = record->bytes));
	start(1);
	await(RIG_DATA);
	rig_abort(&rig);
	rig_wait_idle(&rig);
	rig_expect_silence(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exec_faults");
	TCase *faults = tcase_create("faults");

	add(faults, suite);
	tcase_add_loop_test(faults, an_access_outside_what_is_mapped_is_a_fault_of_that_task, 0, 10);
	tcase_add_test(faults, permissions_are_the_mappings);
	tcase_add_test(faults, a_program_outside_memory_faults_at_its_first_fetch);
	tcase_add_loop_test(faults, illegal_instructions_are_exceptions, 0, 10);
	tcase_add_test(faults, a_software_exception_carries_its_code);
	tcase_add_loop_test(faults, bad_records_are_exceptions, 0, 5);
	tcase_add_test(faults, an_abort_reaches_into_one_endless_operator);
	tcase_add_test(faults, abnormal_events_need_their_type_enabled);
	tcase_add_test(faults, a_tensor_operand_outside_is_a_fault);
	tcase_add_loop_test(faults, a_file_cut_short_under_a_program_is_a_fault, 0, 2);
	return suite_main(suite);
}
