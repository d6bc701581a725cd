/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of an executable while they are put together. */
#ifndef NPUD_EMULATOR_COMPILER_IMAGE_H
#define NPUD_EMULATOR_COMPILER_IMAGE_H

#include "emulator/compiler/bytes.h"
#include "emulator/compiler/cc.h"

/* A word of rodata that receives the address of a byte of a section. */
struct patch {
	uint32_t section; /* static sections first, then reuse sections */
	uint32_t offset;
	uint32_t location;
};

struct image {
	struct bytes text;
	struct bytes rodata;
	struct bytes weight;
	struct bytes fmlist;
	struct bytes subgraphs;
	struct bytes json;
	struct patch *patches;
	size_t patch_count;
	size_t patch_room;
	struct storage **statics; /* one storage for each static section, in order of place */
	uint32_t static_count;
	uint32_t reuse_count;
	uint32_t *static_of; /* storage id -> static section */
};

void image_free(struct image *image);
void image_weights(struct cc *cc, struct image *image); /* weights.c */
void image_program(struct cc *cc, struct image *image); /* program.c */
void image_sections(struct cc *cc, struct image *image); /* sections.c */
void image_json(struct cc *cc, struct image *image); /* sections.c */
void image_elf(struct cc *cc, const struct image *image, struct npucc_result *result); /* elf.c */

#endif
