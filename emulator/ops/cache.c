/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table behind compiled primitives and packed weights: bounded bytes, least recently used first out. A node in use
 * outlives its eviction; nothing is built or compared under the lock.
 */
#include <stdlib.h>

#include "emulator/ops/prim.h"

#define CACHE_BUCKETS 1024u

struct op_cache {
	pthread_mutex_t lock;
	pthread_mutex_t pack_lock;
	size_t max_bytes;
	size_t bytes;
	struct cache_node *newest;
	struct cache_node *oldest;
	struct cache_node *bucket[CACHE_BUCKETS];
};

struct op_cache *op_cache_new(size_t max_bytes)
{
	struct op_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	if (pthread_mutex_init(&cache->lock, NULL)) {
		free(cache);
		return NULL;
	}
	if (pthread_mutex_init(&cache->pack_lock, NULL)) {
		(void)pthread_mutex_destroy(&cache->lock);
		free(cache);
		return NULL;
	}
	cache->max_bytes = max_bytes;
	return cache;
}

static uint64_t key_hash(const uint8_t *key, uint32_t bytes)
{
	uint64_t hash = 0x9e3779b97f4a7c15u ^ bytes;

	while (bytes) {
		uint64_t word = 0;
		uint32_t n = bytes < 8 ? bytes : 8;
		memcpy(&word, key, n);
		hash = (hash ^ word) * 0xff51afd7ed558ccdu;
		hash ^= hash >> 32;
		key += n;
		bytes -= n;
	}
	return hash;
}

void cache_node_init(struct cache_node *node, const void *key, uint32_t bytes, size_t cost,
		     void (*destroy)(struct cache_node *node))
{
	memset(node, 0, sizeof(*node));
	memcpy(node->key, key, bytes);
	node->key_bytes = bytes;
	node->hash = key_hash(key, bytes);
	node->bytes = cost;
	node->destroy = destroy;
	node->refs = 1;
}

static void lru_push(struct op_cache *cache, struct cache_node *node)
{
	node->newer = NULL;
	node->older = cache->newest;
	if (cache->newest)
		cache->newest->newer = node;
	else
		cache->oldest = node;
	cache->newest = node;
}

static void lru_remove(struct op_cache *cache, struct cache_node *node)
{
	if (node->newer)
		node->newer->older = node->older;
	else
		cache->newest = node->older;
	if (node->older)
		node->older->newer = node->newer;
	else
		cache->oldest = node->newer;
}

/* Takes the node off the table; the table's reference moves to the caller's list of the dead (through chain). */
static void unlist(struct op_cache *cache, struct cache_node *node, struct cache_node **dead)
{
	struct cache_node **link = &cache->bucket[node->hash % CACHE_BUCKETS];

	while (*link != node)
		link = &(*link)->chain;
	*link = node->chain;
	lru_remove(cache, node);
	cache->bytes -= node->bytes;
	node->listed = false;
	if (--node->refs == 0) {
		node->chain = *dead;
		*dead = node;
	}
}

static void bury(struct cache_node *dead)
{
	while (dead) {
		struct cache_node *next = dead->chain;
		dead->destroy(dead);
		dead = next;
	}
}

static struct cache_node *lookup(struct op_cache *cache, uint64_t hash, const void *key, uint32_t bytes)
{
	struct cache_node *node = cache->bucket[hash % CACHE_BUCKETS];

	for (; node; node = node->chain)
		if (node->hash == hash && node->key_bytes == bytes && !memcmp(node->key, key, bytes))
			return node;
	return NULL;
}

struct cache_node *cache_find(struct op_cache *cache, const void *key, uint32_t bytes)
{
	uint64_t hash = key_hash(key, bytes);

	pthread_mutex_lock(&cache->lock);
	struct cache_node *node = lookup(cache, hash, key, bytes);
	if (node) {
		node->refs++;
		if (cache->newest != node) {
			lru_remove(cache, node);
			lru_push(cache, node);
		}
	}
	pthread_mutex_unlock(&cache->lock);
	return node;
}

void cache_add(struct op_cache *cache, struct cache_node *node)
{
	struct cache_node *dead = NULL;

	if (node->bytes > cache->max_bytes)
		return;
	pthread_mutex_lock(&cache->lock);
	struct cache_node *old = lookup(cache, node->hash, node->key, node->key_bytes);
	if (old)
		unlist(cache, old, &dead);
	while (cache->oldest && cache->bytes + node->bytes > cache->max_bytes)
		unlist(cache, cache->oldest, &dead);
	struct cache_node **bucket = &cache->bucket[node->hash % CACHE_BUCKETS];
	node->chain = *bucket;
	*bucket = node;
	node->listed = true;
	node->refs++;
	cache->bytes += node->bytes;
	lru_push(cache, node);
	pthread_mutex_unlock(&cache->lock);
	bury(dead);
}

void cache_release(struct op_cache *cache, struct cache_node *node)
{
	if (!node)
		return;
	pthread_mutex_lock(&cache->lock);
	bool last = --node->refs == 0;
	pthread_mutex_unlock(&cache->lock);
	if (last)
		node->destroy(node);
}

void op_cache_clear(struct op_cache *cache)
{
	struct cache_node *dead = NULL;

	if (!cache)
		return;
	pthread_mutex_lock(&cache->lock);
	while (cache->oldest)
		unlist(cache, cache->oldest, &dead);
	pthread_mutex_unlock(&cache->lock);
	bury(dead);
}

void op_cache_free(struct op_cache *cache)
{
	if (!cache)
		return;
	op_cache_clear(cache);
	(void)pthread_mutex_destroy(&cache->pack_lock);
	(void)pthread_mutex_destroy(&cache->lock);
	free(cache);
}

pthread_mutex_t *cache_pack_lock(struct op_cache *cache)
{
	return &cache->pack_lock;
}
