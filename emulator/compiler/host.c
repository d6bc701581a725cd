/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs instructions on the host with the software NPU's own operators, so that folded constants and computed tensors
 * come from one arithmetic. Also asks the operators, without computing, whether they accept a record.
 */
#include "emulator/compiler/cc.h"

#include <errno.h>
#include <stdlib.h>

/* Each operand's storage gets a window of 256 MiB, so an address names storage and offset. */
#define WINDOW_SHIFT 28
#define WINDOW_MASK ((1u << WINDOW_SHIFT) - 1)
#define FIRST_WINDOW 1u

struct host_memory {
	struct storage *window[ISA_MAX_OPERANDS];
	uint32_t count;
};

static uint32_t host_address(void *ctx, uint32_t operand, const struct view *v, uint32_t *asid)
{
	struct host_memory *memory = ctx;
	uint32_t i = 0;

	(void)operand;
	*asid = 0;
	while (i < memory->count && memory->window[i] != v->st)
		i++;
	if (i == memory->count)
		memory->window[memory->count++] = v->st;
	return ((i + FIRST_WINDOW) << WINDOW_SHIFT) + (uint32_t)(v->offset * dtype_bytes(v->dtype));
}

static int host_get(void *ctx, uint32_t asid, uint32_t addr, uint64_t bytes, enum op_access access,
		    struct op_span *span)
{
	struct host_memory *memory = ctx;
	uint32_t window = (addr >> WINDOW_SHIFT) - FIRST_WINDOW;
	uint64_t offset = addr & WINDOW_MASK;

	(void)access;
	if (asid != 0 || window >= memory->count)
		return -EFAULT;
	struct storage *st = memory->window[window];
	if (st->kind != ST_CONST || bytes > st->bytes || offset > st->bytes - bytes)
		return -EFAULT;
	*span = (struct op_span){.data = st->data + offset, .bytes = bytes};
	return 0;
}

static void host_put(void *ctx, struct op_span *span)
{
	(void)ctx;
	(void)span;
}

/* 0 = nothing may be cached: the windows mean something else in the next instruction. */
static uint64_t host_identity(void *ctx, uint32_t asid, uint32_t addr)
{
	(void)ctx;
	(void)asid;
	(void)addr;
	return 0;
}

static int probe_get(void *ctx, uint32_t asid, uint32_t addr, uint64_t bytes, enum op_access access,
		     struct op_span *span)
{
	(void)ctx;
	(void)asid;
	(void)addr;
	(void)bytes;
	(void)access;
	(void)span;
	return -EFAULT;
}

void host_run(struct cc *cc, const struct insn *insn)
{
	struct host_memory windows = {.count = 0};
	struct op_memory memory = {.get = host_get, .put = host_put, .identity = host_identity, .ctx = &windows};
	struct op_run run = {.memory = &memory, .cache = cc->cache, .tasks = 1};
	struct insn copy = *insn;

	insn_canonical(&copy);
	size_t bytes = record_bytes(&copy);
	uint8_t *record = calloc(1, bytes);
	if (!record) {
		cc_out_of_memory(cc);
		return;
	}
	record_build(&copy, host_address, &windows, record);
	int rc = op_run(&run, (const struct isa_record *)(const void *)record, bytes);
	free(record);
	if (rc == -ENOMEM)
		cc_out_of_memory(cc);
	else if (rc)
		cc_unsupported(cc, "element type %s or this form of the operator (constant operands)",
			       cc_type_name(insn->v[insn->count > insn->outs ? insn->outs : 0].dtype));
}

static uint32_t probe_address(void *ctx, uint32_t operand, const struct view *v, uint32_t *asid)
{
	(void)ctx;
	(void)v;
	*asid = 0;
	return (operand + FIRST_WINDOW) << WINDOW_SHIFT;
}

int host_probe(struct cc *cc, const struct insn *insn)
{
	struct op_memory memory = {.get = probe_get, .put = host_put, .identity = host_identity};
	struct op_run run = {.memory = &memory, .cache = cc->cache, .tasks = CC_TASKS};
	struct insn copy = *insn;

	insn_canonical(&copy);
	size_t bytes = record_bytes(&copy);
	uint8_t *record = calloc(1, bytes);
	if (!record)
		return -ENOMEM;
	record_build(&copy, probe_address, NULL, record);
	int rc = 0;
	for (uint32_t task = 0; task < CC_TASKS && (rc == 0 || rc == -EFAULT); task++) {
		run.task = task;
		rc = op_run(&run, (const struct isa_record *)(const void *)record, bytes);
	}
	free(record);
	return rc == -EFAULT ? 0 : rc;
}
