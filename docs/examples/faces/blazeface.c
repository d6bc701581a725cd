/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From BlazeFace's raw outputs to faces. Every anchor is a cell of a 16 x 16 grid (two anchors each) or of an 8 x 8
 * grid (six each). The network gives the logit of "there is a face", and, in input pixels relative to the cell's
 * centre, where the face and its six key points are; the size of the face is absolute.
 */
#include "docs/examples/faces/blazeface.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CANDIDATES_MAX (BLAZEFACE_ANCHORS16 + BLAZEFACE_ANCHORS8)

struct grid {
	const float *scores;
	const float *boxes;
	uint32_t cells; /* in a row and in a column */
	uint32_t anchors; /* per cell */
};

static float sigmoid(float x)
{
	/* Far outside this range the result is 0 or 1 anyway, and expf() overflows. */
	return 1.0f / (1.0f + expf(-fminf(fmaxf(x, -80.0f), 80.0f)));
}

static struct point point_at(struct point anchor, const float *offset, float size)
{
	return (struct point){anchor.x + offset[0] / size, anchor.y + offset[1] / size};
}

static size_t grid_collect(const struct grid *grid, float size, float threshold, struct face *faces, size_t count)
{
	for (uint32_t i = 0; i < grid->cells * grid->cells * grid->anchors; i++) {
		uint32_t cell = i / grid->anchors, column = cell % grid->cells, row = cell / grid->cells;
		struct point anchor = {((float)column + 0.5f) / (float)grid->cells,
				       ((float)row + 0.5f) / (float)grid->cells};
		const float *values = grid->boxes + (size_t)i * FACE_VALUES;
		struct face face = {.score = sigmoid(grid->scores[i])};

		if (!(face.score > threshold) || count == CANDIDATES_MAX)
			continue;
		face.centre = point_at(anchor, values, size);
		face.size = (struct point){values[2] / size, values[3] / size};
		for (int k = 0; k < FACE_KEYPOINTS; k++)
			face.keypoints[k] = point_at(anchor, values + 4 + (ptrdiff_t)k * 2, size);
		faces[count++] = face;
	}
	return count;
}

/* Shared area over united area. */
static float face_overlap(const struct face *a, const struct face *b)
{
	float width = fminf(a->centre.x + a->size.x / 2, b->centre.x + b->size.x / 2) -
		      fmaxf(a->centre.x - a->size.x / 2, b->centre.x - b->size.x / 2);
	float height = fminf(a->centre.y + a->size.y / 2, b->centre.y + b->size.y / 2) -
		       fmaxf(a->centre.y - a->size.y / 2, b->centre.y - b->size.y / 2);
	float shared = fmaxf(width, 0) * fmaxf(height, 0);
	float united = a->size.x * a->size.y + b->size.x * b->size.y - shared;

	return united > 0 ? shared / united : 0;
}

static int face_compare(const void *left, const void *right)
{
	const struct face *a = left, *b = right;

	return a->score < b->score ? 1 : a->score > b->score ? -1 : 0;
}

static void point_add(struct point *sum, struct point value, float weight)
{
	sum->x += value.x * weight;
	sum->y += value.y * weight;
}

static void face_add(struct face *sum, const struct face *face, float weight)
{
	point_add(&sum->centre, face->centre, weight);
	point_add(&sum->size, face->size, weight);
	for (int k = 0; k < FACE_KEYPOINTS; k++)
		point_add(&sum->keypoints[k], face->keypoints[k], weight);
}

/*
 * Takes the best candidate and all that overlap with it out of the list: their mean, weighted by score, is the face.
 * Blending instead of picking keeps boxes steady when two anchors see the same face equally well.
 */
static struct face faces_blend(struct face *candidates, size_t *count)
{
	struct face best = candidates[0], sum = {0}, mean = {.score = best.score};
	float weight = 0;
	size_t kept = 0;

	for (size_t i = 0; i < *count; i++) {
		if (i > 0 && face_overlap(&best, &candidates[i]) < BLAZEFACE_OVERLAP) {
			candidates[kept++] = candidates[i];
			continue;
		}
		face_add(&sum, &candidates[i], candidates[i].score);
		weight += candidates[i].score;
	}
	face_add(&mean, &sum, 1.0f / weight);
	*count = kept;
	return mean;
}

size_t blazeface_decode(const struct blazeface_outputs *outputs, float size, float threshold, struct face *faces)
{
	struct face candidates[CANDIDATES_MAX];
	struct grid fine = {outputs->scores16, outputs->boxes16, 16, 2};
	struct grid coarse = {outputs->scores8, outputs->boxes8, 8, 6};
	size_t found = 0;

	size_t count = grid_collect(&fine, size, threshold, candidates, 0);
	count = grid_collect(&coarse, size, threshold, candidates, count);
	qsort(candidates, count, sizeof(candidates[0]), face_compare);
	while (count > 0 && found < FACES_MAX)
		faces[found++] = faces_blend(candidates, &count);
	return found;
}

static void point_to_photo(struct point *point, const struct letterbox *box, float size)
{
	point->x = (float)((point->x * (double)size - box->offset_x) / box->scale_x);
	point->y = (float)((point->y * (double)size - box->offset_y) / box->scale_y);
}

void face_to_photo(struct face *face, const struct letterbox *box, float size)
{
	point_to_photo(&face->centre, box, size);
	face->size.x = (float)(face->size.x * size / box->scale_x);
	face->size.y = (float)(face->size.y * size / box->scale_y);
	for (int k = 0; k < FACE_KEYPOINTS; k++)
		point_to_photo(&face->keypoints[k], box, size);
}
