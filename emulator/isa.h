/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software NPU's instruction set: what npucc emits and npu-emu executes (ISA.md is the manual).
 *
 * A program is a sequence of 16-byte instructions. Scalar instructions move 32-bit registers; one TENSOR instruction is
 * one tensor operator over the running task's slice. Its operands are NPU addresses, read from a record in the
 * parameter block (TCB field pp), where the loader patched them. Nothing here names a graph, a file or a host pointer.
 */
#ifndef NPUD_EMULATOR_ISA_H
#define NPUD_EMULATOR_ISA_H

#include <stddef.h>
#include <stdint.h>

#define ISA_INSN_BYTES 16u
#define ISA_REGISTERS 32u /* r0 reads 0 */
#define ISA_MAX_RANK 8u
#define ISA_MAX_OPERANDS 8u
#define ISA_MAX_SPATIAL 3u

/*
 * word0 of every instruction but END: opcode [7:0], rd [15:8], rs1 [23:16], rs2 [31:24]; words 1..3 are the immediates
 * a, b, c. END is the one exact packet ZY3_END_PACKET of zhouyi_tcb.h. Anything unknown is an illegal-instruction
 * exception. Addresses are 32-bit NPU addresses; `asid` immediates select the address-space region (0..3).
 */
struct isa_insn {
	uint8_t opcode;
	uint8_t rd;
	uint8_t rs1;
	uint8_t rs2;
	uint32_t a;
	uint32_t b;
	uint32_t c;
};

enum isa_opcode {
	ISA_LI = 0x01, /* rd = a */
	ISA_ADD = 0x02, /* rd = rs1 + rs2 + a; the others of this block alike: rd = rs1 OP (rs2 + a) */
	ISA_SUB = 0x03,
	ISA_MUL = 0x04,
	ISA_AND = 0x05,
	ISA_OR = 0x06,
	ISA_XOR = 0x07,
	ISA_SHL = 0x08,
	ISA_SHR = 0x09,
	ISA_SREG = 0x0f, /* rd = special register a (enum isa_sreg) */
	ISA_LD32 = 0x10, /* rd = *(u32 *)(asid b : rs1 + a) */
	ISA_ST32 = 0x11, /* *(u32 *)(asid b : rs1 + a) = rs2 */
	ISA_LD8 = 0x12,
	ISA_ST8 = 0x13,
	ISA_JMP = 0x18, /* pc += (int32_t)a bytes, relative to this instruction */
	ISA_BEQ = 0x19, /* if (rs1 == rs2) pc += (int32_t)a */
	ISA_BNE = 0x1a,
	ISA_BLTU = 0x1b,
	ISA_LOOP = 0x1c, /* if (--rd != 0) pc += (int32_t)a */
	ISA_BARRIER = 0x20, /* wait until every task of the group arrived or ended */
	ISA_PRINT =
	    0x21, /* copy b bytes from asid 0 : rs1 + a to pprint (at most 1023, NUL added), raise a print signal */
	ISA_SIGNAL = 0x22, /* raise a signal with flag word a */
	ISA_EXCEPTION = 0x23, /* software exception with code a[15:0] */
	ISA_SPIN = 0x24, /* a != 0: spend a virtual cycles; a == 0: spin until aborted */
	ISA_TENSOR = 0x40, /* run the record at pp + b, c bytes long; a repeats its op for readers of dumps */
};

enum isa_sreg {
	ISA_SREG_TASK = 0, /* task number inside the group */
	ISA_SREG_TASKS = 1, /* tasks in the group */
	ISA_SREG_PP = 2,
	ISA_SREG_SP = 3,
	ISA_SREG_DP = 4,
	ISA_SREG_CP = 5,
	ISA_SREG_PPRINT = 6,
	ISA_SREG_GLOBAL_PARAM = 7,
	ISA_SREG_TCBP = 8,
	ISA_SREG_CORE = 9,
	ISA_SREG_GRID = 10,
	ISA_SREG_GROUP = 11,
	ISA_SREG_TICK = 12, /* low half of the tick counter */
	ISA_SREG_COUNT
};

