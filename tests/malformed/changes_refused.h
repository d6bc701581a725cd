/* SPDX-License-Identifier: Apache-2.0 */
/* What is not supported or too large: notes of other uses, limits, shapes, sums that do not fit (rules 44-53). */
#ifndef NPUD_TESTS_CHANGES_REFUSED_H
#define NPUD_TESTS_CHANGES_REFUSED_H

#include "tests/malformed/changes.h"

static inline void row_segmmu_count(struct zf_file *file)
{
	zf_u32(zf_note(file, ZY_NOTE_SEGMMU), 3);
	zf_put(zf_note(file, ZY_NOTE_SEGMMU), NULL, 56);
}
static inline void row_segmmu(struct zf_file *file)
{
	zf_u32(zf_note(file, ZY_NOTE_SEGMMU), 1);
	zf_put(zf_note(file, ZY_NOTE_SEGMMU), NULL, 56);
}
static inline void row_globalparam_short(struct zf_file *file)
{
	zf_u32(zf_note(file, ZY_NOTE_GLOBALPARAM), 8);
}
static inline void row_globalparam(struct zf_file *file)
{
	const uint32_t words[] = {8, 0, 0, 0, 0};

	zf_words(zf_note(file, ZY_NOTE_GLOBALPARAM), words, 5);
	row_poke(file, ZY_NOTE_COMPILERMSG, 12, ZY_COMPILERMSG_DYNAMIC_SHAPE);
}
static inline void row_shapes_odd(struct zf_file *file)
{
	const uint32_t words[] = {3, 1, 1};

	zf_words(zf_note(file, ZY_NOTE_INPUTSHAPE), words, 3);
}
static inline void row_extra_weight(struct zf_file *file, const char *name, uint64_t count)
{
	struct zf_bytes *note = zf_note(file, ZY_NOTE_EXTRA_WEIGHT);
	uint64_t length = strlen(name) + 1 + 64;

	zf_put(note, &count, 8);
	zf_put(note, &length, 8);
	zf_put(note, name, strlen(name));
	zf_put(note, "+", 1);
	for (int i = 0; i < 64; i++)
		zf_put(note, "a", 1);
}
static inline void row_extra_weight_path(struct zf_file *file)
{
	row_extra_weight(file, "../../etc/passwd", 1);
}
static inline void row_extra_weight_count(struct zf_file *file)
{
	row_extra_weight(file, "extra_weight_1.bin", 7);
}
static inline void row_hashtable(struct zf_file *file)
{
	const uint32_t words[] = {1, UINT32_MAX};

	zf_words(zf_note(file, ZY_NOTE_HASHTABLE), words, 2);
}
static inline void row_shape_tensor(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE2 + AT_SUB + 8, ZY_SUB_OUT_TENSOR_SHAPE);
}

static inline void row_segmmu_tensor(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE2 + AT_SUB + 8, ZY_SUB_SEGMMU);
}
static inline void row_many_subgraphs(struct zf_file *file)
{
	struct zf_bytes *note = zf_note(file, ZY_NOTE_SUBGRAPHS);

	note->size = 0;
	zf_u32(note, 8193);
	zf_put(note, NULL, 8193 * 64);
}
static inline void row_many_bss(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, 8, 65);
	zf_put(zf_note(file, ZY_NOTE_FMLIST), NULL, 65 * 16);
}

static inline void row_dims_product(struct zf_file *file)
{
	/* 2^64 + 64 elements: 64 when cut to 64 bits */
	row_json(file, "{\"inputs\":[{\"name\":\"in\",\"shape\":[4294967295,4294967295,64]}],"
		       "\"outputs\":[{\"name\":\"out\",\"shape\":[64]}]}");
}
static inline void row_dims_bytes(struct zf_file *file)
{
	row_json(file, "{\"inputs\":[{\"shape\":[65]}],\"outputs\":[{\"shape\":[64]}]}");
}
static inline void row_dims_count(struct zf_file *file)
{
	row_json(file, "{\"inputs\":[],\"outputs\":[{\"shape\":[64]}]}");
}
static inline void row_reuse_sum(struct zf_file *file)
{
	/* 0xfffff000 + 0x3000 is 0x2000 in 32 bits */
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE0, 0xfffff000);
}
static inline void row_private_sum(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 40, 0xffffff00);
}
static inline void row_stack_sum(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STACK, 0x40000000);
}

#endif
