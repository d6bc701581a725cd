/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test, npud and the software NPU share when a test runs in the device's virtual time: a file that all map.
 * The software NPU adds to the time (its option --clock); the test and its clients write the rest.
 */
#ifndef NPUD_TESTS_VIRTUAL_H
#define NPUD_TESTS_VIRTUAL_H

#include <stdatomic.h>
#include <stdint.h>

#define VIRTUAL_FILE_VARIABLE "NPUD_TEST_VIRTUAL_TIME" /* names the file to npud */

struct virtual_time {
	_Atomic uint64_t now_ns; /* first: the software NPU knows nothing else */
	/*
	 * Virtual time passes when a job ends, however long a client takes to submit the next one. So that each client
	 * that means to have work has it, npud gives the device something only while so many submissions are queued or
	 * run. 0: always.
	 */
	_Atomic uint32_t backlog;
	_Atomic uint64_t end_ns; /* clients submit nothing more from then on */
};

#endif
