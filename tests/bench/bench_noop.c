/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest V3 executable: one group whose program is the END packet, one input and one output of 64 bytes. Built
 * from the layouts in proto/zhouyi_elf.h alone, so that neither compiler nor library decides what is measured.
 */
#include "tests/bench/bench.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "proto/zhouyi_elf.h"
#include "proto/zhouyi_tcb.h"

#define NOOP_BYTES 4096u
#define HUGE_BYTES (2u << 20)

struct builder {
	uint8_t *data;
	size_t bytes;
};

static size_t add(struct builder *to, const void *data, size_t bytes)
{
	size_t at = to->bytes;

	if (bytes > NOOP_BYTES - at)
		bench_fail("the no-op executable does not fit");
	memcpy(to->data + at, data, bytes);
	to->bytes += bytes;
	return at;
}

static void align(struct builder *to)
{
	static const uint8_t zeros[4];

	(void)add(to, zeros, (4 - to->bytes % 4) % 4);
}

static void note(struct builder *to, const char *name, const void *data, size_t bytes)
{
	const uint32_t head[3] = {(uint32_t)strlen(name) + 1, (uint32_t)bytes, 1};

	(void)add(to, head, sizeof(head));
	(void)add(to, name, head[0]);
	align(to);
	(void)add(to, data, bytes);
	align(to);
}

struct noop_sub {
	struct zy_sub_section sub;
	uint32_t location;
};

static struct noop_sub tensor(uint32_t type, uint32_t offset, uint32_t location)
{
	return (struct noop_sub){.sub = {.offset_in_section = offset,
					 .size = 64,
					 .type = type,
					 .data_type = ZY_DATA_F32,
					 .scale = 1,
					 .addr_mask = UINT32_MAX,
					 .ro_cnt = 1},
				 .location = location};
}

static void notes_add(struct builder *to, uint32_t tensors_bytes)
{
	static const uint8_t rodata[64];
	const struct zy_compilermsg message = {
	    .file_version = ZY_ELF_FILE_VERSION, .build_version = ZY_ELF_BUILD_VERSION, .device = ZY_DEVICE_X2_1204};
	const struct {
		uint32_t counts[3]; /* constants, inputs' shapes, blocks */
		struct zy_bss_header bss;
		struct zy_reuse_section reuse;
		struct noop_sub input, output;
	} fmlist = {.counts = {0, 0, 1},
		    .bss = {.stack_size = 4096, .stack_align_bytes = 4096, .reuse_cnt = 1},
		    .reuse = {.size = tensors_bytes,
			      .align_bytes = tensors_bytes < HUGE_BYTES ? 4096 : HUGE_BYTES,
			      .sub_cnt = 2},
		    .input = tensor(ZY_SUB_INPUT, 0, 0),
		    .output = tensor(ZY_SUB_OUTPUT, 64, 4)};
	const struct {
		uint32_t count;
		struct zy_subgraph subgraph;
		uint32_t privates;
	} subgraphs = {.count = 1, .subgraph = {.rodata_size = sizeof(rodata), .private_data_size = 64}};

	note(to, ZY_NOTE_COMPILERMSG, &message, sizeof(message));
	note(to, ZY_NOTE_RODATA, rodata, sizeof(rodata));
	note(to, ZY_NOTE_FMLIST, &fmlist, sizeof(fmlist));
	note(to, ZY_NOTE_SUBGRAPHS, &subgraphs, sizeof(subgraphs));
}

static Elf32_Shdr section(uint32_t name, uint32_t type, size_t offset, size_t bytes)
{
	return (Elf32_Shdr){.sh_name = name,
			    .sh_type = type,
			    .sh_offset = (uint32_t)offset,
			    .sh_size = (uint32_t)bytes,
			    .sh_addralign = 4};
}

void *noop_executable(uint32_t tensors_bytes, size_t *bytes)
{
	static const char names[] = "\0.text\0.rodata\0.comment\0.note.aipu\0.shstrtab";
	static const char comment[] = "target:X2_1204MP3;";
	static const uint32_t text[4] = ZY3_END_PACKET;
	static const uint8_t rodata[16];
	struct builder file = {.data = calloc(1, NOOP_BYTES)};
	Elf32_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
			     .e_type = ET_EXEC,
			     .e_machine = ZY_ELF_MACHINE,
			     .e_version = EV_CURRENT,
			     .e_ehsize = sizeof(header),
			     .e_shentsize = sizeof(Elf32_Shdr),
			     .e_shnum = 6,
			     .e_shstrndx = 5};
	Elf32_Shdr table[6] = {0};

	if (!file.data)
		bench_fail("out of memory");
	(void)add(&file, &header, sizeof(header));
	table[1] = section(1, SHT_PROGBITS, add(&file, text, sizeof(text)), sizeof(text));
	table[2] = section(7, SHT_PROGBITS, add(&file, rodata, sizeof(rodata)), sizeof(rodata));
	table[3] = section(15, SHT_PROGBITS, add(&file, comment, sizeof(comment)), sizeof(comment));
	align(&file);
	size_t start = file.bytes;
	notes_add(&file, tensors_bytes);
	table[4] = section(24, SHT_NOTE, start, file.bytes - start);
	table[5] = section(35, SHT_STRTAB, add(&file, names, sizeof(names)), sizeof(names));
	align(&file);
	header.e_shoff = (uint32_t)add(&file, table, sizeof(table));
	memcpy(file.data, &header, sizeof(header));
	*bytes = file.bytes;
	return file.data;
}
