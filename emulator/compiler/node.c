/* SPDX-License-Identifier: Apache-2.0 */
/* One ONNX node: finds its operator, checks its form, reads its inputs, lowers it. */
#include "emulator/compiler/operators.h"

#include <string.h>

static const struct operator_row *const tables[] = {
    operators_elementwise, operators_shape,  operators_slice,  operators_conv,   operators_pool, operators_matmul,
    operators_norm,        operators_reduce, operators_index,  operators_resize, operators_loss, operators_quantized,
    operators_recurrent,   operators_signal, operators_einsum, operators_search};

static const struct operator_row *operator_find(const char *name)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct operator_row *row = tables[t]; row->name; row++)
			if (strcmp(row->name, name) == 0)
				return row;
	return NULL;
}

static bool word_in(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = words; *at;) {
		const char *end = strchrnul(at, ' ');
		if ((size_t)(end - at) == length && memcmp(at, word, length) == 0)
			return true;
		at = *end ? end + 1 : end;
	}
	return false;
}

static void check_form(struct cc *cc, const struct node *n, const struct operator_row *row)
{
	if (n->in_count < row->min_in || n->in_count > row->max_in)
		cc_bad(cc, "has %u inputs, not %u to %u", n->in_count, row->min_in, row->max_in);
	if (n->out_count < 1 || n->out_count > row->max_out)
		cc_bad(cc, "has %u outputs, not 1 to %u", n->out_count, row->max_out);
	for (size_t i = 0; i < n->proto->n_attribute; i++) {
		const Onnx__AttributeProto *a = n->proto->attribute[i];
		if (!a->name || !a->name[0])
			cc_bad(cc, "has an attribute without name");
		else if (!word_in(row->attributes, a->name))
			cc_unsupported(cc, "attribute \"%.64s\"", a->name);
		else if (a->ref_attr_name && a->ref_attr_name[0])
			cc_unsupported(cc, "attribute \"%.64s\" refers to a function's attribute", a->name);
	}
}

const struct value *value_read(struct cc *cc, const char *name)
{
	struct value *value = cc_failed(cc) ? NULL : value_get(cc, name, false);

	if (cc_failed(cc))
		return NULL;
	if (value && value->refused) {
		cc_unsupported(cc, "value \"%.128s\" is %s", name, value->refused);
		return NULL;
	}
	if (value && !value->defined && value->init) {
		value->view = tensor_load(cc, value->init);
		value->defined = !cc_failed(cc);
	}
	if (!value || !value->defined) {
		cc_bad(cc, "value \"%.128s\" is used but nothing before defines it", name);
		return NULL;
	}
	return value;
}

static void read_inputs(struct cc *cc, struct node *n, uint32_t required)
{
	for (uint32_t i = 0; i < n->in_count; i++) {
		const char *name = n->proto->input[i];
		if (!name || !name[0]) {
			if (i < required)
				cc_bad(cc, "input %u is missing", i);
			continue;
		}
		const struct value *value = value_read(cc, name);
		if (value)
			n->in[i] = value->view;
	}
}

static void lower_with(struct cc *cc, struct node *n, const struct operator_row *row)
{
	check_form(cc, n, row);
	if (!cc_failed(cc))
		read_inputs(cc, n, row->min_in);
	if (!cc_failed(cc))
		row->lower(cc, n);
}

void node_lower(struct cc *cc, size_t index)
{
	const Onnx__NodeProto *proto = cc->graph->node[index];
	struct node n = {
	    .proto = proto, .index = index, .op = proto->op_type ? proto->op_type : "", .opset = cc->opset};

	if (cc_failed(cc))
		return;
	cc->node = &n;
	const struct operator_row *row = operator_find(n.op);
	if (proto->n_input > OPERATOR_MANY || proto->n_output > OPERATOR_MANY)
		cc_bad(cc, "has %zu inputs and %zu outputs", proto->n_input, proto->n_output);
	else if (proto->domain && proto->domain[0] && strcmp(proto->domain, "ai.onnx") != 0)
		cc_unsupported(cc, "operator of domain \"%.64s\"", proto->domain);
	else if (!row)
		cc_unsupported(cc, "operator");
	n.in_count = (uint32_t)proto->n_input;
	n.out_count = (uint32_t)proto->n_output;
	/* Optional inputs and outputs at the end may be written as empty names. */
	while (n.in_count && !(proto->input[n.in_count - 1] && proto->input[n.in_count - 1][0]))
		n.in_count--;
	while (n.out_count && !(proto->output[n.out_count - 1] && proto->output[n.out_count - 1][0]))
		n.out_count--;
	n.in = cc_alloc(cc, (size_t)n.in_count + 1, sizeof(*n.in));
	if (row && n.in && !cc_failed(cc))
		lower_with(cc, &n, row);
	cc->node = NULL;
}

bool node_has_out(const struct node *n, uint32_t index)
{
	return index < n->out_count && n->proto->output[index] && n->proto->output[index][0];
}

const struct view *node_in(const struct node *n, uint32_t index)
{
	static const struct view absent;

	return index < n->in_count ? &n->in[index] : &absent;
}

void node_set(struct cc *cc, const struct node *n, uint32_t index, const struct view *v)
{
	if (cc_failed(cc) || !node_has_out(n, index))
		return;
	struct value *value = value_get(cc, n->proto->output[index], true);
	if (!value)
		return;
	if (value->defined || value->init) {
		cc_bad(cc, "value \"%.128s\" is defined twice", value->name);
		return;
	}
	value->view = *v;
	value->defined = true;
}

bool node_declared(struct cc *cc, const struct node *n, uint32_t index, uint32_t *rank, uint32_t *dims)
{
	struct value *value = node_has_out(n, index) ? value_get(cc, n->proto->output[index], false) : NULL;

	if (!value || !value->declared)
		return false;
	*rank = value->declared_rank;
	memcpy(dims, value->declared_dims, value->declared_rank * sizeof(*dims));
	return true;
}
