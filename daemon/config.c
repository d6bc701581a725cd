/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the configuration with jansson, driven by tables of keys; see config.h and config/npud.schema.json. */
#include "daemon/config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config_ids.h"
#include "daemon/log.h"
#include "daemon/util/cleanup.h"
#include "daemon/util/clock.h"
#include "proto/limits.h"

#define MAX_FILE_BYTES (1u << 20)
#define PATH_TEXT_BYTES 256
#define DEFAULT_DEADLINE_MS 1000u

enum kind {
	KIND_UINT,
	KIND_BOOL,
	KIND_STRING,
	KIND_PATH,
	KIND_MODE,
	KIND_CHOICE,
	KIND_USERS,
	KIND_GROUPS,
	KIND_OBJECT
};

struct choice {
	const char *name;
	uint32_t value;
};

/* One key of an object: where its value goes and what is legal. */
struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	uint64_t minimum; /* of a number */
	uint64_t maximum; /* of a number, or bytes of a text with its NUL */
	const struct choice *choices;
	const struct key *keys; /* of an object */
	bool required;
};

#define END                                                                                                            \
	{                                                                                                              \
		NULL, KIND_UINT, 0, 0, 0, NULL, NULL, false                                                            \
	}
#define UINT(name_, type, member, min, max)                                                                            \
	{                                                                                                              \
		name_, KIND_UINT, offsetof(type, member), min, max, NULL, NULL, false                                  \
	}
#define CHOICE(name_, type, member, list)                                                                              \
	{                                                                                                              \
		name_, KIND_CHOICE, offsetof(type, member), 0, 0, list, NULL, false                                    \
	}
#define OBJECT(name_, type, member, list)                                                                              \
	{                                                                                                              \
		name_, KIND_OBJECT, offsetof(type, member), 0, 0, NULL, list, false                                    \
	}
#define BOOLEAN(name_, type, member)                                                                                   \
	{                                                                                                              \
		name_, KIND_BOOL, offsetof(type, member), 0, 0, NULL, NULL, false                                      \
	}

static const struct choice log_levels[] = {{"error", LOG_LEVEL_ERROR},
					   {"warn", LOG_LEVEL_WARN},
					   {"info", LOG_LEVEL_INFO},
					   {"debug", LOG_LEVEL_DEBUG},
					   {NULL, 0}};
static const struct choice log_formats[] = {{"kv", LOG_FORMAT_KV}, {"json", LOG_FORMAT_JSON}, {NULL, 0}};
static const struct choice transports[] = {{"vfio-user", TRANSPORT_VFIO_USER}, {"vfio", TRANSPORT_VFIO}, {NULL, 0}};
static const struct choice iommus[] = {
    {"auto", VFIO_IOMMU_AUTO}, {"iommufd", VFIO_IOMMU_IOMMUFD}, {"type1", VFIO_IOMMU_TYPE1}, {NULL, 0}};
static const struct choice scrubs[] = {{"reset", SCRUB_RESET}, {"gm", SCRUB_GM}, {"none", SCRUB_NONE}, {NULL, 0}};

static const struct key socket_keys[] = {
    {"path", KIND_PATH, offsetof(struct config, socket.path), 0, CONFIG_PATH_BYTES, NULL, NULL, false},
    {"mode", KIND_MODE, offsetof(struct config, socket.mode), 0, 0777, NULL, NULL, false},
    {"group", KIND_STRING, offsetof(struct config, socket.group), 0, CONFIG_NAME_BYTES, NULL, NULL, false},
    END};
static const struct key log_keys[] = {CHOICE("level", struct config, log.level, log_levels),
				      CHOICE("format", struct config, log.format, log_formats), END};
static const struct key device_keys[] = {
    {"name", KIND_STRING, offsetof(struct config_device, name), 1, CONFIG_NAME_BYTES, NULL, NULL, true},
    CHOICE("transport", struct config_device, transport, transports),
    {"path", KIND_PATH, offsetof(struct config_device, path), 1, CONFIG_PATH_BYTES, NULL, NULL, false},
    {"address", KIND_STRING, offsetof(struct config_device, address), 1, CONFIG_NAME_BYTES, NULL, NULL, false},
    CHOICE("iommu", struct config_device, iommu, iommus),
    UINT("deadline_ms", struct config_device, deadline_ms, 1, 600000),
    END};
static const struct key scheduler_keys[] = {
    {"policy", KIND_STRING, offsetof(struct config, scheduler.policy), 1, CONFIG_NAME_BYTES, NULL, NULL, false},
    UINT("max_in_flight", struct config, scheduler.max_in_flight, 1, 8),
    END};
static const struct key budget_keys[] = {UINT("default_ms", struct config, budget.default_ms, 1, 86400000),
					 UINT("max_ms", struct config, budget.max_ms, 1, 86400000), END};
