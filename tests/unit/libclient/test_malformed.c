/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule of the loader has a file that breaks it, and each is refused with an error that names the field. */
#include <sys/mman.h>
#include <unistd.h>

#include "libclient/planner.h"
#include "tests/malformed/rows.h"
#include "tests/unit/suite.h"

/* What loading does before it asks a daemon for anything. */
static int load(const void *data, size_t bytes, char why[512])
{
	const struct npu_plan_target target = {.tecs = 4, .gm_bytes = 4u << 20};
	struct npu_elf *elf;
	struct npu_plan plan;
	int rc = npu_elf_parse(data, bytes, &elf, why, 512);

	if (rc)
		return rc;
	rc = npu_plan_pool(elf, &target, &plan, why, 512);
	if (rc == 0)
		npu_plan_release(&plan);
	npu_elf_free(elf);
	return rc;
}

/* From memory that ends where the file ends, so that a read past it does not go unseen. */
static int load_guarded(const struct zf_bytes *bytes, uint64_t length, char why[512])
{
	size_t size = length ? length : bytes->size;
	size_t room = (size + 4095) & ~(size_t)4095;
	uint8_t *area =
	    mmap(NULL, room + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(area, MAP_FAILED);
	ck_assert_int_eq(mprotect(area + room, 4096, PROT_NONE), 0);
	uint8_t *data = length ? area : area + room - size;

	memcpy(data, bytes->data, bytes->size);
	/* nobody may write to the file: it is somebody's mapping */
	ck_assert_int_eq(mprotect(area, room, PROT_READ), 0);
	int rc = load(data, size, why);

	ck_assert_int_eq(munmap(area, room + 4096), 0);
	return rc;
}

START_TEST(the_vector_that_all_rows_are_made_from_is_accepted)
{
	struct zf_file file = zf_vector();
	struct zf_bytes bytes = zf_build(&file);
	char why[512];

	ck_assert_msg(load_guarded(&bytes, 0, why) == 0, "%s", why);
	zf_free(&bytes);
	zf_file_free(&file);
}
END_TEST

START_TEST(a_malformed_file_is_refused_with_an_error_that_names_the_field)
{
	const struct row *row = &rows[_i];
	struct zf_bytes bytes = row_build(row);
	char why[512] = "";
	int rc = load_guarded(&bytes, row->sparse_bytes, why);

	ck_assert_msg(rc == row->code, "%s: returned %d, expected %d (%s)", row->name, rc, row->code, why);
	ck_assert_msg(strstr(why, row->field), "%s: \"%s\" does not name \"%s\"", row->name, why, row->field);
	ck_assert_msg(!strchr(why, '\n'), "%s: more than one line", row->name);
	zf_free(&bytes);
}
END_TEST

START_TEST(every_rule_for_v3_has_a_file)
{
	bool seen[64] = {false};

	for (size_t i = 0; i < ROW_COUNT; i++) {
		char prefix[16];

		(void)snprintf(prefix, sizeof(prefix), "row_%d_", rows[i].row);
		ck_assert_msg(strncmp(rows[i].name, prefix, strlen(prefix)) == 0, "%s is not of row %d", rows[i].name,
			      rows[i].row);
		seen[rows[i].row] = true;
	}
	for (int row = 21; row <= 54; row++) {
		/* 50 is about a container of several executables, which there is no call for */
		if (row == 50)
			continue;
		ck_assert_msg(seen[row], "rule %d has no malformed file", row);
	}
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
	struct zf_file file = zf_vector();
	struct zf_bytes bytes = zf_build(&file);
	size_t whole = bytes.size;
	char why[512];

	for (bytes.size = 0; bytes.size < whole; bytes.size += 7) {
		ck_assert_int_lt(load_guarded(&bytes, 0, why), 0);
		ck_assert_int_ne(why[0], '\0');
	}
	zf_free(&bytes);
	zf_file_free(&file);
}
END_TEST

/* Not a search for a particular fault: whatever a changed word does, it stays inside the file and ends. */
START_TEST(a_file_with_any_word_changed_is_read_within_its_bounds)
{
	static const uint32_t values[] = {0, 1, 0x7fffffff, 0x80000000, UINT32_MAX, 0xfffffff0};
	struct zf_file file = zf_vector();
	struct zf_bytes bytes = zf_build(&file);
	int refused = 0;
	char why[512];

	for (size_t at = 0; at + 4 <= bytes.size; at += 4) {
		uint32_t before;

		memcpy(&before, bytes.data + at, 4);
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			zf_poke(&bytes, at, values[v]);
			refused += load_guarded(&bytes, 0, why) < 0;
		}
		zf_poke(&bytes, at, before);
	}
	ck_assert_int_gt(refused, 500);
	zf_free(&bytes);
	zf_file_free(&file);
}
END_TEST

static void kind(const char *text, int code, const char *field)
{
	struct zf_bytes bytes = {0};
	char why[512];

	zf_put(&bytes, text, strlen(text));
	ck_assert_int_eq(load_guarded(&bytes, 0, why), code);
	ck_assert_ptr_nonnull(strstr(why, field));
	zf_free(&bytes);
}

START_TEST(other_kinds_of_files_are_called_by_their_name)
{
	kind("AIPU BIN and more", -ENOTSUP, "V1/V2");
	kind("GIF89a", -EBADMSG, "not a Zhouyi executable");
	kind("\x7f"
	     "ELF",
	     -EBADMSG, "ELF header");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("malformed executables");
	TCase *tests = tcase_create("malformed");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, the_vector_that_all_rows_are_made_from_is_accepted);
	tcase_add_loop_test(tests, a_malformed_file_is_refused_with_an_error_that_names_the_field, 0, (int)ROW_COUNT);
	tcase_add_test(tests, every_rule_for_v3_has_a_file);
	tcase_add_test(tests, a_file_cut_anywhere_is_refused);
	tcase_add_test(tests, a_file_with_any_word_changed_is_read_within_its_bounds);
	tcase_add_test(tests, other_kinds_of_files_are_called_by_their_name);
	suite_add_tcase(suite, tests);
	return suite_main(suite);
}
