/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inputs of `npuctl run`: random numbers, .npy files, pictures, raw bytes, straight into the tensor's memory.
 * Never guesses: what does not fit the tensor to the byte is refused.
 */
#include "tools/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/file.h"
#include "tools/image.h"
#include "tools/npy.h"
#include "tools/xorshift.h"

struct input {
	const struct run_options *options;
	struct npu_tensor_info info;
	uint32_t index;
	void *data;
	size_t bytes;
	char text[256]; /* for messages */
};

const char *tensor_text(const struct npu_tensor_info *info, uint32_t index, char *text, size_t bytes)
{
	char shape[128];

	(void)shape_text(info->rank, info->shape, shape, sizeof(shape));
	if (info->rank == 0)
		(void)snprintf(shape, sizeof(shape), "%llu bytes", (unsigned long long)info->bytes);
	if (info->name[0])
		(void)snprintf(text, bytes, "'%s' (%s %s)", info->name, npu_type_name(info->type), shape);
	else
		(void)snprintf(text, bytes, "number %u (%s %s)", index, npu_type_name(info->type), shape);
	return text;
}

/* Floats in [-1, 1), as golden outputs use them; integers and the rest as random bits. */
static int input_random(const struct input *input, const char *seed_text, struct reason *why)
{
	char *end = NULL;
	unsigned long seed = input->options->seed + input->index;
	float *floats = input->data;
	uint8_t *bytes = input->data;

	if (*seed_text == ':') {
		seed = strtoul(seed_text + 1, &end, 10);
		if (end == seed_text + 1 || *end || seed > UINT32_MAX)
			return reason_set(why, -EINVAL, "input %s: the seed in 'random:SEED' is a number", input->text);
	}
	struct xorshift random = xorshift_start((uint32_t)seed);
	switch (input->info.type) {
	case NPU_F32:
		for (size_t i = 0; i < input->bytes / sizeof(float); i++)
			floats[i] = xorshift_float(&random);
		return 0;
	case NPU_F16:
	case NPU_F64:
	case NPU_BF16:
		return reason_set(why, -ENOTSUP, "input %s: random numbers of this type are not supported",
				  input->text);
	case NPU_BOOL:
		for (size_t i = 0; i < input->bytes; i++)
			bytes[i] = xorshift_next(&random) >> 31 & 1;
		return 0;
	default:
		for (size_t i = 0; i < input->bytes; i++)
			bytes[i] = (uint8_t)(xorshift_next(&random) >> 24);
		return 0;
	}
}

static int input_npy(const struct input *input, const char *path, struct reason *why)
{
	struct npy npy = {0};
	char shape[128];

	int error = npy_read(path, &npy, why);
	if (error)
		return error;
	bool same_shape =
	    input->info.rank == 0 || (npy.rank == input->info.rank &&
				      memcmp(npy.shape, input->info.shape, npy.rank * sizeof(npy.shape[0])) == 0);
	(void)shape_text(npy.rank, npy.shape, shape, sizeof(shape));
	if (npy.type != input->info.type || !same_shape || npy.bytes != input->bytes)
		error = reason_set(why, -EINVAL, "input %s: %s holds %s %s", input->text, path, npu_type_name(npy.type),
				   shape);
	else
		memcpy(input->data, npy.data, npy.bytes);
	npy_free(&npy);
	return error;
}

static int input_raw(const struct input *input, const char *path, struct reason *why)
{
	uint8_t *data = NULL;
	size_t bytes = 0;

	int error = file_read(path, NPY_MAX_BYTES, &data, &bytes, why);
	if (error)
		return error;
	if (bytes != input->bytes)
		error = reason_set(why, -EINVAL, "input %s: %s has %zu bytes, the tensor %zu", input->text, path, bytes,
				   input->bytes);
	else
		memcpy(input->data, data, bytes);
	free(data);
	return error;
}

/* Where a picture goes in a tensor: its axes by the shape, three channels last or first. */
struct plane {
	uint32_t width, height;
	bool channels_last;
};

static int plane_find(const struct input *input, struct plane *plane, struct reason *why)
{
	const struct npu_tensor_info *info = &input->info;
	const uint32_t *dims = info->shape + (info->rank == 4 ? 1 : 0);

	bool shaped = (info->rank == 4 && info->shape[0] == 1) || info->rank == 3;
	bool typed = info->type == NPU_F32 || info->type == NPU_U8;
	if (!shaped || !typed || (dims[2] != 3 && dims[0] != 3))
		return reason_set(
		    why, -EINVAL,
		    "input %s: a picture needs a float32 or uint8 tensor with a batch of 1 and 3 channels",
		    input->text);
	plane->channels_last = dims[2] == 3;
	plane->height = plane->channels_last ? dims[0] : dims[1];
	plane->width = plane->channels_last ? dims[1] : dims[2];
	uint64_t bytes = (uint64_t)plane->width * plane->height * 3 * npu_type_bytes(info->type);
	if (bytes == 0 || bytes != input->bytes || plane->width > IMAGE_MAX_SIDE || plane->height > IMAGE_MAX_SIDE)
		return reason_set(why, -EINVAL, "input %s: not the size of a picture", input->text);
	return 0;
}

