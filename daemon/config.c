/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the configuration, their limits and defaults; see config.h and config/npud.schema.json. */
#include "daemon/config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config_tenants.h"
#include "daemon/config_value.h"
#include "daemon/log.h"
#include "daemon/util/cleanup.h"
#include "daemon/util/clock.h"
#include "proto/limits.h"

#define MAX_FILE_BYTES (1u << 20)
#define DEFAULT_DEADLINE_MS 1000u

static const struct config_choice log_levels[] = {{"error", LOG_LEVEL_ERROR},
						  {"warn", LOG_LEVEL_WARN},
						  {"info", LOG_LEVEL_INFO},
						  {"debug", LOG_LEVEL_DEBUG},
						  {NULL, 0}};
static const struct config_choice log_formats[] = {{"kv", LOG_FORMAT_KV}, {"json", LOG_FORMAT_JSON}, {NULL, 0}};
static const struct config_choice transports[] = {
    {"vfio-user", TRANSPORT_VFIO_USER}, {"vfio", TRANSPORT_VFIO}, {NULL, 0}};
static const struct config_choice iommus[] = {
    {"auto", VFIO_IOMMU_AUTO}, {"iommufd", VFIO_IOMMU_IOMMUFD}, {"type1", VFIO_IOMMU_TYPE1}, {NULL, 0}};
static const struct config_choice scrubs[] = {
    {"reset", SCRUB_RESET}, {"gm", SCRUB_GM}, {"none", SCRUB_NONE}, {NULL, 0}};

static const struct config_choice unknowns[] = {
    {"default", TENANT_UNKNOWN_DEFAULT}, {"refuse", TENANT_UNKNOWN_REFUSE}, {NULL, 0}};

static const struct config_key socket_keys[] = {
    {"path", KIND_PATH, offsetof(struct config, socket.path), 0, CONFIG_PATH_BYTES, NULL, NULL, false},
    {"mode", KIND_MODE, offsetof(struct config, socket.mode), 0, 0777, NULL, NULL, false},
    {"group", KIND_STRING, offsetof(struct config, socket.group), 0, CONFIG_NAME_BYTES, NULL, NULL, false},
    CONFIG_END};
static const struct config_key log_keys[] = {CONFIG_CHOICE("level", struct config, log.level, log_levels),
					     CONFIG_CHOICE("format", struct config, log.format, log_formats),
					     CONFIG_END};
static const struct config_key device_keys[] = {
    {"name", KIND_STRING, offsetof(struct config_device, name), 1, CONFIG_NAME_BYTES, NULL, NULL, true},
    CONFIG_CHOICE("transport", struct config_device, transport, transports),
    {"path", KIND_PATH, offsetof(struct config_device, path), 1, CONFIG_PATH_BYTES, NULL, NULL, false},
    {"address", KIND_STRING, offsetof(struct config_device, address), 1, CONFIG_NAME_BYTES, NULL, NULL, false},
    CONFIG_CHOICE("iommu", struct config_device, iommu, iommus),
    CONFIG_UINT("deadline_ms", struct config_device, deadline_ms, 1, 600000),
    CONFIG_END};
static const struct config_key remainder_keys[] = {
    CONFIG_UINT("high", struct config_remainder, permille[SCHED_HIGH], 0, 300),
    CONFIG_UINT("normal", struct config_remainder, permille[SCHED_NORMAL], 0, 300),
    CONFIG_UINT("idle", struct config_remainder, permille[SCHED_IDLE], 0, 300), CONFIG_END};
static const struct config_key scheduler_keys[] = {
    {"policy", KIND_STRING, offsetof(struct config, scheduler.policy), 1, CONFIG_NAME_BYTES, NULL, NULL, false},
    CONFIG_UINT("max_in_flight", struct config, scheduler.max_in_flight, 1, 8),
    CONFIG_UINT("max_in_flight_us", struct config, scheduler.max_in_flight_us, 0, 10000000),
    CONFIG_UINT("min_in_flight_us", struct config, scheduler.min_in_flight_us, 0, 10000000),
    CONFIG_UINT("ageing_ms", struct config, scheduler.ageing_ms, 0, 3600000),
    CONFIG_OBJECT("remainder", struct config, scheduler.remainder, remainder_keys),
    CONFIG_END};
static const struct config_key budget_keys[] = {
    CONFIG_UINT("default_ms", struct config, budget.default_ms, 1, 86400000),
    CONFIG_UINT("max_ms", struct config, budget.max_ms, 1, 86400000), CONFIG_END};
