/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise operators: one value at a time, with broadcasting. */
#include "emulator/compiler/operators.h"

#include <math.h>
#include <string.h>

struct unary_row {
	const char *name;
	uint32_t fn;
	const char *alpha; /* attribute that sets it; NULL = constant */
	float alpha_default;
	const char *beta;
	float beta_default;
};

static const struct unary_row unaries[] = {
    {"Relu", ISA_U_RELU, NULL, 0, NULL, 0},
    {"LeakyRelu", ISA_U_LEAKY_RELU, "alpha", 0.01f, NULL, 0},
    {"Sigmoid", ISA_U_SIGMOID, NULL, 0, NULL, 0},
    {"HardSigmoid", ISA_U_HARD_SIGMOID, "alpha", 0.2f, "beta", 0.5f},
    {"Tanh", ISA_U_TANH, NULL, 0, NULL, 0},
    {"HardSwish", ISA_U_HARD_SWISH, NULL, 1.0f / 6.0f, NULL, 0.5f},
    {"Elu", ISA_U_ELU, "alpha", 1, NULL, 0},
    {"Celu", ISA_U_CELU, "alpha", 1, NULL, 0},
    {"Selu", ISA_U_SELU, "alpha", 1.67326319217681884765625f, "gamma", 1.05070102214813232421875f},
    {"ThresholdedRelu", ISA_U_THRESHOLDED_RELU, "alpha", 1, NULL, 0},
    {"Softplus", ISA_U_SOFTPLUS, NULL, 0, NULL, 0},
    {"Softsign", ISA_U_SOFTSIGN, NULL, 0, NULL, 0},
    {"Abs", ISA_U_ABS, NULL, 0, NULL, 0},
    {"Neg", ISA_U_NEG, NULL, 0, NULL, 0},
    {"Exp", ISA_U_EXP, NULL, 0, NULL, 0},
    {"Log", ISA_U_LOG, NULL, 0, NULL, 0},
    {"Sqrt", ISA_U_SQRT, NULL, 0, NULL, 0},
    {"Reciprocal", ISA_U_RECIPROCAL, NULL, 0, NULL, 0},
    {"Erf", ISA_U_ERF, NULL, 0, NULL, 0},
    {"Floor", ISA_U_FLOOR, NULL, 0, NULL, 0},
    {"Ceil", ISA_U_CEIL, NULL, 0, NULL, 0},
    {"Round", ISA_U_ROUND, NULL, 0, NULL, 0},
    {"Sign", ISA_U_SIGN, NULL, 0, NULL, 0},
    {"Sin", ISA_U_SIN, NULL, 0, NULL, 0},
    {"Cos", ISA_U_COS, NULL, 0, NULL, 0},
    {"Tan", ISA_U_TAN, NULL, 0, NULL, 0},
    {"Asin", ISA_U_ASIN, NULL, 0, NULL, 0},
    {"Acos", ISA_U_ACOS, NULL, 0, NULL, 0},
    {"Atan", ISA_U_ATAN, NULL, 0, NULL, 0},
    {"Sinh", ISA_U_SINH, NULL, 0, NULL, 0},
    {"Cosh", ISA_U_COSH, NULL, 0, NULL, 0},
    {"Asinh", ISA_U_ASINH, NULL, 0, NULL, 0},
    {"Acosh", ISA_U_ACOSH, NULL, 0, NULL, 0},
    {"Atanh", ISA_U_ATANH, NULL, 0, NULL, 0},
    {"Not", ISA_U_NOT, NULL, 0, NULL, 0},
    {"IsNaN", ISA_U_ISNAN, NULL, 0, NULL, 0},
    {"Shrink", ISA_U_SHRINK, "lambd", 0.5f, "bias", 0},
};

static void lower_unary(struct cc *cc, const struct node *n)
{
	const struct unary_row *row = unaries;

	while (strcmp(row->name, n->op) != 0)
		row++; /* every name in the operator table that comes here is in this one */
	float alpha = row->alpha ? attr_float(cc, n, row->alpha, row->alpha_default) : row->alpha_default;
	float beta = row->beta ? attr_float(cc, n, row->beta, row->beta_default) : row->beta_default;
	struct view out = emit_unary(cc, row->fn, alpha, beta, node_in(n, 0));
	node_set(cc, n, 0, &out);
}

