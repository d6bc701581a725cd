/* SPDX-License-Identifier: Apache-2.0 */
/* The weight section: every constant that the program reads, once per distinct content, 64-byte aligned. */
#include "emulator/compiler/image.h"

#include <stdlib.h>
#include <string.h>

static uint64_t content_hash(const struct storage *st)
{
	uint64_t hash = 0xcbf29ce484222325ull ^ st->bytes;
	size_t i = 0;

	for (; i + 8 <= st->bytes; i += 8) {
		uint64_t word = 0;
		memcpy(&word, st->data + i, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 32;
	}
	for (; i < st->bytes; i++)
		hash = (hash ^ st->data[i]) * 0x100000001b3ull;
	return hash;
}

struct candidate {
	uint64_t hash;
	struct storage *st;
};

static int by_content(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->st->id < y->st->id ? -1 : x->st->id > y->st->id;
}

static size_t collect(struct cc *cc, struct candidate *list)
{
	bool *seen = cc_alloc(cc, cc->storage_count + 1, sizeof(*seen));
	size_t count = 0;

	for (size_t i = 0; seen && i < cc->insn_count; i++) {
		for (uint32_t k = 0; k < cc->insns[i]->count; k++) {
			struct storage *st = cc->insns[i]->v[k].st;
			if (!st || st->kind != ST_CONST || seen[st->id])
				continue;
			seen[st->id] = true;
			list[count++] = (struct candidate){.hash = content_hash(st), .st = st};
		}
	}
	return count;
}

/* host = the first storage of equal content (itself, then, has none). */
static void find_equals(struct candidate *list, size_t count)
{
	qsort(list, count, sizeof(*list), by_content);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = i; j-- > 0 && list[j].hash == list[i].hash;) {
			struct storage *other = list[j].st;
			if (!other->host && other->bytes == list[i].st->bytes &&
			    memcmp(other->data, list[i].st->data, other->bytes) == 0) {
				list[i].st->host = other;
				break;
			}
		}
	}
}

void image_weights(struct cc *cc, struct image *image)
{
	struct candidate *list = cc_alloc(cc, cc->storage_count + 1, sizeof(*list));

	image->statics = cc_alloc(cc, cc->storage_count + 1, sizeof(struct storage *));
	image->static_of = cc_alloc(cc, cc->storage_count + 1, sizeof(uint32_t));
	size_t count = cc_failed(cc) ? 0 : collect(cc, list);
	if (cc_failed(cc))
		return;
	find_equals(list, count);
	/* Sections in the order of the model, not of the hashes. */
	for (size_t i = 0; i < count; i++)
		image->static_of[list[i].st->id] = 1;
	for (size_t id = 0; id < cc->storage_count; id++) {
		struct storage *st = cc->storages[id];
		if (!image->static_of[id] || st->host)
			continue;
		bytes_align(&image->weight, CC_ALIGN);
		st->place = bytes_append(&image->weight, st->data, st->bytes);
		image->static_of[id] = image->static_count;
		image->statics[image->static_count++] = st;
	}
	for (size_t i = 0; i < count; i++)
		if (list[i].st->host)
			image->static_of[list[i].st->id] = image->static_of[list[i].st->host->id];
	cc->stats.weight_bytes = image->weight.used;
	if (image->weight.used > 3ull << 30)
		cc_unsupported(cc, "constants of %zu bytes", image->weight.used);
}
