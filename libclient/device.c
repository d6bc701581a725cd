/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators ask of a device: one request, and then a look now and then until what it began has come to its end.
 * News of the device shorten the pause.
 */
#include "libclient/device.h"

#include <errno.h>
#include <stdio.h>

#include "libclient/error.h"
#include "libclient/objects.h"

#define LOOK_NS 50000000ll

_Static_assert((int)NPU_RESET_FAILED == (int)NPUD__RESET_STATE__RESET_FAILED &&
		   (int)NPU_RESET_BY_ITSELF == (int)NPUD__RUNG__RUNG_SOFT_RESET &&
		   (int)NPU_RESET_BY_REOPENING == (int)NPUD__RUNG__RUNG_REOPEN,
	       "resets are counted as the protocol does");

static void copy_text(char *to, size_t bytes, const char *from)
{
	(void)snprintf(to, bytes, "%s", from ? from : "");
}

void npu_device_copy(struct npu_device_usage *to, const Npud__DeviceInfo *from)
{
	*to = (struct npu_device_usage){
	    .status = (enum npu_device_status)from->status,
	    .drained = from->drained,
	    .sessions = from->sessions,
	    .busy_sessions = from->busy_sessions,
	    .submissions = from->submissions,
	};
	copy_text(to->name, sizeof(to->name), from->device_name);
	copy_text(to->reason, sizeof(to->reason), from->reason);
	if (!from->reset)
		return;
	to->reset.number = from->reset->number;
	to->reset.state = (enum npu_reset_state)from->reset->state;
	to->reset.by = (enum npu_reset_by)from->reset->rung;
	to->reset.ns = from->reset->ns;
	copy_text(to->reset.message, sizeof(to->reset.message), from->reset->message);
}

/* One request about a device, whatever its body. */
static int ask(struct npu_connection *connection, uint32_t index, Npud__Request *request, Npud__Reply__BodyCase kind,
	       struct npu_reply *reply)
{
	int rc = npu_link_check_minor(connection, NPU_CONTROL_MINOR, "device");

	if (rc)
		return rc;
	if (index >= connection->device_count)
		return npu_fail(-ENODEV, "device %u: npud serves %u", index, connection->device_count);
	return npu_link_call(connection, request, -1, kind, reply, "device");
}

static int ask_usage(struct npu_connection *connection, uint32_t index, Npud__Request *request,
		     struct npu_device_usage *usage)
{
	struct npu_reply reply;
	int rc = ask(connection, index, request, NPUD__REPLY__BODY_DEVICE_INFO, &reply);

	if (rc == 0)
		*usage = reply.usage;
	return rc;
}

int npu_device_usage(struct npu_connection *connection, uint32_t index, struct npu_device_usage *usage)
{
	Npud__DeviceQuery query = NPUD__DEVICE_QUERY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	query.index = index;
	request.body_case = NPUD__REQUEST__BODY_DEVICE_QUERY;
	request.device_query = &query;
	return ask_usage(connection, index, &request, usage);
}

/* ------------------------------------------------------------------ until it has ended */

struct news {
	uint32_t index;
	uint32_t seen;
};

static bool has_news(struct npu_connection *connection, const void *argument)
{
	const struct news *news = argument;

	return connection->device_news[news->index] != news->seen;
}

/* Until the daemon tells something of the device, or it is time to look. */
static int pause_for(struct npu_connection *connection, const struct news *news, int64_t left_ns)
{
	int64_t look = npu_deadline(left_ns < LOOK_NS ? left_ns : LOOK_NS);

	(void)pthread_mutex_lock(&connection->lock);
	int rc = npu_link_wait(connection, has_news, news, look);

	if (rc && rc != -ETIMEDOUT)
		rc = npu_link_fail(connection);
	(void)pthread_mutex_unlock(&connection->lock);
	return rc == -ETIMEDOUT ? 0 : rc;
}

/* Looks until it is over: 0, -ETIMEDOUT, or why one cannot look any more. `usage` is what was seen last. */
static int wait_for(struct npu_connection *connection, uint32_t index, int64_t timeout_ns,
		    bool (*over)(const struct npu_device_usage *usage), struct npu_device_usage *usage)
{
	int64_t deadline = npu_deadline(timeout_ns);
	struct news news = {.index = index};
	int rc = 0;

	while (rc == 0 && !over(usage)) {
		int64_t left = npu_deadline_left(deadline);

		if (left <= 0)
			return -ETIMEDOUT;
		(void)pthread_mutex_lock(&connection->lock);
		news.seen = connection->device_news[index];
		(void)pthread_mutex_unlock(&connection->lock);
		rc = npu_device_usage(connection, index, usage);
		if (rc == 0 && !over(usage))
			rc = pause_for(connection, &news, left);
	}
	return rc;
}

