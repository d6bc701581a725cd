/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test, npud and the software NPU share when a test runs in the device's virtual time: a file that all map.
 * The software NPU adds to the time, npud says when it may go on; the test and its clients write the rest.
 */
#ifndef NPUD_TESTS_VIRTUAL_H
#define NPUD_TESTS_VIRTUAL_H

#include <stdatomic.h>
#include <stdint.h>

#define VIRTUAL_FILE_VARIABLE "NPUD_TEST_VIRTUAL_TIME" /* names the file to npud */

struct virtual_time {
	/* The software NPU knows these three: its --clock and --in-step. */
	_Atomic uint64_t now_ns;
	_Atomic uint64_t ended; /* jobs */
	_Atomic uint64_t may_end;
	/*
	 * Virtual time passes when a job ends, however long npud takes to see it, and a client to submit the next one.
	 * So that each client that means to have work has it, a job ends only when npud has dealt with the end of the
	 * last one and so many submissions are queued or run. 0: always.
	 */
	_Atomic uint32_t backlog;
	_Atomic uint64_t
	    host_ns; /* that npud takes to give work to a device that has none: nothing, unless it is said */
	_Atomic uint64_t end_ns; /* clients submit nothing more from then on */
};

#endif