static const struct key limit_keys[] = {
    UINT("sessions", struct config_limits, maximum[QUOTA_SESSIONS], 1, 65536),
    UINT("buffers", struct config_limits, maximum[QUOTA_BUFFERS], 1, 1u << 20),
    UINT("buffer_bytes", struct config_limits, maximum[QUOTA_BUFFER_BYTES], 4096, 1ull << 50),
    UINT("jobs", struct config_limits, maximum[QUOTA_JOBS], 1, 1u << 20),
    UINT("job_bytes", struct config_limits, maximum[QUOTA_JOB_BYTES], 4096, 1ull << 40),
    UINT("tcb_bytes", struct config_limits, maximum[QUOTA_TCB_BYTES], 4096, 1ull << 40),
    END};
static const struct key limits_keys[] = {
    OBJECT("session", struct config, limits.session, limit_keys),
    OBJECT("tenant", struct config, limits.tenant, limit_keys),
    OBJECT("daemon", struct config, limits.daemon, limit_keys),
    UINT("connections", struct config, limits.connections, 1, 65536),
    UINT("connections_per_user", struct config, limits.connections_per_user, 1, 65536),
    UINT("hello_ms", struct config, limits.hello_ms, 10, 600000),
    END};
static const struct key quirk_keys[] = {BOOLEAN("reset_keeps_gm", struct config, quirks.reset_keeps_gm),
					BOOLEAN("create_always", struct config, quirks.create_always),
					UINT("gm_offset_shift", struct config, quirks.gm_offset_shift, 0, 12), END};
static const struct key right_keys[] = {
    {"users", KIND_USERS, offsetof(struct right_rule, users), 0, 0, NULL, NULL, false},
    {"groups", KIND_GROUPS, offsetof(struct right_rule, groups), 0, 0, NULL, NULL, false},
    END};
#define RIGHTS_KEY(name, text) OBJECT(text, struct config, rights.of[RIGHT_##name], right_keys),
static const struct key rights_keys[] = {RIGHTS(RIGHTS_KEY) END};
/* "devices" is an array and handled apart. */
static const struct key top_keys[] = {{"socket", KIND_OBJECT, 0, 0, 0, NULL, socket_keys, false},
				      {"log", KIND_OBJECT, 0, 0, 0, NULL, log_keys, false},
				      {"scheduler", KIND_OBJECT, 0, 0, 0, NULL, scheduler_keys, false},
				      {"budget", KIND_OBJECT, 0, 0, 0, NULL, budget_keys, false},
				      CHOICE("scrub", struct config, scrub, scrubs),
				      {"limits", KIND_OBJECT, 0, 0, 0, NULL, limits_keys, false},
				      {"rights", KIND_OBJECT, 0, 0, 0, NULL, rights_keys, false},
				      {"quirks", KIND_OBJECT, 0, 0, 0, NULL, quirk_keys, false},
				      END};

/* ------------------------------------------------------------------ errors */

static void complain(struct config_errors *errors, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void complain(struct config_errors *errors, const char *path, const char *format, ...)
{
	size_t used = strlen(errors->text);
	va_list args;

	errors->count++;
	int head = snprintf(errors->text + used, sizeof(errors->text) - used, "%s%s: ", used ? "\n" : "", path);
	if (head < 0 || used + (size_t)head >= sizeof(errors->text))
		return;
	used += (size_t)head;
	va_start(args, format);
	if (vsnprintf(errors->text + used, sizeof(errors->text) - used, format, args) < 0)
		errors->text[used] = '\0';
	va_end(args);
}

static void join(char out[PATH_TEXT_BYTES], const char *path, const char *name)
{
	if (snprintf(out, PATH_TEXT_BYTES, "%s%s%.64s", path, path[0] ? "." : "", name) < 0)
		out[0] = '\0';
}

/* ------------------------------------------------------------------ values */

static void parse_uint(const json_t *value, const struct key *key, const char *path, uint64_t *out,
		       struct config_errors *errors)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || (uint64_t)number < key->minimum || (uint64_t)number > key->maximum)
		complain(errors, path, "must be an integer in %" PRIu64 "..%" PRIu64, key->minimum, key->maximum);
	else
		*out = (uint64_t)number;
}

static void parse_string(const json_t *value, const struct key *key, const char *path, char *out,
			 struct config_errors *errors)
{
	size_t bytes = json_string_length(value);
	const char *text = json_string_value(value);

	if (!text || bytes < key->minimum || bytes >= key->maximum || strlen(text) != bytes)
		complain(errors, path, "must be a text of %" PRIu64 "..%" PRIu64 " bytes", key->minimum,
			 key->maximum - 1);
	else if (key->kind == KIND_PATH && text[0] != '/')
		complain(errors, path, "must be an absolute path");
	else
		memcpy(out, text, bytes + 1);
}

