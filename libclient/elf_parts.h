/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the executable reader share: the bounded cursor, the refusal, the growing table. */
#ifndef NPU_CLIENT_ELF_PARTS_H
#define NPU_CLIENT_ELF_PARTS_H

#include <errno.h>
#include <string.h>

#include "libclient/elf_reader.h"

/* The notes that a reader looks at, in the order of enum npu_note. */
enum npu_note {
	NPU_NOTE_RODATA,
	NPU_NOTE_DESC,
	NPU_NOTE_WEIGHT,
	NPU_NOTE_FMLIST,
	NPU_NOTE_REMAP,
	NPU_NOTE_SUBGRAPHS,
	NPU_NOTE_COMPILERMSG,
	NPU_NOTE_GMCONFIG,
	NPU_NOTE_SEGMMU,
	NPU_NOTE_GLOBALPARAM,
	NPU_NOTE_INPUTSHAPE,
	NPU_NOTE_EXTRA_WEIGHT,
	NPU_NOTE_HASHTABLE,
	NPU_NOTE_GRAPHJSON,
	NPU_NOTE_COUNT,
};

struct npu_elf_parse {
	struct npu_elf *elf;
	struct npu_span note[NPU_NOTE_COUNT]; /* absent: 0 bytes */
	char *why;
	size_t why_bytes;
	size_t room[8]; /* capacities of the growing tables, by enum npu_elf_table */
};

enum npu_elf_table {
	NPU_TABLE_STATICS,
	NPU_TABLE_REUSES,
	NPU_TABLE_PRIVATES,
	NPU_TABLE_SUBS,
	NPU_TABLE_LOCATIONS,
};

/* Unread bytes of a note. */
struct npu_cursor {
	const uint8_t *at;
	size_t left;
};

static inline bool npu_cursor_take(struct npu_cursor *cursor, void *out, size_t bytes)
{
	if (cursor->left < bytes)
		return false;
	memcpy(out, cursor->at, bytes);
	cursor->at += bytes;
	cursor->left -= bytes;
	return true;
}

static inline struct npu_cursor npu_cursor_of(struct npu_span span)
{
	return (struct npu_cursor){.at = span.data, .left = span.bytes};
}

static inline bool npu_is_power_of_two(uint32_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* Write the reason and return `code`. */
int npu_elf_refuse(struct npu_elf_parse *parse, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Room for one more item behind `count`: *items may move. 0 or -ENOMEM. */
int npu_elf_grow(struct npu_elf_parse *parse, enum npu_elf_table table, void **items, uint32_t count,
		 size_t item_bytes);

/* elf_container.c: sections and notes */
int npu_elf_read_container(struct npu_elf_parse *parse, const uint8_t *data, size_t bytes);
const char *npu_note_name(enum npu_note note);

/* elf_bss.c: feature-map blocks, and the section tables they share with subgraphs */
int npu_elf_read_fmlist(struct npu_elf_parse *parse);
int npu_elf_read_section(struct npu_elf_parse *parse, struct npu_cursor *cursor, enum npu_section_kind kind,
			 const char *where);

/* elf_subgraphs.c */
int npu_elf_read_subgraphs(struct npu_elf_parse *parse);

/* elf_notes.c: remap, gmconfig, segmmu, and the notes that are not supported */
int npu_elf_read_remap(struct npu_elf_parse *parse);
int npu_elf_read_gmconfig(struct npu_elf_parse *parse);
int npu_elf_refuse_unsupported(struct npu_elf_parse *parse);

/* elf_tensors.c: the lists that applications see */
int npu_elf_collect_tensors(struct npu_elf_parse *parse);

/* elf_json.c: names and shapes */
int npu_elf_read_graphjson(struct npu_elf_parse *parse);

#endif
