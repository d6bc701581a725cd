/* SPDX-License-Identifier: Apache-2.0 */
/* Turns an instruction into the record that the device reads. Addresses come from the caller. */
#include "emulator/compiler/cc.h"

#include <string.h>

size_t record_bytes(const struct insn *insn)
{
	return sizeof(struct isa_record) + insn->count * sizeof(struct isa_operand) + insn->param_bytes;
}

/* An axis of size 1 is never walked: give it the stride of a dense tensor, not what its history left there. */
static int32_t natural_stride(const struct view *v, uint32_t axis, const int32_t *strides)
{
	if (v->dims[axis] != 1 || v->strides[axis] > 0)
		return v->strides[axis];
	if (axis + 1 == v->rank)
		return 1;
	int64_t stride = (int64_t)strides[axis + 1] * v->dims[axis + 1];
	return stride > 0 && stride <= INT32_MAX ? (int32_t)stride : 1;
}

static void operand_build(const struct view *v, struct isa_operand *operand)
{
	if (!view_present(v))
		return;
	operand->dtype = v->dtype;
	operand->rank = v->rank;
	for (uint32_t i = v->rank; i-- > 0;) {
		operand->dims[i] = v->dims[i];
		operand->strides[i] = natural_stride(v, i, operand->strides);
	}
}

void record_build(const struct insn *insn, record_address_fn address, void *ctx, uint8_t *out)
{
	struct isa_record record = {
	    .op = insn->op, .bytes = (uint32_t)record_bytes(insn), .split = insn->split, .operand_count = insn->count};

	memcpy(out, &record, sizeof(record));
	out += sizeof(record);
	for (uint32_t i = 0; i < insn->count; i++) {
		struct isa_operand operand = {0};
		operand_build(&insn->v[i], &operand);
		if (view_present(&insn->v[i]))
			operand.addr = address(ctx, i, &insn->v[i], &operand.asid);
		memcpy(out, &operand, sizeof(operand));
		out += sizeof(operand);
	}
	if (insn->param_bytes)
		memcpy(out, &insn->params, insn->param_bytes);
}
