/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feature-map blocks (BSS): sections, what lies in them, and where their addresses are patched in. The format has no
 * lengths: every count is believed only as far as bytes are left.
 */
#include <stdio.h>
#include <stdlib.h>

#include "libclient/elf_parts.h"
#include "proto/limits.h"

int npu_elf_grow(struct npu_elf_parse *parse, enum npu_elf_table table, void **items, uint32_t count, size_t item_bytes)
{
	size_t *room = &parse->room[table];

	if (count < *room)
		return 0;
	size_t more = *room ? *room * 2 : 16;
	void *grown = reallocarray(*items, more, item_bytes);

	if (!grown)
		return npu_elf_refuse(parse, -ENOMEM, "out of memory for %zu table entries", more);
	*items = grown;
	*room = more;
	return 0;
}

static int check_location(struct npu_elf_parse *parse, uint32_t location, const char *where)
{
	uint32_t rodata = parse->note[NPU_NOTE_RODATA].bytes;
	uint64_t all = (uint64_t)rodata + parse->note[NPU_NOTE_DESC].bytes;

	if ((uint64_t)location + 4 > all)
		return npu_elf_refuse(parse, -EBADMSG,
				      "%s: patch location %u is past the end of rodata and desc (%llu bytes)", where,
				      location, (unsigned long long)all);
	if (location < rodata && (uint64_t)location + 4 > rodata)
		return npu_elf_refuse(parse, -EBADMSG, "%s: patch location %u straddles the end of rodata (%u bytes)",
				      where, location, rodata);
	return 0;
}

static int read_locations(struct npu_elf_parse *parse, struct npu_cursor *cursor, uint32_t count, const char *where)
{
	struct npu_elf *elf = parse->elf;

	if (count > cursor->left / sizeof(uint32_t))
		return npu_elf_refuse(parse, -EBADMSG, "%s: ro_cnt %u runs past the end of the note (%zu bytes left)",
				      where, count, cursor->left);
	for (uint32_t i = 0; i < count; i++) {
		int rc = npu_elf_grow(parse, NPU_TABLE_LOCATIONS, (void **)&elf->locations, elf->location_count,
				      sizeof(*elf->locations));

		if (rc)
			return rc;
		uint32_t *location = &elf->locations[elf->location_count];

		(void)npu_cursor_take(cursor, location, sizeof(*location));
		rc = check_location(parse, *location, where);
		if (rc)
			return rc;
		elf->location_count++;
	}
	return 0;
}

static int check_sub_type(struct npu_elf_parse *parse, enum npu_section_kind kind, uint32_t type, const char *where)
{
	if (kind == NPU_SECTION_STATIC && type != ZY_SUB_CONSTANT && type != ZY_SUB_ZEROCPY_CONSTANT)
		return npu_elf_refuse(parse, -EBADMSG, "%s: type %u is not a constant (4 or 15)", where, type);
	if (kind != NPU_SECTION_STATIC && type == ZY_SUB_OUT_TENSOR_SHAPE)
		return npu_elf_refuse(parse, -ENOTSUP, "%s: type 16 (output shape): dynamic shapes are unsupported",
				      where);
	if (kind != NPU_SECTION_STATIC && type == ZY_SUB_SEGMMU)
		return npu_elf_refuse(parse, -ENOTSUP, "%s: type 255: the segment MMU is unsupported", where);
	return 0;
}

/* One sub-section and its patch locations; the section has `bytes` bytes. */
static int read_sub(struct npu_elf_parse *parse, struct npu_cursor *cursor, enum npu_section_kind kind,
		    uint32_t section, uint32_t bytes, const char *where)
{
	struct npu_elf *elf = parse->elf;
	struct zy_sub_section raw;
	int rc = npu_elf_grow(parse, NPU_TABLE_SUBS, (void **)&elf->subs, elf->sub_count, sizeof(*elf->subs));

	if (rc)
		return rc;
	if (!npu_cursor_take(cursor, &raw, sizeof(raw)))
		return npu_elf_refuse(parse, -EBADMSG, "%s: sub_cnt: the note ends inside a sub-section", where);
	if ((uint64_t)raw.offset_in_section + raw.size > bytes)
		return npu_elf_refuse(parse, -EBADMSG,
				      "%s: offset_in_section %u + size %u is past the end of the section (%u bytes)",
				      where, raw.offset_in_section, raw.size, bytes);
	rc = check_sub_type(parse, kind, raw.type, where);
	if (rc)
		return rc;
	elf->subs[elf->sub_count] = (struct npu_elf_sub){
	    .kind = kind,
	    .section = section,
	    .offset = raw.offset_in_section,
	    .bytes = raw.size,
	    .type = raw.type,
	    .id = raw.id,
	    .data_type = raw.data_type,
	    .scale = raw.scale,
	    .zero_point = raw.zero_point,
	    .mask = raw.addr_mask,
	    .first_location = elf->location_count,
	    .location_count = raw.ro_cnt,
	};
	rc = read_locations(parse, cursor, raw.ro_cnt, where);
	if (rc)
		return rc;
	elf->sub_count++;
	return 0;
}

