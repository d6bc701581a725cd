/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage of every attack: the real programs, and an innocent client with a prepared job. scene_stop() asserts that
 * the innocent one still gets correct results and that nothing of anybody is left.
 */
#ifndef NPUD_TESTS_SCENE_H
#define NPUD_TESTS_SCENE_H

#include "tests/integration/harness.h"

/* Users that no host has: numbers are all that the daemon sees of them. */
#define MALLORY 62001u
#define TRUDY 62002u
#define ALICE 62003u

#define SOCKET_FOR_ALL "\"mode\":\"0666\""

/* The one that runs; client processes have a copy. */
extern struct harness *harness;

/* NULL: every user reaches the socket, nothing else is set. */
void scene_start(const struct harness_options *options);
void scene_stop(void);
/* The innocent client, now. */
void scene_innocent_works(void);
/* Its bus address window and a canary in its memory are in tests/integration/forge.h; this is its connection. */
struct npu_connection *scene_innocent(void);
/* After npud was started anew. */
void scene_innocent_again(void);

/* As scene_start() and scene_stop() want them: a checked fixture. */
void scene_setup(void);

/* fn as this user; asserts that it returns 0. */
void attack_as(uid_t uid, int (*fn)(struct harness *harness, void *user), void *user);

/* An attacker that stays while others are looked at. */
struct accomplice {
	pid_t pid;
	int ready, end;
};
struct accomplice attack_begin(uid_t uid, int (*fn)(struct harness *harness, void *user), void *user);
/* Returns when it has said so once; fails when it ends before that. */
void attack_await(const struct accomplice *attack);
/* In the attacker: I am there; and: I stay until attack_end(), which is 0. */
void attack_ready(void);
int attack_stay(void);
/* Asserts that it ends with 0; or that it ends at once. */
void attack_end(struct accomplice *attack);
void attack_kill(struct accomplice *attack);

/* A whole session of an innocent user: connect, load, run, compare, disconnect. 0 if all is right. */
int innocent_life(struct harness *harness, void *user);

/* The daemon's memory; not judged under a sanitizer, which keeps what was freed. */
void expect_growth(uint64_t before, uint64_t after, uint64_t most);

/* The same numbers in every run. */
uint64_t scene_random(uint64_t *state);

#endif
