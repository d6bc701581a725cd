/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets one instruction do the work of two: activations, biases, residual sums and constant factors move into the
 * convolution, product or elementwise instruction before them. The result is the same function, only rounded less.
 */
#include "emulator/compiler/cc.h"

#include <math.h>
#include <string.h>

#define CONV_ADDEND 4u

static struct isa_activation *activation_of(struct insn *insn)
{
	switch (insn->op) {
	case ISA_T_CONV:
	case ISA_T_CONV_TRANSPOSE:
		return &insn->params.conv.activation;
	case ISA_T_MATMUL:
		return &insn->params.matmul.activation;
	case ISA_T_BINARY:
		return &insn->params.binary.activation;
	default:
		return NULL;
	}
}

/* The instruction that alone makes what operand `k` of `user` alone reads; NULL if there is none. */
static struct insn *sole_maker(const struct insn *user, uint32_t k)
{
	const struct view *v = &user->v[k];

	if (!view_present(v) || v->st->kind != ST_INTERMEDIATE || v->st->writers != 1 || v->st->readers != 1)
		return NULL;
	struct insn *maker = v->st->writer;
	if (maker->outs != 1 || maker->v[0].st != v->st || !view_covers(&maker->v[0]) || !view_covers(v))
		return NULL;
	if (maker->v[0].dtype != ZY_DATA_F32 || user->v[0].dtype != ZY_DATA_F32)
		return NULL;
	return maker;
}

/* `maker` writes what `user` wrote; `user` is gone. */
static void take_over(struct cc *cc, struct insn *maker, struct insn *user, const struct view *out)
{
	maker->v[0].st->writers = 0;
	maker->v[0].st->readers = 0;
	maker->v[0] = *out;
	out->st->writer = maker;
	user->dead = true;
	cc->stats.fused++;
}

static bool fuse_unary(struct cc *cc, struct insn *user)
{
	struct insn *maker = sole_maker(user, 1);
	struct isa_activation *activation = maker ? activation_of(maker) : NULL;
	struct view out;

	if (!activation || activation->fn != ISA_U_NONE || !view_rebase(&maker->v[0], &user->v[1], &user->v[0], &out))
		return false;
	*activation = user->params.unary.fn;
	take_over(cc, maker, user, &out);
	return true;
}

static bool is_conv(const struct insn *insn)
{
	return insn->op == ISA_T_CONV || insn->op == ISA_T_CONV_TRANSPOSE;
}

/* A constant that differs only along the channel axis, as a vector of `channels` numbers. */
static bool channel_vector(const struct view *v, uint32_t channels, struct view *out)
{
	if (!view_const(v) || v->rank < 2)
		return false;
	for (uint32_t i = 0; i < v->rank; i++)
		if (i != 1 && v->dims[i] > 1 && v->strides[i] != 0)
			return false;
	*out = *v;
	out->rank = 1;
	out->dims[0] = channels;
	out->strides[0] = v->dims[1] > 1 ? v->strides[1] : 0;
	return true;
}

/* Multiplies the weights of each output channel: factor shaped to broadcast over them. */
static bool scale_weights(struct cc *cc, struct insn *conv, uint32_t fn, const struct view *factor)
{
	struct view shaped = *factor;
	uint32_t rank = conv->v[2].rank;

	if (!view_const(&conv->v[2]) || (view_present(&conv->v[3]) && conv->count > 3 && !view_const(&conv->v[3])))
		return false;
	if (conv->op == ISA_T_CONV_TRANSPOSE && conv->params.conv.group != 1)
		return false;
	uint32_t trailing = conv->op == ISA_T_CONV ? rank - 1 : rank - 2;
	for (uint32_t i = 0; i < trailing; i++)
		shaped = view_insert(&shaped, shaped.rank);
	conv->v[2] = emit_binary(cc, fn, &conv->v[2], &shaped);
	if (conv->count > 3 && view_present(&conv->v[3]))
		conv->v[3] = emit_binary(cc, fn, &conv->v[3], factor);
	return true;
}

static bool shift_bias(struct cc *cc, struct insn *conv, uint32_t fn, const struct view *term)
{
	if (conv->count > 3 && view_present(&conv->v[3])) {
		if (!view_const(&conv->v[3]))
			return false;
		conv->v[3] = emit_binary(cc, fn, &conv->v[3], term);
		return true;
	}
	struct view bias = *term;
	if (fn == ISA_B_SUB)
		bias = emit_unary(cc, ISA_U_NEG, 0, 0, &bias);
	bias = emit_plain(cc, &bias);
	conv->v[3] = bias;
	conv->count = conv->count > 4 ? conv->count : 4;
	return true;
}

/* A constant per channel, added or multiplied, disappears into weights and bias. */
static bool fuse_channel_constant(struct cc *cc, struct insn *conv, const struct insn *user, bool swapped,
				  const struct view *other)
{
	uint32_t fn = user->params.binary.fn;
	struct view vector = {0};

	if (conv->count > CONV_ADDEND || !channel_vector(other, conv->v[0].dims[1], &vector))
		return false;
	if (fn == ISA_B_ADD || (fn == ISA_B_SUB && !swapped))
		return shift_bias(cc, conv, fn, &vector);
	if (fn == ISA_B_MUL || (fn == ISA_B_DIV && !swapped))
		return scale_weights(cc, conv, fn, &vector);
	return false;
}

static bool has_broadcast(const struct view *v)
{
	for (uint32_t i = 0; i < v->rank; i++)
		if (v->dims[i] > 1 && v->strides[i] <= 0)
			return true;
	return false;
}

