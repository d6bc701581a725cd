/* SPDX-License-Identifier: Apache-2.0 */
/* Programs: what instructions do, signals, what stays on the chip, and what time it is. */
#include "tests/unit/emulator/program.h"

static void setup_with(enum time_mode mode, uint64_t fixed_ns)
{
	const struct device_options options = {
	    .cores = 3, .threads = 2, .gm_mib = 4, .time = mode, .fixed_ns = fixed_ns};

	rig_open_with(&rig, &options);
	rig_init(&rig);
}

/* ------------------------------------------------------------------ instructions */

START_TEST(arithmetic_follows_the_manual)
{
	static const struct {
		uint8_t opcode;
		uint32_t x, y, a, result;
	} cases[] = {{ISA_ADD, 7, 5, 3, 15},       {ISA_SUB, 7, 5, 3, 0xffffffff},
		     {ISA_MUL, 7, 5, 3, 56},       {ISA_AND, 0xff, 0x0f, 0xf0, 0xff},
		     {ISA_OR, 0x100, 1, 1, 0x102}, {ISA_XOR, 0xff, 0x0f, 0, 0xf0},
		     {ISA_SHL, 1, 30, 3, 2},       {ISA_SHR, 0x80000000, 31, 0, 1}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		PROGRAM(INSN(ISA_LI, 1, .a = cases[i].x), INSN(ISA_LI, 2, .a = cases[i].y),
			INSN(cases[i].opcode, 3, 1, 2, cases[i].a), INSN(ISA_ST32, 0, 0, 3, RIG_DATA));
		run(1);
		ck_assert_uint_eq(rig_get(&rig, RIG_DATA), cases[i].result);
	}
}
END_TEST

START_TEST(register_zero_reads_zero)
{
	PROGRAM(INSN(ISA_LI, 0, .a = 9), INSN(ISA_ST32, 0, 0, 0, RIG_DATA));
	*rig_word(&rig, RIG_DATA) = 1;
	run(1);
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA), 0);
}
END_TEST

START_TEST(loops_and_branches)
{
	/* sum of 10..1, then two branches that skip a store of 99 */
	PROGRAM(INSN(ISA_LI, 1, .a = 10), INSN(ISA_ADD, 2, 2, 1), INSN(ISA_LOOP, 1, .a = (uint32_t)-16),
		INSN(ISA_ST32, 0, 0, 2, RIG_DATA), INSN(ISA_LI, 3, .a = 55), INSN(ISA_BEQ, 0, 2, 3, 32),
		INSN(ISA_ST32, 0, 0, 3, RIG_DATA + 4), INSN(ISA_BNE, 0, 2, 3, 48), INSN(ISA_BLTU, 0, 0, 3, 32),
		INSN(ISA_ST32, 0, 0, 3, RIG_DATA + 4), INSN(ISA_JMP, .a = 32), INSN(ISA_ST32, 0, 0, 3, RIG_DATA + 4));
	run(1);
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA), 55);
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA + 4), 0);
}
END_TEST

START_TEST(special_registers_name_the_task)
{
	struct isa_insn insn[2 * 12 + 3];
	size_t n = 0;

	/* each task stores to RIG_DATA + 256 * task */
	insn[n++] = INSN(ISA_SREG, 1, .a = ISA_SREG_TASK);
	insn[n++] = INSN(ISA_LI, 2, .a = 256);
	insn[n++] = INSN(ISA_MUL, 1, 1, 2);
	for (uint32_t s = 0; s < 12; s++) {
		insn[n++] = INSN(ISA_SREG, 3, .a = s);
		insn[n++] = INSN(ISA_ST32, 0, 1, 3, RIG_DATA + 4 * s);
	}
	program(insn, n);
	rig_chain(&rig, 4, ZY3_INTR_CORE);
	for (uint32_t t = 0; t < 4; t++) {
		struct zy3_task_tcb *tcb = &rig_tcb(&rig, FIRST_TASK + 128 * t)->task;

		tcb->sp = 0x100 + t;
		tcb->dp = 0x200 + t;
		tcb->cp = 0x300;
		tcb->pprint = 0x400;
		tcb->global_param = 0x500;
		tcb->grid_id = 0x66;
		tcb->group_id = 0x77;
	}
	rig_head(&rig, RIG_CHAIN);
	rig_w(&rig, 0x0, 5 | 1u << 24);
	rig_expect(&rig, CORE_DONE, FIRST_TASK + 3 * 128);
	for (uint32_t t = 0; t < 4; t++) {
		const uint32_t expected[12] = {
		    t, 4, RIG_PARAM, 0x100 + t, 0x200 + t, 0x300, 0x400, 0x500, FIRST_TASK + t * 128, 1, 0x66, 0x77};

		for (uint32_t s = 0; s < 12; s++)
			ck_assert_uint_eq(rig_get(&rig, RIG_DATA + 256 * t + 4 * s), expected[s]);
	}
}
END_TEST