static const struct config_key quarantine_keys[] = {
    CONFIG_UINT("session_threshold", struct config, quarantine.session_threshold, 0, QUARANTINE_MAX_THRESHOLD),
    CONFIG_UINT("tenant_threshold", struct config, quarantine.tenant_threshold, 0, QUARANTINE_MAX_THRESHOLD),
    CONFIG_UINT("half_life_s", struct config, quarantine.half_life_s, 1, 86400),
    CONFIG_UINT("minimum_s", struct config, quarantine.minimum_s, 0, 86400), CONFIG_END};
static const struct config_key limits_keys[] = {
    CONFIG_OBJECT("tenant", struct config, limits.tenant, config_limit_keys),
    CONFIG_UINT("connections", struct config, limits.connections, 1, 65536),
    CONFIG_UINT("connections_per_user", struct config, limits.connections_per_user, 1, 65536),
    CONFIG_UINT("hello_ms", struct config, limits.hello_ms, 10, 600000), CONFIG_END};
/* What objects cost the host: no number of them is worth a limit of its own. Sessions are bounded by connections. */
static const struct config_key capacity_keys[] = {
    CONFIG_UINT("buffer_bytes", struct config_limits, maximum[QUOTA_BUFFER_BYTES], 4096, 1ull << 50),
    CONFIG_UINT("job_bytes", struct config_limits, maximum[QUOTA_JOB_BYTES], 4096, 1ull << 40),
    CONFIG_UINT("tcb_bytes", struct config_limits, maximum[QUOTA_TCB_BYTES], 4096, 1ull << 40),
    CONFIG_UINT("fds", struct config_limits, maximum[QUOTA_FDS], 4, 1u << 20), CONFIG_END};
static const struct config_key quirk_keys[] = {
    CONFIG_BOOLEAN("reset_keeps_gm", struct config, quirks.reset_keeps_gm),
    CONFIG_BOOLEAN("create_always", struct config, quirks.create_always),
    CONFIG_UINT("gm_offset_shift", struct config, quirks.gm_offset_shift, 0, 12), CONFIG_END};
static const struct config_key right_keys[] = {
    {"users", KIND_USERS, offsetof(struct right_rule, users), 0, 0, NULL, NULL, false},
    {"groups", KIND_GROUPS, offsetof(struct right_rule, groups), 0, 0, NULL, NULL, false},
    CONFIG_END};
#define RIGHTS_KEY(name, text) CONFIG_OBJECT(text, struct config, rights.of[RIGHT_##name], right_keys),
static const struct config_key rights_keys[] = {RIGHTS(RIGHTS_KEY) CONFIG_END};
static const struct config_key top_keys[] = {CONFIG_APART("devices"),
					     CONFIG_APART("tenants"),
					     CONFIG_APART("default_tenant"),
					     CONFIG_CHOICE("unknown", struct config, tenants.unknown, unknowns),
					     {"socket", KIND_OBJECT, 0, 0, 0, NULL, socket_keys, false},
					     {"log", KIND_OBJECT, 0, 0, 0, NULL, log_keys, false},
					     {"scheduler", KIND_OBJECT, 0, 0, 0, NULL, scheduler_keys, false},
					     {"budget", KIND_OBJECT, 0, 0, 0, NULL, budget_keys, false},
					     {"quarantine", KIND_OBJECT, 0, 0, 0, NULL, quarantine_keys, false},
					     CONFIG_CHOICE("scrub", struct config, scrub, scrubs),
					     {"limits", KIND_OBJECT, 0, 0, 0, NULL, limits_keys, false},
					     CONFIG_OBJECT("capacity", struct config, capacity, capacity_keys),
					     {"rights", KIND_OBJECT, 0, 0, 0, NULL, rights_keys, false},
					     {"quirks", KIND_OBJECT, 0, 0, 0, NULL, quirk_keys, false},
					     CONFIG_END};

/* ------------------------------------------------------------------ the whole */

static void check_unlike(const char *name, const char *a, const char *b, uint32_t i, uint32_t j,
			 struct config_errors *errors)
{
	char path[32];

	if (a[0] && strcmp(a, b) == 0 && snprintf(path, sizeof(path), "devices[%u].%s", i, name) > 0)
		config_complain(errors, path, "devices[%u] has the same %s", j, name);
}

