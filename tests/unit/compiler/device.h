/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device without a daemon: takes an executable apart by its tables, checks every reference on the way, lays the
 * sections out in one arena, patches the records and runs the program with four tasks. Tasks run one after the other
 * between two barriers, in both orders by turns, so a missing barrier gives wrong results.
 */
#ifndef NPUD_TESTS_COMPILER_DEVICE_H
#define NPUD_TESTS_COMPILER_DEVICE_H

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/isa.h"
#include "emulator/ops/ops.h"
#include "proto/zhouyi_elf.h"
#include "proto/zhouyi_tcb.h"

#define DEVICE_TASKS 4u
#define DEVICE_BASE 0x00100000u
#define DEVICE_MAX_PORTS 1024u

struct note {
	const uint8_t *data;
	uint32_t bytes;
};

struct device_port {
	uint8_t *data;
	uint32_t bytes;
	uint32_t dtype;
};

struct device {
	struct note text, rodata, weight, fmlist, remap, subgraphs, message, json;
	uint8_t *arena; /* ASID 0 from DEVICE_BASE on: rodata copy, then the reuse sections */
	uint64_t arena_bytes;
	uint8_t *constants; /* ASID 1 from DEVICE_BASE on */
	uint64_t constant_bytes;
	uint32_t rodata_at;
	struct device_port inputs[DEVICE_MAX_PORTS];
	struct device_port outputs[DEVICE_MAX_PORTS];
	uint32_t input_count, output_count;
	uint32_t tensors; /* TENSOR instructions that ran */
	uint64_t macs[DEVICE_TASKS];
	struct op_cache *cache;
	char error[256];
};

#define DEVICE_FAIL(d, ...)                                                                                            \
	do {                                                                                                           \
		(void)snprintf((d)->error, sizeof((d)->error), __VA_ARGS__);                                           \
		return -EBADMSG;                                                                                       \
	} while (0)

static inline struct note *device_note(struct device *d, const char *name)
{
	static const char *const names[] = {ZY_NOTE_RODATA,    ZY_NOTE_WEIGHT,      ZY_NOTE_FMLIST,   ZY_NOTE_REMAP,
					    ZY_NOTE_SUBGRAPHS, ZY_NOTE_COMPILERMSG, ZY_NOTE_GRAPHJSON};
	struct note *notes[] = {&d->rodata, &d->weight, &d->fmlist, &d->remap, &d->subgraphs, &d->message, &d->json};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return notes[i];
	return NULL;
}

static inline int device_parse_notes(struct device *d, const uint8_t *data, uint32_t bytes)
{
	uint32_t at = 0;

	while (bytes - at >= 12) {
		uint32_t head[3];
		memcpy(head, data + at, sizeof(head));
		uint64_t name_end = (uint64_t)at + 12 + ((head[0] + 3ull) & ~3ull);
		uint64_t end = name_end + ((head[1] + 3ull) & ~3ull);
		if (head[0] == 0 || end > bytes || data[at + 12 + head[0] - 1] != 0)
			DEVICE_FAIL(d, "note at %u", at);
		struct note *note = device_note(d, (const char *)data + at + 12);
		if (!note || note->data || head[1] == 0)
			DEVICE_FAIL(d, "unknown, repeated or empty note at %u", at);
		*note = (struct note){data + name_end, head[1]};
		at = (uint32_t)end;
	}
	return at == bytes ? 0 : -EBADMSG;
}

