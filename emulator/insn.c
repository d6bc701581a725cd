/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction interpreter (ISA.md): one task, one instruction after the other, without the device's lock. It looks
 * for a stop request before each instruction and touches memory only through the task's view.
 */
#include <errno.h>
#include <string.h>

#include "emulator/device.h"
#include "emulator/isa.h"
#include "emulator/log.h"
#include "emulator/ops/ops.h"

#define INSN_SLICE_COUNT 4096u
#define INSN_RECORD_BYTES 4096u
#define INSN_PRINT_BYTES 1023u
#define INSN_CONV_MACS 1000000u

static enum insn_result insn_exception(struct task *task, uint32_t code)
{
	task->outcome = OUTCOME_EXCEPTION;
	task->code = code;
	return INSN_FAILED;
}

static enum insn_result insn_fault(struct task *task)
{
	const struct mem_fault *fault = &task->view.fault;

	if (atomic_load(task->view.stop))
		return INSN_STOPPED; /* a cancelled access is nobody's fault */
	task->outcome = OUTCOME_FAULT;
	emu_log(EMU_LOG_INFO, "task fault: pc 0x%x, %s of 0x%llx bytes at asid %u:0x%x", task->pc,
		fault->access == OP_WRITE ? "write" : "read", (unsigned long long)fault->bytes, fault->asid,
		fault->address);
	return INSN_FAILED;
}

/* Text that only messages reach is fetched by the line; everything else word by word, so that changes are seen. */
static int insn_fetch(struct device *device, struct task *task, uint32_t word[4])
{
	uint64_t generation = dma_generation(device->dma);
	uint32_t line = task->pc & ~(TASK_FETCH_BYTES - 1), bytes = TASK_FETCH_BYTES;
	bool remote;

	if (task->fetch_valid && task->fetch_generation == generation && task->pc >= task->fetch_address &&
	    task->pc - task->fetch_address + ISA_INSN_BYTES <= task->fetch_valid) {
		memcpy(word, &task->fetch[task->pc - task->fetch_address], ISA_INSN_BYTES);
		return 0;
	}
	task->fetch_valid = 0;
	if (!mem_readable(&task->view, 0, task->pc, ISA_INSN_BYTES, &remote) || !remote)
		return mem_read(&task->view, 0, task->pc, word, ISA_INSN_BYTES);
	if (!mem_readable(&task->view, 0, line, bytes, &remote)) {
		line = task->pc;
		bytes = ISA_INSN_BYTES;
	}
	int err = mem_read(&task->view, 0, line, task->fetch, bytes);

	if (err)
		return err;
	task->fetch_address = line;
	task->fetch_valid = bytes;
	task->fetch_generation = generation;
	memcpy(word, &task->fetch[task->pc - line], ISA_INSN_BYTES);
	return 0;
}

static uint32_t insn_alu(uint8_t opcode, uint32_t x, uint32_t y)
{
	switch (opcode) {
	case ISA_ADD:
		return x + y;
	case ISA_SUB:
		return x - y;
	case ISA_MUL:
		return x * y;
	case ISA_AND:
		return x & y;
	case ISA_OR:
		return x | y;
	case ISA_XOR:
		return x ^ y;
	case ISA_SHL:
		return x << (y & 31u);
	default:
		return x >> (y & 31u);
	}
}

static uint64_t insn_ticks(struct device *device, const struct task *task)
{
	(void)pthread_mutex_lock(&device->lock);
	uint64_t ticks = device_ticks(device);
	(void)pthread_mutex_unlock(&device->lock);

	return device->options.time == TIME_VIRTUAL ? ticks + task->cycles : ticks;
}

static int insn_special(struct device *device, const struct task *task, uint32_t number, uint32_t *value)
{
	const struct zy3_task_tcb *tcb = &task->tcb.task;
	const uint32_t registers[ISA_SREG_COUNT] = {
	    [ISA_SREG_TASK] = task->index,   [ISA_SREG_TASKS] = task->group->count,
	    [ISA_SREG_PP] = tcb->pp,         [ISA_SREG_SP] = tcb->sp,
	    [ISA_SREG_DP] = tcb->dp,         [ISA_SREG_CP] = tcb->cp,
	    [ISA_SREG_PPRINT] = tcb->pprint, [ISA_SREG_GLOBAL_PARAM] = tcb->global_param,
	    [ISA_SREG_TCBP] = tcb->tcbp,     [ISA_SREG_CORE] = task->group->core,
	    [ISA_SREG_GRID] = tcb->grid_id,  [ISA_SREG_GROUP] = tcb->group_id,
	};

	if (number >= ISA_SREG_COUNT)
		return -EINVAL;
	*value = number == ISA_SREG_TICK ? (uint32_t)insn_ticks(device, task) : registers[number];
	return 0;
}

