/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container of a V3 executable: ELF header, sections, notes. It finds byte ranges and proves that they are inside
 * the file; it never interprets what is in them.
 */
#include <elf.h>
#include <gelf.h>

#include "libclient/elf_parts.h"

static const char *const note_names[NPU_NOTE_COUNT] = {
    [NPU_NOTE_RODATA] = ZY_NOTE_RODATA,
    [NPU_NOTE_DESC] = ZY_NOTE_DESC,
    [NPU_NOTE_WEIGHT] = ZY_NOTE_WEIGHT,
    [NPU_NOTE_FMLIST] = ZY_NOTE_FMLIST,
    [NPU_NOTE_REMAP] = ZY_NOTE_REMAP,
    [NPU_NOTE_SUBGRAPHS] = ZY_NOTE_SUBGRAPHS,
    [NPU_NOTE_COMPILERMSG] = ZY_NOTE_COMPILERMSG,
    [NPU_NOTE_GMCONFIG] = ZY_NOTE_GMCONFIG,
    [NPU_NOTE_SEGMMU] = ZY_NOTE_SEGMMU,
    [NPU_NOTE_GLOBALPARAM] = ZY_NOTE_GLOBALPARAM,
    [NPU_NOTE_INPUTSHAPE] = ZY_NOTE_INPUTSHAPE,
    [NPU_NOTE_EXTRA_WEIGHT] = ZY_NOTE_EXTRA_WEIGHT,
    [NPU_NOTE_HASHTABLE] = ZY_NOTE_HASHTABLE,
    [NPU_NOTE_GRAPHJSON] = ZY_NOTE_GRAPHJSON,
};

const char *npu_note_name(enum npu_note note)
{
	return note_names[note];
}

/* libelf reads what the header announces; the announcement is checked before. */
static int check_header(struct npu_elf_parse *parse, const uint8_t *data, size_t bytes)
{
	static const char graph_binary[] = "AIPU BIN";
	Elf32_Ehdr header;

	if (bytes >= sizeof(graph_binary) - 1 && memcmp(data, graph_binary, sizeof(graph_binary) - 1) == 0)
		return npu_elf_refuse(parse, -ENOTSUP,
				      "file kind: a V1/V2 graph binary (\"AIPU BIN\") is not supported; use a V3 ELF");
	if (bytes < SELFMAG || memcmp(data, ELFMAG, SELFMAG) != 0)
		return npu_elf_refuse(parse, -EBADMSG, "file kind: not a Zhouyi executable (no ELF magic)");
	if (bytes > UINT32_MAX)
		return npu_elf_refuse(parse, -EBADMSG,
				      "file size: %zu bytes are more than an ELF32 can address (4 GiB)", bytes);
	if (bytes < sizeof(header))
		return npu_elf_refuse(parse, -EBADMSG, "ELF header: the file ends inside it (%zu bytes of %zu)", bytes,
				      sizeof(header));
	memcpy(&header, data, sizeof(header));
	if (header.e_ident[EI_CLASS] != ELFCLASS32)
		return npu_elf_refuse(parse, -EBADMSG, "ELF header: EI_CLASS is %u, must be 1 (32-bit)",
				      header.e_ident[EI_CLASS]);
	if (header.e_ident[EI_DATA] != ELFDATA2LSB)
		return npu_elf_refuse(parse, -EBADMSG, "ELF header: EI_DATA is %u, must be 1 (little-endian)",
				      header.e_ident[EI_DATA]);
	if (header.e_type != ET_EXEC || header.e_version != EV_CURRENT)
		return npu_elf_refuse(parse, -EBADMSG, "ELF header: e_type %u and e_version %u, must be 2 and 1",
				      header.e_type, header.e_version);
	if (header.e_machine != ZY_ELF_MACHINE)
		return npu_elf_refuse(parse, -EBADMSG, "ELF header: e_machine is %#x, must be %#x (Zhouyi)",
				      header.e_machine, ZY_ELF_MACHINE);
	if (header.e_shentsize != sizeof(Elf32_Shdr))
		return npu_elf_refuse(parse, -EBADMSG, "ELF header: e_shentsize is %u, must be %zu", header.e_shentsize,
				      sizeof(Elf32_Shdr));
	if (header.e_shnum == 0 || header.e_shoff < sizeof(header) ||
	    (uint64_t)header.e_shoff + (uint64_t)header.e_shnum * sizeof(Elf32_Shdr) > bytes)
		return npu_elf_refuse(parse, -EBADMSG,
				      "ELF header: e_shnum %u sections at e_shoff %u do not fit the file of %zu bytes",
				      header.e_shnum, header.e_shoff, bytes);
	if (header.e_shstrndx >= header.e_shnum)
		return npu_elf_refuse(parse, -EBADMSG, "ELF header: e_shstrndx %u is not below e_shnum %u",
				      header.e_shstrndx, header.e_shnum);
	return 0;
}

static void remember_section(struct npu_elf_parse *parse, struct npu_span *notes, const char *name,
			     struct npu_span span)
{
	struct npu_elf *elf = parse->elf;
	struct npu_span *slot = NULL;

