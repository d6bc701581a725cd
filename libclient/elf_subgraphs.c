/* SPDX-License-Identifier: Apache-2.0 */
/* The subgraph table: entry points, parameters, dependencies, scratch. Each becomes one group of tasks. */
#include <stdio.h>
#include <stdlib.h>

#include "libclient/elf_parts.h"
#include "proto/limits.h"

/* What one group's print area holds: 1 KiB for each task. */
#define PRINT_AREA_BYTES 4096u

static int check_ranges(struct npu_elf_parse *parse, const struct zy_subgraph *raw, const char *where)
{
	const struct npu_elf *elf = parse->elf;
	uint32_t rodata = parse->note[NPU_NOTE_RODATA].bytes;

	if (raw->text_offset >= elf->text.bytes || raw->text_offset % 16 != 0)
		return npu_elf_refuse(parse, -EBADMSG,
				      "%s: text_offset %u is not a multiple of 16 inside .text (%u bytes)", where,
				      raw->text_offset, elf->text.bytes);
	if ((uint64_t)raw->rodata_offset + raw->rodata_size > rodata || raw->rodata_offset >= rodata)
		return npu_elf_refuse(parse, -EBADMSG,
				      "%s: rodata_offset %u + rodata_size %u is past the end of note rodata (%u bytes)",
				      where, raw->rodata_offset, raw->rodata_size, rodata);
	if ((uint64_t)raw->dcr_offset + raw->dcr_size > parse->note[NPU_NOTE_DESC].bytes)
		return npu_elf_refuse(parse, -EBADMSG,
				      "%s: dcr_offset %u + dcr_size %u is past the end of note desc (%u bytes)", where,
				      raw->dcr_offset, raw->dcr_size, parse->note[NPU_NOTE_DESC].bytes);
	if (raw->private_data_size == 0)
		return npu_elf_refuse(parse, -EBADMSG, "%s: private_data_size is 0", where);
	if (raw->printfifo_size > PRINT_AREA_BYTES)
		return npu_elf_refuse(parse, -EBADMSG,
				      "%s: printfifo_size %u is over the %u bytes of a group's print buffer", where,
				      raw->printfifo_size, PRINT_AREA_BYTES);
	return 0;
}

/* Blocks are used in runs: each exactly one run, in order, none left out; the chain has one init TCB for each. */
static int check_bss(struct npu_elf_parse *parse, uint32_t bss, uint32_t index, const char *where)
{
	const struct npu_elf *elf = parse->elf;

	if (bss >= elf->bss_count)
		return npu_elf_refuse(parse, -EBADMSG, "%s: fm_desc_offset %u is not below the number of BSS (%u)",
				      where, bss, elf->bss_count);
	uint32_t previous = index ? elf->subgraphs[index - 1].bss : 0;

	if (index ? bss != previous && bss != previous + 1 : bss != 0)
		return npu_elf_refuse(parse, -EBADMSG,
				      "%s: fm_desc_offset %u: BSS must be used in order, each by consecutive subgraphs",
				      where, bss);
	return 0;
}

static int read_precursors(struct npu_elf_parse *parse, struct npu_cursor *cursor, uint32_t index, const char *where)
{
	struct npu_elf *elf = parse->elf;
	struct npu_elf_subgraph *subgraph = &elf->subgraphs[index];
	int32_t count = subgraph->precursor_count;
	/* an X2 group can wait for the one before it or for all, not for a list */
	int32_t most = ZY_DEVICE_ISA(elf->device) == 5 ? 1 : 4;

	if (count < -1 || count > most)
		return npu_elf_refuse(parse, -EBADMSG, "%s: precursor_cnt %d is outside -1...%d", where, count, most);
	for (int32_t i = 0; i < count; i++) {
		uint32_t *precursor = &subgraph->precursors[i];

		if (!npu_cursor_take(cursor, precursor, sizeof(*precursor)))
			return npu_elf_refuse(parse, -EBADMSG, "%s: precursor_cnt %d runs past the end of the note",
					      where, count);
		if (*precursor >= index)
			return npu_elf_refuse(parse, -EBADMSG,
					      "%s: precursor %u is not below the subgraph's own number", where,
					      *precursor);
	}
	return 0;
}

