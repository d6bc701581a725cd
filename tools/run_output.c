/* SPDX-License-Identifier: Apache-2.0 */
/* The outputs of `npuctl run`: .npy files, or a line about each. Names from the model never leave the folder. */
#include "tools/run.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/npy.h"

/* The name may hold anything; what is not harmless in a file name becomes '_'. */
static void file_name(const struct npu_tensor_info *info, uint32_t index, char *name, size_t bytes)
{
	static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	(void)snprintf(name, bytes, "%s", info->name);
	for (char *p = name; *p; p++) {
		if (!strchr(harmless, *p) || (p == name && *p == '.'))
			*p = '_';
	}
	if (!*name)
		(void)snprintf(name, bytes, "output%u", index);
}

/* Two names can become the same file name; the second then gets its number. */
static bool file_name_taken(const struct run_model *model, uint32_t index, const char *name)
{
	char other[NPU_NAME_BYTES];

	for (uint32_t i = 0; i < index; i++) {
		struct npu_tensor_info info = {0};

		(void)npu_graph_tensor_info(model->graph, NPU_OUTPUT, i, &info);
		file_name(&info, i, other, sizeof(other));
		if (strcmp(other, name) == 0)
			return true;
	}
	return false;
}

static int output_save(const struct run_model *model, const char *folder, uint32_t index,
		       const struct npu_tensor_info *info, const void *data, struct reason *why)
{
	char name[NPU_NAME_BYTES], path[PATH_MAX], extra[16] = "";
	uint32_t flat = (uint32_t)(npu_type_bytes(info->type) ? info->bytes / npu_type_bytes(info->type) : 0);

	file_name(info, index, name, sizeof(name));
	if (file_name_taken(model, index, name))
		(void)snprintf(extra, sizeof(extra), ".%u", index);
	int n = snprintf(path, sizeof(path), "%s/%s%s.npy", folder, name, extra);
	if (n < 0 || (size_t)n >= sizeof(path))
		return reason_set(why, -ENAMETOOLONG, "%s: the name is too long", folder);
	return npy_write(path, info->type, info->rank ? info->rank : 1, info->rank ? info->shape : &flat, data,
			 (size_t)info->bytes, why);
}

static void output_print(const struct npu_tensor_info *info, uint32_t index, const void *data)
{
	const float *floats = data;
	size_t count = info->type == NPU_F32 ? (size_t)info->bytes / sizeof(float) : 0;
	float low = count ? floats[0] : 0, high = low;
	double sum = 0;
	char text[256];

	for (size_t i = 0; i < count; i++) {
		low = floats[i] < low ? floats[i] : low;
		high = floats[i] > high ? floats[i] : high;
		sum += (double)floats[i];
	}
	printf("output %s", tensor_text(info, index, text, sizeof(text)));
	if (count)
		printf(": from %g to %g, mean %g", (double)low, (double)high, sum / (double)count);
	putchar('\n');
}

int run_outputs_write(const struct run_model *model, const struct run_options *options, struct reason *why)
{
	int error = 0;

	if (options->output && mkdir(options->output, 0777) < 0 && errno != EEXIST)
		return reason_set(why, -errno, "%s: %s", options->output, strerror(errno));
	for (uint32_t i = 0; !error && i < npu_graph_tensor_count(model->graph, NPU_OUTPUT); i++) {
		struct npu_tensor_info info = {0};
		size_t bytes = 0;
		const void *data = npu_job_tensor(model->job, NPU_OUTPUT, i, &bytes);

		if (npu_graph_tensor_info(model->graph, NPU_OUTPUT, i, &info) < 0 || !data || bytes < info.bytes)
			return reason_set(why, -EIO, "output %u: %s", i, npu_error());
		if (options->output)
			error = output_save(model, options->output, i, &info, data, why);
		else
			output_print(&info, i, data);
	}
	return error;
}
