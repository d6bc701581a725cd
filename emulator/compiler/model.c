/* SPDX-License-Identifier: Apache-2.0 */
/* The graph as a whole: its interface, which nodes matter, and their order. Lowers node by node. */
#include "emulator/compiler/cc.h"

#include <string.h>

#define MAX_OPSET 17
#define MAX_PORTS 1024u

static void read_opset(struct cc *cc, const Onnx__ModelProto *model)
{
	cc->opset = 1;
	for (size_t i = 0; i < model->n_opset_import; i++) {
		const Onnx__OperatorSetIdProto *set = model->opset_import[i];
		if (set->domain && set->domain[0] && strcmp(set->domain, "ai.onnx") != 0)
			continue;
		cc->opset = set->version;
		if (set->version < 1)
			cc_bad(cc, "operator set version %lld", (long long)set->version);
		else if (set->version > MAX_OPSET)
			cc_unsupported(cc, "operator set version %lld: at most %d", (long long)set->version, MAX_OPSET);
	}
}

static const struct npucc_shape *fixed_shape(const struct cc *cc, const char *name)
{
	for (size_t i = 0; i < cc->options->shape_count; i++)
		if (strcmp(cc->options->shapes[i].name, name) == 0)
			return &cc->options->shapes[i];
	return NULL;
}

/* Type and shape that the model states; false if it is not a tensor of a known type with a full shape. */
static bool declared_type(const Onnx__ValueInfoProto *info, uint32_t *dtype, uint32_t *rank, uint32_t *dims)
{
	if (!info->type || info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
		return false;
	const Onnx__TypeProto__Tensor *tensor = info->type->tensor_type;
	*dtype = dtype_from_onnx(tensor->elem_type);
	if (*dtype == ZY_DATA_NONE || !tensor->shape || tensor->shape->n_dim > ISA_MAX_RANK)
		return false;
	*rank = (uint32_t)tensor->shape->n_dim;
	for (uint32_t i = 0; i < *rank; i++) {
		const Onnx__TensorShapeProto__Dimension *dim = tensor->shape->dim[i];
		if (dim->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE || dim->dim_value < 0 ||
		    dim->dim_value > INT32_MAX)
			return false;
		dims[i] = (uint32_t)dim->dim_value;
	}
	return true;
}

static void declare(struct cc *cc, const Onnx__ValueInfoProto *info)
{
	uint32_t dims[ISA_MAX_RANK];
	uint32_t rank = 0;
	uint32_t dtype = 0;

	if (cc_failed(cc) || !info->name || !info->name[0] || !declared_type(info, &dtype, &rank, dims))
		return;
	struct value *value = value_get(cc, info->name, true);
	if (!value)
		return;
	value->declared = true;
	value->declared_dtype = dtype;
	value->declared_rank = rank;
	memcpy(value->declared_dims, dims, rank * sizeof(*dims));
}

static const char *refused_type(const Onnx__ValueInfoProto *info)
{
	if (!info->type)
		return "of no stated type";
	switch (info->type->value_case) {
	case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
		return info->type->tensor_type->shape ? NULL : "of no stated shape";
	case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
		return "a sequence";
	case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
		return "an optional";
	case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
		return "a map";
	case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
		return "a sparse tensor";
	default:
		return "of no stated type";
	}
}

/* One dimension of a graph input: what the model says must agree with what --shape says. */
static bool input_dim(struct cc *cc, const char *name, const Onnx__TensorShapeProto__Dimension *dim, uint32_t axis,
		      const struct npucc_shape *fixed, uint32_t *out)
{
	if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value > 0) {
		if (dim->dim_value > INT32_MAX || (fixed && fixed->dims[axis] != (uint64_t)dim->dim_value)) {
			cc_bad(cc, "input \"%.128s\": dimension %u is %lld in the model", name, axis,
			       (long long)dim->dim_value);
			return false;
		}
		*out = (uint32_t)dim->dim_value;
		return true;
	}
	if (fixed) {
		*out = fixed->dims[axis];
		return true;
	}
	if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value == 0) {
		*out = 0;
		return true;
	}
	cc_unsupported(cc, "input \"%.128s\": dimension %u is not fixed: give --shape", name, axis);
	return false;
}

