/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back-camera BlazeFace network's arithmetic twice in one process: by oneDNN alone (primitives and reorders made
 * once, blocked layouts, two threads) and by the software NPU's operators (plain layouts, four tasks on two threads).
 * Weights are random: only time is measured. Prints the median of each in milliseconds and their ratio.
 */
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "emulator/ops/ops.h"
#include "proto/zhouyi_elf.h"

#define ROUNDS 101
#define WARM_UP 10
#define MAX_STEPS 128
#define THREADS 2u
#define TASKS 4u

extern void omp_set_num_threads(int threads);

enum { ADD_NONE, ADD_INPUT, ADD_POOL };

/* One block: depthwise 3x3 with stride, pointwise with the addend, ReLU. */
struct block {
	int64_t in;
	int64_t out;
	int64_t side;
	int64_t stride;
	int add;
	int repeat;
};

static const struct block blocks[] = {
    {24, 24, 128, 1, ADD_INPUT, 7}, {24, 24, 128, 2, ADD_POOL, 1}, {24, 24, 64, 1, ADD_INPUT, 7},
    {24, 48, 64, 2, ADD_POOL, 1},   {48, 48, 32, 1, ADD_INPUT, 7}, {48, 96, 32, 2, ADD_POOL, 1},
    {96, 96, 16, 1, ADD_INPUT, 7},  {96, 96, 16, 2, ADD_NONE, 1},
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void check(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "blazeface_ops: %s failed\n", what);
		exit(EXIT_FAILURE);
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double median_ms(uint64_t *ns)
{
	qsort(ns, ROUNDS, sizeof(*ns), by_value);
	return (double)ns[ROUNDS / 2] / 1e6;
}

static void fill(float *p, size_t n)
{
	static uint32_t state = 1;

	for (size_t i = 0; i < n; i++) {
		state = state * 1664525u + 1013904223u;
		p[i] = ((float)(state >> 16) / 65536.0f - 0.5f) * 0.25f;
	}
}

/* ------------------------------------------------------------------ oneDNN alone */

struct step {
	dnnl_primitive_t primitive;
	dnnl_exec_arg_t args[6];
	int count;
};

static dnnl_engine_t engine;
static dnnl_stream_t stream;
static struct step steps[2 * MAX_STEPS];
static int step_count;

static dnnl_memory_t memory_new(const dnnl_memory_desc_t *md, bool random)
{
	dnnl_memory_t m;
	size_t bytes = dnnl_memory_desc_get_size(md);
	float *data = aligned_alloc(64, (bytes + 63) / 64 * 64);

	check(data != NULL, "allocation");
	memset(data, 0, bytes);
	if (random)
		fill(data, bytes / sizeof(float));
	check(dnnl_memory_create(&m, md, engine, data) == dnnl_success, "memory");
	return m;
}

static const dnnl_memory_desc_t *desc_of(dnnl_memory_t m)
{
	const dnnl_memory_desc_t *md;

	check(dnnl_memory_get_memory_desc(m, &md) == dnnl_success, "descriptor");
	return md;
}

static void step_add(dnnl_primitive_t p, int count, const dnnl_exec_arg_t *args)
{
	steps[step_count].primitive = p;
	steps[step_count].count = count;
	memcpy(steps[step_count].args, args, (size_t)count * sizeof(*args));
	step_count++;
}

static dnnl_memory_t reordered(dnnl_memory_t from, const dnnl_memory_desc_t *md)
{
	dnnl_primitive_desc_t pd;
	dnnl_primitive_t p;

	if (dnnl_memory_desc_equal(desc_of(from), md))
		return from;
	dnnl_memory_t to = memory_new(md, false);
	check(dnnl_reorder_primitive_desc_create(&pd, desc_of(from), engine, md, engine, NULL) == dnnl_success &&
		  dnnl_primitive_create(&p, pd) == dnnl_success,
	      "reorder");
	step_add(p, 2, (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
	return to;
}

static void any_map(dnnl_memory_desc_t *md, int64_t channels, int64_t side)
{
	dnnl_dims_t dims = {1, channels, side, side};

	check(dnnl_memory_desc_init_by_tag(md, 4, dims, dnnl_f32, dnnl_format_tag_any) == dnnl_success, "map");
}

struct layer {
	int64_t in;
	int64_t out;
	int64_t side; /* of the input */
	int64_t kernel;
	int64_t stride;
	int64_t pad; /* begin; the end follows from the output */
	bool depthwise;
	bool relu;
	dnnl_memory_t addend;
};

/* The addend is summed in place: its memory becomes the output. */
static dnnl_memory_t conv_add(dnnl_memory_t src, const struct layer *l)
{
	int64_t out_side = l->side / l->stride;
	int64_t end = (out_side - 1) * l->stride + l->kernel - l->side - l->pad;
	dnnl_dims_t wd4 = {l->out, l->in, l->kernel, l->kernel};
	dnnl_dims_t wd5 = {l->out, 1, 1, l->kernel, l->kernel};
	dnnl_dims_t bd = {l->out};
	dnnl_dims_t strides = {l->stride, l->stride};
	dnnl_dims_t before = {l->pad, l->pad};
	dnnl_dims_t after = {end, end};
	dnnl_memory_desc_t sm;
	dnnl_memory_desc_t dm;
	dnnl_memory_desc_t wm;
	dnnl_memory_desc_t bm;
	dnnl_convolution_desc_t desc;
	dnnl_post_ops_t ops;
	dnnl_primitive_attr_t attr;
	dnnl_primitive_desc_t pd;
	dnnl_primitive_t p;

	any_map(&sm, l->in, l->side);
	any_map(&dm, l->out, out_side);
	check(dnnl_memory_desc_init_by_tag(&wm, l->depthwise ? 5 : 4, l->depthwise ? wd5 : wd4, dnnl_f32,
					   dnnl_format_tag_any) == dnnl_success &&
		  dnnl_memory_desc_init_by_tag(&bm, 1, bd, dnnl_f32, dnnl_a) == dnnl_success &&
		  dnnl_post_ops_create(&ops) == dnnl_success && dnnl_primitive_attr_create(&attr) == dnnl_success,
	      "convolution");
	if (l->addend)
		check(dnnl_post_ops_append_sum(ops, 1.0f) == dnnl_success, "sum");
	if (l->relu)
		check(dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0, 0) == dnnl_success, "relu");
	check(dnnl_primitive_attr_set_post_ops(attr, ops) == dnnl_success &&
		  dnnl_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct, &sm, &wm,
						     &bm, &dm, strides, before, after) == dnnl_success &&
		  dnnl_primitive_desc_create(&pd, &desc, attr, engine, NULL) == dnnl_success &&
		  dnnl_primitive_create(&p, pd) == dnnl_success,
	      "convolution");
	src = reordered(src, dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0));
	const dnnl_memory_desc_t *dst_md = dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0);
	dnnl_memory_t dst = l->addend ? reordered(l->addend, dst_md) : memory_new(dst_md, false);
	dnnl_memory_t w = memory_new(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), true);
	dnnl_memory_t b = memory_new(&bm, true);
	step_add(p, 4,
		 (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, src},
				     {DNNL_ARG_WEIGHTS, w},
				     {DNNL_ARG_BIAS, b},
				     {DNNL_ARG_DST, dst}});
	return dst;
}

