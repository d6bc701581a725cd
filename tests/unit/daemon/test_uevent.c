/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's news of devices: only the removal of VFIO's own child of this device counts. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/vfio/uevent.h"
#include "tests/unit/suite.h"

#define NPU "10000000.npu"

static bool is_removal(const char *text)
{
	return uevent_is_removal(text, strlen(text) + 1, NPU);
}

START_TEST(only_the_removal_of_vfios_child_of_this_device_counts)
{
	ck_assert(is_removal("remove@/devices/platform/10000000.npu/vfio-dev/vfio0"));
	ck_assert(!is_removal("add@/devices/platform/10000000.npu/vfio-dev/vfio0"));
	ck_assert(!is_removal("unbind@/devices/platform/10000000.npu"));
	ck_assert(!is_removal("remove@/devices/platform/10000000.npu"));
	ck_assert(!is_removal("remove@/devices/platform/20000000.npu/vfio-dev/vfio1"));
	ck_assert(!is_removal("remove@/devices/platform/110000000.npu/vfio-dev/vfio1"));
	ck_assert(!is_removal(""));
}
END_TEST

START_TEST(a_message_without_an_end_is_nothing)
{
	const char text[] = {'r', 'e', 'm', 'o', 'v', 'e', '@', '/', 'x'};

	ck_assert(!uevent_is_removal(text, sizeof(text), NPU));
	ck_assert(!uevent_is_removal(text, 0, NPU));
}
END_TEST

START_TEST(no_news_is_no_removal_and_does_not_wait)
{
	int fd = uevent_open();

	ck_assert_msg(fd >= 0, "%s", strerror(-fd));
	ck_assert(!uevent_removed(fd, NPU));
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("uevent");
	TCase *tcase = tcase_create("uevent");

	tcase_add_test(tcase, only_the_removal_of_vfios_child_of_this_device_counts);
	tcase_add_test(tcase, a_message_without_an_end_is_nothing);
	tcase_add_test(tcase, no_news_is_no_removal_and_does_not_wait);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
