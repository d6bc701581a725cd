/* SPDX-License-Identifier: Apache-2.0 */
/* Is there an NPU, and does VFIO have it? */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/doctor.h"
#include "tools/sysfs.h"

void doctor_check_devices(struct doctor *doctor, const struct host_device *devices, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct host_device *device = &devices[i];

		doctor_say(doctor, device->likely ? DOCTOR_OK : DOCTOR_WARN, HOST_NO_DEVICE, "%s (%s)%s", device->name,
			   device->what, device->likely ? "" : " does not look like an NPU; taken on your word");
	}
	if (count)
		return;
	doctor_say(doctor, DOCTOR_FAIL, HOST_NO_DEVICE,
		   "no PCI device of class 0x1200, no platform device that is armchina,zhouyi or CIXH4000");
	doctor_remedy(doctor,
		      "check that `lspci -d ::1200` shows the card, or that the device tree has an enabled node "
		      "with compatible = \"armchina,zhouyi\"; another address: npuctl doctor ADDRESS");
}

void doctor_subject_open(const struct doctor *doctor, struct subject *subject, const struct host_device *device)
{
	*subject = (struct subject){.device = *device, .session = VFIO_SESSION_CLOSED, .session_error = -ENODEV};
	host_driver(&doctor->host, device, subject->driver);
	subject->on_vfio = host_driver_is_vfio(subject->driver);
	subject->group = host_group(&doctor->host, device);
	if (!subject->on_vfio)
		(void)reason_set(&subject->session_why, 0, "VFIO does not have the device");
	else if (subject->group < 0)
		(void)reason_set(&subject->session_why, 0, "the device is in no IOMMU group");
	else if (doctor->look_only)
		(void)reason_set(&subject->session_why, 0, "--look-only");
	else
		subject->tried = true;
	if (subject->tried)
		subject->session_error = vfio_session_open(&subject->session, &doctor->host, subject->group,
							   device->name, &subject->session_why);
}

/* Why nobody has it: the driver is not there, or it was asked and refused. */
static void driver_missing(struct doctor *doctor, const struct subject *subject)
{
	const struct host_device *device = &subject->device;
	const char *wanted = host_vfio_driver(device->bus);
	char override[HOST_NAME_BYTES];

	(void)sysfs_read(override, sizeof(override), "%s/bus/%s/devices/%s/driver_override", doctor->host.sys,
			 host_bus_name(device->bus), device->name);
	bool refused = strcmp(override, wanted) == 0 && host_driver_present(&doctor->host, device->bus, wanted);
	doctor_say(doctor, DOCTOR_FAIL, HOST_DRIVER, "%s: no driver has it%s%s%s", device->name,
		   refused ? ", and " : "", refused ? wanted : "", refused ? " was told to and refused" : "");
	if (refused)
		doctor_remedy(doctor, "dmesg says why; see the lines about modules and iommu, then npuctl bind %s",
			      device->name);
}

static void driver_remedy(struct doctor *doctor, const struct host_device *device)
{
	const char *wanted = host_vfio_driver(device->bus);

	if (host_driver_present(&doctor->host, device->bus, wanted))
		doctor_remedy(doctor, "npuctl bind %s", device->name);
	else if (device->bus == HOST_PCI)
		doctor_remedy(doctor, "modprobe vfio-pci && npuctl bind %s", device->name);
	else
		doctor_remedy(doctor,
			      "modprobe vfio-platform && npuctl bind %s; if there is no such module, the kernel needs "
			      "CONFIG_VFIO_PLATFORM",
			      device->name);
}

void doctor_check_driver(struct doctor *doctor, const struct subject *subject)
{
	const struct host_device *device = &subject->device;

	if (subject->on_vfio) {
		doctor_say(doctor, DOCTOR_OK, HOST_DRIVER, "%s: %s has it", device->name, subject->driver);
		return;
	}
	if (!subject->driver[0])
		driver_missing(doctor, subject);
	else
		doctor_say(doctor, DOCTOR_FAIL, HOST_DRIVER, "%s: %s has it%s", device->name, subject->driver,
			   host_driver_is_vendor(subject->driver)
			       ? ", the vendor's driver, which shares the NPU without isolation"
			       : "");
	driver_remedy(doctor, device);
}
