/* SPDX-License-Identifier: Apache-2.0 */
/* The runs of `npuctl run` and what they cost: percentiles at the end, a progress bar while a person waits. */
#include "tools/run.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH 40u
#define BAR_AFTER_NS 1000000000u
#define BAR_EVERY_NS 100000000u

struct progress {
	bool wanted; /* standard error is a terminal */
	bool shown;
	uint64_t start_ns;
	uint64_t last_ns;
};

static uint64_t clock_ns(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void progress_show(struct progress *progress, uint32_t done, uint32_t total, uint64_t now)
{
	if (!progress->wanted || now - progress->start_ns < BAR_AFTER_NS || now - progress->last_ns < BAR_EVERY_NS)
		return;
	uint32_t filled = (uint32_t)((uint64_t)done * BAR_WIDTH / total);
	double elapsed = (double)(now - progress->start_ns) / 1e9;

	(void)fprintf(stderr, "\r[%-*.*s] %u of %u, %.0f s left ", (int)BAR_WIDTH, (int)filled,
		      "########################################", done, total, elapsed * (total - done) / done);
	progress->shown = true;
	progress->last_ns = now;
}

static void progress_clear(const struct progress *progress)
{
	if (progress->shown)
		(void)fprintf(stderr, "\r%-*s\r", (int)BAR_WIDTH + 36, "");
}

static int run_once(const struct run_model *model, const struct run_options *options, struct npu_result *result,
		    struct reason *why)
{
	struct npu_submit_options submit = {.budget_ns = options->budget_ns};
	uint64_t ticket = 0;

	int error = npu_job_submit(model->job, &submit, &ticket);
	if (!error)
		error = npu_wait(model->connection, ticket, NPU_WAIT_FOREVER, result);
	if (error)
		return reason_set(why, error, "%s", npu_error());
	if (result->outcome != NPU_DONE)
		return reason_set(why, -EIO, "the run ended as %s: %s", npu_outcome_name(result->outcome),
				  result->message);
	return 0;
}

static int u64_compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

/* The smallest value that at least @per_mille of all are not above. */
static double percentile_us(const uint64_t *sorted, uint32_t count, uint32_t per_mille)
{
	uint64_t rank = ((uint64_t)count * per_mille + 999) / 1000;

	return (double)sorted[rank ? rank - 1 : 0] / 1e3;
}

static void measurement_print(uint64_t *wall, uint32_t count, uint64_t device_ns, uint64_t total_ns)
{
	qsort(wall, count, sizeof(*wall), u64_compare);
	printf("%u run%s in %.3f s, %.1f a second\n", count, count == 1 ? "" : "s", (double)total_ns / 1e9,
	       count * 1e9 / (double)total_ns);
	printf("latency: p50 %.1f us, p90 %.1f us, p99 %.1f us, max %.1f us; device mean %.1f us\n",
	       percentile_us(wall, count, 500), percentile_us(wall, count, 900), percentile_us(wall, count, 990),
	       (double)wall[count - 1] / 1e3, (double)device_ns / 1e3 / count);
}

int run_measure(const struct run_model *model, const struct run_options *options, struct reason *why)
{
	uint64_t *wall = calloc(options->repeat, sizeof(*wall));
	struct progress progress = {.wanted = isatty(STDERR_FILENO) == 1};
	uint64_t device_ns = 0, now = clock_ns();
	int error = 0;

	if (!wall)
		return reason_set(why, -ENOMEM, "no memory for %u measurements", options->repeat);
	progress.start_ns = progress.last_ns = now;
	for (uint32_t i = 0; i < options->repeat && !error; i++) {
		struct npu_result result = {0};
		uint64_t before = now;

		error = run_once(model, options, &result, why);
		now = clock_ns();
		wall[i] = now - before;
		device_ns += result.device_ns;
		progress_show(&progress, i + 1, options->repeat, now);
	}
	progress_clear(&progress);
	if (!error)
		measurement_print(wall, options->repeat, device_ns, now - progress.start_ns);
	free(wall);
	return error;
}