static void parse_mode(const json_t *value, const char *path, uint32_t *out, struct config_errors *errors)
{
	const char *text = json_string_value(value);
	uint32_t mode = 0;
	bool good = text && strlen(text) == 4 && text[0] == '0';

	for (int i = 1; good && i < 4; i++) {
		good = text[i] >= '0' && text[i] <= '7';
		mode = mode * 8 + (uint32_t)(text[i] - '0');
	}
	if (!good)
		complain(errors, path, "must be four octal digits such as \"0660\"");
	else
		*out = mode;
}

static void parse_choice(const json_t *value, const struct key *key, const char *path, uint32_t *out,
			 struct config_errors *errors)
{
	const char *text = json_string_value(value);
	char names[128] = "";
	size_t used = 0;

	for (const struct choice *choice = key->choices; choice->name; choice++) {
		if (text && strcmp(text, choice->name) == 0) {
			*out = choice->value;
			return;
		}
		int more = snprintf(names + used, sizeof(names) - used, "%s\"%s\"", used ? ", " : "", choice->name);
		if (more > 0 && used + (size_t)more < sizeof(names))
			used += (size_t)more;
	}
	complain(errors, path, "must be one of %s", names);
}

static void parse_ids(const json_t *value, enum config_id_kind kind, const char *path, struct right_ids *out,
		      struct config_errors *errors)
{
	const size_t count = json_array_size(value);
	char inner[PATH_TEXT_BYTES], why[CONFIG_ID_WHY_BYTES];

	if (!json_is_array(value) || count > RIGHT_MAX_IDS) {
		complain(errors, path, "must be an array of at most %u names or numbers", RIGHT_MAX_IDS);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (snprintf(inner, sizeof(inner), "%s[%zu]", path, i) < 0)
			return;
		if (config_id_resolve(json_array_get(value, i), kind, &out->id[i], why) < 0)
			complain(errors, inner, "%s", why);
	}
	out->count = (uint32_t)count;
}

static void parse_object(const json_t *object, const struct key *keys, const char *path, void *base,
			 struct config_errors *errors);

static void parse_value(const json_t *value, const struct key *key, const char *path, void *base,
			struct config_errors *errors)
{
	void *out = (char *)base + key->offset;

	switch (key->kind) {
	case KIND_UINT:
		parse_uint(value, key, path, out, errors);
		break;
	case KIND_BOOL:
		if (json_is_boolean(value))
			*(bool *)out = json_is_true(value);
		else
			complain(errors, path, "must be true or false");
		break;
	case KIND_STRING:
	case KIND_PATH:
		parse_string(value, key, path, out, errors);
		break;
	case KIND_MODE:
		parse_mode(value, path, out, errors);
		break;
	case KIND_CHOICE:
		parse_choice(value, key, path, out, errors);
		break;
	case KIND_USERS:
		parse_ids(value, CONFIG_USER, path, out, errors);
		break;
	case KIND_GROUPS:
		parse_ids(value, CONFIG_GROUP, path, out, errors);
		break;
	case KIND_OBJECT:
	default:
		parse_object(value, key->keys, path, out, errors);
		break;
	}
}

static const struct key *find_key(const struct key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (strcmp(keys->name, name) == 0)
			return keys;
	return NULL;
}

static void parse_object(const json_t *object, const struct key *keys, const char *path, void *base,
			 struct config_errors *errors)
{
	char inner[PATH_TEXT_BYTES];
	const char *name;
	json_t *value;

	if (!json_is_object(object)) {
		complain(errors, path[0] ? path : "configuration", "must be an object");
		return;
	}
	json_object_foreach ((json_t *)object, name, value) {
		const struct key *key = find_key(keys, name);
		join(inner, path, name);
		if (key)
			parse_value(value, key, inner, base, errors);
		else if (keys != top_keys || strcmp(name, "devices") != 0)
			complain(errors, inner, "unknown key");
	}
	for (const struct key *key = keys; key->name; key++) {
		if (!key->required || json_object_get(object, key->name))
			continue;
		join(inner, path, key->name);
		complain(errors, inner, "missing");
	}
}

/* ------------------------------------------------------------------ the whole */

static void check_unlike(const char *name, const char *a, const char *b, uint32_t i, uint32_t j,
			 struct config_errors *errors)
{
	char path[32];

