/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What npud's configuration says about kernel devices and memory. Lenient: checking a configuration is
 * `npud --check-config`'s office, and a doctor that stops at a typing error helps nobody.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/doctor.h"

#define DEFAULT_BUFFER_BYTES (64ull << 30) /* capacity.buffer_bytes where the configuration does not say */

/* No more than the host has can ever be locked. */
static uint64_t memory_bound(uint64_t bytes)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	long page = sysconf(_SC_PAGESIZE);
	uint64_t memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;

	return bytes < memory ? bytes : memory;
}

void doctor_config_default(struct doctor_config *out)
{
	*out = (struct doctor_config){.memory_bytes = memory_bound(DEFAULT_BUFFER_BYTES)};
}

/* A device of the kernel has an address; one of vfio-user has a socket. */
static void device_take(const json_t *device, struct doctor_config *out)
{
	const char *transport = json_string_value(json_object_get(device, "transport"));
	const char *address = json_string_value(json_object_get(device, "address"));

	if (!transport || strcmp(transport, "vfio") != 0)
		return;
	if (address && strlen(address) < HOST_NAME_BYTES && out->address_count < DOCTOR_MAX_DEVICES)
		(void)snprintf(out->addresses[out->address_count++], HOST_NAME_BYTES, "%s", address);
}

int doctor_config_read(const char *path, struct doctor_config *out, struct reason *why)
{
	json_error_t error;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

	doctor_config_default(out);
	if (!root)
		return reason_set(why, -EINVAL, "%s: line %d: %s", path, error.line, error.text);
	const json_t *capacity = json_object_get(root, "capacity");
	json_int_t bytes = json_integer_value(json_object_get(capacity, "buffer_bytes"));
	if (bytes > 0)
		out->memory_bytes = memory_bound((uint64_t)bytes);
	const json_t *devices = json_object_get(root, "devices");
	for (size_t i = 0; i < json_array_size(devices); i++)
		device_take(json_array_get(devices, i), out);
	json_decref(root);
	return 0;
}