static int read_privates(struct npu_elf_parse *parse, struct npu_cursor *cursor, uint32_t index, const char *where)
{
	struct npu_elf *elf = parse->elf;
	struct npu_elf_subgraph *subgraph = &elf->subgraphs[index];
	char place[112];
	int32_t count;

	if (!npu_cursor_take(cursor, &count, sizeof(count)))
		return npu_elf_refuse(parse, -EBADMSG, "%s: private_cnt: the note ends before it", where);
	if (count > 0 && (uint32_t)count > cursor->left / sizeof(struct zy_reuse_section))
		return npu_elf_refuse(parse, -EBADMSG, "%s: private_cnt %d runs past the end of the note", where,
				      count);
	subgraph->first_private = elf->private_count;
	subgraph->private_count = count > 0 ? (uint32_t)count : 0;
	for (uint32_t i = 0; i < subgraph->private_count; i++) {
		(void)snprintf(place, sizeof(place), "%s, private section %u", where, i);
		int rc = npu_elf_read_section(parse, cursor, NPU_SECTION_PRIVATE, place);

		if (rc)
			return rc;
	}
	return 0;
}

static int read_subgraph(struct npu_elf_parse *parse, struct npu_cursor *cursor, uint32_t index)
{
	struct npu_elf *elf = parse->elf;
	struct zy_subgraph raw;
	char where[64];

	(void)snprintf(where, sizeof(where), "note subgraphs, subgraph %u", index);
	if (!npu_cursor_take(cursor, &raw, sizeof(raw)))
		return npu_elf_refuse(parse, -EBADMSG, "%s: count: the note ends inside the subgraph", where);
	int rc = check_ranges(parse, &raw, where);

	if (rc == 0)
		rc = check_bss(parse, raw.fm_desc_offset, index, where);
	if (rc)
		return rc;
	elf->subgraphs[index] = (struct npu_elf_subgraph){
	    .text_offset = raw.text_offset,
	    .bss = raw.fm_desc_offset,
	    .rodata_offset = raw.rodata_offset,
	    .print_bytes = raw.printfifo_size,
	    .profiler_offset = raw.profiler_buf_size,
	    .private_bytes = raw.private_data_size,
	    .precursor_count = raw.precursor_cnt,
	    .warmup_len = raw.warmup_len,
	};
	rc = read_precursors(parse, cursor, index, where);
	return rc ? rc : read_privates(parse, cursor, index, where);
}

int npu_elf_read_subgraphs(struct npu_elf_parse *parse)
{
	struct npu_elf *elf = parse->elf;
	struct npu_cursor cursor = npu_cursor_of(parse->note[NPU_NOTE_SUBGRAPHS]);
	uint32_t count;

	if (!npu_cursor_take(&cursor, &count, sizeof(count)))
		return npu_elf_refuse(parse, -EBADMSG, "note subgraphs: missing or shorter than its count");
	if (count > cursor.left / (sizeof(struct zy_subgraph) + sizeof(int32_t)))
		return npu_elf_refuse(parse, -EBADMSG,
				      "note subgraphs: count %u runs past the end of the note (%zu bytes)", count,
				      cursor.left);
	if (count > NPUD_MAX_GROUPS_PER_JOB)
		return npu_elf_refuse(parse, -ENOTSUP, "note subgraphs: count %u is over the supported %u", count,
				      NPUD_MAX_GROUPS_PER_JOB);
	if (count == 0)
		return 0;
	if (elf->text.bytes == 0)
		return npu_elf_refuse(parse, -EBADMSG, "section " ZY_SECTION_TEXT ": empty, but there are %u subgraphs",
				      count);
	elf->subgraphs = calloc(count, sizeof(*elf->subgraphs));
	if (!elf->subgraphs)
		return npu_elf_refuse(parse, -ENOMEM, "out of memory for %u subgraphs", count);
	elf->subgraph_count = count;
	for (uint32_t i = 0; i < count; i++) {
		int rc = read_subgraph(parse, &cursor, i);

		if (rc)
			return rc;
	}
	if (elf->subgraphs[count - 1].bss + 1 != elf->bss_count)
		return npu_elf_refuse(parse, -EBADMSG, "note subgraphs: fm_desc_offset: BSS %u is used by no subgraph",
				      elf->subgraphs[count - 1].bss + 1);
	return 0;
}
