/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No tensor is ever copied: the application, npud and the device share one file of memory, which npud only hands on.
 * Seen from outside, by what the kernel says about the daemon's mappings, descriptors, input and output, and CPU time.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/harness.h"

#define BIG_BYTES (64u << 20)
#define JOBS 16u

/* out[0] = in[0], between tensors of `bytes` bytes: what else a program does is no matter to the daemon. */
static struct program program_sized(uint32_t bytes)
{
	struct program program = program_copy(1, 1);

	program.tensor_bytes = bytes;
	return program;
}

/* ------------------------------------------------------------------ what the kernel says */

/* One file of memory: no two live ones have the same number. */
struct place {
	uint64_t inode;
	uint64_t offset; /* of the address in the file */
};

/* The lines of /proc/PID/maps of memfds, one after the other; false at the end. */
static bool next_memfd(FILE *maps, uintptr_t *from, uintptr_t *to, struct place *place)
{
	char line[512];

	while (fgets(line, sizeof(line), maps)) {
		unsigned long first, last;

		if (!strstr(line, "/memfd:"))
			continue;
		ck_assert_int_eq(
		    sscanf(line, "%lx-%lx %*s %" SCNx64 " %*s %" SCNu64, &first, &last, &place->offset, &place->inode),
		    4);
		*from = first;
		*to = last;
		return true;
	}
	return false;
}

static FILE *open_proc(pid_t pid, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	FILE *file = fopen(path, "re");
	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	return file;
}

/* The file behind an address of this process. */
static struct place place_of(const void *address)
{
	uintptr_t from = 0, to = 0, at = (uintptr_t)address;
	FILE *maps = open_proc(getpid(), "maps");
	struct place place = {0};
	bool found = false;

	while (!found && next_memfd(maps, &from, &to, &place))
		found = at >= from && at < to;
	(void)fclose(maps);
	ck_assert_msg(found, "%p is not memory of a memfd", address);
	place.offset += at - from;
	return place;
}

static unsigned count_mapped(pid_t pid, uint64_t inode, unsigned *memfds)
{
	FILE *maps = open_proc(pid, "maps");
	uintptr_t from, to;
	struct place place;
	unsigned count = 0;

	*memfds = 0;
	while (next_memfd(maps, &from, &to, &place)) {
		count += place.inode == inode;
		++*memfds;
	}
	(void)fclose(maps);
	return count;
}

/* A descriptor of the process that is this file, opened here; -1 if it has none. */
static int open_same(pid_t pid, uint64_t inode)
{
	char path[600];
	const struct dirent *entry;
	struct stat status;
	int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *directory = opendir(path);
	ck_assert_ptr_nonnull(directory);
	while (fd < 0 && (entry = readdir(directory))) {
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, entry->d_name);
		if (entry->d_name[0] != '.' && stat(path, &status) == 0 && status.st_ino == inode &&
		    S_ISREG(status.st_mode))
			fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	closedir(directory);
	return fd;
}

/* Bytes that the process has read and written so far, by whatever call the kernel counts. */
static uint64_t io_bytes(pid_t pid)
{
	FILE *io = open_proc(pid, "io");
	uint64_t in = 0, out = 0;

	ck_assert_int_eq(fscanf(io, "rchar: %" SCNu64 " wchar: %" SCNu64, &in, &out), 2);
	(void)fclose(io);
	return in + out;
}