START_TEST(bytes_and_regions)
{
	*rig_word(&rig, RIG_DATA) = 0x807060f0;
	PROGRAM(INSN(ISA_LD8, 1, .a = RIG_DATA, .b = 1), INSN(ISA_ST8, 0, 0, 1, RIG_DATA + 9, 1),
		INSN(ISA_LD32, 2, .a = RIG_DATA + 1), INSN(ISA_ST32, 0, 0, 2, RIG_DATA + 16));
	run(1);
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA + 8), 0xf000);
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA + 16) & 0xffffff, 0x807060);
}
END_TEST

START_TEST(a_barrier_waits_for_every_task_that_has_not_ended)
{
	/* tasks 1..3 store behind the barrier what task 0 wrote before it; task 3 ends early */
	PROGRAM(INSN(ISA_SREG, 1, .a = ISA_SREG_TASK), INSN(ISA_LI, 2, .a = 3), INSN(ISA_BEQ, 0, 1, 2, 10 * 16),
		INSN(ISA_BNE, 0, 1, 0, 3 * 16), INSN(ISA_SPIN, .a = 3000000), INSN(ISA_ST32, 0, 0, 2, RIG_DATA),
		INSN(ISA_BARRIER), INSN(ISA_LD32, 3, .a = RIG_DATA), INSN(ISA_LI, 4, .a = 4), INSN(ISA_MUL, 1, 1, 4),
		INSN(ISA_ST32, 0, 1, 3, RIG_DATA + 16), INSN(ISA_BARRIER));
	run(4);
	for (uint32_t t = 0; t < 3; t++)
		ck_assert_uint_eq(rig_get(&rig, RIG_DATA + 16 + 4 * t), 3);
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA + 16 + 12), 0);
}
END_TEST

START_TEST(four_tasks_meet_at_a_barrier_on_one_thread)
{
	const struct device_options options = {.cores = 3, .threads = 1, .gm_mib = 4};

	rig_close(&rig);
	rig_open_with(&rig, &options);
	rig_init(&rig);
	PROGRAM(INSN(ISA_BARRIER), INSN(ISA_BARRIER));
	run(4);
	/* and an endless program does not keep the only thread from another group */
	PROGRAM(INSN(ISA_JMP, .a = 0));
	start(1);
	uint32_t next = rig_init_tcb(&rig, 0x5000, 0x5080);
	uint32_t last = rig_group(&rig, next, 4, RIG_TEXT + 0x400, 0, ZY3_INTR_CORE, 0);

	rig_end(&rig, RIG_TEXT + 0x400);
	rig_head(&rig, 0x5000);
	rig_w(&rig, 0x0, 0x204);
	rig_expect(&rig, CORE_DONE, last);
	rig_abort(&rig);
}
END_TEST

START_TEST(a_tensor_instruction_works_through_memory_and_chip)
{
	copy_record(RIG_DATA, RIG_DATA + 0x10000, 1000);
	for (uint32_t i = 0; i < 1000; i++)
		((float *)(void *)(rig.memory + RIG_DATA))[i] = (float)i;
	PROGRAM(INSN(ISA_TENSOR, .a = ISA_T_COPY, .c = sizeof(struct isa_record) + 2 * sizeof(struct isa_operand)));
	run(4);
	ck_assert_int_eq(memcmp(rig.memory + RIG_DATA, rig.memory + RIG_DATA + 0x10000, 4000), 0);
	copy_record(RIG_DATA, ISA_GM_BASE + 64, 1000);
	run(4);
	ck_assert_int_eq(memcmp(rig.memory + RIG_DATA, rig.device->chip.gm + 64, 4000), 0);
}
END_TEST

