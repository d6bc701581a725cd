/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled primitives: built once per geometry, executed by any thread on that thread's own stream and scratch. Each
 * execution borrows a set of argument objects, so that a hit allocates nothing here.
 */
#include <errno.h>
#include <stdlib.h>

#include "emulator/ops/prim.h"

#define ELTWISE_LEAST 256 /* below this our loop is done before the library has started */

/* The OpenMP runtime that the library is built on; its header is the compiler's, not always installed. */
extern void omp_set_num_threads(int threads);

static pthread_once_t engine_once = PTHREAD_ONCE_INIT;
static dnnl_engine_t engine;
static pthread_key_t stream_key;
static __thread dnnl_stream_t stream;
static __thread bool thread_ready;

static void stream_destroy(void *value)
{
	(void)dnnl_stream_destroy(value);
}

static void engine_make(void)
{
	/* Our cache is the bounded one; the library's only shares code between equal slices. */
	(void)dnnl_set_primitive_cache_capacity(128);
	/* Before AVX2 its kernels want aligned memory, which records need not have. */
	bool old = !((unsigned)dnnl_get_effective_cpu_isa() & 0x4u);
	if (old || dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
		engine = NULL;
	if (pthread_key_create(&stream_key, stream_destroy))
		abort();
}

void op_thread_init(void)
{
	if (thread_ready)
		return;
	thread_ready = true;
	/* Tasks are the parallelism: a primitive never spawns threads of its own. */
	omp_set_num_threads(1);
	pthread_once(&engine_once, engine_make);
	if (!engine || dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) != dnnl_success) {
		stream = NULL;
		return;
	}
	if (pthread_setspecific(stream_key, stream)) {
		(void)dnnl_stream_destroy(stream);
		stream = NULL;
	}
}

dnnl_engine_t prim_engine(void)
{
	return engine;
}

dnnl_stream_t prim_stream(void)
{
	return stream;
}

static void args_free(struct prim_args *args)
{
	while (args) {
		struct prim_args *next = args->next;
		for (uint32_t i = 0; i < args->count; i++)
			(void)dnnl_memory_destroy(args->exec[i].memory);
		free(args);
		args = next;
	}
}

static void prim_destroy(struct cache_node *node)
{
	struct op_prim *prim = (struct op_prim *)node;

	args_free(prim->idle);
	if (prim->handle)
		(void)dnnl_primitive_destroy(prim->handle);
	(void)pthread_mutex_destroy(&prim->lock);
	free(prim);
}

int prim_get(struct op_cache *cache, const void *key, uint32_t bytes, prim_build_fn build, struct op_prim **out)
{
	*out = (struct op_prim *)cache_find(cache, key, bytes);
	if (*out)
		return 0;
	struct op_prim *prim = calloc(1, sizeof(*prim));
	if (!prim)
		return -ENOMEM;
	if (pthread_mutex_init(&prim->lock, NULL)) {
		free(prim);
		return -ENOMEM;
	}
	cache_node_init(&prim->node, key, bytes, sizeof(*prim) + PRIM_COST_BYTES, prim_destroy);
	if (prim_stream())
		build(prim, key);
	cache_add(cache, &prim->node);
	*out = prim;
	return 0;
}

void prim_put(struct op_cache *cache, struct op_prim *prim)
{
	if (prim)
		cache_release(cache, &prim->node);
}

void prim_argument(struct op_prim *prim, int arg, const dnnl_memory_desc_t *md)
{
	prim->arg[prim->count] = arg;
	prim->md[prim->count] = *md;
	prim->count++;
}

/* Release 2.6 adds the wrong elements of a whole-tensor addend in its GEMM convolutions. */
static bool implementation_good(dnnl_primitive_desc_t pd, bool binary, size_t *scratch_bytes)
{
	const char *name = NULL;

	if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&name) != dnnl_success || !name)
		return false;
	/* SSE kernels fault on memory that is not 16-byte aligned. */
	if (strstr(name, "sse41") || !strncmp(name, "ref:", 4) || !strcmp(name, "simple:any") ||
	    (binary && strstr(name, "gemm")))
		return false;
	const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
	*scratch_bytes = md ? dnnl_memory_desc_get_size(md) : 0;
	return *scratch_bytes <= PRIM_MAX_SCRATCH;
}