static bool input_shape(struct cc *cc, const Onnx__ValueInfoProto *info, uint32_t *rank, uint32_t *dims)
{
	const Onnx__TensorShapeProto *shape = info->type->tensor_type->shape;
	const struct npucc_shape *fixed = fixed_shape(cc, info->name);

	if (shape->n_dim > ISA_MAX_RANK) {
		cc_unsupported(cc, "input \"%.128s\" has rank %zu: at most %u", info->name, shape->n_dim, ISA_MAX_RANK);
		return false;
	}
	*rank = (uint32_t)shape->n_dim;
	if (fixed && fixed->rank != *rank) {
		cc_bad(cc, "input \"%.128s\" has rank %u in the model, %u in --shape", info->name, *rank, fixed->rank);
		return false;
	}
	for (uint32_t i = 0; i < *rank; i++)
		if (!input_dim(cc, info->name, shape->dim[i], i, fixed, &dims[i]))
			return false;
	return true;
}

static void add_input(struct cc *cc, const Onnx__ValueInfoProto *info)
{
	uint32_t dims[ISA_MAX_RANK];
	uint32_t rank = 0;

	if (!info->name || !info->name[0]) {
		cc_bad(cc, "a graph input has no name");
		return;
	}
	struct value *value = value_get(cc, info->name, true);
	if (!value || value->init)
		return; /* a constant, even though listed as input */
	if (value->defined) {
		cc_bad(cc, "two graph inputs are named \"%.128s\"", info->name);
		return;
	}
	const char *refused = refused_type(info);
	if (refused) {
		cc_unsupported(cc, "input \"%.128s\" is %s", info->name, refused);
		return;
	}
	uint32_t dtype = dtype_from_onnx(info->type->tensor_type->elem_type);
	if (dtype == ZY_DATA_NONE) {
		cc_unsupported(cc, "input \"%.128s\" has element type %d", info->name,
			       info->type->tensor_type->elem_type);
		return;
	}
	if (!input_shape(cc, info, &rank, dims))
		return;
	struct view v = tensor_new(cc, dtype, rank, dims, NULL, NULL, 0);
	if (cc_failed(cc))
		return;
	v.st->kind = ST_INPUT;
	v.st->io = cc->input_count;
	value->view = v;
	value->defined = true;
	cc->inputs[cc->input_count++] = (struct port){.name = info->name, .view = v};
}

static void add_initializers(struct cc *cc)
{
	for (size_t i = 0; i < cc->graph->n_initializer && !cc_failed(cc); i++) {
		const Onnx__TensorProto *tensor = cc->graph->initializer[i];
		if (!tensor->name || !tensor->name[0]) {
			cc_bad(cc, "initializer %zu has no name", i);
			return;
		}
		struct value *value = value_get(cc, tensor->name, true);
		if (value && value->init)
			cc_bad(cc, "two initializers are named \"%.128s\"", tensor->name);
		else if (value)
			value->init = tensor;
	}
	for (size_t i = 0; i < cc->graph->n_sparse_initializer && !cc_failed(cc); i++) {
		const Onnx__SparseTensorProto *sparse = cc->graph->sparse_initializer[i];
		struct value *value =
		    sparse->values && sparse->values->name ? value_get(cc, sparse->values->name, true) : NULL;
		if (value)
			value->refused = "a sparse initializer";
	}
}

static void add_producers(struct cc *cc)
{
	for (size_t i = 0; i < cc->graph->n_node; i++) {
		const Onnx__NodeProto *node = cc->graph->node[i];
		for (size_t k = 0; k < node->n_output && !cc_failed(cc); k++) {
			if (!node->output[k] || !node->output[k][0])
				continue;
			struct value *value = value_get(cc, node->output[k], true);
			if (!value)
				return;
			if (value->producer || value->defined || value->init)
				cc_bad(cc, "value \"%.128s\" is defined twice", value->name);
			value->producer = i + 1;
		}
	}
}

