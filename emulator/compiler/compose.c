/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor expressions as functions: each emits one instruction over views of any layout and returns the result. */
#include "emulator/compiler/cc.h"

#include <string.h>

bool dims_broadcast(struct cc *cc, const struct view *a, const struct view *b, uint32_t *rank, uint32_t *dims)
{
	char text_a[96];
	char text_b[96];

	if (cc_failed(cc))
		return false;
	*rank = a->rank > b->rank ? a->rank : b->rank;
	for (uint32_t i = 0; i < *rank; i++) {
		uint32_t da = i + a->rank < *rank ? 1 : a->dims[i + a->rank - *rank];
		uint32_t db = i + b->rank < *rank ? 1 : b->dims[i + b->rank - *rank];
		if (da != db && da != 1 && db != 1) {
			cc_bad(cc, "shapes %s and %s do not broadcast",
			       cc_dims_text(a->rank, a->dims, text_a, sizeof(text_a)),
			       cc_dims_text(b->rank, b->dims, text_b, sizeof(text_b)));
			return false;
		}
		dims[i] = da == 1 ? db : da;
	}
	return true;
}

struct view emit_unary(struct cc *cc, uint32_t fn, float alpha, float beta, const struct view *v)
{
	struct isa_unary_params params = {.fn = {.fn = fn, .alpha = alpha, .beta = beta}};

	if (cc_failed(cc))
		return *v;
	uint32_t dtype = fn == ISA_U_ISNAN || fn == ISA_U_ISINF ? ZY_DATA_BOOL : v->dtype;
	struct view out = tensor_new(cc, dtype, v->rank, v->dims, v, v, 1);
	struct view ops[2] = {out, *v};
	emit(cc, ISA_T_UNARY, 1, ops, 2, &params, sizeof(params));
	return out;
}

/* The operand whose layout an elementwise result follows: the first that is not broadcast, variables before constants.
 */
static const struct view *layout_of(const struct view *ops, uint32_t n, uint32_t rank, const uint32_t *dims)
{
	const struct view *best = NULL;

	for (uint32_t i = 0; i < n; i++) {
		if (ops[i].rank != rank || memcmp(ops[i].dims, dims, rank * sizeof(*dims)) != 0)
			continue;
		if (!best || (view_const(best) && !view_const(&ops[i])))
			best = &ops[i];
	}
	return best;
}

static bool type_match(struct cc *cc, const struct view *a, const struct view *b)
{
	if (cc_failed(cc))
		return false;
	if (a->dtype == b->dtype)
		return true;
	cc_bad(cc, "inputs of types %s and %s", cc_type_name(a->dtype), cc_type_name(b->dtype));
	return false;
}

struct view emit_binary(struct cc *cc, uint32_t fn, const struct view *a, const struct view *b)
{
	struct isa_binary_params params = {.fn = fn};
	struct view ops[3] = {{0}};
	uint32_t dims[ISA_MAX_RANK];
	uint32_t rank = 0;

	if (!type_match(cc, a, b) || !dims_broadcast(cc, a, b, &rank, dims))
		return *a;
	ops[1] = *a;
	ops[2] = *b;
	uint32_t dtype = fn >= ISA_B_EQUAL && fn <= ISA_B_XOR ? ZY_DATA_BOOL : a->dtype;
	struct view out = tensor_new(cc, dtype, rank, dims, layout_of(&ops[1], 2, rank, dims), &ops[1], 2);
	ops[0] = out;
	if (!view_broadcast(a, rank, dims, &ops[1]) || !view_broadcast(b, rank, dims, &ops[2]))
		cc_bad(cc, "internal: broadcast");
	emit(cc, ISA_T_BINARY, 1, ops, 3, &params, sizeof(params));
	return out;
}

struct view emit_select(struct cc *cc, const struct view *condition, const struct view *a, const struct view *b)
{
	struct view ops[4] = {{0}};
	struct view shape = {0};
	uint32_t dims[ISA_MAX_RANK];

