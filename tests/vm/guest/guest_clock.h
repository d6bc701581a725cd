/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time that the guest had, as opposed to time that passed: a host that lets its guests wait must not look like a daemon
 * that is slow. A process of its own sleeps a millisecond at a time and counts no sleep for more than five.
 */
#ifndef NPUD_TESTS_GUEST_CLOCK_H
#define NPUD_TESTS_GUEST_CLOCK_H

void guest_clock_start(void);
/* Seconds since then. */
double guest_clock(void);
void guest_clock_stop(void);

#endif
