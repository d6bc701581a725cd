/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic library behind a cache: compiled primitives by geometry, packed weights by memory identity. Only
 * files that include this one know oneDNN.
 */
#ifndef NPUD_EMULATOR_OPS_PRIM_H
#define NPUD_EMULATOR_OPS_PRIM_H

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>

#include "emulator/ops/internal.h"

#define PRIM_KEY_BYTES 320
#define PRIM_ARGS 5
#define PRIM_MAX_BYTES (1ll << 31) /* the library's kernels use 32-bit offsets */
#define PRIM_MAX_SCRATCH ((size_t)128 << 20)
#define PRIM_COST_BYTES ((size_t)96 << 10) /* code and tables of a primitive, about */

enum prim_kind { PRIM_CONV = 1, PRIM_DECONV, PRIM_ELTWISE, PRIM_POOL, PRIM_SOFTMAX, PRIM_WEIGHTS };

/* A member of the cache: referenced by the table and by each user. */
struct cache_node {
	struct cache_node *chain;
	struct cache_node *newer;
	struct cache_node *older;
	void (*destroy)(struct cache_node *node);
	uint64_t hash;
	size_t bytes;
	uint32_t refs;
	bool listed;
	uint32_t key_bytes;
	uint8_t key[PRIM_KEY_BYTES];
};

struct cache_node *cache_find(struct op_cache *cache, const void *key, uint32_t bytes);
void cache_node_init(struct cache_node *node, const void *key, uint32_t bytes, size_t cost,
		     void (*destroy)(struct cache_node *node));
/* Lists `node` in place of one with the same key; the caller keeps its reference. */
void cache_add(struct op_cache *cache, struct cache_node *node);
void cache_release(struct op_cache *cache, struct cache_node *node);

struct prim_args {
	struct prim_args *next;
	uint32_t count;
	dnnl_exec_arg_t exec[PRIM_ARGS + 2]; /* own arguments, scratchpad, weights */
};

/* A compiled primitive. handle NULL remembers that the library has nothing better than our loops. */
struct op_prim {
	struct cache_node node;
	dnnl_primitive_t handle;
	size_t scratch_bytes;
	uint32_t count;
	int arg[PRIM_ARGS];
	dnnl_memory_desc_t md[PRIM_ARGS];
	bool has_weights;
	dnnl_memory_desc_t plain; /* weights as NPU memory holds them */
	dnnl_memory_desc_t packed;
	uint32_t plan[4]; /* the builder's notes for the caller */
	pthread_mutex_t lock;
	struct prim_args *idle;
};

typedef void (*prim_build_fn)(struct op_prim *prim, const void *key);
int prim_get(struct op_cache *cache, const void *key, uint32_t bytes, prim_build_fn build, struct op_prim **out);
void prim_put(struct op_cache *cache, struct op_prim *prim);
/* data[i] belongs to prim->arg[i]; weights NULL unless prim->has_weights. */
int prim_run(struct op_prim *prim, void *const *data, dnnl_memory_t weights);
/* For builders: first sound implementation that is not the reference one; `binary`: the attributes add a tensor. */
bool prim_compile(struct op_prim *prim, const_dnnl_op_desc_t desc, const_dnnl_primitive_attr_t attr, bool binary,
		  dnnl_primitive_desc_t *kept);
void prim_argument(struct op_prim *prim, int arg, const dnnl_memory_desc_t *md);
bool prim_post_activation(dnnl_post_ops_t ops, const struct isa_activation *fn);

struct op_packed;
/* The packed form of `t` (mapped, dense); compared with memory unless this instruction already did. */
int packed_get(struct op_ctx *ctx, const struct op_prim *prim, const struct op_tensor *t, struct op_packed **out);
void packed_put(struct op_cache *cache, struct op_packed *packed);
dnnl_memory_t packed_memory(const struct op_packed *packed);
pthread_mutex_t *cache_pack_lock(struct op_cache *cache);

/* Dense f32 row through the library; false if it is not worth it or not known there. */
bool prim_eltwise_row(struct op_cache *cache, const struct isa_activation *fn, int64_t n, void *out, void *in);

bool prim_vector(dnnl_memory_desc_t *md, int64_t n, dnnl_data_type_t type);
dnnl_engine_t prim_engine(void);
dnnl_stream_t prim_stream(void);

#endif
