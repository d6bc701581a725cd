/* SPDX-License-Identifier: Apache-2.0 */
/* What may be imported as memory, and when it is given back. */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "tests/unit/daemon/world.h"

static bool holes_are_denied; /* as hugetlbfs denies them */

/* In the place of the C library's: the daemon under test is in this program. */
off_t lseek(int fd, off_t offset, int whence);
off_t lseek(int fd, off_t offset, int whence)
{
	struct stat file;

	if (!holes_are_denied || whence != SEEK_HOLE)
		return lseek64(fd, offset, whence);
	ck_assert_int_eq(fstat(fd, &file), 0);
	return file.st_size;
}

static int reopened(int fd, int flags)
{
	char path[32];

	ck_assert_int_gt(snprintf(path, sizeof(path), "/proc/self/fd/%d", fd), 0);
	int again = open(path, flags | O_CLOEXEC);
	ck_assert_int_ge(again, 0);
	close(fd);
	return again;
}

static int unsealable(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_eq(posix_fallocate(fd, 0, 8192), 0);
	return fd;
}

static int sparse(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, 16384), 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	return fd;
}

/* `pages` written, then pages [first, first + count) punched out. */
static int punched(unsigned pages, unsigned first, unsigned count)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	for (unsigned i = 0; i < pages; i++)
		ck_assert_int_eq(pwrite(fd, "x", 1, i * 4096 + 4095), 1);
	ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, first * 4096, count * 4096), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	return fd;
}

/* What a graphics driver would hand out: memory, but not a memfd, and on a kernel file system of its own. */
static int foreign_memory(void)
{
	int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);

	/* not every kernel has it; another anonymous inode is as foreign */
	if (fd < 0)
		return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd, 8192), 0);
	return fd;
}

static int piped(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	close(fds[1]);
	return fds[0];
}

static int on_disk(void)
{
	char path[] = "/tmp/npud-test-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	unlink(path);
	ck_assert_int_eq(posix_fallocate(fd, 0, 8192), 0);
	return fd;
}

static int make_kind(int kind)
{
	switch (kind) {
	case 0:
		return make_memory(8192, F_SEAL_SHRINK);
	case 1:
		return make_memory(8192, 0);
	case 2:
		return make_memory(8192, F_SEAL_SHRINK | F_SEAL_WRITE);
	case 3:
		return make_memory(8192, F_SEAL_SHRINK | 0x10 /* F_SEAL_FUTURE_WRITE */);
	case 4:
		return reopened(make_memory(8192, F_SEAL_SHRINK), O_RDONLY);
	case 5:
		return reopened(make_memory(8192, F_SEAL_SHRINK), O_WRONLY);
	case 6:
		return reopened(make_memory(8192, F_SEAL_SHRINK), O_PATH);
	case 7:
		return unsealable();
	case 8:
		return sparse();
	case 9:
		return piped();
	case 10:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 11:
		return open("/dev/zero", O_RDWR | O_CLOEXEC);
	case 12:
		return open("/tmp", O_RDONLY | O_CLOEXEC);
	case 13:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 14:
		return eventfd(0, EFD_CLOEXEC);
	case 15:
		return on_disk();
	case 16:
		return make_memory(4096, F_SEAL_SHRINK); /* smaller than the import */
	case 18:
		return punched(4, 0, 1);
	case 19:
		return punched(4, 1, 1);
	case 20:
		return punched(4, 2, 2); /* behind the import */
	case 21:
		return foreign_memory();
	case 22:
		return epoll_create1(EPOLL_CLOEXEC);
	case 23:
		return open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	case 24:
		return open("/dev/shm", O_RDWR | O_CLOEXEC | O_TMPFILE, 0600); /* tmpfs, but not a memfd */
	case 25:
		return reopened(make_memory(8192, F_SEAL_SHRINK | F_SEAL_WRITE), O_RDONLY);
	default:
		return -1;
	}
}