START_TEST(a_tensor_over_several_mappings_is_put_together)
{
	/* two pages of one file in the wrong order: no single pointer */
	int fd = memfd_create("pages", MFD_CLOEXEC);

	ck_assert_int_eq(ftruncate(fd, 16384), 0);
	uint8_t *pages = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	for (uint32_t p = 0; p < 4; p++)
		ck_assert_int_eq(dma_map_add(rig.dma, fd, (3 - p) * 4096, RIG_BASE + RIG_BYTES + p * 4096, 4096, 3), 0);
	copy_record(RIG_DATA, RIG_BYTES + 64, 4000);
	for (uint32_t i = 0; i < 4000; i++)
		((float *)(void *)(rig.memory + RIG_DATA))[i] = (float)(i + 1);
	PROGRAM(INSN(ISA_TENSOR, .a = ISA_T_COPY, .c = sizeof(struct isa_record) + 2 * sizeof(struct isa_operand)));
	run(4);
	for (uint32_t i = 0; i < 4000; i++) {
		uint32_t at = 64 + 4 * i, page = 3 - at / 4096;

		ck_assert_float_eq(*(float *)(void *)(pages + page * 4096 + at % 4096), (float)(i + 1));
	}
	munmap(pages, 16384);
	close(fd);
}
END_TEST

START_TEST(two_writers_of_one_copied_range_do_not_undo_each_other)
{
	const struct mem_context context = {.asid = {{RIG_BASE + RIG_BYTES, true, true}}};
	atomic_bool stop = false;
	struct mem_view view = {.dma = rig.dma, .chip = &rig.device->chip, .context = &context, .stop = &stop};
	struct op_memory memory = mem_operators(&view);
	struct op_span one, two;
	int fd = memfd_create("pages", MFD_CLOEXEC);

	/* two mappings, so that there is no single pointer; the second one cannot be read */
	ck_assert_int_eq(ftruncate(fd, 16384), 0);
	uint8_t *pages = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	memset(pages, 1, 16384);
	ck_assert_int_eq(dma_map_add(rig.dma, fd, 8192, RIG_BASE + RIG_BYTES, 4096, 3), 0);
	ck_assert_int_eq(dma_map_add(rig.dma, fd, 0, RIG_BASE + RIG_BYTES + 4096, 4096, _i ? 2 : 3), 0);
	ck_assert_int_eq(memory.get(memory.ctx, 0, 0, 8192, OP_WRITE, &one), 0);
	if (_i == 0) {
		ck_assert_int_eq(memory.get(memory.ctx, 0, 0, 8192, OP_WRITE, &two), 0);
		for (uint32_t i = 0; i < 8192; i += 2) {
			((uint8_t *)one.data)[i] = 2;
			((uint8_t *)two.data)[i + 1] = 3;
		}
		memory.put(memory.ctx, &two);
	} else {
		/* what cannot be read is written whole */
		memset(one.data, 0, 8192);
	}
	memory.put(memory.ctx, &one);
	for (uint32_t i = 0; i < 8192; i++)
		ck_assert_int_eq(pages[i < 4096 ? 8192 + i : i - 4096], _i ? 0 : i % 2 ? 3 : 2);
	ck_assert_int_eq(pages[4096], 1);
	ck_assert(!view.fault.valid);
	munmap(pages, 16384);
	close(fd);
}
END_TEST

static struct isa_operand operand4(uint32_t addr, uint32_t n, uint32_t c, uint32_t h, uint32_t w)
{
	return (struct isa_operand){.addr = addr,
				    .dtype = 0xb,
				    .rank = 4,
				    .dims = {n, c, h, w},
				    .strides = {(int32_t)(c * h * w), (int32_t)(h * w), (int32_t)w, 1}};
}

