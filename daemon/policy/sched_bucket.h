/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A limit on device time: a token bucket that fills at so many permille of real time and holds what it gets in 100 ms.
 * Whoever has any left may start an item and pays for it afterwards, so the average over time is exact and the excess
 * at most one bucket and one item.
 */
#ifndef NPUD_POLICY_SCHED_BUCKET_H
#define NPUD_POLICY_SCHED_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#define SCHED_BURST_NS 100000000ull

struct sched_bucket {
	int64_t level; /* in nanoseconds / SCHED_WHOLE */
	uint64_t filled_ns; /* when */
	uint32_t permille; /* 0: no limit */
};

/* Full. */
void bucket_init(struct sched_bucket *bucket, uint32_t permille);
void bucket_take(struct sched_bucket *bucket, uint64_t ns, uint64_t now_ns);
void bucket_return(struct sched_bucket *bucket, uint64_t ns, uint64_t now_ns);
bool bucket_is_full(const struct sched_bucket *bucket);
/* When something is in it again: 0 if there is. */
uint64_t bucket_empty_until(const struct sched_bucket *bucket);

#endif
