/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket; see sched_bucket.h. */
#include "daemon/policy/sched_bucket.h"

#include "daemon/policy/sched.h"

static int64_t capacity(const struct sched_bucket *bucket)
{
	return (int64_t)(SCHED_BURST_NS * bucket->permille);
}

void bucket_init(struct sched_bucket *bucket, uint32_t permille)
{
	*bucket = (struct sched_bucket){.permille = permille < SCHED_WHOLE ? permille : 0};
	bucket->level = capacity(bucket);
}

static void fill(struct sched_bucket *bucket, uint64_t now_ns)
{
	uint64_t room = (uint64_t)(capacity(bucket) - bucket->level);

	if (now_ns <= bucket->filled_ns)
		return;
	uint64_t passed = now_ns - bucket->filled_ns;
	bucket->filled_ns = now_ns;
	if (passed > room / bucket->permille)
		bucket->level = capacity(bucket);
	else
		bucket->level += (int64_t)(passed * bucket->permille);
}

void bucket_take(struct sched_bucket *bucket, uint64_t ns, uint64_t now_ns)
{
	if (bucket->permille == 0)
		return;
	fill(bucket, now_ns);
	bucket->level -= (int64_t)(ns * SCHED_WHOLE);
}

void bucket_return(struct sched_bucket *bucket, uint64_t ns, uint64_t now_ns)
{
	if (bucket->permille == 0)
		return;
	fill(bucket, now_ns);
	bucket->level += (int64_t)(ns * SCHED_WHOLE);
	if (bucket->level > capacity(bucket))
		bucket->level = capacity(bucket);
}

bool bucket_is_full(const struct sched_bucket *bucket)
{
	return bucket->level == capacity(bucket);
}

uint64_t bucket_empty_until(const struct sched_bucket *bucket)
{
	if (bucket->permille == 0 || bucket->level > 0)
		return 0;
	return bucket->filled_ns + (uint64_t)-bucket->level / bucket->permille + 1;
}
