/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed weights: the library's layout of a weight tensor, kept beside a plain copy of the bytes it was made from. A
 * packed form is used only while memory still holds exactly those bytes under the same mapping.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "emulator/ops/prim.h"

struct packed_key {
	uint32_t kind;
	uint32_t asid;
	uint64_t identity;
	int64_t addr;
	uint64_t bytes;
	uint64_t layout; /* hash of both descriptors, which are compared too */
};

struct op_packed {
	struct cache_node node;
	dnnl_memory_desc_t plain;
	dnnl_memory_desc_t packed;
	size_t plain_bytes;
	void *plain_copy;
	void *packed_data;
	dnnl_memory_t memory;
	_Atomic uint64_t checked; /* instruction that compared last */
};

static void packed_destroy(struct cache_node *node)
{
	struct op_packed *p = (struct op_packed *)node;

	if (p->memory)
		(void)dnnl_memory_destroy(p->memory);
	free(p->packed_data);
	free(p->plain_copy);
	free(p);
}

static uint64_t layout_hash(const dnnl_memory_desc_t *md)
{
	uint64_t hash = (uint64_t)md->ndims;

	for (int i = 0; i < md->ndims; i++) {
		hash = (hash ^ (uint64_t)md->dims[i]) * 0xff51afd7ed558ccdu;
		hash = (hash ^ (uint64_t)md->format_desc.blocking.strides[i]) * 0xc4ceb9fe1a85ec53u;
		hash ^= hash >> 31;
	}
	return hash ^ (uint64_t)md->format_desc.blocking.inner_nblks;
}

static int packed_reorder(struct op_packed *p)
{
	dnnl_primitive_desc_t pd = NULL;
	dnnl_primitive_t reorder = NULL;
	dnnl_memory_t from = NULL;
	int rc = -ENOMEM;

	if (dnnl_memory_create(&from, &p->plain, prim_engine(), p->plain_copy) != dnnl_success)
		return -ENOMEM;
	if (dnnl_reorder_primitive_desc_create(&pd, &p->plain, prim_engine(), &p->packed, prim_engine(), NULL) ==
		dnnl_success &&
	    dnnl_primitive_create(&reorder, pd) == dnnl_success) {
		dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, p->memory}};
		if (dnnl_primitive_execute(reorder, prim_stream(), 2, args) == dnnl_success &&
		    dnnl_stream_wait(prim_stream()) == dnnl_success)
			rc = 0;
	}
	if (reorder)
		(void)dnnl_primitive_destroy(reorder);
	if (pd)
		(void)dnnl_primitive_desc_destroy(pd);
	(void)dnnl_memory_destroy(from);
	return rc;
}

/* The bytes are copied first and packed from the copy: memory may change meanwhile. */
static int packed_new(const struct packed_key *key, const struct op_prim *prim, const struct op_tensor *t,
		      struct op_packed **out)
{
	struct op_packed *p = calloc(1, sizeof(*p));
	size_t packed_bytes = dnnl_memory_desc_get_size(&prim->packed);

	if (!p)
		return -ENOMEM;
	cache_node_init(&p->node, key, sizeof(*key), sizeof(*p) + key->bytes + packed_bytes, packed_destroy);
	p->plain = prim->plain;
	p->packed = prim->packed;
	p->plain_bytes = key->bytes;
	p->plain_copy = malloc(key->bytes);
	p->packed_data = aligned_alloc(64, (packed_bytes + 63) / 64 * 64);
	int rc = -ENOMEM;
	if (p->plain_copy && p->packed_data &&
	    dnnl_memory_create(&p->memory, &p->packed, prim_engine(), p->packed_data) == dnnl_success) {
		memcpy(p->plain_copy, t->data, key->bytes);
		rc = packed_reorder(p);
	}
	if (rc) {
		packed_destroy(&p->node);
		return rc;
	}
	*out = p;
	return 0;
}

/* A listed packed form that still holds; NULL if there is none. */
static struct op_packed *packed_current(struct op_ctx *ctx, const struct packed_key *key, const struct op_prim *prim,
					const struct op_tensor *t)
{
	struct op_packed *p = (struct op_packed *)cache_find(ctx->run->cache, key, sizeof(*key));
	uint64_t instance = ctx->run->instance;

	if (!p)
		return NULL;
	if (dnnl_memory_desc_equal(&p->packed, &prim->packed) && dnnl_memory_desc_equal(&p->plain, &prim->plain)) {
		if (instance && atomic_load_explicit(&p->checked, memory_order_acquire) == instance)
			return p;
		if (!memcmp(p->plain_copy, t->data, p->plain_bytes)) {
			atomic_store_explicit(&p->checked, instance, memory_order_release);
			return p;
		}
	}
	packed_put(ctx->run->cache, p);
	return NULL;
}

int packed_get(struct op_ctx *ctx, const struct op_prim *prim, const struct op_tensor *t, struct op_packed **out)
{
	const struct op_memory *memory = ctx->run->memory;
	struct packed_key key = {.kind = PRIM_WEIGHTS, .asid = t->asid, .addr = t->addr};

	key.identity = memory->identity(memory->ctx, t->asid, (uint32_t)t->addr);
	key.bytes = (uint64_t)tensor_elements(t) * t->esize;
	key.layout = layout_hash(&prim->plain) * 31 + layout_hash(&prim->packed);
	*out = packed_current(ctx, &key, prim, t);
	if (*out)
		return 0;
	/* One packs, the other tasks of the instruction find it. */
	pthread_mutex_t *lock = cache_pack_lock(ctx->run->cache);
	pthread_mutex_lock(lock);
	int rc = 0;
	*out = packed_current(ctx, &key, prim, t);
	if (!*out) {
		rc = packed_new(&key, prim, t, out);
		if (!rc) {
			atomic_store_explicit(&(*out)->checked, ctx->run->instance, memory_order_release);
			cache_add(ctx->run->cache, &(*out)->node);
		}
	}
	pthread_mutex_unlock(lock);
	return rc;
}

void packed_put(struct op_cache *cache, struct op_packed *packed)
{
	if (packed)
		cache_release(cache, &packed->node);
}

dnnl_memory_t packed_memory(const struct op_packed *packed)
{
	return packed->memory;
}
