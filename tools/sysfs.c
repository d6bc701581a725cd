/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes, links and folders of sysfs. Knows no device and no driver. Reads are bounded: a file that is larger than
 * the caller's room is cut off, so that nothing below a folder given with --sys can make the program grow.
 */
#include "tools/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cleanup.h"

__attribute__((format(printf, 2, 0))) static int path_format(char out[SYSFS_PATH_BYTES], const char *format,
							     va_list args)
{
	int length = vsnprintf(out, SYSFS_PATH_BYTES, format, args);

	if (length >= 0 && length < SYSFS_PATH_BYTES)
		return 0;
	out[0] = '\0';
	return -ENAMETOOLONG;
}

int sysfs_path(char out[SYSFS_PATH_BYTES], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int error = path_format(out, format, args);
	va_end(args);
	return error;
}

static int text_read(const char *path, char *out, size_t bytes)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	ssize_t length = read(fd, out, bytes - 1);
	if (length < 0)
		return -errno;
	if (length > 0 && out[length - 1] == '\n')
		length--;
	out[length] = '\0';
	return (int)length;
}

int sysfs_read(char *out, size_t bytes, const char *format, ...)
{
	char path[SYSFS_PATH_BYTES];
	va_list args;

	out[0] = '\0';
	va_start(args, format);
	int error = path_format(path, format, args);
	va_end(args);
	return error ? error : text_read(path, out, bytes);
}

static int link_read(const char *path, char *out, size_t bytes)
{
	char target[SYSFS_PATH_BYTES];
	ssize_t length = readlink(path, target, sizeof(target) - 1);

	if (length < 0)
		return -errno;
	target[length] = '\0';
	const char *slash = strrchr(target, '/');
	const char *last = slash ? slash + 1 : target;
	if (strlen(last) >= bytes)
		return -ENAMETOOLONG;
	memcpy(out, last, strlen(last) + 1);
	return 0;
}

int sysfs_link(char *out, size_t bytes, const char *format, ...)
{
	char path[SYSFS_PATH_BYTES];
	va_list args;

	out[0] = '\0';
	va_start(args, format);
	int error = path_format(path, format, args);
	va_end(args);
	return error ? error : link_read(path, out, bytes);
}

bool sysfs_exists(const char *format, ...)
{
	char path[SYSFS_PATH_BYTES];
	va_list args;

	va_start(args, format);
	int error = path_format(path, format, args);
	va_end(args);
	return !error && access(path, F_OK) == 0;
}

int sysfs_write(const char *path, const char *text)
{
	/* sysfs ignores O_TRUNC; the regular files of a test keep nothing of a longer text. */
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	size_t bytes = strlen(text);

	if (fd < 0)
		return -errno;
	ssize_t written = write(fd, text, bytes);
	if (written < 0)
		return -errno;
	return (size_t)written == bytes ? 0 : -EIO;
}

static int name_wanted(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

void sysfs_list(struct sysfs_names *out, const char *format, ...)
{
	char path[SYSFS_PATH_BYTES];
	va_list args;

	*out = (struct sysfs_names){0};
	va_start(args, format);
	int error = path_format(path, format, args);
	va_end(args);
	if (error)
		return;
	int count = scandir(path, &out->entries, name_wanted, alphasort);
	out->count = count > 0 ? count : 0;
	if (count < 0)
		out->entries = NULL;
}

void sysfs_names_free(struct sysfs_names *names)
{
	for (int i = 0; i < names->count; i++)
		free(names->entries[i]);
	free(names->entries);
	*names = (struct sysfs_names){0};
}
