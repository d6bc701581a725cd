/* SPDX-License-Identifier: Apache-2.0 */
/* Well-formed executables with every table that the reader knows: what the ELF fuzzer starts from. */
#include <elf.h>
#include <string.h>

#include "proto/zhouyi_elf.h"
#include "tests/fuzz/seeds.h"

static void note(struct seed *notes, const char *name, const struct seed *content)
{
	static const uint8_t zeros[4];
	size_t name_bytes = strlen(name) + 1;

	seed_u32(notes, (uint32_t)name_bytes);
	seed_u32(notes, (uint32_t)content->bytes);
	seed_u32(notes, 1);
	seed_add(notes, name, name_bytes);
	seed_add(notes, zeros, (4 - name_bytes % 4) % 4);
	seed_add(notes, content->data, content->bytes);
	seed_add(notes, zeros, (4 - content->bytes % 4) % 4);
}

static void section_header(struct seed *table, uint32_t name, uint32_t type, size_t offset, size_t bytes)
{
	Elf32_Shdr header = {
	    .sh_name = name,
	    .sh_type = type,
	    .sh_offset = (uint32_t)offset,
	    .sh_size = (uint32_t)bytes,
	    .sh_addralign = 4,
	};

	seed_add(table, &header, sizeof(header));
}

/* What a seed gets wrong after it was built; NULL for nothing. */
typedef void damage_fn(struct seed *file);

static void write_damaged(const struct seed *text, const struct seed *notes, const char *name, damage_fn *damage)
{
	static const char names[] = "\0.text\0.rodata\0.comment\0.note.aipu\0.shstrtab";
	static const char comment[] = "target:X2_1204MP3;";
	static const uint8_t rodata[16] = {1, 2, 3};
	static struct seed file, table;
	Elf32_Ehdr header = {
	    .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_EXEC,
	    .e_machine = ZY_ELF_MACHINE,
	    .e_version = EV_CURRENT,
	    .e_ehsize = sizeof(header),
	    .e_shentsize = sizeof(Elf32_Shdr),
	    .e_shnum = 6,
	    .e_shstrndx = 5,
	};

	file.bytes = table.bytes = 0;
	seed_add(&file, &header, sizeof(header));
	section_header(&table, 0, SHT_NULL, 0, 0);
	section_header(&table, 1, SHT_PROGBITS, file.bytes, text->bytes);
	seed_add(&file, text->data, text->bytes);
	section_header(&table, 7, SHT_PROGBITS, file.bytes, sizeof(rodata));
	seed_add(&file, rodata, sizeof(rodata));
	section_header(&table, 15, SHT_PROGBITS, file.bytes, sizeof(comment));
	seed_add(&file, comment, sizeof(comment));
	seed_add(&file, rodata, (4 - file.bytes % 4) % 4);
	section_header(&table, 24, SHT_NOTE, file.bytes, notes->bytes);
	seed_add(&file, notes->data, notes->bytes);
	section_header(&table, 35, SHT_STRTAB, file.bytes, sizeof(names));
	seed_add(&file, names, sizeof(names));
	seed_add(&file, rodata, (4 - file.bytes % 4) % 4);
	((Elf32_Ehdr *)(void *)file.data)->e_shoff = (uint32_t)file.bytes;
	seed_add(&file, table.data, table.bytes);
	if (damage)
		damage(&file);
	seed_write(&file, "elf", name);
}

static void write_elf(const struct seed *text, const struct seed *notes, const char *name)
{
	write_damaged(text, notes, name, NULL);
}

static void sub(struct seed *out, uint32_t type, uint32_t id, uint32_t offset, uint32_t bytes, uint32_t location)
{
	struct zy_sub_section raw = {
	    .offset_in_section = offset,
	    .size = bytes,
	    .type = type,
	    .id = id,
	    .data_type = ZY_DATA_F32,
	    .scale = 1,
	    .addr_mask = UINT32_MAX,
	    .ro_cnt = 1,
	};

	seed_add(out, &raw, sizeof(raw));
	seed_u32(out, location);
}

static void reuse(struct seed *out, uint32_t bytes, uint32_t align, uint32_t subs)
{
	struct zy_reuse_section raw = {.size = bytes, .align_bytes = align, .sub_cnt = subs};

	seed_add(out, &raw, sizeof(raw));
}

