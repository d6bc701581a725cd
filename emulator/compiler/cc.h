/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler's own representation: storages, views of them, and instructions over views.
 *
 * A storage is a piece of memory with one purpose. A view names elements of a storage by offset and strides, so most
 * ONNX operators that only rearrange cost nothing. An instruction is one tensor record in the making. Every value
 * carries its shape from the moment it exists: lowering an operator is also its shape inference, and an instruction
 * whose inputs are all constants runs at once on the host.
 *
 * Errors stick: the first one is kept, and functions do nothing once there is one. Callers may chain calls and check
 * cc_failed() at the end; the views returned meanwhile are absent and must not be looked into.
 */
#ifndef NPUD_EMULATOR_COMPILER_CC_H
#define NPUD_EMULATOR_COMPILER_CC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emulator/compiler/arena.h"
#include "emulator/compiler/npucc.h"
#include "emulator/isa.h"
#include "emulator/ops/ops.h"
#include "onnx.pb-c.h"
#include "proto/zhouyi_elf.h"

#define CC_TASKS 4u /* TECs of an X2_1204 core */
#define CC_ALIGN 64u /* of every tensor in device memory */
#define CC_MAX_TENSOR_BYTES (1ull << 30)
#define CC_MAX_INSNS 16384u
#define CC_GROUP_INSNS 16u /* tensor instructions of one subgraph */

enum storage_kind { ST_INTERMEDIATE, ST_INPUT, ST_OUTPUT, ST_CONST };

struct storage {
	enum storage_kind kind;
	uint32_t id; /* position in cc.storages */
	uint32_t io; /* ST_INPUT, ST_OUTPUT: tensor id */
	uint64_t bytes;
	uint8_t *data; /* ST_CONST */
	uint64_t place; /* offset in the section that holds it; set by the planner */
	uint32_t first; /* liveness, in instruction numbers */
	uint32_t last;
	uint32_t writers; /* operands of instructions that are not dead; filled by cc_count_uses() */
	uint32_t readers;
	struct insn *writer; /* the last one */
	struct storage *host; /* planner: shares its place with this one */
};

/* Offset and strides count elements. A view without storage is absent. */
struct view {
	struct storage *st;
	int64_t offset;
	uint32_t dtype;
	uint32_t rank;
	uint32_t dims[ISA_MAX_RANK];
	int32_t strides[ISA_MAX_RANK];
};

union insn_params {
	struct isa_fill_params fill;
	struct isa_unary_params unary;
	struct isa_binary_params binary;
	struct isa_conv_params conv;
	struct isa_pool_params pool;
	struct isa_matmul_params matmul;
	struct isa_reduce_params reduce;
	struct isa_arg_reduce_params arg_reduce;
	struct isa_softmax_params softmax;
	struct isa_resize_params resize;
	struct isa_axis_params axis;
	struct isa_scatter_params scatter;
	struct isa_gather_nd_params gather_nd;
	struct isa_pad_params pad;
	struct isa_lrn_params lrn;
	struct isa_cumsum_params cumsum;
	struct isa_topk_params topk;
	struct isa_trilu_params trilu;
};

struct insn {
	uint32_t op; /* enum isa_tensor_op */
	uint32_t count; /* operands, outputs first */
	uint32_t outs;
	uint32_t split;
	bool dead;
	bool barrier; /* planner: what runs before must be complete */
	uint32_t node; /* index of the ONNX node it came from */
	uint64_t macs;
	size_t param_bytes;
	union insn_params params;
	struct view v[ISA_MAX_OPERANDS];
};

/* Outputs come first, except the indices of a pool. */
static inline bool insn_writes(const struct insn *insn, uint32_t operand)
{
	return operand < insn->outs || (insn->op == ISA_T_POOL && operand == 2);
}

