/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration against any text: it is accepted with every value inside its range, or refused with a place for
 * each error; what is refused changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "tests/fuzz/fuzz.h"

static bool ended(const char *text, size_t room)
{
	return memchr(text, 0, room) != NULL;
}

static void require_limits(const struct config_limits *limits)
{
	for (int i = 0; i < QUOTA_RESOURCES; i++)
		require(limits->maximum[i] > 0);
}

static void require_good(const struct config *config)
{
	require(ended(config->socket.path, sizeof(config->socket.path)) && config->socket.path[0] == '/');
	require(ended(config->socket.group, sizeof(config->socket.group)) && config->socket.mode <= 0777);
	require(config->device_count >= 1 && config->device_count <= HOST_MAX_DEVICES);
	for (uint32_t i = 0; i < config->device_count; i++) {
		const struct config_device *device = &config->devices[i];
		require(device->name[0] && ended(device->name, sizeof(device->name)));
		require(device->path[0] == '/' && ended(device->path, sizeof(device->path)));
		require(device->deadline_ms >= 1);
	}
	require(config->scheduler.max_in_flight >= 1);
	require(config->budget.default_ms >= 1 && config->budget.default_ms <= config->budget.max_ms);
	require_limits(&config->limits.session);
	require_limits(&config->limits.tenant);
	require_limits(&config->limits.daemon);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config config, untouched;
	static struct config_errors errors;
	struct host_options options;

	memset(&config, 0x5a, sizeof(config));
	memset(&untouched, 0x5a, sizeof(untouched));
	int rc = config_parse((const char *)data, size, &config, &errors);
	if (rc < 0) {
		require(errors.count > 0 && errors.text[0] && ended(errors.text, sizeof(errors.text)));
		require(memcmp(&config, &untouched, sizeof(config)) == 0);
		return 0;
	}
	require(rc == 0 && errors.count == 0);
	require_good(&config);
	config_host_options(&config, &options);
	require(options.scheduler != NULL);
	return 0;
}
