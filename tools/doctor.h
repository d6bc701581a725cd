/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npuctl doctor: one examination per file. Each looks, says what it saw as one line, and adds the remedy to a failure;
 * none changes anything. The first obstacle in the order of enum host_obstacle becomes the exit code.
 */
#ifndef NPUD_TOOLS_DOCTOR_H
#define NPUD_TOOLS_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tools/host.h"
#include "tools/reason.h"
#include "tools/vfio_session.h"

#define DOCTOR_LINE_BYTES 1024
#define DOCTOR_MAX_GROUPS 256
#define DOCTOR_MAX_DEVICES 16

enum doctor_status { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

/* Whose permissions count. */
struct doctor_user {
	const char *name; /* NULL: the caller's own */
	uid_t uid;
	gid_t groups[DOCTOR_MAX_GROUPS];
	int group_count;
};

struct doctor {
	struct host host;
	json_t *lines; /* an array when the report is to be JSON, otherwise NULL */
	struct doctor_user user;
	uint64_t memory_bytes; /* what npud has to lock */
	bool powered; /* the operator says that clocks and power are on */
	bool look_only; /* do not open the device */
	unsigned warnings;
	unsigned failures;
	enum host_obstacle first; /* of the failures; 0 = none */
};

/* One device under examination. */
struct subject {
	struct host_device device;
	char driver[HOST_NAME_BYTES];
	bool on_vfio;
	int group; /* or a negative errno */
	bool tried; /* to open it */
	struct vfio_session session;
	int session_error; /* 0: open */
	struct reason session_why;
	bool power_doubtful; /* its registers are better left alone */
};

/* One line about @topic. A DOCTOR_FAIL counts as its topic's obstacle. */
__attribute__((format(printf, 4, 5))) void doctor_say(struct doctor *doctor, enum doctor_status status,
						      enum host_obstacle topic, const char *format, ...);
/* What to do about the line said last. */
__attribute__((format(printf, 2, 3))) void doctor_remedy(struct doctor *doctor, const char *format, ...);
/* The closing line; returns the exit code. */
int doctor_close(struct doctor *doctor, size_t devices);

/* Of the host as a whole. */
void doctor_check_devices(struct doctor *doctor, const struct host_device *devices, size_t count);
void doctor_check_iommu_host(struct doctor *doctor);
void doctor_check_modules_host(struct doctor *doctor);

/* Of one device, in this order. */
void doctor_subject_open(const struct doctor *doctor, struct subject *subject, const struct host_device *device);
void doctor_check_iommu(struct doctor *doctor, const struct subject *subject);
void doctor_check_group(struct doctor *doctor, const struct subject *subject);
void doctor_check_driver(struct doctor *doctor, const struct subject *subject);
void doctor_check_modules(struct doctor *doctor, const struct subject *subject);
void doctor_check_permissions(struct doctor *doctor, const struct subject *subject);
void doctor_check_memory(struct doctor *doctor);
void doctor_check_switch(struct doctor *doctor, const struct subject *subject);
void doctor_check_power(struct doctor *doctor, struct subject *subject);
void doctor_check_revision(struct doctor *doctor, const struct subject *subject);

/* From the account's name; -ENOENT if there is no such user. */
int doctor_user_find(const char *name, struct doctor_user *out);

/* What a configuration of npud says about kernel devices. */
struct doctor_config {
	uint64_t memory_bytes; /* capacity.buffer_bytes, or npud's default */
	char addresses[DOCTOR_MAX_DEVICES][HOST_NAME_BYTES];
	size_t address_count;
};

/* npud's defaults, and no device. */
void doctor_config_default(struct doctor_config *out);
/* Reads @path on top of the defaults; npud itself says what is wrong with a value, so here a wrong one is left out. */
int doctor_config_read(const char *path, struct doctor_config *out, struct reason *why);

#endif
