/* SPDX-License-Identifier: Apache-2.0 */
/* One rule each: required notes, the subgraphs and BSS they describe, counts, offsets and sizes (rules 25-39). */
#ifndef NPUD_TESTS_CHANGES_NOTES_H
#define NPUD_TESTS_CHANGES_NOTES_H

#include "tests/malformed/changes.h"

/* --- required notes */

static inline void row_text_empty(struct zf_file *file)
{
	file->text.size = 0;
}
static inline void row_no_subgraphs(struct zf_file *file)
{
	row_remove(file, ZY_NOTE_SUBGRAPHS);
}
static inline void row_short_subgraphs(struct zf_file *file)
{
	zf_note(file, ZY_NOTE_SUBGRAPHS)->size = 3;
}
static inline void row_no_fmlist(struct zf_file *file)
{
	row_remove(file, ZY_NOTE_FMLIST);
}
static inline void row_short_fmlist(struct zf_file *file)
{
	zf_note(file, ZY_NOTE_FMLIST)->size = 11;
}
static inline void row_no_compilermsg(struct zf_file *file)
{
	row_remove(file, ZY_NOTE_COMPILERMSG);
}
static inline void row_short_compilermsg(struct zf_file *file)
{
	zf_note(file, ZY_NOTE_COMPILERMSG)->size = 15;
}
static inline void row_no_rodata(struct zf_file *file)
{
	row_remove(file, ZY_NOTE_RODATA);
}
static inline void row_long_compilermsg(struct zf_file *file)
{
	zf_put(zf_note(file, ZY_NOTE_COMPILERMSG), NULL, 4);
}

static inline void row_long_gmconfig(struct zf_file *file)
{
	row_gm(file, 1, 0, 0, 0, 60);
}
static inline void row_short_gmconfig(struct zf_file *file)
{
	row_gm(file, 1, 0, 0, 0, 52);
}

/* --- subgraphs */

static inline void row_subgraph_count(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, 0, 0x10000000);
}
static inline void row_subgraph_one_more(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, 0, 3);
}
static inline void row_precursor_negative(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 56, (uint32_t)-2);
}
static inline void row_precursor_five(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 56, 5);
}
static inline void row_precursor_two(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 56, 2);
}
static inline void row_precursor_cut(struct zf_file *file)
{
	/* subgraphs of 64 bytes and no more: the last has no room for its precursor */
	struct zf_bytes *note = zf_note(file, ZY_NOTE_SUBGRAPHS);
	const struct zy_subgraph raw = {.text_offset = 0x10, .private_data_size = 0x100, .precursor_cnt = 0};

	note->size = 0;
	zf_u32(note, 2);
	zf_put_subgraph(note, &raw, 0);
	zf_u32(note, 0);
	zf_put_subgraph(note, &raw, 0);
	zf_u32(note, 0);
	zf_poke(note, 4 + 64 + 56, 1);
}
static inline void row_precursor_self(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 60, 1);
}
static inline void row_private_cnt(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_PRIVATE_CNT, 0x7fffffff);
}
static inline void row_private_sub_cnt(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_PRIVATE + 12, UINT32_MAX);
}
static inline void row_private_ro_cnt(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_PRIVATE + 16 + 44, UINT32_MAX);
}
static inline void row_bss_zero(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, 8, 0);
}
static inline void row_bss_many(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, 8, UINT32_MAX);
}
static inline void row_bss_one_more(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, 8, 2);
}
static inline void row_static_cnt(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STATIC_CNT, 0x10000001);
}
static inline void row_reuse_cnt(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE_CNT, UINT32_MAX);
}
static inline void row_sub_cnt(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE0 + 12, 0x20000000);
}
static inline void row_ro_cnt(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE2 + AT_SUB + 44, 0x40000001);
}
static inline void row_stack_zero(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STACK, 0);
}
static inline void row_fm_desc(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 12, 1);
}
static inline void row_second_bss(struct zf_file *file)
{
	zf_vector_bss(zf_note(file, ZY_NOTE_FMLIST));
	row_poke(file, ZY_NOTE_FMLIST, 8, 2);
	/* its tensors get numbers of their own */
	row_poke(file, ZY_NOTE_FMLIST, 464 + AT_REUSE0 + AT_SUB + 12, 1);
	row_poke(file, ZY_NOTE_FMLIST, 464 + AT_REUSE1 + AT_SUB + 12, 1);
	row_poke(file, ZY_NOTE_FMLIST, 464 + AT_REUSE2 + AT_SUB + 12, 1);
}
static inline void row_bss_order(struct zf_file *file)
{
	row_second_bss(file);
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP0 + 12, 1);
}
static inline void row_text_offset(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP0 + 8, 0x40);
}
static inline void row_text_unaligned(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP0 + 8, 0x18);
}
static inline void row_rodata_offset(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 16, 0x40);
}
static inline void row_rodata_size(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 16, 0x20);
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 20, UINT32_MAX);
}
static inline void row_dcr_offset(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 24, 0x11);
}
static inline void row_profiler(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE2 + AT_SUB + 8, ZY_SUB_PROFILER);
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 36, 0x10);
}
static inline void row_private_data(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 40, 0);
}
static inline void row_printfifo(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_GROUP0 + 32, 0x100000);
}
static inline void row_reuse_size(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE1, 0);
}
static inline void row_private_size(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_SUBGRAPHS, AT_PRIVATE, 0);
}

#endif
