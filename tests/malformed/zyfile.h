/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes Zhouyi V3 executables for tests, from the layouts in proto/ alone. It shares no code with the reader, and it
 * writes whatever it is told to, right or wrong. A failed allocation ends the program.
 */
#ifndef NPUD_TESTS_ZYFILE_H
#define NPUD_TESTS_ZYFILE_H

#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/zhouyi_elf.h"

struct zf_bytes {
	uint8_t *data;
	size_t size;
	size_t room;
};

static inline void zf_put(struct zf_bytes *bytes, const void *data, size_t size)
{
	if (size == 0)
		return;
	if (bytes->size + size > bytes->room) {
		bytes->room = (bytes->size + size) * 2 + 64;
		bytes->data = realloc(bytes->data, bytes->room);
		if (!bytes->data)
			abort();
	}
	if (data)
		memcpy(bytes->data + bytes->size, data, size);
	else
		memset(bytes->data + bytes->size, 0, size);
	bytes->size += size;
}

static inline void zf_u32(struct zf_bytes *bytes, uint32_t value)
{
	zf_put(bytes, &value, sizeof(value));
}

static inline void zf_words(struct zf_bytes *bytes, const uint32_t *words, size_t count)
{
	zf_put(bytes, words, count * sizeof(*words));
}

static inline void zf_poke(struct zf_bytes *bytes, size_t at, uint32_t value)
{
	memcpy(bytes->data + at, &value, sizeof(value));
}

static inline void zf_pad(struct zf_bytes *bytes, size_t align)
{
	if (bytes->size % align)
		zf_put(bytes, NULL, align - bytes->size % align);
}

static inline void zf_free(struct zf_bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct zf_bytes){0};
}

struct zf_note {
	const char *name;
	struct zf_bytes desc;
};

#define ZF_NOTES 16

/* A file in parts; sections without bytes are left out, except .text. */
struct zf_file {
	struct zf_bytes text, crodata, comment;
	struct zf_note notes[ZF_NOTES];
	size_t note_count;
};

/* A note by name; made, empty, at the end if it is not there. */
static inline struct zf_bytes *zf_note(struct zf_file *file, const char *name)
{
	for (size_t i = 0; i < file->note_count; i++) {
		if (strcmp(file->notes[i].name, name) == 0)
			return &file->notes[i].desc;
	}
	if (file->note_count == ZF_NOTES)
		abort();
	file->notes[file->note_count].name = name;
	return &file->notes[file->note_count++].desc;
}

static inline void zf_file_free(struct zf_file *file)
{
	zf_free(&file->text);
	zf_free(&file->crodata);
	zf_free(&file->comment);
	for (size_t i = 0; i < file->note_count; i++)
		zf_free(&file->notes[i].desc);
	memset(file, 0, sizeof(*file));
}

struct zf_sub {
	uint32_t offset, size, type, id, data_type;
	float scale;
	int32_t zero_point;
	uint32_t mask;
	uint32_t locations[2];
	uint32_t location_count;
};

static inline void zf_put_sub(struct zf_bytes *bytes, const struct zf_sub *sub)
{
	struct zy_sub_section raw = {
	    .offset_in_section = sub->offset,
	    .size = sub->size,
	    .type = sub->type,
	    .id = sub->id,
	    .data_type = sub->data_type,
	    .scale = sub->scale,
	    .zero_point = sub->zero_point,
	    .addr_mask = sub->mask,
	    .ro_cnt = sub->location_count,
	};

	zf_put(bytes, &raw, sizeof(raw));
	zf_words(bytes, sub->locations, sub->location_count);
}

/* Sections of both kinds are four words: source or size first. */
static inline void zf_put_section(struct zf_bytes *bytes, uint32_t a, uint32_t b, uint32_t c, const struct zf_sub *subs,
				  uint32_t count)
{
	const uint32_t words[] = {a, b, c, count};

	zf_words(bytes, words, 4);
	for (uint32_t i = 0; i < count; i++)
		zf_put_sub(bytes, &subs[i]);
}

