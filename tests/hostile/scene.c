/* SPDX-License-Identifier: Apache-2.0 */
/* The innocent client, and attackers as processes of other users; see scene.h. */
#include "tests/hostile/scene.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

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

static int ready_fd = -1, end_fd = -1; /* the attacker's ends */

struct accomplice attack_begin(uid_t uid, int (*fn)(struct harness *harness, void *user), void *user)
{
	struct accomplice attack = {0};
	int ready[2], end[2];

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(end, O_CLOEXEC), 0);
	ready_fd = ready[1];
	end_fd = end[0];
	attack.ready = ready[0];
	/* our end of this pipe is open in the attacker, too, so it gets a byte instead of the pipe's end */
	attack.end = end[1];
	attack.pid = client_start_as(harness, uid, uid, fn, user);
	close(ready_fd);
	close(end_fd);
	return attack;
}

void attack_await(const struct accomplice *attack)
{
	char byte;

	ck_assert_msg(read(attack->ready, &byte, 1) == 1, "the attacker ended before it was ready");
}

void attack_ready(void)
{
	if (write(ready_fd, "x", 1) != 1)
		_exit(124);
}

int attack_stay(void)
{
	char byte;

	return read(end_fd, &byte, 1) == 1 ? 0 : 1;
}

static void forget(struct accomplice *attack)
{
	close(attack->ready);
	close(attack->end);
}

void attack_end(struct accomplice *attack)
{
	/* one that does not stay does not read it */
	(void)!write(attack->end, "x", 1);
	client_wait(attack->pid);
	forget(attack);
}

void attack_kill(struct accomplice *attack)
{
	ck_assert_int_eq(kill(attack->pid, SIGKILL), 0);
	ck_assert_int_eq(harness_wait(attack->pid), 128 + SIGKILL);
	forget(attack);
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

void expect_growth(uint64_t before, uint64_t after, uint64_t most)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	most = UINT64_MAX - before;
#endif
	ck_assert_msg(after <= before + most, "%lu bytes more, and not %lu", (unsigned long)(after - before),
		      (unsigned long)most);
}

uint64_t scene_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}