static int read_subs(struct npu_elf_parse *parse, struct npu_cursor *cursor, enum npu_section_kind kind,
		     uint32_t section, uint32_t bytes, uint32_t count, const char *where)
{
	char place[160];

	if (count > cursor->left / sizeof(struct zy_sub_section))
		return npu_elf_refuse(parse, -EBADMSG, "%s: sub_cnt %u runs past the end of the note (%zu bytes left)",
				      where, count, cursor->left);
	for (uint32_t i = 0; i < count; i++) {
		(void)snprintf(place, sizeof(place), "%s, sub-section %u", where, i);
		int rc = read_sub(parse, cursor, kind, section, bytes, place);

		if (rc)
			return rc;
	}
	return 0;
}

static int check_align(struct npu_elf_parse *parse, uint32_t align, const char *name, const char *where)
{
	if (!npu_is_power_of_two(align) || align > NPU_ELF_MAX_ALIGN)
		return npu_elf_refuse(parse, -EBADMSG, "%s: %s %u is not a power of two up to %u", where, name, align,
				      NPU_ELF_MAX_ALIGN);
	return 0;
}

/* The data of a static section, and the order in which the sections of a block lie in the note. */
static int check_source(struct npu_elf_parse *parse, const struct zy_static_section *raw, uint32_t first,
			const char *where)
{
	const struct npu_elf *elf = parse->elf;
	uint32_t weight = parse->note[NPU_NOTE_WEIGHT].bytes;

	if ((uint64_t)raw->src_offset + raw->size > weight)
		return npu_elf_refuse(parse, -EBADMSG,
				      "%s: src_offset %u + size %u is past the end of note weight (%u bytes)", where,
				      raw->src_offset, raw->size, weight);
	if (elf->static_count > first && raw->src_offset < elf->statics[elf->static_count - 1].src_offset)
		return npu_elf_refuse(parse, -EBADMSG, "%s: src_offset %u is below the previous section's %u", where,
				      raw->src_offset, elf->statics[elf->static_count - 1].src_offset);
	return 0;
}

static int read_static(struct npu_elf_parse *parse, struct npu_cursor *cursor, uint32_t bss, uint32_t first,
		       const char *where)
{
	struct npu_elf *elf = parse->elf;
	struct zy_static_section raw;
	uint32_t first_sub = elf->sub_count;
	int rc =
	    npu_elf_grow(parse, NPU_TABLE_STATICS, (void **)&elf->statics, elf->static_count, sizeof(*elf->statics));

	if (rc)
		return rc;
	if (!npu_cursor_take(cursor, &raw, sizeof(raw)))
		return npu_elf_refuse(parse, -EBADMSG, "%s: static_cnt: the note ends inside the section", where);
	rc = check_align(parse, raw.align_bytes, "align_bytes", where);
	if (rc == 0)
		rc = check_source(parse, &raw, first, where);
	if (rc)
		return rc;
	if (raw.sub_cnt == 0)
		return npu_elf_refuse(parse, -EBADMSG, "%s: sub_cnt is 0, so the kind of constant is unknown", where);
	rc = read_subs(parse, cursor, NPU_SECTION_STATIC, elf->static_count, raw.size, raw.sub_cnt, where);
	if (rc)
		return rc;
	for (uint32_t i = first_sub; i < elf->sub_count; i++) {
		if (elf->subs[i].type != elf->subs[first_sub].type)
			return npu_elf_refuse(parse, -EBADMSG, "%s: type: mixes constants of types 4 and 15", where);
	}
	elf->statics[elf->static_count++] = (struct npu_elf_static){
	    .bss = bss,
	    .src_offset = raw.src_offset,
	    .bytes = raw.size,
	    .align = raw.align_bytes,
	    .zero_copy = elf->subs[first_sub].type == ZY_SUB_ZEROCPY_CONSTANT,
	};
	return 0;
}