START_TEST(large_convolutions_are_measured_for_how_evenly_they_are_shared)
{
	struct {
		uint32_t header[sizeof(struct isa_record) / 4];
		struct isa_operand operand[5];
		struct isa_conv_params params;
	} conv = {.header = {ISA_T_CONV, sizeof(conv), 2, 5},
		  .params = {.spatial = 2, .group = 1, .stride = {1, 1}, .dilation = {1, 1}}};

	/* 32 x 32 channels, 3 x 3, 32 x 32 out: 9.4 MMAC; rows are shared */
	conv.operand[0] = operand4(0x200000, 1, 32, _i ? 5 : 32, 32);
	conv.operand[1] = operand4(0x300000, 1, 32, _i ? 7 : 34, 34);
	conv.operand[2] = operand4(0x400000, 32, 32, 3, 3);
	memcpy(rig.memory + RIG_PARAM, &conv, sizeof(conv));
	PROGRAM(INSN(ISA_TENSOR, .a = ISA_T_CONV, .c = sizeof(conv)), INSN(ISA_BARRIER),
		INSN(ISA_TENSOR, .a = ISA_T_CONV, .c = sizeof(conv)));
	run(4);
	struct device_stats stats = rig_stats(&rig);
	uint64_t macs = 0;

	for (uint32_t t = 0; t < DEVICE_MAX_CORES * DEVICE_TECS; t++)
		macs += stats.tec_macs[t];
	ck_assert_uint_eq(macs, 2ull * 32 * 32 * 9 * 32 * (_i ? 5 : 32));
	ck_assert_uint_eq(stats.shared_convolutions, 2);
	/* five rows over four tasks: one has two of them */
	ck_assert_double_eq_tol(stats.worst_imbalance, _i ? 1.6 : 1.0, 1e-9);
}
END_TEST

/* ------------------------------------------------------------------ signals */

START_TEST(a_print_holds_its_tec_until_acknowledged)
{
	memcpy(rig.memory + RIG_DATA + 0x100, "hello", 5);
	memset(rig.memory + RIG_DATA + 0x200, 'x', 16);
	PROGRAM(INSN(ISA_PRINT, .a = RIG_DATA + 0x100, .b = 5), INSN(ISA_LI, 1, .a = 1),
		INSN(ISA_ST32, 0, 0, 1, RIG_DATA));
	rig_chain(&rig, 1, ZY3_INTR_CORE);
	rig_tcb(&rig, FIRST_TASK)->task.pprint = RIG_DATA + 0x200;
	rig_dispatch(&rig, RIG_CHAIN, 1);
	ck_assert_uint_eq(rig_wait(&rig) & 0xfff, TEC_SIGNAL);
	ck_assert_uint_eq(rig_r(&rig, RIG_SIGNAL_FLAG), ZY3_SIGNAL_PRINT | 5);
	ck_assert_uint_eq(rig_r(&rig, RIG_IRQ_SIG) >> 16, 1);
	ck_assert_uint_eq(rig_r(&rig, RIG_TCB_PTR), FIRST_TASK);
	ck_assert_str_eq((char *)rig.memory + RIG_DATA + 0x200, "hello");
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA), 0);
	ck_assert(!rig_idle(&rig));
	rig_w(&rig, RIG_STATUS, ZY3_INTR_SIGNAL);
	rig_expect(&rig, CORE_DONE, FIRST_TASK);
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA), 1);
}
END_TEST

