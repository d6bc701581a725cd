/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one EXIF field that matters for recognition: which way up the camera was held. Reads hostile bytes: every offset
 * is checked against the block, and anything odd means "upright".
 */
#include "tools/image.h"

#include <string.h>

#define EXIF_TAG_ORIENTATION 0x0112u
#define EXIF_MAX_ENTRIES 512u

struct tiff {
	const uint8_t *data;
	size_t bytes;
	bool big_endian;
};

static bool tiff_u16(const struct tiff *tiff, size_t at, uint32_t *out)
{
	if (at > tiff->bytes || tiff->bytes - at < 2)
		return false;
	const uint8_t *p = tiff->data + at;
	*out = tiff->big_endian ? (uint32_t)(p[0] << 8 | p[1]) : (uint32_t)(p[1] << 8 | p[0]);
	return true;
}

static bool tiff_u32(const struct tiff *tiff, size_t at, uint32_t *out)
{
	uint32_t first, second;

	if (!tiff_u16(tiff, at, &first) || !tiff_u16(tiff, at + 2, &second))
		return false;
	*out = tiff->big_endian ? first << 16 | second : second << 16 | first;
	return true;
}

uint32_t exif_orientation(const uint8_t *data, size_t bytes)
{
	static const char magic[6] = "Exif";
	uint32_t directory, count, tag, value;

	if (bytes < sizeof(magic) + 8 || memcmp(data, magic, sizeof(magic)) != 0)
		return 1;
	struct tiff tiff = {.data = data + sizeof(magic), .bytes = bytes - sizeof(magic)};
	tiff.big_endian = tiff.data[0] == 'M';
	if (!tiff_u32(&tiff, 4, &directory) || !tiff_u16(&tiff, directory, &count))
		return 1;
	for (uint32_t i = 0; i < count && i < EXIF_MAX_ENTRIES; i++) {
		size_t entry = (size_t)directory + 2 + (size_t)i * 12;

		if (!tiff_u16(&tiff, entry, &tag))
			return 1;
		if (tag == EXIF_TAG_ORIENTATION)
			return tiff_u16(&tiff, entry + 8, &value) && value >= 1 && value <= 8 ? value : 1;
	}
	return 1;
}
