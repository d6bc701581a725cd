/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `npuctl run`: its options, a model made ready, inputs, outputs, measurements. */
#ifndef NPUD_TOOLS_RUN_H
#define NPUD_TOOLS_RUN_H

#include <stdbool.h>

#include <npu/npu.h>

#include "tools/reason.h"

#define RUN_MAX_INPUTS 64
#define RUN_MAX_SHAPES 64
#define RUN_MAX_REPEAT 10000000u

struct run_options {
	const char *model;
	const char *inputs[RUN_MAX_INPUTS]; /* NAME=WHAT, or WHAT for all the others */
	size_t input_count;
	const char *shapes[RUN_MAX_SHAPES]; /* handed to npucc */
	size_t shape_count;
	const char *output; /* folder, or NULL */
	const char *socket;
	uint32_t repeat;
	uint64_t budget_ns;
	uint32_t seed;
	bool stretch; /* pictures: fill the tensor instead of keeping proportions */
	float low, high; /* pictures: what black and white become */
};

struct run_model {
	struct npu_connection *connection;
	struct npu_graph *graph;
	struct npu_job *job;
};

/* Connects, compiles if the model is ONNX, loads. run_model_close() is legal on what failed. */
int run_model_open(struct run_model *model, const struct run_options *options, struct reason *why);
void run_model_close(struct run_model *model);

/* Writes what the options say into every input tensor; one without a value is an error that lists it. */
int run_inputs_fill(const struct run_model *model, const struct run_options *options, struct reason *why);

/* Writes every output as FOLDER/NAME.npy, or prints a line about each if there is no folder. */
int run_outputs_write(const struct run_model *model, const struct run_options *options, struct reason *why);

/* Runs the job as often as wanted, prints the latencies if more than once. */
int run_measure(const struct run_model *model, const struct run_options *options, struct reason *why);

/* "name (float32 1x3x48x192)" or, without a name, "number 2 (...)" */
const char *tensor_text(const struct npu_tensor_info *info, uint32_t index, char *text, size_t bytes);

#endif