static inline int device_parse_elf(struct device *d, const uint8_t *elf, size_t bytes)
{
	Elf32_Ehdr eh;
	struct note comment = {0};

	if (bytes < sizeof(eh))
		DEVICE_FAIL(d, "short file");
	memcpy(&eh, elf, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS32 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_type != ET_EXEC || eh.e_machine != ZY_ELF_MACHINE ||
	    eh.e_version != 1 || eh.e_shentsize != sizeof(Elf32_Shdr) || eh.e_shstrndx >= eh.e_shnum ||
	    eh.e_shoff % 4 || (uint64_t)eh.e_shoff + (uint64_t)eh.e_shnum * sizeof(Elf32_Shdr) > bytes)
		DEVICE_FAIL(d, "ELF header");
	const uint8_t *headers = elf + eh.e_shoff;
	Elf32_Shdr names;
	memcpy(&names, headers + (size_t)eh.e_shstrndx * sizeof(names), sizeof(names));
	for (uint32_t i = 1; i < eh.e_shnum; i++) {
		Elf32_Shdr sh;
		memcpy(&sh, headers + (size_t)i * sizeof(sh), sizeof(sh));
		if ((uint64_t)sh.sh_offset + sh.sh_size > bytes || sh.sh_name >= names.sh_size)
			DEVICE_FAIL(d, "section %u", i);
		const char *name = (const char *)elf + names.sh_offset + sh.sh_name;
		struct note content = {elf + sh.sh_offset, sh.sh_size};
		if (strcmp(name, ZY_SECTION_TEXT) == 0)
			d->text = content;
		else if (strcmp(name, ZY_SECTION_COMMENT) == 0)
			comment = content;
		else if (strcmp(name, ZY_SECTION_NOTES) == 0 && device_parse_notes(d, content.data, content.bytes))
			DEVICE_FAIL(d, "notes");
	}
	if (d->text.bytes == 0 || d->text.bytes % ISA_INSN_BYTES || !d->rodata.data || !d->fmlist.data ||
	    !d->subgraphs.data || !d->remap.data || d->message.bytes != sizeof(struct zy_compilermsg) || !d->json.data)
		DEVICE_FAIL(d, "a required part is missing");
	if (!comment.data || !memmem(comment.data, comment.bytes, "target:X2_1204MP3;", 18))
		DEVICE_FAIL(d, "comment");
	struct zy_compilermsg message;
	memcpy(&message, d->message.data, sizeof(message));
	return message.device == ZY_DEVICE_X2_1204 ? 0 : -EBADMSG;
}

struct cursor_in {
	const uint8_t *at;
	const uint8_t *end;
};

static inline int take(struct cursor_in *c, void *out, size_t bytes)
{
	if ((size_t)(c->end - c->at) < bytes)
		return -EBADMSG;
	memcpy(out, c->at, bytes);
	c->at += bytes;
	return 0;
}

static inline int device_patch(struct device *d, struct cursor_in *c, const struct zy_sub_section *sub, uint32_t value)
{
	for (uint32_t i = 0; i < sub->ro_cnt; i++) {
		uint32_t location = 0;
		if (take(c, &location, sizeof(location)) || location > d->rodata.bytes - 4)
			DEVICE_FAIL(d, "patch location");
		uint8_t *where = d->arena + (d->rodata_at - DEVICE_BASE) + location;
		uint32_t word = 0;
		memcpy(&word, where, sizeof(word));
		if (word != 0)
			DEVICE_FAIL(d, "location %u is patched twice or not zero", location);
		word = (value & sub->addr_mask) | (word & ~sub->addr_mask);
		memcpy(where, &word, sizeof(word));
	}
	return 0;
}

static inline int device_statics(struct device *d, struct cursor_in *c, uint32_t count)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct zy_static_section s;
		if (take(c, &s, sizeof(s)) || s.sub_cnt == 0 || s.align_bytes != 64 || s.src_offset % 64 ||
		    s.src_offset < end || (uint64_t)s.src_offset + s.size > d->weight.bytes)
			DEVICE_FAIL(d, "static section %u", i);
		end = (uint64_t)s.src_offset + s.size;
		for (uint32_t k = 0; k < s.sub_cnt; k++) {
			struct zy_sub_section sub;
			if (take(c, &sub, sizeof(sub)) || sub.type != ZY_SUB_CONSTANT ||
			    (uint64_t)sub.offset_in_section + sub.size > s.size || sub.ro_cnt == 0)
				DEVICE_FAIL(d, "static section %u.%u", i, k);
			if (device_patch(d, c, &sub, DEVICE_BASE + s.src_offset + sub.offset_in_section))
				return -EBADMSG;
		}
	}
	return 0;
}

static inline int device_port(struct device *d, const struct zy_sub_section *sub, uint32_t address)
{
	bool input = sub->type == ZY_SUB_INPUT;
	uint32_t *count = input ? &d->input_count : &d->output_count;

	if (sub->id != *count || *count == DEVICE_MAX_PORTS)
		DEVICE_FAIL(d, "tensor id %u", sub->id);
	(input ? d->inputs : d->outputs)[(*count)++] = (struct device_port){
	    .data = d->arena + (address - DEVICE_BASE), .bytes = sub->size, .dtype = sub->data_type};
	return 0;
}