static void lower_isinf(struct cc *cc, const struct node *n)
{
	float negative = attr_int(cc, n, "detect_negative", 1) ? 1.0f : 0.0f;
	float positive = attr_int(cc, n, "detect_positive", 1) ? 1.0f : 0.0f;
	struct view out = emit_unary(cc, ISA_U_ISINF, negative, positive, node_in(n, 0));

	node_set(cc, n, 0, &out);
}

/* Operator sets below 7: the second input is matched to the first at `axis`, and only if the model asks for it. */
static struct view legacy_broadcast(struct cc *cc, const struct node *n, const struct view *a, const struct view *b)
{
	struct view out = *b;

	if (cc_failed(cc) || n->opset >= 7 || !attr_int(cc, n, "broadcast", 0))
		return out;
	if (b->rank > a->rank) {
		cc_bad(cc, "the second input has more axes than the first");
		return out;
	}
	int64_t axis = attr_int(cc, n, "axis", (int64_t)a->rank - b->rank);
	if (axis < 0 || axis > (int64_t)a->rank - b->rank) {
		cc_bad(cc, "axis %lld for broadcasting", (long long)axis);
		return out;
	}
	while (out.rank < a->rank - (uint32_t)axis)
		out = view_insert(&out, out.rank);
	return out;
}

static uint32_t binary_fn(struct cc *cc, const struct node *n)
{
	static const struct {
		const char *name;
		uint32_t fn;
	} rows[] = {{"Add", ISA_B_ADD},
		    {"Sub", ISA_B_SUB},
		    {"Mul", ISA_B_MUL},
		    {"Div", ISA_B_DIV},
		    {"And", ISA_B_AND},
		    {"Or", ISA_B_OR},
		    {"Xor", ISA_B_XOR},
		    {"Equal", ISA_B_EQUAL},
		    {"Greater", ISA_B_GREATER},
		    {"Less", ISA_B_LESS},
		    {"GreaterOrEqual", ISA_B_GREATER_EQUAL},
		    {"LessOrEqual", ISA_B_LESS_EQUAL}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, n->op) == 0)
			return rows[i].fn;
	if (strcmp(n->op, "Mod") == 0)
		return attr_int(cc, n, "fmod", 0) ? ISA_B_FMOD : ISA_B_MOD;
	const char *direction = attr_string(cc, n, "direction", "");
	if (strcmp(direction, "LEFT") == 0)
		return ISA_B_SHIFT_LEFT;
	if (strcmp(direction, "RIGHT") != 0)
		cc_bad(cc, "direction \"%s\" is neither LEFT nor RIGHT", direction);
	return ISA_B_SHIFT_RIGHT;
}

static void lower_binary(struct cc *cc, const struct node *n)
{
	uint32_t fn = binary_fn(cc, n);
	struct view b = legacy_broadcast(cc, n, node_in(n, 0), node_in(n, 1));
	struct view out = emit_binary(cc, fn, node_in(n, 0), &b);

	node_set(cc, n, 0, &out);
}

/* The exponent may have another type: compute in the wider one, answer in that of the base. */
static void lower_pow(struct cc *cc, const struct node *n)
{
	const struct view *base = node_in(n, 0);
	struct view b = legacy_broadcast(cc, n, base, node_in(n, 1));
	uint32_t wide = base->dtype;

	if (b.dtype != base->dtype)
		wide = dtype_is_float(base->dtype) ? base->dtype : dtype_is_float(b.dtype) ? ZY_DATA_F64 : base->dtype;
	struct view x = emit_cast(cc, base, wide);
	struct view y = emit_cast(cc, &b, wide);
	struct view out = emit_binary(cc, ISA_B_POW, &x, &y);
	out = emit_cast(cc, &out, base->dtype);
	node_set(cc, n, 0, &out);
}

