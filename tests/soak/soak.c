/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight clients that work, beside one that hangs, one that faults and one that is killed and comes back, for as many
 * jobs as $SOAK_JOBS says. They go in rounds, so that every innocent job has offenders around it. Whoever did nothing
 * loses nothing: not a job, not a word of its memory; and harness_stop() finds nothing left in the daemon.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/harness.h"

#define MS 1000000ull
#define WORDS 256u
#define CANARY_WORDS 1024u /* behind each tensor, in the same buffer */
#define CANARY 0x5ec4e7c0u
#define POISON 0xbadc0ffeu
#define GOOD 8u
#define CLIENTS (GOOD + 3)
#define INSTANCES 4u /* of a good client: as many jobs in each round */
#define LIFE_JOBS 6u
#define LIFE_STEPS (3 + LIFE_JOBS + LIFE_JOBS + 1)
#define HANG_NS (20 * MS)

enum kind { WORKS, HANGS, FAULTS, IS_KILLED, KINDS };

/* Written by one client process, read by the test. */
struct tally {
	uint64_t offences; /* hangs and faults: each has to end as what it is */
	uint64_t innocent; /* jobs that have to end well */
	uint64_t doomed; /* jobs of a client that is killed: nobody is left to see how they end */
	uint64_t refused; /* offences that never ran: quarantine */
	uint64_t lost;
	uint64_t wrong;
	uint64_t canaries; /* words */
	uint64_t unpunished;
};

struct client {
	enum kind kind;
	unsigned number;
	int control; /* the test's end: a byte begins a round, a byte ends it */
	int orders; /* the client's */
	pid_t pid;
	bool quarantine;
	struct tally *tally;
};

/* ------------------------------------------------------------------ innocent jobs */

struct instance {
	struct npu_job *job;
	uint32_t add;
	uint32_t serial;
	uint64_t ticket;
};

static uint32_t mix(uint32_t serial, uint32_t at)
{
	uint32_t x = serial * 0x9e3779b9u ^ at * 0x85ebca6bu;

	x ^= x >> 15;
	x *= 0x2c1b3c6du;
	return x ^ x >> 13;
}

static struct instance instance_new(struct npu_connection *connection, uint32_t add)
{
	struct program program = program_copy(WORDS, add);
	struct instance instance = {.add = add};

	program.tensor_bytes = (WORDS + CANARY_WORDS) * 4;
	instance.job = job_of(connection, program);
	for (uint32_t i = 0; i < CANARY_WORDS; i++)
		input_of(instance.job)[WORDS + i] = output_of(instance.job)[WORDS + i] = CANARY ^ i;
	return instance;
}

/* Different data each time; no input is overwritten, so a recovery may run it again. */
static void instance_submit(struct instance *instance, uint32_t serial)
{
	struct npu_run_options run = NPU_RUN_OPTIONS;

	instance->serial = serial;
	run.restartable = true;
	for (uint32_t i = 0; i < WORDS; i++) {
		input_of(instance->job)[i] = mix(serial, i);
		output_of(instance->job)[i] = POISON;
	}
	ASSERT_NPU(npu_job_submit_with(instance->job, NULL, &run, &instance->ticket));
}

static void instance_check(struct instance *instance, struct npu_connection *connection, struct tally *tally)
{
	const uint32_t *input = input_of(instance->job), *output = output_of(instance->job);
	struct npu_result result = wait_for(connection, instance->ticket);
	uint32_t wrong = 0, canaries = 0;

	tally->innocent++;
	if (result.outcome != NPU_DONE) {
		printf("lost: %s: %s\n", npu_outcome_name(result.outcome), result.message);
		tally->lost++;
		return;
	}
	for (uint32_t i = 0; i < WORDS; i++)
		wrong += input[i] != mix(instance->serial, i) || output[i] != mix(instance->serial, i) + instance->add;
	tally->wrong += wrong > 0;
	for (uint32_t i = 0; i < CANARY_WORDS; i++)
		canaries += input[WORDS + i] != (CANARY ^ i) || output[WORDS + i] != (CANARY ^ i);
	tally->canaries += canaries;
}

/* ------------------------------------------------------------------ clients */

static bool next_round(const struct client *client)
{
	char order = 0;

	ck_assert_int_eq(read(client->orders, &order, 1), 1);
	return order == 'g';
}

/* The end of a round, or of a step. */
static void tell(const struct client *client)
{
	ck_assert_int_eq(write(client->orders, "d", 1), 1);
}

static int work(struct harness *harness, void *user)
{
	const struct client *client = user;
	struct npu_connection *connection = harness_connect(harness);
	struct instance instance[INSTANCES];
	uint32_t serial = client->number << 24;

	for (unsigned i = 0; i < INSTANCES; i++)
		instance[i] = instance_new(connection, client->number * 1000 + i + 1);
	while (next_round(client)) {
		for (unsigned i = 0; i < INSTANCES; i++)
			instance_submit(&instance[i], serial++);
		for (unsigned i = 0; i < INSTANCES; i++)
			instance_check(&instance[i], connection, client->tally);
		tell(client);
	}
	npu_disconnect(connection);
	return 0;
}