struct value {
	const char *name;
	bool defined;
	bool declared; /* the model states type and full shape */
	const char *refused; /* not a tensor: why nothing can use it */
	struct view view;
	const Onnx__TensorProto *init; /* loaded when first used */
	uint32_t declared_dtype;
	uint32_t declared_rank;
	uint32_t declared_dims[ISA_MAX_RANK];
	size_t producer; /* node index + 1; 0 = none */
};

struct port {
	const char *name;
	struct view view;
};

struct node {
	const Onnx__NodeProto *proto;
	size_t index;
	const char *op;
	int64_t opset;
	uint32_t in_count;
	uint32_t out_count;
	struct view *in; /* in_count */
};

struct symtab {
	struct value **slot;
	size_t size;
	size_t used;
};

struct cc {
	struct arena arena;
	const struct npucc_options *options;
	enum npucc_status status;
	char error[NPUCC_ERROR_BYTES];
	const Onnx__GraphProto *graph;
	int64_t opset;
	const struct node *node; /* being lowered: errors name it */
	struct symtab values;
	struct insn **insns;
	size_t insn_count;
	size_t insn_room;
	struct storage **storages;
	size_t storage_count;
	size_t storage_room;
	struct port *inputs;
	struct port *outputs;
	uint32_t input_count;
	uint32_t output_count;
	struct op_cache *cache;
	struct npucc_stats stats;
};

/* ------------------------------------------------------------------ a compilation (compile.c) */

void cc_open(struct cc *cc, const struct npucc_options *options);
/* From the file to planned instructions; look at cc->status. */
void cc_build(struct cc *cc, const void *model, size_t bytes);
void cc_close(struct cc *cc);

/* ------------------------------------------------------------------ errors (error.c) */

