/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl reset: a device is reset, or one that is offline is brought back. */
#include <errno.h>
#include <stdio.h>

#include "tools/commands.h"
#include "tools/control.h"
#include "tools/show.h"

const char usage_reset[] =
    "usage: npuctl reset DEVICE [--timeout SECONDS] [--socket NPUD.sock]\n"
    "Resets the device: by its own reset, else by its transport's, else by opening it again, which is\n"
    "also what brings back one that is offline. What runs there runs again if it is restartable, else it\n"
    "is lost; what has not begun waits. Nobody is blamed. Says which reset it was. Needs the right\n"
    "\"reset\".\n"
    "  DEVICE                index, or name in npud.json\n"
    "  --timeout SECONDS     wait no longer for its end; 0: do not wait\n";

static const char *how(enum npu_reset_by by)
{
	static const char *const names[] = {"its own reset", "a reset of its transport", "opening it again"};

	return by >= NPU_RESET_BY_ITSELF && by <= NPU_RESET_BY_REOPENING ? names[by - NPU_RESET_BY_ITSELF] : "?";
}

int command_reset(int argc, char **argv)
{
	struct control control;
	struct npu_reset reset = {0};
	char time[SHOW_BYTES];
	int code;

	if (control_open(&control, argc, argv, usage_reset, "t", &code) < 0)
		return code;
	int error = npu_device_reset(control.connection, control.index, control.timeout_ns, &reset);

	if (error == 0)
		printf("%s: reset %u: %s, %s\n", control.usage.name, reset.number, how(reset.by),
		       show_time(reset.ns, time, sizeof(time)));
	if (error == -ETIMEDOUT && control.timeout_ns == 0) {
		printf("%s: reset %u is under way\n", control.usage.name, reset.number);
		error = 0;
	}
	return control_close(&control, error);
}