START_TEST(prints_are_cut_and_terminated)
{
	memset(rig.memory + RIG_DATA, 'a', 2000);
	memset(rig.memory + RIG_DATA + 0x1000, 'x', 2000);
	PROGRAM(INSN(ISA_PRINT, .a = RIG_DATA, .b = 0xffffffff));
	rig_chain(&rig, 1, ZY3_INTR_CORE);
	rig_tcb(&rig, FIRST_TASK)->task.pprint = RIG_DATA + 0x1000;
	rig_dispatch(&rig, RIG_CHAIN, 1);
	ck_assert_uint_eq(rig_wait(&rig) & 0xfff, TEC_SIGNAL);
	ck_assert_uint_eq(rig_r(&rig, RIG_SIGNAL_FLAG), ZY3_SIGNAL_PRINT | 1023);
	ck_assert_uint_eq(strlen((char *)rig.memory + RIG_DATA + 0x1000), 1023);
	ck_assert_int_eq(rig.memory[RIG_DATA + 0x1000 + 1024], 'x');
	rig_w(&rig, RIG_STATUS, ZY3_INTR_SIGNAL);
	rig_expect(&rig, CORE_DONE, FIRST_TASK);
}
END_TEST

START_TEST(signals_of_several_tecs_queue)
{
	PROGRAM(INSN(ISA_SIGNAL, .a = 0x10000abc), INSN(ISA_SIGNAL, .a = 0x10000def));
	start(4);
	for (uint32_t i = 0; i < 8; i++) {
		ck_assert_uint_eq(rig_wait(&rig) & 0xfff, TEC_SIGNAL);
		ck_assert_uint_eq(rig_r(&rig, RIG_IRQ_SIG) & 0x7fff, i + 1);
		rig_w(&rig, RIG_STATUS, ZY3_INTR_SIGNAL);
	}
	rig_expect(&rig, CORE_DONE, FIRST_TASK + 3 * 128);
	ck_assert_uint_eq(rig_stats(&rig).signals, 8);
}
END_TEST

START_TEST(a_signal_that_nobody_enabled_is_not_waited_for)
{
	rig_w(&rig, RIG_INTR_CTRL, 0x63d & ~ZY3_INTR_SIGNAL);
	PROGRAM(INSN(ISA_SIGNAL, .a = 1));
	run(4);
	/* at cluster level when TEC events are off */
	rig_w(&rig, RIG_INTR_CTRL, 0x63d);
	start(1);
	ck_assert_uint_eq(rig_wait(&rig) & 0xfff, ZY3_INTR_CLUSTER | ZY3_INTR_SIGNAL);
	rig_w(&rig, RIG_STATUS, ZY3_INTR_SIGNAL);
	rig_expect(&rig, CORE_DONE, FIRST_TASK);
}
END_TEST

START_TEST(an_abort_frees_held_and_waiting_tecs_silently)
{
	static const struct isa_insn waits[] = {{ISA_SIGNAL, 0, 0, 0, 1, 0, 0},
						{ISA_SPIN, 0, 0, 0, 0, 0, 0},
						{ISA_SPIN, 0, 0, 0, 0xffffffff, 0, 0},
						{ISA_JMP, 0, 0, 0, 0, 0, 0},
						{ISA_BARRIER, 0, 0, 0, 0, 0, 0}};

	/* task 0 stays away from the barrier */
	PROGRAM(INSN(ISA_LI, 4, .a = 1), INSN(ISA_ST32, 0, 0, 4, RIG_DATA), INSN(ISA_SREG, 1, .a = ISA_SREG_TASK),
		INSN(ISA_BEQ, 0, 1, 0, 32), waits[_i], INSN(ISA_SPIN));
	start(4);
	await(RIG_DATA);
	rig_abort(&rig);
	uint64_t one;

	/* a signal that was told before stays to be acknowledged; nothing comes after it */
	for (int i = 0; i < 1000 && rig_r(&rig, RIG_INTR_STATUS); i++)
		rig_w(&rig, RIG_STATUS, rig_r(&rig, RIG_INTR_STATUS) & 0x3d);
	while (read(rig.irq_fd, &one, sizeof(one)) > 0)
		;
	rig_expect_silence(&rig);
	PROGRAM(INSN(ISA_LI, 1));
	run(4);
	rig_w(&rig, 0x20, 1);
	ck_assert_uint_eq(rig_r(&rig, 0x20), 2);
}
END_TEST

/* ------------------------------------------------------------------ what stays on the chip */

static const uint32_t chip_words[] = {ISA_LOCAL_BASE + 64, ISA_SHARED_BASE + 128, ISA_GM_BASE + 256};