static dnnl_memory_t pool_add(dnnl_memory_t src, int64_t channels, int64_t side)
{
	dnnl_dims_t two = {2, 2};
	dnnl_dims_t zero = {0, 0};
	dnnl_memory_desc_t dm;
	dnnl_pooling_desc_t desc;
	dnnl_primitive_desc_t pd;
	dnnl_primitive_t p;

	any_map(&dm, channels, side / 2);
	check(dnnl_pooling_forward_desc_init(&desc, dnnl_forward_inference, dnnl_pooling_max, desc_of(src), &dm, two,
					     two, zero, zero) == dnnl_success &&
		  dnnl_primitive_desc_create(&pd, &desc, NULL, engine, NULL) == dnnl_success &&
		  dnnl_primitive_create(&p, pd) == dnnl_success,
	      "pooling");
	dnnl_memory_t dst = memory_new(dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0), false);
	step_add(p, 2, (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, src}, {DNNL_ARG_DST, dst}});
	return dst;
}

static dnnl_memory_t widen_add(dnnl_memory_t src, int64_t more, int64_t side)
{
	dnnl_memory_desc_t mds[2] = {*desc_of(src)};
	dnnl_dims_t dims = {1, more, side, side};
	dnnl_primitive_desc_t pd;
	dnnl_primitive_t p;

	check(dnnl_memory_desc_init_by_tag(&mds[1], 4, dims, dnnl_f32, dnnl_nhwc) == dnnl_success, "zeros");
	dnnl_memory_t zeros = memory_new(&mds[1], false);
	check(dnnl_concat_primitive_desc_create(&pd, NULL, 2, 1, mds, NULL, engine) == dnnl_success &&
		  dnnl_primitive_create(&p, pd) == dnnl_success,
	      "concatenation");
	dnnl_memory_t dst = memory_new(dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0), false);
	step_add(p, 3,
		 (dnnl_exec_arg_t[]){{DNNL_ARG_MULTIPLE_SRC, src},
				     {DNNL_ARG_MULTIPLE_SRC + 1, zeros},
				     {DNNL_ARG_DST, dst}});
	return dst;
}

