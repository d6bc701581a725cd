/* SPDX-License-Identifier: Apache-2.0 */
/* Marks faces in a picture. */
#ifndef FACES_DRAW_H
#define FACES_DRAW_H

#include "docs/examples/faces/blazeface.h"

/* Box, key points and score, as thick as the picture is large. Coordinates in pixels; what is outside is cut off. */
void draw_face(struct image *image, const struct face *face);

#endif
