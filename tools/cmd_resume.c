/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl resume: a drained device takes work again. */
#include <stdio.h>

#include "tools/commands.h"
#include "tools/control.h"

const char usage_resume[] = "usage: npuctl resume DEVICE [--socket NPUD.sock]\n"
			    "The device takes work again after `npuctl drain`. Needs the right \"drain\".\n"
			    "  DEVICE                index, or name in npud.json\n";

int command_resume(int argc, char **argv)
{
	struct control control;
	int code;

	if (control_open(&control, argc, argv, usage_resume, "", &code) < 0)
		return code;
	int error = npu_device_resume(control.connection, control.index);

	if (error == 0)
		printf("%s: takes work\n", control.usage.name);
	return control_close(&control, error);
}