START_TEST(residue_survives_jobs_and_aborts_but_not_a_soft_reset)
{
	uint32_t word = chip_words[_i];

	PROGRAM(INSN(ISA_LI, 1, .a = 0x5ec2e7), INSN(ISA_ST32, 0, 0, 1, word));
	run(1);
	rig_drain(&rig);
	rig_w(&rig, 0x0, 0x1001);
	PROGRAM(INSN(ISA_LD32, 1, .a = word), INSN(ISA_ST32, 0, 0, 1, RIG_DATA));
	run(1);
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA), 0x5ec2e7);
	rig_abort(&rig);
	*rig_word(&rig, RIG_DATA) = 0;
	run(1);
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA), 0x5ec2e7);
	rig_init(&rig);
	run(1);
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA), 0);
}
END_TEST

START_TEST(a_reset_that_keeps_gm_keeps_only_gm)
{
	const struct device_options options = {.cores = 3, .threads = 2, .gm_mib = 4, .reset_keeps_gm = true};

	rig_close(&rig);
	rig_open_with(&rig, &options);
	rig.device->chip.gm[0] = rig.device->chip.local[0] = rig.device->chip.shared[0] = 7;
	rig_init(&rig);
	ck_assert_uint_eq(rig.device->chip.gm[0], 7);
	ck_assert_uint_eq(rig.device->chip.local[0], 0);
	ck_assert_uint_eq(rig.device->chip.shared[0], 0);
	device_reset(rig.device);
	ck_assert_uint_eq(rig.device->chip.gm[0], 0);
}
END_TEST

START_TEST(local_memory_is_per_tec_and_shared_memory_per_core)
{
	/* each task writes its number to local and shared memory, and reads both back behind a barrier */
	PROGRAM(INSN(ISA_SREG, 1, .a = ISA_SREG_TASK), INSN(ISA_ST32, 0, 0, 1, ISA_LOCAL_BASE), INSN(ISA_LI, 2, .a = 4),
		INSN(ISA_MUL, 2, 1, 2), INSN(ISA_ST32, 0, 2, 1, ISA_SHARED_BASE), INSN(ISA_BARRIER),
		INSN(ISA_LD32, 3, .a = ISA_LOCAL_BASE), INSN(ISA_ST32, 0, 2, 3, RIG_DATA),
		INSN(ISA_LD32, 3, .a = ISA_SHARED_BASE + 8), INSN(ISA_ST32, 0, 2, 3, RIG_DATA + 16));
	run(4);
	for (uint32_t t = 0; t < 4; t++) {
		ck_assert_uint_eq(rig_get(&rig, RIG_DATA + 4 * t), t);
		ck_assert_uint_eq(rig_get(&rig, RIG_DATA + 16 + 4 * t), 2);
	}
}
END_TEST

/* ------------------------------------------------------------------ time */

START_TEST(virtual_time_counts_cycles_and_takes_none)
{
	rig_close(&rig);
	setup_with(TIME_VIRTUAL, 0);
	rig_w(&rig, 0x68, 0);
	PROGRAM(INSN(ISA_SPIN, .a = 4000000000u), INSN(ISA_SPIN, .a = 4000000000u));
	uint64_t before = emu_now_ns();

	run(4);
	ck_assert_uint_lt(emu_now_ns() - before, 4000000000u);
	uint64_t ticks = (uint64_t)rig_r(&rig, 0x64) << 32 | rig_r(&rig, 0x60);

	ck_assert_uint_eq(ticks, 8000000000u + 2);
	run(4);
	ticks = (uint64_t)rig_r(&rig, 0x64) << 32 | rig_r(&rig, 0x60);
	ck_assert_uint_eq(ticks, 2 * (8000000000u + 2));
}
END_TEST

