/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real npu-emu and npud in a private directory, for one test. harness_stop() asserts that nothing of any client is
 * left in the daemon and that both programs end with 0. Binaries are taken from $NPUD_BUILD. With $NPUD_TEST_ADDRESS
 * the device is the one that the kernel's VFIO has at this address ($NPUD_TEST_IOMMU: how), and there is no npu-emu to
 * start. With $NPUD_LAUNCHER npud is started by that program, as `LAUNCHER DIRECTORY npud ...`; see
 * tests/hostile/sandbox.c.
 */
#ifndef NPUD_TESTS_HARNESS_H
#define NPUD_TESTS_HARNESS_H

#include <errno.h>
#include <npu/npu.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "npud.pb-c.h"
#include "tests/integration/programs.h"
#include "tests/unit/suite.h"

#define SECOND_NS 1000000000ll
/* A wait that ends sooner unless something is broken. */
#define PATIENCE_NS (20 * SECOND_NS)

struct harness_options {
	const char *emu_args[8]; /* beside --socket */
	unsigned deadline_ms; /* of a vfio-user message; 0 = 1000 */
	unsigned budget_ms; /* default device time of a submission; 0 = 10000 */
	/* Further top-level members of the configuration, with a leading comma; without "quarantine" there is none. */
	const char *members;
	const char *npud; /* program; NULL = "npud" */
	const char *socket; /* members of the socket; NULL = mode 0600; else other users come as far as the socket */
	const char *log; /* members of the log; NULL = level debug */
	bool bare; /* without $NPUD_LAUNCHER */
};

struct harness {
	char directory[64];
	char emu_socket[96];
	char socket[96];
	char config[96];
	const char *program;
	const char *launcher; /* NULL: npud is started as it is */
	pid_t emu;
	pid_t npud;
	bool device_gone;
	bool hides_completions; /* a program of the test cuts its own chain: the watchdog has to find its end */
	Npud__Stats before;
};

struct harness *harness_start(const struct harness_options *options);
/* For tests that take something away themselves: the device from npud; npu-emu or npud as a process. */
bool harness_has_kernel_device(void);
void harness_device_gone(struct harness *harness);
void harness_emu_gone(struct harness *harness);
/* npu-emu on the same socket again, with no other options. */
void harness_emu_again(struct harness *harness);
void harness_npud_gone(struct harness *harness);
/* Another npud on the same device and socket, after harness_npud_gone(). */
void harness_npud_again(struct harness *harness);
/* The same with another program, and without looking at its counters. */
void harness_npud_start(struct harness *harness, const char *program);
void harness_stop(struct harness *harness);

/* --- parts */

/* Path of a built program. */
const char *harness_program(const char *name);
/* Runs it with its output in `log`; dies with this process. */
pid_t harness_spawn(struct harness *harness, const char *const argv[], const char *log, const char *notify);
/* Exit code, or 128 + signal; fails the test when it does not end in time. */
int harness_wait(pid_t pid);
/* A second npud with this configuration text: its exit code. Output in `log`. */
int harness_npud_exit(struct harness *harness, const char *config, const char *log);
/* Whole text file of the directory; the caller frees it. */
char *harness_read(const struct harness *harness, const char *name);

/* --- clients */

struct npu_connection *harness_connect(struct harness *harness);
/* Counters through a session of its own. */
Npud__Stats harness_stats(struct harness *harness);
/* Waits until every session but the asking one is gone with all it had, and asserts that nothing is left. */
void harness_settle(struct harness *harness);

/* fn runs in a child process; 0 is success there. */
pid_t client_start(struct harness *harness, int (*fn)(struct harness *harness, void *user), void *user);
/* The same as another user, in no group but `gid`. */
pid_t client_start_as(struct harness *harness, uid_t uid, gid_t gid, int (*fn)(struct harness *harness, void *user),
		      void *user);
/* Asserts success. */
void client_wait(pid_t pid);

/* --- graphs and jobs: each asserts success */

struct npu_graph *load(struct npu_connection *connection, struct program program);
struct npu_job *job_of(struct npu_connection *connection, struct program program);
uint64_t submit(struct npu_job *job, uint64_t budget_ns);
/* Submit a program_spin() and return when it runs on the device. */
uint64_t submit_running(struct npu_connection *connection, struct npu_job *spin, uint64_t budget_ns);
struct npu_result wait_for(struct npu_connection *connection, uint64_t ticket);
/* Submit and wait. */
struct npu_result run(struct npu_connection *connection, struct npu_job *job);
uint32_t *input_of(struct npu_job *job);
uint32_t *output_of(struct npu_job *job);

#define ASSERT_OUTCOME(result, wanted)                                                                                 \
	do {                                                                                                           \
		const struct npu_result got_ = (result);                                                               \
		ck_assert_msg(got_.outcome == (wanted), "outcome %s, not %s: %s", npu_outcome_name(got_.outcome),      \
			      npu_outcome_name(wanted), got_.message);                                                 \
	} while (0)
#define ASSERT_NPU(call)                                                                                               \
	do {                                                                                                           \
		int rc_ = (call);                                                                                      \
		ck_assert_msg(rc_ == 0, "%s: %s (%s)", #call, strerror(-rc_), npu_error());                            \
	} while (0)

#endif
