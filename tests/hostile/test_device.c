/* SPDX-License-Identifier: Apache-2.0 */
/* Attackers with programs: they hold the device, flood it, reach for other memory, and outlive their daemon. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "emulator/chip.h"
#include "proto/limits.h"
#include "tests/hostile/scene.h"
#include "tests/integration/forge.h"

#define MS 1000000ull

/* ------------------------------------------------------------------ starving others */

#define NORMAL_CLIENTS 10u
#define ROUNDS 3u

/* Never has fewer submissions waiting than it may. */
static int be_greedy(struct harness *where, void *user)
{
	struct npu_connection *connection = harness_connect(where);
	struct npu_job *job = job_of(connection, program_noop());
	uint64_t ticket[NPUD_MAX_INFLIGHT_EVENTS];

	(void)user;
	for (unsigned i = 0; i < NPUD_MAX_INFLIGHT_EVENTS; i++)
		ticket[i] = submit(job, 0);
	attack_ready();
	for (unsigned i = 0;; i = (i + 1) % NPUD_MAX_INFLIGHT_EVENTS) {
		struct npu_result result = wait_for(connection, ticket[i]);

		ASSERT_OUTCOME(result, NPU_DONE);
		ticket[i] = submit(job, 0);
	}
}

static int be_normal(struct harness *where, void *user)
{
	struct npu_connection *connection = harness_connect(where);
	struct npu_job *job = job_of(connection, program_copy(4, 1));

	(void)user;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		input_of(job)[0] = i;
		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
		ck_assert_uint_eq(output_of(job)[0], i + 1);
	}
	npu_disconnect(connection);
	return 0;
}

/*
 * No message has a field for importance: what a client can do is to have more waiting, and that is bounded. Each of the
 * normal ones' jobs has at most what may wait before it, so all of them are through in so many steps of the device.
 */
START_TEST(attack_starve_others_by_priority)
{
	pid_t normal[NORMAL_CLIENTS];

	scene_start(&(struct harness_options){.socket = SOCKET_FOR_ALL, .emu_args = {"--time", "fixed=1000000"}});
	struct accomplice greedy = attack_begin(MALLORY, be_greedy, NULL);
	attack_await(&greedy);
	uint64_t before = harness_stats(harness).completed;
	for (unsigned i = 0; i < NORMAL_CLIENTS; i++)
		normal[i] = client_start_as(harness, ALICE + i, ALICE, be_normal, NULL);
	for (unsigned i = 0; i < NORMAL_CLIENTS; i++)
		client_wait(normal[i]);
	uint64_t steps = harness_stats(harness).completed - before;
	printf("= %u jobs of %u clients beside a greedy one: %lu completions\n", NORMAL_CLIENTS * ROUNDS,
	       NORMAL_CLIENTS, (unsigned long)steps);
	/* a round waits for what was there before it; twice, since it does not start at a boundary */
	ck_assert_uint_le(steps, 2ul * ROUNDS * NPUD_MAX_INFLIGHT_EVENTS + NORMAL_CLIENTS * ROUNDS);
	attack_kill(&greedy);
	scene_stop();
}
END_TEST

/* ------------------------------------------------------------------ holding the device */

static int hold_device(struct harness *where, void *user)
{
	struct npu_connection *connection = harness_connect(where);
	struct npu_job *spin = job_of(connection, program_spin());
	const struct npu_submit_options for_ever = {.budget_ns = UINT64_MAX};
	uint64_t ticket[5], refused;

	(void)user;
	ASSERT_NPU(npu_job_submit(spin, &for_ever, &refused));
	ck_assert_int_eq(npu_wait(connection, refused, PATIENCE_NS, NULL), -EINVAL);
	ticket[0] = submit_running(connection, spin, 0); /* what the operator says it may take */
	attack_ready();
	for (unsigned i = 1; i < 5; i++)
		ticket[i] = submit(spin, 50 * MS);
	for (unsigned i = 0; i < 5; i++)
		ASSERT_OUTCOME(wait_for(connection, ticket[i]), NPU_TIMEOUT);
	npu_disconnect(connection);
	return 0;
}

/* Also where nothing but the bus ends a hang. */
START_TEST(attack_hold_the_device_for_ever)
{
	scene_start(&(struct harness_options){
	    .socket = SOCKET_FOR_ALL, .budget_ms = 100, .emu_args = {_i ? "--hard-hangs" : NULL}});
	struct accomplice attack = attack_begin(MALLORY, hold_device, NULL);
	attack_await(&attack);
	for (unsigned i = 0; i < 4; i++)
		scene_innocent_works();
	attack_end(&attack);
	scene_stop();
}
END_TEST

/* ------------------------------------------------------------------ other memory */

