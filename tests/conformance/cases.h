/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conformance cases: models with inputs and expected outputs in a folder. Finds them, reads their tensors, compares
 * results, and keeps the score by operator. Knows nothing of how a case is run.
 */
#ifndef NPUD_TESTS_CONFORMANCE_CASES_H
#define NPUD_TESTS_CONFORMANCE_CASES_H

#include <errno.h>
#include <glob.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx.pb-c.h"
#include "proto/zhouyi_elf.h"

#define CASES_FOLDER "/usr/share/libonnx-testdata/data"
#define CASES_MAX_OPERATORS 512
#define CASES_RTOL 1e-3
#define CASES_ATOL 1e-7

enum case_outcome { CASE_PASSED, CASE_FAILED, CASE_SKIPPED, CASE_UNSUPPORTED, CASE_OUTCOMES };

struct case_tensor {
	uint32_t dtype;
	uint32_t rank;
	int64_t dims[16];
	uint8_t *data;
	size_t bytes;
};

struct case_score {
	char name[64];
	unsigned count[CASE_OUTCOMES];
};

struct case_table {
	struct case_score row[CASES_MAX_OPERATORS];
	size_t rows;
	unsigned total[CASE_OUTCOMES];
};

static inline uint8_t *case_read_file(const char *path, size_t *bytes)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	long size = 0;

	*bytes = 0;
	if (!f)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0)
		data = malloc((size_t)size + 1);
	if (data && fread(data, 1, (size_t)size, f) == (size_t)size) {
		*bytes = (size_t)size;
	} else {
		free(data);
		data = NULL;
	}
	(void)fclose(f);
	return data;
}

static inline uint32_t case_dtype(int32_t onnx)
{
	static const uint8_t map[] = {0,           ZY_DATA_F32, ZY_DATA_U8,  ZY_DATA_S8,  ZY_DATA_U16,
				      ZY_DATA_S16, ZY_DATA_S32, ZY_DATA_S64, 0,           ZY_DATA_BOOL,
				      ZY_DATA_F16, ZY_DATA_F64, ZY_DATA_U32, ZY_DATA_U64, 0,
				      0,           ZY_DATA_BF16};

	return onnx > 0 && onnx < (int32_t)sizeof(map) ? map[onnx] : 0;
}

static inline size_t case_dtype_bytes(uint32_t dtype)
{
	static const uint8_t bytes[] = {0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8, 2};

	return dtype < sizeof(bytes) ? bytes[dtype] : 0;
}

static inline void case_tensor_free(struct case_tensor *t)
{
	free(t->data);
	*t = (struct case_tensor){0};
}

static inline void case_copy_typed(const Onnx__TensorProto *p, struct case_tensor *t)
{
	size_t width = case_dtype_bytes(t->dtype);

	for (size_t i = 0; i < t->bytes / (width ? width : 1); i++) {
		uint8_t *to = t->data + i * width;
		if (t->dtype == ZY_DATA_F32 && i < p->n_float_data)
			memcpy(to, &p->float_data[i], width);
		else if (t->dtype == ZY_DATA_F64 && i < p->n_double_data)
			memcpy(to, &p->double_data[i], width);
		else if (t->dtype == ZY_DATA_S64 && i < p->n_int64_data)
			memcpy(to, &p->int64_data[i], width);
		else if ((t->dtype == ZY_DATA_U64 || t->dtype == ZY_DATA_U32) && i < p->n_uint64_data)
			memcpy(to, &p->uint64_data[i], width);
		else if (i < p->n_int32_data)
			memcpy(to, &p->int32_data[i], width);
	}
}

