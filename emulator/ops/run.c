/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op_run(): one record, one task. Chooses the operator and returns every span it took, whatever happened.
 */
#include <errno.h>

#include "emulator/ops/internal.h"

static const op_fn operators[ISA_T_COUNT] = {
    [ISA_T_COPY] = op_copy,
    [ISA_T_FILL] = op_fill,
    [ISA_T_UNARY] = op_unary,
    [ISA_T_BINARY] = op_binary,
    [ISA_T_SELECT] = op_select,
    [ISA_T_CONV] = op_conv,
    [ISA_T_CONV_TRANSPOSE] = op_conv_transpose,
    [ISA_T_POOL] = op_pool,
    [ISA_T_MATMUL] = op_matmul,
    [ISA_T_REDUCE] = op_reduce,
    [ISA_T_ARG_REDUCE] = op_arg_reduce,
    [ISA_T_SOFTMAX] = op_softmax,
    [ISA_T_RESIZE] = op_resize,
    [ISA_T_GATHER] = op_gather,
    [ISA_T_SLICE] = op_slice,
    [ISA_T_PAD] = op_pad,
    [ISA_T_LRN] = op_lrn,
    [ISA_T_CUMSUM] = op_cumsum,
    [ISA_T_TOPK] = op_topk,
    [ISA_T_GATHER_ELEMENTS] = op_gather_elements,
    [ISA_T_SCATTER_ELEMENTS] = op_scatter_elements,
    [ISA_T_GATHER_ND] = op_gather_nd,
    [ISA_T_SCATTER_ND] = op_scatter_nd,
    [ISA_T_ONE_HOT] = op_one_hot,
    [ISA_T_TRILU] = op_trilu,
};

int op_run(struct op_run *run, const struct isa_record *record, size_t bytes)
{
	struct op_ctx ctx;

	op_thread_init();
	scratch_reset();
	run->macs = 0;
	run->cycles = 0;
	int rc = record_open(&ctx, run, record, bytes);
	if (rc)
		return rc;
	rc = operators[ctx.op](&ctx);
	record_close(&ctx);
	return rc;
}
