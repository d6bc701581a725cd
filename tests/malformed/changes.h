/* SPDX-License-Identifier: Apache-2.0 */
/* Where things are in the notes of the verified vector, and the means to change them before the file is built. */
#ifndef NPUD_TESTS_CHANGES_H
#define NPUD_TESTS_CHANGES_H

#include "tests/malformed/zyfile.h"

/* Offsets inside the vector's notes. */
#define AT_STACK 12u /* fmlist */
#define AT_STATIC_CNT 20u
#define AT_REUSE_CNT 24u
#define AT_STATIC0 28u
#define AT_STATIC1 96u
#define AT_REUSE0 216u
#define AT_REUSE1 336u
#define AT_REUSE2 408u
#define AT_SUB 16u /* first sub-section of a section */
#define AT_SUB_LOCATION 64u /* its first patch location */
#define AT_GROUP0 4u /* subgraphs */
#define AT_GROUP1 136u
#define AT_PRIVATE_CNT 64u
#define AT_PRIVATE 68u

static inline void row_poke(struct zf_file *file, const char *note, size_t at, uint32_t value)
{
	zf_poke(zf_note(file, note), at, value);
}

static inline void row_remove(struct zf_file *file, const char *note)
{
	zf_note(file, note)->size = 0;
}

static inline void row_gm(struct zf_file *file, uint32_t control, uint32_t fm, uint32_t type, uint32_t index,
			  size_t bytes)
{
	const struct zy_gmconfig config = {.control = control, .buffer[0] = {fm, type, index, 0}};

	zf_put(zf_note(file, ZY_NOTE_GMCONFIG), &config, sizeof(config));
	if (bytes > sizeof(config))
		zf_put(zf_note(file, ZY_NOTE_GMCONFIG), NULL, bytes - sizeof(config));
	zf_note(file, ZY_NOTE_GMCONFIG)->size = bytes;
}

static inline void row_remap(struct zf_file *file, uint32_t type, uint32_t offset, uint32_t next_type, uint32_t next)
{
	const uint32_t words[] = {1, type, offset, next_type, next};
	struct zf_bytes *note = zf_note(file, ZY_NOTE_REMAP);

	note->size = 0;
	zf_words(note, words, 5);
}

static inline void row_json(struct zf_file *file, const char *text)
{
	zf_put(zf_note(file, ZY_NOTE_GRAPHJSON), text, strlen(text));
}

#endif