/* Two walks over the same tables: the first only measures. */
static inline int device_reuse(struct device *d, struct cursor_in *c, uint32_t count, bool measure)
{
	uint64_t at = d->rodata_at + ((d->rodata.bytes + 4095ull) & ~4095ull);

	for (uint32_t i = 0; i < count; i++) {
		struct zy_reuse_section r;
		if (take(c, &r, sizeof(r)) || r.size == 0 || r.align_bytes == 0 ||
		    (r.align_bytes & (r.align_bytes - 1)))
			DEVICE_FAIL(d, "reuse section %u", i);
		for (uint32_t k = 0; k < r.sub_cnt; k++) {
			struct zy_sub_section sub;
			if (take(c, &sub, sizeof(sub)) || (uint64_t)sub.offset_in_section + sub.size > r.size)
				DEVICE_FAIL(d, "reuse section %u.%u", i, k);
			uint32_t address = (uint32_t)at + sub.offset_in_section;
			if (measure) {
				if ((uint64_t)(c->end - c->at) < 4ull * sub.ro_cnt)
					DEVICE_FAIL(d, "patches of %u.%u", i, k);
				c->at += 4ull * sub.ro_cnt;
				continue;
			}
			if (device_patch(d, c, &sub, address))
				return -EBADMSG;
			if ((sub.type == ZY_SUB_INPUT || sub.type == ZY_SUB_OUTPUT) && device_port(d, &sub, address))
				return -EBADMSG;
		}
		at += (r.size + 4095ull) & ~4095ull;
	}
	d->arena_bytes = at - DEVICE_BASE;
	return 0;
}

static inline int device_load(struct device *d, const uint8_t *elf, size_t bytes)
{
	uint32_t head[3];
	struct zy_bss_header bss;

	memset(d, 0, sizeof(*d));
	if (device_parse_elf(d, elf, bytes)) {
		if (!d->error[0])
			(void)snprintf(d->error, sizeof(d->error), "ELF");
		return -EBADMSG;
	}
	struct cursor_in c = {d->fmlist.data, d->fmlist.data + d->fmlist.bytes};
	if (take(&c, head, sizeof(head)) || head[2] != 1 || take(&c, &bss, sizeof(bss)) || bss.stack_size == 0 ||
	    bss.stack_align_bytes == 0 || bss.reuse_cnt == 0)
		DEVICE_FAIL(d, "fmlist");
	d->rodata_at = DEVICE_BASE;
	/* Sizes first: the arena must exist before anything is patched. */
	struct cursor_in sizes = c;
	for (uint32_t i = 0; i < bss.static_cnt; i++) {
		struct zy_static_section s;
		if (take(&sizes, &s, sizeof(s)))
			DEVICE_FAIL(d, "static section %u", i);
		for (uint32_t k = 0; k < s.sub_cnt; k++) {
			struct zy_sub_section sub;
			if (take(&sizes, &sub, sizeof(sub)) || (uint64_t)(sizes.end - sizes.at) < 4ull * sub.ro_cnt)
				DEVICE_FAIL(d, "static section %u.%u", i, k);
			sizes.at += 4ull * sub.ro_cnt;
		}
	}
	if (device_reuse(d, &sizes, bss.reuse_cnt, true))
		return -EBADMSG;
	if (sizes.at != sizes.end)
		DEVICE_FAIL(d, "fmlist has %zu bytes too many", (size_t)(sizes.end - sizes.at));
	d->arena = calloc(1, d->arena_bytes);
	d->constant_bytes = d->weight.bytes;
	d->constants = aligned_alloc(64, (d->constant_bytes + 127) & ~63ull);
	if (!d->arena || !d->constants)
		return -ENOMEM;
	if (d->weight.bytes)
		memcpy(d->constants, d->weight.data, d->weight.bytes);
	memcpy(d->arena, d->rodata.data, d->rodata.bytes);
	/* What is not written must not look like a result. */
	memset(d->arena + d->rodata.bytes, 0xa5, d->arena_bytes - d->rodata.bytes);
	if (device_statics(d, &c, bss.static_cnt))
		return -EBADMSG;
	return device_reuse(d, &c, bss.reuse_cnt, false);
}

static inline void device_free(struct device *d)
{
	free(d->arena);
	free(d->constants);
	d->arena = d->constants = NULL;
}

static inline int device_get(void *ctx, uint32_t asid, uint32_t addr, uint64_t bytes, enum op_access access,
			     struct op_span *span)
{
	struct device *d = ctx;
	uint64_t offset = (uint64_t)addr - DEVICE_BASE;
	uint64_t room = asid == 0 ? d->arena_bytes : d->constant_bytes;

	if (asid > 1 || addr < DEVICE_BASE || bytes > room || offset > room - bytes ||
	    (asid == 1 && access == OP_WRITE))
		return -EFAULT;
	*span = (struct op_span){.data = (asid == 0 ? d->arena : d->constants) + offset, .bytes = bytes};
	return 0;
}

