/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the device have clock and power? On PCI that is the card's own affair. A platform device depends on the SoC, and
 * vfio-platform switches on no clock, and of power domains only the one that the bus attaches, while the device is open
 * (runtime PM). A register read without clock can stop the machine, so when in doubt nothing is read.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/doctor.h"
#include "tools/sysfs.h"

#define CELL_BYTES 4

/* What sysfs shows of a platform device's supplies. */
struct supply {
	char clocks[SYSFS_TEXT_BYTES]; /* names, or "unnamed"; empty: none */
	char domains[SYSFS_TEXT_BYTES];
	unsigned domain_count;
	char runtime[32]; /* power/runtime_status */
	char acpi[32]; /* D0, D3hot, ...; empty: not ACPI */
};

/* The names property of a device tree, as "core, bus"; returns their number. */
static unsigned names_join(char *strings, size_t bytes, char out[SYSFS_TEXT_BYTES])
{
	unsigned count = 0;
	size_t used = 0;

	for (size_t at = 0; at < bytes; at += strlen(strings + at) + 1, count++) {
		int length = snprintf(out + used, SYSFS_TEXT_BYTES - used, "%s%s", count ? ", " : "", strings + at);

		used = length > 0 && used + (size_t)length < SYSFS_TEXT_BYTES ? used + (size_t)length
									      : SYSFS_TEXT_BYTES - 1;
	}
	return count;
}

/* Entries of a property such as clocks, by its companion of names where there is one. */
static unsigned property_read(const char *node, const char *property, const char *names, char out[SYSFS_TEXT_BYTES])
{
	char text[SYSFS_TEXT_BYTES];
	int bytes = sysfs_read(text, sizeof(text), "%s/%s", node, property);

	out[0] = '\0';
	if (bytes < 0)
		return 0;
	int name_bytes = sysfs_read(text, sizeof(text), "%s/%s", node, names);
	if (name_bytes > 0)
		return names_join(text, (size_t)name_bytes, out);
	(void)snprintf(out, SYSFS_TEXT_BYTES, "unnamed");
	/* A phandle alone is one entry; more cells are one with arguments or several: assume the harder case. */
	return bytes <= 2 * CELL_BYTES ? 1 : 2;
}

static void supply_read(const struct doctor *doctor, const char *name, struct supply *out)
{
	char path[SYSFS_PATH_BYTES];

	(void)sysfs_path(path, "%s/bus/platform/devices/%s/of_node", doctor->host.sys, name);
	(void)property_read(path, "clocks", "clock-names", out->clocks);
	out->domain_count = property_read(path, "power-domains", "power-domain-names", out->domains);
	(void)sysfs_read(out->runtime, sizeof(out->runtime), "%s/bus/platform/devices/%s/power/runtime_status",
			 doctor->host.sys, name);
	(void)sysfs_read(out->acpi, sizeof(out->acpi), "%s/bus/platform/devices/%s/firmware_node/power_state",
			 doctor->host.sys, name);
}

/* NULL, or why a register read would be a gamble. */
static const char *supply_doubt(const struct supply *supply, bool open)
{
	bool active = strcmp(supply->runtime, "active") == 0;

	if (strcmp(supply->runtime, "error") == 0)
		return "runtime power management reports an error";
	if (supply->acpi[0] && strncmp(supply->acpi, "D0", 2) != 0 && !active)
		return "its ACPI power state is not D0";
	if (supply->clocks[0] && !(active && !open))
		return "vfio-platform switches no clock on, and sysfs does not show who does";
	if (supply->domain_count > 1 && !(active && !open))
		return "it has several power domains, of which vfio-platform switches none on";
	if (supply->domain_count == 1 && open && !active)
		return "its power domain stays off while it is open";
	return NULL;
}

static void supply_remedy(struct doctor *doctor, const char *name)
{
	doctor_remedy(
	    doctor,
	    "keep them on: firmware that leaves them on plus clk_ignore_unused and pd_ignore_unused on the kernel "
	    "command line, or a driver that holds them (a fixed consumer in the device tree); when they are on: "
	    "npuctl doctor --powered %s",
	    name);
}

static void check_platform(struct doctor *doctor, struct subject *subject)
{
	struct supply supply = {0};
	const char *name = subject->device.name;

	supply_read(doctor, name, &supply);
	const char *doubt = supply_doubt(&supply, subject->session_error == 0);
	/* Whoever has the device open has found it alive. */
	bool used = subject->session_error == -EBUSY && subject->session.step == VFIO_STEP_GROUP;
	if (!doubt || used || doctor->powered) {
		doctor_say(doctor, DOCTOR_OK, HOST_POWER, "%s: clocks: %s; power domains: %s; runtime status: %s%s",
			   name, supply.clocks[0] ? supply.clocks : "none", supply.domains[0] ? supply.domains : "none",
			   supply.runtime[0] ? supply.runtime : "unknown",
			   used    ? "; in use"
			   : doubt ? "; on, you say"
				   : "");
		return;
	}
	subject->power_doubtful = true;
	doctor_say(doctor, DOCTOR_FAIL, HOST_POWER, "%s: %s (clocks: %s; power domains: %s; runtime status: %s%s%s)",
		   name, doubt, supply.clocks[0] ? supply.clocks : "none", supply.domains[0] ? supply.domains : "none",
		   supply.runtime[0] ? supply.runtime : "unknown", supply.acpi[0] ? "; ACPI: " : "", supply.acpi);
	supply_remedy(doctor, name);
}

void doctor_check_power(struct doctor *doctor, struct subject *subject)
{
	char state[32];

	if (subject->device.bus == HOST_PLATFORM) {
		check_platform(doctor, subject);
		return;
	}
	(void)sysfs_read(state, sizeof(state), "%s/bus/pci/devices/%s/power_state", doctor->host.sys,
			 subject->device.name);
	doctor_say(doctor, DOCTOR_OK, HOST_POWER, "%s: clocks and power are the card's own (state %s)",
		   subject->device.name, state[0] ? state : "unknown");
}
