/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locked memory: everything that the NPU may reach is pinned and charged to RLIMIT_MEMLOCK. And what a switch between
 * sessions costs on this kernel: measured on the device, or not said at all.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tools/doctor.h"
#include "tools/sysfs.h"

#define MIB (1u << 20)

/* CAP_IPC_LOCK takes a process out of the limit; npud itself keeps no capability. */
static bool limit_exempts(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return data[0].effective >> CAP_IPC_LOCK & 1;
}

static void limit_remedy(struct doctor *doctor)
{
	doctor_remedy(
	    doctor,
	    "LimitMEMLOCK=infinity in npud.service, as shipped; from a shell: prlimit --memlock=unlimited npud, "
	    "or a memlock line in /etc/security/limits.conf; or a lower capacity.buffer_bytes");
}

void doctor_check_memory(struct doctor *doctor)
{
	uint64_t need = doctor->memory_bytes / MIB;
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0) {
		doctor_say(doctor, DOCTOR_WARN, HOST_MEMORY, "locked memory: getrlimit: %s", strerror(errno));
		return;
	}
	uint64_t have = limit.rlim_cur / MIB;
	if (limit.rlim_cur == RLIM_INFINITY)
		doctor_say(doctor, DOCTOR_OK, HOST_MEMORY,
			   "locked memory: npud needs up to %" PRIu64 " MiB; unlimited here", need);
	else if (limit.rlim_cur >= doctor->memory_bytes)
		doctor_say(doctor, DOCTOR_OK, HOST_MEMORY,
			   "locked memory: npud needs up to %" PRIu64 " MiB; %" PRIu64 " MiB here", need, have);
	else if (doctor->user.name || limit_exempts()) {
		/* It does not bind this process, and the service has a limit of its own. */
		doctor_say(doctor, DOCTOR_WARN, HOST_MEMORY,
			   "locked memory: npud needs up to %" PRIu64 " MiB; RLIMIT_MEMLOCK is %" PRIu64
			   " KiB here, for "
			   "an npud that is started from here; npud.service has its own",
			   need, (uint64_t)limit.rlim_cur / 1024);
		limit_remedy(doctor);
	} else {
		doctor_say(doctor, DOCTOR_FAIL, HOST_MEMORY,
			   "locked memory: npud needs up to %" PRIu64 " MiB; RLIMIT_MEMLOCK is %" PRIu64 " KiB here",
			   need, (uint64_t)limit.rlim_cur / 1024);
		limit_remedy(doctor);
	}
}

static void switch_measure(struct doctor *doctor, const struct subject *subject)
{
	struct reason why = subject->session_why;
	size_t bytes = 0;
	uint64_t ns = 0;
	int error =
	    subject->session_error ? subject->session_error : vfio_session_switch(&subject->session, &bytes, &ns, &why);

	if (error)
		doctor_say(
		    doctor, DOCTOR_WARN, HOST_SWITCH,
		    "%s: stock kernel: a switch between sessions maps and unmaps their memory; what that costs was "
		    "not measured: %s",
		    subject->device.name, why.text);
	else
		doctor_say(doctor, DOCTOR_WARN, HOST_SWITCH,
			   "%s: stock kernel: a switch costs %.1f ms/GiB (no iommufd; measured: %zu MiB mapped and "
			   "unmapped in %.2f ms)",
			   subject->device.name, (double)ns / 1e6 * (1024.0 * MIB) / (double)bytes, bytes / MIB,
			   (double)ns / 1e6);
	doctor_remedy(doctor, "nothing, if sessions seldom take turns; otherwise a kernel with CONFIG_IOMMUFD and "
			      "CONFIG_VFIO_DEVICE_CDEV, where a switch replaces one page table by another");
}

void doctor_check_switch(struct doctor *doctor, const struct subject *subject)
{
	char cdev[HOST_NAME_BYTES];

	host_cdev(&doctor->host, &subject->device, cdev);
	if (cdev[0] && sysfs_exists("%s/iommu", doctor->host.dev))
		doctor_say(doctor, DOCTOR_OK, HOST_SWITCH,
			   "%s: iommufd: a switch between sessions replaces one page table by another",
			   subject->device.name);
	else
		switch_measure(doctor, subject);
}
