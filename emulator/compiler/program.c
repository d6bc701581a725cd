/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions and records. The program is cut into groups of a few tensor instructions; each waits for the one before,
 * so chains, groups and dependencies are really used.
 */
#include "emulator/compiler/image.h"

#include "proto/zhouyi_tcb.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_ALIGN 16u
#define PRIVATE_BYTES 64u

struct record_context {
	struct cc *cc;
	struct image *image;
	uint32_t record; /* its offset in rodata */
};

void image_free(struct image *image)
{
	bytes_free(&image->text);
	bytes_free(&image->rodata);
	bytes_free(&image->weight);
	bytes_free(&image->fmlist);
	bytes_free(&image->subgraphs);
	bytes_free(&image->json);
	free(image->patches);
	*image = (struct image){0};
}

/* Reuse sections: inputs, outputs, and one for all intermediates. */
static uint32_t section_of(const struct cc *cc, const struct image *image, const struct storage *st)
{
	switch (st->kind) {
	case ST_CONST:
		return image->static_of[st->id];
	case ST_INPUT:
		return image->static_count + st->io;
	case ST_OUTPUT:
		return image->static_count + cc->input_count + st->io;
	default:
		return image->static_count + cc->input_count + cc->output_count;
	}
}

static void patch_add(struct cc *cc, struct image *image, struct patch patch)
{
	if (image->patch_count == image->patch_room) {
		size_t room = image->patch_room ? image->patch_room * 2 : 256;
		struct patch *bigger = realloc(image->patches, room * sizeof(*bigger));
		if (!bigger) {
			cc_out_of_memory(cc);
			return;
		}
		image->patches = bigger;
		image->patch_room = room;
	}
	image->patches[image->patch_count++] = patch;
}

/* The loader fills the address in; the file has 0 there. */
static uint32_t record_address(void *ctx, uint32_t operand, const struct view *v, uint32_t *asid)
{
	struct record_context *c = ctx;
	uint64_t offset = (uint64_t)v->offset * dtype_bytes(v->dtype);

	if (v->st->kind == ST_INTERMEDIATE)
		offset += storage_place(v->st)->place;
	*asid = v->st->kind == ST_CONST ? 1 : 0;
	struct patch patch = {.section = section_of(c->cc, c->image, v->st),
			      .offset = (uint32_t)offset,
			      .location = c->record + (uint32_t)sizeof(struct isa_record) +
					  operand * (uint32_t)sizeof(struct isa_operand) +
					  (uint32_t)offsetof(struct isa_operand, addr)};
	patch_add(c->cc, c->image, patch);
	return 0;
}

static void put_insn(struct image *image, uint8_t opcode, uint32_t a, uint32_t b, uint32_t c)
{
	struct isa_insn insn = {.opcode = opcode, .a = a, .b = b, .c = c};

	bytes_append(&image->text, &insn, sizeof(insn));
}

static void put_tensor(struct cc *cc, struct image *image, const struct insn *insn, size_t rodata_base)
{
	size_t bytes = record_bytes(insn);

	bytes_align(&image->rodata, RECORD_ALIGN);
	size_t at = bytes_append(&image->rodata, NULL, bytes);
	if (image->rodata.failed) {
		cc_out_of_memory(cc);
		return;
	}
	struct record_context context = {.cc = cc, .image = image, .record = (uint32_t)at};
	record_build(insn, record_address, &context, image->rodata.data + at);
	put_insn(image, ISA_TENSOR, insn->op, (uint32_t)(at - rodata_base), (uint32_t)bytes);
}

static void put_subgraph(struct image *image, uint32_t index, size_t text, size_t rodata, size_t rodata_bytes)
{
	struct zy_subgraph sg = {.id = index,
				 .text_offset = (uint32_t)text,
				 .rodata_offset = (uint32_t)rodata,
				 .rodata_size = (uint32_t)rodata_bytes,
				 .private_data_size = PRIVATE_BYTES,
				 .precursor_cnt = index ? 1 : -1};

	bytes_append(&image->subgraphs, &sg, sizeof(sg));
	if (index)
		bytes_u32(&image->subgraphs, index - 1);
	bytes_u32(&image->subgraphs, 0); /* private sections */
}

static void put_group(struct cc *cc, struct image *image, uint32_t index, size_t from, size_t to)
{
	static const uint32_t end[4] = ZY3_END_PACKET;

	bytes_align(&image->rodata, CC_ALIGN);
	size_t rodata = image->rodata.used;
	size_t text = image->text.used;
	for (size_t i = from; i < to; i++) {
		if (cc->insns[i]->barrier)
			put_insn(image, ISA_BARRIER, 0, 0, 0);
		put_tensor(cc, image, cc->insns[i], rodata);
		cc->stats.macs += cc->insns[i]->macs;
	}
	bytes_append(&image->text, end, sizeof(end));
	if (image->rodata.used == rodata)
		bytes_append(&image->rodata, NULL, RECORD_ALIGN); /* the note must not be empty */
	put_subgraph(image, index, text, rodata, image->rodata.used - rodata);
}

void image_program(struct cc *cc, struct image *image)
{
	size_t groups = (cc->insn_count + CC_GROUP_INSNS - 1) / CC_GROUP_INSNS;

	if (groups == 0)
		groups = 1;
	bytes_u32(&image->subgraphs, (uint32_t)groups);
	for (size_t g = 0; g < groups && !cc_failed(cc); g++) {
		size_t from = g * CC_GROUP_INSNS;
		size_t to = from + CC_GROUP_INSNS < cc->insn_count ? from + CC_GROUP_INSNS : cc->insn_count;
		put_group(cc, image, (uint32_t)g, from, to);
	}
	cc->stats.groups = (uint32_t)groups;
	cc->stats.instructions = (uint32_t)cc->insn_count;
}

void program_write(struct cc *cc, struct npucc_result *result)
{
	struct image image = {0};

	if (cc_failed(cc))
		return;
	image_weights(cc, &image);
	if (!cc_failed(cc))
		image_program(cc, &image);
	if (!cc_failed(cc))
		image_sections(cc, &image);
	if (!cc_failed(cc))
		image_json(cc, &image);
	if (!cc_failed(cc))
		image_elf(cc, &image, result);
	image_free(&image);
}