static inline struct zf_bytes zf_note_section(const struct zf_file *file)
{
	struct zf_bytes out = {0};

	for (size_t i = 0; i < file->note_count; i++) {
		const struct zf_note *note = &file->notes[i];

		zf_u32(&out, (uint32_t)strlen(note->name) + 1);
		zf_u32(&out, (uint32_t)note->desc.size);
		zf_u32(&out, 0);
		zf_put(&out, note->name, strlen(note->name) + 1);
		zf_pad(&out, 4);
		if (note->desc.size)
			zf_put(&out, note->desc.data, note->desc.size);
		zf_pad(&out, 4);
	}
	return out;
}

/* The finished file: sections at multiples of 16 in the order .text .rodata .comment .note.aipu .shstrtab, then
 * headers. */
static inline struct zf_bytes zf_build(const struct zf_file *file)
{
	struct zf_bytes out = {0}, strings = {0}, notes = zf_note_section(file);
	const struct {
		const char *name;
		const struct zf_bytes *bytes;
		uint32_t type;
	} sections[] = {
	    {ZY_SECTION_TEXT, &file->text, SHT_PROGBITS},
	    {ZY_SECTION_RODATA, &file->crodata, SHT_PROGBITS},
	    {ZY_SECTION_COMMENT, &file->comment, SHT_PROGBITS},
	    {ZY_SECTION_NOTES, &notes, SHT_NOTE},
	    {".shstrtab", &strings, SHT_STRTAB},
	};
	Elf32_Shdr headers[6] = {0};
	Elf32_Ehdr header = {
	    .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_EXEC,
	    .e_machine = ZY_ELF_MACHINE,
	    .e_version = EV_CURRENT,
	    .e_ehsize = sizeof(header),
	    .e_shentsize = sizeof(headers[0]),
	};
	uint32_t count = 1;

	zf_put(&out, NULL, sizeof(header));
	zf_put(&strings, NULL, 1);
	for (size_t i = 0; i < 5; i++) {
		if (sections[i].bytes->size == 0 && i != 0)
			continue;
		headers[count].sh_name = (Elf32_Word)strings.size;
		zf_put(&strings, sections[i].name, strlen(sections[i].name) + 1);
		zf_pad(&out, 16);
		headers[count].sh_type = sections[i].type;
		headers[count].sh_offset = (Elf32_Off)out.size;
		headers[count].sh_size = (Elf32_Word)sections[i].bytes->size;
		headers[count].sh_addralign = 16;
		if (sections[i].bytes->size)
			zf_put(&out, sections[i].bytes->data, sections[i].bytes->size);
		count++;
	}
	zf_pad(&out, 16);
	header.e_shoff = (Elf32_Off)out.size;
	header.e_shnum = (Elf32_Half)count;
	header.e_shstrndx = (Elf32_Half)(count - 1);
	zf_put(&out, headers, count * sizeof(headers[0]));
	memcpy(out.data, &header, sizeof(header));
	zf_free(&strings);
	zf_free(&notes);
	return out;
}

/* --- the verified vector for V3: two subgraphs, one block, tensors of 64 bytes */