static dnnl_memory_t block_add(dnnl_memory_t x, const struct block *b)
{
	struct layer depthwise = {b->in, b->in, b->side, 3, b->stride, b->stride == 1 ? 1 : 0, true, false, NULL};
	struct layer pointwise = {b->in, b->out, b->side / b->stride, 1, 1, 0, false, true, NULL};
	dnnl_memory_t y = conv_add(x, &depthwise);

	if (b->add == ADD_INPUT)
		pointwise.addend = x;
	if (b->add == ADD_POOL)
		pointwise.addend = pool_add(x, b->in, b->side);
	if (b->add == ADD_POOL && b->out > b->in)
		pointwise.addend = widen_add(pointwise.addend, b->out - b->in, b->side / 2);
	return conv_add(y, &pointwise);
}

static void head_add(dnnl_memory_t x, int64_t channels, int64_t side)
{
	struct layer head = {96, channels, side, 1, 1, 0, false, false, NULL};
	dnnl_dims_t dims = {1, channels, side, side};
	dnnl_memory_desc_t md;

	check(dnnl_memory_desc_init_by_tag(&md, 4, dims, dnnl_f32, dnnl_nhwc) == dnnl_success, "head");
	(void)reordered(conv_add(x, &head), &md);
}

static void network_build(void)
{
	struct layer first = {3, 24, 256, 5, 2, 1, false, true, NULL};
	dnnl_dims_t dims = {1, 3, 256, 256};
	dnnl_memory_desc_t md;

	check(dnnl_memory_desc_init_by_tag(&md, 4, dims, dnnl_f32, dnnl_nhwc) == dnnl_success, "input");
	dnnl_memory_t x = conv_add(memory_new(&md, true), &first);
	dnnl_memory_t middle = NULL;
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		middle = blocks[i].add == ADD_NONE ? x : middle;
		for (int k = 0; k < blocks[i].repeat; k++)
			x = block_add(x, &blocks[i]);
	}
	head_add(x, 96, 8);
	head_add(x, 6, 8);
	head_add(middle, 32, 16);
	head_add(middle, 2, 16);
}

static double library_alone(void)
{
	uint64_t ns[ROUNDS];

	omp_set_num_threads((int)THREADS);
	check(dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success &&
		  dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success,
	      "engine");
	network_build();
	for (int round = -WARM_UP; round < ROUNDS; round++) {
		uint64_t start = now_ns();
		for (int i = 0; i < step_count; i++)
			check(dnnl_primitive_execute(steps[i].primitive, stream, steps[i].count, steps[i].args) ==
				  dnnl_success,
			      "execution");
		check(dnnl_stream_wait(stream) == dnnl_success, "wait");
		if (round >= 0)
			ns[round] = now_ns() - start;
	}
	return median_ms(ns);
}

/* ------------------------------------------------------------------ our operators */

struct instruction {
	_Alignas(8) uint8_t record[1024];
	uint32_t bytes;
};

static struct instruction program[MAX_STEPS];
static uint32_t program_length;
static uint8_t *npu;
static uint32_t npu_used = 4096;
#define NPU_BYTES (128u << 20)

static int npu_get(void *ctx, uint32_t asid, uint32_t addr, uint64_t bytes, enum op_access access, struct op_span *span)
{
	(void)ctx;
	(void)asid;
	(void)access;
	span->data = npu + addr;
	span->bytes = bytes;
	return addr + bytes <= NPU_BYTES ? 0 : -1;
}

static void npu_put(void *ctx, struct op_span *span)
{
	(void)ctx;
	(void)span;
}

