/* SPDX-License-Identifier: Apache-2.0 */
/* The program in words, one line per instruction: for people and for tests of what the passes did. */
#include "emulator/compiler/bytes.h"
#include "emulator/compiler/cc.h"

static const char *op_name(uint32_t op)
{
	static const char *const names[] = {"none",
					    "copy",
					    "fill",
					    "unary",
					    "binary",
					    "select",
					    "conv",
					    "conv_transpose",
					    "pool",
					    "matmul",
					    "reduce",
					    "arg_reduce",
					    "softmax",
					    "resize",
					    "gather",
					    "slice",
					    "pad",
					    "lrn",
					    "cumsum",
					    "topk",
					    "gather_elements",
					    "scatter_elements",
					    "gather_nd",
					    "scatter_nd",
					    "one_hot",
					    "trilu"};

	return op < sizeof(names) / sizeof(names[0]) ? names[op] : "?";
}

static void dump_view(struct bytes *b, const struct view *v)
{
	static const char *const kinds[] = {"t", "in", "out", "const"};
	char text[96];

	if (!view_present(v)) {
		bytes_printf(b, " -");
		return;
	}
	bytes_printf(b, " %s%u", kinds[v->st->kind],
		     v->st->kind == ST_INPUT || v->st->kind == ST_OUTPUT ? v->st->io : v->st->id);
	if (v->offset)
		bytes_printf(b, "+%lld", (long long)v->offset);
	bytes_printf(b, ":%s[%s](", cc_type_name(v->dtype), cc_dims_text(v->rank, v->dims, text, sizeof(text)));
	for (uint32_t i = 0; i < v->rank; i++)
		bytes_printf(b, i ? ",%d" : "%d", v->strides[i]);
	bytes_printf(b, ")");
}

static uint32_t activation(const struct insn *insn)
{
	switch (insn->op) {
	case ISA_T_CONV:
	case ISA_T_CONV_TRANSPOSE:
		return insn->params.conv.activation.fn;
	case ISA_T_MATMUL:
		return insn->params.matmul.activation.fn;
	case ISA_T_BINARY:
		return insn->params.binary.activation.fn;
	case ISA_T_UNARY:
		return insn->params.unary.fn.fn;
	default:
		return ISA_U_NONE;
	}
}

void program_dump(struct cc *cc, struct npucc_result *result)
{
	struct bytes b = {0};

	for (size_t i = 0; i < cc->insn_count && !cc_failed(cc); i++) {
		const struct insn *insn = cc->insns[i];
		if (i % CC_GROUP_INSNS == 0)
			bytes_printf(&b, "group %zu\n", i / CC_GROUP_INSNS);
		bytes_printf(&b, "  %4zu %s %s", i, insn->barrier ? "|" : " ", op_name(insn->op));
		if (insn->op == ISA_T_BINARY)
			bytes_printf(&b, " fn=%u", insn->params.binary.fn);
		if (activation(insn))
			bytes_printf(&b, " act=%u", activation(insn));
		if (insn->macs)
			bytes_printf(&b, " macs=%llu", (unsigned long long)insn->macs);
		if (insn->split == ISA_SPLIT_NONE)
			bytes_printf(&b, " split=none");
		else
			bytes_printf(&b, " split=%u", insn->split);
		for (uint32_t k = 0; k < insn->count; k++)
			dump_view(&b, &insn->v[k]);
		bytes_printf(&b, "\n");
	}
	bytes_append(&b, "", 1);
	if (b.failed) {
		bytes_free(&b);
		cc_out_of_memory(cc);
		return;
	}
	result->dump = (char *)b.data;
}