	if (!type_match(cc, a, b) || !dims_broadcast(cc, a, b, &shape.rank, shape.dims))
		return *a;
	uint32_t rank = 0;
	if (!dims_broadcast(cc, condition, &shape, &rank, dims))
		return *a;
	if (condition->dtype != ZY_DATA_BOOL) {
		cc_bad(cc, "a condition of type %s", cc_type_name(condition->dtype));
		return *a;
	}
	ops[1] = *condition;
	ops[2] = *a;
	ops[3] = *b;
	struct view out = tensor_new(cc, a->dtype, rank, dims, layout_of(&ops[1], 3, rank, dims), &ops[1], 3);
	ops[0] = out;
	for (uint32_t i = 1; i < 4; i++)
		if (!view_broadcast(&ops[i], rank, dims, &ops[i]))
			cc_bad(cc, "internal: broadcast");
	emit(cc, ISA_T_SELECT, 1, ops, 4, NULL, 0);
	return out;
}

struct view emit_reduce(struct cc *cc, uint32_t fn, const struct view *v, uint32_t axes_mask, bool keep)
{
	struct isa_reduce_params params = {.fn = fn};
	uint32_t dims[ISA_MAX_RANK];

	if (cc_failed(cc))
		return *v;
	struct view in = emit_plain(cc, v);
	if (in.rank == 0)
		in = view_insert(&in, 0);
	for (uint32_t i = 0; i < in.rank; i++)
		dims[i] = axes_mask & (1u << i) ? 1 : in.dims[i];
	struct view out = tensor_new(cc, v->dtype, in.rank, dims, &in, &in, 1);
	struct view ops[2] = {out, in};
	emit(cc, ISA_T_REDUCE, 1, ops, 2, &params, sizeof(params));
	if (cc_failed(cc))
		return out;
	if (v->rank == 0)
		return view_remove(&out, 0);
	for (uint32_t i = v->rank; i-- > 0 && !keep;)
		if (axes_mask & (1u << i))
			out = view_remove(&out, i);
	return out;
}

struct view emit_softmax(struct cc *cc, const struct view *v, uint32_t axis, uint32_t log)
{
	struct isa_softmax_params params = {.axis = axis, .log = log};

	if (cc_failed(cc))
		return *v;
	struct view in = emit_plain(cc, v);
	struct view out = tensor_new(cc, in.dtype, in.rank, in.dims, &in, &in, 1);
	struct view ops[2] = {out, in};
	emit(cc, ISA_T_SOFTMAX, 1, ops, 2, &params, sizeof(params));
	return out;
}

struct view emit_iota(struct cc *cc, uint32_t dtype, uint32_t count)
{
	struct view v = tensor_const(cc, ZY_DATA_S64, 1, &count);

	for (uint32_t i = 0; !cc_failed(cc) && i < count; i++) {
		int64_t value = i;
		memcpy(v.st->data + (size_t)i * sizeof(value), &value, sizeof(value));
	}
	return emit_cast(cc, &v, dtype);
}

/* [.., M, K] x [K, N] is one [.. * M, K] x [K, N] where strides allow. */
static bool matmul_flatten(struct view *ops)
{
	struct view flat[4] = {ops[0], ops[1], ops[2], ops[3]};
	uint32_t rank = ops[0].rank;

	for (uint32_t i = 0; i + 2 < rank; i++)
		if (ops[2].dims[i] > 1 && ops[2].strides[i] != 0)
			return false;
	for (uint32_t i = 0; i < 4; i++) {
		if (i == 2 || !view_present(&ops[i]))
			continue;
		uint32_t dims[2] = {1, ops[i].dims[rank - 1]};
		for (uint32_t k = 0; k + 1 < rank; k++)
			dims[0] *= ops[i].dims[k];
		if (!view_reshape(&ops[i], 2, dims, &flat[i]))
			return false;
	}
	while (flat[2].rank > 2)
		flat[2] = view_remove(&flat[2], 0);
	memcpy(ops, flat, sizeof(flat));
	return true;
}

