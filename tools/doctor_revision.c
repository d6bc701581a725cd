/* SPDX-License-Identifier: Apache-2.0 */
/* Which NPU is it, and does this npud drive it? The table says what daemon/npu/detect.c says; a test compares them. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

#include "proto/zhouyi_regs.h"
#include "tools/doctor.h"
#include "tools/sysfs.h"

struct product {
	uint32_t revision;
	const char *name;
	const char *generation;
	bool supported;
};

static const struct product products[] = {
    {ZY_REVISION_Z1, "Z1", "V1", false},     {ZY_REVISION_Z2, "Z2", "V2", false},
    {ZY_REVISION_Z3, "Z3", "V2", false},     {ZY_REVISION_X1, "X1", "V2", false},
    {ZY_REVISION_X2_R0P2, "X2", "V3", true}, {ZY_REVISION_X2_R0P3, "X2", "V3", true},
    {ZY_REVISION_X3P, "X3P", "V3_2", false}, {ZY_REVISION_X3S, "X3S", "V3_2", false},
};

static const struct product *product_find(uint32_t revision)
{
	for (size_t i = 0; i < sizeof(products) / sizeof(*products); i++)
		if (products[i].revision == revision)
			return &products[i];
	return NULL;
}

static void power_remedy(struct doctor *doctor, const struct subject *subject)
{
	if (subject->device.bus == HOST_PCI)
		doctor_remedy(doctor, "power the card off and on; `lspci -vv -s %s` shows link and power state",
			      subject->device.name);
	else
		doctor_remedy(doctor,
			      "see the line about power: clocks and power domains have to be on before npud starts");
}

static void revision_judge(struct doctor *doctor, const struct subject *subject, uint32_t revision)
{
	const struct product *product = product_find(revision);
	const char *name = subject->device.name;

	if (product && product->supported) {
		doctor_say(doctor, DOCTOR_OK, HOST_REVISION, "%s: revision register %08" PRIx32 ": Zhouyi %s (%s)",
			   name, revision, product->name, product->generation);
		return;
	}
	if (revision == UINT32_MAX || revision == 0) {
		doctor_say(doctor, DOCTOR_FAIL, HOST_REVISION,
			   "%s: revision register %08" PRIx32 ": no clock or no power%s", name, revision,
			   revision ? "" : "; or a Z1, which this npud does not drive");
		power_remedy(doctor, subject);
		return;
	}
	doctor_say(doctor, DOCTOR_FAIL, HOST_REVISION, "%s: revision register %08" PRIx32 ": %s%s", name, revision,
		   product ? product->name : "not a known Zhouyi NPU",
		   product ? ", which this version of npud does not drive" : "");
	doctor_remedy(doctor,
		      product ? "a version of npud that drives it; npuctl unbind %s gives it back to its driver"
			      : "is this the right device? npuctl unbind %s gives it back to its driver",
		      name);
}

/* Failures to open that the lines before this one have named, each with its own remedy. */
static bool failure_named(const struct subject *subject)
{
	switch (subject->session.step) {
	case VFIO_STEP_CONTAINER:
	case VFIO_STEP_GROUP:
		return subject->session_error == -EACCES || subject->session_error == -EPERM ||
		       subject->session_error == -ENOENT;
	case VFIO_STEP_VIABLE:
		return true;
	case VFIO_STEP_IOMMU:
		return subject->session_error == -EPERM;
	case VFIO_STEP_DEVICE:
	case VFIO_STEP_OPEN:
		break;
	}
	return false;
}

/* Says why nothing is read, if so. */
static bool read_impossible(struct doctor *doctor, const struct subject *subject)
{
	const char *name = subject->device.name;

	if (!subject->session_error && !subject->power_doubtful)
		return false;
	if (!subject->session_error) {
		doctor_say(doctor, DOCTOR_WARN, HOST_REVISION,
			   "%s: not read: a read without clock or power could stop the machine", name);
	} else if (!subject->tried || failure_named(subject)) {
		doctor_say(doctor, DOCTOR_WARN, HOST_REVISION, "%s: not read: %s", name, subject->session_why.text);
	} else {
		doctor_say(doctor, DOCTOR_FAIL, HOST_REVISION, "%s: cannot be opened: %s", name,
			   subject->session_why.text);
		doctor_remedy(doctor, "the kernel's log has its reason: dmesg | grep -iE 'vfio|iommu|%s'", name);
	}
	return true;
}

static bool somebody_has_it(struct doctor *doctor, const struct subject *subject)
{
	char node[SYSFS_PATH_BYTES];
	char holder[HOST_NAME_BYTES] = "another process";

	if (subject->session_error != -EBUSY || subject->session.step != VFIO_STEP_GROUP)
		return false;
	if (sysfs_path(node, "%s/vfio/%d", doctor->host.dev, subject->group) == 0)
		(void)host_holder(node, holder, sizeof(holder));
	doctor_say(doctor, DOCTOR_WARN, HOST_REVISION,
		   "%s: not read: %s has the device; if that is npud, ask `npuctl info`", subject->device.name, holder);
	return true;
}

void doctor_check_revision(struct doctor *doctor, const struct subject *subject)
{
	uint32_t revision = 0;
	struct reason why;

	if (somebody_has_it(doctor, subject) || read_impossible(doctor, subject))
		return;
	if (vfio_session_revision(&subject->session, subject->device.bus, &revision, &why) == 0) {
		revision_judge(doctor, subject, revision);
		return;
	}
	doctor_say(doctor, DOCTOR_FAIL, HOST_REVISION, "%s: %s", subject->device.name, why.text);
	power_remedy(doctor, subject);
}