static uint64_t npu_identity(void *ctx, uint32_t asid, uint32_t addr)
{
	(void)ctx;
	(void)asid;
	(void)addr;
	return 1;
}

static const struct op_memory npu_memory = {npu_get, npu_put, npu_identity, NULL};

static struct isa_operand operand(uint32_t rank, int64_t a, int64_t b, int64_t c, int64_t d, bool channels_last)
{
	struct isa_operand o = {.dtype = ZY_DATA_F32, .rank = rank};
	const int64_t dims[4] = {a, b, c, d};

	for (uint32_t i = 0; i < rank; i++)
		o.dims[i] = (uint32_t)dims[i];
	const int64_t plain[4] = {b * c * d, c * d, d, 1};
	const int64_t last[4] = {b * c * d, 1, b * d, b};
	for (uint32_t i = 0; i < rank; i++)
		o.strides[i] = (int32_t)(rank == 1 ? 1 : channels_last ? last[i] : plain[i]);
	o.addr = npu_used;
	npu_used += (uint32_t)(a * b * c * d * 4 + 63) / 64 * 64;
	check(npu_used <= NPU_BYTES, "arena");
	fill((float *)(void *)(npu + o.addr), (size_t)(a * b * c * d));
	return o;
}

/* Feature maps take turns in a few buffers, as a memory planner would place them. */
static struct isa_operand map_operand(int64_t channels, int64_t side)
{
	static uint32_t buffers[5];
	static uint32_t turn;
	struct isa_operand o = {.dtype = ZY_DATA_F32, .rank = 4};
	uint32_t at = turn++ % 5;

	if (!buffers[at])
		buffers[at] = operand(4, 1, 24, 128, 128, true).addr;
	const int64_t dims[4] = {1, channels, side, side};
	const int64_t strides[4] = {channels * side * side, 1, channels * side, channels};
	for (uint32_t i = 0; i < 4; i++) {
		o.dims[i] = (uint32_t)dims[i];
		o.strides[i] = (int32_t)strides[i];
	}
	o.addr = buffers[at];
	return o;
}

static void emit(uint32_t op, uint32_t split, const struct isa_operand *const *operands, uint32_t count,
		 const void *params, size_t bytes)
{
	struct instruction *in = &program[program_length++];
	struct isa_record *r = (struct isa_record *)(void *)in->record;

	*r = (struct isa_record){.op = op, .split = split, .operand_count = count};
	for (uint32_t i = 0; i < count; i++)
		if (operands[i])
			memcpy(in->record + sizeof(*r) + i * sizeof(**operands), operands[i], sizeof(**operands));
	in->bytes = (uint32_t)(sizeof(*r) + count * sizeof(**operands) + bytes);
	r->bytes = in->bytes;
	memcpy(in->record + in->bytes - bytes, params, bytes);
}

static struct isa_operand emit_conv(const struct isa_operand *in, const struct layer *l,
				    const struct isa_operand *addend)
{
	struct isa_operand out = map_operand(l->out, l->side / l->stride);
	struct isa_operand weight = operand(4, l->out, l->depthwise ? 1 : l->in, l->kernel, l->kernel, false);
	struct isa_operand bias = operand(1, l->out, 1, 1, 1, false);
	const uint32_t stride = (uint32_t)l->stride;
	const uint32_t pad = (uint32_t)l->pad;
	struct isa_conv_params p = {.spatial = 2,
				    .group = l->depthwise ? (uint32_t)l->out : 1,
				    .stride = {stride, stride},
				    .dilation = {1, 1},
				    .pad_begin = {pad, pad},
				    .activation = {l->relu ? ISA_U_RELU : ISA_U_NONE, 0, 0}};

	emit(ISA_T_CONV, 2, (const struct isa_operand *const[]){&out, in, &weight, &bias, addend}, addend ? 5 : 4, &p,
	     sizeof(p));
	return out;
}

static struct isa_operand emit_block(struct isa_operand x, const struct block *b)
{
	struct layer depthwise = {b->in, b->in, b->side, 3, b->stride, b->stride == 1 ? 1 : 0, true, false, NULL};
	struct layer pointwise = {b->in, b->out, b->side / b->stride, 1, 1, 0, false, true, NULL};
	struct isa_operand y = emit_conv(&x, &depthwise, NULL);