static size_t position_of(const struct cc *cc, const struct insn *insn, size_t before)
{
	while (before > 0 && cc->insns[before] != insn)
		before--;
	return before;
}

/* The sum moves into the maker, which moves to where the sum was: by then the other term exists. */
static bool fuse_sum(struct cc *cc, struct insn *maker, size_t at, const struct view *other)
{
	uint32_t slot = maker->op == ISA_T_MATMUL ? 3 : CONV_ADDEND;

	if (cc->insns[at]->params.binary.fn != ISA_B_ADD || other->dtype != ZY_DATA_F32)
		return false;
	if (maker->op == ISA_T_CONV ? has_broadcast(other) : maker->op != ISA_T_MATMUL)
		return false;
	if (maker->count > slot && view_present(&maker->v[slot]))
		return false;
	for (uint32_t i = maker->count; i < slot; i++)
		maker->v[i] = (struct view){0};
	maker->v[slot] = *other;
	maker->count = slot + 1;
	if (maker->op == ISA_T_MATMUL)
		maker->params.matmul.beta = 1;
	size_t from = position_of(cc, maker, at);
	struct insn *user = cc->insns[at];
	cc->insns[at] = maker;
	cc->insns[from] = user;
	return true;
}

static bool fuse_binary_with(struct cc *cc, size_t at, uint32_t side)
{
	struct insn *user = cc->insns[at];
	struct insn *maker = sole_maker(user, side);
	struct isa_activation *activation = maker ? activation_of(maker) : NULL;
	struct view other;
	struct view out;

	if (!activation || activation->fn != ISA_U_NONE || maker->op == ISA_T_BINARY)
		return false;
	if (!view_rebase(&maker->v[0], &user->v[side], &user->v[0], &out) ||
	    !view_rebase(&maker->v[0], &user->v[side], &user->v[3 - side], &other))
		return false;
	if (!(is_conv(maker) && fuse_channel_constant(cc, maker, user, side == 2, &other)) &&
	    !fuse_sum(cc, maker, at, &other))
		return false;
	*activation = user->params.binary.activation;
	take_over(cc, maker, user, &out);
	return true;
}

static bool scalar_value(const struct view *v, double *value)
{
	struct view one = *v;
	uint32_t count = 0;

	if (!view_const(v) || !view_is_splat(v))
		return false;
	one.rank = 0;
	return view_read_doubles(&one, value, 1, &count);
}

/* One operand of a commutative instruction is a constant scalar: which is the other one. */
static bool scalar_side(const struct insn *insn, double *value, uint32_t *variable)
{
	for (uint32_t k = 1; k < 3; k++) {
		if (scalar_value(&insn->v[k], value)) {
			*variable = 3 - k;
			return true;
		}
	}
	return false;
}

/* clip(x + 3, 0, 6): the middle of a hard swish, read by the product alone. */
static bool is_shifted_clip(const struct insn *insn, const struct view *x)
{
	double shift = 0;
	uint32_t variable = 0;
	const struct isa_activation *act = &insn->params.binary.activation;

	return insn->op == ISA_T_BINARY && insn->params.binary.fn == ISA_B_ADD && act->fn == ISA_U_CLIP &&
	       act->alpha == 0.0f && act->beta == 6.0f && scalar_side(insn, &shift, &variable) && shift == 3 &&
	       view_same_place(&insn->v[variable], x);
}

/* x * clip(x + 3, 0, 6) / 6, written out, is one hard swish of x. */
static bool fuse_hard_swish(struct cc *cc, struct insn *user)
{
	double factor = 0;
	uint32_t variable = 0;
	uint32_t fn = user->params.binary.fn;
	struct view out;

	if (!scalar_side(user, &factor, &variable) || user->params.binary.activation.fn != ISA_U_NONE)
		return false;
	if (!(fn == ISA_B_DIV && variable == 1 && factor == 6) && !(fn == ISA_B_MUL && fabs(factor - 1.0 / 6) < 1e-6))
		return false;
	struct insn *product = sole_maker(user, variable);
	if (!product || product->op != ISA_T_BINARY || product->params.binary.fn != ISA_B_MUL ||
	    product->params.binary.activation.fn != ISA_U_NONE)
		return false;
	for (uint32_t k = 1; k < 3; k++) {
		struct insn *clip = sole_maker(product, k);
		const struct view *x = &product->v[3 - k];
		if (!clip || !is_shifted_clip(clip, x) || !view_same_place(&clip->v[0], &product->v[k]) ||
		    !view_rebase(&product->v[0], &user->v[variable], &user->v[0], &out))
			continue;
		struct isa_activation swish = {.fn = ISA_U_HARD_SWISH, .alpha = 1.0f / 6.0f, .beta = 0.5f};
		product->op = ISA_T_UNARY;
		product->v[1] = *x;
		product->count = 2;
		product->params.unary.fn = swish;
		product->param_bytes = sizeof(product->params.unary);
		clip->dead = true;
		x->st->readers--;
		take_over(cc, product, user, &out);
		(void)fuse_unary(cc, product);
		return true;
	}
	return false;
}

void pass_fuse(struct cc *cc)
{
	cc_count_uses(cc);
	for (size_t i = 0; i < cc->insn_count && !cc_failed(cc); i++) {
		struct insn *insn = cc->insns[i];
		cc->node = NULL;
		if (insn->dead)
			continue;
		if (insn->op == ISA_T_UNARY) {
			(void)fuse_unary(cc, insn);
		} else if (insn->op == ISA_T_BINARY && !fuse_hard_swish(cc, insn)) {
			/* The later maker first: the other term is then surely there before it. */
			if (!fuse_binary_with(cc, i, 2))
				(void)fuse_binary_with(cc, i, 1);
		}
	}
}
