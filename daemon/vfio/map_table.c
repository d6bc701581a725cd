/* SPDX-License-Identifier: Apache-2.0 */
/* A sorted array: lookups are far more frequent than changes, and a change follows a system call that costs more. */
#include "daemon/vfio/map_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Index of the first record that ends after `address`. */
static size_t record_after(const struct map_table *table, uint64_t address)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct map_record *record = &table->records[middle];

		if (record->iova + (record->bytes - 1) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int map_table_reserve(struct map_table *table)
{
	if (table->count < table->capacity)
		return 0;
	size_t capacity = table->capacity ? 2 * table->capacity : 16;
	struct map_record *grown = reallocarray(table->records, capacity, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	table->records = grown;
	table->capacity = capacity;
	return 0;
}

void map_table_add(struct map_table *table, struct map_record record)
{
	size_t index = record_after(table, record.iova);

	memmove(&table->records[index + 1], &table->records[index], (table->count - index) * sizeof(record));
	table->records[index] = record;
	table->count++;
}

bool map_table_overlaps(const struct map_table *table, uint64_t iova, uint64_t bytes)
{
	size_t index = record_after(table, iova);

	return index < table->count && table->records[index].iova <= iova + (bytes - 1);
}

int map_table_remove(struct map_table *table, uint64_t iova, uint64_t bytes, struct map_record *out)
{
	size_t index = record_after(table, iova);

	if (index >= table->count || table->records[index].iova != iova || table->records[index].bytes != bytes)
		return -ENOENT;
	*out = table->records[index];
	table->count--;
	memmove(&table->records[index], &table->records[index + 1], (table->count - index) * sizeof(*out));
	return 0;
}

void map_table_free(struct map_table *table)
{
	free(table->records);
	*table = (struct map_table){0};
}
