/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: read once, checked completely, then handed over; nothing is half-applied. */
#ifndef NPUD_CONFIG_H
#define NPUD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/host.h"

#define CONFIG_PATH_BYTES 108 /* of a Unix socket address */
#define CONFIG_NAME_BYTES 64

enum config_transport { TRANSPORT_VFIO_USER = 0, TRANSPORT_VFIO };

struct config_device {
	char name[CONFIG_NAME_BYTES];
	uint32_t transport;
	char path[CONFIG_PATH_BYTES]; /* vfio-user: of the socket */
	uint64_t deadline_ms; /* vfio-user */
	char address[CONFIG_NAME_BYTES]; /* vfio: as the bus names it */
	uint32_t iommu; /* vfio: enum vfio_iommu */
};

struct config_limits {
	uint64_t maximum[QUOTA_RESOURCES];
};

struct config_remainder {
	uint64_t permille[SCHED_CLASSES];
};

struct config {
	struct {
		char path[CONFIG_PATH_BYTES];
		uint32_t mode;
		char group[CONFIG_NAME_BYTES]; /* empty: unchanged */
	} socket;
	struct {
		uint32_t level;
		uint32_t format;
	} log;
	struct config_device devices[HOST_MAX_DEVICES];
	uint32_t device_count;
	struct {
		char policy[CONFIG_NAME_BYTES];
		uint64_t max_in_flight;
		uint64_t max_in_flight_us;
		uint64_t min_in_flight_us;
		uint64_t ageing_ms;
		struct config_remainder remainder;
	} scheduler;
	struct {
		uint64_t default_ms;
		uint64_t max_ms;
	} budget;
	struct {
		uint64_t session_threshold;
		uint64_t tenant_threshold;
		uint64_t half_life_s;
		uint64_t minimum_s;
	} quarantine;
	uint32_t scrub;
	struct {
		struct config_limits tenant;
		uint64_t connections;
		uint64_t connections_per_user;
		uint64_t hello_ms;
	} limits;
	struct config_limits capacity;
	struct rights_rules rights;
	struct tenant_rules tenants;
	struct {
		bool reset_keeps_gm;
		bool create_always;
		uint64_t gm_offset_shift;
	} quirks;
};

/* One line per error: `devices[0].path: ...`. */
struct config_errors {
	unsigned count;
	char text[4096];
};

/* 0 or -EINVAL with every error that was found; `out` is untouched then. `text` need not end with NUL. */
int config_parse(const char *text, size_t bytes, struct config *out, struct config_errors *errors);
/* The same from a file; errors of open and read, too. At most 1 MiB is read. */
int config_load(const char *path, struct config *out, struct config_errors *errors);

void config_host_options(const struct config *config, struct host_options *out);

#endif