/* 0; -ENOTSUP: not a tensor that a device can hold; -EBADMSG. */
static inline int case_tensor_load(const char *path, struct case_tensor *t)
{
	size_t bytes = 0;
	uint8_t *file = case_read_file(path, &bytes);
	size_t elements = 1;
	int rc = 0;

	memset(t, 0, sizeof(*t));
	if (!file)
		return -ENOENT;
	Onnx__TensorProto *p = onnx__tensor_proto__unpack(NULL, bytes, file);
	free(file);
	if (!p)
		return -EBADMSG;
	t->dtype = case_dtype(p->data_type);
	t->rank = (uint32_t)p->n_dims;
	if (!t->dtype || p->n_dims > 16)
		rc = -ENOTSUP;
	for (size_t i = 0; i < p->n_dims && rc == 0; i++) {
		t->dims[i] = p->dims[i];
		elements *= (size_t)p->dims[i];
	}
	if (rc == 0) {
		t->bytes = elements * case_dtype_bytes(t->dtype);
		t->data = calloc(1, t->bytes + 1);
		if (!t->data)
			rc = -ENOMEM;
		else if (t->bytes && p->has_raw_data && p->raw_data.len == t->bytes)
			memcpy(t->data, p->raw_data.data, t->bytes);
		else
			case_copy_typed(p, t);
	}
	onnx__tensor_proto__free_unpacked(p, NULL);
	return rc;
}

static inline double case_half(uint16_t bits, bool bfloat)
{
	uint32_t wide = (uint32_t)bits << 16;
	float f = 0;

	if (!bfloat) {
		int exponent = (bits >> 10) & 31;
		double mantissa = bits & 1023;
		double value = exponent == 31 ? (bits & 1023 ? NAN : INFINITY)
			       : exponent     ? ldexp(1024 + mantissa, exponent - 25)
					      : ldexp(mantissa, -24);
		return bits & 0x8000 ? -value : value;
	}
	memcpy(&f, &wide, sizeof(f));
	return (double)f;
}

static inline double case_element(const uint8_t *data, uint32_t dtype, size_t i)
{
	float f = 0;
	double d = 0;
	uint16_t h = 0;

	switch (dtype) {
	case ZY_DATA_F32:
		memcpy(&f, data + i * 4, 4);
		return (double)f;
	case ZY_DATA_F64:
		memcpy(&d, data + i * 8, 8);
		return d;
	default:
		memcpy(&h, data + i * 2, 2);
		return case_half(h, dtype == ZY_DATA_BF16);
	}
}

/* Some inputs are smaller than the model declares; what is missing is 0. */
static inline void case_fill(const struct case_tensor *t, void *tensor, size_t bytes)
{
	size_t have = t->bytes < bytes ? t->bytes : bytes;

	if (bytes > have)
		memset((uint8_t *)tensor + have, 0, bytes - have);
	if (have)
		memcpy(tensor, t->data, have);
}

/* The expected tensor has the result's type and size. Files keep bfloat16 as 16-bit integers. */
static inline bool case_fits(struct case_tensor *t, uint32_t dtype, size_t bytes)
{
	if (t->dtype == ZY_DATA_U16 && dtype == ZY_DATA_BF16)
		t->dtype = ZY_DATA_BF16;
	return t->dtype == dtype && t->bytes == bytes;
}

/* True if equal within the tolerances; `worst` receives the largest error beyond doubt (NaN: one side only is NaN). */
static inline bool case_compare(const struct case_tensor *want, const void *got, double *worst)
{
	bool is_float = want->dtype == ZY_DATA_F32 || want->dtype == ZY_DATA_F64 || want->dtype == ZY_DATA_F16 ||
			want->dtype == ZY_DATA_BF16;
	bool same = true;

	*worst = 0;
	if (!is_float)
		return memcmp(want->data, got, want->bytes) == 0;
	for (size_t i = 0; i < want->bytes / case_dtype_bytes(want->dtype); i++) {
		double a = case_element(want->data, want->dtype, i);
		double b = case_element(got, want->dtype, i);
		if ((isnan(a) && isnan(b)) || a == b)
			continue;
		double error = fabs(a - b);
		if (!(error <= CASES_ATOL + CASES_RTOL * fabs(a)))
			same = false;
		if (isnan(error) || error > *worst)
			*worst = error;
	}
	return same;
}

