/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pools are made of: pages that the administrator set aside where that is sensible, ordinary memory everywhere
 * else. The host's pages are played by ordinary memfds, which behave the same but for one thing, tested on its own:
 * huge files know no write().
 */
#include "libclient/objects.h"
#include "tests/malformed/changes.h"
#include "tests/unit/libclient/session.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MIB (1ull << 20)

static struct npu_huge_source real_host;
static uint64_t host_pages;
static int host_error;
static uint64_t host_asked;
static int write_refusals; /* pwrite() calls that fail as they do on huge files */

static uint64_t played_free(void)
{
	return host_pages;
}

static int played_create(uint64_t bytes)
{
	host_asked = bytes;
	if (host_error)
		return host_error;
	int fd = memfd_create("npu-huge", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(posix_fallocate(fd, 0, (off_t)bytes), 0);
	return fd;
}

/* In the place of the C library's: the library under test is in this program. */
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset);
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	if (write_refusals > 0) {
		write_refusals--;
		errno = EINVAL;
		return -1;
	}
	return pwrite64(fd, data, bytes, offset);
}

static void host_has(uint64_t pages)
{
	npu_huge_source = (struct npu_huge_source){played_free, played_create};
	host_pages = pages;
	host_error = 0;
	host_asked = 0;
	write_refusals = 0;
	ck_assert_int_eq(unsetenv(NPU_HUGE_PAGES_ENV), 0);
}

static uint64_t file_bytes(int fd)
{
	struct stat file;

	ck_assert_int_eq(fstat(fd, &file), 0);
	return (uint64_t)file.st_size;
}

/* The size of the file that a pool of `bytes` gets, and whether it is one of huge pages. */
static uint64_t pool_of(uint64_t bytes, bool *huge)
{
	int fd = -1;

	host_asked = 0;
	ck_assert_int_eq(npu_memfd_create(bytes, &fd), 0);
	uint64_t size = file_bytes(fd);

	*huge = host_asked != 0 && size == host_asked;
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS), 0);
	(void)close(fd);
	return size;
}

static const struct {
	const char *name;
	uint64_t pages, bytes, file;
	bool huge;
} sizes[] = {
    {"no pages", 0, 4 * MIB, 4 * MIB, false},
    {"two pages of four", 4, 4 * MIB, 4 * MIB, true},
    {"two pages of three: more than half", 3, 4 * MIB, 4 * MIB, false},
    {"smaller than a page", 100, 2 * MIB - 4096, 2 * MIB - 4096, false},
    {"one page", 2, 2 * MIB, 2 * MIB, true},
    {"too much of the last page would be empty", 100, 2 * MIB + 4096, 2 * MIB + 4096, false},
    {"a fifth is empty", 100, 5 * MIB, 6 * MIB, true},
    {"all but 4 KiB", 100, 4 * MIB - 4096, 4 * MIB, true},
};

START_TEST(a_pool_takes_pages_that_are_to_spare_and_that_it_fills)
{
	bool huge;

	host_has(sizes[_i].pages);
	uint64_t file = pool_of(sizes[_i].bytes, &huge);

	ck_assert_msg(file == sizes[_i].file, "%s: %llu bytes", sizes[_i].name, (unsigned long long)file);
	ck_assert_msg(huge == sizes[_i].huge, "%s: huge %d", sizes[_i].name, huge);
}
END_TEST

START_TEST(a_pool_is_made_without_them_when_the_host_refuses)
{
	bool huge;

	host_has(100);
	host_error = -ENOSPC;
	ck_assert_uint_eq(pool_of(4 * MIB, &huge), 4 * MIB);
	ck_assert_uint_eq(host_asked, 4 * MIB);
	ck_assert_int_eq(npu_huge_create(4 * MIB), -ENOSPC);
}
END_TEST

START_TEST(the_environment_switches_them_off)
{
	bool huge;

	host_has(100);
	ck_assert_int_eq(setenv(NPU_HUGE_PAGES_ENV, "0", 1), 0);
	(void)pool_of(4 * MIB, &huge);
	ck_assert(!huge);
	ck_assert_int_eq(setenv(NPU_HUGE_PAGES_ENV, "1", 1), 0);
	(void)pool_of(4 * MIB, &huge);
	ck_assert(huge);
}
END_TEST

START_TEST(the_host_is_asked_and_its_answer_is_believed)
{
	npu_huge_source = real_host;
	/* whatever it is: a file for which there are no pages is refused and leaves nothing */
	uint64_t pages = npu_huge_source.free_pages();
	int fd = npu_huge_source.create(1ull << 60);

	ck_assert_int_lt(fd, 0);
	if (pages < 2)
		ck_assert_int_eq(npu_huge_create(2 * MIB), -ENOMEM);
	ck_assert_uint_eq(npu_huge_source.free_pages(), pages);
}
END_TEST

