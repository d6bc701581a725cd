/* SPDX-License-Identifier: Apache-2.0 */
/* The BlazeFace network on the NPU: one compiled model, one job, its tensors. */
#ifndef FACES_NETWORK_H
#define FACES_NETWORK_H

#include <npu/npu.h>

#include "docs/examples/faces/blazeface.h"
#include "tools/reason.h"

struct network {
	struct npu_connection *connection;
	struct npu_graph *graph;
	struct npu_job *job;
	uint32_t size; /* side of the square input in pixels */
	float *input; /* size x size x 3, read by the device as it stands */
	struct blazeface_outputs outputs; /* written by the device */
	uint64_t load_ns, submit_ns, queued_ns, device_ns, readback_ns;
};

/* Connects to npud at @socket (NULL: the default), loads the executable and finds its tensors. */
int network_open(struct network *network, const char *socket, const char *model, struct reason *why);
/* Runs once; fills in the times. */
int network_run(struct network *network, struct reason *why);
void network_close(struct network *network);

uint64_t clock_ns(void);

#endif
