/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The section tables: what memory a job needs, which tensor lies where, and which words of rodata receive its address.
 * Also the tensors' names and shapes, for the library.
 */
#include "emulator/compiler/image.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES 4096u

static int by_section(const void *a, const void *b)
{
	const struct patch *x = a;
	const struct patch *y = b;

	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->location < y->location ? -1 : x->location > y->location;
}

struct cursor {
	const struct patch *at;
	const struct patch *end;
};

/* Patches of one section at one offset, in a row. */
static uint32_t run_length(struct cursor c, uint32_t section, uint32_t offset)
{
	uint32_t n = 0;

	while (c.at + n < c.end && c.at[n].section == section && c.at[n].offset == offset)
		n++;
	return n;
}

static uint32_t count_offsets(struct cursor c, uint32_t section)
{
	uint32_t n = 0;

	while (c.at < c.end && c.at->section == section) {
		c.at += run_length(c, section, c.at->offset);
		n++;
	}
	return n;
}

static void put_sub_section(struct bytes *b, struct cursor *c, uint32_t section, struct zy_sub_section sub)
{
	sub.addr_mask = UINT32_MAX;
	sub.scale = 1.0f;
	sub.ro_cnt = run_length(*c, section, sub.offset_in_section);
	bytes_append(b, &sub, sizeof(sub));
	for (uint32_t i = 0; i < sub.ro_cnt; i++)
		bytes_u32(b, c->at[i].location);
	c->at += sub.ro_cnt;
}

/* The offsets of a section that are not a tensor by themselves. */
static void put_offsets(struct bytes *b, struct cursor *c, uint32_t section, uint64_t size, uint32_t type, uint32_t *id)
{
	while (c->at < c->end && c->at->section == section) {
		uint32_t offset = c->at->offset;
		struct zy_sub_section sub = {.offset_in_section = offset,
					     .size = (uint32_t)(size - offset),
					     .type = type,
					     .id = (*id)++,
					     .data_type = ZY_DATA_U8};
		put_sub_section(b, c, section, sub);
	}
}

static uint64_t section_size(uint64_t bytes)
{
	return bytes ? (bytes + CC_ALIGN - 1) & ~(uint64_t)(CC_ALIGN - 1) : CC_ALIGN;
}

static void put_port(struct bytes *b, struct cursor *c, uint32_t section, const struct port *port, bool output,
		     uint32_t *intermediates)
{
	uint64_t size = section_size(port->view.st->bytes);
	struct cursor rest = {c->at + run_length(*c, section, 0), c->end};
	struct zy_reuse_section reuse = {
	    .size = (uint32_t)size, .align_bytes = ZY_PAGE_BYTES, .sub_cnt = 1 + count_offsets(rest, section)};
	struct zy_sub_section sub = {.size = (uint32_t)port->view.st->bytes,
				     .type = output ? ZY_SUB_OUTPUT : ZY_SUB_INPUT,
				     .id = port->view.st->io,
				     .data_type = port->view.dtype};

	bytes_append(b, &reuse, sizeof(reuse));
	put_sub_section(b, c, section, sub);
	put_offsets(b, c, section, size, ZY_SUB_INTERMEDIATE, intermediates);
}

static void put_statics(struct image *image, struct cursor *c, uint32_t *id)
{
	for (uint32_t i = 0; i < image->static_count; i++) {
		const struct storage *st = image->statics[i];
		struct zy_static_section section = {.src_offset = (uint32_t)st->place,
						    .size = (uint32_t)st->bytes,
						    .align_bytes = CC_ALIGN,
						    .sub_cnt = count_offsets(*c, i)};
		bytes_append(&image->fmlist, &section, sizeof(section));
		put_offsets(&image->fmlist, c, i, st->bytes, ZY_SUB_CONSTANT, id);
	}
}

void image_sections(struct cc *cc, struct image *image)
{
	static const struct patch none[1];
	const struct patch *first = image->patch_count ? image->patches : none;
	struct cursor c = {first, first + image->patch_count};
	uint32_t constants = 0;
	uint32_t intermediates = 0;

	if (image->patch_count)
		qsort(image->patches, image->patch_count, sizeof(*image->patches), by_section);
	image->reuse_count = cc->input_count + cc->output_count + (cc->stats.planned_bytes > 0);
	bytes_u32(&image->fmlist, 0);
	bytes_u32(&image->fmlist, 0);
	bytes_u32(&image->fmlist, 1); /* BSS blocks */
	struct zy_bss_header header = {.stack_size = STACK_BYTES,
				       .stack_align_bytes = ZY_PAGE_BYTES,
				       .static_cnt = image->static_count,
				       .reuse_cnt = image->reuse_count};
	bytes_append(&image->fmlist, &header, sizeof(header));
	put_statics(image, &c, &constants);
	uint32_t section = image->static_count;
	for (uint32_t i = 0; i < cc->input_count; i++, section++) {
		put_port(&image->fmlist, &c, section, &cc->inputs[i], false, &intermediates);
		cc->stats.input_bytes += cc->inputs[i].view.st->bytes;
	}
	for (uint32_t i = 0; i < cc->output_count; i++, section++) {
		put_port(&image->fmlist, &c, section, &cc->outputs[i], true, &intermediates);
		cc->stats.output_bytes += cc->outputs[i].view.st->bytes;
	}
	if (cc->stats.planned_bytes > 0) {
		struct zy_reuse_section reuse = {.size = (uint32_t)section_size(cc->stats.planned_bytes),
						 .align_bytes = ZY_PAGE_BYTES,
						 .sub_cnt = count_offsets(c, section)};
		bytes_append(&image->fmlist, &reuse, sizeof(reuse));
		put_offsets(&image->fmlist, &c, section, reuse.size, ZY_SUB_INTERMEDIATE, &intermediates);
	}
	if (c.at != c.end)
		cc_bad(cc, "internal: an address without a section");
}

static json_t *port_json(struct cc *cc, const struct port *port)
{
	json_t *shape = json_array();

	for (uint32_t i = 0; i < port->view.rank; i++)
		(void)json_array_append_new(shape, json_integer(port->view.dims[i]));
	json_t *name = json_string(port->name);
	if (!name)
		cc_bad(cc, "a tensor name is not UTF-8");
	return json_pack("{s:o*, s:o, s:s}", "name", name, "shape", shape, "type", cc_type_name(port->view.dtype));
}

void image_json(struct cc *cc, struct image *image)
{
	json_t *inputs = json_array();
	json_t *outputs = json_array();

	for (uint32_t i = 0; i < cc->input_count; i++)
		(void)json_array_append_new(inputs, port_json(cc, &cc->inputs[i]));
	for (uint32_t i = 0; i < cc->output_count; i++)
		(void)json_array_append_new(outputs, port_json(cc, &cc->outputs[i]));
	json_t *root = json_pack("{s:o, s:o}", "inputs", inputs, "outputs", outputs);
	char *text = root ? json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	json_decref(root);
	if (!text) {
		cc_out_of_memory(cc);
		return;
	}
	bytes_append(&image->json, text, strlen(text));
	free(text);
}