static enum insn_result insn_memory(struct task *task, const struct isa_insn *insn)
{
	uint32_t address = task->reg[insn->rs1] + insn->a, value = 0, source = task->reg[insn->rs2];
	uint64_t bytes = insn->opcode == ISA_LD8 || insn->opcode == ISA_ST8 ? 1 : 4;
	uint8_t byte = (uint8_t)source;
	int err;

	if (insn->opcode == ISA_ST32)
		err = mem_write(&task->view, insn->b, address, &source, bytes);
	else if (insn->opcode == ISA_ST8)
		err = mem_write(&task->view, insn->b, address, &byte, bytes);
	else
		err = mem_read(&task->view, insn->b, address, &value, bytes);
	if (err)
		return insn_fault(task);
	if (insn->opcode == ISA_LD32 || insn->opcode == ISA_LD8)
		task->reg[insn->rd] = value;
	return INSN_SLICE;
}

static bool insn_branch_taken(struct task *task, const struct isa_insn *insn)
{
	uint32_t x = task->reg[insn->rs1], y = task->reg[insn->rs2];

	switch (insn->opcode) {
	case ISA_BEQ:
		return x == y;
	case ISA_BNE:
		return x != y;
	case ISA_BLTU:
		return x < y;
	case ISA_LOOP:
		return --task->reg[insn->rd] != 0;
	default:
		return true;
	}
}

static enum insn_result insn_print(struct task *task, const struct isa_insn *insn)
{
	uint32_t bytes = insn->b < INSN_PRINT_BYTES ? insn->b : INSN_PRINT_BYTES;
	char text[INSN_PRINT_BYTES + 1];

	if (!task->tcb.task.pprint)
		return INSN_SLICE; /* no print buffer: nothing to say it with */
	if (bytes && mem_read(&task->view, 0, task->reg[insn->rs1] + insn->a, text, bytes))
		return insn_fault(task);
	text[bytes] = '\0';
	if (mem_write(&task->view, 0, task->tcb.task.pprint, text, bytes + 1))
		return insn_fault(task);
	task->signal_flag = ZY3_SIGNAL_PRINT | bytes;
	return INSN_SIGNAL;
}

static enum insn_result insn_spin(struct device *device, struct task *task, uint32_t cycles)
{
	if (cycles == 0)
		return INSN_SPIN;
	task->cycles += cycles;
	if (device->options.time != TIME_HOST)
		return INSN_SLICE;
	task->wake_ns = emu_now_ns() + cycles; /* the tick counter is the host's clock: a cycle is a nanosecond */
	return INSN_SLEEP;
}

static void insn_conv_close(struct device *device, const struct conv_share *share, uint32_t tasks)
{
	double ratio = (double)share->busiest * tasks / (double)share->total;

	if (share->total <= INSN_CONV_MACS)
		return;
	(void)pthread_mutex_lock(&device->lock);
	device->stats.shared_convolutions++;
	if (ratio > device->stats.worst_imbalance)
		device->stats.worst_imbalance = ratio;
	(void)pthread_mutex_unlock(&device->lock);
}

/* How evenly a convolution was shared, once every task of the group has done its part. */
static void insn_conv_share(struct device *device, struct task *task, uint64_t macs)
{
	struct group *group = task->group;
	struct conv_share *share = NULL, done = {0};

	(void)pthread_mutex_lock(&group->conv_lock);
	for (uint32_t i = 0; i < GROUP_CONVS; i++) {
		if (group->conv[i].seen && group->conv[i].pc == task->pc) {
			share = &group->conv[i];
			break;
		}
		if (!group->conv[i].seen && !share)
			share = &group->conv[i];
	}
	if (share) {
		share->pc = task->pc;
		share->seen++;
		share->total += macs;
		share->busiest = macs > share->busiest ? macs : share->busiest;
		if (share->seen == group->count) {
			done = *share;
			*share = (struct conv_share){0};
		}
	}
	(void)pthread_mutex_unlock(&group->conv_lock);
	if (done.seen)
		insn_conv_close(device, &done, group->count);
}

/*
 * Names one dynamic TENSOR instruction alike in every task of the group: between two barriers the tasks run the same
 * ones in the same order, or are on their own.
 */
static uint64_t insn_instance(const struct task *task)
{
	const struct group *group = task->group;

	return (uint64_t)group->serial << 40 | (uint64_t)(group->barriers & 0xfffffu) << 20 |
	       (task->tensors & 0xfffffu);
}