	if (a[0] && strcmp(a, b) == 0 && snprintf(path, sizeof(path), "devices[%u].%s", i, name) > 0)
		complain(errors, path, "devices[%u] has the same %s", j, name);
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
		complain(errors, path, "missing: transport \"vfio-user\" needs the socket of the server");
	if (!kernel && device->address[0])
		complain(errors, address, "has no meaning with transport \"vfio-user\"");
	if (kernel && !device->address[0])
		complain(errors, address, "missing: transport \"vfio\" needs an address such as \"0000:01:00.0\"");
	if (kernel && device->path[0])
		complain(errors, path, "has no meaning with transport \"vfio\"");
	if (kernel && device->deadline_ms)
		complain(errors, deadline, "has no meaning with transport \"vfio\"");
	if (!kernel && device->iommu != VFIO_IOMMU_AUTO)
		complain(errors, iommu, "has no meaning with transport \"vfio-user\"");
	if (device->address[0] && !is_bus_name(device->address))
		complain(errors, address, "is not the name of a device on a bus, such as \"0000:01:00.0\"");
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
		complain(errors, "devices", "must be an array of 1..%u devices", HOST_MAX_DEVICES);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (snprintf(path, sizeof(path), "devices[%u]", i) < 0)
			return;
		parse_object(json_array_get(devices, i), device_keys, path, &config->devices[i], errors);
	}
	config->device_count = (uint32_t)count;
	check_devices(config, errors);
	for (uint32_t i = 0; i < count; i++)
		if (!config->devices[i].deadline_ms)
			config->devices[i].deadline_ms = DEFAULT_DEADLINE_MS;
}

static void set_defaults(struct config *config)
{
	static const struct config_limits session = {
	    {1, NPUD_MAX_BUFFERS_PER_SESSION, 16ull << 30, NPUD_MAX_JOBS_PER_SESSION, 64ull << 20, ARENA_BYTES}};
	static const struct config_limits tenant = {{256, 16384, 32ull << 30, 8192, 256ull << 20, 256ull << 20}};
	static const struct config_limits all = {{1024, 65536, 64ull << 30, 65536, 1ull << 30, 1ull << 30}};

	memset(config, 0, sizeof(*config));
	memcpy(config->socket.path, NPUD_DEFAULT_SOCKET, sizeof(NPUD_DEFAULT_SOCKET));
	config->socket.mode = 0660;
	config->log.level = LOG_LEVEL_INFO;
	config->log.format = LOG_FORMAT_KV;
	memcpy(config->scheduler.policy, "fifo", sizeof("fifo"));
	config->scheduler.max_in_flight = 2;
	config->budget.default_ms = 60000;
	config->budget.max_ms = 3600000;
	config->scrub = SCRUB_RESET;
	config->limits.session = session;
	config->limits.tenant = tenant;
	config->limits.daemon = all;
	config->limits.connections = 1024;
	config->limits.connections_per_user = 256;
	config->limits.hello_ms = 10000;
}

static void check_whole(const struct config *config, struct config_errors *errors)
{
	if (!sched_by_name(config->scheduler.policy))
		complain(errors, "scheduler.policy", "must be one of \"fifo\"");
	if (config->budget.default_ms > config->budget.max_ms)
		complain(errors, "budget.default_ms", "is larger than budget.max_ms");
	if (config->quirks.gm_offset_shift != 0 && config->quirks.gm_offset_shift != 12)
		complain(errors, "quirks.gm_offset_shift", "must be 0 or 12");
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
			complain(errors, path, "%s", where.text);
		return -EINVAL;
	}
	set_defaults(&config);
	parse_object(root, top_keys, "", &config, errors);
	if (json_is_object(root))
		parse_devices(root, &config, errors);
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
		complain(errors, path, "cannot be opened: %s", strerror(error));
		return -error;
	}
	char *text = malloc(MAX_FILE_BYTES + 1);
	int error = text ? read_file(fd, text, &used) : -ENOMEM;
	if (error < 0)
		complain(errors, path, "cannot be read: %s", strerror(-error));
	else
		error = config_parse(text, used, out, errors);
	free(text);
	return error;
}

void config_host_options(const struct config *config, struct host_options *out)
{
	memset(out, 0, sizeof(*out));
	out->scheduler = sched_by_name(config->scheduler.policy);
	out->max_in_flight = (uint32_t)config->scheduler.max_in_flight;
	out->default_budget_ns = config->budget.default_ms * NSEC_PER_MSEC;
	out->max_budget_ns = config->budget.max_ms * NSEC_PER_MSEC;
	out->scrub = (enum scrub_mode)config->scrub;
	out->quirks.reset_keeps_gm = config->quirks.reset_keeps_gm;
	out->quirks.create_always = config->quirks.create_always;
	out->quirks.gm_offset_shift = (uint32_t)config->quirks.gm_offset_shift;
	out->rights = config->rights;
	memcpy(out->session_maximum, config->limits.session.maximum, sizeof(out->session_maximum));
	memcpy(out->tenant_maximum, config->limits.tenant.maximum, sizeof(out->tenant_maximum));
	memcpy(out->daemon_maximum, config->limits.daemon.maximum, sizeof(out->daemon_maximum));
}