static inline void zf_vector_bss(struct zf_bytes *out)
{
	const uint32_t head[] = {0x2000, 0x1000, 2, 3};
	const struct zf_sub static0[] = {{0, 0x40, 4, 0, 2, 1.0f, 0, UINT32_MAX, {0xc}, 1}};
	const struct zf_sub static1[] = {{0, 0x80, 4, 1, 2, 1.0f, 0, UINT32_MAX, {0x44}, 1},
					 {0x10, 0x10, 4, 2, 2, 1.0f, 0, UINT32_MAX, {0x14}, 1}};
	const struct zf_sub reuse0[] = {{0x40, 0x40, 0, 0, 3, 0.5f, 7, UINT32_MAX, {0}, 1},
					{0x100, 0x40, 3, 0, 2, 1.0f, 0, UINT32_MAX, {0x18}, 1}};
	const struct zf_sub reuse1[] = {{0, 0x40, 1, 0, 2, 2.0f, -3, UINT32_MAX, {4, 0x40}, 2}};
	const struct zf_sub reuse2[] = {{7, 0x10, 2, 0, 2, 1.0f, 0, 0xffff, {0x10}, 1}};

	zf_words(out, head, 4);
	zf_put_section(out, 0, 0x40, 0x100, static0, 1);
	zf_put_section(out, 0x1000, 0x80, 0x20, static1, 2);
	zf_put_section(out, 0x1800, 0x1000, 0, reuse0, 2);
	zf_put_section(out, 0x40, 0x2000, 0, reuse1, 1);
	zf_put_section(out, 0x12c, 1, 0, reuse2, 1);
}

static inline void zf_put_subgraph(struct zf_bytes *out, const struct zy_subgraph *raw, uint32_t precursor)
{
	zf_put(out, raw, sizeof(*raw));
	if (raw->precursor_cnt > 0)
		zf_u32(out, precursor);
}

static inline void zf_vector_subgraphs(struct zf_bytes *out)
{
	const struct zf_sub scratch[] = {{0x20, 0x40, 3, 0, 0, 1.0f, 0, UINT32_MAX, {0x1c}, 1}};
	const struct zy_subgraph first = {
	    .text_offset = 0x10, .printfifo_size = 1, .private_data_size = 0x100, .precursor_cnt = -1};
	const struct zy_subgraph second = {.text_offset = 0x20, .private_data_size = 0x100, .precursor_cnt = 1};

	zf_u32(out, 2);
	zf_put_subgraph(out, &first, 0);
	zf_u32(out, 1);
	zf_put_section(out, 0x3000, 0x1000, 0, scratch, 1);
	zf_put_subgraph(out, &second, 0);
	zf_u32(out, 0);
}

static inline void zf_vector_weights(struct zf_bytes *out)
{
	zf_put(out, NULL, 0x1080);
	memset(out->data, 1, 0x40);
	memset(out->data + 0x1000, 2, 0x80);
}

static inline struct zf_file zf_vector(void)
{
	const uint32_t rodata[16] = {0xaaaaaaaa, 0xbbbbbbbb, 0x40, 0xcccccccc, 0x11110000};
	const uint32_t desc[4] = {0xd0d0d0d0, 0xd1d1d1d1};
	const uint32_t message[12] = {ZY_ELF_FILE_VERSION, ZY_ELF_BUILD_VERSION, ZY_DEVICE_X2_1204};
	const uint32_t head[3] = {0, 0, 1};
	struct zf_file file = {0};

	for (uint8_t i = 0; i < 64; i++)
		zf_put(&file.text, &i, 1);
	zf_put(&file.crodata, NULL, 20);
	memset(file.crodata.data, 0x43, 20);
	zf_put(&file.comment, "target:X2_1204MP3;x", 19);
	zf_words(zf_note(&file, ZY_NOTE_RODATA), rodata, 16);
	zf_words(zf_note(&file, ZY_NOTE_DESC), desc, 4);
	zf_vector_weights(zf_note(&file, ZY_NOTE_WEIGHT));
	zf_words(zf_note(&file, ZY_NOTE_FMLIST), head, 3);
	zf_vector_bss(zf_note(&file, ZY_NOTE_FMLIST));
	zf_u32(zf_note(&file, ZY_NOTE_REMAP), 0);
	zf_vector_subgraphs(zf_note(&file, ZY_NOTE_SUBGRAPHS));
	zf_words(zf_note(&file, ZY_NOTE_COMPILERMSG), message, 12);
	return file;
}

#endif
