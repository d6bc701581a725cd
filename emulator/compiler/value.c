/* SPDX-License-Identifier: Apache-2.0 */
/* The values of the graph by name. Names are the model's and hostile: any bytes, any number. */
#include "emulator/compiler/cc.h"

#include <string.h>

static uint64_t name_hash(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3ull;
	return hash ^ hash >> 29;
}

static struct value **symtab_slot(const struct symtab *table, const char *name)
{
	size_t at = name_hash(name) & (table->size - 1);

	while (table->slot[at] && strcmp(table->slot[at]->name, name) != 0)
		at = (at + 1) & (table->size - 1);
	return &table->slot[at];
}

static bool symtab_grow(struct cc *cc, struct symtab *table)
{
	struct symtab bigger = {.size = table->size ? table->size * 2 : 256, .used = table->used};

	if (table->used * 2 < table->size)
		return true;
	bigger.slot = cc_alloc(cc, bigger.size, sizeof(*bigger.slot));
	if (!bigger.slot)
		return false;
	for (size_t i = 0; i < table->size; i++)
		if (table->slot[i])
			*symtab_slot(&bigger, table->slot[i]->name) = table->slot[i];
	*table = bigger;
	return true;
}

struct value *value_get(struct cc *cc, const char *name, bool create)
{
	if (create && !symtab_grow(cc, &cc->values))
		return NULL;
	if (cc->values.size == 0)
		return NULL;
	struct value **slot = symtab_slot(&cc->values, name);
	if (*slot || !create)
		return *slot;
	struct value *value = cc_alloc(cc, 1, sizeof(*value));
	if (!value)
		return NULL;
	value->name = name;
	*slot = value;
	cc->values.used++;
	return value;
}