	if (b->add == ADD_NONE)
		return emit_conv(&y, &pointwise, NULL);
	if (b->add == ADD_INPUT)
		return emit_conv(&y, &pointwise, &x);
	struct isa_pool_params p = {.mode = ISA_POOL_MAX, .spatial = 2, .kernel = {2, 2}, .stride = {2, 2},
				    .dilation = {1, 1}};
	struct isa_operand wide = map_operand(b->out, b->side / 2);
	struct isa_operand low = wide;
	struct isa_operand high = wide;
	low.dims[1] = (uint32_t)b->in;
	high.dims[1] = (uint32_t)(b->out - b->in);
	high.addr += (uint32_t)b->in * 4;
	emit(ISA_T_POOL, 2, (const struct isa_operand *const[]){&low, &x}, 2, &p, sizeof(p));
	if (high.dims[1])
		emit(ISA_T_FILL, 2, (const struct isa_operand *const[]){&high}, 1, (uint32_t[2]){0, 0}, 8);
	return emit_conv(&y, &pointwise, &wide);
}

static void emit_network(void)
{
	struct layer first = {3, 24, 256, 5, 2, 1, false, true, NULL};
	struct isa_operand input = map_operand(3, 256);
	struct isa_operand x = emit_conv(&input, &first, NULL);
	struct isa_operand middle = x;

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		middle = blocks[i].add == ADD_NONE ? x : middle;
		for (int k = 0; k < blocks[i].repeat; k++)
			x = emit_block(x, &blocks[i]);
	}
	(void)emit_conv(&x, &(struct layer){96, 96, 8, 1, 1, 0, false, false, NULL}, NULL);
	(void)emit_conv(&x, &(struct layer){96, 6, 8, 1, 1, 0, false, false, NULL}, NULL);
	(void)emit_conv(&middle, &(struct layer){96, 32, 16, 1, 1, 0, false, false, NULL}, NULL);
	(void)emit_conv(&middle, &(struct layer){96, 2, 16, 1, 1, 0, false, false, NULL}, NULL);
}

static struct op_cache *cache;
static _Atomic uint32_t arrived;
static uint64_t ops_ns[ROUNDS];

/* All threads meet before the next instruction, as the tasks of consecutive groups do. */
static void meet(uint32_t *goal)
{
	*goal += THREADS;
	atomic_fetch_add(&arrived, 1);
	while (atomic_load(&arrived) < *goal)
		;
}

static void *ops_thread(void *arg)
{
	uint32_t first = *(uint32_t *)arg;
	uint32_t goal = 0;
	uint64_t instance = 0;

	op_thread_init();
	for (int round = -WARM_UP; round < ROUNDS; round++) {
		uint64_t start = now_ns();
		for (uint32_t i = 0; i < program_length; i++) {
			instance++;
			for (uint32_t task = first; task < TASKS; task += THREADS) {
				struct op_run run = {.memory = &npu_memory, .cache = cache, .task = task, .tasks = TASKS,
						     .instance = instance};
				check(op_run(&run, (const struct isa_record *)(const void *)program[i].record,
					     program[i].bytes) == 0,
				      "op_run");
			}
			meet(&goal);
		}
		if (first == 0 && round >= 0)
			ops_ns[round] = now_ns() - start;
	}
	return NULL;
}

static double operators(void)
{
	pthread_t threads[THREADS];
	uint32_t first[THREADS];

	npu = aligned_alloc(4096, NPU_BYTES);
	cache = op_cache_new((size_t)256 << 20);
	check(npu && cache, "allocation");
	emit_network();
	for (uint32_t i = 0; i < THREADS; i++) {
		first[i] = i;
		check(pthread_create(&threads[i], NULL, ops_thread, &first[i]) == 0, "thread");
	}
	for (uint32_t i = 0; i < THREADS; i++)
		check(pthread_join(threads[i], NULL) == 0, "join");
	op_cache_free(cache);
	free(npu);
	return median_ms(ops_ns);
}

int main(int argc, char **argv)
{
	bool only_library = argc > 1 && !strcmp(argv[1], "--library");
	double library = library_alone();

	printf("oneDNN alone, blocked layouts, %u threads: %.3f ms\n", THREADS, library);
	if (only_library)
		return EXIT_SUCCESS;
	double ours = operators();
	printf("software NPU operators, %u tasks on %u threads: %.3f ms (x %.2f)\n", TASKS, THREADS, ours, ours / library);
	return EXIT_SUCCESS;
}
