/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl drain: a device finishes what it has and takes nothing new. */
#include <errno.h>
#include <stdio.h>

#include "tools/commands.h"
#include "tools/control.h"
#include "tools/show.h"

const char usage_drain[] =
    "usage: npuctl drain DEVICE [--timeout SECONDS] [--socket NPUD.sock]\n"
    "Nothing new is accepted for the device; what was accepted is finished, and sessions go to other\n"
    "devices where they can. Waits until the device is empty. It stays drained, whatever happens to it\n"
    "and to this command, until `npuctl resume` or the end of npud. Needs the right \"drain\".\n"
    "  DEVICE                index, or name in npud.json\n"
    "  --timeout SECONDS     wait no longer, and fail if it has still work; 0: do not wait\n";

int command_drain(int argc, char **argv)
{
	struct control control;
	struct npu_device_usage usage = {0};
	char text[SHOW_USAGE_BYTES];
	int code;

	if (control_open(&control, argc, argv, usage_drain, "t", &code) < 0)
		return code;
	int error = npu_device_drain(control.connection, control.index, control.timeout_ns, &usage);

	if (error == -ETIMEDOUT && control.timeout_ns == 0)
		error = 0;
	if (error == 0)
		printf("%s\n", show_usage(&usage, text, sizeof(text)));
	return control_close(&control, error);
}