static inline void device_put(void *ctx, struct op_span *span)
{
	(void)ctx;
	(void)span;
}

static inline uint64_t device_identity(void *ctx, uint32_t asid, uint32_t addr)
{
	(void)ctx;
	(void)addr;
	return asid + 1;
}

static inline int device_tensor(struct device *d, const struct isa_insn *insn, uint32_t pp, uint32_t task)
{
	struct op_memory memory = {.get = device_get, .put = device_put, .identity = device_identity, .ctx = d};
	struct op_run run = {.memory = &memory, .cache = d->cache, .task = task, .tasks = DEVICE_TASKS};
	struct isa_record head;
	uint64_t at = (uint64_t)pp + insn->b;

	if (at + insn->c > d->rodata.bytes || insn->c < sizeof(head) || at % 4)
		DEVICE_FAIL(d, "record at %u", insn->b);
	uint8_t *record = malloc(insn->c);
	if (!record)
		return -ENOMEM;
	memcpy(record, d->arena + at, insn->c);
	memcpy(&head, record, sizeof(head));
	int rc = head.op == insn->a ? op_run(&run, (const struct isa_record *)(const void *)record, insn->c) : -EINVAL;
	free(record);
	if (rc)
		DEVICE_FAIL(d, "operator %u, task %u: %s", head.op, task, strerror(-rc));
	d->macs[task] += run.macs;
	return 0;
}

/* From one barrier to the next: each task runs through alone. */
static inline int device_segment(struct device *d, uint32_t from, uint32_t to, uint32_t pp, bool backwards)
{
	for (uint32_t t = 0; t < DEVICE_TASKS; t++) {
		for (uint32_t pc = from; pc < to; pc += ISA_INSN_BYTES) {
			struct isa_insn insn;
			memcpy(&insn, d->text.data + pc, sizeof(insn));
			if (insn.opcode != ISA_TENSOR)
				DEVICE_FAIL(d, "opcode %u", insn.opcode);
			int rc = device_tensor(d, &insn, pp, backwards ? DEVICE_TASKS - 1 - t : t);
			if (rc)
				return rc;
		}
	}
	d->tensors += (to - from) / ISA_INSN_BYTES;
	return 0;
}

static inline int device_group(struct device *d, const struct zy_subgraph *sg, bool backwards)
{
	static const uint32_t end_packet[4] = ZY3_END_PACKET;
	uint32_t from = sg->text_offset;

	for (uint32_t pc = from;; pc += ISA_INSN_BYTES) {
		if (pc % ISA_INSN_BYTES || pc > d->text.bytes - ISA_INSN_BYTES)
			DEVICE_FAIL(d, "pc %u", pc);
		bool end = memcmp(d->text.data + pc, end_packet, sizeof(end_packet)) == 0;
		if (!end && d->text.data[pc] != ISA_BARRIER)
			continue;
		int rc = device_segment(d, from, pc, sg->rodata_offset, backwards);
		if (rc || end)
			return rc;
		from = pc + ISA_INSN_BYTES;
		backwards = !backwards;
	}
}

/* Number of TENSOR instructions, without running them. */
static inline uint32_t device_count_tensors(const struct device *d)
{
	uint32_t n = 0;

	for (uint32_t pc = 0; pc < d->text.bytes; pc += ISA_INSN_BYTES)
		n += d->text.data[pc] == ISA_TENSOR;
	return n;
}

static inline int device_run(struct device *d, bool backwards)
{
	struct cursor_in c = {d->subgraphs.data, d->subgraphs.data + d->subgraphs.bytes};
	uint32_t count = 0;

	if (take(&c, &count, sizeof(count)) || count == 0)
		DEVICE_FAIL(d, "subgraphs");
	for (uint32_t i = 0; i < count; i++) {
		struct zy_subgraph sg;
		uint32_t words[2] = {0};
		if (take(&c, &sg, sizeof(sg)) || sg.private_data_size == 0 || sg.fm_desc_offset != 0 ||
		    sg.precursor_cnt != (i ? 1 : -1) || (uint64_t)sg.rodata_offset + sg.rodata_size > d->rodata.bytes ||
		    (i && (take(&c, words, 4) || words[0] >= i)) || take(&c, &words[1], 4) || words[1] != 0)
			DEVICE_FAIL(d, "subgraph %u", i);
		int rc = device_group(d, &sg, backwards);
		if (rc)
			return rc;
	}
	return c.at == c.end ? 0 : -EBADMSG;
}

#endif
