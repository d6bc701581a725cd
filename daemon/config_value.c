/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON values by tables of keys; see config_value.h. */
#include "daemon/config_value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config_ids.h"

void config_complain(struct config_errors *errors, const char *path, const char *format, ...)
{
	size_t used = strlen(errors->text);
	va_list args;

	errors->count++;
	int head = snprintf(errors->text + used, sizeof(errors->text) - used, "%s%s: ", used ? "\n" : "", path);
	if (head < 0 || used + (size_t)head >= sizeof(errors->text))
		return;
	used += (size_t)head;
	va_start(args, format);
	if (vsnprintf(errors->text + used, sizeof(errors->text) - used, format, args) < 0)
		errors->text[used] = '\0';
	va_end(args);
}

static void join(char out[CONFIG_PATH_TEXT_BYTES], const char *path, const char *name)
{
	if (snprintf(out, CONFIG_PATH_TEXT_BYTES, "%s%s%.64s", path, path[0] ? "." : "", name) < 0)
		out[0] = '\0';
}

/* ------------------------------------------------------------------ values */

static void parse_uint(const json_t *value, const struct config_key *key, const char *path, uint64_t *out,
		       struct config_errors *errors)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || (uint64_t)number < key->minimum || (uint64_t)number > key->maximum)
		config_complain(errors, path, "must be an integer in %" PRIu64 "..%" PRIu64, key->minimum,
				key->maximum);
	else
		*out = (uint64_t)number;
}

static void parse_string(const json_t *value, const struct config_key *key, const char *path, char *out,
			 struct config_errors *errors)
{
	size_t bytes = json_string_length(value);
	const char *text = json_string_value(value);

	if (!text || bytes < key->minimum || bytes >= key->maximum || strlen(text) != bytes)
		config_complain(errors, path, "must be a text of %" PRIu64 "..%" PRIu64 " bytes", key->minimum,
				key->maximum - 1);
	else if (key->kind == KIND_PATH && text[0] != '/')
		config_complain(errors, path, "must be an absolute path");
	else
		memcpy(out, text, bytes + 1);
}

static void parse_mode(const json_t *value, const char *path, uint32_t *out, struct config_errors *errors)
{
	const char *text = json_string_value(value);
	uint32_t mode = 0;
	bool good = text && strlen(text) == 4 && text[0] == '0';

	for (int i = 1; good && i < 4; i++) {
		good = text[i] >= '0' && text[i] <= '7';
		mode = mode * 8 + (uint32_t)(text[i] - '0');
	}
	if (!good)
		config_complain(errors, path, "must be four octal digits such as \"0660\"");
	else
		*out = mode;
}

static void parse_choice(const json_t *value, const struct config_choice *choices, const char *path, uint32_t *out,
			 struct config_errors *errors)
{
	const char *text = json_string_value(value);
	char names[128] = "";
	size_t used = 0;

	for (const struct config_choice *choice = choices; choice->name; choice++) {
		if (text && strcmp(text, choice->name) == 0) {
			*out = choice->value;
			return;
		}
		int more = snprintf(names + used, sizeof(names) - used, "%s\"%s\"", used ? ", " : "", choice->name);
		if (more > 0 && used + (size_t)more < sizeof(names))
			used += (size_t)more;
	}
	config_complain(errors, path, "must be one of %s", names);
}

static bool element_path(char out[CONFIG_PATH_TEXT_BYTES], const char *path, size_t index)
{
	return snprintf(out, CONFIG_PATH_TEXT_BYTES, "%.200s[%zu]", path, index) > 0;
}

static void parse_set(const json_t *value, const struct config_key *key, const char *path, uint32_t *out,
		      struct config_errors *errors)
{
	const size_t count = json_array_size(value);
	char inner[CONFIG_PATH_TEXT_BYTES];
	uint32_t set = 0;

	if (!json_is_array(value) || count < key->minimum || count > CONFIG_MAX_SET) {
		config_complain(errors, path, "must be an array of %" PRIu64 "..%u names", key->minimum,
				CONFIG_MAX_SET);
		return;
	}
	for (size_t i = 0; i < count && element_path(inner, path, i); i++) {
		uint32_t bit = 0;
		parse_choice(json_array_get(value, i), key->choices, inner, &bit, errors);
		set |= 1u << bit;
	}
	*out = set;
}

