/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that the guest's kernel takes away, that reports an error, and that comes back. Costs are in time that the
 * guest had.
 */
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/harness.h"
#include "tests/vm/guest/guest_clock.h"
#include "tests/vm/guest/sysfs.h"

#define JOBS 24u

static struct harness *harness;

/* A test that failed may have left the device with nobody. */
static void setup(void)
{
	if (!sysfs_is_bound())
		sysfs_driver_wait(sysfs_driver_start("bind"));
	guest_clock_start();
	harness = harness_start(NULL);
}

static void teardown(void)
{
	harness_stop(harness);
	guest_clock_stop();
}

static void wait_status(struct npu_connection *connection, enum npu_device_status status)
{
	const struct timespec pause = {0, 10000000};
	struct npu_device_info info;

	for (int i = 0; i < 6000; i++) {
		ASSERT_NPU(npu_device_info(connection, 0, &info));
		if (info.status == status)
			return;
		(void)nanosleep(&pause, NULL);
	}
	ck_abort_msg("the device does not get to status %d", status);
}

/* It runs after it was given back to VFIO, for a client that was there all the time. */
static void come_back(struct npu_connection *connection, struct npu_job *job)
{
	sysfs_driver_wait(sysfs_driver_start("bind"));
	wait_status(connection, NPU_DEVICE_READY);
	input_of(job)[0] = 41;
	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	ck_assert_uint_eq(output_of(job)[0], 42);
}

static void wait_wanted_back(void)
{
	const struct timespec pause = {0, 1000000};
	bool asked = false;

	for (int i = 0; i < 20000 && !asked; i++) {
		char *text = harness_read(harness, "npud.log");
		asked = strstr(text, "device.wanted_back") != NULL;
		free(text);
		(void)nanosleep(&pause, NULL);
	}
	ck_assert_msg(asked, "npud does not hear that the kernel wants the device back");
}

START_TEST(a_device_the_kernel_wants_back_is_closed_after_what_runs)
{
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *gate = job_of(connection, program_gate()), *jobs[JOBS];
	uint64_t running, tickets[JOBS];
	unsigned done = 0, gone = 0;

	for (unsigned i = 0; i < JOBS; i++)
		jobs[i] = job_of(connection, program_copy(4, 1));
	running = submit_running(connection, gate, 0);
	for (unsigned i = 0; i < JOBS; i++)
		tickets[i] = submit(jobs[i], 0);
	double begin = guest_clock();
	pid_t unbind = sysfs_driver_start("unbind");
	wait_wanted_back();
	input_of(gate)[0] = 1;
	struct npu_result result = wait_for(connection, running);
	ASSERT_OUTCOME(result, NPU_DONE);
	for (unsigned i = 0; i < JOBS; i++) {
		result = wait_for(connection, tickets[i]);
		ck_assert_msg(result.outcome == NPU_DEVICE_GONE || (result.outcome == NPU_DONE && gone == 0), "%s: %s",
			      npu_outcome_name(result.outcome), result.message);
		done += result.outcome == NPU_DONE;
		gone += result.outcome == NPU_DEVICE_GONE;
	}
	sysfs_driver_wait(unbind);
	double took = guest_clock() - begin;
	printf("%u of what waited ran, %u are told that the device is gone, given back after %.3f s\n", done, gone,
	       took);
	/* what had been in the hardware behind the first one, and nothing else */
	ck_assert_uint_le(done, 1);
	ck_assert_double_le(took, 2.0);
	ck_assert_uint_eq(sysfs_count_fds(harness->npud, "/dev/vfio"), 0);
	ck_assert_uint_eq(sysfs_count_fds(harness->npud, "/dev/iommu"), 0);
	ck_assert_uint_eq(sysfs_count_fds(harness->npud, "anon_inode:[vfio"), 0);
	ck_assert_int_eq(sysfs_pinned_pages(), 0);
	come_back(connection, jobs[0]);
	npu_disconnect(connection);
}
END_TEST

START_TEST(a_program_that_hangs_does_not_keep_the_device_from_the_kernel)
{
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin()), *job = job_of(connection, program_copy(4, 1));
	uint64_t running = submit_running(connection, spin, 0), queued = submit(job, 0);

	double begin = guest_clock();
	pid_t unbind = sysfs_driver_start("unbind");
	ASSERT_OUTCOME(wait_for(connection, running), NPU_DEVICE_GONE);
	ASSERT_OUTCOME(wait_for(connection, queued), NPU_DEVICE_GONE);
	sysfs_driver_wait(unbind);
	double took = guest_clock() - begin;
	printf("given back after %.3f s\n", took);
	ck_assert_double_le(took, 2.0);
	come_back(connection, job);
	npu_disconnect(connection);
}
END_TEST

START_TEST(an_idle_device_is_given_back_and_returns)
{
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_copy(4, 1));

	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	double begin = guest_clock();
	sysfs_driver_wait(sysfs_driver_start("unbind"));
	ck_assert_double_le(guest_clock() - begin, 2.0);
	wait_status(connection, NPU_DEVICE_OFFLINE);
	come_back(connection, job);
	npu_disconnect(connection);
}
END_TEST

/* A link error above the device: nothing of it can be trusted, so nothing of it is touched. */
START_TEST(a_device_with_an_error_is_gone_and_returns_after_it_was_bound_anew)
{
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin()), *job = job_of(connection, program_copy(4, 1));
	uint64_t running = submit_running(connection, spin, 0);

	printf("\n@@ host monitor pcie_aer_inject_error rp0 DLP\n");
	(void)fflush(stdout);
	ASSERT_OUTCOME(wait_for(connection, running), NPU_DEVICE_GONE);
	wait_status(connection, NPU_DEVICE_OFFLINE);
	sysfs_driver_wait(sysfs_driver_start("unbind"));
	come_back(connection, job);
	npu_disconnect(connection);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("life");
	TCase *all = tcase_create("life");

	tcase_set_timeout(all, 120);
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, a_device_the_kernel_wants_back_is_closed_after_what_runs);
	tcase_add_test(all, a_program_that_hangs_does_not_keep_the_device_from_the_kernel);
	tcase_add_test(all, an_idle_device_is_given_back_and_returns);
	/* Platform devices have no such report. */
	if (sysfs_is_pci())
		tcase_add_test(all, a_device_with_an_error_is_gone_and_returns_after_it_was_bound_anew);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