static void lower_prelu(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	struct view slope = *node_in(n, 1);

	/* Before operator set 7 a slope per channel is a vector. */
	if (n->opset < 7 && slope.rank == 1 && x->rank > 1)
		while (slope.rank < x->rank - 1)
			slope = view_insert(&slope, slope.rank);
	struct view out = emit_binary(cc, ISA_B_PRELU, x, &slope);
	if (!cc_failed(cc) && !view_same_dims(&out, x))
		cc_bad(cc, "the slope does not broadcast to the input");
	node_set(cc, n, 0, &out);
}

static void lower_variadic(struct cc *cc, const struct node *n)
{
	uint32_t fn = strcmp(n->op, "Max") == 0 ? ISA_B_MAX : strcmp(n->op, "Min") == 0 ? ISA_B_MIN : ISA_B_ADD;
	struct view out = *node_in(n, 0);

	for (uint32_t i = 1; i < n->in_count; i++) {
		if (!view_present(node_in(n, i)))
			cc_bad(cc, "input %u is missing", i);
		out = emit_binary(cc, fn, &out, node_in(n, i));
	}
	if (strcmp(n->op, "Mean") == 0) {
		struct view scale = const_of(cc, out.dtype, 1.0 / n->in_count);
		if (n->in_count > 1)
			out = emit_binary(cc, ISA_B_MUL, &out, &scale);
	}
	node_set(cc, n, 0, &out);
}

/* min and max as numbers, if the model fixes both; a missing one does not bound. */
static bool clip_constants(struct cc *cc, const struct node *n, float *low, float *high)
{
	uint32_t count = 0;
	double value = 0;

	*low = -INFINITY;
	*high = INFINITY;
	if (n->opset < 11) {
		*low = attr_float(cc, n, "min", -INFINITY);
		*high = attr_float(cc, n, "max", INFINITY);
		return true;
	}
	for (uint32_t i = 1; i < 3; i++) {
		if (!view_present(node_in(n, i)))
			continue;
		if (!view_read_doubles(node_in(n, i), &value, 1, &count) || count != 1)
			return false;
		*(i == 1 ? low : high) = (float)value;
	}
	return true;
}

static void lower_clip(struct cc *cc, const struct node *n)
{
	struct view out = *node_in(n, 0);
	float low = 0;
	float high = 0;

	bool fixed = clip_constants(cc, n, &low, &high);
	if (out.dtype == ZY_DATA_F32 && fixed) {
		out = emit_unary(cc, ISA_U_CLIP, low, high, &out);
	} else if (n->opset < 11) {
		struct view min = const_of(cc, out.dtype, (double)low);
		struct view max = const_of(cc, out.dtype, (double)high);
		if (attr_find(n, "min"))
			out = emit_binary(cc, ISA_B_MAX, &out, &min);
		if (attr_find(n, "max"))
			out = emit_binary(cc, ISA_B_MIN, &out, &max);
	} else {
		for (uint32_t i = 1; i < 3; i++) {
			if (!view_present(node_in(n, i)))
				continue;
			if (view_elements(node_in(n, i)) != 1)
				cc_bad(cc, "input %u is not a scalar", i);
			struct view bound = emit_reshape(cc, node_in(n, i), 0, NULL);
			out = emit_binary(cc, i == 1 ? ISA_B_MAX : ISA_B_MIN, &out, &bound);
		}
	}
	node_set(cc, n, 0, &out);
}

static void lower_where(struct cc *cc, const struct node *n)
{
	struct view out = emit_select(cc, node_in(n, 0), node_in(n, 1), node_in(n, 2));

	node_set(cc, n, 0, &out);
}

/* The operator sets up to 17 do not say how to round to bfloat16, and writers of models disagree. */
static void check_narrowing(struct cc *cc, uint32_t from, uint32_t to)
{
	if (to == ZY_DATA_BF16 && from != ZY_DATA_BF16)
		cc_unsupported(cc, "conversion to bfloat16: its rounding is not defined");
}

