/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A victim with a canary behind its tensors, and an attacker whose NPU code writes task control blocks of its own and
 * links them behind the daemon's: with them it names any bus address.
 */
#ifndef NPUD_TESTS_FORGE_H
#define NPUD_TESTS_FORGE_H

#include "proto/zhouyi_tcb.h"
#include "tests/integration/harness.h"

#define CANARY 0x5ec4e7c0u
#define FORGE_TECS 4u
#define FORGE_GROUPS                                                                                                   \
	24u /* more than the device reads ahead: what lies behind is read when the first group has ended               \
	     */
/* A page of the arena that is mapped and unused, as an NPU address and as the low half of a bus address. */
#define ARENA_SPARE 0x0010f000u

/* Words of the attacker's input tensor. */
enum { IN_VICTIM = 0x100, IN_FORGED = 0x200 };
/* Words of its output tensor. */
enum { OUT_READ = 0, OUT_CAME_BACK = 1, OUT_BEGAN = 2, OUT_TAIL = 3 };

/* A bus address, as the base of a window and what is added to it. */
struct target {
	uint64_t base;
	uint32_t address;
};

struct victim {
	struct npu_connection *connection;
	struct npu_job *job;
	uint32_t *canary; /* behind what the job reads, in the same buffer: mapped whenever the job runs */
	struct target where; /* of the canary */
};

enum attack {
	READ_BY_OTHER_REGION, /* region 2 is the target's window */
	WRITE_BY_OTHER_REGION,
	RUN_IN_VICTIMS_WINDOW, /* region 0 is: already the instruction fetch goes there */
	COPY_IN_BY_GM, /* global memory is filled from the target */
	COPY_OUT_BY_GM, /* and written back to it */
	ATTACKS
};

struct attacker {
	struct npu_connection *connection;
	struct npu_job *job;
	uint64_t base; /* of the session's window */
	uint32_t text, parameters; /* NPU addresses */
	uint32_t reader, writer; /* instructions where the forged tasks start */
};

/* Where a session's window begins. */
uint64_t base_of(struct npu_connection *connection);

struct victim victim_start(struct harness *harness);
/* The same in the session of somebody, whose job adds `add`. */
struct victim victim_in(struct npu_connection *connection, uint32_t add);
/* Its jobs run as if nobody else was there, and its memory is what it was. */
void expect_unharmed(const struct victim *victim);

/* `hide_end`: the chain does not report its end where the forged part begins. */
struct attacker attacker_start(struct harness *harness, bool hide_end);
/* An init TCB and one task behind it, in the attacker's input tensor. */
void write_forged(const struct attacker *attacker, struct target target, enum attack attack);
/* Nothing came out of it. */
void expect_nothing_seen(const struct attacker *attacker);
/* Groups 1 to the last do nothing, one after the other. */
void add_idle_groups(struct program *program);

#endif
