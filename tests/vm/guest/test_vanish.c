/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that is there no longer: its registers read all ones, and no event says so. Its host is asked to end the
 * software NPU, so this is the last test of a guest.
 */
#include <stdio.h>
#include <time.h>

#include "tests/integration/harness.h"
#include "tests/vm/guest/sysfs.h"

START_TEST(a_device_whose_registers_read_all_ones_is_gone_and_closed)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness), *other = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin()), *job = job_of(other, program_copy(4, 1));
	uint64_t running = submit_running(connection, spin, 0), queued = submit(job, 0);
	const struct timespec pause = {0, 10000000};

	printf("\n@@ host kill-emu 0\n");
	(void)fflush(stdout);
	ASSERT_OUTCOME(wait_for(connection, running), NPU_DEVICE_GONE);
	ASSERT_OUTCOME(wait_for(other, queued), NPU_DEVICE_GONE);
	/* nothing of it is kept open */
	for (int i = 0; i < 500 && (sysfs_count_fds(harness->npud, "/dev/vfio") || sysfs_pinned_pages()); i++)
		(void)nanosleep(&pause, NULL);
	ck_assert_uint_eq(sysfs_count_fds(harness->npud, "/dev/vfio"), 0);
	ck_assert_uint_eq(sysfs_count_fds(harness->npud, "anon_inode:[vfio"), 0);
	ck_assert_int_eq(sysfs_pinned_pages(), 0);
	/* and the daemon answers */
	struct npu_connection *late = harness_connect(harness);
	ASSERT_NPU(npu_ping(late));
	npu_disconnect(late);
	npu_disconnect(connection);
	npu_disconnect(other);
	harness_device_gone(harness);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vanish");
	TCase *all = tcase_create("vanish");

	tcase_set_timeout(all, 60);
	tcase_add_test(all, a_device_whose_registers_read_all_ones_is_gone_and_closed);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