static void parse_cgroups(const json_t *value, const char *path, struct tenant_cgroups *out,
			  struct config_errors *errors)
{
	const size_t count = json_array_size(value);
	char inner[CONFIG_PATH_TEXT_BYTES];

	if (!json_is_array(value) || count > TENANT_MAX_CGROUPS) {
		config_complain(errors, path, "must be an array of at most %u paths", TENANT_MAX_CGROUPS);
		return;
	}
	for (size_t i = 0; i < count && element_path(inner, path, i); i++) {
		const char *text = json_string_value(json_array_get(value, i));
		if (text && tenants_is_cgroup(text))
			memcpy(out->path[i], text, strlen(text) + 1);
		else
			config_complain(
			    errors, inner,
			    "must be the path of a cgroup such as \"/system.slice/x.service\", below %u bytes",
			    TENANT_CGROUP_BYTES);
	}
	out->count = (uint32_t)count;
}

static void parse_ids(const json_t *value, enum config_id_kind kind, const char *path, struct right_ids *out,
		      struct config_errors *errors)
{
	const size_t count = json_array_size(value);
	char inner[CONFIG_PATH_TEXT_BYTES], why[CONFIG_ID_WHY_BYTES];

	if (!json_is_array(value) || count > RIGHT_MAX_IDS) {
		config_complain(errors, path, "must be an array of at most %u names or numbers", RIGHT_MAX_IDS);
		return;
	}
	for (size_t i = 0; i < count && element_path(inner, path, i); i++)
		if (config_id_resolve(json_array_get(value, i), kind, &out->id[i], why) < 0)
			config_complain(errors, inner, "%s", why);
	out->count = (uint32_t)count;
}

static void parse_value(const json_t *value, const struct config_key *key, const char *path, void *base,
			struct config_errors *errors)
{
	void *out = (char *)base + key->offset;

	switch (key->kind) {
	case KIND_UINT:
		parse_uint(value, key, path, out, errors);
		break;
	case KIND_BOOL:
		if (json_is_boolean(value))
			*(bool *)out = json_is_true(value);
		else
			config_complain(errors, path, "must be true or false");
		break;
	case KIND_STRING:
	case KIND_PATH:
		parse_string(value, key, path, out, errors);
		break;
	case KIND_MODE:
		parse_mode(value, path, out, errors);
		break;
	case KIND_CHOICE:
		parse_choice(value, key->choices, path, out, errors);
		break;
	case KIND_SET:
		parse_set(value, key, path, out, errors);
		break;
	case KIND_USERS:
		parse_ids(value, CONFIG_USER, path, out, errors);
		break;
	case KIND_GROUPS:
		parse_ids(value, CONFIG_GROUP, path, out, errors);
		break;
	case KIND_CGROUPS:
		parse_cgroups(value, path, out, errors);
		break;
	case KIND_OBJECT:
		config_parse_object(value, key->keys, path, out, errors);
		break;
	case KIND_MORE:
	case KIND_APART:
	default:
		break;
	}
}

/* `base` becomes that of the table in which the key was found. */
static const struct config_key *find_key(const struct config_key *keys, const char *name, void **base)
{
	for (; keys->name; keys++) {
		if (keys->kind != KIND_MORE && strcmp(keys->name, name) == 0)
			return keys;
		if (keys->kind == KIND_MORE) {
			void *inside = (char *)*base + keys->offset;
			const struct config_key *found = find_key(keys->keys, name, &inside);
			if (!found)
				continue;
			*base = inside;
			return found;
		}
	}
	return NULL;
}

void config_parse_object(const json_t *object, const struct config_key *keys, const char *path, void *base,
			 struct config_errors *errors)
{
	char inner[CONFIG_PATH_TEXT_BYTES];
	const char *name;
	json_t *value;

	if (!json_is_object(object)) {
		config_complain(errors, path[0] ? path : "configuration", "must be an object");
		return;
	}
	json_object_foreach ((json_t *)object, name, value) {
		void *inside = base;
		const struct config_key *key = find_key(keys, name, &inside);
		join(inner, path, name);
		if (key)
			parse_value(value, key, inner, inside, errors);
		else
			config_complain(errors, inner, "unknown key");
	}
	for (const struct config_key *key = keys; key->name; key++) {
		if (!key->required || json_object_get(object, key->name))
			continue;
		join(inner, path, key->name);
		config_complain(errors, inner, "missing");
	}
}
