/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software NPU as one object: registers, command pools, chains, cores and the threads that stand for its TECs.
 * Everything below `lock` is guarded by it; nobody holds it while touching client memory or running an instruction.
 */
#ifndef NPUD_EMULATOR_DEVICE_H
#define NPUD_EMULATOR_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "emulator/chip.h"
#include "emulator/dma.h"
#include "emulator/memory.h"
#include "proto/zhouyi_regs.h"
#include "proto/zhouyi_tcb.h"

#define DEVICE_POOLS 1u /* X2_1204: one partition, one pool */
#define DEVICE_MAX_CORES 8u
#define DEVICE_TECS 4u
#define DEVICE_AIFFS 1u
#define DEVICE_LISTS 2u /* per pool: slow, fast */
#define DEVICE_GROUPS 64u /* groups parsed ahead or draining, all lists together */
#define LIST_GROUPS 16u
#define LIST_HEADS 8u
#define POOL_EVENTS 256u
#define POOL_EVENTS_PER_GROUP (2u * DEVICE_TECS + 2u)

enum time_mode { TIME_HOST = 0, TIME_FIXED, TIME_COMPUTED, TIME_VIRTUAL };

/* Shared with others: a file. */
struct virtual_clock {
	_Atomic uint64_t now_ns; /* no reset sets it back */
	_Atomic uint64_t ended; /* in step: jobs */
	_Atomic uint64_t may_end; /* in step: the device waits before more than so many have */
};

struct device_options {
	uint32_t cores;
	uint32_t threads; /* 0: as many as host processors */
	uint32_t gm_mib;
	enum time_mode time;
	uint64_t fixed_ns; /* of the host, for each job; TIME_VIRTUAL: beside the time that it counts */
	bool reset_keeps_gm;
	bool hard_hangs; /* an abort of what runs hangs the device until a reset by the bus */
	FILE *trace; /* borrowed; NULL = none */
	struct virtual_clock *clock; /* borrowed; NULL = none: virtual time for others */
	bool in_step; /* with `clock`, more of which is there than the time */
};

struct device_stats {
	uint64_t jobs;
	uint64_t groups;
	uint64_t tasks;
	uint64_t faults;
	uint64_t exceptions;
	uint64_t pool_errors;
	uint64_t signals;
	uint64_t aborts;
	uint64_t resets;
	uint64_t register_reads;
	uint64_t register_writes;
	uint64_t tec_macs[DEVICE_MAX_CORES * DEVICE_TECS];
	uint64_t shared_convolutions; /* measured for imbalance */
	double worst_imbalance; /* busiest task / mean, convolutions over 1 MMAC */
};

struct group;

enum task_state { TASK_READY = 0, TASK_RUNNING, TASK_BARRIER, TASK_SIGNAL, TASK_SLEEP, TASK_SPIN, TASK_ENDED };
enum task_outcome { OUTCOME_NONE = 0, OUTCOME_FAULT, OUTCOME_EXCEPTION };

#define TASK_FETCH_BYTES 256u

struct task {
	union zy3_tcb tcb; /* private copy */
	uint64_t bus; /* where it came from */
	struct group *group;
	struct task *next_ready;
	enum task_state state;
	bool fresh; /* its ids are not written back yet */
	uint32_t index;
	uint32_t reg[32];
	uint32_t pc;
	uint64_t cycles;
	uint64_t macs;
	uint32_t tensors; /* TENSOR instructions run so far */
	uint64_t wake_ns;
	uint32_t signal_flag;
	enum task_outcome outcome;
	uint32_t code; /* exception code */
	struct mem_view view;
	/* Fetch buffer for text that only messages reach. */
	uint64_t fetch_generation;
	uint32_t fetch_address;
	uint32_t fetch_valid;
	uint8_t fetch[TASK_FETCH_BYTES];
};

enum group_state { GROUP_FREE = 0, GROUP_WAITING, GROUP_RUNNING, GROUP_DELAYED, GROUP_FINISHED };

#define GROUP_CONVS 16u