/* [kind]: result writable, result read-only */
static const int results[][2] = {
    {0, 0},
    {-EPERM, -EPERM},
    {-EPERM, 0},
    {-EPERM, 0},
    {-EPERM, 0},
    {-EPERM, -EPERM},
    {-EINVAL, -EINVAL},
    {-EPERM, -EPERM},
    {-EINVAL, -EINVAL},
    {-EINVAL, -EINVAL},
    {-EINVAL, -EINVAL},
    {-EINVAL, -EINVAL},
    {-EINVAL, -EINVAL},
    {-EINVAL, -EINVAL},
    {-EINVAL, -EINVAL},
    {-EINVAL, -EINVAL},
    {-EINVAL, -EINVAL},
    {-EINVAL, -EINVAL},
    {-EINVAL, -EINVAL}, /* 18: punched */
    {-EINVAL, -EINVAL},
    {0, 0},
    {-EINVAL, -EINVAL}, /* 21: foreign */
    {-EINVAL, -EINVAL},
    {-EINVAL, -EINVAL},
    {-EPERM, -EPERM}, /* a file on tmpfs can take no seal */
    {-EPERM, 0},
};

START_TEST(only_sealed_populated_memory_is_imported)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);

	for (int read_only = 0; read_only < 2; read_only++) {
		struct buffer_request request = {.bytes = 8192, .read_only = read_only};
		struct buffer *buffer;
		struct fail fail = {.text = ""};
		int result = try_import(session, make_kind(_i), &request, &buffer, &fail);
		ck_assert_msg(result == results[_i][read_only], "kind %d: %d (%s)", _i, result, fail.text);
		if (result == 0)
			ck_assert_uint_eq(buffer->map.prot, read_only ? VFIO_READ : VFIO_READ | VFIO_WRITE);
		else
			ck_assert_ptr_nonnull(strstr(fail.text, "buffer"));
	}
	world_close(&world);
}
END_TEST

START_TEST(a_file_system_that_knows_no_holes_is_asked_for_blocks)
{
	struct buffer_request first = {.bytes = 8192}, second = {.bytes = 8192, .offset = 8192};
	struct fail fail;
	int full = make_memory(16384, F_SEAL_SHRINK), torn = punched(4, 3, 1), bare = sparse();

	/* it tells: what lies before the hole can be had */
	ck_assert_int_eq(buffer_check_file(torn, &first, &fail), 0);
	ck_assert_int_eq(buffer_check_file(torn, &second, &fail), -EINVAL);
	/* it does not */
	holes_are_denied = true;
	ck_assert_int_eq(buffer_check_file(torn, &first, &fail), -EINVAL);
	ck_assert_int_eq(buffer_check_file(torn, &second, &fail), -EINVAL);
	ck_assert_int_eq(buffer_check_file(bare, &first, &fail), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fail.text, "not populated"));
	ck_assert_int_eq(buffer_check_file(full, &first, &fail), 0);
	ck_assert_int_eq(buffer_check_file(full, &second, &fail), 0);
	holes_are_denied = false;
	close(full);
	close(torn);
	close(bare);
}
END_TEST

START_TEST(ranges_are_checked_without_overflow)
{
	static const struct buffer_request bad[] = {
	    {.bytes = 0},
	    {.bytes = 4095},
	    {.bytes = 4096, .offset = 1},
	    {.bytes = 4096, .offset = 8192},
	    {.bytes = 12288},
	    {.bytes = 8192, .offset = 4096},
	    {.bytes = UINT64_MAX & ~4095ull},
	    {.bytes = 4096, .offset = UINT64_MAX & ~4095ull},
	    {.bytes = 8192, .offset = (UINT64_MAX & ~4095ull) - 4096},
	    {.bytes = 4096, .align = 3},
	    {.bytes = 4096, .align = UINT64_MAX},
	};
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buffer *buffer;
		struct fail fail;
		int result = try_import(session, make_memory(8192, F_SEAL_SHRINK), &bad[i], &buffer, &fail);
		ck_assert_msg(result == -EINVAL, "case %zu: %d", i, result);
	}
	ck_assert(quota_is_clear(&session->quota) || session->quota.used[QUOTA_BUFFERS] == 0);
	world_close(&world);
}
END_TEST

