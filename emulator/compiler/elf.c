/* SPDX-License-Identifier: Apache-2.0 */
/* The file itself: a 32-bit little-endian ELF with code, a target comment, and all tables as notes. */
#include "emulator/compiler/image.h"

#include <elf.h>
#include <string.h>

#define TARGET "npucc\0target:X2_1204MP3;"

struct section {
	const char *name;
	uint32_t type;
	uint32_t flags;
	uint32_t alignment;
	const void *data;
	size_t bytes;
};

static void put_notes(const struct image *image, struct bytes *notes)
{
	static const uint32_t no_remaps;
	struct zy_compilermsg message = {
	    .file_version = ZY_ELF_FILE_VERSION, .build_version = ZY_ELF_BUILD_VERSION, .device = ZY_DEVICE_X2_1204};

	bytes_note(notes, ZY_NOTE_RODATA, image->rodata.data, image->rodata.used);
	bytes_note(notes, ZY_NOTE_WEIGHT, image->weight.data, image->weight.used);
	bytes_note(notes, ZY_NOTE_FMLIST, image->fmlist.data, image->fmlist.used);
	bytes_note(notes, ZY_NOTE_REMAP, &no_remaps, sizeof(no_remaps));
	bytes_note(notes, ZY_NOTE_SUBGRAPHS, image->subgraphs.data, image->subgraphs.used);
	bytes_note(notes, ZY_NOTE_COMPILERMSG, &message, sizeof(message));
	bytes_note(notes, ZY_NOTE_GRAPHJSON, image->json.data, image->json.used);
}

static void put_file(struct bytes *file, const struct section *sections, uint16_t count)
{
	Elf32_Shdr headers[8] = {{0}};
	struct bytes names = {0};
	Elf32_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
			     .e_type = ET_EXEC,
			     .e_machine = ZY_ELF_MACHINE,
			     .e_version = EV_CURRENT,
			     .e_ehsize = sizeof(Elf32_Ehdr),
			     .e_shentsize = sizeof(Elf32_Shdr),
			     .e_shnum = (uint16_t)(count + 2),
			     .e_shstrndx = (uint16_t)(count + 1)};

	bytes_append(file, NULL, sizeof(header));
	bytes_append(&names, "", 1);
	for (uint16_t i = 0; i < count; i++) {
		bytes_align(file, sections[i].alignment);
		headers[i + 1] = (Elf32_Shdr){
		    .sh_name = (Elf32_Word)bytes_append(&names, sections[i].name, strlen(sections[i].name) + 1),
		    .sh_type = sections[i].type,
		    .sh_flags = sections[i].flags,
		    .sh_offset = (Elf32_Off)bytes_append(file, sections[i].data, sections[i].bytes),
		    .sh_size = (Elf32_Word)sections[i].bytes,
		    .sh_addralign = sections[i].alignment};
	}
	Elf32_Word own = (Elf32_Word)bytes_append(&names, ".shstrtab", sizeof(".shstrtab"));
	headers[count + 1] = (Elf32_Shdr){.sh_name = own,
					  .sh_type = SHT_STRTAB,
					  .sh_offset = (Elf32_Off)bytes_append(file, names.data, names.used),
					  .sh_size = (Elf32_Word)names.used,
					  .sh_addralign = 1};
	file->failed = file->failed || names.failed;
	bytes_free(&names);
	bytes_align(file, 4);
	header.e_shoff = (Elf32_Off)bytes_append(file, headers, (size_t)(count + 2) * sizeof(*headers));
	if (!file->failed)
		memcpy(file->data, &header, sizeof(header));
}

void image_elf(struct cc *cc, const struct image *image, struct npucc_result *result)
{
	struct bytes notes = {0};
	struct bytes file = {0};

	put_notes(image, &notes);
	const struct section sections[] = {
	    {ZY_SECTION_TEXT, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 16, image->text.data, image->text.used},
	    {ZY_SECTION_COMMENT, SHT_PROGBITS, 0, 1, TARGET, sizeof(TARGET)},
	    {ZY_SECTION_NOTES, SHT_NOTE, 0, 4, notes.data, notes.used},
	};
	if (!notes.failed)
		put_file(&file, sections, sizeof(sections) / sizeof(sections[0]));
	bool whole = !image->text.failed && !image->rodata.failed && !image->weight.failed && !image->fmlist.failed &&
		     !image->subgraphs.failed && !image->json.failed && !notes.failed && !file.failed;
	bytes_free(&notes);
	if (!whole || file.used > UINT32_MAX) {
		bytes_free(&file);
		cc_out_of_memory(cc);
		return;
	}
	result->elf = file.data;
	result->elf_bytes = file.used;
}