/* Bus addresses: where others' memory, the daemon's, and the host's own things lie. */
static struct target pick_target(uint64_t *state, const struct victim *victim, unsigned n)
{
	/* below what a program's own window has on the chip */
	static const uint32_t inside[] = {0,         0x1000,     0x100000,   0x10f000,   0x2000000,
					  0x2001000, 0x10000000, 0x80000000, 0xbffff000, 0xdffff000};
	uint64_t any = scene_random(state);

	switch (n % 4) {
	case 0: /* where the victim's canary, control blocks and buffers are */
		return (struct target){victim->where.base, n % 8 ? inside[any % 10] : victim->where.address};
	case 1: /* the host's low memory, as if there was no translation */
		return (struct target){n % 8 == 1 ? 0xfee00000 : 0, inside[any % 10]}; /* or its interrupts */
	case 2: /* any window */
		return (struct target){(any >> 8 & 0xff) << 32, inside[any % 10]};
	default:
		return (struct target){any & 0xffffffff00000000, (uint32_t)any % 0xe0000000 & ~3u};
	}
}

/* Whatever bus addresses it puts into control blocks of its own: nothing comes back from there, nothing changes there.
 */
START_TEST(attack_dma_into_others_or_into_the_daemon)
{
	struct victim victim = victim_start(harness);
	struct attacker attacker = attacker_start(harness, true);
	uint64_t state = 0x2545f4914f6cdd1dull;

	harness->hides_completions = true;
	expect_unharmed(&victim);
	for (unsigned n = 0; n < 120; n++) {
		struct target target = pick_target(&state, &victim, n);

		if (target.base == attacker.base)
			continue;
		write_forged(&attacker, target, (enum attack)(n / 4 % ATTACKS));
		struct npu_result result = wait_for(attacker.connection, submit(attacker.job, 300 * MS));
		ck_assert_msg(result.outcome != NPU_DONE, "%#lx + %#x", (unsigned long)target.base, target.address);
		expect_nothing_seen(&attacker);
		if (n % 10 == 0)
			expect_unharmed(&victim);
	}
	expect_unharmed(&victim);
	npu_disconnect(attacker.connection);
	npu_disconnect(victim.connection);
}
END_TEST

/* ------------------------------------------------------------------ what stays on the chip */

#define PATTERN 0x5ec4e700u

/* Each task: its number to r1, then what it does with `words` words from `base` on. */
static void begin_walk(struct program *program, uint32_t base, uint32_t words)
{
	program_group(program, -1);
	program_emit(program, ISA_SREG, R_TASK, 0, 0, ISA_SREG_TASK, 0, 0);
	program_emit(program, ISA_SREG, R_PP, 0, 0, ISA_SREG_PP, 0, 0);
	program_emit(program, ISA_LD32, R_OUT, R_PP, 0, PROGRAM_OUTPUT, 0, 0);
	program_emit(program, ISA_LI, 5, 0, 0, base, 0, 0);
	program_emit(program, ISA_LI, 6, 0, 0, words, 0, 0);
	program_emit(program, ISA_LI, 7, 0, 0, PATTERN, 0, 0);
}

static void end_walk(struct program *program, unsigned top, uint32_t step_bytes)
{
	program_emit(program, ISA_ADD, 5, 5, 0, step_bytes, 0, 0);
	unsigned loop = program_emit(program, ISA_LOOP, 6, 0, 0, 0, 0, 0);
	program->insn[loop].a = (uint32_t) - (int32_t)((loop - top) * ISA_INSN_BYTES);
}

static struct program program_fill(uint32_t base, uint32_t words, uint32_t step_bytes)
{
	struct program program = {0};

	begin_walk(&program, base, words);
	unsigned top = program_emit(&program, ISA_ST32, 0, 5, 7, 0, 0, 0);
	end_walk(&program, top, step_bytes);
	program_end(&program);
	return program;
}

/* out[task] = how many of the words are the pattern */
static struct program program_find(uint32_t base, uint32_t words, uint32_t step_bytes)
{
	struct program program = {0};

	begin_walk(&program, base, words);
	program_emit(&program, ISA_LI, 9, 0, 0, 0, 0, 0);
	unsigned top = program_emit(&program, ISA_LD32, 8, 5, 0, 0, 0, 0);
	unsigned other = program_emit(&program, ISA_BNE, 0, 8, 7, 0, 0, 0);
	program_emit(&program, ISA_ADD, 9, 9, 0, 1, 0, 0);
	program_land(&program, other);
	end_walk(&program, top, step_bytes);
	program_emit(&program, ISA_MUL, 10, R_TASK, 0, 4, 0, 0);
	program_emit(&program, ISA_ADD, 10, 10, R_OUT, 0, 0, 0);
	program_emit(&program, ISA_ST32, 0, 10, 9, 0, 0, 0);
	program_end(&program);
	return program;
}

