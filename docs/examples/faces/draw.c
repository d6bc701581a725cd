/* SPDX-License-Identifier: Apache-2.0 */
/* Marks faces in a picture: filled rectangles and a font of eleven letters. Never writes outside the picture. */
#include "docs/examples/faces/draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct colour {
	uint8_t red, green, blue;
};

static const struct colour box_colour = {57, 255, 20};
static const struct colour point_colour = {255, 60, 60};
static const struct colour text_colour = {0, 0, 0};

/* Seven rows of five dots each, the leftmost dot in bit 4. */
static const uint8_t font[11][7] = {
    {0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e}, {0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e},
    {0x0e, 0x11, 0x01, 0x06, 0x08, 0x10, 0x1f}, {0x0e, 0x11, 0x01, 0x06, 0x01, 0x11, 0x0e},
    {0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02}, {0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e},
    {0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e}, {0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08},
    {0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e}, {0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c},
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c}};

/* A coordinate that the network made up may be anything, also not a number. */
static int pixel_of(float value)
{
	return (int)fminf(fmaxf(value, -100000.0f), 100000.0f);
}

static void fill(struct image *image, int x0, int y0, int x1, int y1, struct colour colour)
{
	x0 = x0 < 0 ? 0 : x0;
	y0 = y0 < 0 ? 0 : y0;
	x1 = x1 > (int)image->width ? (int)image->width : x1;
	y1 = y1 > (int)image->height ? (int)image->height : y1;
	for (int y = y0; y < y1; y++) {
		for (int x = x0; x < x1; x++)
			memcpy(image->rgb + ((size_t)y * image->width + (size_t)x) * 3, &colour, 3);
	}
}

static void draw_text(struct image *image, const char *text, int x, int y, int dot)
{
	for (; *text; text++, x += 6 * dot) {
		const uint8_t *glyph = font[*text == '.' ? 10 : *text - '0'];

		for (int row = 0; row < 7; row++) {
			for (int column = 0; column < 5; column++) {
				if (glyph[row] & (0x10 >> column))
					fill(image, x + column * dot, y + row * dot, x + (column + 1) * dot,
					     y + (row + 1) * dot, text_colour);
			}
		}
	}
}

static void draw_score(struct image *image, float score, int x, int y, int dot)
{
	char text[8];

	(void)snprintf(text, sizeof(text), "%.2f", (double)fminf(fmaxf(score, 0), 1));
	int height = 9 * dot;
	int top = y - height >= 0 ? y - height : y;
	fill(image, x, top, x + (6 * (int)strlen(text) + 1) * dot, top + height, box_colour);
	draw_text(image, text, x + dot, top + dot, dot);
}

void draw_face(struct image *image, const struct face *face)
{
	uint32_t side = image->width > image->height ? image->width : image->height;
	int line = side > 400 ? (int)(side / 400) : 1;
	int x0 = pixel_of(face->centre.x - face->size.x / 2), x1 = pixel_of(face->centre.x + face->size.x / 2);
	int y0 = pixel_of(face->centre.y - face->size.y / 2), y1 = pixel_of(face->centre.y + face->size.y / 2);

	fill(image, x0, y0, x1, y0 + line, box_colour);
	fill(image, x0, y1 - line, x1, y1, box_colour);
	fill(image, x0, y0, x0 + line, y1, box_colour);
	fill(image, x1 - line, y0, x1, y1, box_colour);
	for (int k = 0; k < FACE_KEYPOINTS; k++) {
		int x = pixel_of(face->keypoints[k].x), y = pixel_of(face->keypoints[k].y);

		fill(image, x - line, y - line, x + line, y + line, point_colour);
	}
	draw_score(image, face->score, x0, y0, line > 1 ? line * 3 / 4 + 1 : 1);
}
