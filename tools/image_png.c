/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PNG files to pixels and back, by libpng's simplified interface. Transparent pixels are laid over black. The
 * dimensions are checked before anything is decompressed.
 */
#include "tools/image.h"

#include <errno.h>

#include <png.h>

int image_decode_png(const char *path, const uint8_t *data, size_t bytes, struct image *out, struct reason *why)
{
	png_image png = {.version = PNG_IMAGE_VERSION};
	png_color black = {0, 0, 0};
	struct image image = {0};

	if (!png_image_begin_read_from_memory(&png, data, bytes)) {
		png_image_free(&png);
		return reason_set(why, -EBADMSG, "%s: not a usable PNG: %s", path, png.message);
	}
	png.format = PNG_FORMAT_RGB;
	int error = image_allocate(&image, path, png.width, png.height, why);
	if (error) {
		png_image_free(&png);
		return error;
	}
	if (!png_image_finish_read(&png, &black, image.rgb, 0, NULL)) {
		image_free(&image);
		return reason_set(why, -EBADMSG, "%s: not a usable PNG: %s", path, png.message);
	}
	*out = image;
	return 0;
}

int image_write_png(const char *path, const struct image *image, struct reason *why)
{
	png_image png = {
	    .version = PNG_IMAGE_VERSION, .width = image->width, .height = image->height, .format = PNG_FORMAT_RGB};

	if (!png_image_write_to_file(&png, path, 0, image->rgb, 0, NULL))
		return reason_set(why, -EIO, "%s: %s", path, png.message);
	return 0;
}