int npu_elf_read_section(struct npu_elf_parse *parse, struct npu_cursor *cursor, enum npu_section_kind kind,
			 const char *where)
{
	struct npu_elf *elf = parse->elf;
	bool reuse = kind == NPU_SECTION_REUSE;
	struct npu_elf_section **sections = reuse ? &elf->reuses : &elf->privates;
	uint32_t *count = reuse ? &elf->reuse_count : &elf->private_count;
	struct zy_reuse_section raw;
	int rc = npu_elf_grow(parse, reuse ? NPU_TABLE_REUSES : NPU_TABLE_PRIVATES, (void **)sections, *count,
			      sizeof(**sections));

	if (rc)
		return rc;
	if (!npu_cursor_take(cursor, &raw, sizeof(raw)))
		return npu_elf_refuse(parse, -EBADMSG, "%s: the note ends inside the section", where);
	if (raw.size == 0)
		return npu_elf_refuse(parse, -EBADMSG, "%s: size is 0", where);
	rc = check_align(parse, raw.align_bytes, "align_bytes", where);
	if (rc == 0)
		rc = read_subs(parse, cursor, kind, *count, raw.size, raw.sub_cnt, where);
	if (rc)
		return rc;
	(*sections)[(*count)++] = (struct npu_elf_section){.bytes = raw.size, .align = raw.align_bytes};
	return 0;
}

static int check_bss_header(struct npu_elf_parse *parse, const struct zy_bss_header *raw, size_t left,
			    const char *where)
{
	if (raw->stack_size == 0)
		return npu_elf_refuse(parse, -EBADMSG, "%s: stack_size is 0", where);
	int rc = check_align(parse, raw->stack_align_bytes, "stack_align_bytes", where);

	if (rc)
		return rc;
	if (raw->static_cnt > left / sizeof(struct zy_static_section))
		return npu_elf_refuse(parse, -EBADMSG, "%s: static_cnt %u runs past the end of the note", where,
				      raw->static_cnt);
	if (raw->reuse_cnt == 0 || raw->reuse_cnt > left / sizeof(struct zy_reuse_section))
		return npu_elf_refuse(parse, -EBADMSG, "%s: reuse_cnt %u is 0 or runs past the end of the note", where,
				      raw->reuse_cnt);
	return 0;
}

static int read_bss(struct npu_elf_parse *parse, struct npu_cursor *cursor, uint32_t index)
{
	struct npu_elf *elf = parse->elf;
	struct npu_elf_bss *bss = &elf->bss[index];
	struct zy_bss_header raw;
	char where[96];

	(void)snprintf(where, sizeof(where), "note fmlist, BSS %u", index);
	if (!npu_cursor_take(cursor, &raw, sizeof(raw)))
		return npu_elf_refuse(parse, -EBADMSG, "%s: the note ends inside the header", where);
	int rc = check_bss_header(parse, &raw, cursor->left, where);

	if (rc)
		return rc;
	*bss = (struct npu_elf_bss){
	    .stack_bytes = raw.stack_size,
	    .stack_align = raw.stack_align_bytes,
	    .first_static = elf->static_count,
	    .static_count = raw.static_cnt,
	};
	for (uint32_t i = 0; i < raw.static_cnt; i++) {
		(void)snprintf(where, sizeof(where), "note fmlist, BSS %u, static section %u", index, i);
		rc = read_static(parse, cursor, index, bss->first_static, where);
		if (rc)
			return rc;
	}
	for (uint32_t i = 0; i < raw.reuse_cnt; i++) {
		(void)snprintf(where, sizeof(where), "note fmlist, BSS %u, reuse section %u", index, i);
		rc = npu_elf_read_section(parse, cursor, NPU_SECTION_REUSE, where);
		if (rc)
			return rc;
	}
	return 0;
}

int npu_elf_read_fmlist(struct npu_elf_parse *parse)
{
	struct npu_elf *elf = parse->elf;
	struct npu_cursor cursor = npu_cursor_of(parse->note[NPU_NOTE_FMLIST]);
	uint32_t head[3];

	if (!npu_cursor_take(&cursor, head, sizeof(head)))
		return npu_elf_refuse(parse, -EBADMSG, "note fmlist: missing or shorter than its 12-byte header");
	if (head[2] == 0 || head[2] > cursor.left / sizeof(struct zy_bss_header))
		return npu_elf_refuse(parse, -EBADMSG,
				      "note fmlist: BSS count %u is 0 or runs past the end of the note", head[2]);
	if (head[2] > NPUD_MAX_BSS_PER_JOB)
		return npu_elf_refuse(parse, -ENOTSUP, "note fmlist: BSS count %u is over the supported %u", head[2],
				      NPUD_MAX_BSS_PER_JOB);
	elf->bss = calloc(head[2], sizeof(*elf->bss));
	if (!elf->bss)
		return npu_elf_refuse(parse, -ENOMEM, "out of memory for %u BSS blocks", head[2]);
	elf->bss_count = head[2];
	for (uint32_t i = 0; i < head[2]; i++) {
		int rc = read_bss(parse, &cursor, i);

		if (rc)
			return rc;
	}
	return 0;
}
