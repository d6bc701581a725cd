/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl info: the NPUs that npud serves. */
#include <stdio.h>
#include <stdlib.h>

#include <npu/npu.h>

#include "tools/commands.h"
#include "tools/show.h"

const char usage_info[] = "usage: npuctl info [--socket NPUD.sock]\n"
			  "Prints the NPUs that npud serves: what they are, and whether they work.\n";

static const char *generation_name(enum npu_generation generation)
{
	static const char *const names[] = {"?", "V1", "V2", "V3", "V3_2"};

	return generation >= NPU_V1 && generation <= NPU_V3_2 ? names[generation] : names[0];
}

static int devices_print(struct npu_connection *connection)
{
	uint32_t count = npu_device_count(connection);

	printf("npud serves %u NPU%s\n", count, count == 1 ? "" : "s");
	for (uint32_t i = 0; i < count; i++) {
		struct npu_device_info info = {0};
		struct npu_device_usage usage;
		char text[SHOW_USAGE_BYTES];

		if (npu_device_info(connection, i, &info) < 0) {
			(void)fprintf(stderr, "npuctl info: NPU %u: %s\n", i, npu_error());
			return EXIT_FAILURE;
		}
		printf("%u: %s, %s, Zhouyi %s, isa %u, configuration %u, revision %u\n", i, info.name,
		       show_status(info.status), generation_name(info.generation), info.isa, info.config,
		       info.revision);
		printf("   %u cluster%s of %u cores of %u TECs, %.1f MiB of on-chip memory, %.1f GiB address window\n",
		       info.clusters, info.clusters == 1 ? "" : "s", info.cores, info.tecs,
		       (double)info.gm_bytes / (1 << 20), (double)info.address_window_bytes / (1 << 30));
		/* an older npud does not tell */
		if (npu_device_usage(connection, i, &usage) == 0)
			printf("   %s\n", show_usage(&usage, text, sizeof(text)));
	}
	return EXIT_SUCCESS;
}

int command_info(int argc, char **argv)
{
	struct npu_connection *connection = NULL;
	const char *socket = NULL;
	int code = 0;

	if (options_parse_simple(argc, argv, "info", usage_info, &socket, &code) < 0)
		return code;
	if (npu_connect(socket, &connection) < 0) {
		(void)fprintf(stderr, "npuctl info: cannot reach npud: %s\n", npu_error());
		return EXIT_FAILURE;
	}
	code = devices_print(connection);
	npu_disconnect(connection);
	return code;
}