static uint32_t found_by(struct npu_connection *connection, struct npu_job *find)
{
	uint32_t found = 0;

	memset(output_of(find), 0, 64);
	ASSERT_OUTCOME(run(connection, find), NPU_DONE);
	for (unsigned i = 0; i < FORGE_TECS; i++)
		found += output_of(find)[i];
	return found;
}

/*
 * A writer fills all of one memory with a pattern, a reader of another session goes over all of it. The writer itself
 * finds it again as long as nobody was there in between: or the reader's not finding it would mean nothing.
 */
START_TEST(attack_stale_data_between_clients)
{
	struct npu_connection *writer = harness_connect(harness), *reader = harness_connect(harness);
	struct npu_device_info info;

	ASSERT_NPU(npu_device_info(writer, 0, &info));
	const struct {
		uint32_t base, words, step_bytes; /* of the largest, a word of each cache line */
	} memories[] = {{ISA_LOCAL_BASE, CHIP_LOCAL_BYTES / 4, 4},
			{ISA_SHARED_BASE, CHIP_SHARED_BYTES / 4, 4},
			{ISA_GM_BASE, (uint32_t)(info.gm_bytes / 64), 64}};
	ck_assert_uint_ne(memories[_i].words, 0);
	struct npu_job *fill =
			   job_of(writer, program_fill(memories[_i].base, memories[_i].words, memories[_i].step_bytes)),
		       *own =
			   job_of(writer, program_find(memories[_i].base, memories[_i].words, memories[_i].step_bytes)),
		       *find =
			   job_of(reader, program_find(memories[_i].base, memories[_i].words, memories[_i].step_bytes));
	for (unsigned round = 0; round < 2; round++) {
		uint64_t filled = submit(fill, 0), found = submit(own, 0);

		memset(output_of(own), 0, 64);
		ASSERT_OUTCOME(wait_for(writer, filled), NPU_DONE);
		ASSERT_OUTCOME(wait_for(writer, found), NPU_DONE);
		ck_assert_uint_gt(output_of(own)[0], 0);
		ck_assert_uint_eq(found_by(reader, find), 0);
	}
	npu_disconnect(writer);
	npu_disconnect(reader);
}
END_TEST

/* ------------------------------------------------------------------ a device without its daemon */

/* out[0] counts for ever. */
static struct program program_count(void)
{
	struct program program = {.prints = 1};

	memcpy(program.parameters + PROGRAM_FREE, "running", 7);
	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_PRINT, 0, R_PP, 0, PROGRAM_FREE, 7, 0);
	unsigned top = program_emit(&program, ISA_ADD, 5, 5, 0, 1, 0, 0);
	program_emit(&program, ISA_ST32, 0, R_OUT, 5, 0, 0, 0);
	unsigned again = program_emit(&program, ISA_JMP, 0, 0, 0, 0, 0, 0);
	program.insn[again].a = (uint32_t) - (int32_t)((again - top) * ISA_INSN_BYTES);
	program_end(&program);
	return program;
}

START_TEST(attack_device_left_dma_ing_after_daemon_crash)
{
	struct npu_connection *attacker = harness_connect(harness);
	struct npu_job *counting = job_of(attacker, program_count());
	const volatile uint32_t *count = output_of(counting);

	(void)submit_running(attacker, counting, 0);
	while (*count < 1000)
		; /* it writes all the time */
	ck_assert_int_eq(kill(harness->npud, SIGKILL), 0);
	ck_assert_int_eq(harness_wait(harness->npud), 128 + SIGKILL);
	harness_npud_gone(harness);
	harness_npud_again(harness);
	uint32_t at_start = *count; /* the new daemon is ready: it had the device reset before */
	scene_innocent_again();
	for (unsigned i = 0; i < 10; i++)
		scene_innocent_works();
	attack_as(ALICE, innocent_life, NULL);
	ck_assert_uint_eq(*count, at_start);
	npu_disconnect(attacker);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device");
	TCase *all = tcase_create("device"), *own = tcase_create("own scene");

	tcase_set_timeout(all, 120);
	tcase_add_checked_fixture(all, scene_setup, scene_stop);
	tcase_add_test(all, attack_dma_into_others_or_into_the_daemon);
	tcase_add_loop_test(all, attack_stale_data_between_clients, 0, 3);
	tcase_add_test(all, attack_device_left_dma_ing_after_daemon_crash);
	suite_add_tcase(suite, all);
	tcase_set_timeout(own, 120);
	tcase_add_test(own, attack_starve_others_by_priority);
	tcase_add_loop_test(own, attack_hold_the_device_for_ever, 0, 2);
	suite_add_tcase(suite, own);
	return suite_main(suite);
}
