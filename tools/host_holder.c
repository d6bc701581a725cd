/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has a node open, from /proc. VFIO makes an unbind wait until the last descriptor is closed, so this is asked
 * before, not after. A process can appear while we look: the kernel's own EBUSY stays the last word.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/host.h"
#include "tools/sysfs.h"

/* Only a link with the node's own name is followed: a stat() of any file could wait for a dead file server. */
static bool process_holds(const char *process, const char *base, const struct stat *node)
{
	struct sysfs_names fds sysfs_names_cleanup = {0};

	sysfs_list(&fds, "/proc/%s/fd", process);
	for (int i = 0; i < fds.count; i++) {
		char path[SYSFS_PATH_BYTES];
		char last[HOST_NAME_BYTES];
		struct stat st;

		if (sysfs_path(path, "/proc/%s/fd/%s", process, fds.entries[i]->d_name) == 0 &&
		    sysfs_link(last, sizeof(last), "%s", path) == 0 && strcmp(last, base) == 0 &&
		    stat(path, &st) == 0 && st.st_dev == node->st_dev && st.st_ino == node->st_ino)
			return true;
	}
	return false;
}

bool host_holder(const char *path, char *out, size_t bytes)
{
	struct sysfs_names processes sysfs_names_cleanup = {0};
	const char *slash = strrchr(path, '/');
	struct stat node;

	if (stat(path, &node) < 0)
		return false;
	sysfs_list(&processes, "/proc");
	for (int i = 0; i < processes.count; i++) {
		const char *process = processes.entries[i]->d_name;
		char name[64];

		if (!isdigit((unsigned char)process[0]) || strtol(process, NULL, 10) == (long)getpid() ||
		    !process_holds(process, slash ? slash + 1 : path, &node))
			continue;
		(void)sysfs_read(name, sizeof(name), "/proc/%s/comm", process);
		(void)snprintf(out, bytes, "%s (process %s)", name, process);
		return true;
	}
	return false;
}