/* On-chip memories as NPU code sees them, in the part of each 4 GiB window that no buffer may use. */
#define ISA_LOCAL_BASE 0xe0000000u /* per TEC */
#define ISA_SHARED_BASE 0xe8000000u /* per core */
#define ISA_GM_BASE 0xf0000000u /* per cluster; also shadows the ranges that the init TCB names */

/* What an exception event reports (signal flag word bits 15:0). */
enum isa_exception {
	ISA_EXC_ILLEGAL = 1, /* unknown opcode, register or special register, pc outside 16-byte alignment */
	ISA_EXC_RECORD = 2, /* tensor record malformed: sizes, ranks, operand counts, slices outside */
	ISA_EXC_UNSUPPORTED = 3, /* record is well formed, the operator cannot do this type or mode */
	ISA_EXC_SOFTWARE = 0x100, /* ISA_EXCEPTION: 0x100 | (code & 0xff) */
};

/* ------------------------------------------------------------------ tensor records */

enum isa_tensor_op {
	ISA_T_COPY = 1, /* out, in: strided copy; converts when the types differ (C rules, saturating to bool) */
	ISA_T_FILL = 2, /* out */
	ISA_T_UNARY = 3, /* out, in */
	ISA_T_BINARY = 4, /* out, a, b: inputs carry out's dims, broadcast by stride 0 */
	ISA_T_SELECT = 5, /* out, condition (bool), a, b */
	ISA_T_CONV = 6, /* out, in, weight, bias?, addend?: out = act(conv + bias + addend) */
	ISA_T_CONV_TRANSPOSE = 7, /* out, in, weight, bias? */
	ISA_T_POOL = 8, /* out, in, indices? (s64, output) */
	ISA_T_MATMUL =
	    9, /* out[..M,N], a[..M,K], b[..K,N], bias? (out's dims by strides): act(alpha*a*b + beta*bias) */
	ISA_T_REDUCE = 10, /* out, in of equal rank; axes where out.dims == 1 are reduced */
	ISA_T_ARG_REDUCE = 11, /* out (s64), in */
	ISA_T_SOFTMAX = 12, /* out, in */
	ISA_T_RESIZE = 13, /* out, in, scales? (f32, run-time), roi? (f32, run-time) */
	ISA_T_GATHER = 14, /* out, data, indices (s32 or s64): ONNX Gather */
	ISA_T_SLICE = 15, /* out, data, starts, axes?, steps? (s32 or s64, run-time); ends are implied by out */
	ISA_T_PAD = 16, /* out, in, pads? (s64, run-time, ONNX order), value? (run-time scalar) */
	ISA_T_LRN = 17, /* out, in (N,C,...) */
	ISA_T_CUMSUM = 18, /* out, in */
	ISA_T_TOPK = 19, /* values, indices (s64), in */
	ISA_T_GATHER_ELEMENTS = 20, /* out, data, indices */
	ISA_T_SCATTER_ELEMENTS = 21, /* out, data, indices, updates */
	ISA_T_GATHER_ND = 22,
	ISA_T_SCATTER_ND = 23,
	ISA_T_ONE_HOT = 24, /* out, indices, depth?, values (2 elements) */
	ISA_T_TRILU = 25, /* out, in */
	ISA_T_COUNT
};

#define ISA_SPLIT_NONE 0xffffffffu

/*
 * Tensor operand: dims and strides in logical (ONNX) order, strides in elements (0 broadcasts, negative walks back).
 * `addr` is the element at index 0 and the word the loader patches. dtype ZY_DATA_NONE marks an absent operand.
 */
struct isa_operand {
	uint32_t addr;
	uint32_t asid;
	uint32_t dtype; /* enum zy_data_type */
	uint32_t rank;
	uint32_t dims[ISA_MAX_RANK];
	int32_t strides[ISA_MAX_RANK];
};

/*
 * A record: this header, `operand_count` operands (outputs first, in the order of enum isa_tensor_op), then the
 * operator's parameters. The tasks of a group share axis `split` of operand 0: task t of T works on indices
 * [D*t/T, D*(t+1)/T). ISA_SPLIT_NONE: task 0 does everything, the others nothing. Axes an operator cannot share
 * (a reduced axis, the softmax axis) are a malformed record.
 */
