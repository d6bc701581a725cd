/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures: JPEG and PNG in, PNG out, and from pixels to the float values of a tensor. */
#ifndef NPUD_TOOLS_IMAGE_H
#define NPUD_TOOLS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/reason.h"

#define IMAGE_MAX_SIDE 16384u
#define IMAGE_MAX_PIXELS (64u << 20)
#define IMAGE_MAX_FILE_BYTES (64u << 20)

/* 8-bit RGB, rows from the top, no padding. */
struct image {
	uint32_t width;
	uint32_t height;
	uint8_t *rgb;
};

/* A picture inside a larger or smaller canvas: canvas = picture * scale + offset, per axis. */
struct letterbox {
	double scale_x, scale_y;
	uint32_t offset_x, offset_y;
	uint32_t width, height; /* of the picture on the canvas */
};

/* Reads a JPEG or PNG, told apart by content, turned upright as its EXIF orientation says; image_free() releases it. */
int image_read(const char *path, struct image *out, struct reason *why);
int image_write_png(const char *path, const struct image *image, struct reason *why);
void image_free(struct image *image);

/* True if the file name ends as a picture's does. */
bool image_has_suffix(const char *path);

/* How @image fits into @width x @height: centred with its proportions kept, or stretched over all of it. */
struct letterbox letterbox_fit(const struct image *image, uint32_t width, uint32_t height, bool keep_proportions);

/*
 * Fills a canvas of @width x @height x 3 floats (rows from the top, channels last): the resampled picture as
 * value * gain + bias with value in 0..1, and the border as black.
 */
int image_to_canvas(const struct image *image, const struct letterbox *box, uint32_t width, uint32_t height, float gain,
		    float bias, float *canvas);

/* --- between the files of this helper */

/* The dimensions are plausible and affordable; on success, room for the pixels. */
int image_allocate(struct image *image, const char *path, uint64_t width, uint64_t height, struct reason *why);
int image_decode_jpeg(const char *path, const uint8_t *data, size_t bytes, struct image *out, uint32_t *orientation,
		      struct reason *why);
int image_decode_png(const char *path, const uint8_t *data, size_t bytes, struct image *out, struct reason *why);
/* The EXIF orientation, 1 to 8, in the body of an APP1 marker; 1 if there is none. */
uint32_t exif_orientation(const uint8_t *data, size_t bytes);
/* Turns and mirrors the picture as an EXIF orientation says. */
int image_orient(struct image *image, uint32_t orientation);

#endif