static void expect_punished(const struct client *client, struct npu_result result, enum npu_outcome wanted)
{
	struct tally *tally = client->tally;

	tally->offences++;
	if (client->quarantine && result.outcome == NPU_QUARANTINED) {
		tally->refused++;
	} else if (result.outcome != wanted) {
		printf("an offence ended %s: %s\n", npu_outcome_name(result.outcome), result.message);
		tally->unpunished++;
	}
}

/* Its own innocent job is in the hardware behind the one that hangs, or has to wait there. */
static int hang(struct harness *harness, void *user)
{
	const struct client *client = user;
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *spin = job_of(connection, program_spin());
	struct instance behind = instance_new(connection, 5);
	uint32_t serial = client->number << 24;

	while (next_round(client)) {
		uint64_t ticket = submit(spin, HANG_NS);
		if (!client->quarantine)
			instance_submit(&behind, serial++);
		expect_punished(client, wait_for(connection, ticket), NPU_TIMEOUT);
		if (!client->quarantine)
			instance_check(&behind, connection, client->tally);
		tell(client);
	}
	npu_disconnect(connection);
	return 0;
}

/* Each way of being wrong in turn. */
static int fault(struct harness *harness, void *user)
{
	const struct client *client = user;
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *bad[] = {job_of(connection, program_peek()), job_of(connection, program_poke()),
				 job_of(connection, program_exception(3)), job_of(connection, program_illegal())};
	static const enum npu_outcome wanted[] = {NPU_FAULT, NPU_FAULT, NPU_EXCEPTION, NPU_EXCEPTION};

	input_of(bad[0])[0] = input_of(bad[1])[0] = 0xbffff000u;
	for (unsigned round = 0; next_round(client); round++) {
		expect_punished(client, run(connection, bad[round % 4]), wanted[round % 4]);
		tell(client);
	}
	npu_disconnect(connection);
	return 0;
}

/* One life of the client that is killed at some step of it. Every other one, some of its jobs hang. */
static int live(struct harness *harness, void *user)
{
	const struct client *client = user;
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job[3];
	uint64_t ticket[LIFE_JOBS];

	tell(client);
	for (unsigned i = 0; i < 3; i++)
		job[i] = job_of(connection, i == 0 && client->number % 2 ? program_spin() : program_copy(WORDS, i));
	tell(client);
	for (unsigned i = 0; i < LIFE_JOBS; i++) {
		ticket[i] = submit(job[i % 3], HANG_NS);
		client->tally->doomed++;
		tell(client);
	}
	for (unsigned i = 0; i < LIFE_JOBS; i++) {
		(void)wait_for(connection, ticket[i]);
		tell(client);
	}
	for (unsigned i = 0; i < 3; i++)
		(void)npu_job_free(job[i]);
	tell(client);
	npu_disconnect(connection);
	tell(client);
	(void)pause();
	return 0;
}

/* ------------------------------------------------------------------ rounds */

static void open_control(struct client *client)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	client->control = pair[0];
	client->orders = pair[1];
}

static void clients_start(struct harness *harness, struct client *clients, bool quarantine)
{
	static int (*const lives[])(struct harness * harness, void *user) = {work, hang, fault};
	struct tally *tallies =
	    mmap(NULL, CLIENTS * sizeof(*tallies), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(tallies, MAP_FAILED);
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *client = &clients[i];

		*client = (struct client){.kind = i < GOOD ? WORKS : (enum kind)(i - GOOD + 1),
					  .number = i,
					  .quarantine = quarantine,
					  .tally = &tallies[i]};
		if (client->kind == IS_KILLED)
			continue;
		open_control(client);
		client->pid = client_start(harness, lives[client->kind], client);
		close(client->orders);
	}
}

static void kill_at(struct harness *harness, struct client *client, unsigned life, unsigned steps)
{
	char byte;

	client->number = life;
	open_control(client);
	pid_t pid = client_start(harness, live, client);
	close(client->orders);
	for (unsigned i = 0; i < steps; i++)
		ck_assert_int_eq(read(client->control, &byte, 1), 1);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(harness_wait(pid), 128 + SIGKILL);
	close(client->control);
}

static void play_round(struct harness *harness, struct client *clients, unsigned round)
{
	char byte;

	for (unsigned i = 0; i < CLIENTS - 1; i++)
		ck_assert_int_eq(write(clients[i].control, "g", 1), 1);
	/* 7 has no divisor in common with the number of steps: each gets its turn */
	kill_at(harness, &clients[CLIENTS - 1], round, round * 7 % LIFE_STEPS + 1);
	for (unsigned i = 0; i < CLIENTS - 1; i++)
		ck_assert_msg(read(clients[i].control, &byte, 1) == 1, "client %u ended", i);
}

