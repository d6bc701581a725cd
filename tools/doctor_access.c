/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May the user open VFIO's nodes? npud needs one of two ways whole: the group's node and the container, or the device's
 * own node and /dev/iommu. Of another user only mode bits are looked at, not access control lists.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/doctor.h"
#include "tools/sysfs.h"

int doctor_user_find(const char *name, struct doctor_user *out)
{
	const struct passwd *account = getpwnam(name);

	if (!account)
		return -ENOENT;
	*out = (struct doctor_user){.name = name, .uid = account->pw_uid, .group_count = DOCTOR_MAX_GROUPS};
	if (getgrouplist(name, account->pw_gid, out->groups, &out->group_count) < 0)
		return -E2BIG;
	return 0;
}

static bool user_in_group(const struct doctor_user *user, gid_t group)
{
	for (int i = 0; i < user->group_count; i++)
		if (user->groups[i] == group)
			return true;
	return false;
}

/* 0, or the errno that an open for reading and writing would give. */
static int node_error(const struct doctor_user *user, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (!user->name)
		return faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) < 0 ? errno : 0;
	if (user->uid == 0)
		return 0;
	/* The kernel takes the first class that fits, even if a later one would allow more. */
	unsigned shift = st.st_uid == user->uid ? 6 : user_in_group(user, st.st_gid) ? 3 : 0;
	return (st.st_mode >> shift & 6) == 6 ? 0 : EACCES;
}

static const char *user_name(const struct doctor_user *user)
{
	if (user->name)
		return user->name;
	return geteuid() == 0 ? "root (npud runs as npud: --user npud)" : "this user";
}

static void node_say(struct doctor *doctor, enum doctor_status status, const char *path, int error)
{
	if (!error) {
		doctor_say(doctor, DOCTOR_OK, HOST_PERMISSION, "%s can be opened by %s", path,
			   user_name(&doctor->user));
		return;
	}
	doctor_say(doctor, status, HOST_PERMISSION, "%s cannot be opened by %s: %s", path, user_name(&doctor->user),
		   strerror(error));
	if (error == ENOENT)
		doctor_remedy(doctor,
			      "the kernel makes this node in devtmpfs: is it mounted at %s, and passed into the "
			      "container if this is one?",
			      doctor->host.dev);
	else
		doctor_remedy(
		    doctor,
		    "chgrp npud %s && chmod 0660 %s; for good, a udev rule: SUBSYSTEM==\"%s\", GROUP=\"npud\", "
		    "MODE=\"0660\"",
		    path, path,
		    strstr(path, "/iommu")      ? "misc\", KERNEL==\"iommu"
		    : strstr(path, "/devices/") ? "vfio-dev"
						: "vfio");
}

/* The container's node is there with the module, even before any device is bound. */
static void check_unbound(struct doctor *doctor)
{
	char container[SYSFS_PATH_BYTES];

	if (sysfs_path(container, "%s/vfio/vfio", doctor->host.dev) < 0)
		return;
	int error = node_error(&doctor->user, container);
	if (error != ENOENT)
		node_say(doctor, DOCTOR_FAIL, container, error);
	doctor_say(doctor, DOCTOR_WARN, HOST_PERMISSION,
		   "the device's own nodes appear when it is bound: not looked at");
}

void doctor_check_permissions(struct doctor *doctor, const struct subject *subject)
{
	char path[4][SYSFS_PATH_BYTES]; /* group and container, device and iommu */
	char cdev[HOST_NAME_BYTES];
	int error[4];

	if (!subject->on_vfio || subject->group < 0) {
		check_unbound(doctor);
		return;
	}
	host_cdev(&doctor->host, &subject->device, cdev);
	(void)sysfs_path(path[0], "%s/vfio/%d", doctor->host.dev, subject->group);
	(void)sysfs_path(path[1], "%s/vfio/vfio", doctor->host.dev);
	(void)sysfs_path(path[2], "%s/vfio/devices/%s", doctor->host.dev, cdev);
	(void)sysfs_path(path[3], "%s/iommu", doctor->host.dev);
	for (int i = 0; i < 4; i++)
		error[i] = node_error(&doctor->user, path[i]);
	bool by_device = cdev[0] && !error[2] && !error[3];
	bool by_group = !error[0] && !error[1];
	/* A kernel without iommufd lacks the second pair, one without VFIO_GROUP the first: no loss if the other works.
	 */
	for (int i = 0; i < 4; i++) {
		bool group_way = i < 2;
		bool spare = group_way ? by_device : by_group;

		if (group_way || (cdev[0] && error[3] != ENOENT))
			if (!spare || error[i] != ENOENT)
				node_say(doctor, spare ? DOCTOR_WARN : DOCTOR_FAIL, path[i], error[i]);
	}
}
