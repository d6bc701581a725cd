/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about devices, those of operators among them: from protobuf to core and back. Rights are the table's. */
#include <errno.h>

#include "daemon/core/control.h"
#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/wire/request.h"
#include "daemon/wire/server.h"

_Static_assert((int)RESET_RUNNING == (int)NPUD__RESET_STATE__RESET_RUNNING &&
		   (int)RESET_DONE == (int)NPUD__RESET_STATE__RESET_DONE &&
		   (int)RESET_FAILED == (int)NPUD__RESET_STATE__RESET_FAILED,
	       "core counts the states of a reset as the protocol does");
_Static_assert(NPU_MAX_REGISTERS == NPUD_MAX_REGISTERS && NPU_MAX_REGISTER_FIELDS == NPUD_MAX_REGISTER_FIELDS,
	       "a generation has no more registers than the protocol");

/* NULL after it has said why. */
static struct device *find_device(struct request *request, uint32_t index)
{
	struct host *host = server_host(request->conn->server);

	if (index < host->device_count)
		return host->devices[index];
	(void)fail_set(&request->fail, ENOENT, "device %u: this daemon serves %u", index, host->device_count);
	return NULL;
}

/* protobuf-c's strings are not const, and packing only reads them. */
static char *text(const char *string)
{
	return (char *)(uintptr_t)string;
}

static void fill_identity(const struct device *device, Npud__DeviceInfo *info)
{
	const struct npu_identity *identity = &device->identity;

	npud__device_info__init(info);
	info->index = device->index;
	info->name = text(identity->name[0] ? identity->name : device->name);
	info->generation = (Npud__Generation)identity->generation;
	info->isa = identity->isa;
	info->revision = identity->revision;
	info->config = identity->config;
	info->clusters = identity->clusters;
	info->cores = identity->cores;
	info->tecs = identity->tecs;
	info->gm_bytes = identity->gm_bytes;
	info->status = (Npud__DeviceStatus)device_status(device);
	info->address_window_bytes = device->window_bytes;
}

static void fill_reset(const struct device_reset *from, Npud__ResetInfo *to)
{
	npud__reset_info__init(to);
	to->number = from->number;
	to->state = (Npud__ResetState)from->state;
	to->ns = from->ns;
	if (from->state == RESET_DONE)
		to->rung = (Npud__Rung)(from->rung + 1);
	to->message = text(from->reason);
}

static void fill_use(const struct device *device, struct device_reply *reply)
{
	const struct device_use use = control_use(device);

	reply->info.device_name = text(device->name);
	reply->info.reason = text(device->reason);
	reply->info.drained = device->drained;
	reply->info.sessions = use.sessions;
	reply->info.busy_sessions = use.busy;
	reply->info.submissions = use.submissions;
	if (device->reset.state == RESET_NONE)
		return;
	fill_reset(&device->reset, &reply->reset);
	reply->info.reset = &reply->reset;
}

static int reply_device(struct request *request, const struct device *device)
{
	struct device_reply *reply = &request->body.device;

	fill_identity(device, &reply->info);
	if (request->conn->minor >= CONTROL_MINOR)
		fill_use(device, reply);
	request->reply.body_case = NPUD__REPLY__BODY_DEVICE_INFO;
	request->reply.device_info = &reply->info;
	return 0;
}

int handle_device_query(struct request *request)
{
	const struct device *device = find_device(request, request->message->device_query->index);

	return device ? reply_device(request, device) : -ENOENT;
}

int handle_device_drain(struct request *request)
{
	const Npud__DeviceDrain *drain = request->message->device_drain;
	struct device *device = find_device(request, drain->index);

	if (!device)
		return -ENOENT;
	if (drain->resume)
		control_resume(request->conn->session, device);
	else
		control_drain(request->conn->session, device);
	return reply_device(request, device);
}

int handle_device_reset(struct request *request)
{
	struct device *device = find_device(request, request->message->device_reset->index);

	if (!device)
		return -ENOENT;
	int error = control_reset(request->conn->session, device, &request->fail);
	return error < 0 ? error : reply_device(request, device);
}

/* ------------------------------------------------------------------ registers */

/* Tag and length of a message, tag and value of a number, and of a text. */
#define NUMBER (1ul + 5)
#define TEXT(of) (2ul + sizeof(of) - 1)
#define FIELD_BYTES (2 + TEXT(((struct npu_register_field *)NULL)->name) + NUMBER)
#define REGISTER_BYTES                                                                                                 \
	(3 + TEXT(((struct npu_register *)NULL)->name) + 2 * NUMBER + NPU_MAX_REGISTER_FIELDS * FIELD_BYTES)
_Static_assert(NPU_MAX_REGISTERS *REGISTER_BYTES + TEXT(((struct device *)NULL)->name) + 6 * NUMBER <= CONN_OUT_BYTES,
	       "the most registers fit a reply");

static void fill_register(struct registers_reply *reply, uint32_t index)
{
	const struct npu_register *from = &reply->read[index];
	Npud__Register *to = &reply->entries[index];

	npud__register__init(to);
	to->name = text(from->name);
	to->offset = from->offset;
	to->value = from->value;
	to->fields = reply->field_list[index];
	for (uint32_t i = 0; i < NPU_MAX_REGISTER_FIELDS && from->fields[i].name[0]; i++) {
		Npud__RegisterField *field = &reply->fields[index][i];
		npud__register_field__init(field);
		field->name = text(from->fields[i].name);
		field->value = from->value >> from->fields[i].shift & from->fields[i].mask;
		reply->field_list[index][to->n_fields++] = field;
	}
	reply->entry_list[index] = to;
}

int handle_registers_query(struct request *request)
{
	struct registers_reply *reply = &request->body.registers;
	struct device *device = find_device(request, request->message->registers_query->index);

	if (!device)
		return -ENOENT;
	int count = control_registers(request->conn->session, device, reply->read, &request->fail);
	if (count < 0)
		return count;
	npud__registers__init(&reply->registers);
	reply->registers.device = device->index;
	reply->registers.device_name = text(device->name);
	reply->registers.registers = reply->entry_list;
	reply->registers.n_registers = (size_t)count;
	for (uint32_t i = 0; i < (uint32_t)count; i++)
		fill_register(reply, i);
	request->reply.body_case = NPUD__REPLY__BODY_REGISTERS;
	request->reply.registers = &reply->registers;
	return 0;
}