	if (strcmp(name, ZY_SECTION_TEXT) == 0)
		slot = &elf->text;
	else if (strcmp(name, ZY_SECTION_RODATA) == 0)
		slot = &elf->crodata;
	else if (strcmp(name, ZY_SECTION_NOTES) == 0)
		slot = notes;
	if (slot && !slot->data)
		*slot = span;
}

static int read_sections(struct npu_elf_parse *parse, Elf *container, const uint8_t *data, size_t bytes,
			 struct npu_span *notes)
{
	size_t names;

	if (elf_getshdrstrndx(container, &names) != 0)
		return npu_elf_refuse(parse, -EBADMSG, "ELF header: e_shstrndx: %s", elf_errmsg(-1));
	for (Elf_Scn *section = NULL; (section = elf_nextscn(container, section)) != NULL;) {
		GElf_Shdr header; /* a copy: the table may be anywhere in the file */
		size_t index = elf_ndxscn(section);

		if (!gelf_getshdr(section, &header))
			return npu_elf_refuse(parse, -EBADMSG, "section %zu: %s", index, elf_errmsg(-1));
		if (header.sh_type == SHT_NULL || header.sh_type == SHT_NOBITS)
			continue;
		if (header.sh_offset + header.sh_size > bytes)
			return npu_elf_refuse(
			    parse, -EBADMSG,
			    "section %zu: sh_offset %u + sh_size %u is past the end of the file (%zu bytes)", index,
			    (uint32_t)header.sh_offset, (uint32_t)header.sh_size, bytes);
		const char *name = elf_strptr(container, names, header.sh_name);

		if (!name)
			return npu_elf_refuse(parse, -EBADMSG, "section %zu: sh_name %u is not a name: %s", index,
					      header.sh_name, elf_errmsg(-1));
		remember_section(parse, notes, name,
				 (struct npu_span){.data = data + header.sh_offset, .bytes = (uint32_t)header.sh_size});
	}
	return 0;
}

static void remember_note(struct npu_elf_parse *parse, const uint8_t *name, uint32_t name_bytes, struct npu_span desc)
{
	if (desc.bytes == 0)
		return;
	for (int i = 0; i < NPU_NOTE_COUNT; i++) {
		size_t length = strlen(note_names[i]);

		/* the size counts the NUL; a name without one is taken as it stands */
		if (name_bytes < length || name_bytes > length + 1 || memcmp(name, note_names[i], length) != 0)
			continue;
		if (name_bytes == length + 1 && name[length] != '\0')
			continue;
		if (!parse->note[i].data)
			parse->note[i] = desc;
		return;
	}
}

/* All notes in one walk; the first of a name wins. */
static int read_notes(struct npu_elf_parse *parse, struct npu_span section)
{
	struct npu_cursor cursor = npu_cursor_of(section);
	struct {
		uint32_t name_bytes, desc_bytes, type;
	} header;

	while (npu_cursor_take(&cursor, &header, sizeof(header))) {
		size_t at = section.bytes - cursor.left - sizeof(header);
		uint64_t padded = ((uint64_t)header.name_bytes + 3) & ~3ull;

		if (padded > cursor.left)
			return npu_elf_refuse(parse, -EBADMSG,
					      "note at byte %zu: namesz %u runs past the end of " ZY_SECTION_NOTES, at,
					      header.name_bytes);
		const uint8_t *name = cursor.at;

		cursor.at += padded;
		cursor.left -= padded;
		if (header.desc_bytes > cursor.left)
			return npu_elf_refuse(parse, -EBADMSG,
					      "note at byte %zu: descsz %u runs past the end of " ZY_SECTION_NOTES
					      " (%zu bytes left)",
					      at, header.desc_bytes, cursor.left);
		remember_note(parse, name, header.name_bytes,
			      (struct npu_span){.data = cursor.at, .bytes = header.desc_bytes});
		uint64_t step = ((uint64_t)header.desc_bytes + 3) & ~3ull;

		/* the last note's padding may be missing */
		if (step > cursor.left)
			step = cursor.left;
		cursor.at += step;
		cursor.left -= step;
	}
	return 0;
}

int npu_elf_read_container(struct npu_elf_parse *parse, const uint8_t *data, size_t bytes)
{
	struct npu_span notes = {0};
	int rc = check_header(parse, data, bytes);

	if (rc)
		return rc;
	if (elf_version(EV_CURRENT) == EV_NONE)
		return npu_elf_refuse(parse, -ENOTSUP, "libelf does not know ELF version 1");
	/* Opened for reading: the image is not written to. */
	Elf *container = elf_memory((char *)(uintptr_t)data, bytes);

	if (!container)
		return npu_elf_refuse(parse, -EBADMSG, "ELF container: %s", elf_errmsg(-1));
	rc = read_sections(parse, container, data, bytes, &notes);
	(void)elf_end(container);
	if (rc)
		return rc;
	if (!parse->elf->text.data)
		return npu_elf_refuse(parse, -EBADMSG, "section " ZY_SECTION_TEXT " is missing");
	if (!notes.data)
		return npu_elf_refuse(parse, -EBADMSG, "section " ZY_SECTION_NOTES " is missing");
	return read_notes(parse, notes);
}