struct live {
	bool *node;
	size_t *stack;
	size_t depth;
};

static void live_mark(struct cc *cc, struct live *live, const char *name)
{
	const struct value *value = name && name[0] ? value_get(cc, name, false) : NULL;

	if (!value || !value->producer || live->node[value->producer - 1])
		return;
	live->node[value->producer - 1] = true;
	live->stack[live->depth++] = value->producer - 1;
}

/* Only nodes that an output depends on are looked at: what is not needed need not be supported. */
static bool *live_nodes(struct cc *cc)
{
	struct live live = {.node = cc_alloc(cc, cc->graph->n_node + 1, sizeof(bool)),
			    .stack = cc_alloc(cc, cc->graph->n_node + 1, sizeof(size_t))};

	if (cc_failed(cc))
		return NULL;
	for (size_t i = 0; i < cc->graph->n_output; i++)
		live_mark(cc, &live, cc->graph->output[i]->name);
	while (live.depth > 0) {
		const Onnx__NodeProto *node = cc->graph->node[live.stack[--live.depth]];
		for (size_t i = 0; i < node->n_input; i++)
			live_mark(cc, &live, node->input[i]);
	}
	return live.node;
}

static void add_output(struct cc *cc, const Onnx__ValueInfoProto *info)
{
	if (!info->name || !info->name[0]) {
		cc_bad(cc, "a graph output has no name");
		return;
	}
	const struct value *value = value_read(cc, info->name);
	if (!value)
		return;
	struct view v = tensor_new(cc, value->view.dtype, value->view.rank, value->view.dims, NULL, NULL, 0);
	if (cc_failed(cc))
		return;
	v.st->kind = ST_OUTPUT;
	v.st->io = cc->output_count;
	emit_copy(cc, &v, &value->view);
	cc->outputs[cc->output_count++] = (struct port){.name = info->name, .view = v};
}

static void check_shapes_used(struct cc *cc)
{
	for (size_t i = 0; i < cc->options->shape_count; i++) {
		bool found = false;
		for (uint32_t k = 0; k < cc->input_count; k++)
			found = found || strcmp(cc->inputs[k].name, cc->options->shapes[i].name) == 0;
		if (!found)
			cc_bad(cc, "--shape names \"%.128s\", which is not an input of the model",
			       cc->options->shapes[i].name);
	}
}

static bool open_graph(struct cc *cc, const Onnx__ModelProto *model)
{
	cc->graph = model->graph;
	if (!cc->graph || cc->graph->n_output == 0) {
		cc_bad(cc, "the model has no %s", cc->graph ? "outputs" : "graph");
		return false;
	}
	if (cc->graph->n_output > MAX_PORTS || cc->graph->n_input > UINT32_MAX / 2) {
		cc_unsupported(cc, "more than %u outputs", MAX_PORTS);
		return false;
	}
	read_opset(cc, model);
	cc->inputs = cc_alloc(cc, cc->graph->n_input + 1, sizeof(*cc->inputs));
	cc->outputs = cc_alloc(cc, cc->graph->n_output, sizeof(*cc->outputs));
	return !cc_failed(cc);
}

void model_lower(struct cc *cc, const Onnx__ModelProto *model)
{
	if (cc_failed(cc) || !open_graph(cc, model))
		return;
	add_initializers(cc);
	for (size_t i = 0; i < cc->graph->n_value_info; i++)
		declare(cc, cc->graph->value_info[i]);
	for (size_t i = 0; i < cc->graph->n_output; i++)
		declare(cc, cc->graph->output[i]);
	for (size_t i = 0; i < cc->graph->n_input && !cc_failed(cc); i++)
		add_input(cc, cc->graph->input[i]);
	check_shapes_used(cc);
	add_producers(cc);
	const bool *live = cc_failed(cc) ? NULL : live_nodes(cc);
	for (size_t i = 0; live && i < cc->graph->n_node && !cc_failed(cc); i++)
		if (live[i])
			node_lower(cc, i);
	for (size_t i = 0; i < cc->graph->n_output && !cc_failed(cc); i++)
		add_output(cc, cc->graph->output[i]);
}
