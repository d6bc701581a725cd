/* SPDX-License-Identifier: Apache-2.0 */
/* The innocent client, and attackers as processes of other users; see scene.h. */
#include "tests/hostile/scene.h"

#define WORDS 256u

struct harness *harness;
static struct npu_connection *innocent;
static struct npu_job *innocents_job;

static void innocent_arrives(void)
{
	innocent = harness_connect(harness);
	innocents_job = job_of(innocent, program_copy(WORDS, 7));
}

void scene_innocent_works(void)
{
	static uint32_t round;
	uint32_t *in = input_of(innocents_job), *out = output_of(innocents_job), wrong = 0;

	round++;
	for (uint32_t i = 0; i < WORDS; i++)
		in[i] = round * i;
	ASSERT_OUTCOME(run(innocent, innocents_job), NPU_DONE);
	for (uint32_t i = 0; i < WORDS; i++)
		wrong += out[i] != round * i + 7;
	ck_assert_uint_eq(wrong, 0);
}

struct npu_connection *scene_innocent(void)
{
	return innocent;
}

void scene_innocent_again(void)
{
	npu_disconnect(innocent);
	innocent_arrives();
}

void scene_start(const struct harness_options *options)
{
	const struct harness_options open = {.socket = SOCKET_FOR_ALL};

	harness = harness_start(options ? options : &open);
	innocent_arrives();
	scene_innocent_works();
}

void scene_setup(void)
{
	scene_start(NULL);
}

void scene_stop(void)
{
	scene_innocent_works();
	npu_disconnect(innocent);
	harness_stop(harness);
}

void attack_as(uid_t uid, int (*fn)(struct harness *harness, void *user), void *user)
{
	client_wait(client_start_as(harness, uid, uid, fn, user));
}

int innocent_life(struct harness *where, void *user)
{
	struct npu_connection *connection = harness_connect(where);
	struct npu_job *job = job_of(connection, program_copy(WORDS, 9));

	(void)user;
	input_of(job)[WORDS - 1] = 33;
	if (npu_job_run(job, NULL) || output_of(job)[WORDS - 1] != 42)
		return 1;
	npu_disconnect(connection);
	return 0;
}

uint64_t scene_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}
