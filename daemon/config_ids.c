/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the host's user and group databases; see config_ids.h. Only while the configuration is read. */
#include "daemon/config_ids.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 64u

static const char *const words[] = {[CONFIG_USER] = "user", [CONFIG_GROUP] = "group"};

/* A text of digits is a name like any other: a number is written without quotes. */
static bool find(const char *name, enum config_id_kind kind, uint32_t *out)
{
	errno = 0;
	if (kind == CONFIG_USER) {
		const struct passwd *user = getpwnam(name);
		if (user)
			*out = user->pw_uid;
		return user != NULL;
	}
	const struct group *group = getgrnam(name);
	if (group)
		*out = group->gr_gid;
	return group != NULL;
}

static int resolve_name(const json_t *value, enum config_id_kind kind, uint32_t *out, char *why)
{
	const char *name = json_string_value(value);
	size_t bytes = json_string_length(value);

	if (bytes == 0 || bytes >= NAME_BYTES || strlen(name) != bytes)
		(void)snprintf(why, CONFIG_ID_WHY_BYTES, "must be a name of 1..%u bytes", NAME_BYTES - 1);
	else if (find(name, kind, out))
		return 0;
	else if (errno == EIO || errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		(void)snprintf(why, CONFIG_ID_WHY_BYTES, "%s \"%s\" cannot be looked up: %s", words[kind], name,
			       strerror(errno));
	else
		(void)snprintf(why, CONFIG_ID_WHY_BYTES, "unknown %s \"%s\"", words[kind], name);
	return -EINVAL;
}

int config_id_resolve(const json_t *value, enum config_id_kind kind, uint32_t *out, char *why)
{
	json_int_t number = json_integer_value(value);

	if (json_is_string(value))
		return resolve_name(value, kind, out, why);
	/* the largest number means "no such user" everywhere */
	if (!json_is_integer(value) || number < 0 || number >= (json_int_t)UINT32_MAX) {
		(void)snprintf(why, CONFIG_ID_WHY_BYTES, "must be the name of a %s or a number below %u", words[kind],
			       UINT32_MAX);
		return -EINVAL;
	}
	*out = (uint32_t)number;
	return 0;
}
