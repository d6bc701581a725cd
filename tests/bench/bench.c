/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench: npud's costs beside their baselines, as a table with ratio, goal and verdict. A missed goal is printed as
 * MISSED and does not fail the run: this program measures, it does not judge. scripts/bench.sh starts what it needs.
 */
#include "tests/bench/bench.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Sizes of an empty request and its reply on the wire. */
#define PING_REQUEST_BYTES 6u
#define PING_REPLY_BYTES 10u
#define DIRECT_DEPTH 16u

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

uint32_t bench_repeats(const struct bench_options *options, uint32_t usual)
{
	uint32_t count = usual * options->scale / 100;

	return count < 10 ? 10 : count;
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

struct samples {
	uint64_t *ours;
	uint64_t *baseline;
	uint32_t count; /* of one round */
};

static struct samples samples_new(const struct bench_options *options, uint32_t usual)
{
	struct samples samples = {.count = bench_repeats(options, usual)};
	size_t all = (size_t)samples.count * BENCH_ROUNDS;

	samples.ours = calloc(all, sizeof(*samples.ours));
	samples.baseline = calloc(all, sizeof(*samples.baseline));
	if (!samples.ours || !samples.baseline)
		bench_fail("out of memory");
	return samples;
}

static void samples_free(struct samples *samples, struct latency *ours, struct latency *baseline)
{
	*ours = bench_latency(samples->ours, (size_t)samples->count * BENCH_ROUNDS);
	*baseline = bench_latency(samples->baseline, (size_t)samples->count * BENCH_ROUNDS);
	free(samples->ours);
	free(samples->baseline);
}

static void request_rows(const struct bench_options *options, struct latency *echo)
{
	struct samples samples = samples_new(options, 8000);
	struct latency ping;

	for (size_t round = 0; round < BENCH_ROUNDS; round++) {
		size_t at = round * samples.count;

		echo_measure(PING_REQUEST_BYTES, PING_REPLY_BYTES, samples.baseline + at, samples.count);
		ping_measure(options, samples.ours + at, samples.count);
	}
	samples_free(&samples, &ping, echo);
	bench_row("request / echo, p50", ping.p50_us, echo->p50_us, "us", 1.5, false);
	bench_row("request / echo, p99", ping.p99_us, echo->p99_us, "us", 2.0, false);
}

static void job_rows(const struct bench_options *options, const struct latency *echo)
{
	struct samples samples = samples_new(options, 1000);
	struct latency job, direct;

	for (size_t round = 0; round < BENCH_ROUNDS; round++) {
		size_t at = round * samples.count;

		direct_latency(options, samples.baseline + at, samples.count);
		jobs_latency(options, samples.ours + at, samples.count);
	}
	samples_free(&samples, &job, &direct);
	bench_row("no-op job / direct + 1 echo, p50", job.p50_us, direct.p50_us + echo->p50_us, "us", 1.0, false);
	bench_row("no-op job / direct, p50", job.p50_us, direct.p50_us, "us", 0, false);
	bench_row("no-op job / direct, p99", job.p99_us, direct.p99_us, "us", 0, false);
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

/* The direct driver keeps as many jobs in the device as pay off: that is what the device can do at all. */
static void throughput_rows(const struct bench_options *options)
{
	static const uint32_t depths[] = {1, 8, 64};
	uint32_t count = bench_repeats(options, 3000);

	for (size_t d = 0; d < sizeof(depths) / sizeof(depths[0]); d++) {
		double ours[BENCH_ROUNDS], direct[BENCH_ROUNDS];
		char name[64];

		for (size_t round = 0; round < BENCH_ROUNDS; round++) {
			direct[round] = direct_per_second(options, DIRECT_DEPTH, count);
			ours[round] = jobs_per_second(options, depths[d], count);
		}
		(void)snprintf(name, sizeof(name), "jobs/s, depth %u / direct", depths[d]);
		bench_row(name, bench_median(ours), bench_median(direct), "1/s", depths[d] == 64 ? 0.9 : 0, true);
	}
	bench_row_limit("allocations in npud, 1000 jobs", jobs_allocations(options, 1000), 0, "");
}

static int options_parse(int argc, char **argv, struct bench_options *options)
{
	static const struct option list[] = {
	    {"npud", required_argument, NULL, 'n'},   {"npud-pid", required_argument, NULL, 'p'},
	    {"device", required_argument, NULL, 'd'}, {"model", required_argument, NULL, 'm'},
	    {"dnnl", required_argument, NULL, 'o'},   {"onnxruntime-ms", required_argument, NULL, 'r'},
	    {"scale", required_argument, NULL, 's'},  {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		switch (option) {
		case 'n':
			options->npud = optarg;
			break;
		case 'p':
			options->npud_pid = strtol(optarg, NULL, 10);
			break;
		case 'd':
			options->device = optarg;
			break;
		case 'm':
			options->model = optarg;
			break;
		case 'o':
			options->dnnl = optarg;
			break;
		case 'r':
			options->onnxruntime_ms = strtod(optarg, NULL);
			break;
		case 's':
			options->scale = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		default:
			return -1;
		}
	}
	return options->npud && (options->device || options->model) && optind == argc ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct bench_options options = {.scale = 100};
	struct latency echo = {0};

	if (options_parse(argc, argv, &options) < 0 || options.scale < 1 || options.scale > 1000) {
		(void)fprintf(stderr,
			      "usage: bench --npud SOCKET --npud-pid PID --device SOCKET [--scale PERCENT]\n"
			      "       bench --npud SOCKET --model ELF [--dnnl COMMAND] [--onnxruntime-ms MS]\n");
		return 2;
	}
	if (options.device) {
		printf("%-34s %11s %11s %-5s %6s   %s\n", "ours / baseline", "ours", "baseline", "", "ratio", "goal");
		memory_rows(&options);
		request_rows(&options, &echo);
		job_rows(&options, &echo);
		throughput_rows(&options);
	}
	if (options.model)
		model_rows(&options);
	return EXIT_SUCCESS;
}
