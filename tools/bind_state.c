/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remembers what a device had before bind: two lines in a file named after it, below /run, so that it is forgotten when
 * the binding is, at the next start of the host. Clearing driver_override and probing again would find the old driver
 * in most cases, but not one that was bound by hand, nor an override that somebody else had set.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/bind.h"
#include "tools/cleanup.h"
#include "tools/sysfs.h"

/* "NAME=value\n" at *@text; the value becomes part of a path, so a slash or a leading dot is refused. */
static int line_take(char **text, const char *name, char out[HOST_NAME_BYTES])
{
	size_t length = strlen(name);
	char *end = strchr(*text, '\n');

	if (!end || strncmp(*text, name, length) != 0 || (*text)[length] != '=')
		return -EINVAL;
	const char *value = *text + length + 1;
	size_t bytes = (size_t)(end - value);
	if (bytes >= HOST_NAME_BYTES || value[0] == '.' || memchr(value, '/', bytes))
		return -EINVAL;
	memcpy(out, value, bytes);
	out[bytes] = '\0';
	*text = end + 1;
	return 0;
}

int bind_state_read(const char *folder, const char *device, struct bind_state *out)
{
	char text[SYSFS_TEXT_BYTES];
	char *at = text;
	/* sysfs_read() takes the last newline away, which is put back for line_take(). */
	int length = sysfs_read(text, sizeof(text) - 1, "%s/%s", folder, device);

	*out = (struct bind_state){0};
	if (length < 0)
		return length;
	memcpy(text + length, "\n", 2);
	int error = line_take(&at, "driver", out->driver);
	return error ? error : line_take(&at, "override", out->override);
}

static int folder_make(const char *folder, struct reason *why)
{
	struct stat st;

	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return reason_set(why, -errno, "%s: %s; do: run npuctl as root", folder, strerror(errno));
	if (lstat(folder, &st) < 0)
		return reason_set(why, -errno, "%s: %s", folder, strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return reason_set(why, -EPERM, "%s is not a folder of this user; do: remove it", folder);
	return 0;
}

int bind_state_write(const char *folder, const char *device, const struct bind_state *state, struct reason *why)
{
	char path[SYSFS_PATH_BYTES];
	int error = folder_make(folder, why);

	if (!error && sysfs_path(path, "%s/%s", folder, device) < 0)
		error = reason_set(why, -ENAMETOOLONG, "%s: the path is too long", folder);
	if (error)
		return error;
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return reason_set(why, -errno, "%s: %s", path, strerror(errno));
	if (dprintf(fd, "driver=%s\noverride=%s\n", state->driver, state->override) < 0)
		return reason_set(why, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

void bind_state_forget(const char *folder, const char *device)
{
	char path[SYSFS_PATH_BYTES];

	if (sysfs_path(path, "%s/%s", folder, device) == 0)
		(void)unlink(path);
}
