/* SPDX-License-Identifier: Apache-2.0 */
/* One rule each: patch locations, sections, tensors, remapped patches and global memory (rules 40-43). */
#ifndef NPUD_TESTS_CHANGES_SECTIONS_H
#define NPUD_TESTS_CHANGES_SECTIONS_H

#include "tests/malformed/changes.h"

static inline void row_remap_type(struct zf_file *file)
{
	row_remap(file, 3, 0, 0, 0);
}
static inline void row_remap_next_type(struct zf_file *file)
{
	row_remap(file, 0, 0, 7, 0);
}
static inline void row_remap_no_desc(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STATIC1 + AT_SUB_LOCATION, 0x20);
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE1 + AT_SUB_LOCATION + 4, 0x20);
	row_remove(file, ZY_NOTE_DESC);
	row_remap(file, 1, 0, 0, 0);
}
static inline void row_remap_offset(struct zf_file *file)
{
	row_remap(file, 1, 13, 0, 0);
}
static inline void row_remap_next(struct zf_file *file)
{
	row_remap(file, 0, 0, 1, 17);
}
static inline void row_remap_text(struct zf_file *file)
{
	row_remap(file, 2, 0, 1, 0);
}
static inline void row_location_end(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE0 + AT_SUB_LOCATION, 0x4d);
}
static inline void row_location_wrap(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE0 + AT_SUB_LOCATION, UINT32_MAX);
}
static inline void row_location_straddle(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE0 + AT_SUB_LOCATION, 0x3e);
}
static inline void row_no_weight(struct zf_file *file)
{
	row_remove(file, ZY_NOTE_WEIGHT);
}
static inline void row_src_range(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STATIC1, 0x1001);
}
static inline void row_src_wrap(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STATIC1, UINT32_MAX - 0x10);
}
static inline void row_static_align_zero(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STATIC0 + 8, 0);
}
static inline void row_static_align_three(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STATIC0 + 8, 3);
}
static inline void row_reuse_align(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE1 + 4, 0x3000);
}
static inline void row_stack_align(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STACK + 4, 0);
}
static inline void row_sub_range(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE1 + AT_SUB, 1);
}
static inline void row_sub_wrap(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE1 + AT_SUB, UINT32_MAX - 0x3f);
}
static inline void row_id_gap(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE0 + AT_SUB + 12, 1);
}
static inline void row_id_twice(struct zf_file *file)
{
	/* the intermediate of reuse section 0 becomes a second input 0 */
	row_poke(file, ZY_NOTE_FMLIST, AT_REUSE0 + AT_SUB + 52 + 8, ZY_SUB_INPUT);
}
static inline void row_static_no_subs(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STATIC0 + 12, 0);
}
static inline void row_static_mixed(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STATIC1 + AT_SUB + 52 + 8, ZY_SUB_ZEROCPY_CONSTANT);
}
static inline void row_static_type(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STATIC0 + AT_SUB + 8, ZY_SUB_INTERMEDIATE);
}

/* Many sections that are small in the file and far apart in memory. */
static inline void row_weights_sum(struct zf_file *file)
{
	const struct zf_sub constant[] = {{0, 0x40, 4, 0, 2, 1.0f, 0, UINT32_MAX, {0xc}, 1}};
	const struct zf_sub input[] = {{0, 0x40, 0, 0, 2, 1.0f, 0, UINT32_MAX, {0}, 1}};
	const uint32_t head[] = {0, 0, 1, 0x1000, 0x1000, 20, 1};
	struct zf_bytes *note = zf_note(file, ZY_NOTE_FMLIST);

	note->size = 0;
	zf_words(note, head, 7);
	for (int i = 0; i < 20; i++)
		zf_put_section(note, 0, 0x40, 1u << 28, constant, 1);
	zf_put_section(note, 0x40, 0x1000, 0, input, 1);
}
static inline void row_src_order(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_FMLIST, AT_STATIC0, 0x1001);
}
static inline void row_remap_count(struct zf_file *file)
{
	row_poke(file, ZY_NOTE_REMAP, 0, 1);
}
static inline void row_remap_short(struct zf_file *file)
{
	zf_note(file, ZY_NOTE_REMAP)->size = 2;
}
static inline void row_gm_index(struct zf_file *file)
{
	row_gm(file, 1, 0, 0, 3, 56);
}
static inline void row_gm_fm_index(struct zf_file *file)
{
	row_gm(file, 1, 1, 0, 0, 56);
}
static inline void row_gm_type(struct zf_file *file)
{
	row_gm(file, 1, 0, 2, 0, 56);
}
static inline void row_gm_weights(struct zf_file *file)
{
	row_gm(file, 1, 0, 1, 0, 56);
}
static inline void row_gm_count(struct zf_file *file)
{
	row_gm(file, 3, 0, 0, 0, 56);
}

#endif