/* An address becomes part of paths: a name of a directory, not a way to another. */
static bool is_bus_name(const char *address)
{
	return strspn(address, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:.,@_-") ==
		   strlen(address) &&
	       address[0] != '.';
}

/* What a transport needs, and what has no meaning for it. */
static void check_place(const struct config_device *device, uint32_t i, struct config_errors *errors)
{
	bool kernel = device->transport == TRANSPORT_VFIO;
	char path[32], address[32], deadline[32], iommu[32];

	if (snprintf(path, sizeof(path), "devices[%u].path", i) < 0 ||
	    snprintf(address, sizeof(address), "devices[%u].address", i) < 0 ||
	    snprintf(deadline, sizeof(deadline), "devices[%u].deadline_ms", i) < 0 ||
	    snprintf(iommu, sizeof(iommu), "devices[%u].iommu", i) < 0)
		return;
	if (!kernel && !device->path[0])
		config_complain(errors, path, "missing: transport \"vfio-user\" needs the socket of the server");
	if (!kernel && device->address[0])
		config_complain(errors, address, "has no meaning with transport \"vfio-user\"");
	if (kernel && !device->address[0])
		config_complain(errors, address,
				"missing: transport \"vfio\" needs an address such as \"0000:01:00.0\"");
	if (kernel && device->path[0])
		config_complain(errors, path, "has no meaning with transport \"vfio\"");
	if (kernel && device->deadline_ms)
		config_complain(errors, deadline, "has no meaning with transport \"vfio\"");
	if (!kernel && device->iommu != VFIO_IOMMU_AUTO)
		config_complain(errors, iommu, "has no meaning with transport \"vfio-user\"");
	if (device->address[0] && !is_bus_name(device->address))
		config_complain(errors, address, "is not the name of a device on a bus, such as \"0000:01:00.0\"");
}

static void check_devices(const struct config *config, struct config_errors *errors)
{
	for (uint32_t i = 0; i < config->device_count; i++) {
		const struct config_device *a = &config->devices[i];
		check_place(a, i, errors);
		for (uint32_t j = 0; j < i; j++) {
			const struct config_device *b = &config->devices[j];
			check_unlike("name", a->name, b->name, i, j, errors);
			check_unlike("path", a->path, b->path, i, j, errors);
			check_unlike("address", a->address, b->address, i, j, errors);
		}
	}
}

static void parse_devices(const json_t *root, struct config *config, struct config_errors *errors)
{
	const json_t *devices = json_object_get(root, "devices");
	size_t count = json_array_size(devices);
	char path[32];

	if (!json_is_array(devices) || count == 0 || count > HOST_MAX_DEVICES) {
		config_complain(errors, "devices", "must be an array of 1..%u devices", HOST_MAX_DEVICES);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (snprintf(path, sizeof(path), "devices[%u]", i) < 0)
			return;
		config_parse_object(json_array_get(devices, i), device_keys, path, &config->devices[i], errors);
	}
	config->device_count = (uint32_t)count;
	check_devices(config, errors);
	for (uint32_t i = 0; i < count; i++)
		if (!config->devices[i].deadline_ms)
			config->devices[i].deadline_ms = DEFAULT_DEADLINE_MS;
}

static void set_defaults(struct config *config)
{
	static const struct config_limits tenant = {
	    {256, 16384, 32ull << 30, 8192, 256ull << 20, 256ull << 20, 16384, 32768}};
	static const struct config_limits capacity = {{[QUOTA_BUFFERS] = UINT64_MAX,
						       [QUOTA_BUFFER_BYTES] = 64ull << 30,
						       [QUOTA_JOBS] = UINT64_MAX,
						       [QUOTA_JOB_BYTES] = 1ull << 30,
						       [QUOTA_TCB_BYTES] = 1ull << 30,
						       [QUOTA_QUEUED] = UINT64_MAX,
						       [QUOTA_FDS] = 98304}};

	memset(config, 0, sizeof(*config));
	memcpy(config->socket.path, NPUD_DEFAULT_SOCKET, sizeof(NPUD_DEFAULT_SOCKET));
	config->socket.mode = 0660;
	config->log.level = LOG_LEVEL_INFO;
	config->log.format = LOG_FORMAT_KV;
	memcpy(config->scheduler.policy, "fair", sizeof("fair"));
	config->scheduler.max_in_flight = 2;
	config->scheduler.max_in_flight_us = 5000;
	config->scheduler.min_in_flight_us = 500;
	config->scheduler.ageing_ms = 500;
	config->scheduler.remainder.permille[SCHED_HIGH] = 100;
	config->scheduler.remainder.permille[SCHED_NORMAL] = 100;
	config->scheduler.remainder.permille[SCHED_IDLE] = 10;
	config->budget.default_ms = 60000;
	config->budget.max_ms = 3600000;
	config->quarantine.session_threshold = 16;
	config->quarantine.tenant_threshold = 32;
	config->quarantine.half_life_s = 60;
	config->quarantine.minimum_s = 10;
	config->scrub = SCRUB_RESET;
	config->limits.tenant = tenant;
	config->limits.connections = 1024;
	config->limits.connections_per_user = 256;
	config->limits.hello_ms = 10000;
	config->capacity = capacity;
}

static void check_whole(const struct config *config, struct config_errors *errors)
{
	if (!sched_by_name(config->scheduler.policy))
		config_complain(errors, "scheduler.policy", "must be one of \"fair\", \"fifo\"");
	if (config->budget.default_ms > config->budget.max_ms)
		config_complain(errors, "budget.default_ms", "is larger than budget.max_ms");
	if (config->quirks.gm_offset_shift != 0 && config->quirks.gm_offset_shift != 12)
		config_complain(errors, "quirks.gm_offset_shift", "must be 0 or 12");
}

int config_parse(const char *text, size_t bytes, struct config *out, struct config_errors *errors)
{
	struct config config;
	json_error_t where;
	char path[64];

	errors->count = 0;
	errors->text[0] = '\0';
	json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
	if (!root) {
		if (snprintf(path, sizeof(path), "line %d, column %d", where.line, where.column) > 0)
			config_complain(errors, path, "%s", where.text);
		return -EINVAL;
	}
	set_defaults(&config);
	config_parse_object(root, top_keys, "", &config, errors);
	if (json_is_object(root)) {
		parse_devices(root, &config, errors);
		config_parse_tenants(root, &config, errors);
	}
	json_decref(root);
	if (errors->count == 0)
		check_whole(&config, errors);
	if (errors->count)
		return -EINVAL;
	*out = config;
	return 0;
}

/* All of it, or -EFBIG. */
static int read_file(int fd, char *text, size_t *used)
{
	*used = 0;
	while (*used <= MAX_FILE_BYTES) {
		ssize_t count = read(fd, text + *used, MAX_FILE_BYTES + 1 - *used);
		if (count < 0)
			return -errno;
		if (count == 0)
			return 0;
		*used += (size_t)count;
	}
	return -EFBIG;
}

int config_load(const char *path, struct config *out, struct config_errors *errors)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t used = 0;

	errors->count = 0;
	errors->text[0] = '\0';
	if (fd < 0) {
		int error = errno;
		config_complain(errors, path, "cannot be opened: %s", strerror(error));
		return -error;
	}
	char *text = malloc(MAX_FILE_BYTES + 1);
	int error = text ? read_file(fd, text, &used) : -ENOMEM;
	if (error < 0)
		config_complain(errors, path, "cannot be read: %s", strerror(-error));
	else
		error = config_parse(text, used, out, errors);
	free(text);
	return error;
}