bool prim_compile(struct op_prim *prim, const_dnnl_op_desc_t desc, const_dnnl_primitive_attr_t attr, bool binary,
		  dnnl_primitive_desc_t *kept)
{
	dnnl_primitive_desc_iterator_t it;
	bool done = false;

	if (dnnl_primitive_desc_iterator_create(&it, desc, attr, engine, NULL) != dnnl_success)
		return false;
	do {
		dnnl_primitive_desc_t pd = dnnl_primitive_desc_iterator_fetch(it);
		if (!pd)
			break;
		done = implementation_good(pd, binary, &prim->scratch_bytes) &&
		       dnnl_primitive_create(&prim->handle, pd) == dnnl_success;
		if (done)
			*kept = pd;
		else
			(void)dnnl_primitive_desc_destroy(pd);
	} while (!done && dnnl_primitive_desc_iterator_next(it) == dnnl_success);
	(void)dnnl_primitive_desc_iterator_destroy(it);
	return done;
}

bool prim_vector(dnnl_memory_desc_t *md, int64_t n, dnnl_data_type_t type)
{
	dnnl_dims_t dims = {n};

	return dnnl_memory_desc_init_by_tag(md, 1, dims, type, dnnl_a) == dnnl_success;
}

static struct prim_args *args_new(const struct op_prim *prim)
{
	struct prim_args *args = calloc(1, sizeof(*args));

	if (!args)
		return NULL;
	for (uint32_t i = 0; i <= prim->count; i++) {
		const dnnl_memory_desc_t *md = i < prim->count ? &prim->md[i] : NULL;
		dnnl_memory_desc_t scratch;
		if (!md) {
			if (!prim->scratch_bytes)
				break;
			if (!prim_vector(&scratch, (int64_t)prim->scratch_bytes, dnnl_u8))
				goto fail;
			md = &scratch;
		}
		args->exec[i].arg = i < prim->count ? prim->arg[i] : DNNL_ARG_SCRATCHPAD;
		if (dnnl_memory_create(&args->exec[i].memory, md, engine, DNNL_MEMORY_NONE) != dnnl_success)
			goto fail;
		args->count++;
	}
	return args;
fail:
	args_free(args);
	return NULL;
}

static struct prim_args *args_take(struct op_prim *prim)
{
	pthread_mutex_lock(&prim->lock);
	struct prim_args *args = prim->idle;
	if (args)
		prim->idle = args->next;
	pthread_mutex_unlock(&prim->lock);
	if (!args)
		return args_new(prim);
	args->next = NULL;
	return args;
}

static void args_give(struct op_prim *prim, struct prim_args *args)
{
	pthread_mutex_lock(&prim->lock);
	args->next = prim->idle;
	prim->idle = args;
	pthread_mutex_unlock(&prim->lock);
}

static int args_run(struct op_prim *prim, struct prim_args *args, void *const *data, dnnl_memory_t weights)
{
	uint32_t count = args->count;

	for (uint32_t i = 0; i < count; i++) {
		void *p = i < prim->count ? data[i] : scratch_get(prim->scratch_bytes);
		if (!p)
			return -ENOMEM;
		if (dnnl_memory_set_data_handle(args->exec[i].memory, p) != dnnl_success)
			return -ENOMEM;
	}
	if (prim->has_weights)
		args->exec[count++] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, weights};
	if (dnnl_primitive_execute(prim->handle, stream, (int)count, args->exec) != dnnl_success)
		return -ENOMEM;
	return dnnl_stream_wait(stream) == dnnl_success ? 0 : -ENOMEM;
}

