/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile frames in the daemon's hands: the fuzzer's conversations, and changed at random from some frame on. How long
 * the loop thread works on one frame, and what decoding it takes of memory, at most.
 */
#include "tests/bench/bench.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/wire/unpack.h"
#include "tests/fuzz/wire_rig.h"
#include "tests/sim/random.h"
#include "tools/file.h"

#define MAX_SEEDS 64u
#define MAX_STEPS 256u
#define CONVERSATIONS 16u /* for a daemon: clients that come one after the other */
#define MUTANTS 8u /* of a conversation, unless the daemon hangs up */
#define CHANGES 4u /* of a mutant, at most */
#define REPEATS 2u

struct seed {
	uint8_t *data;
	size_t size;
	size_t frames[MAX_STEPS]; /* where those are that are sent */
	uint32_t frame_count;
};

struct corpus {
	struct seed seeds[MAX_SEEDS];
	uint32_t count;
};

struct found {
	uint64_t slowest_ns;
	size_t peak_bytes;
	uint32_t frames;
};

/* ------------------------------------------------------------------ corpus */

static void seed_index(struct seed *seed)
{
	static const size_t report_bytes = 5;

	for (size_t at = 0; seed->size - at >= 2 && seed->frame_count < MAX_STEPS;) {
		struct rig_step step = rig_read(seed->data + at, seed->size - at);

		if (step.bytes)
			seed->frames[seed->frame_count++] = at;
		at += 2 + step.bytes;
		if (step.bytes == 0 && step.count == 1 && seed->size - at >= report_bytes)
			at += report_bytes;
	}
}

static void corpus_read(struct corpus *corpus, const char *directory)
{
	struct dirent **names = NULL;
	struct reason why = {0};
	char path[512];
	int count = scandir(directory, &names, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		struct seed *seed = &corpus->seeds[corpus->count];

		(void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && corpus->count < MAX_SEEDS) {
			if (file_read(path, 1u << 20, &seed->data, &seed->size, &why) < 0)
				bench_fail("%s", why.text);
			seed_index(seed);
			corpus->count++;
		}
		free(names[i]);
	}
	free(names);
	if (corpus->count == 0)
		bench_fail("%s: no conversations", directory);
}

static void corpus_free(struct corpus *corpus)
{
	for (uint32_t i = 0; i < corpus->count; i++)
		free(corpus->seeds[i].data);
}

/* ------------------------------------------------------------------ one frame */

static uint64_t thread_ns(void)
{
	struct timespec used = {0};

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* Received, decoded, checked, carried out, answered; false if the daemon then hung up. */
static bool play_timed(struct rig *rig, struct found *found, const uint8_t *data, size_t bytes, unsigned fds)
{
	rig_send(rig, data, bytes, fds);
	uint64_t start = thread_ns();
	event_base_loop(rig->base, EVLOOP_NONBLOCK);
	uint64_t took = thread_ns() - start;

	rig_settle(rig);
	found->frames++;
	found->slowest_ns = took > found->slowest_ns ? took : found->slowest_ns;
	return rig_drain(rig);
}

static void change(struct random *random, uint8_t *frame, size_t *bytes)
{
	static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, 0x12, 0x08, 0x0a};
	size_t at = random_below(random, (uint32_t)*bytes);
	size_t length = 1 + random_below(random, (uint32_t)(*bytes - at));

	switch (random_below(random, 5)) {
	case 0:
		frame[at] ^= (uint8_t)(1u << random_below(random, 8));
		break;
	case 1:
		frame[at] = edges[random_below(random, sizeof(edges))];
		break;
	case 2: /* cut out */
		memmove(frame + at, frame + at + length, *bytes - at - length);
		*bytes -= length;
		break;
	case 3: /* twice */
		if (*bytes + length > NPUD_MAX_FRAME_BYTES)
			break;
		memmove(frame + at + length, frame + at, *bytes - at);
		*bytes += length;
		break;
	default: /* again and again, until the frame is full */
		while (*bytes + length <= NPUD_MAX_FRAME_BYTES) {
			memcpy(frame + *bytes, frame + at, length);
			*bytes += length;
		}
	}
}