static inline bool cc_failed(const struct cc *cc)
{
	return cc->status != NPUCC_OK;
}
void cc_bad(struct cc *cc, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cc_unsupported(struct cc *cc, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cc_out_of_memory(struct cc *cc);
void *cc_alloc(struct cc *cc, size_t count, size_t size);
const char *cc_type_name(uint32_t dtype); /* f32, s64, ... as in the executable's graphjson */
/* "2x3x4" into `text`; for messages */
const char *cc_dims_text(uint32_t rank, const uint32_t *dims, char *text, size_t bytes);

/* ------------------------------------------------------------------ types */

uint32_t dtype_bytes(uint32_t dtype); /* 0: not a tensor element */
uint32_t dtype_from_onnx(int32_t onnx_type); /* ZY_DATA_NONE: cannot be represented */
static inline bool dtype_is_float(uint32_t dtype)
{
	return dtype == ZY_DATA_F32 || dtype == ZY_DATA_F64 || dtype == ZY_DATA_F16 || dtype == ZY_DATA_BF16;
}

/* ------------------------------------------------------------------ views (view.c): pure, no memory */

static inline bool view_present(const struct view *v)
{
	return v->st != NULL;
}
static inline bool view_const(const struct view *v)
{
	return v->st && v->st->kind == ST_CONST;
}
uint64_t dims_elements(uint32_t rank, const uint32_t *dims);
static inline uint64_t view_elements(const struct view *v)
{
	return dims_elements(v->rank, v->dims);
}
bool view_same_dims(const struct view *a, const struct view *b);
bool view_same_place(const struct view *a, const struct view *b); /* the very same elements in the same order */
bool view_is_dense(const struct view *v); /* row-major without gaps */
bool view_covers(const struct view *v); /* every element of the storage exactly once */
bool view_is_splat(const struct view *v); /* one element, whatever the shape */
void view_extent(const struct view *v, int64_t *low, int64_t *high); /* first and last element touched */
void dims_row_major(uint32_t rank, const uint32_t *dims, int32_t *strides);
/* Strides of a dense tensor whose axes nest in the order `order` (outermost first). */
void dims_ordered(uint32_t rank, const uint32_t *dims, const uint32_t *order, int32_t *strides);
void view_order(const struct view *v, uint32_t *order); /* axes by falling stride */

struct view view_transpose(const struct view *v, const uint32_t *perm);
struct view view_slice(const struct view *v, uint32_t axis, uint32_t start, uint32_t count, int32_t step);
struct view view_insert(const struct view *v, uint32_t axis); /* rank must be below ISA_MAX_RANK */
struct view view_remove(const struct view *v, uint32_t axis); /* the axis has size 1, or only index 0 matters */
struct view view_swap(const struct view *v, uint32_t a, uint32_t b);
bool view_broadcast(const struct view *v, uint32_t rank, const uint32_t *dims, struct view *out);
bool view_reshape(const struct view *v, uint32_t rank, const uint32_t *dims, struct view *out); /* without a copy */
/*
 * `through` shows all of storage S exactly once, and element i of it is element i of `onto`, a view of another
 * storage. Re-expresses `v`, any view of S, as a view of onto's storage. False if strides cannot express it.
 */
bool view_rebase(const struct view *v, const struct view *through, const struct view *onto, struct view *out);

/* ------------------------------------------------------------------ emission (emit.c) */

struct storage *storage_new(struct cc *cc, enum storage_kind kind, uint64_t bytes);
/* A fresh tensor. If all `n` inputs are constants (and there are any), it is one too. Layout follows `like` if not
 * NULL. */
struct view tensor_new(struct cc *cc, uint32_t dtype, uint32_t rank, const uint32_t *dims, const struct view *like,
		       const struct view *inputs, uint32_t n);
struct view tensor_new_ordered(struct cc *cc, uint32_t dtype, uint32_t rank, const uint32_t *dims,
			       const uint32_t *order, const struct view *inputs, uint32_t n);
struct view tensor_const(struct cc *cc, uint32_t dtype, uint32_t rank, const uint32_t *dims); /* zeroed data */
struct view const_f32(struct cc *cc, float value); /* rank 0 */
struct view const_i64(struct cc *cc, int64_t value);
struct view const_of(struct cc *cc, uint32_t dtype, double value);

/* Appends (or runs at once, if the output is a constant). Operands: outputs first. */
struct insn *emit(struct cc *cc, uint32_t op, uint32_t outs, const struct view *v, uint32_t count, const void *params,
		  size_t param_bytes);
void emit_copy(struct cc *cc, const struct view *to, const struct view *from);
struct view emit_cast(struct cc *cc, const struct view *v, uint32_t dtype);
struct view emit_dense(struct cc *cc, const struct view *v); /* row-major: the view itself if it is */
struct view emit_plain(struct cc *cc, const struct view *v); /* no broadcast, no backward walk */
struct view emit_reshape(struct cc *cc, const struct view *v, uint32_t rank, const uint32_t *dims);
struct view emit_unary(struct cc *cc, uint32_t fn, float alpha, float beta, const struct view *v);
struct view emit_binary(struct cc *cc, uint32_t fn, const struct view *a, const struct view *b); /* numpy broadcast */
struct view emit_select(struct cc *cc, const struct view *condition, const struct view *a, const struct view *b);
struct view emit_reduce(struct cc *cc, uint32_t fn, const struct view *v, uint32_t axes_mask, bool keep);
struct view emit_softmax(struct cc *cc, const struct view *v, uint32_t axis, uint32_t log);
struct view emit_matmul(struct cc *cc, const struct view *a, const struct view *b, const struct view *bias, float alpha,
			float beta);
struct view emit_concat(struct cc *cc, const struct view *parts, uint32_t count, uint32_t axis);
struct view emit_iota(struct cc *cc, uint32_t dtype, uint32_t count); /* constant 0, 1, 2, ... */

bool dims_broadcast(struct cc *cc, const struct view *a, const struct view *b, uint32_t *rank, uint32_t *dims);

/* Constants as numbers. False (and no error) if the view is not constant or has more than `max` elements. */
bool view_read_ints(const struct view *v, int64_t *out, uint32_t max, uint32_t *count);
bool view_read_doubles(const struct view *v, double *out, uint32_t max, uint32_t *count);

/* ------------------------------------------------------------------ values and nodes (value.c, node.c) */

struct value *value_get(struct cc *cc, const char *name, bool create);
void node_set(struct cc *cc, const struct node *n, uint32_t index, const struct view *v);
bool node_has_out(const struct node *n, uint32_t index);
const struct view *node_in(const struct node *n, uint32_t index); /* an absent view if there is none */
/* Shape that the model declares for output `index`. */
bool node_declared(struct cc *cc, const struct node *n, uint32_t index, uint32_t *rank, uint32_t *dims);
void node_lower(struct cc *cc, size_t index);
/* Defines the value by name; reading it loads an initializer. NULL and an error if it cannot be read. */
const struct value *value_read(struct cc *cc, const char *name);

int64_t attr_int(struct cc *cc, const struct node *n, const char *name, int64_t fallback);
float attr_float(struct cc *cc, const struct node *n, const char *name, float fallback);
/* The string, NUL-terminated; `fallback` if the attribute is missing. */
const char *attr_string(struct cc *cc, const struct node *n, const char *name, const char *fallback);
/* False if the attribute is missing; an error if it has more than `max` entries. */
bool attr_ints(struct cc *cc, const struct node *n, const char *name, int64_t *out, uint32_t max, uint32_t *count);
bool attr_floats(struct cc *cc, const struct node *n, const char *name, float *out, uint32_t max, uint32_t *count);
const Onnx__AttributeProto *attr_find(const struct node *n, const char *name);
/* An axis attribute or constant: negative counts from the end. Sets an error if out of range. */
uint32_t axis_of(struct cc *cc, int64_t axis, uint32_t rank);

/* ------------------------------------------------------------------ model (model.c, tensor.c, guard.c) */

Onnx__ModelProto *model_unpack(struct cc *cc, const void *data, size_t bytes);
void model_lower(struct cc *cc, const Onnx__ModelProto *model);
struct view tensor_load(struct cc *cc, const Onnx__TensorProto *tensor);

/* ------------------------------------------------------------------ host execution (host.c) */

/* Runs an instruction whose operands are all constants. */
void host_run(struct cc *cc, const struct insn *insn);
/* 0 if the operator accepts this record for CC_TASKS tasks, else -EINVAL or -EOPNOTSUPP. Computes nothing. */
int host_probe(struct cc *cc, const struct insn *insn);

/* ------------------------------------------------------------------ optimisation and output */

void cc_count_uses(struct cc *cc); /* passes.c */
void pass_remove_dead(struct cc *cc); /* passes.c: also closes the gaps they leave */
void pass_fuse(struct cc *cc); /* fuse.c */
void pass_elide_copies(struct cc *cc); /* elide.c */
void insn_canonical(struct insn *insn); /* canon.c: fewest axes, none of size 1 */
double split_imbalance(uint32_t dim); /* split.c: busiest task over the mean */
struct storage *storage_place(struct storage *st); /* plan.c: the one whose place it shares */
/* slab.c: whatever the number of tasks, no two of them meet in these two operands' memory. */
bool slab_shared(const struct insn *a, uint32_t i, const struct insn *b, uint32_t k);
void pass_split(struct cc *cc); /* split.c */
void pass_plan(struct cc *cc); /* plan.c */

typedef uint32_t (*record_address_fn)(void *ctx, uint32_t operand, const struct view *v, uint32_t *asid);
size_t record_bytes(const struct insn *insn);
/* Writes record_bytes() bytes. */
void record_build(const struct insn *insn, record_address_fn address, void *ctx, uint8_t *out);

void program_write(struct cc *cc, struct npucc_result *result); /* program.c: records, text, tables, ELF */
void program_dump(struct cc *cc, struct npucc_result *result); /* dump.c */

#endif
