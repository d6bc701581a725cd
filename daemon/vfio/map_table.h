/* SPDX-License-Identifier: Apache-2.0 */
/* What is mapped in one I/O address space: sorted records, found by address. Numbers only: it maps nothing. */
#ifndef NPUD_VFIO_MAP_TABLE_H
#define NPUD_VFIO_MAP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_record {
	uint64_t iova;
	uint64_t bytes;
	uint32_t pieces; /* entries that the kernel keeps for it */
};

struct map_table {
	struct map_record *records;
	size_t count;
	size_t capacity;
};

/* Room for one more, so that map_table_add() cannot fail. -ENOMEM */
int map_table_reserve(struct map_table *table);
void map_table_add(struct map_table *table, struct map_record record);
bool map_table_overlaps(const struct map_table *table, uint64_t iova, uint64_t bytes);
/* Exactly that record, taken out, or -ENOENT. */
int map_table_remove(struct map_table *table, uint64_t iova, uint64_t bytes, struct map_record *out);
void map_table_free(struct map_table *table);

#endif
