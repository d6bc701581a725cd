/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faces: finds the faces on a photograph with the BlazeFace network on an NPU. An example of a program that uses
 * libnpu; network.c is the part to read.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "docs/examples/faces/draw.h"
#include "docs/examples/faces/network.h"
#include "docs/examples/faces/report.h"
#include "tools/npy.h"

#define DUMP_SIZE 256u

struct options {
	const char *model;
	const char *photo;
	const char *png;
	const char *json;
	const char *dump;
	const char *socket;
	float threshold;
};

static const char usage[] =
    "usage: faces --model BLAZEFACE.elf --photo PHOTO [--png OUT.png] [--json OUT.json] [--threshold 0.6]\n"
    "             [--socket NPUD.sock] [--dump-input INPUT.npy]\n"
    "Finds the faces on a JPEG or PNG photograph. Exit code 0: found, 1: none or failed, 2: wrong usage.\n"
    "--dump-input writes what the network would see; without --model nothing else is done.\n";

static int usage_error(const char *what)
{
	(void)fprintf(stderr, "faces: %s\n%s", what, usage);
	return 2;
}

static int threshold_parse(const char *text, float *out)
{
	char *end = NULL;
	float value = strtof(text, &end);

	if (end == text || *end || !(value > 0 && value < 1))
		return -EINVAL;
	*out = value;
	return 0;
}

static int options_parse(int argc, char **argv, struct options *options)
{
	static const struct option list[] = {{"model", required_argument, NULL, 'm'},
					     {"photo", required_argument, NULL, 'p'},
					     {"png", required_argument, NULL, 'o'},
					     {"json", required_argument, NULL, 'j'},
					     {"socket", required_argument, NULL, 's'},
					     {"dump-input", required_argument, NULL, 'd'},
					     {"help", no_argument, NULL, 'h'},
					     {"threshold", required_argument, NULL, 't'},
					     {NULL, 0, NULL, 0}};
	const char **const targets[] = {['m'] = &options->model, ['p'] = &options->photo, ['o'] = &options->png,
					['j'] = &options->json,  ['d'] = &options->dump,  ['s'] = &options->socket};
	int option;

	options->threshold = BLAZEFACE_THRESHOLD;
	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		}
		if (option == '?')
			return 2;
		if (option == 't' && threshold_parse(optarg, &options->threshold) < 0)
			return usage_error("--threshold is a number between 0 and 1");
		if (option != 't')
			*targets[option] = optarg;
	}
	if (optind < argc || !options->photo || (!options->model && !options->dump))
		return usage_error("--photo and one of --model and --dump-input are needed, and nothing else");
	return 0;
}

/* The network was trained on values from -1 to 1. */
static int photo_place(const struct image *photo, uint32_t size, float *canvas, struct letterbox *box,
		       struct reason *why)
{
	*box = letterbox_fit(photo, size, size, true);
	if (image_to_canvas(photo, box, size, size, 2.0f, -1.0f, canvas) < 0)
		return reason_set(why, -ENOMEM, "no memory to resample the photo");
	return 0;
}

static int input_dump(const char *path, const float *input, uint32_t size, struct reason *why)
{
	const uint32_t shape[4] = {1, size, size, 3};

	return npy_write(path, NPU_F32, 4, shape, input, (size_t)size * size * 3 * sizeof(float), why);
}

static int dump_only(const struct options *options, const struct image *photo, struct reason *why)
{
	struct letterbox box;
	float *canvas = calloc((size_t)DUMP_SIZE * DUMP_SIZE * 3, sizeof(*canvas));

	if (!canvas)
		return reason_set(why, -ENOMEM, "out of memory");
	int error = photo_place(photo, DUMP_SIZE, canvas, &box, why);
	if (!error)
		error = input_dump(options->dump, canvas, DUMP_SIZE, why);
	free(canvas);
	return error;
}

static int report_write(const struct options *options, const struct report *report, struct image *photo,
			struct reason *why)
{
	int error = 0;

	report_print(report);
	for (size_t i = 0; i < report->count; i++)
		draw_face(photo, &report->faces[i]);
	if (options->png)
		error = image_write_png(options->png, photo, why);
	if (!error && options->json)
		error = report_write_json(report, options->json, why);
	return error;
}

static int detect(const struct options *options, struct network *network, struct image *photo, uint64_t start,
		  struct reason *why)
{
	struct face faces[FACES_MAX];
	struct letterbox box;
	struct report report = {.photo = options->photo,
				.width = photo->width,
				.height = photo->height,
				.faces = faces,
				.network = network};

	int error = photo_place(photo, network->size, network->input, &box, why);
	report.prepare_ns = clock_ns() - start - network->load_ns;
	if (!error && options->dump)
		error = input_dump(options->dump, network->input, network->size, why);
	if (!error)
		error = network_run(network, why);
	if (error)
		return error;
	start = clock_ns();
	report.count = blazeface_decode(&network->outputs, (float)network->size, options->threshold, faces);
	for (size_t i = 0; i < report.count; i++)
		face_to_photo(&faces[i], &box, (float)network->size);
	report.decode_ns = clock_ns() - start;
	error = report_write(options, &report, photo, why);
	if (!error && report.count == 0)
		return reason_set(why, -ENOENT, "no face found in %s", options->photo);
	return error;
}

static int faces_run(const struct options *options, struct reason *why)
{
	struct image photo = {0};
	struct network network = {0};
	uint64_t start = clock_ns();

	int error = image_read(options->photo, &photo, why);
	if (error)
		return error;
	if (!options->model) {
		error = dump_only(options, &photo, why);
	} else {
		error = network_open(&network, options->socket, options->model, why);
		if (!error)
			error = detect(options, &network, &photo, start, why);
		network_close(&network);
	}
	image_free(&photo);
	return error;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct reason why = {0};

	int code = options_parse(argc, argv, &options);
	if (code)
		return code;
	if (faces_run(&options, &why) < 0) {
		(void)fflush(stdout);
		(void)fprintf(stderr, "faces: %s\n", why.text);
		return EXIT_FAILURE;
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
