/* SPDX-License-Identifier: Apache-2.0 */
/* Attackers with memory: what is no memory, what changes while it is used, and calls of the daemon that fail meanwhile.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "proto/zhouyi_tcb.h"
#include "tests/hostile/fail_call.h"
#include "tests/hostile/scene.h"
#include "tests/integration/raw.h"

/* ------------------------------------------------------------------ what is no memory */

/* What the client may not do with a descriptor and what no descriptor can be used for lie close together. */
static void expect_refused(int fd, int file, bool read_only, const char *what)
{
	Npud__ErrorCode code = raw_import(fd, file, 0, 0x1000, 0, read_only);

	ck_assert_msg(code == NPUD__ERROR_CODE__ERROR_INVALID || code == NPUD__ERROR_CODE__ERROR_PERMISSION,
		      "%s: error %d", what, code);
}

static int reopened(int file, int flags)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return open(path, flags | O_CLOEXEC);
}

static int sparse_memory(void)
{
	int file = memfd_create("sparse", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(file, 0x4000), 0);
	ck_assert_int_eq(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	return file;
}

/* Of the harness's directory, which is on a disk or a tmpfs: a file that looks right but has no seals. */
static int unlinked_file(int flags)
{
	int file = open("/tmp", O_TMPFILE | flags | O_CLOEXEC, 0600);

	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(ftruncate(file, 0x4000), 0);
	return file;
}

#define MAX_KINDS 40u

struct kind {
	int file;
	bool read_only; /* asks for less, and is refused all the same */
	const char *what;
};

static unsigned memories(struct kind *kinds, int good)
{
	unsigned n = 0;

	kinds[n++] = (struct kind){raw_memory(0x1000, 0), false, "memory that is not sealed"};
	kinds[n++] = (struct kind){raw_memory(0x1000, F_SEAL_GROW), false, "memory that can shrink"};
	kinds[n++] = (struct kind){raw_memory(0x1000, F_SEAL_SEAL), true, "memory that never will be sealed"};
	kinds[n++] = (struct kind){raw_memory(0x1000, F_SEAL_SHRINK | F_SEAL_WRITE), false, "write-sealed memory"};
	kinds[n++] = (struct kind){raw_memory(0x1000, F_SEAL_SHRINK | 0x10), false, "memory with its future sealed"};
	kinds[n++] = (struct kind){sparse_memory(), false, "memory that is not there"};
	kinds[n++] = (struct kind){reopened(good, O_RDONLY), false, "memory opened for reading"};
	kinds[n++] = (struct kind){reopened(good, O_WRONLY), false, "memory opened for writing"};
	kinds[n++] = (struct kind){reopened(good, O_WRONLY), true, "memory opened for writing, to be read"};
	kinds[n++] = (struct kind){reopened(good, O_PATH), true, "memory by its path alone"};
	return n;
}

static unsigned other_files(struct kind *kinds)
{
	int pipes[2], pair[2];
	unsigned n = 0;
	sigset_t none;

	(void)sigemptyset(&none);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	kinds[n++] = (struct kind){open("/proc/self/exe", O_RDONLY | O_CLOEXEC), true, "a program"};
	kinds[n++] = (struct kind){open("/proc/self/maps", O_RDONLY | O_CLOEXEC), true, "a file of /proc"};
	kinds[n++] = (struct kind){open("/dev/full", O_RDWR | O_CLOEXEC), false, "a device that is full"};
	kinds[n++] = (struct kind){open("/", O_RDONLY | O_CLOEXEC), true, "a directory"};
	kinds[n++] = (struct kind){open("/dev/null", O_RDWR | O_CLOEXEC), false, "nothing"};
	kinds[n++] = (struct kind){open("/dev/zero", O_RDWR | O_CLOEXEC), false, "zeros without end"};
	kinds[n++] = (struct kind){open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), false, "a tmpfs file"};
	kinds[n++] = (struct kind){unlinked_file(O_RDWR), false, "a file without a name"};
	kinds[n++] = (struct kind){pipes[0], true, "a pipe's end"};
	kinds[n++] = (struct kind){pipes[1], false, "a pipe's beginning"};
	kinds[n++] = (struct kind){pair[0], false, "a stream"};
	kinds[n++] = (struct kind){pair[1], true, "the other end of it"};
	kinds[n++] = (struct kind){eventfd(0, EFD_CLOEXEC), false, "an eventfd"};
	kinds[n++] = (struct kind){timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), false, "a timer"};
	kinds[n++] = (struct kind){signalfd(-1, &none, SFD_CLOEXEC), false, "signals"};
	kinds[n++] = (struct kind){epoll_create1(EPOLL_CLOEXEC), false, "an epoll"};
	kinds[n++] = (struct kind){inotify_init1(IN_CLOEXEC), false, "an inotify"};
	kinds[n++] = (struct kind){(int)syscall(SYS_pidfd_open, getpid(), 0), false, "a process"};
	return n;
}

