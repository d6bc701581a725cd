/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Baseline: a detector of BlazeFace's kind run by oneDNN alone. Primitives and weight reorders are made once, feature
 * maps stay in the blocked layouts oneDNN picks, bias, residual and activation ride on the convolutions. No client, no
 * daemon, no device. It knows just the operators of that family and refuses any other graph.
 *
 * blazeface_dnnl MODEL.onnx [RUNS [INPUT.f32 OUTPUT_PREFIX]]: prints the median time of one run in milliseconds.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <oneapi/dnnl/dnnl.h>

#include "onnx.pb-c.h"

enum { MAX_TENSORS = 512, MAX_STEPS = 512, MAX_ARGS = 6 };

struct tensor {
	const char *name;
	dnnl_memory_t memory; /* NULL for a constant that no step has placed yet */
	const Onnx__TensorProto *constant;
	dnnl_dims_t zeros; /* shape of a ConstantOfShape result */
};

struct step {
	dnnl_primitive_t primitive;
	dnnl_exec_arg_t args[MAX_ARGS];
	int nargs;
};

static struct tensor tensors[MAX_TENSORS];
static size_t tensor_count;
static struct step steps[MAX_STEPS];
static size_t step_count;
static dnnl_engine_t engine;
static dnnl_stream_t stream;

