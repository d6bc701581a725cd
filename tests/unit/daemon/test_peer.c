/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process is on the other end, on kernels that say it exactly, that say it is gone, and that know its number
 * only. The linker puts the function below in front of the C library's (--wrap in the Makefile).
 */
#include <sys/wait.h>

#include "daemon/wire/peer.h"
#include "tests/unit/daemon/wire_bench.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static int refusal; /* of SO_PEERPIDFD; 0: as the kernel here has it */

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker wants these names */
int __real_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes);

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes)
{
	if (refusal && level == SOL_SOCKET && option == SO_PEERPIDFD) {
		errno = refusal;
		return -1;
	}
	return __real_getsockopt(fd, level, option, value, bytes);
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* A process that has ended and that nobody waits for any more. */
static pid_t ended_process(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return pid;
}

static int pidfd_with(int error, pid_t pid, bool *exact)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	refusal = error;
	int pidfd = peer_pidfd(ends[0], pid, exact);
	refusal = 0;
	close(ends[0]);
	close(ends[1]);
	return pidfd;
}

START_TEST(a_kernel_that_does_not_know_the_option_is_asked_by_number)
{
	bool exact = true;
	int pidfd = pidfd_with(ENOPROTOOPT, getpid(), &exact);

	ck_assert_int_ge(pidfd, 0);
	ck_assert(!exact); /* which is not enough to believe its cgroup */
	close(pidfd);
	ck_assert_int_eq(pidfd_with(ENOPROTOOPT, ended_process(), &exact), -ESRCH);
	ck_assert_int_eq(pidfd_with(ENOPROTOOPT, 0, &exact), -ENOPROTOOPT);
}
END_TEST

/* Its number would be found, and be another's. */
START_TEST(a_process_that_has_ended_is_not_looked_for_by_number)
{
	bool exact = true;

	ck_assert_int_eq(pidfd_with(EINVAL, getpid(), &exact), -ESRCH);
	ck_assert(!exact);
	ck_assert_int_eq(pidfd_with(ESRCH, getpid(), &exact), -ESRCH);
	ck_assert_int_eq(pidfd_with(EMFILE, getpid(), &exact), -EMFILE);
}
END_TEST

START_TEST(who_connects_for_a_process_that_has_ended_is_hung_up_on)
{
	struct bench bench;

	bench_open(&bench);
	refusal = EINVAL;
	int fd = client_open(&bench);
	ck_assert(is_closed(fd));
	close(fd);
	/* and where nothing is known of its end, it is served */
	refusal = EMFILE;
	fd = client(&bench);
	ck_assert_uint_eq(bench.world.host->session_count, 1);
	close(fd);
	turn(&bench);
	ck_assert_uint_eq(bench.world.host->session_count, 0);
	refusal = 0;
	bench_close(&bench);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("peer");
	TCase *tcase = tcase_create("peer");

	tcase_add_test(tcase, a_kernel_that_does_not_know_the_option_is_asked_by_number);
	tcase_add_test(tcase, a_process_that_has_ended_is_not_looked_for_by_number);
	tcase_add_test(tcase, who_connects_for_a_process_that_has_ended_is_hung_up_on);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
