/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration against any text: it is accepted with every value inside its range, or refused with a place for
 * each error; what is refused changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "tests/fuzz/fuzz.h"

#define UNTOUCHED 0x5a

/* Every byte, padding too. */
static void require_untouched(const void *memory, size_t bytes)
{
	const uint8_t *at = memory;

	for (size_t i = 0; i < bytes; i++)
		require(at[i] == UNTOUCHED);
}

static bool ended(const char *text, size_t room)
{
	return memchr(text, 0, room) != NULL;
}

static void require_limits(const uint64_t maximum[QUOTA_RESOURCES])
{
	for (int i = 0; i < QUOTA_RESOURCES; i++)
		require(maximum[i] > 0);
}

static void require_profile(const struct tenant_profile *profile)
{
	require(profile->name[0] && ended(profile->name, sizeof(profile->name)));
	require(profile->per <= TENANT_PER_RULE && profile->classes != 0);
	require(profile->classes < TENANT_CLASS_BIT(SCHED_CLASSES) && (profile->rights & ~RIGHTS_ALL) == 0);
	require(profile->weight >= 1 && profile->weight <= SCHED_MAX_WEIGHT);
	require(profile->time_permille >= 1 && profile->time_permille <= SCHED_WHOLE);
	require_limits(profile->maximum);
}

static void require_tenants(const struct tenant_rules *rules)
{
	require(rules->count <= TENANT_MAX_RULES && rules->unknown <= TENANT_UNKNOWN_REFUSE);
	require_profile(&rules->fallback);
	for (uint32_t i = 0; i < rules->count; i++) {
		const struct tenant_match *match = &rules->rule[i].match;
		require_profile(&rules->rule[i].profile);
		require(match->who.users.count + match->who.groups.count + match->cgroups.count > 0);
		require(match->who.users.count <= RIGHT_MAX_IDS && match->who.groups.count <= RIGHT_MAX_IDS);
		require(match->cgroups.count <= TENANT_MAX_CGROUPS);
		for (uint32_t k = 0; k < match->cgroups.count; k++)
			require(ended(match->cgroups.path[k], TENANT_CGROUP_BYTES) &&
				tenants_is_cgroup(match->cgroups.path[k]));
	}
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
	require_limits(config->limits.tenant.maximum);
	require(config->capacity.maximum[QUOTA_BUFFER_BYTES] > 0 && config->capacity.maximum[QUOTA_FDS] > 0);
	require_tenants(&config->tenants);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config config;
	static struct config_errors errors;
	struct host_options options;

	memset(&config, UNTOUCHED, sizeof(config));
	int rc = config_parse((const char *)data, size, &config, &errors);
	if (rc < 0) {
		require(errors.count > 0 && errors.text[0] && ended(errors.text, sizeof(errors.text)));
		require_untouched(&config, sizeof(config));
		return 0;
	}
	require(rc == 0 && errors.count == 0);
	require_good(&config);
	config_host_options(&config, &options);
	require(options.scheduler != NULL);
	return 0;
}