static int offer_all(struct harness *where, void *user)
{
	struct kind kinds[MAX_KINDS];
	int fd = raw_open(where), good = raw_memory(0x4000, F_SEAL_SHRINK);
	unsigned count = memories(kinds, good);

	(void)user;
	count += other_files(kinds + count);
	kinds[count++] = (struct kind){dup(fd), true, "the connection itself"};
	ck_assert_uint_ge(count, 20);
	ck_assert_uint_le(count, MAX_KINDS);
	for (unsigned i = 0; i < count; i++) {
		ck_assert_msg(kinds[i].file >= 0, "%s cannot be had", kinds[i].what);
		expect_refused(fd, kinds[i].file, kinds[i].read_only, kinds[i].what);
		close(kinds[i].file);
	}
	ck_assert_int_eq(raw_import(fd, good, 0, 0x4000, 0, false), 0); /* what is right still is */
	close(good);
	close(fd);
	return 0;
}

START_TEST(attack_fd_of_the_wrong_kind)
{
	attack_as(MALLORY, offer_all, NULL);
}
END_TEST

/* ------------------------------------------------------------------ memory that changes */

#define BUDGET_NS 30000000ull

/* Of a job's memory, as an attacker has it: the file, not only a mapping of it. */
struct moving {
	int file;
	size_t bytes;
	uint8_t *memory;
	atomic_bool stop;
};

static void *punch_and_truncate(void *user)
{
	struct moving *moving = user;
	unsigned shrunk = 0;

	for (uint64_t i = 0; i == 0 || !atomic_load(&moving->stop); i++) {
		off_t at = (off_t)(i * 0x1000 % moving->bytes);

		(void)fallocate(moving->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, 0x1000);
		shrunk += ftruncate(moving->file, at) == 0;
		shrunk += ftruncate(moving->file, 0) == 0;
		(void)ftruncate(moving->file, (off_t)moving->bytes + at); /* growing is allowed */
	}
	return shrunk ? moving : NULL;
}

static void *scribble(void *user)
{
	struct moving *moving = user;
	uint64_t state = 0x9e3779b97f4a7c15ull;

	while (!atomic_load(&moving->stop))
		moving->memory[scene_random(&state) % moving->bytes] ^= (uint8_t)state;
	return NULL;
}

static uint64_t import_of(int fd, int file, uint64_t bytes)
{
	Npud__BufferImport message = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	message.bytes = bytes;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &message;
	Npud__ServerFrame *frame = raw_call(fd, &request, file);
	/* with holes in it, or not sealed yet, it is refused: then there is no job this time */
	uint64_t handle = frame->reply->error ? 0 : frame->reply->buffer_info->handle;
	raw_free(frame);
	return handle;
}

/*
 * A job whose program, parameters and stack lie in memory that somebody else changes all the time. Whatever becomes of
 * its submissions, they end.
 */
static unsigned run_while(struct harness *where, struct moving *moving, void *(*change)(void *user), void **result)
{
	int fd = raw_open(where);
	unsigned imports = 0;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, change, moving), 0);
	for (unsigned i = 0; i < 60; i++) {
		uint64_t buffer = import_of(fd, moving->file, moving->bytes);

		if (!buffer)
			continue;
		uint64_t job = raw_job_of(fd, buffer);
		imports++;
		for (unsigned n = 0; n < 3; n++)
			(void)raw_run(fd, job, BUDGET_NS);
		Npud__BufferRelease release = NPUD__BUFFER_RELEASE__INIT;
		Npud__Request request = NPUD__REQUEST__INIT;
		release.handle = buffer;
		request.body_case = NPUD__REQUEST__BODY_BUFFER_RELEASE;
		request.buffer_release = &release;
		ASSERT_CODE(fd, &request, -1, 0);
	}
	atomic_store(&moving->stop, true);
	pthread_join(thread, result);
	close(fd);
	return imports;
}