static bool play_mutant(struct rig *rig, struct found *found, struct random *random, struct rig_step step)
{
	static uint8_t frame[NPUD_MAX_FRAME_BYTES];
	size_t bytes = step.bytes < sizeof(frame) ? step.bytes : sizeof(frame);

	memcpy(frame, step.data, bytes);
	for (uint32_t i = 1 + random_below(random, CHANGES); i > 0 && bytes; i--)
		change(random, frame, &bytes);
	unsigned fds = random_below(random, 8) ? step.count : random_below(random, 4);
	return play_timed(rig, found, frame, bytes ? bytes : 1, fds);
}

/* ------------------------------------------------------------------ conversations */

static void finish(struct rig *rig, struct found *found)
{
	found->peak_bytes = unpacker_peak(server_unpacker(rig->server));
	rig_close(rig);
}

/* As it is, every frame timed. */
static struct found play_seed(const struct corpus *corpus, uint32_t number)
{
	const struct seed *seed = &corpus->seeds[number];
	struct found found = {0};
	struct rig rig;

	rig_open(&rig);
	for (size_t at = 0; seed->size - at >= 2;) {
		struct rig_step step = rig_read(seed->data + at, seed->size - at);

		if (!step.bytes) {
			at += rig_play(&rig, seed->data + at, seed->size - at);
			continue;
		}
		(void)play_timed(&rig, &found, step.data, step.bytes, step.count);
		at += 2 + step.bytes;
	}
	finish(&rig, &found);
	return found;
}

/* The seed as far as some frame of it, then mutants of that and of those behind it. */
static void converse(struct rig *rig, struct found *found, struct random *random, const struct seed *seed)
{
	uint32_t first = random_below(random, seed->frame_count);

	for (size_t at = 0; at < seed->frames[first];)
		at += rig_play(rig, seed->data + at, seed->size - at);
	bool open = rig_drain(rig);
	for (uint32_t i = 0; i < MUTANTS && open; i++) {
		size_t at = seed->frames[(first + i) % seed->frame_count];

		open = play_mutant(rig, found, random, rig_read(seed->data + at, seed->size - at));
	}
}

/* The number decides everything. */
static struct found play_mutants(const struct corpus *corpus, uint32_t number)
{
	struct random random = {number + 1};
	struct found found = {0};
	struct rig rig;

	rig_open(&rig);
	for (uint32_t i = 0; i < CONVERSATIONS; i++) {
		rig_connect(&rig);
		converse(&rig, &found, &random, &corpus->seeds[number % corpus->count]);
	}
	finish(&rig, &found);
	return found;
}

/* What is slower than all before has to be so again: else something beside npud had the processor. */
static void note(struct found *all, struct found (*play)(const struct corpus *corpus, uint32_t number),
		 const struct corpus *corpus, uint32_t number)
{
	struct found found = play(corpus, number);

	for (uint32_t i = 0; i < REPEATS && found.slowest_ns > all->slowest_ns; i++) {
		struct found again = play(corpus, number);

		if (again.slowest_ns < found.slowest_ns)
			found.slowest_ns = again.slowest_ns;
	}
	all->frames += found.frames;
	if (found.slowest_ns > all->slowest_ns)
		all->slowest_ns = found.slowest_ns;
	if (found.peak_bytes > all->peak_bytes)
		all->peak_bytes = found.peak_bytes;
}

void hostile_rows(const struct bench_options *options)
{
	uint32_t wanted = bench_repeats(options, 1000000);
	struct corpus corpus = {0};
	struct found all = {0};

	if (!options->corpus) {
		bench_row_missing("hostile frame, slowest", "no corpus was given");
		return;
	}
	corpus_read(&corpus, options->corpus);
	rig_prepare();
	for (uint32_t i = 0; i < corpus.count; i++)
		note(&all, play_seed, &corpus, i);
	for (uint32_t i = 0; all.frames < wanted; i++)
		note(&all, play_mutants, &corpus, i);
	corpus_free(&corpus);
	bench_row_limit("hostile frame, slowest", (double)all.slowest_ns / 1e3, 200, "us");
	bench_row_limit("hostile frame, memory to decode it", (double)all.peak_bytes / 1024, 256, "KiB");
}
