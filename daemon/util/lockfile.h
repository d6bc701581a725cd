/* SPDX-License-Identifier: Apache-2.0 */
/* One daemon per socket and per device: a lock file beside it, held as long as the descriptor is open. */
#ifndef NPUD_UTIL_LOCKFILE_H
#define NPUD_UTIL_LOCKFILE_H

/* Locks the file `path` + `suffix`: the descriptor, -EWOULDBLOCK if another process holds it, or another errno. */
int lockfile_take(const char *path, const char *suffix);

#endif
