/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes what the guest's kernel shows of a device and of processes; see sysfs.h. */
#include "tests/vm/guest/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/suite.h"

bool sysfs_is_pci(void)
{
	const char *address = getenv("NPUD_TEST_ADDRESS");

	return address && strchr(address, ':');
}

pid_t sysfs_driver_start(const char *file)
{
	const char *address = getenv("NPUD_TEST_ADDRESS"), *bus = sysfs_is_pci() ? "pci" : "platform";
	char path[256];

	ck_assert_msg(address != NULL, "NPUD_TEST_ADDRESS has to name the device");
	(void)snprintf(path, sizeof(path), "/sys/bus/%s/drivers/vfio-%s/%s", bus, bus, file);
	(void)fflush(NULL);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written = fd < 0 ? -1 : write(fd, address, strlen(address));
	if (written < 0)
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
	_exit(written < 0);
}

bool sysfs_is_bound(void)
{
	const char *bus = sysfs_is_pci() ? "pci" : "platform";
	char path[256], target[256], driver[32];

	(void)snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/driver", bus, getenv("NPUD_TEST_ADDRESS"));
	(void)snprintf(driver, sizeof(driver), "/vfio-%s", bus);
	ssize_t bytes = readlink(path, target, sizeof(target) - 1);
	target[bytes > 0 ? bytes : 0] = '\0';
	const char *name = strrchr(target, '/');
	return name && strcmp(name, driver) == 0;
}

void sysfs_driver_wait(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

unsigned sysfs_count_fds(pid_t pid, const char *prefix)
{
	char path[64], target[256];
	unsigned count = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *directory = opendir(path);
	ck_assert_ptr_nonnull(directory);
	for (const struct dirent *entry; (entry = readdir(directory));) {
		ssize_t bytes = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);
		if (bytes < 0)
			continue;
		target[bytes] = '\0';
		count += strncmp(target, prefix, strlen(prefix)) == 0;
	}
	closedir(directory);
	return count;
}

/* Each processor counts for itself until it is told to add up. */
static void refresh_counters(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0 && write(fd, "1", 1) == 1, "/proc/sys/vm/stat_refresh: %s", strerror(errno));
	close(fd);
}

long sysfs_pinned_pages(void)
{
	char name[64];
	long value, acquired = 0, released = 0;
	refresh_counters();
	FILE *file = fopen("/proc/vmstat", "re");

	ck_assert_ptr_nonnull(file);
	while (fscanf(file, "%63s %ld", name, &value) == 2) {
		if (strcmp(name, "nr_foll_pin_acquired") == 0)
			acquired = value;
		if (strcmp(name, "nr_foll_pin_released") == 0)
			released = value;
	}
	(void)fclose(file);
	return acquired - released;
}
