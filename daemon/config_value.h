/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values into a structure, driven by tables of keys; every error has its path. Knows no key by name. */
#ifndef NPUD_CONFIG_VALUE_H
#define NPUD_CONFIG_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/config.h"

#define CONFIG_PATH_TEXT_BYTES 256
#define CONFIG_MAX_SET 32u

enum config_kind {
	KIND_UINT,
	KIND_BOOL,
	KIND_STRING,
	KIND_PATH,
	KIND_MODE,
	KIND_CHOICE,
	KIND_SET,
	KIND_USERS,
	KIND_GROUPS,
	KIND_CGROUPS,
	KIND_OBJECT,
	KIND_MORE, /* no key: the table goes on in another */
	KIND_APART /* read by somebody else */
};

struct config_choice {
	const char *name;
	uint32_t value;
};

/* One key of an object: where its value goes and what is legal. */
struct config_key {
	const char *name;
	enum config_kind kind;
	size_t offset;
	uint64_t minimum; /* of a number, bytes of a text, elements of a set */
	uint64_t maximum; /* of a number, or bytes of a text with its NUL */
	const struct config_choice *choices; /* of a set: their values are numbers of bits */
	const struct config_key *keys; /* of an object */
	bool required;
};

#define CONFIG_END                                                                                                     \
	{                                                                                                              \
		NULL, KIND_UINT, 0, 0, 0, NULL, NULL, false                                                            \
	}
#define CONFIG_UINT(name_, type, member, min, max)                                                                     \
	{                                                                                                              \
		name_, KIND_UINT, offsetof(type, member), min, max, NULL, NULL, false                                  \
	}
#define CONFIG_CHOICE(name_, type, member, list)                                                                       \
	{                                                                                                              \
		name_, KIND_CHOICE, offsetof(type, member), 0, 0, list, NULL, false                                    \
	}
#define CONFIG_SET(name_, type, member, least, list)                                                                   \
	{                                                                                                              \
		name_, KIND_SET, offsetof(type, member), least, 0, list, NULL, false                                   \
	}
#define CONFIG_OBJECT(name_, type, member, list)                                                                       \
	{                                                                                                              \
		name_, KIND_OBJECT, offsetof(type, member), 0, 0, NULL, list, false                                    \
	}
#define CONFIG_BOOLEAN(name_, type, member)                                                                            \
	{                                                                                                              \
		name_, KIND_BOOL, offsetof(type, member), 0, 0, NULL, NULL, false                                      \
	}

/* The keys of a structure inside, as if they stood here. */
#define CONFIG_MORE(type, member, list)                                                                                \
	{                                                                                                              \
		"", KIND_MORE, offsetof(type, member), 0, 0, NULL, list, false                                         \
	}
#define CONFIG_APART(name_)                                                                                            \
	{                                                                                                              \
		name_, KIND_APART, 0, 0, 0, NULL, NULL, false                                                          \
	}

/* One more error: `path: format`. What has no room is left out, but counted. */
void config_complain(struct config_errors *errors, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* All keys of `object` to their places in `base`; one that the table does not have is an error. */
void config_parse_object(const json_t *object, const struct config_key *keys, const char *path, void *base,
			 struct config_errors *errors);

#endif