static void plane_store(const struct input *input, const struct plane *plane, const float *canvas)
{
	size_t pixels = (size_t)plane->width * plane->height;
	float *floats = input->data;
	uint8_t *bytes = input->data;

	for (size_t i = 0; i < pixels * 3; i++) {
		size_t at = plane->channels_last ? i : i % 3 * pixels + i / 3;

		if (input->info.type == NPU_F32)
			floats[at] = canvas[i];
		else
			bytes[at] = (uint8_t)(canvas[i] * 255.0f + 0.5f);
	}
}

static int input_image(const struct input *input, const char *path, struct reason *why)
{
	const struct run_options *options = input->options;
	bool bytes = input->info.type == NPU_U8; /* always the whole range */
	float low = bytes ? 0 : options->low, gain = bytes ? 1 : options->high - options->low;
	struct plane plane = {0};
	struct image image = {0};

	int error = plane_find(input, &plane, why);
	if (!error)
		error = image_read(path, &image, why);
	if (error)
		return error;
	size_t floats = (size_t)plane.width * plane.height * 3;
	float *canvas = floats ? calloc(floats, sizeof(*canvas)) : NULL;
	struct letterbox box = letterbox_fit(&image, plane.width, plane.height, !options->stretch);
	if (!canvas || image_to_canvas(&image, &box, plane.width, plane.height, gain, low, canvas) < 0)
		error = reason_set(why, -ENOMEM, "%s: no memory to resample the picture", path);
	else
		plane_store(input, &plane, canvas);
	free(canvas);
	image_free(&image);
	return error;
}

static bool ends_in(const char *path, const char *suffix)
{
	size_t length = strlen(path), tail = strlen(suffix);

	return length >= tail && strcasecmp(path + length - tail, suffix) == 0;
}

static int input_fill(const struct input *input, const char *what, struct reason *why)
{
	if (strcmp(what, "random") == 0 || strncmp(what, "random:", 7) == 0)
		return input_random(input, what + 6, why);
	if (ends_in(what, ".npy"))
		return input_npy(input, what, why);
	if (image_has_suffix(what))
		return input_image(input, what, why);
	return input_raw(input, what, why);
}

/* The value for this tensor: by name, by number, or the one that is for all. The last one given counts. */
static const char *input_option(const struct run_options *options, const struct npu_tensor_info *info, uint32_t index)
{
	const char *found = NULL, *for_all = NULL;
	char number[16];

	(void)snprintf(number, sizeof(number), "%u", index);
	for (size_t i = 0; i < options->input_count; i++) {
		const char *text = options->inputs[i], *equals = strchr(text, '=');
		size_t length = equals ? (size_t)(equals - text) : 0;

		if (!equals)
			for_all = text;
		else if ((length == strlen(info->name) && strncmp(text, info->name, length) == 0 && length > 0) ||
			 (length == strlen(number) && strncmp(text, number, length) == 0))
			found = equals + 1;
	}
	return found ? found : for_all;
}

/* A name that is no input's is a typing error, not something to ignore. */
static int input_names_check(const struct run_model *model, const struct run_options *options, struct reason *why)
{
	uint32_t count = npu_graph_tensor_count(model->graph, NPU_INPUT);

	for (size_t i = 0; i < options->input_count; i++) {
		struct run_options one = {.inputs = {options->inputs[i]}, .input_count = 1};
		bool known = false;
		char text[256], list[400] = "";

		for (uint32_t t = 0; t < count; t++) {
			struct npu_tensor_info info = {0};
			size_t used = strlen(list);

			(void)npu_graph_tensor_info(model->graph, NPU_INPUT, t, &info);
			known = known || input_option(&one, &info, t);
			(void)snprintf(list + used, sizeof(list) - used, "%s%s", t ? ", " : "",
				       tensor_text(&info, t, text, sizeof(text)));
		}
		if (!known)
			return reason_set(why, -ENOENT, "--input %s: the model has no such input; it has %s",
					  options->inputs[i], list);
	}
	return 0;
}

int run_inputs_fill(const struct run_model *model, const struct run_options *options, struct reason *why)
{
	int error = input_names_check(model, options, why);

	for (uint32_t i = 0; !error && i < npu_graph_tensor_count(model->graph, NPU_INPUT); i++) {
		struct input input = {.options = options, .index = i};

		error = npu_graph_tensor_info(model->graph, NPU_INPUT, i, &input.info);
		input.data = npu_job_tensor(model->job, NPU_INPUT, i, &input.bytes);
		if (error || !input.data)
			return reason_set(why, -EIO, "input %u: %s", i, npu_error());
		(void)tensor_text(&input.info, i, input.text, sizeof(input.text));
		const char *what = input_option(options, &input.info, i);
		if (!what)
			return reason_set(why, -EINVAL, "input %s has no value: add --input %s=FILE or --input random",
					  input.text, input.info.name[0] ? input.info.name : "NUMBER");
		error = input_fill(&input, what, why);
	}
	return error;
}