/* Two constants (one zero-copy), an input, an output, and with `extras` the rarer kinds. */
static void bss(struct seed *out, uint32_t first_id, int extras)
{
	struct zy_bss_header header = {
	    .stack_size = 1000, .stack_align_bytes = 4096, .static_cnt = 2, .reuse_cnt = extras ? 3 : 1};
	struct zy_static_section first = {.src_offset = 0, .size = 32, .align_bytes = 32, .sub_cnt = 1};
	struct zy_static_section second = {.src_offset = 32, .size = 16, .align_bytes = 16, .sub_cnt = 1};

	seed_add(out, &header, sizeof(header));
	seed_add(out, &first, sizeof(first));
	sub(out, ZY_SUB_CONSTANT, 0, 0, 32, 0);
	seed_add(out, &second, sizeof(second));
	sub(out, ZY_SUB_ZEROCPY_CONSTANT, 0, 0, 16, 4);
	reuse(out, 256, 4096, 2);
	sub(out, ZY_SUB_INPUT, first_id, 0, 64, 8);
	sub(out, ZY_SUB_OUTPUT, first_id, 64, 64, 12);
	if (!extras)
		return;
	reuse(out, 512, 256, 2);
	sub(out, ZY_SUB_PROFILER, 0, 0, 256, 16);
	sub(out, ZY_SUB_INTERMEDIATE, 0, 256, 256, 64); /* in desc */
	reuse(out, 128, 64, 2);
	sub(out, ZY_SUB_INTER_DUMP, 0, 0, 64, 24);
	sub(out, ZY_SUB_PRINTF, 0, 64, 64, 28);
}

static void subgraph(struct seed *out, uint32_t index, uint32_t block, int32_t precursors, uint32_t privates)
{
	struct zy_subgraph raw = {
	    .id = index,
	    .text_offset = 16 * index,
	    .fm_desc_offset = block,
	    .rodata_offset = 4 * index,
	    .rodata_size = 32,
	    .printfifo_size = index & 1,
	    .private_data_size = 100,
	    .precursor_cnt = precursors,
	};

	seed_add(out, &raw, sizeof(raw));
	for (int32_t i = 0; i < precursors; i++)
		seed_u32(out, index - 1);
	seed_u32(out, privates);
	for (uint32_t i = 0; i < privates; i++) {
		reuse(out, 64, 64, 1);
		sub(out, ZY_SUB_INTERMEDIATE, 0, 0, 64, 32);
	}
}

static void common_notes(struct seed *notes, uint32_t flag)
{
	static const uint8_t bytes[64];
	struct zy_compilermsg message = {.file_version = ZY_ELF_FILE_VERSION,
					 .build_version = ZY_ELF_BUILD_VERSION,
					 .device = ZY_DEVICE_X2_1204,
					 .flag = flag};
	struct seed content = {.bytes = 0};

	notes->bytes = 0;
	seed_add(&content, &message, sizeof(message));
	note(notes, ZY_NOTE_COMPILERMSG, &content);
	content.bytes = 0;
	seed_add(&content, bytes, 64);
	note(notes, ZY_NOTE_RODATA, &content);
	content.bytes = 48;
	note(notes, ZY_NOTE_WEIGHT, &content);
}

static void fmlist(struct seed *notes, uint32_t blocks, int extras)
{
	struct seed content = {.bytes = 0};

	seed_u32(&content, 0);
	seed_u32(&content, 0);
	seed_u32(&content, blocks);
	for (uint32_t i = 0; i < blocks; i++)
		bss(&content, i, extras && i == 0);
	note(notes, ZY_NOTE_FMLIST, &content);
}

static void text_note(struct seed *notes, const char *name, const char *text)
{
	struct seed content = {.bytes = 0};

	seed_add(&content, text, strlen(text));
	note(notes, name, &content);
}

static void gm_note(struct seed *notes, uint32_t control, uint32_t section)
{
	struct zy_gmconfig gm = {.control = control, .buffer = {{.buf_index = section}}};
	struct seed content = {.bytes = 0};

	seed_add(&content, &gm, sizeof(gm));
	note(notes, ZY_NOTE_GMCONFIG, &content);
}

static void rare_notes(struct seed *notes)
{
	struct zy_remap_entry remap = {.type = ZY_REMAP_RODATA, .offset = 4, .next_type = ZY_REMAP_DESC};
	struct seed content = {.bytes = 0};

	seed_add(&content, notes->data, 32);
	note(notes, ZY_NOTE_DESC, &content);
	content.bytes = 0;
	seed_u32(&content, 1);
	seed_add(&content, &remap, sizeof(remap));
	note(notes, ZY_NOTE_REMAP, &content);
	content.bytes = 0;
	seed_u32(&content, 0);
	note(notes, ZY_NOTE_SEGMMU, &content);
	text_note(notes, ZY_NOTE_GRAPHJSON,
		  "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4,4],\"type\":\"f32\"}],"
		  "\"outputs\":[{\"name\":\"y\",\"shape\":[16]}]}");
}

static struct seed text;

/* One group, with whatever `json` and the GM configuration say, and something wrong with the file. */
static void small(const char *name, const char *json, uint32_t gm_control, uint32_t gm_section, damage_fn *damage)
{
	static struct seed notes, table;

	common_notes(&notes, 0);
	rare_notes(&notes);
	if (json)
		text_note(&notes, ZY_NOTE_GRAPHJSON, json);
	gm_note(&notes, gm_control, gm_section);
	fmlist(&notes, 1, 1);
	table.bytes = 0;
	seed_u32(&table, 1);
	subgraph(&table, 0, 0, 0, 0);
	note(&notes, ZY_NOTE_SUBGRAPHS, &table);
	write_damaged(&text, &notes, name, damage);
}