/* ------------------------------------------------------------------ drain */

static int ask_drain(struct npu_connection *connection, uint32_t index, bool resume, struct npu_device_usage *usage)
{
	Npud__DeviceDrain drain = NPUD__DEVICE_DRAIN__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	drain.index = index;
	drain.resume = resume;
	request.body_case = NPUD__REQUEST__BODY_DEVICE_DRAIN;
	request.device_drain = &drain;
	return ask_usage(connection, index, &request, usage);
}

static bool is_empty(const struct npu_device_usage *usage)
{
	return usage->submissions == 0;
}

int npu_device_drain(struct npu_connection *connection, uint32_t index, int64_t timeout_ns,
		     struct npu_device_usage *usage)
{
	struct npu_device_usage seen;
	int rc = ask_drain(connection, index, false, &seen);

	if (rc)
		return rc;
	rc = wait_for(connection, index, timeout_ns, is_empty, &seen);
	if (usage && (rc == 0 || rc == -ETIMEDOUT))
		*usage = seen;
	if (rc == -ETIMEDOUT)
		return npu_fail(rc, "device %u: drained; %u submissions of %u sessions have still to end", index,
				seen.submissions, seen.busy_sessions);
	return rc;
}

int npu_device_resume(struct npu_connection *connection, uint32_t index)
{
	struct npu_device_usage usage;

	return ask_drain(connection, index, true, &usage);
}

/* ------------------------------------------------------------------ reset */

static int ask_reset(struct npu_connection *connection, uint32_t index, struct npu_device_usage *usage)
{
	Npud__DeviceReset reset = NPUD__DEVICE_RESET__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	reset.index = index;
	request.body_case = NPUD__REQUEST__BODY_DEVICE_RESET;
	request.device_reset = &reset;
	return ask_usage(connection, index, &request, usage);
}

static bool is_reset(const struct npu_device_usage *usage)
{
	return usage->reset.state != NPU_RESET_RUNNING;
}

int npu_device_reset(struct npu_connection *connection, uint32_t index, int64_t timeout_ns, struct npu_reset *reset)
{
	struct npu_device_usage usage;
	int rc = ask_reset(connection, index, &usage);

	if (rc)
		return rc;
	uint32_t number = usage.reset.number;

	rc = wait_for(connection, index, timeout_ns, is_reset, &usage);
	if (reset)
		*reset = usage.reset;
	if (rc == -ETIMEDOUT)
		return npu_fail(rc, "device %u: reset %u is under way", index, number);
	if (rc)
		return rc;
	if (usage.reset.number != number)
		return npu_fail(-EIO, "device %u: reset %u was followed by reset %u before its end was seen", index,
				number, usage.reset.number);
	return usage.reset.state == NPU_RESET_DONE
		   ? 0
		   : npu_fail(-EIO, "device %u: the reset failed: %s", index, usage.reset.message);
}

/* ------------------------------------------------------------------ registers */

static void copy_register(struct npu_register_info *to, const Npud__Register *from)
{
	*to = (struct npu_register_info){.offset = from->offset, .value = from->value};
	copy_text(to->name, sizeof(to->name), from->name);
	for (size_t i = 0; i < from->n_fields && i < NPU_REGISTER_FIELDS; i++) {
		struct npu_register_field_info *field = &to->fields[to->field_count++];

		copy_text(field->name, sizeof(field->name), from->fields[i]->name);
		field->value = from->fields[i]->value;
	}
}

void npu_registers_copy(struct npu_registers_page *to, const Npud__Registers *from)
{
	to->whole = from->n_registers <= NPU_REGISTERS;
	to->count = to->whole ? (uint32_t)from->n_registers : 0;
	for (uint32_t i = 0; i < to->count; i++)
		copy_register(&to->registers[i], from->registers[i]);
}

int npu_registers_read(struct npu_connection *connection, uint32_t index,
		       struct npu_register_info registers[NPU_REGISTERS])
{
	Npud__RegistersQuery query = NPUD__REGISTERS_QUERY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;

	query.index = index;
	request.body_case = NPUD__REQUEST__BODY_REGISTERS_QUERY;
	request.registers_query = &query;
	int rc = ask(connection, index, &request, NPUD__REPLY__BODY_REGISTERS, &reply);

	if (rc)
		return rc;
	if (!reply.registers.whole)
		return npu_fail(-EPROTO, "device %u: npud sent more registers than a device has", index);
	for (uint32_t i = 0; i < reply.registers.count; i++)
		registers[i] = reply.registers.registers[i];
	return (int)reply.registers.count;
}