static struct moving make_moving(void)
{
	struct moving moving = {.file = raw_memory(0x10000, F_SEAL_SHRINK), .bytes = 0x10000};
	static const uint32_t end[] = ZY3_END_PACKET;

	moving.memory = mmap(NULL, moving.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, moving.file, 0);
	ck_assert_ptr_ne(moving.memory, MAP_FAILED);
	memcpy(moving.memory, end, sizeof(end));
	return moving;
}

static int truncate_in_a_loop(struct harness *where, void *user)
{
	struct moving moving = make_moving();
	void *shrunk = NULL;

	(void)user;
	/* not sealed yet: it can shrink, and so it is refused, at whatever moment it is looked at */
	struct moving loose = {.file = raw_memory(0x10000, 0), .bytes = 0x10000};
	ck_assert_uint_eq(run_while(where, &loose, punch_and_truncate, &shrunk), 0);
	ck_assert_ptr_nonnull(shrunk);
	(void)run_while(where, &moving, punch_and_truncate, &shrunk);
	ck_assert_ptr_null(shrunk);
	return 0;
}

START_TEST(attack_truncate_shared_memory)
{
	attack_as(MALLORY, truncate_in_a_loop, NULL);
}
END_TEST

static int change_after_check(struct harness *where, void *user)
{
	struct moving moving = make_moving();

	(void)user;
	ck_assert_uint_eq(run_while(where, &moving, scribble, NULL), 60);
	/* sealed against writing when it has been accepted as writable: from then on it cannot be mapped as promised */
	int fd = raw_open(where);
	struct moving sealed = make_moving();
	uint64_t job = raw_job_of(fd, import_of(fd, sealed.file, sealed.bytes));
	munmap(sealed.memory, sealed.bytes);
	ck_assert_int_eq(fcntl(sealed.file, F_ADD_SEALS, F_SEAL_WRITE), 0);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_ne(raw_run(fd, job, BUDGET_NS), NPUD__OUTCOME__OUTCOME_DONE);
	close(fd);
	return 0;
}

START_TEST(attack_change_data_after_check)
{
	pid_t attacker = client_start_as(harness, MALLORY, MALLORY, change_after_check, NULL);

	for (unsigned i = 0; i < 20; i++)
		scene_innocent_works();
	client_wait(attacker);
}
END_TEST

/* ------------------------------------------------------------------ names in the file system */

/* Names in a directory, those of tests that run at the same time left out. */
static unsigned names_in(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	unsigned count = 0;

	ck_assert_msg(directory != NULL, "%s: %s", path, strerror(errno));
	while ((entry = readdir(directory)))
		count += strstr(entry->d_name, "npud") != NULL && strncmp(entry->d_name, "npud-test-", 10) != 0;
	closedir(directory);
	return count;
}

/* Nothing that npud has open has a name, but what it was started with. */
static void expect_no_named_files(void)
{
	char path[96], target[256];

	for (unsigned fd = 0; fd < 256; fd++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%u", harness->npud, fd);
		ssize_t bytes = readlink(path, target, sizeof(target) - 1);
		if (bytes < 0)
			continue;
		target[bytes] = '\0';
		const char *dot = strrchr(target, '.');
		bool known = target[0] != '/' || strncmp(target, "/memfd:", 7) == 0 || !strcmp(target, "/dev/null") ||
			     (dot && (!strcmp(dot, ".lock") || !strcmp(dot, ".log")));
		ck_assert_msg(known, "npud has %s open", target);
	}
}

/* What lies where npud makes a file is not followed, and not touched. */
static void expect_links_are_not_followed(const char *name)
{
	char link[160], victim[160], config[512], text[8] = "";

	(void)snprintf(victim, sizeof(victim), "%s/victim.log", harness->directory);
	(void)snprintf(link, sizeof(link), "%s/%s", harness->directory, name);
	int file = open(victim, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(file, "before", 6), 6);
	ck_assert_int_eq(symlink(victim, link), 0);
	(void)snprintf(config, sizeof(config),
		       "{\"socket\":{\"path\":\"%s/second.sock\",\"mode\":\"0600\"},"
		       "\"devices\":[{\"name\":\"npu0\",\"transport\":\"vfio-user\",\"path\":\"%s/none.sock\"}]}",
		       harness->directory, harness->directory);
	ck_assert_int_ne(harness_npud_exit(harness, config, "second.log"), 0);
	ck_assert_int_eq(pread(file, text, sizeof(text), 0), 6);
	ck_assert_str_eq(text, "before");
	close(file);
	ck_assert_int_eq(unlink(link), 0);
}