static inline void case_count(struct case_table *table, const char *operator_name, enum case_outcome outcome)
{
	size_t i = 0;

	while (i < table->rows && strcmp(table->row[i].name, operator_name) != 0)
		i++;
	if (i == CASES_MAX_OPERATORS)
		return;
	if (i == table->rows) {
		(void)snprintf(table->row[i].name, sizeof(table->row[i].name), "%s", operator_name);
		table->rows++;
	}
	table->row[i].count[outcome]++;
}

static inline int case_by_name(const void *a, const void *b)
{
	return strcmp(((const struct case_score *)a)->name, ((const struct case_score *)b)->name);
}

static inline void case_print_table(struct case_table *table)
{
	qsort(table->row, table->rows, sizeof(table->row[0]), case_by_name);
	printf("%-28s %7s %7s %7s %12s\n", "operator", "passed", "failed", "skipped", "unsupported");
	for (size_t i = 0; i < table->rows; i++)
		printf("%-28s %7u %7u %7u %12u\n", table->row[i].name, table->row[i].count[CASE_PASSED],
		       table->row[i].count[CASE_FAILED], table->row[i].count[CASE_SKIPPED],
		       table->row[i].count[CASE_UNSUPPORTED]);
}

static const char *const case_mandatory[] = {"Conv",
					     "ConvTranspose",
					     "MaxPool",
					     "AveragePool",
					     "GlobalAveragePool",
					     "Gemm",
					     "MatMul",
					     "Relu",
					     "LeakyRelu",
					     "PRelu",
					     "Sigmoid",
					     "HardSigmoid",
					     "Tanh",
					     "Softmax",
					     "Clip",
					     "Add",
					     "Sub",
					     "Mul",
					     "Div",
					     "Concat",
					     "Slice",
					     "Pad",
					     "Transpose",
					     "Reshape",
					     "Resize",
					     "Upsample",
					     "ReduceL1",
					     "ReduceL2",
					     "ReduceLogSum",
					     "ReduceLogSumExp",
					     "ReduceMax",
					     "ReduceMean",
					     "ReduceMin",
					     "ReduceProd",
					     "ReduceSum",
					     "ReduceSumSquare",
					     "BatchNormalization"};

static inline bool case_static_float(const Onnx__ValueInfoProto *info, bool is_output)
{
	if (!info->type || info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
		return false;
	const Onnx__TypeProto__Tensor *t = info->type->tensor_type;
	/* Shapes, axes and indices are integers in float32 models, too. */
	if (t->elem_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT &&
	    (is_output || t->elem_type != ONNX__TENSOR_PROTO__DATA_TYPE__INT64))
		return false;
	if (!t->shape)
		return false;
	for (size_t i = 0; i < t->shape->n_dim; i++)
		if (t->shape->dim[i]->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
			return false;
	return true;
}

/* A model of one node whose operator must work, in float32 and with fixed shapes. */
static inline bool case_is_mandatory(const Onnx__ModelProto *model)
{
	bool listed = false;

	if (!model->graph || model->graph->n_node == 0)
		return false;
	for (size_t k = 0; k < model->graph->n_node; k++) {
		const char *op = model->graph->node[k]->op_type;
		bool found = strcmp(op, "Constant") == 0;
		for (size_t i = 0; i < sizeof(case_mandatory) / sizeof(case_mandatory[0]) && !found; i++)
			listed = found = strcmp(op, case_mandatory[i]) == 0;
		if (!found)
			return false;
	}
	for (size_t i = 0; i < model->graph->n_input; i++)
		if (!case_static_float(model->graph->input[i], false))
			return false;
	for (size_t i = 0; i < model->graph->n_output; i++)
		if (!case_static_float(model->graph->output[i], true))
			return false;
	return listed;
}

/* The operator that a case is about: the first node's, constants aside. */
static inline const char *case_operator(const Onnx__ModelProto *model)
{
	for (size_t i = 0; model->graph && i < model->graph->n_node; i++)
		if (model->graph->node[i]->op_type && strcmp(model->graph->node[i]->op_type, "Constant") != 0)
			return model->graph->node[i]->op_type;
	return "Constant";
}

#endif
