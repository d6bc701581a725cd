/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JPEG files to pixels, by libjpeg. A file that ends early or is damaged is refused: libjpeg alone would fill the rest
 * with grey and call it a warning.
 */
#include "tools/image.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <jerror.h>

struct jpeg {
	struct jpeg_decompress_struct codec;
	struct jpeg_error_mgr errors;
	jmp_buf failed;
	char message[JMSG_LENGTH_MAX];
	struct image image;
	uint32_t orientation;
};

static void jpeg_fail(j_common_ptr codec)
{
	struct jpeg *jpeg = codec->client_data;

	codec->err->format_message(codec, jpeg->message);
	longjmp(jpeg->failed, 1);
}

/* Levels from 0 are traces. Warnings about oddities that cost no pixel are let pass, all others end the decoding. */
static void jpeg_warn(j_common_ptr codec, int level)
{
	if (level >= 0)
		return;
	switch (codec->err->msg_code) {
	case JWRN_EXTRANEOUS_DATA:
	case JWRN_JFIF_MAJOR:
	case JWRN_ADOBE_XFORM:
	case JWRN_BOGUS_PROGRESSION:
		return;
	default:
		jpeg_fail(codec);
	}
}

static void jpeg_silent(j_common_ptr codec)
{
	(void)codec;
}

static int jpeg_read_pixels(struct jpeg *jpeg, const char *path, struct reason *why)
{
	struct jpeg_decompress_struct *codec = &jpeg->codec;

	for (jpeg_saved_marker_ptr marker = codec->marker_list; marker && jpeg->orientation == 1; marker = marker->next)
		jpeg->orientation = exif_orientation(marker->data, marker->data_length);
	if (codec->jpeg_color_space == JCS_CMYK || codec->jpeg_color_space == JCS_YCCK)
		return reason_set(why, -ENOTSUP, "%s: the picture is in CMYK, for printing; convert it to RGB", path);
	codec->out_color_space = JCS_RGB;
	int error = image_allocate(&jpeg->image, path, codec->image_width, codec->image_height, why);
	if (error)
		return error;
	jpeg_start_decompress(codec);
	while (codec->output_scanline < codec->output_height) {
		JSAMPROW row = jpeg->image.rgb + (size_t)codec->output_scanline * jpeg->image.width * 3;

		(void)jpeg_read_scanlines(codec, &row, 1);
	}
	jpeg_finish_decompress(codec);
	return 0;
}

static int jpeg_run(struct jpeg *jpeg, const char *path, const uint8_t *data, size_t bytes, struct reason *why)
{
	jpeg->codec.err = jpeg_std_error(&jpeg->errors);
	jpeg->errors.error_exit = jpeg_fail;
	jpeg->errors.emit_message = jpeg_warn;
	jpeg->errors.output_message = jpeg_silent;
	jpeg->codec.client_data = jpeg;
	if (setjmp(jpeg->failed)) /* NOLINT(cert-err52-cpp): the only way libjpeg has to report an error */
		return reason_set(why, -EBADMSG, "%s: not a usable JPEG: %s", path, jpeg->message);
	jpeg_create_decompress(&jpeg->codec);
	jpeg->codec.mem->max_memory_to_use = 256L << 20;
	jpeg_save_markers(&jpeg->codec, JPEG_APP0 + 1, 0xffff);
	jpeg_mem_src(&jpeg->codec, data, bytes);
	(void)jpeg_read_header(&jpeg->codec, TRUE);
	return jpeg_read_pixels(jpeg, path, why);
}

int image_decode_jpeg(const char *path, const uint8_t *data, size_t bytes, struct image *out, uint32_t *orientation,
		      struct reason *why)
{
	/* On the heap: locals changed between setjmp() and longjmp() would be lost. */
	struct jpeg *jpeg = calloc(1, sizeof(*jpeg));

	if (!jpeg)
		return reason_set(why, -ENOMEM, "%s: out of memory", path);
	jpeg->orientation = 1;
	int error = jpeg_run(jpeg, path, data, bytes, why);
	jpeg_destroy_decompress(&jpeg->codec);
	if (error) {
		image_free(&jpeg->image);
	} else {
		*out = jpeg->image;
		*orientation = jpeg->orientation;
	}
	free(jpeg);
	return error;
}
