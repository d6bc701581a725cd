/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the claim of a device to the first completion, each ioctl of VFIO and iommufd fails once. Whatever npud makes of
 * it: afterwards descriptors, pinned memory and the device's binding are what they were before, and no job is left
 * over.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/vm/guest/sysfs.h"

#define MOST 200u
#define TOLD "/tmp/fail-ioctl.told"

struct run {
	pid_t npud;
	unsigned fds; /* of npud before a client came */
	long pinned;
	bool ready;
};

static char directory[64], socket_path[96], config[96], preload[512];

static void write_config(void)
{
	const char *iommu = getenv("NPUD_TEST_IOMMU");
	FILE *file = fopen(config, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_gt(fprintf(file,
				 "{\"socket\":{\"path\":\"%s\"},\"devices\":[{\"name\":\"npu0\",\"transport\":\"vfio\","
				 "\"address\":\"%s\",\"iommu\":\"%s\"}],\"budget\":{\"default_ms\":2000}}\n",
				 socket_path, getenv("NPUD_TEST_ADDRESS"), iommu ? iommu : "auto"),
			 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
	const char *build = getenv("NPUD_BUILD");

	ck_assert_msg(build && getenv("NPUD_TEST_ADDRESS"), "NPUD_BUILD and NPUD_TEST_ADDRESS have to be set");
	strcpy(directory, "/tmp/npud-fail-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	(void)snprintf(socket_path, sizeof(socket_path), "%s/npud.sock", directory);
	(void)snprintf(config, sizeof(config), "%s/npud.json", directory);
	(void)snprintf(preload, sizeof(preload), "%s/fail_ioctl.so", build);
	ck_assert_int_eq(setenv("NPU_SOCKET", socket_path, 1), 0);
	write_config();
}

static void run_npud(unsigned k)
{
	char number[16], program[512], log[96];

	(void)snprintf(number, sizeof(number), "%u", k);
	(void)snprintf(program, sizeof(program), "%s", harness_program("npud"));
	(void)snprintf(log, sizeof(log), "%s/npud.log", directory);
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || setenv("LD_PRELOAD", preload, 1) ||
	    setenv("FAIL_IOCTL", number, 1) || setenv("FAIL_IOCTL_TOLD", TOLD, 1))
		_exit(126);
	execl(program, program, "--config", config, (char *)NULL);
	_exit(127);
}

/* Until it serves, or ended. */
static struct run start(unsigned k)
{
	const struct timespec pause = {0, 10000000};
	struct npu_connection *connection = NULL;
	struct run run = {0};
	int status;

	(void)unlink(TOLD);
	(void)fflush(NULL);
	run.npud = fork();
	ck_assert_int_ge(run.npud, 0);
	if (run.npud == 0)
		run_npud(k);
	while (!run.ready) {
		if (waitpid(run.npud, &status, WNOHANG) == run.npud) {
			/* "no device could be opened", and nothing worse */
			ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 6, "ioctl %u: npud ended with %x", k,
				      (unsigned)status);
			run.npud = 0;
			return run;
		}
		run.ready = npu_connect(NULL, &connection) == 0;
		(void)nanosleep(&pause, NULL);
	}
	npu_disconnect(connection);
	run.fds = sysfs_count_fds(run.npud, "");
	run.pinned = sysfs_pinned_pages();
	return run;
}

/* One job of one client; what becomes of it is npud's business, but it ends. */
static bool run_a_job(void)
{
	struct npu_connection *connection = NULL;
	struct npu_result result = {0};

	if (npu_connect(NULL, &connection))
		return false;
	struct npu_job *job = job_of(connection, program_copy(16, 1));
	input_of(job)[3] = 4;
	if (npu_job_run(job, NULL) == 0)
		result.outcome = NPU_DONE;
	bool done = result.outcome == NPU_DONE && output_of(job)[3] == 5;
	npu_disconnect(connection);
	return done;
}

static void expect_as_before(const struct run *run, unsigned k)
{
	const struct timespec pause = {0, 10000000};
	unsigned fds = 0;
	long pinned = 0;

	for (int i = 0; i < 500; i++) {
		fds = sysfs_count_fds(run->npud, "");
		pinned = sysfs_pinned_pages();
		/* fewer: it gave the device up */
		if (fds <= run->fds && pinned <= run->pinned)
			return;
		(void)nanosleep(&pause, NULL);
	}
	ck_abort_msg("ioctl %u: %u descriptors, %u before; %ld pinned pages, %ld before", k, fds, run->fds, pinned,
		     run->pinned);
}

static void stop(const struct run *run, unsigned k)
{
	int status;

	ck_assert_int_eq(kill(run->npud, SIGTERM), 0);
	ck_assert_int_eq(waitpid(run->npud, &status, 0), run->npud);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "ioctl %u: npud ended with %x", k,
		      (unsigned)status);
}

static void teardown(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s " TOLD, directory);
	ck_assert_int_eq(system(command), 0); // NOLINT(cert-env33-c): a fixed command in a guest
}

START_TEST(any_ioctl_that_fails_leaves_nothing_behind)
{
	unsigned refused = 0, survived = 0, lost = 0, k;
	bool told = true;

	for (k = 1; told && k <= MOST; k++) {
		struct run run = start(k);
		bool done = run.ready && run_a_job();

		told = access(TOLD, F_OK) == 0;
		ck_assert_msg(told || done, "no ioctl failed, and yet the job did not run");
		if (run.ready) {
			expect_as_before(&run, k);
			stop(&run, k);
		}
		refused += !run.ready;
		survived += told && done;
		lost += run.ready && !done;
		ck_assert_msg(sysfs_pinned_pages() == 0, "ioctl %u: pages are still pinned", k);
		ck_assert_msg(sysfs_is_bound(), "ioctl %u: the device is not bound any more", k);
	}
	printf(
	    "%u ioctls: with %u of them failing the device is not opened, with %u the job is lost, with %u it runs\n",
	    k - 2, refused, lost, survived);
	ck_assert_uint_lt(k, MOST);
	/* Where npud may choose, the other interface to the IOMMU takes over. */
	if (getenv("NPUD_TEST_IOMMU"))
		ck_assert_uint_gt(refused, 5);
	ck_assert_uint_gt(lost, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fail");
	TCase *all = tcase_create("fail");

	tcase_set_timeout(all, 240);
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, any_ioctl_that_fails_leaves_nothing_behind);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