START_TEST(what_is_charged_is_named_and_returned)
{
	struct world world;
	struct host_options options = world_options();
	options.tenants.fallback.maximum[QUOTA_BUFFER_BYTES] = 12288;
	world_open_with(&world, &options);
	struct session *first = world_session(&world);
	struct session *second = world_session(&world);
	struct buffer_request request = {.bytes = 8192};
	struct buffer *buffer;
	struct fail fail;

	struct buffer *held = make_buffer(first, 8192, false);
	/* the tenant's second connection shares the same allowance */
	ck_assert_int_eq(try_import(second, make_memory(8192, F_SEAL_SHRINK), &request, &buffer, &fail), -EDQUOT);
	ck_assert_str_eq(fail.limit, "buffer_bytes");
	ck_assert_str_eq(fail.owner, "tenant default:1000");
	ck_assert_uint_eq(fail.used, 8192);
	ck_assert_uint_eq(fail.maximum, 12288);
	ck_assert_int_eq(buffer_release_handle(first, held->handle, NULL), 0);
	world_work(&world);
	ck_assert_int_eq(try_import(second, make_memory(8192, F_SEAL_SHRINK), &request, &buffer, &fail), 0);
	world_close(&world);
}
END_TEST

START_TEST(memory_in_use_is_released_after_its_submission)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct buffer *buffer = make_buffer(session, 8192, false);
	uint64_t handle = buffer->handle;
	struct job *job = make_job_of(session, buffer, 1, false);
	uint64_t first = run(&world, session, job);
	uint64_t second = run(&world, session, job);
	uint64_t ignored;

	ck_assert_int_eq(buffer_release_handle(session, handle, NULL), 0);
	ck_assert_int_eq(buffer_release_handle(session, handle, NULL), -ENOENT);
	world_work(&world);
	/* still mapped, still charged; and no new submission */
	ck_assert_uint_eq(world.fake->vfio.mappings, 2);
	ck_assert_uint_eq(session->quota.used[QUOTA_BUFFER_BYTES], 8192);
	ck_assert_int_eq(try_submit(session, job, 0, &ignored, NULL), -ENOENT);
	complete(&world, job);
	ck_assert_uint_eq(world.fake->vfio.mappings, 2);
	complete(&world, job);
	expect(session, first, OUT_DONE);
	expect(session, second, OUT_DONE);
	world_work(&world);
	ck_assert_uint_eq(world.fake->vfio.mappings, 1);
	ck_assert_uint_eq(session->quota.used[QUOTA_BUFFER_BYTES], 0);
	ck_assert_int_eq(job_destroy(job, NULL), 0);
	world_close(&world);
}
END_TEST

START_TEST(idle_memory_is_unmapped_before_it_is_closed_and_its_address_comes_back)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	struct buffer *buffer = make_buffer(session, 8192, false);
	uint64_t iova = buffer->map.iova.v;
	struct job *job = make_job_of(session, buffer, 1, false);

	run(&world, session, job);
	complete(&world, job);
	buffer_release_handle(session, buffer->handle, NULL);
	/* not before the device let go of it */
	ck_assert_uint_ne(make_buffer(session, 8192, false)->map.iova.v, iova);
	world_work(&world);
	ck_assert_uint_eq(make_buffer(session, 8192, false)->map.iova.v, iova);
	world_close(&world);
}
END_TEST

START_TEST(another_sessions_handle_is_nobodys)
{
	struct world world;
	world_open(&world);
	struct session *a = world_session(&world);
	struct session *b = world_session(&world);
	struct job_v3 description = {.group_count = 1, .bss_count = 1};
	struct buffer *first = make_buffer(a, 8192, false);
	struct buffer *own = make_buffer(a, 8192, false);
	struct job_group group = {.text = {true, own->handle, 0}};
	struct job *job;

	(void)first;
	ck_assert_int_eq(buffer_release_handle(b, own->handle, NULL), -ENOENT);
	ck_assert_int_eq(job_begin_v3(b, &description, &job, NULL), 0);
	ck_assert_int_eq(job_add_group(job, &group, NULL), -ENOENT);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buffer");
	TCase *tcase = tcase_create("buffer");

	tcase_add_loop_test(tcase, only_sealed_populated_memory_is_imported, 0,
			    (int)(sizeof(results) / sizeof(results[0])));
	tcase_add_test(tcase, a_file_system_that_knows_no_holes_is_asked_for_blocks);
	tcase_add_test(tcase, ranges_are_checked_without_overflow);
	tcase_add_test(tcase, what_is_charged_is_named_and_returned);
	tcase_add_test(tcase, memory_in_use_is_released_after_its_submission);
	tcase_add_test(tcase, idle_memory_is_unmapped_before_it_is_closed_and_its_address_comes_back);
	tcase_add_test(tcase, another_sessions_handle_is_nobodys);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
