/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters of the kernel's modules that keep VFIO from a device, or from isolating it. Some can only be set when the
 * module is loaded; the remedy says which.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/doctor.h"
#include "tools/sysfs.h"

/* A boolean parameter: 1 on, 0 off, or a negative errno where the module is not there. */
static int parameter(const struct doctor *doctor, const char *module, const char *name)
{
	char text[8];
	int length = sysfs_read(text, sizeof(text), "%s/module/%s/parameters/%s", doctor->host.sys, module, name);

	return length < 0 ? length : text[0] == 'Y' || text[0] == '1';
}

void doctor_check_modules_host(struct doctor *doctor)
{
	if (parameter(doctor, "vfio", "enable_unsafe_noiommu_mode") <= 0)
		return;
	doctor_say(
	    doctor, DOCTOR_WARN, HOST_MODULE,
	    "vfio.enable_unsafe_noiommu_mode is on: a device without IOMMU would get all of memory; npud does not "
	    "use it");
	doctor_remedy(doctor, "echo N > %s/module/vfio/parameters/enable_unsafe_noiommu_mode", doctor->host.sys);
}

/* On x86, a kernel that remaps interrupts calls its interrupt chips IR-…; where no chip can be read, nobody knows. */
static bool remapping_missing(const struct doctor *doctor)
{
	struct sysfs_names names sysfs_names_cleanup = {0};
	bool seen = false;

	if (!sysfs_exists("%s/firmware/acpi/tables/DMAR", doctor->host.sys) &&
	    !sysfs_exists("%s/firmware/acpi/tables/IVRS", doctor->host.sys))
		return false;
	sysfs_list(&names, "%s/kernel/irq", doctor->host.sys);
	for (int i = 0; i < names.count; i++) {
		char chip[64];

		if (sysfs_read(chip, sizeof(chip), "%s/kernel/irq/%s/chip_name", doctor->host.sys,
			       names.entries[i]->d_name) <= 0)
			continue;
		if (strncmp(chip, "IR-", 3) == 0)
			return false;
		seen = seen || strstr(chip, "IO-APIC") || strstr(chip, "PCI-MSI");
	}
	return seen;
}

static void interrupts_fail(struct doctor *doctor, const char *name, const char *how)
{
	doctor_say(doctor, DOCTOR_FAIL, HOST_MODULE,
		   "%s: interrupts are not remapped, so the kernel does not give the device out (%s)", name, how);
	doctor_remedy(
	    doctor,
	    "switch interrupt remapping on (firmware's set-up; no intremap=off on the kernel command line); or, "
	    "if forged interrupts are no worry: echo Y > "
	    "%s/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts (with iommufd: "
	    "iommufd.allow_unsafe_interrupts)",
	    doctor->host.sys);
}

static void check_interrupts(struct doctor *doctor, const struct subject *subject)
{
	bool type1 = parameter(doctor, "vfio_iommu_type1", "allow_unsafe_interrupts") > 0;
	bool iommufd = parameter(doctor, "iommufd", "allow_unsafe_interrupts") > 0;
	const char *name = subject->device.name;

	/* The kernel's own answer, where there is one, is better than any sign. */
	if (subject->session.step == VFIO_STEP_IOMMU && subject->session_error == -EPERM)
		interrupts_fail(doctor, name, "VFIO_SET_IOMMU refused");
	else if (type1 || iommufd)
		doctor_say(
		    doctor, DOCTOR_WARN, HOST_MODULE,
		    "%s.allow_unsafe_interrupts is on: a program on the NPU may forge interrupts of other devices",
		    type1 ? "vfio_iommu_type1" : "iommufd");
	else if (subject->session_error && remapping_missing(doctor))
		interrupts_fail(doctor, name, "no IR- chip in /sys/kernel/irq");
	else
		doctor_say(doctor, DOCTOR_OK, HOST_MODULE, "%s: no parameter lets interrupts go unchecked", name);
}

/* Once vfio-platform has the device, the question is settled. */
static void check_reset_required(struct doctor *doctor, const struct subject *subject)
{
	if (subject->on_vfio || parameter(doctor, "vfio_platform", "reset_required") <= 0)
		return;
	doctor_say(doctor, DOCTOR_FAIL, HOST_MODULE,
		   "%s: vfio-platform.reset_required is on, and the kernel has no reset function for a Zhouyi NPU",
		   subject->device.name);
	doctor_remedy(doctor, "modprobe -r vfio-platform && modprobe vfio-platform reset_required=0; for good: options "
			      "vfio-platform reset_required=0 in /etc/modprobe.d/npud.conf, or "
			      "vfio-platform.reset_required=0 on the kernel command line where it is built in");
}

void doctor_check_modules(struct doctor *doctor, const struct subject *subject)
{
	if (subject->device.bus == HOST_PLATFORM)
		check_reset_required(doctor, subject);
	check_interrupts(doctor, subject);
}
