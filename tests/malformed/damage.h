/* SPDX-License-Identifier: Apache-2.0 */
/* Damage to the finished file, one rule of the ELF container each: its header, sections and notes. */
#ifndef NPUD_TESTS_DAMAGE_H
#define NPUD_TESTS_DAMAGE_H

#include "tests/malformed/zyfile.h"

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
static inline void row_machine(struct zf_bytes *bytes)
{
	bytes->data[offsetof(Elf32_Ehdr, e_machine)] = 0x3e;
}
static inline void row_type(struct zf_bytes *bytes)
{
	bytes->data[offsetof(Elf32_Ehdr, e_type)] = ET_DYN;
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

#endif