static void clients_stop(const struct client *clients)
{
	for (unsigned i = 0; i < CLIENTS - 1; i++) {
		ck_assert_int_eq(write(clients[i].control, "q", 1), 1);
		client_wait(clients[i].pid);
		close(clients[i].control);
	}
}

/* ------------------------------------------------------------------ the count */

static uint64_t jobs_of(const struct tally *tally)
{
	return tally->offences + tally->innocent + tally->doomed;
}

static struct tally tally_sum(const struct client *clients, enum kind first, enum kind last)
{
	struct tally sum = {0};

	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct tally *tally = clients[i].tally;

		if (clients[i].kind < first || clients[i].kind > last)
			continue;
		sum.offences += tally->offences;
		sum.innocent += tally->innocent;
		sum.doomed += tally->doomed;
		sum.refused += tally->refused;
		sum.lost += tally->lost;
		sum.wrong += tally->wrong;
		sum.canaries += tally->canaries;
		sum.unpunished += tally->unpunished;
	}
	return sum;
}

static void print_table(const struct client *clients)
{
	static const char *const names[] = {"8 clients that work", "one that hangs", "one that faults",
					    "one that is killed"};

	printf("= %-20s %8s %9s %9s %7s %6s %6s %8s\n", "", "jobs", "offences", "innocent", "doomed", "lost", "wrong",
	       "canaries");
	for (unsigned kind = 0; kind < KINDS; kind++) {
		struct tally sum = tally_sum(clients, (enum kind)kind, (enum kind)kind);

		printf("= %-20s %8" PRIu64 " %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %6" PRIu64 " %6" PRIu64 " %8" PRIu64
		       "\n",
		       names[kind], jobs_of(&sum), sum.offences, sum.innocent, sum.doomed, sum.lost, sum.wrong,
		       sum.canaries);
	}
}

static void expect_innocents_unharmed(const struct client *clients)
{
	struct tally sum = tally_sum(clients, WORKS, IS_KILLED);

	ck_assert_uint_eq(sum.lost, 0);
	ck_assert_uint_eq(sum.wrong, 0);
	ck_assert_uint_eq(sum.canaries, 0);
	ck_assert_uint_eq(sum.unpunished, 0);
}

/* Each kind of trouble is at least a fiftieth of all. */
static void expect_enough_trouble(const struct client *clients)
{
	struct tally all = tally_sum(clients, WORKS, IS_KILLED);

	for (unsigned kind = HANGS; kind <= IS_KILLED; kind++) {
		struct tally sum = tally_sum(clients, (enum kind)kind, (enum kind)kind);

		ck_assert_uint_ge((sum.offences + sum.doomed) * 50, jobs_of(&all));
	}
}

/* ------------------------------------------------------------------ tests */

static uint64_t jobs_wanted(void)
{
	const char *text = getenv("SOAK_JOBS");

	return text ? strtoull(text, NULL, 10) : 10000;
}

START_TEST(innocents_lose_nothing_among_clients_that_hang_fault_and_die)
{
	struct harness *harness = harness_start(&(struct harness_options){.log = "\"level\":\"info\""});
	struct client clients[CLIENTS];
	struct tally all = {0};

	clients_start(harness, clients, false);
	for (unsigned round = 0; jobs_of(&all) < jobs_wanted(); round++) {
		play_round(harness, clients, round);
		all = tally_sum(clients, WORKS, IS_KILLED);
	}
	clients_stop(clients);
	print_table(clients);
	expect_innocents_unharmed(clients);
	expect_enough_trouble(clients);
	ck_assert_uint_eq(all.refused, 0);
	harness_stop(harness);
}
END_TEST

START_TEST(offenders_are_stopped_and_innocents_lose_nothing_where_quarantine_is_on)
{
	struct harness *harness = harness_start(&(struct harness_options){
	    .log = "\"level\":\"info\"",
	    .members = ",\"quarantine\":{\"session_threshold\":4,\"tenant_threshold\":0,\"half_life_s\":86400}"});
	struct client clients[CLIENTS];

	clients_start(harness, clients, true);
	for (unsigned round = 0; round < 10; round++)
		play_round(harness, clients, round);
	clients_stop(clients);
	expect_innocents_unharmed(clients);
	ck_assert_uint_eq(tally_sum(clients, HANGS, HANGS).refused, 6);
	ck_assert_uint_eq(tally_sum(clients, FAULTS, FAULTS).refused, 6);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("soak");
	TCase *all = tcase_create("soak");

	tcase_set_timeout(all, 1800);
	tcase_add_test(all, innocents_lose_nothing_among_clients_that_hang_fault_and_die);
	tcase_add_test(all, offenders_are_stopped_and_innocents_lose_nothing_where_quarantine_is_on);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