static enum insn_result insn_tensor(struct device *device, struct task *task, const struct isa_insn *insn)
{
	_Alignas(16) uint8_t copy[INSN_RECORD_BYTES];
	const struct isa_record *record = (const void *)copy;
	struct op_memory memory = mem_operators(&task->view);
	struct op_run run = {.memory = &memory,
			     .cache = device->cache,
			     .task = task->index,
			     .tasks = task->group->count,
			     .instance = insn_instance(task),
			     .cancel = &task->group->stop};

	task->tensors++;
	if (insn->c < sizeof(struct isa_record) || insn->c > INSN_RECORD_BYTES)
		return insn_exception(task, ISA_EXC_RECORD);
	if (mem_read(&task->view, 0, task->tcb.task.pp + insn->b, copy, insn->c))
		return insn_fault(task);
	int err = op_run(&run, record, insn->c);

	task->cycles += run.cycles;
	task->macs += run.macs;
	/* A bounce buffer's write-back fails after the operator returned, a file cut short without it noticing. */
	if (dma_bus_error_take() || err == -EFAULT || task->view.fault.valid)
		return insn_fault(task);
	if (err == -ECANCELED)
		return INSN_STOPPED;
	if (err == -EINVAL)
		return insn_exception(task, ISA_EXC_RECORD);
	if (err)
		return insn_exception(task, ISA_EXC_UNSUPPORTED);
	if (record->op == ISA_T_CONV || record->op == ISA_T_CONV_TRANSPOSE)
		insn_conv_share(device, task, run.macs);
	return INSN_SLICE;
}

/* Instructions that leave the straight line or wait; those that do neither return INSN_SLICE. */
static enum insn_result insn_execute(struct device *device, struct task *task, const struct isa_insn *insn)
{
	switch (insn->opcode) {
	case ISA_LI:
		task->reg[insn->rd] = insn->a;
		return INSN_SLICE;
	case ISA_ADD ... ISA_SHR:
		task->reg[insn->rd] = insn_alu(insn->opcode, task->reg[insn->rs1], task->reg[insn->rs2] + insn->a);
		return INSN_SLICE;
	case ISA_SREG:
		if (insn_special(device, task, insn->a, &task->reg[insn->rd]))
			return insn_exception(task, ISA_EXC_ILLEGAL);
		return INSN_SLICE;
	case ISA_LD32 ... ISA_ST8:
		return insn_memory(task, insn);
	case ISA_BARRIER:
		return INSN_BARRIER;
	case ISA_PRINT:
		return insn_print(task, insn);
	case ISA_SIGNAL:
		task->signal_flag = insn->a;
		return INSN_SIGNAL;
	case ISA_EXCEPTION:
		return insn_exception(task, ISA_EXC_SOFTWARE | (insn->a & 0xffu));
	case ISA_SPIN:
		return insn_spin(device, task, insn->a);
	case ISA_TENSOR:
		return insn_tensor(device, task, insn);
	default:
		return insn_exception(task, ISA_EXC_ILLEGAL);
	}
}

static bool insn_is_end(const uint32_t word[4])
{
	static const uint32_t end[4] = ZY3_END_PACKET;

	return memcmp(word, end, sizeof(end)) == 0;
}

static enum insn_result insn_step(struct device *device, struct task *task)
{
	uint32_t word[4];

	if (task->pc % ISA_INSN_BYTES)
		return insn_exception(task, ISA_EXC_ILLEGAL);
	if (insn_fetch(device, task, word))
		return insn_fault(task);
	if (insn_is_end(word))
		return INSN_END;
	struct isa_insn insn = {(uint8_t)word[0],
				(uint8_t)(word[0] >> 8),
				(uint8_t)(word[0] >> 16),
				(uint8_t)(word[0] >> 24),
				word[1],
				word[2],
				word[3]};

	if (insn.rd >= ISA_REGISTERS || insn.rs1 >= ISA_REGISTERS || insn.rs2 >= ISA_REGISTERS)
		return insn_exception(task, ISA_EXC_ILLEGAL);
	task->cycles++;
	if (insn.opcode >= ISA_JMP && insn.opcode <= ISA_LOOP) {
		task->pc += insn_branch_taken(task, &insn) ? insn.a : ISA_INSN_BYTES;
		task->reg[0] = 0;
		return INSN_SLICE;
	}
	enum insn_result result = insn_execute(device, task, &insn);

	task->reg[0] = 0;
	if (result != INSN_FAILED && result != INSN_STOPPED)
		task->pc += ISA_INSN_BYTES;
	return result;
}

enum insn_result insn_run(struct device *device, struct task *task)
{
	enum insn_result result = INSN_SLICE;

	for (uint32_t i = 0; i < INSN_SLICE_COUNT && result == INSN_SLICE; i++) {
		if (atomic_load_explicit(&task->group->stop, memory_order_relaxed))
			return INSN_STOPPED;
		result = insn_step(device, task);
	}
	return result;
}
