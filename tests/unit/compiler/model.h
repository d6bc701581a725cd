/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes ONNX models for tests, in the wire format itself, so that tests can also write what no library would.
 * Buffers are static and large enough for what the tests build; overflow aborts.
 */
#ifndef NPUD_TESTS_COMPILER_MODEL_H
#define NPUD_TESTS_COMPILER_MODEL_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T_FLOAT 1
#define T_UINT8 2
#define T_INT32 6
#define T_INT64 7
#define T_STRING 8
#define T_BOOL 9
#define T_HALF 10

struct pb {
	uint8_t *data;
	size_t used;
	size_t room;
};

static inline void pb_raw(struct pb *b, const void *data, size_t bytes)
{
	if (b->used + bytes > b->room) {
		b->room = (b->used + bytes) * 2 + 64;
		b->data = realloc(b->data, b->room);
		if (!b->data)
			abort();
	}
	if (bytes)
		memcpy(b->data + b->used, data, bytes);
	b->used += bytes;
}

static inline void pb_free(struct pb *b)
{
	free(b->data);
	*b = (struct pb){0};
}

static inline void pb_varint(struct pb *b, uint64_t value)
{
	do {
		uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		pb_raw(b, &byte, 1);
		value >>= 7;
	} while (value);
}

static inline void pb_int(struct pb *b, uint32_t field, int64_t value)
{
	pb_varint(b, field << 3);
	pb_varint(b, (uint64_t)value);
}

static inline void pb_float(struct pb *b, uint32_t field, float value)
{
	pb_varint(b, field << 3 | 5);
	pb_raw(b, &value, sizeof(value));
}

static inline void pb_bytes(struct pb *b, uint32_t field, const void *data, size_t bytes)
{
	pb_varint(b, field << 3 | 2);
	pb_varint(b, bytes);
	pb_raw(b, data, bytes);
}

static inline void pb_text(struct pb *b, uint32_t field, const char *text)
{
	pb_bytes(b, field, text, strlen(text));
}

/* Takes the inner message's memory. */
static inline void pb_message(struct pb *b, uint32_t field, struct pb *inner)
{
	pb_bytes(b, field, inner->data, inner->used);
	pb_free(inner);
}

/* Attributes, as fields of the node to be. */
static inline void attr_i(struct pb *attrs, const char *name, int64_t value)
{
	struct pb a = {0};

	pb_text(&a, 1, name);
	pb_int(&a, 3, value);
	pb_int(&a, 20, 2);
	pb_message(attrs, 5, &a);
}

static inline void attr_f(struct pb *attrs, const char *name, float value)
{
	struct pb a = {0};

	pb_text(&a, 1, name);
	pb_float(&a, 2, value);
	pb_int(&a, 20, 1);
	pb_message(attrs, 5, &a);
}

static inline void attr_s(struct pb *attrs, const char *name, const char *value)
{
	struct pb a = {0};

	pb_text(&a, 1, name);
	pb_text(&a, 4, value);
	pb_int(&a, 20, 3);
	pb_message(attrs, 5, &a);
}

static inline void attr_is(struct pb *attrs, const char *name, int count, ...)
{
	struct pb a = {0};
	va_list args;

	pb_text(&a, 1, name);
	va_start(args, count);
	for (int i = 0; i < count; i++)
		pb_int(&a, 8, va_arg(args, int));
	va_end(args);
	pb_int(&a, 20, 7);
	pb_message(attrs, 5, &a);
}

struct model {
	struct pb graph;
	struct pb file;
	int64_t opset;
};

static inline void model_begin(struct model *m, int64_t opset)
{
	*m = (struct model){.opset = opset};
}

/* A port of the graph. A dimension of -1 is symbolic, a rank of -1 no shape at all. */
static inline void model_port(struct model *m, uint32_t field, const char *name, int type, int rank, const int *dims)
{
	struct pb port = {0};
	struct pb type_proto = {0};
	struct pb tensor = {0};
	struct pb shape = {0};

	for (int i = 0; i < rank; i++) {
		struct pb dim = {0};
		if (dims[i] < 0)
			pb_text(&dim, 2, "N");
		else
			pb_int(&dim, 1, dims[i]);
		pb_message(&shape, 1, &dim);
	}
	pb_int(&tensor, 1, type);
	if (rank >= 0)
		pb_message(&tensor, 2, &shape);
	pb_message(&type_proto, 1, &tensor);
	pb_text(&port, 1, name);
	pb_message(&port, 2, &type_proto);
	pb_message(&m->graph, field, &port);
}

