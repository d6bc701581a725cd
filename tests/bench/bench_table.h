/* SPDX-License-Identifier: Apache-2.0 */
/* What every program of the benchmark shares: the clock, and the lines of the table. */
#ifndef NPUD_TESTS_BENCH_TABLE_H
#define NPUD_TESTS_BENCH_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rounds of ours and of the baseline, of which the median counts. */
#define BENCH_ROUNDS 5u

struct latency {
	double p50_us;
	double p99_us;
};

uint64_t bench_clock_ns(void);
/* Of BENCH_ROUNDS values, which it sorts. */
double bench_median(double *values);
/* Sorts @ns. */
struct latency bench_latency(uint64_t *ns, size_t count);
/* Prints to standard error and ends the program: a baseline that cannot be measured is no result. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_fail(const char *format, ...);

/* One line of the table. @ratio_goal: ours / baseline at most (or, if @more_is_better, at least); 0 for no goal. */
void bench_row(const char *name, double ours, double baseline, const char *unit, double ratio_goal,
	       bool more_is_better);
/* The same against an absolute limit. */
void bench_row_limit(const char *name, double ours, double limit, const char *unit);
void bench_row_missing(const char *name, const char *why);

#endif
