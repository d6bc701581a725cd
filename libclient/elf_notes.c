/* SPDX-License-Identifier: Apache-2.0 */
/* The smaller notes: remap, gmconfig, segmmu; and the refusal of those that stand for what is not supported. */
#include <stdlib.h>

#include "libclient/elf_parts.h"

/* Size of the memory that a remap type names; 0 if there is none. */
static uint32_t remap_bytes(const struct npu_elf_parse *parse, uint32_t type)
{
	switch (type) {
	case ZY_REMAP_RODATA:
		return parse->note[NPU_NOTE_RODATA].bytes;
	case ZY_REMAP_DESC:
		return parse->note[NPU_NOTE_DESC].bytes;
	case ZY_REMAP_TEXT:
		return parse->elf->text.bytes;
	default:
		return 0;
	}
}

static int check_remap(struct npu_elf_parse *parse, const struct zy_remap_entry *entry, uint32_t index)
{
	uint32_t bytes = remap_bytes(parse, entry->type);
	uint32_t next_bytes = remap_bytes(parse, entry->next_type);

	if (bytes == 0)
		return npu_elf_refuse(parse, -EBADMSG, "note remap, entry %u: type %u names nothing in this file",
				      index, entry->type);
	if (next_bytes == 0)
		return npu_elf_refuse(parse, -EBADMSG, "note remap, entry %u: next_type %u names nothing in this file",
				      index, entry->next_type);
	if ((uint64_t)entry->offset + 4 > bytes)
		return npu_elf_refuse(parse, -EBADMSG, "note remap, entry %u: offset %u is past the end (%u bytes)",
				      index, entry->offset, bytes);
	if (entry->next_offset > next_bytes)
		return npu_elf_refuse(parse, -EBADMSG,
				      "note remap, entry %u: next_offset %u is past the end (%u bytes)", index,
				      entry->next_offset, next_bytes);
	/* text is shared by all instances and sealed: nothing of one instance can be written into it */
	if (entry->type == ZY_REMAP_TEXT)
		return npu_elf_refuse(parse, -ENOTSUP,
				      "note remap, entry %u: type 2 (text) as destination is unsupported", index);
	return 0;
}

int npu_elf_read_remap(struct npu_elf_parse *parse)
{
	struct npu_elf *elf = parse->elf;
	struct npu_span note = parse->note[NPU_NOTE_REMAP];
	struct npu_cursor cursor = npu_cursor_of(note);
	uint32_t count;

	if (note.bytes == 0)
		return 0;
	if (!npu_cursor_take(&cursor, &count, sizeof(count)))
		return npu_elf_refuse(parse, -EBADMSG, "note remap: shorter than its entry_cnt");
	if (count > cursor.left / sizeof(struct zy_remap_entry))
		return npu_elf_refuse(parse, -EBADMSG,
				      "note remap: entry_cnt %u runs past the end of the note (%zu bytes)", count,
				      cursor.left);
	if (count == 0)
		return 0;
	elf->remaps = calloc(count, sizeof(*elf->remaps));
	if (!elf->remaps)
		return npu_elf_refuse(parse, -ENOMEM, "out of memory for %u remap entries", count);
	for (; elf->remap_count < count; elf->remap_count++) {
		struct zy_remap_entry *entry = &elf->remaps[elf->remap_count];

		(void)npu_cursor_take(&cursor, entry, sizeof(*entry));
		int rc = check_remap(parse, entry, elf->remap_count);

		if (rc)
			return rc;
	}
	return 0;
}

static enum npu_gm_class classify(const struct npu_elf *elf, uint32_t section)
{
	bool input = false, output = false;

	for (uint32_t i = 0; i < elf->sub_count; i++) {
		const struct npu_elf_sub *sub = &elf->subs[i];

		if (sub->kind != NPU_SECTION_REUSE || sub->section != section)
			continue;
		input |= sub->type == ZY_SUB_INPUT;
		output |= sub->type == ZY_SUB_OUTPUT;
	}
	if (input)
		return output ? NPU_GM_INOUT : NPU_GM_INPUT;
	return output ? NPU_GM_OUTPUT : NPU_GM_TEMP;
}

int npu_elf_read_gmconfig(struct npu_elf_parse *parse)
{
	struct npu_elf *elf = parse->elf;
	struct npu_span note = parse->note[NPU_NOTE_GMCONFIG];
	struct npu_cursor cursor = npu_cursor_of(note);
	struct zy_gmconfig config;

	if (note.bytes == 0)
		return 0;
	if (note.bytes != sizeof(config) || !npu_cursor_take(&cursor, &config, sizeof(config)))
		return npu_elf_refuse(parse, -EBADMSG, "note gmconfig: %u bytes, must be %zu", note.bytes,
				      sizeof(config));
	for (int i = 0; i < 2; i++) {
		if (config.buffer[i].fm_index != 0)
			return npu_elf_refuse(parse, -EBADMSG, "note gmconfig: fm_index %u of buffer %d must be 0",
					      config.buffer[i].fm_index, i);
		if (config.buffer[i].buf_type > 1)
			return npu_elf_refuse(parse, -EBADMSG, "note gmconfig: buf_type %u of buffer %d is not 0 or 1",
					      config.buffer[i].buf_type, i);
	}
	if ((config.control & 0xfu) == 0)
		return 0;
	if ((config.control & 0xfu) > 2)
		return npu_elf_refuse(parse, -EBADMSG, "note gmconfig: GM_control: %u buffers, there can be 2",
				      config.control & 0xfu);
	if (config.buffer[0].buf_type == 1)
		return npu_elf_refuse(parse, -ENOTSUP, "note gmconfig: buf_type 1 (weights in GM) is unsupported");
	if (config.buffer[0].buf_index >= elf->reuse_count)
		return npu_elf_refuse(parse, -EBADMSG, "note gmconfig: buf_index %u is not below the %u reuse sections",
				      config.buffer[0].buf_index, elf->reuse_count);
	/* a second buffer is legal in the format; hardware takes one */
	elf->gm_section = config.buffer[0].buf_index;
	elf->gm_class = classify(elf, elf->gm_section);
	return 0;
}

static int read_segmmu(struct npu_elf_parse *parse)
{
	struct npu_span note = parse->note[NPU_NOTE_SEGMMU];
	struct npu_cursor cursor = npu_cursor_of(note);
	uint32_t count;

	if (note.bytes == 0)
		return 0;
	if (!npu_cursor_take(&cursor, &count, sizeof(count)) || count > cursor.left / sizeof(struct zy_segmmu_table))
		return npu_elf_refuse(parse, -EBADMSG, "note segmmu: num runs past the end of the note (%u bytes)",
				      note.bytes);
	if (count != 0)
		return npu_elf_refuse(parse, -ENOTSUP, "note segmmu: num is %u: the segment MMU is unsupported", count);
	return 0;
}

int npu_elf_refuse_unsupported(struct npu_elf_parse *parse)
{
	static const struct {
		enum npu_note note;
		const char *feature;
	} unsupported[] = {
	    {NPU_NOTE_GLOBALPARAM, "dynamic shapes are"},
	    {NPU_NOTE_INPUTSHAPE, "dynamic shapes are"},
	    {NPU_NOTE_EXTRA_WEIGHT, "external weight files are"},
	    {NPU_NOTE_HASHTABLE, "weights shared between executables are"},
	};

	for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++) {
		if (parse->note[unsupported[i].note].bytes)
			return npu_elf_refuse(parse, -ENOTSUP, "note %s: %s unsupported",
					      npu_note_name(unsupported[i].note), unsupported[i].feature);
	}
	return read_segmmu(parse);
}
