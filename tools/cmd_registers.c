/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl registers: status registers of a device, by name, for people or as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/commands.h"
#include "tools/control.h"
#include "tools/show.h"

const char usage_registers[] =
    "usage: npuctl registers DEVICE [-j | --json] [--socket NPUD.sock]\n"
    "Reads the device's status registers once: a fixed list whose reading changes nothing. Nothing is\n"
    "written. Needs the right \"registers\".\n"
    "  DEVICE                index, or name in npud.json\n"
    "  -j, --json            for programs: one object\n";

static void print_register(const struct npu_register_info *from)
{
	printf("%-20s 0x%04" PRIx32 "  0x%08" PRIx32, from->name, from->offset, from->value);
	for (uint32_t i = 0; i < from->field_count; i++)
		printf("%s%s=%s%" PRIx32, i ? " " : "  ", from->fields[i].name, from->fields[i].value > 9 ? "0x" : "",
		       from->fields[i].value);
	printf("\n");
}

static json_t *register_json(const struct npu_register_info *from)
{
	json_t *fields = json_object();
	int error = fields ? 0 : -1;

	for (uint32_t i = 0; error == 0 && i < from->field_count; i++)
		error = json_object_set_new(fields, from->fields[i].name, json_integer(from->fields[i].value));
	if (error) {
		json_decref(fields);
		return NULL;
	}
	return json_pack("{ss sI sI so}", "name", from->name, "offset", (json_int_t)from->offset, "value",
			 (json_int_t)from->value, "fields", fields);
}

/* NULL without memory. */
static json_t *registers_json(const char *device, const struct npu_register_info *registers, int count)
{
	json_t *list = json_array(), *root = json_pack("{ss so}", "device", device, "registers", list);
	int error = root ? 0 : -1;

	for (int i = 0; error == 0 && i < count; i++)
		error = json_array_append_new(list, register_json(&registers[i]));
	if (error == 0)
		return root;
	json_decref(root);
	return NULL;
}

static int registers_print(const struct control *control, const struct npu_register_info *registers, int count)
{
	if (control->json)
		return show_json("registers", NULL, registers_json(control->usage.name, registers, count));
	for (int i = 0; i < count; i++)
		print_register(&registers[i]);
	return EXIT_SUCCESS;
}

int command_registers(int argc, char **argv)
{
	struct npu_register_info registers[NPU_REGISTERS];
	struct control control;
	int code;

	if (control_open(&control, argc, argv, usage_registers, "j", &code) < 0)
		return code;
	int count = npu_registers_read(control.connection, control.index, registers);

	if (count >= 0)
		code = registers_print(&control, registers, count);
	return control_close(&control, count) ? EXIT_FAILURE : code;
}
