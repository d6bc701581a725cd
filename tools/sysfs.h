/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes, links and folders of sysfs, by formatted path. Every function returns a negative errno on failure. */
#ifndef NPUD_TOOLS_SYSFS_H
#define NPUD_TOOLS_SYSFS_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>

#define SYSFS_PATH_BYTES 1024
#define SYSFS_TEXT_BYTES 512

/* -ENAMETOOLONG when it does not fit; @out is then empty, which no call below takes for a file. */
__attribute__((format(printf, 2, 3))) int sysfs_path(char out[SYSFS_PATH_BYTES], const char *format, ...);

/*
 * An attribute's text without its last newline, NUL-terminated; returns its length, since the strings of a device tree
 * hold NULs. What does not fit is cut off. On failure @out is an empty text.
 */
__attribute__((format(printf, 3, 4))) int sysfs_read(char *out, size_t bytes, const char *format, ...);

/* The last component of where a link leads; on failure @out is an empty text. */
__attribute__((format(printf, 3, 4))) int sysfs_link(char *out, size_t bytes, const char *format, ...);

__attribute__((format(printf, 1, 2))) bool sysfs_exists(const char *format, ...);

/* Writes an attribute as one write(), as sysfs wants it; never creates a file. */
int sysfs_write(const char *path, const char *text);

/* Names in a folder, sorted; those that begin with a dot are left out. A folder that is not there has none. */
struct sysfs_names {
	struct dirent **entries;
	int count;
};

__attribute__((format(printf, 2, 3))) void sysfs_list(struct sysfs_names *out, const char *format, ...);
void sysfs_names_free(struct sysfs_names *names);

#define sysfs_names_cleanup __attribute__((cleanup(sysfs_names_free)))

#endif
