/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one check suite and closes with the line that tests/run.sh adds up. */
#ifndef NPUD_TESTS_SUITE_H
#define NPUD_TESTS_SUITE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static inline int suite_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	int run = srunner_ntests_run(runner);
	srunner_free(runner);
	printf("%d passed, %d failed, 0 skipped\n", run - failed, failed);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