/* MACs of one convolution instruction over the tasks of a group. */
struct conv_share {
	uint32_t pc;
	uint32_t seen;
	uint64_t total;
	uint64_t busiest;
};

struct group {
	enum group_state state;
	struct pool *pool;
	struct list *list; /* NULL: aborted, draining */
	atomic_bool stop;
	uint32_t count;
	struct task task[DEVICE_TECS];
	uint32_t dependency;
	int bound_core; /* -1: any */
	bool chain_end;
	bool ends_job;
	bool reported; /* its completion has been an interrupt */
	uint16_t tag;
	struct mem_context context;
	uint32_t core;
	uint32_t arrived;
	uint32_t ended;
	uint32_t serial; /* of its start: no two groups share it for a long time */
	uint32_t barriers; /* passed so far */
	const struct task *culprit;
	uint64_t started_ns;
	uint64_t finish_ns;
	uint64_t virtual_start;
	pthread_mutex_t conv_lock;
	struct conv_share conv[GROUP_CONVS];
};

struct chain_head {
	uint64_t address;
	int bound_core;
};

enum list_state { LIST_EMPTY = 0, LIST_WALKING, LIST_PARKED };

/* One of a pool's two lists of chains. */
struct list {
	enum list_state state;
	uint64_t cursor; /* LIST_WALKING: next TCB */
	uint64_t tail; /* LIST_PARKED: the TCB whose `next` was 0 */
	bool recheck; /* told to look at the tail again */
	struct chain_head head[LIST_HEADS]; /* further chains */
	uint32_t heads;
	int bound_core;
	uint16_t tag;
	bool init_pending;
	union zy3_tcb init;
	uint64_t init_bus;
	bool job_open; /* an init TCB was seen, the group that ends its job not yet */
	bool has_context;
	struct mem_context context;
	uint64_t virtual_epoch;
	struct group *building; /* tasks of a group whose end is not reached */
	struct group *queue[LIST_GROUPS]; /* in chain order */
	uint32_t groups;
};

struct irq_event {
	uint32_t types; /* not yet acknowledged */
	uint32_t level;
	uint32_t core;
	uint32_t tec;
	uint32_t tcb;
	uint32_t flag;
	uint32_t signal_id;
	struct task *held; /* TEC that waits for the acknowledgement */
};

struct pool {
	bool exists;
	bool halted; /* a group faulted: nothing more is started until abort, destroy or reset */
	uint32_t config;
	uint32_t intr_ctrl;
	uint32_t sticky; /* STATUS bits of causes that were not enabled as interrupts */
	uint32_t first_bad;
	uint32_t last_cmd;
	uint32_t secure;
	uint16_t signal_ids;
	bool has_context;
	struct mem_context context;
	struct list list[DEVICE_LISTS]; /* slow, fast */
	struct irq_event event[POOL_EVENTS]; /* ring; the first one is presented */
	uint32_t event_first;
	uint32_t events;
};

struct core {
	struct group *group;
	uint64_t virtual_end;
};

struct device {
	struct device_options options;
	struct dma *dma;
	struct op_cache *cache;
	/* Line level, and whether an event was newly presented. Called with `lock` held; must not call back. */
	void (*irq)(void *ctx, bool level, bool pulse);
	void *irq_ctx;

	pthread_mutex_t lock;
	struct chip chip;
	struct device_stats stats;
	/* registers */
	uint32_t cmd_info;
	uint32_t addr_high;
	uint32_t addr_low;
	bool addr_written;
	bool cmd_failed;
	uint32_t soft_reset;
	bool hung; /* hard_hangs: neither abort nor soft reset has any effect */
	uint32_t tsm_config;
	uint32_t cluster_control;
	uint32_t debug_select;
	uint32_t tick_ctrl;
	uint64_t tick_base;
	uint64_t tick_started;
	uint32_t stops; /* pools stopped so far: who dropped the lock sees that the world changed */
	bool line;
	struct pool pool[DEVICE_POOLS];
	struct core core[DEVICE_MAX_CORES];
	struct group group[DEVICE_GROUPS];
	uint32_t group_serial; /* groups started so far */
	uint64_t virtual_now;
	/* threads */
	pthread_cond_t work;
	pthread_cond_t quiet;
	pthread_t *thread;
	uint32_t threads;
	bool shutdown;
	atomic_bool tsm_pending;
	bool tsm_running;
	atomic_bool tsm_stop;
	uint32_t sleepers; /* threads in pthread_cond_wait */
	uint32_t waking; /* of them, those already signalled */
	atomic_uint spinners; /* threads that look for work without the lock */
	atomic_uint ready_count;
	uint32_t running; /* tasks being interpreted */
	uint32_t timers; /* delayed groups and sleeping tasks */
	struct task *ready_first;
	struct task *ready_last;
};

