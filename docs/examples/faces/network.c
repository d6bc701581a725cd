/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BlazeFace network on the NPU, through libnpu. This is all that an application has to do: connect, load, take the
 * tensors' memory, submit, wait. Never copies a tensor.
 */
#include "docs/examples/faces/network.h"

#include <errno.h>
#include <time.h>

uint64_t clock_ns(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int network_find_input(struct network *network, const char *model, struct reason *why)
{
	struct npu_tensor_info info = {0};
	size_t bytes = 0;
	uint32_t size = 1;

	if (npu_graph_tensor_count(network->graph, NPU_INPUT) != 1 ||
	    npu_graph_tensor_info(network->graph, NPU_INPUT, 0, &info) < 0 || info.type != NPU_F32)
		return reason_set(why, -EINVAL, "%s: not a BlazeFace model: it needs one float32 input", model);
	network->input = npu_job_tensor(network->job, NPU_INPUT, 0, &bytes);
	while (size < 1024 && (uint64_t)size * size * 3 * sizeof(float) < bytes)
		size++;
	if (!network->input || (uint64_t)size * size * 3 * sizeof(float) != bytes)
		return reason_set(why, -EINVAL, "%s: not a BlazeFace model: its input is not a square RGB picture",
				  model);
	network->size = size;
	return 0;
}

/* The four outputs differ in size, so that neither their names nor their order matter. */
static int network_find_outputs(struct network *network, const char *model, struct reason *why)
{
	struct blazeface_outputs *outputs = &network->outputs;

	for (uint32_t i = 0; i < npu_graph_tensor_count(network->graph, NPU_OUTPUT); i++) {
		size_t bytes = 0;
		const float *data = npu_job_tensor(network->job, NPU_OUTPUT, i, &bytes);

		if (bytes == BLAZEFACE_ANCHORS16 * sizeof(float))
			outputs->scores16 = data;
		else if (bytes == BLAZEFACE_ANCHORS8 * sizeof(float))
			outputs->scores8 = data;
		else if (bytes == BLAZEFACE_ANCHORS16 * FACE_VALUES * sizeof(float))
			outputs->boxes16 = data;
		else if (bytes == BLAZEFACE_ANCHORS8 * FACE_VALUES * sizeof(float))
			outputs->boxes8 = data;
	}
	if (!outputs->scores16 || !outputs->scores8 || !outputs->boxes16 || !outputs->boxes8)
		return reason_set(why, -EINVAL, "%s: not a BlazeFace model: it has not the four outputs of one", model);
	return 0;
}

static int network_load(struct network *network, const char *socket, const char *model, struct reason *why)
{
	int error = npu_connect(socket, &network->connection);

	if (error)
		return reason_set(why, error, "cannot reach npud: %s", npu_error());
	if (npu_device_count(network->connection) == 0)
		return reason_set(why, -ENODEV, "npud serves no NPU: its configuration names none");
	error = npu_graph_load_file(network->connection, model, &network->graph);
	if (error)
		return reason_set(why, error, "cannot load %s: %s", model, npu_error());
	error = npu_job_create(network->graph, &network->job);
	if (error)
		return reason_set(why, error, "cannot prepare %s: %s", model, npu_error());
	error = network_find_input(network, model, why);
	return error ? error : network_find_outputs(network, model, why);
}

int network_open(struct network *network, const char *socket, const char *model, struct reason *why)
{
	uint64_t start = clock_ns();

	*network = (struct network){0};
	int error = network_load(network, socket, model, why);
	if (error)
		network_close(network);
	network->load_ns = clock_ns() - start;
	return error;
}

int network_run(struct network *network, struct reason *why)
{
	struct npu_result result = {0};
	uint64_t ticket = 0;
	uint64_t start = clock_ns();

	int error = npu_job_submit(network->job, NULL, &ticket);
	if (error)
		return reason_set(why, error, "cannot submit: %s", npu_error());
	network->submit_ns = clock_ns() - start;
	error = npu_wait(network->connection, ticket, NPU_WAIT_FOREVER, &result);
	if (error)
		return reason_set(why, error, "the run was lost: %s", npu_error());
	if (result.outcome != NPU_DONE)
		return reason_set(why, -EIO, "the run failed (%s): %s", npu_outcome_name(result.outcome),
				  result.message);
	uint64_t total = clock_ns() - start;
	uint64_t before = network->submit_ns > result.queued_ns ? network->submit_ns : result.queued_ns;
	network->queued_ns = result.queued_ns;
	network->device_ns = result.device_ns;
	network->readback_ns = total > before + result.device_ns ? total - before - result.device_ns : 0;
	return 0;
}

void network_close(struct network *network)
{
	npu_disconnect(network->connection);
	*network = (struct network){0};
}