static bool matmul_dims(struct cc *cc, const struct view *a, const struct view *b, uint32_t *rank, uint32_t *dims)
{
	struct view batch_a = *a;
	struct view batch_b = *b;
	char text_a[96];
	char text_b[96];

	if (a->dims[a->rank - 1] != b->dims[b->rank - 2]) {
		cc_bad(cc, "cannot multiply %s by %s", cc_dims_text(a->rank, a->dims, text_a, sizeof(text_a)),
		       cc_dims_text(b->rank, b->dims, text_b, sizeof(text_b)));
		return false;
	}
	batch_a.rank -= 2;
	batch_b.rank -= 2;
	if (!dims_broadcast(cc, &batch_a, &batch_b, rank, dims))
		return false;
	dims[(*rank)++] = a->dims[a->rank - 2];
	dims[(*rank)++] = b->dims[b->rank - 1];
	return true;
}

struct view emit_matmul(struct cc *cc, const struct view *a, const struct view *b, const struct view *bias, float alpha,
			float beta)
{
	struct isa_matmul_params params = {.alpha = alpha, .beta = beta};
	struct view ops[4] = {{0}};
	uint32_t dims[ISA_MAX_RANK];
	uint32_t wanted[ISA_MAX_RANK];
	uint32_t rank = 0;

	if (!type_match(cc, a, b) || !matmul_dims(cc, a, b, &rank, dims))
		return *a;
	ops[1] = emit_plain(cc, a);
	ops[2] = emit_plain(cc, b);
	if (bias)
		ops[3] = *bias;
	struct view out = tensor_new(cc, a->dtype, rank, dims, NULL, &ops[1], bias ? 3 : 2);
	if (cc_failed(cc))
		return out;
	ops[0] = out;
	uint32_t inner = a->dims[a->rank - 1];
	memcpy(wanted, dims, sizeof(dims));
	wanted[rank - 1] = inner;
	bool fits = view_broadcast(&ops[1], rank, wanted, &ops[1]);
	wanted[rank - 2] = inner;
	wanted[rank - 1] = dims[rank - 1];
	fits = fits && view_broadcast(&ops[2], rank, wanted, &ops[2]);
	if (bias && !view_broadcast(bias, rank, dims, &ops[3]))
		cc_bad(cc, "a bias that does not broadcast to the product");
	if (!fits)
		cc_bad(cc, "internal: broadcast");
	if (!cc_failed(cc) && rank > 2)
		(void)matmul_flatten(ops);
	struct insn *insn = emit(cc, ISA_T_MATMUL, 1, ops, 4, &params, sizeof(params));
	if (insn)
		insn->macs = dims_elements(rank, dims) * inner;
	return out;
}

static bool concat_dims(struct cc *cc, const struct view *parts, uint32_t count, uint32_t axis, uint32_t *dims)
{
	uint64_t total = 0;

	memcpy(dims, parts[0].dims, sizeof(parts[0].dims));
	for (uint32_t i = 0; i < count; i++) {
		struct view probe = parts[i];
		if (axis < probe.rank)
			probe.dims[axis] = parts[0].dims[axis];
		if (!view_same_dims(&probe, &parts[0])) {
			cc_bad(cc, "input %u does not fit the shape of input 0", i);
			return false;
		}
		if (!type_match(cc, &parts[0], &parts[i]))
			return false;
		total += parts[i].dims[axis];
	}
	if (total > UINT32_MAX) {
		cc_unsupported(cc, "a concatenation of more than 2^32 elements");
		return false;
	}
	dims[axis] = (uint32_t)total;
	return true;
}

struct view emit_concat(struct cc *cc, const struct view *parts, uint32_t count, uint32_t axis)
{
	uint32_t dims[ISA_MAX_RANK];
	uint32_t at = 0;
	const struct view *like = &parts[0];

	if (cc_failed(cc) || !concat_dims(cc, parts, count, axis, dims))
		return parts[0];
	for (uint32_t i = 0; i < count; i++) {
		if (!view_const(&parts[i])) {
			like = &parts[i];
			break;
		}
	}
	struct view out = tensor_new(cc, parts[0].dtype, parts[0].rank, dims, like, parts, count);
	for (uint32_t i = 0; i < count && !cc_failed(cc); i++) {
		struct view window = view_slice(&out, axis, at, parts[i].dims[axis], 1);
		if (parts[i].dims[axis] > 0)
			emit_copy(cc, &window, &parts[i]);
		at += parts[i].dims[axis];
	}
	return out;
}
