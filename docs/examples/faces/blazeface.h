/* SPDX-License-Identifier: Apache-2.0 */
/* The BlazeFace detector around the network: from its raw outputs to faces. */
#ifndef FACES_BLAZEFACE_H
#define FACES_BLAZEFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/image.h"

#define FACE_KEYPOINTS 6
#define FACE_VALUES (4 + 2 * FACE_KEYPOINTS) /* what the network says about one anchor */
#define FACES_MAX 64
#define BLAZEFACE_THRESHOLD 0.6f
#define BLAZEFACE_OVERLAP 0.3f

struct point {
	float x, y;
};

/* Coordinates in the unit square of the network's input, or in pixels after face_to_photo(). */
struct face {
	float score; /* 0..1 */
	struct point centre;
	struct point size;
	struct point keypoints[FACE_KEYPOINTS]; /* eye, eye, nose, mouth, ear, ear */
};

/* The network's four outputs: for the 16 x 16 x 2 and the 8 x 8 x 6 grid, one score and 16 values per anchor. */
struct blazeface_outputs {
	const float *scores16, *scores8;
	const float *boxes16, *boxes8;
};

#define BLAZEFACE_ANCHORS16 ((size_t)16 * 16 * 2)
#define BLAZEFACE_ANCHORS8 ((size_t)8 * 8 * 6)

/*
 * Finds the faces: anchors above @threshold, overlapping ones blended into one. @size is the side of the network's
 * input in pixels. Returns their number, best first, at most FACES_MAX.
 */
size_t blazeface_decode(const struct blazeface_outputs *outputs, float size, float threshold, struct face *faces);

/* From the unit square of a square canvas of @size pixels back to the pixels of the photo that was placed on it. */
void face_to_photo(struct face *face, const struct letterbox *box, float size);

#endif
