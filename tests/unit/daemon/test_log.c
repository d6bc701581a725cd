/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines stay one line, well formed and bounded, whatever a client puts into them. */
#include <jansson.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/util/clock.h"
#include "tests/unit/suite.h"

static nsec_t now;

static nsec_t test_clock(void)
{
	return now;
}

START_TEST(a_line_is_level_event_and_fields)
{
	const struct log_field fields[] = {LOG_STR("client", "x y"), LOG_U64("uid", 7)};
	char line[256];

	size_t bytes = log_render(line, sizeof(line), LOG_LEVEL_WARN, "a.b", fields, 2, LOG_FORMAT_KV, false);
	ck_assert_str_eq(line, "level=warn event=a.b client=\"x y\" uid=7\n");
	ck_assert_uint_eq(bytes, strlen(line));
	log_render(line, sizeof(line), LOG_LEVEL_ERROR, "a.b", fields, 2, LOG_FORMAT_JSON, true);
	ck_assert_str_eq(line, "<3>{\"level\":\"error\",\"event\":\"a.b\",\"client\":\"x y\",\"uid\":7}\n");
}
END_TEST

START_TEST(hostile_text_is_escaped_and_bounded)
{
	char text[4096];
	char line[1024];

	memset(text, 'A', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "a\"b\\c\nlevel=error \xff\x1b[2J%s%n", 28);
	const struct log_field fields[] = {LOG_STR("client", text), LOG_STR("again", text), LOG_STR("more", text),
					   LOG_STR("most", text), LOG_U64("uid", 1)};
	for (int format = 0; format < 2; format++) {
		size_t bytes =
		    log_render(line, sizeof(line), LOG_LEVEL_INFO, "e", fields, 5, (enum log_format)format, false);
		ck_assert_uint_lt(bytes, sizeof(line));
		/* one line, its end is never lost */
		ck_assert_ptr_eq(strchr(line, '\n'), line + bytes - 1);
		for (size_t i = 0; i + 1 < bytes; i++)
			ck_assert(line[i] >= 0x20 && line[i] < 0x7f);
		if (format == LOG_FORMAT_JSON) {
			json_t *json = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, NULL);
			ck_assert_ptr_nonnull(json);
			json_decref(json);
		}
	}
}
END_TEST

START_TEST(a_peer_that_floods_is_silenced_and_others_are_not)
{
	unsigned written = 0;

	now = (nsec_t){NSEC_PER_SEC};
	clock_set_source(test_clock);
	log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_KV);
	for (int i = 0; i < 1000; i++)
		written += log_peer_may(1000, LOG_LEVEL_ERROR);
	ck_assert_uint_eq(written, 20);
	ck_assert(log_peer_may(1001, LOG_LEVEL_ERROR));
	ck_assert(!log_peer_may(1001, LOG_LEVEL_INFO));
	now.v += NSEC_PER_SEC;
	ck_assert(log_peer_may(1000, LOG_LEVEL_ERROR));
	ck_assert(log_peer_may(1000, LOG_LEVEL_ERROR));
	ck_assert(!log_peer_may(1000, LOG_LEVEL_ERROR));
	/* more peers than are remembered */
	for (uid_t uid = 2000; uid < 4000; uid++)
		ck_assert(log_peer_may(uid, LOG_LEVEL_ERROR));
	clock_set_source(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_add_test(tcase, a_line_is_level_event_and_fields);
	tcase_add_test(tcase, hostile_text_is_escaped_and_bounded);
	tcase_add_test(tcase, a_peer_that_floods_is_silenced_and_others_are_not);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
