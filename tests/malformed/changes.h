/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to the verified vector to break one rule each: changes of its parts, damage to the finished file. */
#ifndef NPUD_TESTS_CHANGES_H
#define NPUD_TESTS_CHANGES_H

#include "tests/malformed/zyfile.h"

/* Offsets inside the vector's notes. */
#define AT_STACK 12u /* fmlist */
#define AT_STATIC_CNT 20u
#define AT_REUSE_CNT 24u
#define AT_STATIC0 28u
#define AT_STATIC1 96u
#define AT_REUSE0 216u
#define AT_REUSE1 336u
#define AT_REUSE2 408u
#define AT_SUB 16u /* first sub-section of a section */
#define AT_SUB_LOCATION 64u /* its first patch location */
#define AT_GROUP0 4u /* subgraphs */
#define AT_GROUP1 136u
#define AT_PRIVATE_CNT 64u
#define AT_PRIVATE 68u

static inline void row_poke(struct zf_file *file, const char *note, size_t at, uint32_t value)
{
	zf_poke(zf_note(file, note), at, value);
}

static inline void row_remove(struct zf_file *file, const char *note)
{
	zf_note(file, note)->size = 0;
}

/* --- container */

static inline void row_class(struct zf_bytes *bytes)
{
	bytes->data[EI_CLASS] = ELFCLASS64;
}
static inline void row_endian(struct zf_bytes *bytes)
{
	bytes->data[EI_DATA] = ELFDATA2MSB;
}
static inline void row_shoff(struct zf_bytes *bytes)
{
	zf_poke(bytes, offsetof(Elf32_Ehdr, e_shoff), UINT32_MAX - 8);
}
static inline void row_shnum(struct zf_bytes *bytes)
{
	memset(bytes->data + offsetof(Elf32_Ehdr, e_shnum), 0xff, 2);
}
static inline void row_shnum_zero(struct zf_bytes *bytes)
{
	memset(bytes->data + offsetof(Elf32_Ehdr, e_shnum), 0, 2);
}
static inline void row_shentsize(struct zf_bytes *bytes)
{
	bytes->data[offsetof(Elf32_Ehdr, e_shentsize)] = 8;
}
static inline void row_shstrndx(struct zf_bytes *bytes)
{
	bytes->data[offsetof(Elf32_Ehdr, e_shstrndx)] = 6;
}
static inline void row_truncated(struct zf_bytes *bytes)
{
	bytes->size -= 24;
}
static inline void row_header_only(struct zf_bytes *bytes)
{
	bytes->size = 40;
}

/* A section header of the built file: 1 .text, 2 .rodata, 3 .comment, 4 .note.aipu, 5 .shstrtab. */
static inline size_t row_section(const struct zf_bytes *bytes, size_t index)
{
	uint32_t headers;

	memcpy(&headers, bytes->data + offsetof(Elf32_Ehdr, e_shoff), sizeof(headers));
	return headers + index * sizeof(Elf32_Shdr);
}
static inline void row_section_size(struct zf_bytes *bytes)
{
	zf_poke(bytes, row_section(bytes, 1) + offsetof(Elf32_Shdr, sh_size), (uint32_t)bytes->size - 1);
}
static inline void row_section_wrap(struct zf_bytes *bytes)
{
	zf_poke(bytes, row_section(bytes, 4) + offsetof(Elf32_Shdr, sh_offset), UINT32_MAX - 15);
}
static inline void row_section_name(struct zf_bytes *bytes)
{
	zf_poke(bytes, row_section(bytes, 2) + offsetof(Elf32_Shdr, sh_name), 0x7fffffff);
}
static inline size_t row_notes(const struct zf_bytes *bytes)
{
	uint32_t notes;

	memcpy(&notes, bytes->data + row_section(bytes, 4) + offsetof(Elf32_Shdr, sh_offset), sizeof(notes));
	return notes;
}
static inline void row_namesz(struct zf_bytes *bytes)
{
	zf_poke(bytes, row_notes(bytes), UINT32_MAX);
}
static inline void row_descsz(struct zf_bytes *bytes)
{
	zf_poke(bytes, row_notes(bytes) + 4, UINT32_MAX);
}
static inline void row_last_descsz(struct zf_bytes *bytes)
{
	/* the last note, compilermsg: 12 + 12 + 48 bytes before the end of the section */
	uint32_t size;

	memcpy(&size, bytes->data + row_section(bytes, 4) + offsetof(Elf32_Shdr, sh_size), sizeof(size));
	zf_poke(bytes, row_notes(bytes) + size - 72 + 4, 48 + 1);
}

static inline void row_last_namesz(struct zf_bytes *bytes)
{
	/* 60 bytes are left behind the header of the last note */
	uint32_t size;

	memcpy(&size, bytes->data + row_section(bytes, 4) + offsetof(Elf32_Shdr, sh_size), sizeof(size));
	zf_poke(bytes, row_notes(bytes) + size - 72, 61);
	zf_poke(bytes, row_notes(bytes) + size - 72 + 4, 0);
}

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

static inline void row_gm(struct zf_file *file, uint32_t control, uint32_t fm, uint32_t type, uint32_t index,
			  size_t bytes)
{
	const struct zy_gmconfig config = {.control = control, .buffer[0] = {fm, type, index, 0}};

	zf_put(zf_note(file, ZY_NOTE_GMCONFIG), &config, sizeof(config));
	if (bytes > sizeof(config))
		zf_put(zf_note(file, ZY_NOTE_GMCONFIG), NULL, bytes - sizeof(config));
	zf_note(file, ZY_NOTE_GMCONFIG)->size = bytes;
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

/* --- what V3 shares with V1 and V2 */

static inline void row_remap(struct zf_file *file, uint32_t type, uint32_t offset, uint32_t next_type, uint32_t next)
{
	const uint32_t words[] = {1, type, offset, next_type, next};
	struct zf_bytes *note = zf_note(file, ZY_NOTE_REMAP);

	note->size = 0;
	zf_words(note, words, 5);
}
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

/* --- not supported */

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
static inline void row_machine(struct zf_bytes *bytes)
{
	bytes->data[offsetof(Elf32_Ehdr, e_machine)] = 0x3e;
}
static inline void row_type(struct zf_bytes *bytes)
{
	bytes->data[offsetof(Elf32_Ehdr, e_type)] = ET_DYN;
}

static inline void row_json(struct zf_file *file, const char *text)
{
	zf_put(zf_note(file, ZY_NOTE_GRAPHJSON), text, strlen(text));
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
