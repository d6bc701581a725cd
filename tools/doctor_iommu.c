/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is there an IOMMU between the NPU and memory, and can it tell the NPU from its neighbours? What the firmware offers
 * decides which remedy is named.
 */
#include <stdio.h>
#include <string.h>

#include "tools/doctor.h"
#include "tools/sysfs.h"

static bool table_exists(const struct doctor *doctor, const char *name)
{
	return sysfs_exists("%s/firmware/acpi/tables/%s", doctor->host.sys, name);
}

/* The IOMMU of the whole host is off or missing. */
static void host_remedy(struct doctor *doctor)
{
	if (table_exists(doctor, "DMAR"))
		doctor_remedy(doctor, "add intel_iommu=on to the kernel command line and restart the host");
	else if (table_exists(doctor, "IVRS"))
		doctor_remedy(doctor, "take amd_iommu=off or iommu=off from the kernel command line and restart");
	else if (table_exists(doctor, "IORT"))
		doctor_remedy(doctor,
			      "the kernel needs CONFIG_ARM_SMMU_V3 (or CONFIG_ARM_SMMU), and no iommu.passthrough"
			      " trick replaces it; `dmesg | grep -i smmu` says why it does not start");
	else if (sysfs_exists("%s/firmware/devicetree/base", doctor->host.sys))
		doctor_remedy(doctor,
			      "the device tree needs the IOMMU's node, status = \"okay\", and an iommus property "
			      "at the NPU (iommu-map at a PCI host); the kernel needs the IOMMU's driver");
	else
		doctor_remedy(doctor,
			      "switch VT-d or AMD-Vi (IOMMU) on in the firmware's set-up, and add intel_iommu=on "
			      "to the kernel command line of an Intel host; a virtual machine needs a virtual "
			      "IOMMU (QEMU: -device intel-iommu,intremap=on or virtio-iommu)");
}

static bool host_has_groups(const struct doctor *doctor)
{
	struct sysfs_names names sysfs_names_cleanup = {0};

	sysfs_list(&names, "%s/kernel/iommu_groups", doctor->host.sys);
	return names.count > 0;
}

void doctor_check_iommu_host(struct doctor *doctor)
{
	if (host_has_groups(doctor)) {
		doctor_say(doctor, DOCTOR_OK, HOST_NO_IOMMU, "the host has IOMMU groups");
		return;
	}
	doctor_say(doctor, DOCTOR_FAIL, HOST_NO_IOMMU, "no IOMMU is in use: %s/kernel/iommu_groups is empty",
		   doctor->host.sys);
	host_remedy(doctor);
}

/* There is an IOMMU, and the device is not behind it. */
static void behind_remedy(struct doctor *doctor, const struct host_device *device)
{
	if (device->bus == HOST_PCI)
		doctor_remedy(doctor, "the IOMMU does not cover its slot: try another one, look for an option of the "
				      "firmware's set-up, or add the PCI host's iommu-map to the device tree");
	else if (!sysfs_exists("%s/bus/platform/devices/%s/of_node", doctor->host.sys, device->name))
		doctor_remedy(doctor, "the firmware's IORT table has no entry for it: a firmware update, or the device "
				      "tree instead of ACPI");
	else if (!sysfs_exists("%s/bus/platform/devices/%s/of_node/iommus", doctor->host.sys, device->name))
		doctor_remedy(doctor, "add an iommus property (and dma-coherent) to its node of the device tree");
	else
		doctor_remedy(doctor, "its iommus property names an IOMMU that does not run: the kernel needs that "
				      "IOMMU's driver, and its node status = \"okay\"");
}

static bool group_is_noiommu(const struct doctor *doctor, int group)
{
	char name[32];

	(void)sysfs_read(name, sizeof(name), "%s/kernel/iommu_groups/%d/name", doctor->host.sys, group);
	return strcmp(name, "vfio-noiommu") == 0;
}

void doctor_check_iommu(struct doctor *doctor, const struct subject *subject)
{
	const struct host_device *device = &subject->device;

	if (subject->group < 0) {
		doctor_say(doctor, DOCTOR_FAIL, HOST_NO_IOMMU, "%s: no IOMMU stands between it and memory",
			   device->name);
		if (host_has_groups(doctor))
			behind_remedy(doctor, device);
		else
			host_remedy(doctor);
	} else if (group_is_noiommu(doctor, subject->group)) {
		doctor_say(doctor, DOCTOR_FAIL, HOST_NO_IOMMU,
			   "%s: VFIO's no-IOMMU mode, which npud does not support: a program on the NPU could read and "
			   "write all memory of the host, and nothing would keep sessions apart",
			   device->name);
		host_remedy(doctor);
	} else {
		doctor_say(doctor, DOCTOR_OK, HOST_NO_IOMMU, "%s: in IOMMU group %d", device->name, subject->group);
	}
}

void doctor_check_group(struct doctor *doctor, const struct subject *subject)
{
	char foreign[SYSFS_TEXT_BYTES];
	const char *name = subject->device.name;

	if (subject->group < 0)
		return;
	size_t count = host_group_foreign(&doctor->host, subject->group, name, foreign, sizeof(foreign));
	if (count) {
		doctor_say(doctor, DOCTOR_FAIL, HOST_GROUP, "%s: group %d also holds %s, in use by the kernel", name,
			   subject->group, foreign);
		doctor_remedy(doctor,
			      "if the host can do without %s: npuctl bind --force ADDRESS for %s; otherwise move "
			      "the card to a slot with a group of its own",
			      count == 1 ? "it" : "them", count == 1 ? "it" : "each of them");
	} else if (subject->session_error && subject->session.step == VFIO_STEP_VIABLE) {
		doctor_say(doctor, DOCTOR_FAIL, HOST_GROUP, "%s: %s", name, subject->session_why.text);
		doctor_remedy(doctor, "ls -l %s/kernel/iommu_groups/%d/devices/*/driver", doctor->host.sys,
			      subject->group);
	} else {
		doctor_say(doctor, DOCTOR_OK, HOST_GROUP, "%s: nothing else in group %d is in use by the kernel", name,
			   subject->group);
	}
}