void config_host_options(const struct config *config, struct host_options *out)
{
	memset(out, 0, sizeof(*out));
	out->scheduler = sched_by_name(config->scheduler.policy);
	out->ageing_ns = config->scheduler.ageing_ms * NSEC_PER_MSEC;
	for (int class = 0; class < SCHED_CLASSES; class ++)
		out->remainder[class] = (uint32_t)config->scheduler.remainder.permille[class];
	out->max_in_flight = (uint32_t)config->scheduler.max_in_flight;
	out->max_in_flight_ns = config->scheduler.max_in_flight_us * NSEC_PER_USEC;
	out->min_in_flight_ns = config->scheduler.min_in_flight_us * NSEC_PER_USEC;
	out->default_budget_ns = config->budget.default_ms * NSEC_PER_MSEC;
	out->max_budget_ns = config->budget.max_ms * NSEC_PER_MSEC;
	out->quarantine.session_threshold = (uint32_t)config->quarantine.session_threshold;
	out->quarantine.tenant_threshold = (uint32_t)config->quarantine.tenant_threshold;
	out->quarantine.half_life_ns = config->quarantine.half_life_s * NSEC_PER_SEC;
	out->quarantine.minimum_ns = config->quarantine.minimum_s * NSEC_PER_SEC;
	out->scrub = (enum scrub_mode)config->scrub;
	out->quirks.reset_keeps_gm = config->quirks.reset_keeps_gm;
	out->quirks.create_always = config->quirks.create_always;
	out->quirks.gm_offset_shift = (uint32_t)config->quirks.gm_offset_shift;
	out->rights = config->rights;
	out->tenants = config->tenants;
	memcpy(out->capacity, config->capacity.maximum, sizeof(out->capacity));
	/* Those that are connected, and as many that have ended and that a device has not let go of. */
	out->capacity[QUOTA_SESSIONS] = 2 * config->limits.connections;
}