int device_new(const struct device_options *options, struct dma *dma, struct device **out);
void device_free(struct device *device);
/* Reset as by the bus (function-level, client gone): stops everything, forgets everything. */
void device_reset(struct device *device);
/* The register's reset: as device_reset, but GM may be kept and the register reads done. */
void device_soft_reset(struct device *device);
/* Writes the counters to `path`, atomically. */
int device_stats_write(struct device *device, const char *path);

/* Registers of region 0; `offset` is a multiple of 4. */
uint32_t regs_read(struct device *device, uint32_t offset);
void regs_write(struct device *device, uint32_t offset, uint32_t value);

/* ---- with `lock` held */
uint64_t device_ticks(const struct device *device);
/* What the tick counter counts: host nanoseconds or virtual cycles. */
uint64_t device_clock(const struct device *device);
/* Stops the groups of a pool and forgets its chains. Running tasks drain; their groups are nobody's. */
void device_pool_stop(struct device *device, struct pool *pool);
bool device_core_idle(const struct device *device, uint32_t core);
uint32_t device_cores_enabled(const struct device *device);
uint32_t device_tecs_enabled(const struct device *device);

/* command.c: the command register */
void command_issue(struct device *device, uint32_t handle);
/* Something of the pool runs, or begins to as soon as the command scheduler looks. */
bool command_pool_executing(const struct device *device, const struct pool *pool);

/* irq.c */
void irq_raise(struct device *device, struct pool *pool, const struct irq_event *event);
void irq_acknowledge(struct device *device, struct pool *pool, uint32_t types);
void irq_refresh(struct device *device, bool presented);
void irq_clear(struct device *device, struct pool *pool);
const struct irq_event *irq_head(const struct pool *pool);
/* The level at which an abnormal event of this type may be raised, 0 if it is not enabled. */
uint32_t irq_abnormal_level(const struct pool *pool, uint32_t type);
void irq_forget_task(struct pool *pool, const struct task *task);

/* tsm.c: chains to groups to cores */
void tsm_step(struct device *device); /* may drop and take the lock */
void tsm_wake(struct device *device);
void tsm_group_ended(struct device *device, struct group *group);
/* A delay has passed. */
void tsm_group_finish(struct device *device, struct group *group);
void tsm_pool_error(struct device *device, struct pool *pool, struct list *list, uint64_t bus, const char *why);

/* chain.c: one TCB of a list; false if the list has nothing to fetch or no room */
bool chain_step(struct device *device, struct pool *pool, struct list *list);
struct group *group_take(struct device *device);
void group_give(struct device *device, struct group *group);

/* exec.c: the threads */
int exec_start(struct device *device);
void exec_stop(struct device *device);
void exec_group_start(struct device *device, struct group *group);
/* Its running tasks stop at their next instruction, the others at once. */
void exec_group_stop(struct device *device, struct group *group);
void exec_task_ready(struct device *device, struct task *task);
void exec_wake(struct device *device);

/* insn.c: without the lock. Runs a task until it ends, waits, or used its slice. */
enum insn_result {
	INSN_SLICE = 0,
	INSN_END,
	INSN_BARRIER,
	INSN_SIGNAL,
	INSN_SLEEP,
	INSN_SPIN,
	INSN_FAILED,
	INSN_STOPPED
};
enum insn_result insn_run(struct device *device, struct task *task);

#endif