START_TEST(attack_named_shared_memory_or_temp_files)
{
	unsigned shm = names_in("/dev/shm"), tmp = names_in("/tmp"), own = names_in(harness->directory);
	struct stat directory;

	attack_as(ALICE, innocent_life, NULL);
	for (unsigned i = 0; i < 3; i++)
		scene_innocent_works();
	expect_no_named_files();
	ck_assert_uint_eq(names_in("/dev/shm"), shm);
	ck_assert_uint_eq(names_in("/tmp"), tmp);
	ck_assert_uint_eq(names_in(harness->directory), own);
	expect_links_are_not_followed("second.sock.lock");
	expect_links_are_not_followed("second.sock");
	/* nobody but the daemon's user makes names beside the socket */
	ck_assert_int_eq(stat(harness->directory, &directory), 0);
	ck_assert_uint_eq(directory.st_mode & 022, 0);
}
END_TEST

/* ------------------------------------------------------------------ calls of the daemon that fail */

/* A client's life; any step may fail. */
static int try_to_live(struct harness *where, void *user)
{
	const struct program program = program_copy(16, 1);
	struct npu_connection *connection = NULL;
	struct npu_graph *graph = NULL;
	struct npu_job *job = NULL;
	size_t bytes;

	(void)user;
	if (npu_connect(where->socket, &connection))
		return 0;
	void *file = program_elf(&program, &bytes);
	if (npu_graph_load_memory(connection, file, bytes, &graph) == 0 && npu_job_create(graph, &job) == 0)
		(void)npu_job_run(job, NULL);
	free(file);
	if (job)
		(void)npu_job_free(job);
	npu_disconnect(connection);
	return 0;
}

static struct fail_call *control_page(char path[96])
{
	strcpy(path, "/tmp/npud-fail-XXXXXX");
	int fd = mkstemp(path);

	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	struct fail_call *control = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(control, MAP_FAILED);
	close(fd);
	return control;
}

/* Each call in turn: the first to fail is the first that a client's life causes, the last one is beyond its end. */
START_TEST(attack_fd_leak_or_double_close_on_error_paths)
{
	char path[96], preload[512];
	struct fail_call *control = control_page(path);
	unsigned failed = 0;

	(void)snprintf(preload, sizeof(preload), "%s", harness_program("tests/hostile/fail_call.so"));
	ck_assert_int_eq(setenv("LD_PRELOAD", preload, 1), 0);
	ck_assert_int_eq(setenv("FAIL_CALL", path, 1), 0);
	scene_start(&(struct harness_options){.socket = SOCKET_FOR_ALL, .bare = true}); /* hides no file to preload */
	(void)unsetenv("LD_PRELOAD");
	for (int n = 1; failed == (unsigned)n - 1; n++) {
		ck_assert_int_lt(n, 400);
		atomic_store(&control->countdown, n);
		attack_as(MALLORY, try_to_live, NULL);
		atomic_store(&control->countdown, 0);
		failed = atomic_load(&control->failed);
		scene_innocent_works();
	}
	printf("= %u calls failed, one at a time; the last was %s\n", failed, control->last);
	ck_assert_uint_ge(failed, 20);
	scene_stop();
	munmap(control, 4096);
	(void)unlink(path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory");
	TCase *all = tcase_create("memory"), *own = tcase_create("own scene");

	tcase_set_timeout(all, 120);
	tcase_add_checked_fixture(all, scene_setup, scene_stop);
	tcase_add_test(all, attack_fd_of_the_wrong_kind);
	tcase_add_test(all, attack_truncate_shared_memory);
	tcase_add_test(all, attack_change_data_after_check);
	tcase_add_test(all, attack_named_shared_memory_or_temp_files);
	suite_add_tcase(suite, all);
	tcase_set_timeout(own, 120);
	tcase_add_test(own, attack_fd_leak_or_double_close_on_error_paths);
	suite_add_tcase(suite, own);
	return suite_main(suite);
}