START_TEST(a_mapping_covers_the_whole_file)
{
	uint8_t *memory = NULL;
	size_t mapped = 0;
	int fd = -1;

	host_has(100);
	ck_assert_int_eq(npu_memfd_create(5 * MIB, &fd), 0);
	ck_assert_int_eq(npu_memfd_map(fd, &memory, &mapped), 0);
	ck_assert_uint_eq(mapped, 6 * MIB);
	memory[6 * MIB - 1] = 1;
	ck_assert_int_eq(munmap(memory, mapped), 0);
	(void)close(fd);
}
END_TEST

START_TEST(a_file_that_knows_no_write_is_filled_all_the_same)
{
	static uint8_t data[3 * MIB], back[5 * MIB];
	uint64_t next = 0;
	int fd = -1;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 4096);
	host_has(100);
	ck_assert_int_eq(npu_memfd_create(6 * MIB, &fd), 0);
	npu_memfd_prepare(fd);
	write_refusals = INT32_MAX;
	/* from inside one page to inside the third, then a gap, then the end of the file */
	ck_assert_int_eq(npu_memfd_write(fd, data, sizeof(data), MIB + 4097, &next), 0);
	ck_assert_int_eq(npu_memfd_write(fd, data, 1, 6 * MIB - 1, &next), 0);
	ck_assert_uint_eq(next, 6 * MIB);
	ck_assert_int_eq(npu_memfd_seal(fd, true), 0); /* nothing of it is mapped any more */
	ck_assert_int_eq(pread(fd, back, sizeof(back), MIB), sizeof(back));
	ck_assert_mem_eq(back + 4097, data, sizeof(data));
	ck_assert_uint_eq(back[4096], 0);
	ck_assert_uint_eq(back[4097 + sizeof(data)], 0);
	(void)close(fd);
}
END_TEST

START_TEST(a_source_that_shrank_is_an_error_and_not_a_signal)
{
	int fd = -1, source = memfd_create("source", MFD_CLOEXEC);
	uint64_t next = 0;

	ck_assert_int_ge(source, 0);
	ck_assert_int_eq(ftruncate(source, 8192), 0);
	void *data = mmap(NULL, 8192, PROT_READ, MAP_SHARED, source, 0);
	ck_assert_ptr_ne(data, MAP_FAILED);
	ck_assert_int_eq(ftruncate(source, 0), 0);
	host_has(100);
	ck_assert_int_eq(npu_memfd_create(2 * MIB, &fd), 0);
	ck_assert_int_eq(npu_memfd_write(fd, data, 8192, 0, &next), -EFAULT);
	write_refusals = INT32_MAX;
	ck_assert_int_eq(npu_memfd_write(fd, data, 8192, 0, &next), -EFAULT);
	ck_assert_int_eq(munmap(data, 8192), 0);
	(void)close(source);
	(void)close(fd);
}
END_TEST

START_TEST(a_session_with_huge_pages_imports_what_it_planned_and_leaves_nothing)
{
	struct zf_file file = zf_vector();
	size_t bytes;

	host_has(100);
	/* an intermediate tensor makes the instance's pool larger than a page */
	row_poke(&file, ZY_NOTE_FMLIST, AT_REUSE1, 5 * MIB);
	start();
	begin();
	struct zf_bytes image = zf_build(&file);
	ck_assert_msg(npu_graph_load_memory(npu, image.data, image.size, &graph) == 0, "%s", npu_error());
	zf_free(&image);
	zf_file_free(&file);
	struct npu_job *job = make_job();
	const struct fake_import *pool = &fake.imports[1];

	ck_assert_uint_gt(pool->bytes, 5 * MIB);
	ck_assert_uint_lt(pool->bytes, 6 * MIB); /* the daemon charges what was planned, not what fills the last page */
	ck_assert_uint_eq(file_bytes(pool->fd), 6 * MIB);
	ck_assert_uint_eq(pool->align, 2 * MIB);
	ck_assert_int_eq(pool->seals & F_SEAL_SHRINK, F_SEAL_SHRINK);
	ck_assert_uint_eq(pool->allocated, pool->bytes);
	ck_assert_ptr_nonnull(npu_job_tensor(job, NPU_INPUT, 0, &bytes));
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool");
	TCase *all = tcase_create("pool");

	real_host = npu_huge_source;
	tcase_add_loop_test(all, a_pool_takes_pages_that_are_to_spare_and_that_it_fills, 0,
			    (int)(sizeof(sizes) / sizeof(*sizes)));
	tcase_add_test(all, a_pool_is_made_without_them_when_the_host_refuses);
	tcase_add_test(all, the_environment_switches_them_off);
	tcase_add_test(all, the_host_is_asked_and_its_answer_is_believed);
	tcase_add_test(all, a_mapping_covers_the_whole_file);
	tcase_add_test(all, a_file_that_knows_no_write_is_filled_all_the_same);
	tcase_add_test(all, a_source_that_shrank_is_an_error_and_not_a_signal);
	tcase_add_test(all, a_session_with_huge_pages_imports_what_it_planned_and_leaves_nothing);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