static void lower_cast(struct cc *cc, const struct node *n)
{
	int64_t to = attr_int(cc, n, "to", 0);
	uint32_t dtype = to > 0 && to <= INT32_MAX ? dtype_from_onnx((int32_t)to) : ZY_DATA_NONE;

	if (to <= 0)
		cc_bad(cc, "attribute \"to\" is %lld", (long long)to);
	else if (dtype == ZY_DATA_NONE)
		cc_unsupported(cc, "conversion to ONNX type %lld", (long long)to);
	check_narrowing(cc, node_in(n, 0)->dtype, dtype);
	struct view out = emit_cast(cc, node_in(n, 0), dtype);
	node_set(cc, n, 0, &out);
}

static void lower_cast_like(struct cc *cc, const struct node *n)
{
	check_narrowing(cc, node_in(n, 0)->dtype, node_in(n, 1)->dtype);
	struct view out = emit_cast(cc, node_in(n, 0), node_in(n, 1)->dtype);

	node_set(cc, n, 0, &out);
}

#define UNARY(name, attributes)                                                                                        \
	{                                                                                                              \
		name, lower_unary, 1, 1, 1, attributes " consumed_inputs"                                              \
	}
#define BINARY(name)                                                                                                   \
	{                                                                                                              \
		name, lower_binary, 2, 2, 1, "broadcast axis consumed_inputs"                                          \
	}

const struct operator_row operators_elementwise[] = {
    UNARY("Relu", ""),
    UNARY("LeakyRelu", "alpha"),
    UNARY("Sigmoid", ""),
    UNARY("HardSigmoid", "alpha beta"),
    UNARY("Tanh", ""),
    UNARY("HardSwish", ""),
    UNARY("Elu", "alpha"),
    UNARY("Celu", "alpha"),
    UNARY("Selu", "alpha gamma"),
    UNARY("ThresholdedRelu", "alpha"),
    UNARY("Softplus", ""),
    UNARY("Softsign", ""),
    UNARY("Abs", ""),
    UNARY("Neg", ""),
    UNARY("Exp", ""),
    UNARY("Log", ""),
    UNARY("Sqrt", ""),
    UNARY("Reciprocal", ""),
    UNARY("Erf", ""),
    UNARY("Floor", ""),
    UNARY("Ceil", ""),
    UNARY("Round", ""),
    UNARY("Sign", ""),
    UNARY("Sin", ""),
    UNARY("Cos", ""),
    UNARY("Tan", ""),
    UNARY("Asin", ""),
    UNARY("Acos", ""),
    UNARY("Atan", ""),
    UNARY("Sinh", ""),
    UNARY("Cosh", ""),
    UNARY("Asinh", ""),
    UNARY("Acosh", ""),
    UNARY("Atanh", ""),
    UNARY("Not", ""),
    UNARY("IsNaN", ""),
    UNARY("Shrink", "lambd bias"),
    {"IsInf", lower_isinf, 1, 1, 1, "detect_negative detect_positive"},
    BINARY("Add"),
    BINARY("Sub"),
    BINARY("Mul"),
    BINARY("Div"),
    BINARY("And"),
    BINARY("Or"),
    BINARY("Xor"),
    BINARY("Equal"),
    BINARY("Greater"),
    BINARY("Less"),
    BINARY("GreaterOrEqual"),
    BINARY("LessOrEqual"),
    {"Mod", lower_binary, 2, 2, 1, "fmod"},
    {"BitShift", lower_binary, 2, 2, 1, "direction"},
    {"Pow", lower_pow, 2, 2, 1, "broadcast axis"},
    {"PRelu", lower_prelu, 2, 2, 1, "consumed_inputs"},
    {"Max", lower_variadic, 1, OPERATOR_MANY, 1, "consumed_inputs"},
    {"Min", lower_variadic, 1, OPERATOR_MANY, 1, "consumed_inputs"},
    {"Sum", lower_variadic, 1, OPERATOR_MANY, 1, "consumed_inputs"},
    {"Mean", lower_variadic, 1, OPERATOR_MANY, 1, "consumed_inputs"},
    {"Clip", lower_clip, 1, 3, 1, "min max consumed_inputs"},
    {"Where", lower_where, 3, 3, 1, ""},
    {"Cast", lower_cast, 1, 1, 1, "to"},
    {"CastLike", lower_cast_like, 2, 2, 1, ""},
    {0},
};
