/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a picture of any size to the float canvas of a network: placement and resampling. The filter is a triangle as
 * wide as one output pixel (at least one input pixel): smooth when enlarging, without aliasing when reducing.
 */
#include "tools/image.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* The input pixels that one output pixel is made of, along one axis. */
struct span {
	uint32_t first;
	uint32_t count;
	double centre;
	double support;
};

static struct span span_of(uint32_t index, uint32_t from, uint32_t to)
{
	double ratio = (double)from / to;
	struct span span = {.centre = (index + 0.5) * ratio, .support = fmax(1.0, ratio)};
	double low = floor(span.centre - span.support);
	double high = ceil(span.centre + span.support);

	span.first = low > 0 ? (uint32_t)low : 0;
	span.count = (high < from ? (uint32_t)high : from) - span.first;
	return span;
}

static float span_weight(const struct span *span, uint32_t i)
{
	return (float)fmax(0.0, 1.0 - fabs(span->first + i + 0.5 - span->centre) / span->support);
}

/* One row of RGB bytes, made as wide as the placed picture. */
static void row_resample(const uint8_t *in, uint32_t from, float *out, uint32_t to)
{
	for (uint32_t x = 0; x < to; x++) {
		struct span span = span_of(x, from, to);
		float sum[3] = {0}, total = 0;

		for (uint32_t i = 0; i < span.count; i++) {
			float weight = span_weight(&span, i);
			const uint8_t *pixel = in + (size_t)(span.first + i) * 3;

			total += weight;
			for (int c = 0; c < 3; c++)
				sum[c] += weight * pixel[c];
		}
		for (int c = 0; c < 3; c++)
			out[(size_t)x * 3 + (size_t)c] = sum[c] / (total * 255.0f);
	}
}

/* One row of the canvas, out of the rows that row_resample() made. */
static void column_resample(const float *rows, size_t row_floats, const struct span *span, float gain, float bias,
			    float *out)
{
	float total = 0;

	for (uint32_t i = 0; i < span->count; i++)
		total += span_weight(span, i);
	for (size_t x = 0; x < row_floats; x++)
		out[x] = 0;
	for (uint32_t i = 0; i < span->count; i++) {
		float weight = span_weight(span, i) / total;
		const float *row = rows + (size_t)(span->first + i) * row_floats;

		for (size_t x = 0; x < row_floats; x++)
			out[x] += weight * row[x];
	}
	for (size_t x = 0; x < row_floats; x++)
		out[x] = out[x] * gain + bias;
}

struct letterbox letterbox_fit(const struct image *image, uint32_t width, uint32_t height, bool keep_proportions)
{
	struct letterbox box = {.width = width, .height = height};

	if (keep_proportions) {
		double scale = fmin((double)width / image->width, (double)height / image->height);

		box.width = (uint32_t)fmin(width, fmax(1, round(image->width * scale)));
		box.height = (uint32_t)fmin(height, fmax(1, round(image->height * scale)));
	}
	box.offset_x = (width - box.width) / 2;
	box.offset_y = (height - box.height) / 2;
	box.scale_x = (double)box.width / image->width;
	box.scale_y = (double)box.height / image->height;
	return box;
}

int image_to_canvas(const struct image *image, const struct letterbox *box, uint32_t width, uint32_t height, float gain,
		    float bias, float *canvas)
{
	size_t row_floats = (size_t)box->width * 3;
	float *rows = calloc(image->height, row_floats * sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (uint32_t y = 0; y < image->height; y++)
		row_resample(image->rgb + (size_t)y * image->width * 3, image->width, rows + y * row_floats,
			     box->width);
	for (size_t i = 0; i < (size_t)width * height * 3; i++)
		canvas[i] = bias;
	for (uint32_t y = 0; y < box->height; y++) {
		struct span span = span_of(y, image->height, box->height);
		size_t at = ((size_t)(box->offset_y + y) * width + box->offset_x) * 3;

		column_resample(rows, row_floats, &span, gain, bias, canvas + at);
	}
	free(rows);
	return 0;
}