#define TRY(call)                                                                                                      \
	do {                                                                                                           \
		dnnl_status_t status_ = (call);                                                                        \
		if (status_ != dnnl_success) {                                                                         \
			fprintf(stderr, "blazeface_dnnl: %s: oneDNN status %d\n", #call, (int)status_);                \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

static _Noreturn void die(const char *what, const char *name)
{
	fprintf(stderr, "blazeface_dnnl: %s: %s\n", what, name);
	exit(1);
}

static struct tensor *tensor_find(const char *name)
{
	for (size_t i = 0; i < tensor_count; i++) {
		if (strcmp(tensors[i].name, name) == 0)
			return &tensors[i];
	}
	return NULL;
}

static struct tensor *tensor_get(const char *name)
{
	struct tensor *tensor = tensor_find(name);

	if (!tensor)
		die("unknown tensor", name);
	return tensor;
}

static struct tensor *tensor_add(const char *name)
{
	if (tensor_count == MAX_TENSORS)
		die("too many tensors", name);
	tensors[tensor_count].name = name;
	return &tensors[tensor_count++];
}

static const Onnx__AttributeProto *attribute(const Onnx__NodeProto *node, const char *name)
{
	for (size_t i = 0; i < node->n_attribute; i++) {
		if (strcmp(node->attribute[i]->name, name) == 0)
			return node->attribute[i];
	}
	return NULL;
}

static int64_t attribute_at(const Onnx__NodeProto *node, const char *name, size_t index, int64_t fallback)
{
	const Onnx__AttributeProto *attr = attribute(node, name);

	return attr && attr->n_ints > index ? attr->ints[index] : fallback;
}

static const float *constant_floats(const Onnx__TensorProto *constant)
{
	return constant->raw_data.len ? (const float *)(const void *)constant->raw_data.data : constant->float_data;
}

static dnnl_memory_t memory_new(const dnnl_memory_desc_t *desc)
{
	dnnl_memory_t memory;

	TRY(dnnl_memory_create(&memory, desc, engine, DNNL_MEMORY_ALLOCATE));
	return memory;
}

static const dnnl_memory_desc_t *memory_desc(dnnl_memory_t memory)
{
	const dnnl_memory_desc_t *desc;

	TRY(dnnl_memory_get_memory_desc(memory, &desc));
	return desc;
}

static struct step *step_add(const_dnnl_primitive_desc_t desc)
{
	if (step_count == MAX_STEPS)
		die("too many steps", "graph");
	TRY(dnnl_primitive_create(&steps[step_count].primitive, desc));
	return &steps[step_count++];
}

static void step_arg(struct step *step, int arg, dnnl_memory_t memory)
{
	step->args[step->nargs++] = (dnnl_exec_arg_t){arg, memory};
}

/* Copies between layouts: once, now (`steps` untouched), or as a step of every run. */
static dnnl_memory_t reorder(dnnl_memory_t from, const dnnl_memory_desc_t *to, int each_run)
{
	if (dnnl_memory_desc_equal(memory_desc(from), to))
		return from;
	dnnl_primitive_desc_t desc;
	dnnl_memory_t out = memory_new(to);

	TRY(dnnl_reorder_primitive_desc_create(&desc, memory_desc(from), engine, to, engine, NULL));
	struct step *step = step_add(desc);
	step_arg(step, DNNL_ARG_FROM, from);
	step_arg(step, DNNL_ARG_TO, out);
	if (!each_run) {
		TRY(dnnl_primitive_execute(step->primitive, stream, step->nargs, step->args));
		TRY(dnnl_stream_wait(stream));
		memset(step, 0, sizeof(*step));
		step_count--;
	}
	TRY(dnnl_primitive_desc_destroy(desc));
	return out;
}

static dnnl_memory_t place_constant(const Onnx__TensorProto *constant, int rank, const dnnl_dims_t dims,
				    dnnl_format_tag_t tag)
{
	dnnl_memory_desc_t desc;
	dnnl_memory_t memory;

	TRY(dnnl_memory_desc_init_by_tag(&desc, rank, dims, dnnl_f32, tag));
	TRY(dnnl_memory_create(&memory, &desc, engine, (void *)(uintptr_t)constant_floats(constant)));
	return memory;
}

/* The only consumer of a value, or NULL. */
static const Onnx__NodeProto *sole_consumer(const Onnx__GraphProto *graph, const char *name)
{
	const Onnx__NodeProto *found = NULL;

	for (size_t i = 0; i < graph->n_node; i++) {
		for (size_t j = 0; j < graph->node[i]->n_input; j++) {
			if (strcmp(graph->node[i]->input[j], name) != 0)
				continue;
			if (found)
				return NULL;
			found = graph->node[i];
		}
	}
	return found;
}

/* What rides on a convolution: Relu, or Add of an existing tensor and Relu. */
struct riders {
	const char *result; /* name of the value that comes out in the end */
	dnnl_memory_t residual; /* NULL: none. It dies with the addition in this family of networks: add in place. */
	int relu;
};

static struct riders riders_find(const Onnx__GraphProto *graph, const char *name)
{
	struct riders riders = {.result = name};
	const Onnx__NodeProto *next = sole_consumer(graph, name);

	if (next && strcmp(next->op_type, "Add") == 0) {
		const struct tensor *other = tensor_find(next->input[strcmp(next->input[0], name) == 0]);
		if (other && other->memory) {
			riders.residual = other->memory;
			riders.result = next->output[0];
			next = sole_consumer(graph, riders.result);
		}
	}
	if (next && strcmp(next->op_type, "Relu") == 0) {
		riders.relu = 1;
		riders.result = next->output[0];
	}
	return riders;
}

struct convolution {
	dnnl_dims_t stride, begin, end, out;
	dnnl_dims_t weight_dims;
	int weight_rank;
	int64_t channels;
};

static struct convolution convolution_read(const Onnx__NodeProto *node, const dnnl_memory_desc_t *src)
{
	const Onnx__TensorProto *w = tensor_get(node->input[1])->constant;
	const Onnx__AttributeProto *attr = attribute(node, "group");
	int64_t group = attr ? attr->i : 1;
	struct convolution conv = {.channels = w->dims[0], .out = {src->dims[0], w->dims[0]}};
	int64_t *dims = conv.weight_dims;

	for (size_t i = 0; i < 2; i++) {
		conv.stride[i] = attribute_at(node, "strides", i, 1);
		conv.begin[i] = attribute_at(node, "pads", i, 0);
		conv.end[i] = attribute_at(node, "pads", i + 2, 0);
		conv.out[2 + i] =
		    (src->dims[2 + i] + conv.begin[i] + conv.end[i] - w->dims[2 + i]) / conv.stride[i] + 1;
	}
	if (group > 1)
		dims[conv.weight_rank++] = group;
	dims[conv.weight_rank++] = conv.channels / group;
	for (size_t i = 1; i < 4; i++)
		dims[conv.weight_rank++] = w->dims[i];
	return conv;
}

/* Layouts are oneDNN's choice, except the output's when it is added in place. */
static dnnl_primitive_desc_t convolution_desc(const struct convolution *conv, const struct riders *riders,
					      const dnnl_memory_desc_t *src, int has_bias)
{
	const dnnl_dims_t dense = {0, 0}, bias_dims = {conv->channels};
	dnnl_memory_desc_t any_src, any_weights, bias, dst;
	dnnl_post_ops_t ops;
	dnnl_primitive_attr_t attr;
	dnnl_convolution_desc_t op;
	dnnl_primitive_desc_t desc;

	TRY(dnnl_memory_desc_init_by_tag(&any_src, 4, src->dims, dnnl_f32, dnnl_format_tag_any));
	TRY(dnnl_memory_desc_init_by_tag(&any_weights, conv->weight_rank, conv->weight_dims, dnnl_f32,
					 dnnl_format_tag_any));
	TRY(dnnl_memory_desc_init_by_tag(&bias, 1, bias_dims, dnnl_f32, dnnl_a));
	if (riders->residual)
		dst = *memory_desc(riders->residual);
	else
		TRY(dnnl_memory_desc_init_by_tag(&dst, 4, conv->out, dnnl_f32, dnnl_format_tag_any));
	TRY(dnnl_post_ops_create(&ops));
	TRY(dnnl_primitive_attr_create(&attr));
	if (riders->residual)
		TRY(dnnl_post_ops_append_sum(ops, 1.0f));
	if (riders->relu)
		TRY(dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f));
	TRY(dnnl_primitive_attr_set_post_ops(attr, ops));
	TRY(dnnl_dilated_convolution_forward_desc_init(&op, dnnl_forward_inference, dnnl_convolution_direct, &any_src,
						       &any_weights, has_bias ? &bias : NULL, &dst, conv->stride, dense,
						       conv->begin, conv->end));
	TRY(dnnl_primitive_desc_create(&desc, &op, attr, engine, NULL));
	TRY(dnnl_primitive_attr_destroy(attr));
	TRY(dnnl_post_ops_destroy(ops));
	return desc;
}

static void convolve(const Onnx__GraphProto *graph, const Onnx__NodeProto *node)
{
	dnnl_memory_t src = tensor_get(node->input[0])->memory;
	struct riders riders = riders_find(graph, node->output[0]);
	struct convolution conv = convolution_read(node, memory_desc(src));
	int has_bias = node->n_input > 2;
	dnnl_primitive_desc_t desc = convolution_desc(&conv, &riders, memory_desc(src), has_bias);
	dnnl_memory_t weights = place_constant(tensor_get(node->input[1])->constant, conv.weight_rank, conv.weight_dims,
					       conv.weight_rank == 5 ? dnnl_abcde : dnnl_abcd);
	dnnl_memory_t dst = riders.residual;

	src = reorder(src, dnnl_primitive_desc_query_md(desc, dnnl_query_src_md, 0), 1);
	weights = reorder(weights, dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0), 0);
	if (!dst)
		dst = memory_new(dnnl_primitive_desc_query_md(desc, dnnl_query_dst_md, 0));
	struct step *step = step_add(desc);
	step_arg(step, DNNL_ARG_SRC, src);
	step_arg(step, DNNL_ARG_WEIGHTS, weights);
	if (has_bias) {
		const dnnl_dims_t dims = {conv.channels};
		step_arg(step, DNNL_ARG_BIAS, place_constant(tensor_get(node->input[2])->constant, 1, dims, dnnl_a));
	}
	step_arg(step, DNNL_ARG_DST, dst);
	tensor_add(riders.result)->memory = dst;
	TRY(dnnl_primitive_desc_destroy(desc));
}

static void pool(const Onnx__NodeProto *node)
{
	dnnl_memory_t src = tensor_get(node->input[0])->memory;
	const dnnl_memory_desc_t *sd = memory_desc(src);
	dnnl_dims_t kernel, stride, zero = {0, 0}, out = {sd->dims[0], sd->dims[1]};
	dnnl_memory_desc_t dst_desc;
	dnnl_pooling_desc_t op;
	dnnl_primitive_desc_t desc;

	for (size_t i = 0; i < 2; i++) {
		kernel[i] = attribute_at(node, "kernel_shape", i, 1);
		stride[i] = attribute_at(node, "strides", i, 1);
		out[2 + i] = (sd->dims[2 + i] - kernel[i]) / stride[i] + 1;
	}
	TRY(dnnl_memory_desc_init_by_tag(&dst_desc, 4, out, dnnl_f32, dnnl_format_tag_any));
	TRY(dnnl_pooling_forward_desc_init(&op, dnnl_forward_inference, dnnl_pooling_max, sd, &dst_desc, stride, kernel,
					   zero, zero));
	TRY(dnnl_primitive_desc_create(&desc, &op, NULL, engine, NULL));
	dnnl_memory_t dst = memory_new(dnnl_primitive_desc_query_md(desc, dnnl_query_dst_md, 0));
	struct step *step = step_add(desc);
	step_arg(step, DNNL_ARG_SRC, src);
	step_arg(step, DNNL_ARG_DST, dst);
	tensor_add(node->output[0])->memory = dst;
	TRY(dnnl_primitive_desc_destroy(desc));
}

/* Concat along channels with zeros behind. */
static void concat(const Onnx__NodeProto *node)
{
	dnnl_memory_t parts[2] = {tensor_get(node->input[0])->memory, NULL};
	struct tensor *pad = tensor_get(node->input[1]);
	dnnl_memory_desc_t descs[2] = {*memory_desc(parts[0])};
	dnnl_primitive_desc_t desc;
	void *data;

	if (node->n_input != 2 || !pad->zeros[1])
		die("only padding of channels is known", node->name);
	TRY(dnnl_memory_desc_init_by_tag(&descs[1], 4, pad->zeros, dnnl_f32, dnnl_nhwc));
	parts[1] = memory_new(&descs[1]);
	TRY(dnnl_memory_get_data_handle(parts[1], &data));
	memset(data, 0, dnnl_memory_desc_get_size(&descs[1]));
	TRY(dnnl_concat_primitive_desc_create(&desc, NULL, 2, 1, descs, NULL, engine));
	dnnl_memory_t dst = memory_new(dnnl_primitive_desc_query_md(desc, dnnl_query_dst_md, 0));
	struct step *step = step_add(desc);
	step_arg(step, DNNL_ARG_MULTIPLE_SRC, parts[0]);
	step_arg(step, DNNL_ARG_MULTIPLE_SRC + 1, parts[1]);
	step_arg(step, DNNL_ARG_DST, dst);
	tensor_add(node->output[0])->memory = dst;
	TRY(dnnl_primitive_desc_destroy(desc));
}

/* NHWC -> NCHW at the entry is a matter of description; NCHW -> NHWC at the exits is a reorder to plain NHWC. */
static void transpose(const Onnx__NodeProto *node)
{
	struct tensor *in = tensor_get(node->input[0]);
	const dnnl_memory_desc_t *d = memory_desc(in->memory);
	dnnl_memory_desc_t plain;
	dnnl_memory_t out;

	if (attribute_at(node, "perm", 1, 0) == 3) {
		void *data;
		dnnl_dims_t dims = {d->dims[0], d->dims[3], d->dims[1], d->dims[2]};

		TRY(dnnl_memory_desc_init_by_tag(&plain, 4, dims, dnnl_f32, dnnl_nhwc));
		TRY(dnnl_memory_get_data_handle(in->memory, &data));
		TRY(dnnl_memory_create(&out, &plain, engine, data));
	} else {
		TRY(dnnl_memory_desc_init_by_tag(&plain, 4, d->dims, dnnl_f32, dnnl_nhwc));
		out = reorder(in->memory, &plain, 1);
	}
	tensor_add(node->output[0])->memory = out;
}

static void zeros_of_shape(const Onnx__NodeProto *node)
{
	const Onnx__TensorProto *shape = tensor_get(node->input[0])->constant;
	struct tensor *out = tensor_add(node->output[0]);

	if (shape->dims[0] != 4)
		die("ConstantOfShape of rank 4 expected", node->name);
	if (shape->raw_data.len)
		memcpy(out->zeros, shape->raw_data.data, 4 * sizeof(int64_t));
	else
		memcpy(out->zeros, shape->int64_data, 4 * sizeof(int64_t));
}

static void graph_build(const Onnx__GraphProto *graph)
{
	for (size_t i = 0; i < graph->n_initializer; i++)
		tensor_add(graph->initializer[i]->name)->constant = graph->initializer[i];
	for (size_t i = 0; i < graph->n_input; i++) {
		const Onnx__ValueInfoProto *input = graph->input[i];
		dnnl_memory_desc_t desc;
		dnnl_dims_t dims;

		if (tensor_find(input->name))
			continue;
		for (size_t j = 0; j < 4; j++)
			dims[j] = input->type->tensor_type->shape->dim[j]->dim_value;
		TRY(dnnl_memory_desc_init_by_tag(&desc, 4, dims, dnnl_f32, dnnl_abcd));
		tensor_add(input->name)->memory = memory_new(&desc);
	}
	for (size_t i = 0; i < graph->n_node; i++) {
		const Onnx__NodeProto *node = graph->node[i];

		if (tensor_find(node->output[0]))
			continue; /* rode on a convolution */
		if (strcmp(node->op_type, "Conv") == 0)
			convolve(graph, node);
		else if (strcmp(node->op_type, "MaxPool") == 0)
			pool(node);
		else if (strcmp(node->op_type, "Concat") == 0)
			concat(node);
		else if (strcmp(node->op_type, "Transpose") == 0)
			transpose(node);
		else if (strcmp(node->op_type, "Reshape") == 0)
			tensor_add(node->output[0])->memory = tensor_get(node->input[0])->memory;
		else if (strcmp(node->op_type, "ConstantOfShape") == 0)
			zeros_of_shape(node);
		else if (strcmp(node->op_type, "Add") == 0 || strcmp(node->op_type, "Relu") == 0)
			continue; /* will ride on a later convolution; its reader fails if not */
		else
			die("operator outside the family", node->op_type);
	}
}

static void run_once(void)
{
	for (size_t i = 0; i < step_count; i++)
		TRY(dnnl_primitive_execute(steps[i].primitive, stream, steps[i].nargs, steps[i].args));
	TRY(dnnl_stream_wait(stream));
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void input_load(const Onnx__GraphProto *graph, const char *path)
{
	dnnl_memory_t memory = tensor_get(graph->input[0]->name)->memory;
	size_t bytes = dnnl_memory_desc_get_size(memory_desc(memory));
	void *data;

	TRY(dnnl_memory_get_data_handle(memory, &data));
	memset(data, 0, bytes);
	if (!path)
		return;
	FILE *file = fopen(path, "rb");
	if (!file || fread(data, 1, bytes, file) != bytes)
		die("input is missing or short", path);
	fclose(file);
}

static void outputs_store(const Onnx__GraphProto *graph, const char *prefix)
{
	for (size_t i = 0; i < graph->n_output; i++) {
		dnnl_memory_t memory = tensor_get(graph->output[i]->name)->memory;
		size_t bytes = dnnl_memory_desc_get_size(memory_desc(memory));
		char path[512];
		void *data;

		TRY(dnnl_memory_get_data_handle(memory, &data));
		snprintf(path, sizeof(path), "%s%zu.f32", prefix, i);
		FILE *file = fopen(path, "wb");
		if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0)
			die("cannot write", path);
	}
}

static Onnx__ModelProto *model_load(const char *path)
{
	FILE *file = fopen(path, "rb");
	long bytes;

	if (!file || fseek(file, 0, SEEK_END) != 0 || (bytes = ftell(file)) <= 0 || fseek(file, 0, SEEK_SET) != 0)
		die("cannot read", path);
	uint8_t *data = malloc((size_t)bytes);
	if (!data || fread(data, 1, (size_t)bytes, file) != (size_t)bytes)
		die("cannot read", path);
	fclose(file);
	Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, (size_t)bytes, data);
	free(data);
	if (!model || !model->graph)
		die("not an ONNX model", path);
	return model;
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 5) {
		fprintf(stderr, "usage: blazeface_dnnl MODEL.onnx [RUNS [INPUT.f32 OUTPUT_PREFIX]]\n");
		return 2;
	}
	unsigned long runs = argc > 2 ? strtoul(argv[2], NULL, 10) : 50;
	if (runs == 0 || runs > 100000)
		die("runs must be 1..100000", argv[2]);
	Onnx__ModelProto *model = model_load(argv[1]);

	TRY(dnnl_engine_create(&engine, dnnl_cpu, 0));
	TRY(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
	graph_build(model->graph);
	input_load(model->graph, argc > 3 ? argv[3] : NULL);
	run_once();
	if (argc > 4)
		outputs_store(model->graph, argv[4]);

	double *times = calloc(runs, sizeof(*times));
	if (!times)
		die("out of memory", "times");
	for (size_t i = 0; i < runs; i++) {
		double start = now_ms();
		run_once();
		times[i] = now_ms() - start;
	}
	qsort(times, runs, sizeof(*times), compare);
	printf("%.4f\n", times[runs / 2]);
	free(times);
	onnx__model_proto__free_unpacked(model, NULL);
	return 0;
}
