/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a V3 executable part by part. Owns the result and its refusal text; the rules are in the parts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "libclient/elf_parts.h"

int npu_elf_refuse(struct npu_elf_parse *parse, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (parse->why_bytes)
		(void)vsnprintf(parse->why, parse->why_bytes, format, arguments);
	va_end(arguments);
	return code;
}

static int read_compilermsg(struct npu_elf_parse *parse)
{
	struct npu_span note = parse->note[NPU_NOTE_COMPILERMSG];
	struct npu_cursor cursor = npu_cursor_of(note);
	uint32_t words[4];

	if (!npu_cursor_take(&cursor, words, sizeof(words)))
		return npu_elf_refuse(parse, -EBADMSG, "note compilermsg: missing or shorter than %u bytes",
				      ZY_COMPILERMSG_MIN_BYTES);
	if (note.bytes > sizeof(struct zy_compilermsg))
		return npu_elf_refuse(parse, -EBADMSG, "note compilermsg: %u bytes, it has at most %zu", note.bytes,
				      sizeof(struct zy_compilermsg));
	parse->elf->device = words[2];
	return 0;
}

static int read_images(struct npu_elf_parse *parse)
{
	struct npu_elf *elf = parse->elf;

	if (parse->note[NPU_NOTE_RODATA].bytes == 0)
		return npu_elf_refuse(parse, -EBADMSG, "note rodata: missing or empty");
	elf->rodata = parse->note[NPU_NOTE_RODATA];
	elf->desc = parse->note[NPU_NOTE_DESC];
	elf->weight = parse->note[NPU_NOTE_WEIGHT];
	elf->graphjson = parse->note[NPU_NOTE_GRAPHJSON];
	return 0;
}

static int read_tables(struct npu_elf_parse *parse)
{
	int rc = read_compilermsg(parse);

	if (rc == 0)
		rc = read_images(parse);
	if (rc == 0)
		rc = npu_elf_refuse_unsupported(parse);
	if (rc == 0)
		rc = npu_elf_read_fmlist(parse);
	if (rc == 0)
		rc = npu_elf_read_subgraphs(parse);
	/* a data-only file runs nothing: nothing is linked and nothing is placed on chip */
	if (rc == 0 && parse->elf->subgraph_count) {
		rc = npu_elf_read_remap(parse);
		if (rc == 0)
			rc = npu_elf_read_gmconfig(parse);
	}
	if (rc == 0)
		rc = npu_elf_collect_tensors(parse);
	return rc ? rc : npu_elf_read_graphjson(parse);
}

int npu_elf_parse(const void *data, size_t bytes, struct npu_elf **out, char *why, size_t why_bytes)
{
	struct npu_elf_parse parse = {.why = why, .why_bytes = why_bytes};

	if (why_bytes)
		why[0] = '\0';
	parse.elf = calloc(1, sizeof(*parse.elf));
	if (!parse.elf)
		return npu_elf_refuse(&parse, -ENOMEM, "out of memory");
	parse.elf->profiler_sub = NPU_ELF_NONE;
	int rc = npu_elf_read_container(&parse, data, bytes);

	if (rc == 0)
		rc = read_tables(&parse);
	if (rc) {
		npu_elf_free(parse.elf);
		return rc;
	}
	*out = parse.elf;
	return 0;
}

void npu_elf_detach(struct npu_elf *elf)
{
	elf->text.data = elf->crodata.data = elf->rodata.data = elf->desc.data = NULL;
	elf->weight.data = elf->graphjson.data = NULL;
}

struct npu_elf *npu_elf_free(struct npu_elf *elf)
{
	if (!elf)
		return NULL;
	free(elf->bss);
	free(elf->statics);
	free(elf->reuses);
	free(elf->privates);
	free(elf->subs);
	free(elf->locations);
	free(elf->subgraphs);
	free(elf->remaps);
	free(elf->tensors[NPU_INPUT]);
	free(elf->tensors[NPU_OUTPUT]);
	free(elf);
	return NULL;
}
