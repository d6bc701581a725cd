/* SPDX-License-Identifier: Apache-2.0 */
/* The V3 executable around a test program: one BSS block, an input, an output, optional constants. */
#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/zhouyi_elf.h"
#include "tests/integration/programs.h"

struct bytes {
	uint8_t *data;
	size_t used;
	size_t capacity;
};

static void put(struct bytes *bytes, const void *data, size_t count)
{
	if (bytes->used + count > bytes->capacity) {
		bytes->capacity = 2 * (bytes->used + count);
		bytes->data = realloc(bytes->data, bytes->capacity);
		if (!bytes->data)
			abort();
	}
	if (data)
		memcpy(bytes->data + bytes->used, data, count);
	else
		memset(bytes->data + bytes->used, 0, count);
	bytes->used += count;
}

static void align(struct bytes *bytes, size_t to)
{
	if (bytes->used % to)
		put(bytes, NULL, to - bytes->used % to);
}

static void put_u32(struct bytes *bytes, uint32_t value)
{
	put(bytes, &value, sizeof(value));
}

static void put_note(struct bytes *notes, const char *name, const void *data, size_t count)
{
	put_u32(notes, (uint32_t)strlen(name) + 1);
	put_u32(notes, (uint32_t)count);
	put_u32(notes, 0);
	put(notes, name, strlen(name) + 1);
	align(notes, 4);
	put(notes, data, count);
	align(notes, 4);
}

static void put_sub(struct bytes *bytes, uint32_t type, uint32_t size, uint32_t location)
{
	const struct zy_sub_section sub = {
	    .size = size, .type = type, .data_type = ZY_DATA_U8, .scale = 1.0f, .addr_mask = 0xffffffffu, .ro_cnt = 1};

	put(bytes, &sub, sizeof(sub));
	put_u32(bytes, location);
}

static void put_fmlist(const struct program *program, struct bytes *fmlist)
{
	uint32_t size = program->tensor_bytes ? program->tensor_bytes : PROGRAM_TENSOR_BYTES;
	bool constants = program->constant_bytes > 0;
	const struct zy_bss_header header = {
	    .stack_size = 0x1000, .stack_align_bytes = 0x1000, .static_cnt = constants, .reuse_cnt = 2};
	const struct zy_static_section weights = {.size = program->constant_bytes, .align_bytes = 256, .sub_cnt = 1};
	const struct zy_reuse_section tensor = {.size = size, .align_bytes = 0x1000, .sub_cnt = 1};

	put_u32(fmlist, 0);
	put_u32(fmlist, 0);
	put_u32(fmlist, 1);
	put(fmlist, &header, sizeof(header));
	if (constants) {
		put(fmlist, &weights, sizeof(weights));
		put_sub(fmlist, ZY_SUB_CONSTANT, program->constant_bytes, PROGRAM_CONSTANTS);
	}
	put(fmlist, &tensor, sizeof(tensor));
	put_sub(fmlist, ZY_SUB_INPUT, size, PROGRAM_INPUT);
	put(fmlist, &tensor, sizeof(tensor));
	put_sub(fmlist, ZY_SUB_OUTPUT, size, PROGRAM_OUTPUT);
}

static void put_subgraphs(const struct program *program, struct bytes *subgraphs)
{
	put_u32(subgraphs, program->groups);
	for (unsigned i = 0; i < program->groups; i++) {
		const struct zy_subgraph subgraph = {.id = i,
						     .text_offset = program->entry[i] * ISA_INSN_BYTES,
						     .rodata_size = PROGRAM_PARAMETER_BYTES,
						     .printfifo_size = program->prints ? 1024 : 0,
						     .private_data_size = 0x100,
						     .precursor_cnt = program->precursors[i]};

		put(subgraphs, &subgraph, sizeof(subgraph));
		if (program->precursors[i] > 0)
			put_u32(subgraphs, i - 1);
		put_u32(subgraphs, 0); /* private sections */
	}
}

static void put_notes(const struct program *program, struct bytes *notes)
{
	const struct zy_compilermsg message = {
	    .file_version = ZY_ELF_FILE_VERSION, .build_version = ZY_ELF_BUILD_VERSION, .device = ZY_DEVICE_X2_1204};
	struct bytes fmlist = {0}, subgraphs = {0}, weights = {0};
	const uint32_t no_remaps = 0;

	put_fmlist(program, &fmlist);
	put_subgraphs(program, &subgraphs);
	for (uint32_t i = 0; i < program->constant_bytes; i++) {
		uint8_t byte = (uint8_t)(i % 251);

		put(&weights, &byte, 1);
	}
	put_note(notes, ZY_NOTE_RODATA, program->parameters, sizeof(program->parameters));
	if (weights.used)
		put_note(notes, ZY_NOTE_WEIGHT, weights.data, weights.used);
	put_note(notes, ZY_NOTE_FMLIST, fmlist.data, fmlist.used);
	put_note(notes, ZY_NOTE_REMAP, &no_remaps, sizeof(no_remaps));
	put_note(notes, ZY_NOTE_SUBGRAPHS, subgraphs.data, subgraphs.used);
	put_note(notes, ZY_NOTE_COMPILERMSG, &message, sizeof(message));
	free(fmlist.data);
	free(subgraphs.data);
	free(weights.data);
}

static void put_section(struct bytes *file, Elf32_Shdr *header, uint32_t name, uint32_t type, const void *data,
			size_t count)
{
	align(file, 16);
	*header = (Elf32_Shdr){.sh_name = name,
			       .sh_type = type,
			       .sh_offset = (Elf32_Off)file->used,
			       .sh_size = (Elf32_Word)count,
			       .sh_addralign = 16};
	put(file, data, count);
}

void *program_elf(const struct program *program, size_t *bytes)
{
	static const char names[] = "\0" ZY_SECTION_TEXT "\0" ZY_SECTION_NOTES "\0.shstrtab";
	Elf32_Shdr sections[4] = {{0}};
	Elf32_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
			     .e_type = ET_EXEC,
			     .e_machine = ZY_ELF_MACHINE,
			     .e_version = EV_CURRENT,
			     .e_ehsize = sizeof(Elf32_Ehdr),
			     .e_shentsize = sizeof(Elf32_Shdr),
			     .e_shnum = 4,
			     .e_shstrndx = 3};
	struct bytes file = {0}, notes = {0};
	const uint32_t text_name = 1, notes_name = text_name + sizeof(ZY_SECTION_TEXT);

	put_notes(program, &notes);
	put(&file, NULL, sizeof(header));
	put_section(&file, &sections[1], text_name, SHT_PROGBITS, program->insn,
		    (size_t)program->insns * ISA_INSN_BYTES);
	put_section(&file, &sections[2], notes_name, SHT_NOTE, notes.data, notes.used);
	put_section(&file, &sections[3], notes_name + sizeof(ZY_SECTION_NOTES), SHT_STRTAB, names, sizeof(names));
	align(&file, 16);
	header.e_shoff = (Elf32_Off)file.used;
	put(&file, sections, sizeof(sections));
	memcpy(file.data, &header, sizeof(header));
	free(notes.data);
	*bytes = file.used;
	return file.data;
}
