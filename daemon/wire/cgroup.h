/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroup (version 2) of the process on the other end, read once, at accept, and never from another process. */
#ifndef NPUD_WIRE_CGROUP_H
#define NPUD_WIRE_CGROUP_H

#include <stddef.h>
#include <sys/types.h>

#define CGROUP_TEXT_BYTES 8192 /* of /proc/PID/cgroup; who has more of it has no cgroup here */

/*
 * The path as this process sees it, inside `text`; NULL, and `why`, if it cannot be told. `pidfd` is of the process
 * `pid`, from the kernel: only while that lives does its number belong to nobody else.
 */
const char *cgroup_of(pid_t pid, int pidfd, char text[CGROUP_TEXT_BYTES], const char **why);

/* The path in what /proc/PID/cgroup says; NULL if there is none. Changes `text`. */
const char *cgroup_parse(char *text, size_t bytes);

#endif