struct isa_record {
	uint32_t op;
	uint32_t bytes; /* header + operands + parameters */
	uint32_t split;
	uint32_t operand_count;
	struct isa_operand operand[];
};

struct isa_activation {
	uint32_t fn; /* enum isa_unary; ISA_U_NONE for no activation */
	float alpha;
	float beta;
};

enum isa_unary {
	ISA_U_NONE = 0, /* identity */
	ISA_U_RELU,
	ISA_U_LEAKY_RELU, /* alpha */
	ISA_U_CLIP, /* alpha = min, beta = max */
	ISA_U_SIGMOID,
	ISA_U_HARD_SIGMOID, /* max(0, min(1, alpha * x + beta)) */
	ISA_U_TANH,
	ISA_U_HARD_SWISH, /* x * max(0, min(1, alpha * x + beta)) */
	ISA_U_ELU, /* alpha */
	ISA_U_CELU, /* alpha */
	ISA_U_SELU, /* alpha, beta = gamma */
	ISA_U_THRESHOLDED_RELU, /* alpha */
	ISA_U_SOFTPLUS,
	ISA_U_SOFTSIGN,
	ISA_U_ABS,
	ISA_U_NEG,
	ISA_U_EXP,
	ISA_U_LOG,
	ISA_U_SQRT,
	ISA_U_RECIPROCAL,
	ISA_U_ERF,
	ISA_U_FLOOR,
	ISA_U_CEIL,
	ISA_U_ROUND, /* half to even */
	ISA_U_SIGN,
	ISA_U_SIN,
	ISA_U_COS,
	ISA_U_TAN,
	ISA_U_ASIN,
	ISA_U_ACOS,
	ISA_U_ATAN,
	ISA_U_SINH,
	ISA_U_COSH,
	ISA_U_ASINH,
	ISA_U_ACOSH,
	ISA_U_ATANH,
	ISA_U_NOT, /* bool */
	ISA_U_ISNAN, /* out bool */
	ISA_U_ISINF, /* out bool; alpha != 0: detect -inf, beta != 0: detect +inf */
	ISA_U_SHRINK, /* alpha = lambd, beta = bias */
	ISA_U_AFFINE, /* alpha * x + beta */
	ISA_U_COUNT
};

enum isa_binary {
	ISA_B_ADD = 1,
	ISA_B_SUB,
	ISA_B_MUL,
	ISA_B_DIV,
	ISA_B_POW,
	ISA_B_MIN,
	ISA_B_MAX,
	ISA_B_PRELU, /* a < 0 ? a * b : a */
	ISA_B_MOD, /* sign of the divisor; integers */
	ISA_B_FMOD, /* sign of the dividend */
	ISA_B_EQUAL, /* from here to LESS_EQUAL, out is bool */
	ISA_B_GREATER,
	ISA_B_LESS,
	ISA_B_GREATER_EQUAL,
	ISA_B_LESS_EQUAL,
	ISA_B_AND, /* bool */
	ISA_B_OR,
	ISA_B_XOR,
	ISA_B_SHIFT_LEFT, /* unsigned integers */
	ISA_B_SHIFT_RIGHT,
	ISA_B_COUNT
};

enum isa_reduce {
	ISA_R_SUM = 1,
	ISA_R_MEAN,
	ISA_R_MAX,
	ISA_R_MIN,
	ISA_R_PROD,
	ISA_R_L1,
	ISA_R_L2,
	ISA_R_LOG_SUM,
	ISA_R_LOG_SUM_EXP,
	ISA_R_SUM_SQUARE,
	ISA_R_COUNT
};

struct isa_fill_params {
	uint32_t value[2]; /* raw bits of one element, low word first */
};

struct isa_unary_params {
	struct isa_activation fn;
};

struct isa_binary_params {
	uint32_t fn;
	struct isa_activation activation; /* applied to the result */
};