#define DIMS(...)                                                                                                      \
	(int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[])                                                     \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}

static inline void model_in(struct model *m, const char *name, int type, int rank, const int *dims)
{
	model_port(m, 11, name, type, rank, dims);
}

static inline void model_out(struct model *m, const char *name)
{
	model_port(m, 12, name, T_FLOAT, -1, NULL);
}

static inline void model_node_words(struct pb *node, uint32_t field, const char *words)
{
	while (*words) {
		const char *end = strchrnul(words, ' ');
		if (end - words == 1 && *words == '-')
			pb_text(node, field, "");
		else
			pb_bytes(node, field, words, (size_t)(end - words));
		words = *end ? end + 1 : end;
	}
}

/* Inputs and outputs as words, "-" for one that is left out. `attrs` may be NULL; its memory is taken. */
static inline void model_node(struct model *m, const char *op, const char *inputs, const char *outputs,
			      struct pb *attrs)
{
	struct pb node = {0};

	model_node_words(&node, 1, inputs);
	model_node_words(&node, 2, outputs);
	pb_text(&node, 3, outputs);
	pb_text(&node, 4, op);
	if (attrs) {
		pb_raw(&node, attrs->data, attrs->used);
		pb_free(attrs);
	}
	pb_message(&m->graph, 1, &node);
}

static inline void model_init_raw(struct model *m, const char *name, int type, int rank, const int *dims,
				  const void *data, size_t bytes)
{
	struct pb tensor = {0};

	for (int i = 0; i < rank; i++)
		pb_int(&tensor, 1, dims[i]);
	pb_int(&tensor, 2, type);
	pb_text(&tensor, 8, name);
	pb_bytes(&tensor, 9, data, bytes);
	pb_message(&m->graph, 5, &tensor);
}

/* A repeatable value in [-1, 1). */
static inline float model_noise(uint32_t seed, size_t i)
{
	uint64_t x = (i + 1) * 0x9e3779b97f4a7c15ull + seed * 0xbf58476d1ce4e5b9ull;

	x = (x ^ x >> 31) * 0x94d049bb133111ebull;
	return (float)((double)(x >> 40) / (double)(1 << 23) - 1.0);
}

static inline float *model_noise_array(uint32_t seed, size_t count)
{
	float *values = malloc(count * sizeof(float) + 1);

	if (!values)
		abort();
	for (size_t i = 0; i < count; i++)
		values[i] = model_noise(seed, i);
	return values;
}

static inline void model_init_noise(struct model *m, const char *name, uint32_t seed, int rank, const int *dims)
{
	size_t count = 1;

	for (int i = 0; i < rank; i++)
		count *= (size_t)dims[i];
	float *values = model_noise_array(seed, count);
	model_init_raw(m, name, T_FLOAT, rank, dims, values, count * sizeof(float));
	free(values);
}

static inline void model_init_ints(struct model *m, const char *name, int count, const int *values)
{
	int64_t wide[64];

	for (int i = 0; i < count; i++)
		wide[i] = values[i];
	model_init_raw(m, name, T_INT64, 1, &count, wide, (size_t)count * sizeof(*wide));
}

static inline void model_init_scalar(struct model *m, const char *name, float value)
{
	model_init_raw(m, name, T_FLOAT, 0, NULL, &value, sizeof(value));
}

/* Closes the model; the bytes are m->file. */
static inline void model_end(struct model *m)
{
	struct pb opset = {0};

	pb_text(&opset, 1, "");
	pb_int(&opset, 2, m->opset);
	pb_int(&m->file, 1, 8);
	pb_message(&m->file, 7, &m->graph);
	pb_message(&m->file, 8, &opset);
}

static inline void model_free(struct model *m)
{
	pb_free(&m->graph);
	pb_free(&m->file);
}

#endif