int prim_run(struct op_prim *prim, void *const *data, dnnl_memory_t weights)
{
	struct prim_args *args = args_take(prim);

	if (!args)
		return -ENOMEM;
	int rc = args_run(prim, args, data, weights);
	args_give(prim, args);
	return rc;
}

/* What the library calls the function and exactly agrees on; others stay with our rows. */
static bool activation_algorithm(const struct isa_activation *fn, dnnl_alg_kind_t *kind, float *alpha, float *beta)
{
	*alpha = fn->alpha;
	*beta = fn->beta;
	switch (fn->fn) {
	case ISA_U_RELU:
		*kind = dnnl_eltwise_relu;
		*alpha = 0;
		return true;
	case ISA_U_LEAKY_RELU:
		*kind = dnnl_eltwise_relu;
		return true;
	case ISA_U_CLIP:
		*kind = dnnl_eltwise_clip;
		return fn->alpha <= fn->beta;
	case ISA_U_SIGMOID:
		*kind = dnnl_eltwise_logistic;
		return true;
	case ISA_U_TANH:
		*kind = dnnl_eltwise_tanh;
		return true;
	case ISA_U_ELU:
		*kind = dnnl_eltwise_elu;
		return true;
	case ISA_U_EXP:
		*kind = dnnl_eltwise_exp;
		return true;
	case ISA_U_AFFINE:
		*kind = dnnl_eltwise_linear;
		return true;
	default:
		return false;
	}
}

bool prim_post_activation(dnnl_post_ops_t ops, const struct isa_activation *fn)
{
	dnnl_alg_kind_t kind;
	float alpha;
	float beta;

	return activation_algorithm(fn, &kind, &alpha, &beta) &&
	       dnnl_post_ops_append_eltwise(ops, 1.0f, kind, alpha, beta) == dnnl_success;
}

struct eltwise_key {
	uint32_t kind;
	uint32_t pad;
	struct isa_activation fn;
	uint32_t pad2;
	int64_t n;
};

static void eltwise_build(struct op_prim *prim, const void *key)
{
	const struct eltwise_key *k = key;
	dnnl_eltwise_desc_t desc;
	dnnl_memory_desc_t md;
	dnnl_primitive_attr_t attr;
	dnnl_primitive_desc_t pd;
	dnnl_alg_kind_t kind;
	float alpha;
	float beta;

	if (!activation_algorithm(&k->fn, &kind, &alpha, &beta) || !prim_vector(&md, k->n, dnnl_f32) ||
	    dnnl_eltwise_forward_desc_init(&desc, dnnl_forward_inference, kind, &md, alpha, beta) != dnnl_success ||
	    dnnl_primitive_attr_create(&attr) != dnnl_success)
		return;
	if (dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) == dnnl_success &&
	    prim_compile(prim, &desc, attr, false, &pd)) {
		prim_argument(prim, DNNL_ARG_SRC, &md);
		prim_argument(prim, DNNL_ARG_DST, &md);
		(void)dnnl_primitive_desc_destroy(pd);
	}
	(void)dnnl_primitive_attr_destroy(attr);
}

bool prim_eltwise_row(struct op_cache *cache, const struct isa_activation *fn, int64_t n, void *out, void *in)
{
	struct eltwise_key key = {.kind = PRIM_ELTWISE, .fn = *fn, .n = n};
	struct op_prim *prim;

	if (!cache || n < ELTWISE_LEAST || fn->fn == ISA_U_NONE)
		return false;
	if (fn->fn != ISA_U_SIGMOID && fn->fn != ISA_U_TANH && fn->fn != ISA_U_EXP && fn->fn != ISA_U_ELU)
		return false;
	if (prim_get(cache, &key, sizeof(key), eltwise_build, &prim))
		return false;
	void *const data[PRIM_ARGS] = {in, out};
	bool done = prim->handle && !prim_run(prim, data, NULL);
	prim_put(cache, prim);
	return done;
}
