/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl run: one model, its inputs, its outputs, its latency. Only reads options and joins the parts. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/commands.h"
#include "tools/run.h"

#define MAX_BUDGET_MS 3600000u

const char usage_run[] =
    "usage: npuctl run MODEL.elf|MODEL.onnx [OPTION...]\n"
    "  --input NAME=WHAT     an input tensor's value; NAME is its name or number. WHAT is one of\n"
    "                          random[:SEED]   xorshift32, floats in [-1, 1)\n"
    "                          FILE.npy        type and shape must be the tensor's\n"
    "                          FILE.jpg, .png  resampled into a 1xHxWx3 or 1x3xHxW tensor\n"
    "                          FILE            raw bytes, exactly as many as the tensor has\n"
    "                        without NAME= it holds for all inputs that are not named\n"
    "  --output FOLDER       write every output as FOLDER/NAME.npy; without it, print a line about each\n"
    "  --repeat N            run N times and print latency percentiles\n"
    "  --shape NAME=1x3x8x8  fixes an open input shape of an ONNX model\n"
    "  --range LOW,HIGH      what black and white of a picture become (0,1)\n"
    "  --stretch             fill the tensor with the picture instead of keeping its proportions\n"
    "  --seed N              of the random inputs (1)\n"
    "  --budget MS           device time that one run may take (npud's default)\n"
    "  --socket NPUD.sock    npud's socket\n";

enum option_id { INPUT = 256, OUTPUT, REPEAT, SHAPE, RANGE, STRETCH, SEED, BUDGET, SOCKET, HELP };

static const struct option option_list[] = {{"input", required_argument, NULL, INPUT},
					    {"output", required_argument, NULL, OUTPUT},
					    {"repeat", required_argument, NULL, REPEAT},
					    {"shape", required_argument, NULL, SHAPE},
					    {"range", required_argument, NULL, RANGE},
					    {"stretch", no_argument, NULL, STRETCH},
					    {"seed", required_argument, NULL, SEED},
					    {"budget", required_argument, NULL, BUDGET},
					    {"socket", required_argument, NULL, SOCKET},
					    {"help", no_argument, NULL, HELP},
					    {NULL, 0, NULL, 0}};

static int number_parse(const char *text, uint32_t low, uint32_t high, uint32_t *out)
{
	char *end = NULL;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value < low || value > high)
		return -EINVAL;
	*out = (uint32_t)value;
	return 0;
}

static int range_parse(const char *text, float *low, float *high)
{
	char *end = NULL;

	*low = strtof(text, &end);
	if (end == text || *end != ',')
		return -EINVAL;
	text = end + 1;
	*high = strtof(text, &end);
	return end == text || *end ? -EINVAL : 0;
}

static int list_add(const char **list, size_t *count, size_t max, const char *text)
{
	if (*count == max)
		return -E2BIG;
	list[(*count)++] = text;
	return 0;
}

/* 0, or the exit code of wrong usage. */
static int option_take(struct run_options *options, int option, const char *text)
{
	uint32_t budget_ms = 0;

	switch (option) {
	case INPUT:
		return list_add(options->inputs, &options->input_count, RUN_MAX_INPUTS, text) < 0
			   ? usage_error("run", "too many --input")
			   : 0;
	case SHAPE:
		return list_add(options->shapes, &options->shape_count, RUN_MAX_SHAPES, text) < 0
			   ? usage_error("run", "too many --shape")
			   : 0;
	case OUTPUT:
		options->output = text;
		return 0;
	case SOCKET:
		options->socket = text;
		return 0;
	case STRETCH:
		options->stretch = true;
		return 0;
	case REPEAT:
		return number_parse(text, 1, RUN_MAX_REPEAT, &options->repeat) < 0
			   ? usage_error("run", "--repeat is a number from 1 to 10000000")
			   : 0;
	case SEED:
		return number_parse(text, 0, UINT32_MAX, &options->seed) < 0 ? usage_error("run", "--seed is a number")
									     : 0;
	case BUDGET:
		if (number_parse(text, 1, MAX_BUDGET_MS, &budget_ms) < 0)
			return usage_error("run", "--budget is a number of milliseconds, at most an hour");
		options->budget_ns = (uint64_t)budget_ms * 1000000u;
		return 0;
	case RANGE:
		return range_parse(text, &options->low, &options->high) < 0
			   ? usage_error("run", "--range is two numbers, as in -1,1")
			   : 0;
	default:
		return EXIT_USAGE; /* getopt has said why */
	}
}

static int run(const struct run_options *options, struct reason *why)
{
	struct run_model model = {0};

	int error = run_model_open(&model, options, why);
	if (!error)
		error = run_inputs_fill(&model, options, why);
	if (!error)
		error = run_measure(&model, options, why);
	if (!error)
		error = run_outputs_write(&model, options, why);
	run_model_close(&model);
	return error;
}

int command_run(int argc, char **argv)
{
	struct run_options options = {.repeat = 1, .seed = 1, .low = 0, .high = 1};
	struct reason why = {0};
	int option;

	while ((option = getopt_long(argc, argv, "", option_list, NULL)) != -1) {
		if (option == HELP) {
			(void)fputs(usage_run, stdout);
			return EXIT_SUCCESS;
		}
		int code = option_take(&options, option, optarg);
		if (code)
			return code;
	}
	if (optind + 1 != argc)
		return usage_error("run", "needs one model");
	options.model = argv[optind];
	if (run(&options, &why) < 0) {
		(void)fflush(stdout);
		(void)fprintf(stderr, "npuctl run: %s\n", why.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
