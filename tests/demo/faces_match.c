/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faces_match GOT.json WANTED.json: do two reports agree on the faces? The same number, and for each wanted face one of
 * its own with an intersection over union of at least 0.95 and a score within 0.01. Exit code 0 if so.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdbool.h>

#include <jansson.h>

#define MIN_OVERLAP 0.95
#define MAX_SCORE_DIFFERENCE 0.01
#define MAX_FACES 64

struct found {
	double score;
	double box[4]; /* left, top, right, bottom */
};

static size_t report_read(const char *path, struct found *faces)
{
	json_error_t error = {0};
	json_t *root = json_load_file(path, 0, &error);
	json_t *list = json_object_get(root, "faces");
	size_t count = json_array_size(list);

	if (!root || !list || count > MAX_FACES) {
		(void)fprintf(stderr, "%s: no list of faces: %s\n", path, error.text);
		json_decref(root);
		exit(2);
	}
	for (size_t i = 0; i < count; i++) {
		json_t *face = json_array_get(list, i);

		faces[i].score = json_number_value(json_object_get(face, "score"));
		for (size_t k = 0; k < 4; k++)
			faces[i].box[k] = json_number_value(json_array_get(json_object_get(face, "box"), k));
	}
	json_decref(root);
	return count;
}

static double box_area(const double *box)
{
	return fmax(0, box[2] - box[0]) * fmax(0, box[3] - box[1]);
}

static double overlap(const struct found *a, const struct found *b)
{
	const double shared[4] = {fmax(a->box[0], b->box[0]), fmax(a->box[1], b->box[1]), fmin(a->box[2], b->box[2]),
				  fmin(a->box[3], b->box[3])};
	double united = box_area(a->box) + box_area(b->box) - box_area(shared);

	return united > 0 ? box_area(shared) / united : 0;
}

static bool face_matches(const struct found *wanted, const struct found *got, size_t count, bool *taken)
{
	double best = 0, difference = 1;
	size_t which = 0;

	for (size_t i = 0; i < count; i++) {
		double now = taken[i] ? 0 : overlap(wanted, &got[i]);

		if (now > best) {
			best = now;
			which = i;
			difference = fabs(wanted->score - got[i].score);
		}
	}
	printf("face at %.0f,%.0f: intersection over union %.4f, score difference %.5f\n", wanted->box[0],
	       wanted->box[1], best, difference);
	if (best < MIN_OVERLAP || difference > MAX_SCORE_DIFFERENCE)
		return false;
	taken[which] = true;
	return true;
}

int main(int argc, char **argv)
{
	struct found got[MAX_FACES], wanted[MAX_FACES];
	bool taken[MAX_FACES] = {false};
	bool agree = true;

	if (argc != 3) {
		(void)fprintf(stderr, "usage: faces_match GOT.json WANTED.json\n");
		return 2;
	}
	size_t got_count = report_read(argv[1], got);
	size_t wanted_count = report_read(argv[2], wanted);
	if (got_count != wanted_count) {
		printf("%zu faces instead of %zu\n", got_count, wanted_count);
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < wanted_count; i++)
		agree = face_matches(&wanted[i], got, got_count, taken) && agree;
	return agree ? EXIT_SUCCESS : EXIT_FAILURE;
}