struct isa_conv_params {
	uint32_t spatial; /* 1..3 */
	uint32_t group;
	uint32_t stride[ISA_MAX_SPATIAL];
	uint32_t dilation[ISA_MAX_SPATIAL]; /* 1 = dense */
	uint32_t pad_begin[ISA_MAX_SPATIAL];
	uint32_t pad_end[ISA_MAX_SPATIAL]; /* informative: out dims decide */
	struct isa_activation activation;
};

enum isa_pool { ISA_POOL_MAX = 1, ISA_POOL_AVG_INCLUDE_PAD, ISA_POOL_AVG_EXCLUDE_PAD, ISA_POOL_LP };

struct isa_pool_params {
	uint32_t mode;
	uint32_t spatial;
	uint32_t kernel[ISA_MAX_SPATIAL];
	uint32_t stride[ISA_MAX_SPATIAL];
	uint32_t dilation[ISA_MAX_SPATIAL];
	uint32_t pad_begin[ISA_MAX_SPATIAL];
	uint32_t pad_end[ISA_MAX_SPATIAL];
	uint32_t p; /* LP norm order */
	uint32_t storage_order; /* indices: 0 row major, 1 column major */
};

struct isa_matmul_params {
	float alpha;
	float beta;
	struct isa_activation activation;
};

struct isa_reduce_params {
	uint32_t fn;
};

struct isa_arg_reduce_params {
	uint32_t axis;
	uint32_t is_max;
	uint32_t select_last;
};

struct isa_softmax_params {
	uint32_t axis;
	uint32_t log; /* 0 softmax, 1 log-softmax, 2 hardmax */
};

enum isa_resize_mode { ISA_RESIZE_NEAREST = 1, ISA_RESIZE_LINEAR, ISA_RESIZE_CUBIC };
enum isa_resize_coord {
	ISA_COORD_HALF_PIXEL = 1,
	ISA_COORD_PYTORCH_HALF_PIXEL,
	ISA_COORD_ALIGN_CORNERS,
	ISA_COORD_ASYMMETRIC,
	ISA_COORD_TF_CROP_AND_RESIZE,
};
enum isa_resize_nearest {
	ISA_NEAREST_ROUND_PREFER_FLOOR = 1,
	ISA_NEAREST_ROUND_PREFER_CEIL,
	ISA_NEAREST_FLOOR,
	ISA_NEAREST_CEIL
};

struct isa_resize_params {
	uint32_t mode;
	uint32_t coord;
	uint32_t nearest;
	float cubic_coeff_a;
	uint32_t exclude_outside;
	float extrapolation_value;
	float scale[ISA_MAX_RANK]; /* out/in per axis as the model states it; a run-time scales operand wins */
	float roi[2 * ISA_MAX_RANK];
};

struct isa_axis_params { /* GATHER, GATHER_ELEMENTS, ONE_HOT */
	uint32_t axis;
};

enum isa_scatter { ISA_SCATTER_SET = 0, ISA_SCATTER_ADD, ISA_SCATTER_MUL };

struct isa_scatter_params { /* SCATTER_ELEMENTS (axis), SCATTER_ND */
	uint32_t axis;
	uint32_t reduction;
};

struct isa_gather_nd_params {
	uint32_t batch_dims;
};

enum isa_pad { ISA_PAD_CONSTANT = 1, ISA_PAD_REFLECT, ISA_PAD_EDGE };

struct isa_pad_params {
	uint32_t mode;
	int32_t pads[2 * ISA_MAX_RANK]; /* all begins, then all ends, `rank` each; a run-time operand wins */
	uint32_t value[2]; /* raw bits of one element */
};

struct isa_lrn_params {
	uint32_t size;
	float alpha;
	float beta;
	float bias;
};

struct isa_cumsum_params {
	uint32_t axis;
	uint32_t exclusive;
	uint32_t reverse;
};

struct isa_topk_params {
	uint32_t axis;
	uint32_t largest;
	uint32_t sorted;
};

struct isa_trilu_params {
	int32_t k;
	uint32_t upper;
};

_Static_assert(sizeof(struct isa_insn) == ISA_INSN_BYTES, "instruction");
_Static_assert(sizeof(struct isa_operand) == 80, "operand");
_Static_assert(sizeof(struct isa_record) == 16, "record header");

#endif