/* CPU time of all its threads. */
static uint64_t cpu_ns(pid_t pid)
{
	clockid_t clock;
	struct timespec now;

	ck_assert_int_eq(clock_getcpuclockid(pid, &clock), 0);
	ck_assert_int_eq(clock_gettime(clock, &now), 0);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ------------------------------------------------------------------ tests */

START_TEST(npud_maps_no_memory_of_a_client)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct program program = program_spin();
	unsigned memfds;

	program.tensor_bytes = BIG_BYTES;
	struct npu_job *job = job_of(connection, program);
	struct place in = place_of(input_of(job)), out = place_of(output_of(job));
	uint64_t ticket = submit_running(connection, job, 0);
	ck_assert_uint_eq(count_mapped(harness->npud, in.inode, &memfds), 0);
	ck_assert_uint_eq(count_mapped(harness->npud, out.inode, &memfds), 0);
	ck_assert_uint_gt(memfds, 0); /* its own control blocks: the look was at something */
	/* and the look finds what is mapped: here, and in the software NPU, which is a device */
	ck_assert_uint_gt(count_mapped(getpid(), in.inode, &memfds), 0);
	ck_assert_uint_gt(count_mapped(harness->emu, in.inode, &memfds), 0);
	ck_assert_int_eq(npu_cancel(connection, ticket), NPU_CANCEL_RUNNING);
	ASSERT_OUTCOME(wait_for(connection, ticket), NPU_CANCELLED);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

START_TEST(a_tensor_is_a_page_of_the_file_that_npud_was_given)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_sized(BIG_BYTES));
	struct place in = place_of(input_of(job)), out = place_of(output_of(job));
	int fd = open_same(harness->npud, in.inode);
	uint32_t word = 0;

	ck_assert_msg(fd >= 0, "npud holds no descriptor of the tensor's file");
	ck_assert_uint_eq(in.inode, out.inode); /* one buffer for a job */
	/* what the application writes is what npud's file has, at once */
	input_of(job)[0] = 0x600d0000;
	ck_assert_int_eq(pread(fd, &word, sizeof(word), (off_t)in.offset), sizeof(word));
	ck_assert_uint_eq(word, 0x600d0000);
	/* and what the device writes is what the application reads */
	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	ck_assert_int_eq(pread(fd, &word, sizeof(word), (off_t)out.offset), sizeof(word));
	ck_assert_uint_eq(word, 0x600d0001);
	ck_assert_uint_eq(output_of(job)[0], 0x600d0001);
	close(fd);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

struct cost {
	uint64_t io_bytes;
	uint64_t cpu_ns;
};

static struct cost cost_of_jobs(const struct harness *harness, struct npu_connection *connection, struct npu_job *job)
{
	ASSERT_OUTCOME(run(connection, job), NPU_DONE); /* the first maps its memory */
	struct cost before = {io_bytes(harness->npud), cpu_ns(harness->npud)};

	for (uint32_t i = 0; i < JOBS; i++) {
		input_of(job)[0] = i;
		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
		ck_assert_uint_eq(output_of(job)[0], i + 1);
	}
	return (struct cost){io_bytes(harness->npud) - before.io_bytes, cpu_ns(harness->npud) - before.cpu_ns};
}

static uint64_t cpu_ns_of_copying(const uint32_t *from, uint32_t *to)
{
	uint64_t before = cpu_ns(getpid());

	for (uint32_t i = 0; i < JOBS; i++)
		memcpy(to, from, BIG_BYTES);
	return cpu_ns(getpid()) - before;
}

START_TEST(the_daemons_work_for_a_job_does_not_grow_with_its_tensors)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *small = job_of(connection, program_sized(4096)),
		       *big = job_of(connection, program_sized(BIG_BYTES));
	struct cost of_small = cost_of_jobs(harness, connection, small),
		    of_big = cost_of_jobs(harness, connection, big);
	uint64_t copying = cpu_ns_of_copying(input_of(big), output_of(big));

	/* log lines, some hundred bytes each, whatever the tensors are: frames and registers go through sockets */
	ck_assert_uint_gt(io_bytes(harness->npud), 0); /* its configuration: the count counts */
	ck_assert_uint_lt(of_big.io_bytes, JOBS * 16384u);
	ck_assert_uint_lt(of_big.io_bytes, 2 * of_small.io_bytes + 4096);
	/* CPU time is never exact: it is far from that of one copy of one tensor for each job */
	ck_assert_msg(of_big.cpu_ns < of_small.cpu_ns + copying / 2,
		      "%u jobs cost npud %" PRIu64 " ns, with small tensors %" PRIu64 ", copying one %" PRIu64, JOBS,
		      of_big.cpu_ns, of_small.cpu_ns, copying);
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("copies");
	TCase *all = tcase_create("copies");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, npud_maps_no_memory_of_a_client);
	tcase_add_test(all, a_tensor_is_a_page_of_the_file_that_npud_was_given);
	tcase_add_test(all, the_daemons_work_for_a_job_does_not_grow_with_its_tensors);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