/* The same without the common names, so that `json` is the one that counts. */
static void named(const char *name, const char *json)
{
	static struct seed notes, table;

	common_notes(&notes, 0);
	text_note(&notes, ZY_NOTE_GRAPHJSON, json);
	fmlist(&notes, 1, 0);
	table.bytes = 0;
	seed_u32(&table, 1);
	subgraph(&table, 0, 0, 0, 0);
	note(&notes, ZY_NOTE_SUBGRAPHS, &table);
	write_elf(&text, &notes, name);
}

static Elf32_Ehdr *header_of(struct seed *file)
{
	return (Elf32_Ehdr *)(void *)file->data;
}

static void wrong_type(struct seed *file)
{
	header_of(file)->e_type = ET_DYN;
}

static void wrong_machine(struct seed *file)
{
	header_of(file)->e_machine = EM_386;
}

static void other_format(struct seed *file)
{
	memcpy(file->data, "AIPU BIN", 8);
}

static void no_magic(struct seed *file)
{
	file->data[0] = 'x';
}

static void tiny(struct seed *file)
{
	file->bytes = 9;
}

static void rename_section(struct seed *file, const char *name)
{
	uint8_t *at = memmem(file->data, file->bytes, name, strlen(name) + 1);

	if (at)
		at[1] = 'X';
}

static void no_text(struct seed *file)
{
	rename_section(file, ZY_SECTION_TEXT);
}

static void no_notes(struct seed *file)
{
	rename_section(file, ZY_SECTION_NOTES);
}

static void nobits(struct seed *file)
{
	Elf32_Shdr *headers = (Elf32_Shdr *)(void *)(file->data + header_of(file)->e_shoff);

	headers[2].sh_type = SHT_NOBITS;
}

/* Nothing says that the section table is aligned. */
static void misaligned(struct seed *file)
{
	uint32_t at = header_of(file)->e_shoff;

	seed_add(file, "", 1);
	memmove(file->data + at + 1, file->data + at, file->bytes - at - 1);
	header_of(file)->e_shoff++;
}

static void damaged_seeds(void)
{
	small("gm-output", NULL, 1, 0, NULL);
	small("gm-temporary", NULL, 1, 2, NULL);
	small("gm-off", NULL, 0, 0, NULL);
	small("wrong-type", NULL, 0, 0, wrong_type);
	small("wrong-machine", NULL, 0, 0, wrong_machine);
	small("other-format", NULL, 0, 0, other_format);
	small("no-magic", NULL, 0, 0, no_magic);
	small("tiny", NULL, 0, 0, tiny);
	small("no-text", NULL, 0, 0, no_text);
	small("no-notes", NULL, 0, 0, no_notes);
	small("nobits", NULL, 0, 0, nobits);
	small("misaligned-table", NULL, 0, 0, misaligned);
	named("json-shape", "{\"inputs\":[{\"shape\":7}],\"outputs\":[{}]}");
	named("json-dim", "{\"inputs\":[{\"shape\":[-1]}],\"outputs\":[{}]}");
	named("json-item", "{\"inputs\":[1],\"outputs\":[{}]}");
	named("json-name", "{\"inputs\":[{\"name\":1}],\"outputs\":[{}]}");
	named("json-foreign", "[\"somebody's own\"]");
}

void seeds_elf(void)
{
	static const uint32_t end_packet[4] = {0x014f8000u, 0x400c7fffu, 0x400c7fffu, 0x400c7fffu};
	static struct seed notes, table;

	for (int i = 0; i < 8; i++)
		seed_add(&text, end_packet, sizeof(end_packet));

	common_notes(&notes, 0);
	fmlist(&notes, 1, 0);
	seed_u32(&table, 1);
	subgraph(&table, 0, 0, 0, 0);
	note(&notes, ZY_NOTE_SUBGRAPHS, &table);
	write_elf(&text, &notes, "one-group");

	common_notes(&notes, 0);
	rare_notes(&notes);
	gm_note(&notes, 1, 0);
	fmlist(&notes, 1, 1);
	table.bytes = 0;
	seed_u32(&table, 4);
	subgraph(&table, 0, 0, 0, 1);
	subgraph(&table, 1, 0, 1, 2);
	subgraph(&table, 2, 0, -1, 0);
	subgraph(&table, 3, 0, 1, 0);
	note(&notes, ZY_NOTE_SUBGRAPHS, &table);
	write_elf(&text, &notes, "every-table");

	common_notes(&notes, 0);
	fmlist(&notes, 3, 0);
	table.bytes = 0;
	seed_u32(&table, 4);
	subgraph(&table, 0, 0, 0, 0);
	subgraph(&table, 1, 0, 0, 0);
	subgraph(&table, 2, 1, 0, 0);
	subgraph(&table, 3, 2, -1, 1);
	note(&notes, ZY_NOTE_SUBGRAPHS, &table);
	write_elf(&text, &notes, "three-blocks");

	common_notes(&notes, 0);
	fmlist(&notes, 1, 0);
	table.bytes = 0;
	seed_u32(&table, 0);
	note(&notes, ZY_NOTE_SUBGRAPHS, &table);
	write_elf(&text, &notes, "data-only");
	damaged_seeds();
}
