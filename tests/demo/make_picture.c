/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_picture KIND OUT.jpg: pictures for the demo's tests. `gradient` is a good picture without a face; `huge` and
 * `flat` announce 65500 x 65500 and 640 x 0 pixels; `sideways` is the gradient with an EXIF orientation of 6.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#define WIDTH 640u
#define HEIGHT 480u

static const uint8_t exif_turned[] = {'E', 'x',  'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
				      1,   0x12, 0,   3,   0, 0, 0,   1,   0, 6,  0, 0, 0, 0, 0, 0};

static void gradient_write(struct jpeg_compress_struct *codec)
{
	uint8_t row[WIDTH * 3];

	while (codec->next_scanline < codec->image_height) {
		JSAMPROW rows[1] = {row};

		for (uint32_t x = 0; x < WIDTH; x++) {
			row[(size_t)x * 3] = (uint8_t)(x * 255 / WIDTH);
			row[(size_t)x * 3 + 1] = (uint8_t)(codec->next_scanline * 255 / HEIGHT);
			row[(size_t)x * 3 + 2] = 96;
		}
		(void)jpeg_write_scanlines(codec, rows, 1);
	}
}

static void gradient_make(uint8_t **out, unsigned long *bytes, int turned)
{
	struct jpeg_compress_struct codec = {0};
	struct jpeg_error_mgr errors;

	codec.err = jpeg_std_error(&errors); /* the default ends the program with a message, which is right here */
	jpeg_create_compress(&codec);
	jpeg_mem_dest(&codec, out, bytes);
	codec.image_width = WIDTH;
	codec.image_height = HEIGHT;
	codec.input_components = 3;
	codec.in_color_space = JCS_RGB;
	jpeg_set_defaults(&codec);
	jpeg_start_compress(&codec, TRUE);
	if (turned)
		jpeg_write_marker(&codec, JPEG_APP0 + 1, exif_turned, sizeof(exif_turned));
	gradient_write(&codec);
	jpeg_finish_compress(&codec);
	jpeg_destroy_compress(&codec);
}

/* Overwrites the size in the frame header (marker ff c0: length, precision, height, width). */
static void size_forge(uint8_t *data, unsigned long bytes, unsigned int width, unsigned int height)
{
	for (unsigned long i = 2; i + 9 < bytes; i++) {
		if (data[i] != 0xff || data[i + 1] != 0xc0)
			continue;
		data[i + 5] = (uint8_t)(height >> 8);
		data[i + 6] = (uint8_t)height;
		data[i + 7] = (uint8_t)(width >> 8);
		data[i + 8] = (uint8_t)width;
		return;
	}
}

int main(int argc, char **argv)
{
	uint8_t *data = NULL;
	unsigned long bytes = 0;

	if (argc != 3) {
		(void)fprintf(stderr, "usage: make_picture gradient|huge|flat|sideways OUT.jpg\n");
		return 2;
	}
	gradient_make(&data, &bytes, strcmp(argv[1], "sideways") == 0);
	if (strcmp(argv[1], "huge") == 0)
		size_forge(data, bytes, 65500, 65500);
	else if (strcmp(argv[1], "flat") == 0)
		size_forge(data, bytes, WIDTH, 0);
	FILE *file = fopen(argv[2], "wbe");
	int written = file && fwrite(data, 1, bytes, file) == bytes;
	if (file && fclose(file) != 0)
		written = 0;
	free(data);
	return written ? EXIT_SUCCESS : EXIT_FAILURE;
}
