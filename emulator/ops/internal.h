/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operators share: the parsed record, strided views of NPU memory, iteration and thread scratch.
 * A view is trusted only after record_open(); its data pointer only after tensor_map().
 */
#ifndef NPUD_EMULATOR_OPS_INTERNAL_H
#define NPUD_EMULATOR_OPS_INTERNAL_H

#include <stdbool.h>
#include <string.h>

#include "emulator/ops/ops.h"
#include "proto/zhouyi_elf.h"

#define OP_MAX_ELEMENTS (1ll << 32) /* of one operand, broadcast included */
#define OP_MAX_WORK (1ll << 40) /* inner steps of one record */
#define OP_MAX_SCRATCH ((size_t)512 << 20) /* of one thread */
#define OP_CANCEL_STEPS 65536 /* elements between two looks at run->cancel */

#define OP_UNINTERRUPTED_MACS (1ll << 31) /* handed to the library in one piece: well under a second */

#define OP_MACS_PER_CYCLE 512u
#define OP_ELEMENTS_PER_CYCLE 16u
#define OP_START_CYCLES 64u /* fetch, address set-up, pipeline fill */

#define OP_MAP_RANK 5 /* a feature map as N, C, D, H, W */

struct op_tensor {
	uint8_t *data; /* the element at index 0, once mapped */
	uint32_t asid;
	uint32_t dtype; /* ZY_DATA_NONE: absent */
	uint32_t esize;
	uint32_t rank;
	int64_t addr; /* NPU address of the element at index 0 */
	int64_t dims[ISA_MAX_RANK];
	int64_t strides[ISA_MAX_RANK]; /* elements */
	struct op_span span;
	bool mapped;
};

struct op_ctx {
	struct op_run *run;
	const uint8_t *params;
	size_t params_bytes;
	uint32_t op;
	uint32_t count;
	uint32_t split; /* axis of operand 0 or ISA_SPLIT_NONE */
	int64_t begin; /* this task's indices of that axis */
	int64_t end;
	bool empty; /* nothing to do for this task */
	struct op_tensor t[ISA_MAX_OPERANDS];
};

typedef int (*op_fn)(struct op_ctx *ctx);

/* record.c: validation, slices, mapping */
int record_open(struct op_ctx *ctx, struct op_run *run, const struct isa_record *record, size_t bytes);
void record_close(struct op_ctx *ctx);
int record_params(const struct op_ctx *ctx, void *params, size_t bytes);
int record_operands(const struct op_ctx *ctx, uint32_t least, uint32_t most);
bool record_cancelled(const struct op_ctx *ctx);
void record_charge(struct op_ctx *ctx, int64_t elements);
void record_charge_macs(struct op_ctx *ctx, int64_t macs);

bool tensor_present(const struct op_ctx *ctx, uint32_t index);
int64_t tensor_elements(const struct op_tensor *t);
int tensor_range(const struct op_tensor *t, int64_t *low, uint64_t *bytes);
bool tensor_same_dims(const struct op_tensor *a, const struct op_tensor *b);
void tensor_slice(struct op_tensor *t, uint32_t axis, int64_t begin, int64_t count);
void tensor_take(struct op_ctx *ctx, uint32_t index);
int tensor_map(struct op_ctx *ctx, uint32_t index, enum op_access access);
int tensor_map_all(struct op_ctx *ctx, uint32_t outputs);
void tensor_scalar(struct op_tensor *t);
int tensor_check_output(const struct op_tensor *t);
struct op_tensor tensor_widen(const struct op_tensor *t);
struct op_tensor tensor_view(void *data, uint32_t dtype, uint32_t rank, const int64_t *dims);

/* type.c */
uint32_t type_bytes(uint32_t dtype);
bool type_is_integer(uint32_t dtype);
bool type_is_half(uint32_t dtype);
float half_to_float(uint16_t bits);
uint16_t half_from_float(float value);
float bfloat_to_float(uint16_t bits);
uint16_t bfloat_from_float(float value);
int64_t saturate_s64(double value);
double type_load(const uint8_t *p, uint32_t dtype);
void type_store(uint8_t *p, uint32_t dtype, double value);
int64_t type_load_s64(const uint8_t *p, uint32_t dtype);
void type_store_s64(uint8_t *p, uint32_t dtype, int64_t value);

/* iterate.c: rows of up to OP_ITERATE_MAX views of equal dims */
#define OP_ITERATE_MAX 4
typedef void (*op_row_fn)(void *arg, int64_t n, uint8_t *const *p, const int64_t *step);
int iterate_rows(const struct op_ctx *ctx, const struct op_tensor *const *t, uint32_t count, op_row_fn fn, void *arg);

/* scratch.c: memory of the calling thread, valid until scratch_reset() */
void *scratch_get(size_t bytes);
void scratch_reset(void);

/* copy.c */
int copy_view(const struct op_ctx *ctx, const struct op_tensor *out, const struct op_tensor *in);
int fill_view(const struct op_ctx *ctx, const struct op_tensor *out, const void *element);

/* unary.c: f32 rows, also the activation of other operators */
bool unary_known(uint32_t fn);
bool activation_known(uint32_t fn);
void unary_row_f32(const struct isa_activation *fn, int64_t n, uint8_t *out, int64_t out_step, const uint8_t *in,
		   int64_t in_step);
int activate_view(const struct op_ctx *ctx, const struct isa_activation *fn, const struct op_tensor *out);

/* the operators, one per enum isa_tensor_op */
int op_copy(struct op_ctx *ctx);
int op_fill(struct op_ctx *ctx);
int op_unary(struct op_ctx *ctx);
int op_binary(struct op_ctx *ctx);
int op_select(struct op_ctx *ctx);
int op_conv(struct op_ctx *ctx);
int op_conv_transpose(struct op_ctx *ctx);
int op_pool(struct op_ctx *ctx);
int op_matmul(struct op_ctx *ctx);
int op_reduce(struct op_ctx *ctx);
int op_arg_reduce(struct op_ctx *ctx);
int op_softmax(struct op_ctx *ctx);
int op_resize(struct op_ctx *ctx);
int op_gather(struct op_ctx *ctx);
int op_slice(struct op_ctx *ctx);
int op_pad(struct op_ctx *ctx);
int op_lrn(struct op_ctx *ctx);
int op_cumsum(struct op_ctx *ctx);
int op_topk(struct op_ctx *ctx);
int op_gather_elements(struct op_ctx *ctx);
int op_scatter_elements(struct op_ctx *ctx);
int op_gather_nd(struct op_ctx *ctx);
int op_scatter_nd(struct op_ctx *ctx);
int op_one_hot(struct op_ctx *ctx);
int op_trilu(struct op_ctx *ctx);

#endif