START_TEST(a_job_takes_at_least_its_fixed_or_computed_time)
{
	rig_close(&rig);
	setup_with(_i ? TIME_COMPUTED : TIME_FIXED, 20000000);
	rig_w(&rig, 0x68, 0);
	PROGRAM(INSN(ISA_SPIN, .a = 20000000));
	uint32_t before = rig_r(&rig, 0x60);

	run(4);
	ck_assert_uint_ge(rig_r(&rig, 0x60) - before, 20000000);
	/* cut short by an abort */
	PROGRAM(INSN(ISA_SPIN, .a = 4000000000u));
	rig.device->options.fixed_ns = 4000000000u;
	uint64_t start_ns = emu_now_ns();

	start(4);
	rig_abort(&rig);
	ck_assert_uint_lt(emu_now_ns() - start_ns, 4000000000u);
}
END_TEST

START_TEST(a_spin_takes_its_time_on_the_host_clock)
{
	rig_w(&rig, 0x68, 0);
	PROGRAM(INSN(ISA_SREG, 1, .a = ISA_SREG_TICK), INSN(ISA_SPIN, .a = 5000000),
		INSN(ISA_SREG, 2, .a = ISA_SREG_TICK), INSN(ISA_SUB, 3, 2, 1), INSN(ISA_ST32, 0, 0, 3, RIG_DATA));
	run(1);
	ck_assert_uint_ge(rig_get(&rig, RIG_DATA), 5000000);
}
END_TEST

START_TEST(counters_are_written_as_json)
{
	char path[] = "/tmp/npu-emu-stats.XXXXXX", text[4096] = {0};
	int fd = mkstemp(path);

	PROGRAM(INSN(ISA_LI, 1));
	run(4);
	ck_assert_int_eq(device_stats_write(rig.device, path), 0);
	close(fd);
	FILE *file = fopen(path, "r");

	ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, file), 0);
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, "\"jobs\": 1,"));
	ck_assert_ptr_nonnull(strstr(text, "\"tasks\": 4,"));
	ck_assert_ptr_nonnull(strstr(text, "\"tec_macs\""));
	unlink(path);
	ck_assert_int_eq(device_stats_write(rig.device, "/nonexistent/x"), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exec");
	TCase *insns = tcase_create("instructions"), *signals = tcase_create("signals"), *chip = tcase_create("chip"),
	      *time = tcase_create("time");

	add(insns, suite);
	tcase_add_test(insns, arithmetic_follows_the_manual);
	tcase_add_test(insns, register_zero_reads_zero);
	tcase_add_test(insns, loops_and_branches);
	tcase_add_test(insns, special_registers_name_the_task);
	tcase_add_test(insns, bytes_and_regions);
	tcase_add_test(insns, a_barrier_waits_for_every_task_that_has_not_ended);
	tcase_add_test(insns, four_tasks_meet_at_a_barrier_on_one_thread);
	tcase_add_test(insns, a_tensor_instruction_works_through_memory_and_chip);
	tcase_add_test(insns, a_tensor_over_several_mappings_is_put_together);
	tcase_add_loop_test(insns, two_writers_of_one_copied_range_do_not_undo_each_other, 0, 2);
	tcase_add_loop_test(insns, large_convolutions_are_measured_for_how_evenly_they_are_shared, 0, 2);
	add(signals, suite);
	tcase_add_test(signals, a_print_holds_its_tec_until_acknowledged);
	tcase_add_test(signals, prints_are_cut_and_terminated);
	tcase_add_test(signals, signals_of_several_tecs_queue);
	tcase_add_test(signals, a_signal_that_nobody_enabled_is_not_waited_for);
	tcase_add_loop_test(signals, an_abort_frees_held_and_waiting_tecs_silently, 0, 5);
	add(chip, suite);
	tcase_add_loop_test(chip, residue_survives_jobs_and_aborts_but_not_a_soft_reset, 0, 3);
	tcase_add_test(chip, a_reset_that_keeps_gm_keeps_only_gm);
	tcase_add_test(chip, local_memory_is_per_tec_and_shared_memory_per_core);
	add(time, suite);
	tcase_add_test(time, virtual_time_counts_cycles_and_takes_none);
	tcase_add_loop_test(time, a_job_takes_at_least_its_fixed_or_computed_time, 0, 2);
	tcase_add_test(time, a_spin_takes_its_time_on_the_host_clock);
	tcase_add_test(time, counters_are_written_as_json);
	return suite_main(suite);
}
