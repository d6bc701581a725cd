/* SPDX-License-Identifier: Apache-2.0 */
/* The symbol map exports what the public headers declare: no more, no less. Runs in the repository's root. */
#include <stdbool.h>
#include <string.h>

#include "tests/unit/suite.h"

#define MAX_NAMES 128

struct names {
	char name[MAX_NAMES][64];
	int count;
};

static char *read_file(const char *path)
{
	static char text[65536];
	FILE *file = fopen(path, "re");

	ck_assert_msg(file != NULL, "%s: run this in the repository's root", path);
	size_t bytes = fread(text, 1, sizeof(text) - 1, file);

	text[bytes] = '\0';
	(void)fclose(file);
	return text;
}

static bool known(const struct names *names, const char *name)
{
	for (int i = 0; i < names->count; i++) {
		if (strcmp(names->name[i], name) == 0)
			return true;
	}
	return false;
}

/* Every "npu_word" that is followed by `end` and is not part of a comment line. */
static void collect(const char *path, char end, struct names *out)
{
	char *rest = NULL;

	for (char *line = strtok_r(read_file(path), "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *at = strstr(line, "npu_");
		size_t length = at ? strspn(at, "abcdefghijklmnopqrstuvwxyz_0123456789") : 0;

		if (!at || line[0] == ' ' || line[0] == '/' || strncmp(line, "typedef", 7) == 0 || at[length] != end)
			continue;
		ck_assert_int_lt(out->count, MAX_NAMES);
		ck_assert_uint_lt(length, 64);
		memcpy(out->name[out->count], at, length);
		out->name[out->count][length] = '\0';
		if (!known(out, out->name[out->count]))
			out->count++;
	}
}

START_TEST(the_library_exports_exactly_what_the_headers_declare)
{
	struct names header = {0}, map = {0};

	collect("libclient/include/npu/npu.h", '(', &header);
	collect("libclient/include/npu/operator.h", '(', &header);
	collect("libclient/libnpu.map", ';', &map);
	ck_assert_int_gt(header.count, 20);
	for (int i = 0; i < header.count; i++)
		ck_assert_msg(known(&map, header.name[i]), "%s is not in libnpu.map", header.name[i]);
	for (int i = 0; i < map.count; i++)
		ck_assert_msg(known(&header, map.name[i]), "%s is in no header", map.name[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("symbols");
	TCase *tests = tcase_create("symbols");

	tcase_add_test(tests, the_library_exports_exactly_what_the_headers_declare);
	suite_add_tcase(suite, tests);
	return suite_main(suite);
}
