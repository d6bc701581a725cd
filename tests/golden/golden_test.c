/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled networks against an independent runtime's answers: client -> daemon -> device, then max|a-b| <= 1e-4 *
 * max|b| for every output. Usage: golden_test FOLDER NAME=EXECUTABLE... with $NPU_SOCKET set; an empty executable is
 * counted as skipped. Decides nothing by a model's name: shape, seed and files come from FOLDER/index.json.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <npu/npu.h>

#include "tools/npy.h"
#include "tools/xorshift.h"

#define TOLERANCE 1e-4

struct golden {
	const char *folder;
	const char *name;
	json_t *entry; /* of index.json */
	struct npu_graph *graph;
	struct npu_job *job;
};

static int input_fill(const struct golden *golden, struct reason *why)
{
	json_t *shape = json_object_get(golden->entry, "shape");
	struct xorshift random = xorshift_start((uint32_t)json_integer_value(json_object_get(golden->entry, "seed")));
	float amplitude = (float)json_number_value(json_object_get(golden->entry, "amplitude"));
	size_t bytes = 0, elements = 1;
	float *input = npu_job_tensor(golden->job, NPU_INPUT, 0, &bytes);

	for (size_t i = 0; i < json_array_size(shape); i++)
		elements *= (size_t)json_integer_value(json_array_get(shape, i));
	if (!input || bytes != elements * sizeof(float))
		return reason_set(why, -1, "its input has %zu bytes, not %zu", bytes, elements * sizeof(float));
	for (size_t i = 0; i < elements; i++)
		input[i] = xorshift_float(&random) * amplitude;
	return 0;
}

static int output_compare(const char *file, const float *got, const struct npy *want, struct reason *why)
{
	size_t elements = want->bytes / sizeof(float);
	const float *wanted = want->data;
	double largest = 0, worst = 0;

	for (size_t i = 0; i < elements; i++) {
		if (!isfinite(got[i]))
			return reason_set(why, -1, "%s: element %zu is %g", file, i, (double)got[i]);
		largest = fmax(largest, fabs((double)wanted[i]));
		worst = fmax(worst, fabs((double)got[i] - (double)wanted[i]));
	}
	printf("    %s: %zu values, worst difference %.2e of %.3g (%.1e)\n", file, elements, worst, largest,
	       worst / largest);
	if (worst > TOLERANCE * largest)
		return reason_set(why, -1, "%s: differs by %.3e, more than %.0e of %.3g", file, worst, TOLERANCE,
				  largest);
	return 0;
}

/* By name where the executable carries names, else by order. */
static int output_check(const struct golden *golden, uint32_t index, json_t *output, struct reason *why)
{
	const char *file = json_string_value(json_object_get(output, "file"));
	const char *name = json_string_value(json_object_get(output, "name"));
	int found = npu_graph_tensor_index(golden->graph, NPU_OUTPUT, name);
	struct npy want = {0};
	char path[512];
	size_t bytes = 0;

	const float *got = npu_job_tensor(golden->job, NPU_OUTPUT, found >= 0 ? (uint32_t)found : index, &bytes);
	(void)snprintf(path, sizeof(path), "%s/%s", golden->folder, file);
	int error = npy_read(path, &want, why);
	if (error)
		return error;
	if (!got || want.type != NPU_F32 || want.bytes != bytes)
		error = reason_set(why, -1, "%s: %zu bytes, the golden output has %zu", file, bytes, want.bytes);
	else
		error = output_compare(file, got, &want, why);
	npy_free(&want);
	return error;
}

static int golden_check(const struct golden *golden, struct reason *why)
{
	json_t *outputs = json_object_get(golden->entry, "outputs");
	size_t count = npu_graph_tensor_count(golden->graph, NPU_OUTPUT);

	if (count != json_array_size(outputs) || count == 0)
		return reason_set(why, -1, "%zu outputs instead of %zu", count, json_array_size(outputs));
	int error = input_fill(golden, why);
	if (error)
		return error;
	if (npu_job_run(golden->job, NULL) < 0)
		return reason_set(why, -1, "%s", npu_error());
	for (uint32_t i = 0; i < count && !error; i++)
		error = output_check(golden, i, json_array_get(outputs, i), why);
	return error;
}

static int golden_run(struct npu_connection *connection, struct golden *golden, const char *executable,
		      struct reason *why)
{
	if (!golden->entry)
		return reason_set(why, -1, "there is no golden output for it");
	if (npu_graph_load_file(connection, executable, &golden->graph) < 0)
		return reason_set(why, -1, "%s", npu_error());
	int error = npu_job_create(golden->graph, &golden->job);
	if (error)
		error = reason_set(why, -1, "%s", npu_error());
	else
		error = golden_check(golden, why);
	(void)npu_job_free(golden->job);
	if (npu_graph_free(golden->graph) < 0 && !error)
		error = reason_set(why, -1, "the graph could not be released: %s", npu_error());
	return error;
}

static int golden_all(struct npu_connection *connection, json_t *index, int count, char **arguments)
{
	unsigned int passed = 0, failed = 0, skipped = 0;

	for (int i = 1; i < count; i++) {
		char *equals = strchr(arguments[i], '=');
		struct golden golden = {.folder = arguments[0], .name = arguments[i]};
		struct reason why = {0};

		if (!equals || !equals[1]) {
			skipped++;
			continue;
		}
		*equals = 0;
		golden.entry = json_object_get(index, golden.name);
		printf("%s\n", golden.name);
		if (golden_run(connection, &golden, equals + 1, &why) < 0) {
			printf("FAILED %s: %s\n", golden.name, why.text);
			failed++;
		} else {
			passed++;
		}
	}
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct npu_connection *connection = NULL;
	json_error_t error = {0};
	char path[512];

	if (argc < 3) {
		(void)fprintf(stderr, "usage: golden_test FOLDER NAME=EXECUTABLE...\n");
		return 2;
	}
	(void)snprintf(path, sizeof(path), "%s/index.json", argv[1]);
	json_t *index = json_load_file(path, 0, &error);
	if (!index) {
		(void)fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
		return EXIT_FAILURE;
	}
	if (npu_connect(NULL, &connection) < 0) {
		(void)fprintf(stderr, "cannot reach npud: %s\n", npu_error());
		json_decref(index);
		return EXIT_FAILURE;
	}
	int code = golden_all(connection, index, argc - 1, argv + 1);
	npu_disconnect(connection);
	json_decref(index);
	return code;
}
