/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench: npud's costs beside their baselines, as a table with ratio, goal and verdict. A missed goal is printed as
 * MISSED and does not fail the run: this program measures, it does not judge. scripts/bench.sh starts what it needs.
 */
#include "tests/bench/bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

/* Sizes of an empty request and its reply on the wire. */
#define PING_REQUEST_BYTES 6u
#define PING_REPLY_BYTES 10u
#define DIRECT_DEPTH 16u

uint32_t bench_repeats(const struct bench_options *options, uint32_t usual)
{
	uint32_t count = usual * options->scale / 100;

	return count < 10 ? 10 : count;
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
	static const struct option list[] = {{"npud", required_argument, NULL, 'n'},
					     {"npud-pid", required_argument, NULL, 'p'},
					     {"device", required_argument, NULL, 'd'},
					     {"model", required_argument, NULL, 'm'},
					     {"dnnl", required_argument, NULL, 'o'},
					     {"onnxruntime-ms", required_argument, NULL, 'r'},
					     {"scale", required_argument, NULL, 's'},
					     {"corpus", required_argument, NULL, 'c'},
					     {NULL, 0, NULL, 0}};
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
		case 'c':
			options->corpus = optarg;
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
		(void)fprintf(
		    stderr,
		    "usage: bench --npud SOCKET --npud-pid PID --device SOCKET --corpus FOLDER [--scale PERCENT]\n"
		    "       bench --npud SOCKET --model ELF [--dnnl COMMAND] [--onnxruntime-ms MS]\n");
		return 2;
	}
	if (options.device) {
		printf("%-34s %11s %11s %-5s %6s   %s\n", "ours / baseline", "ours", "baseline", "", "ratio", "goal");
		memory_rows(&options);
		request_rows(&options, &echo);
		job_rows(&options, &echo);
		throughput_rows(&options);
		sched_rows(&options);
		tenants_rows(&options);
		trouble_rows(&options);
		hostile_rows(&options);
	}
	if (options.model)
		model_rows(&options);
	return EXIT_SUCCESS;
}
