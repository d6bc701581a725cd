/* SPDX-License-Identifier: Apache-2.0 */
/* The table: time, medians and lines that every program of the benchmark prints in the same form. */
#include "tests/bench/bench_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t bench_clock_ns(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fflush(stdout);
	(void)fputs("bench: ", stderr);
	(void)vfprintf(stderr, format, args);
	(void)fputc('\n', stderr);
	va_end(args);
	exit(EXIT_FAILURE);
}

static int u64_compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

struct latency bench_latency(uint64_t *ns, size_t count)
{
	qsort(ns, count, sizeof(*ns), u64_compare);
	uint64_t p50 = ns[count / 2], p99 = ns[count * 99 / 100];
	return (struct latency){.p50_us = (double)p50 / 1e3, .p99_us = (double)p99 / 1e3};
}

static const char *verdict(bool met)
{
	return met ? "met" : "MISSED";
}

void bench_row(const char *name, double ours, double baseline, const char *unit, double ratio_goal, bool more_is_better)
{
	double ratio = ours / baseline;

	printf("%-34s %11.1f %11.1f %-5s %6.2f", name, ours, baseline, unit, ratio);
	if (ratio_goal > 0)
		printf("   %s %-5.3g %s\n", more_is_better ? ">=" : "<=", ratio_goal,
		       verdict(more_is_better ? ratio >= ratio_goal : ratio <= ratio_goal));
	else
		printf("   no goal\n");
	(void)fflush(stdout);
}

void bench_row_limit(const char *name, double ours, double limit, const char *unit)
{
	printf("%-34s %11.2f %11s %-5s %6s   <= %-5.3g %s\n", name, ours, "", unit, "", limit, verdict(ours <= limit));
	(void)fflush(stdout);
}

void bench_row_missing(const char *name, const char *why)
{
	printf("%-34s not measured: %s\n", name, why);
}

static int double_compare(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

double bench_median(double *values)
{
	qsort(values, BENCH_ROUNDS, sizeof(*values), double_compare);
	return values[BENCH_ROUNDS / 2];
}
