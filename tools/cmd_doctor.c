/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl doctor: what stands between this host and a working NPU. Needs no daemon and changes nothing. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/doctor.h"

#define CONFIG_PATH "/etc/npud/npud.json"

const char usage_doctor[] =
    "usage: npuctl doctor [ADDRESS] [OPTION...]\n"
    "Says, line by line, what stands between this host and a working NPU, and what to do about it.\n"
    "Without ADDRESS (0000:01:00.0, 10000000.npu): the devices of npud's configuration that are the\n"
    "kernel's, else everything that looks like an NPU. A device on VFIO that nobody uses is opened, which\n"
    "resets it, to measure what a switch costs and to read its revision register.\n"
    "  --config FILE  npud's configuration; /etc/npud/npud.json if it is there\n"
    "  --user NAME    whose permissions count; yours unless given (npud runs as npud)\n"
    "  --powered      clocks and power of a platform device are on: read its register\n"
    "  --look-only    do not open the device\n"
    "  --json         one JSON object instead of lines\n"
    "  --sys DIR      instead of /sys\n"
    "  --dev DIR      instead of /dev\n"
    "Exit codes: 0 nothing, else the first obstacle: 10 no device, 11 no IOMMU, 12 group, 13 driver,\n"
    "14 module parameters, 15 permissions, 16 locked memory, 17 clocks or power, 18 revision.\n"
    "1 it failed itself, 2 wrong usage.\n";

struct request {
	struct doctor doctor;
	const char *address;
	const char *config;
	const char *user;
	bool json;
};

/* 0, or -1 with *@code set when there is no more to do. */
static int options_parse(int argc, char **argv, struct request *request, int *code)
{
	static const struct option list[] = {{"config", required_argument, NULL, 'c'},
					     {"user", required_argument, NULL, 'u'},
					     {"powered", no_argument, NULL, 'p'},
					     {"look-only", no_argument, NULL, 'l'},
					     {"json", no_argument, NULL, 'j'},
					     {"sys", required_argument, NULL, 's'},
					     {"dev", required_argument, NULL, 'd'},
					     {"help", no_argument, NULL, 'h'},
					     {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		switch (option) {
		case 'c':
			request->config = optarg;
			break;
		case 'u':
			request->user = optarg;
			break;
		case 'p':
			request->doctor.powered = true;
			break;
		case 'l':
			request->doctor.look_only = true;
			break;
		case 'j':
			request->json = true;
			break;
		case 's':
			request->doctor.host.sys = optarg;
			break;
		case 'd':
			request->doctor.host.dev = optarg;
			break;
		case 'h':
			(void)fputs(usage_doctor, stdout);
			*code = EXIT_SUCCESS;
			return -1;
		default:
			*code = EXIT_USAGE;
			return -1;
		}
	}
	if (argc - optind > 1) {
		*code = usage_error("doctor", "takes one address at most");
		return -1;
	}
	request->address = optind < argc ? argv[optind] : NULL;
	return 0;
}

static int inputs_read(struct request *request, struct doctor_config *config, struct reason *why)
{
	const char *path = request->config;

	if (!path && access(CONFIG_PATH, R_OK) == 0)
		path = CONFIG_PATH;
	if (path) {
		int error = doctor_config_read(path, config, why);
		if (error)
			return error;
	}
	request->doctor.memory_bytes = config->memory_bytes;
	if (request->user) {
		int error = doctor_user_find(request->user, &request->doctor.user);
		if (error)
			return reason_set(why, error, "there is no user '%s'", request->user);
	}
	return 0;
}

/* The address that was given wins, then the configuration, then what the host shows; returns how many there are. */
static size_t devices_choose(struct request *request, const struct doctor_config *config, struct host_device *out)
{
	struct doctor *doctor = &request->doctor;
	const char *address = request->address;
	size_t wanted = address ? 1 : config->address_count;
	size_t count = 0;

	for (size_t i = 0; i < wanted; i++) {
		const char *name = address ? address : config->addresses[i];

		if (host_device_find(&doctor->host, name, &out[count]) == 0) {
			count++;
			continue;
		}
		doctor_say(doctor, DOCTOR_FAIL, HOST_NO_DEVICE, "%s: there is no PCI or platform device of that name",
			   name);
		doctor_remedy(doctor, "ls %s/bus/pci/devices %s/bus/platform/devices", doctor->host.sys,
			      doctor->host.sys);
	}
	if (!wanted)
		count = host_devices(&doctor->host, out, DOCTOR_MAX_DEVICES);
	if (count || !wanted)
		doctor_check_devices(doctor, out, count);
	return count;
}

static void device_examine(struct doctor *doctor, const struct host_device *device, bool first)
{
	struct subject subject;

	doctor_subject_open(doctor, &subject, device);
	doctor_check_iommu(doctor, &subject);
	doctor_check_group(doctor, &subject);
	doctor_check_driver(doctor, &subject);
	doctor_check_modules(doctor, &subject);
	doctor_check_permissions(doctor, &subject);
	if (first)
		doctor_check_memory(doctor);
	doctor_check_switch(doctor, &subject);
	doctor_check_power(doctor, &subject);
	doctor_check_revision(doctor, &subject);
	vfio_session_close(&subject.session);
}

static int examine(struct request *request, const struct doctor_config *config)
{
	struct host_device devices[DOCTOR_MAX_DEVICES];
	struct doctor *doctor = &request->doctor;

	if (request->json)
		doctor->lines = json_array();
	size_t count = devices_choose(request, config, devices);
	doctor_check_modules_host(doctor);
	for (size_t i = 0; i < count; i++)
		device_examine(doctor, &devices[i], i == 0);
	if (!count) {
		doctor_check_iommu_host(doctor);
		doctor_check_memory(doctor);
	}
	return doctor_close(doctor, count);
}

int command_doctor(int argc, char **argv)
{
	struct request request = {.doctor = {.host = {.sys = HOST_SYS, .dev = HOST_DEV}}};
	struct doctor_config config;
	struct reason why = {0};
	int code = 0;

	if (options_parse(argc, argv, &request, &code) < 0)
		return code;
	doctor_config_default(&config);
	if (inputs_read(&request, &config, &why) < 0) {
		(void)fprintf(stderr, "npuctl doctor: %s\n", why.text);
		return EXIT_FAILURE;
	}
	return examine(&request, &config);
}
