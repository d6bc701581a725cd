/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures from files: limits, telling formats apart, turning upright. The formats themselves are in image_jpeg.c and
 * image_png.c. Never allocates before the dimensions are checked.
 */
#include "tools/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/file.h"

void image_free(struct image *image)
{
	free(image->rgb);
	*image = (struct image){0};
}

int image_allocate(struct image *image, const char *path, uint64_t width, uint64_t height, struct reason *why)
{
	if (width == 0 || height == 0)
		return reason_set(why, -EINVAL, "%s: the picture is %llu x %llu pixels, nothing to look at", path,
				  (unsigned long long)width, (unsigned long long)height);
	if (width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE || width * height > IMAGE_MAX_PIXELS)
		return reason_set(
		    why, -EFBIG, "%s: the picture is %llu x %llu pixels; the limit is %u a side and %u in all", path,
		    (unsigned long long)width, (unsigned long long)height, IMAGE_MAX_SIDE, IMAGE_MAX_PIXELS);
	image->rgb = malloc((size_t)(width * height * 3));
	if (!image->rgb)
		return reason_set(why, -ENOMEM, "%s: no memory for %llu x %llu pixels", path, (unsigned long long)width,
				  (unsigned long long)height);
	image->width = (uint32_t)width;
	image->height = (uint32_t)height;
	return 0;
}

int image_orient(struct image *image, uint32_t orientation)
{
	if (orientation <= 1 || orientation > 8)
		return 0;
	bool swap = orientation >= 5; /* rows become columns */
	bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
	bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
	uint32_t width = swap ? image->height : image->width;
	uint32_t height = swap ? image->width : image->height;
	uint8_t *turned = malloc((size_t)width * height * 3);

	if (!turned)
		return -ENOMEM;
	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			uint32_t from_x = swap ? y : x;
			uint32_t from_y = swap ? x : y;

			if (flip_x)
				from_x = image->width - 1 - from_x;
			if (flip_y)
				from_y = image->height - 1 - from_y;
			memcpy(turned + ((size_t)y * width + x) * 3,
			       image->rgb + ((size_t)from_y * image->width + from_x) * 3, 3);
		}
	}
	free(image->rgb);
	*image = (struct image){.width = width, .height = height, .rgb = turned};
	return 0;
}

static int image_decode(const char *path, const uint8_t *data, size_t bytes, struct image *out, struct reason *why)
{
	static const uint8_t jpeg[] = {0xff, 0xd8, 0xff};
	static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
	uint32_t orientation = 1;

	if (bytes >= sizeof(png) && memcmp(data, png, sizeof(png)) == 0)
		return image_decode_png(path, data, bytes, out, why);
	if (bytes < sizeof(jpeg) || memcmp(data, jpeg, sizeof(jpeg)) != 0)
		return reason_set(why, -EINVAL, "%s: neither a JPEG nor a PNG picture", path);
	int error = image_decode_jpeg(path, data, bytes, out, &orientation, why);
	if (error)
		return error;
	if (image_orient(out, orientation) < 0) {
		image_free(out);
		return reason_set(why, -ENOMEM, "%s: out of memory", path);
	}
	return 0;
}

int image_read(const char *path, struct image *out, struct reason *why)
{
	uint8_t *data = NULL;
	size_t bytes = 0;
	int error = file_read(path, IMAGE_MAX_FILE_BYTES, &data, &bytes, why);

	if (error)
		return error;
	error = image_decode(path, data, bytes, out, why);
	free(data);
	return error;
}

bool image_has_suffix(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot && (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg") || !strcasecmp(dot, ".png"));
}
