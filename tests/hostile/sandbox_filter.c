/* SPDX-License-Identifier: Apache-2.0 */
/* Names to numbers to a seccomp program; see sandbox.h. The names' numbers come from the compiler's headers. */
#include "tests/hostile/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#define MAX_CALLS 512u
#define MAX_PROGRAM 2048u

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#endif

#define NAMESPACES                                                                                                     \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

static const struct {
	const char *name;
	uint32_t number;
} numbers[] = {
#include "syscalls.inc"
};

struct program {
	struct sock_filter insn[MAX_PROGRAM];
	unsigned short count;
};

uint32_t *sandbox_read_list(const char *path, unsigned *count)
{
	FILE *file = path ? fopen(path, "re") : NULL;
	uint32_t *out = calloc(MAX_CALLS, sizeof(*out));
	char name[64];

	*count = 0;
	while (file && out && fscanf(file, "%63s", name) == 1)
		for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers) && *count < MAX_CALLS; i++)
			if (strcmp(numbers[i].name, name) == 0)
				out[(*count)++] = numbers[i].number;
	if (*count == 0) {
		(void)fprintf(stderr, "sandbox: $NPUD_SYSCALLS names no list of system calls\n");
		exit(125);
	}
	(void)fclose(file);
	return out;
}

static void emit(struct program *program, uint16_t code, uint8_t if_true, uint8_t if_false, uint32_t k)
{
	if (program->count < MAX_PROGRAM)
		program->insn[program->count++] = (struct sock_filter){code, if_true, if_false, k};
}

static void load(struct program *program, uint32_t offset)
{
	emit(program, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
}

static void give(struct program *program, uint32_t verdict)
{
	emit(program, BPF_RET | BPF_K, 0, 0, verdict);
}

/* The number is loaded before and after. */
static void deny(struct program *program, uint32_t call, int error)
{
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, call);
	give(program, SECCOMP_RET_ERRNO | (uint32_t)error);
}

#define ARGUMENT(n) ((uint32_t)offsetof(struct seccomp_data, args[n]))
#define NUMBER ((uint32_t)offsetof(struct seccomp_data, nr))

/* EPERM if the argument has one of these bits. */
static void deny_bits(struct program *program, uint32_t call, unsigned argument, uint32_t bits)
{
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, call);
	load(program, ARGUMENT(argument));
	emit(program, BPF_JMP | BPF_JSET | BPF_K, 0, 1, bits);
	give(program, SECCOMP_RET_ERRNO | EPERM);
	load(program, NUMBER);
}

/* Only AF_UNIX and AF_NETLINK. */
static void restrict_families(struct program *program)
{
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 5, SYS_socket);
	load(program, ARGUMENT(0));
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, 2, 0, AF_UNIX);
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AF_NETLINK);
	give(program, SECCOMP_RET_ERRNO | EAFNOSUPPORT);
	load(program, NUMBER);
}

int sandbox_filter_load(const struct sandbox_filter *filter)
{
	static struct program program;

	load(&program, offsetof(struct seccomp_data, arch));
	emit(&program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, NATIVE);
	give(&program, SECCOMP_RET_KILL_PROCESS);
	load(&program, NUMBER);
	restrict_families(&program);
	if (filter->no_namespaces) {
		deny(&program, SYS_clone3, ENOSYS); /* its flags are out of a filter's reach: libraries fall back */
		deny(&program, SYS_setns, EPERM);
		deny_bits(&program, SYS_unshare, 0, NAMESPACES);
		deny_bits(&program, SYS_clone, 0, NAMESPACES);
	}
	if (filter->no_realtime)
		deny_bits(&program, SYS_sched_setscheduler, 1, SCHED_FIFO | SCHED_RR);
	if (filter->lock_personality)
		deny(&program, SYS_personality, EPERM);
	for (unsigned i = 0; i < filter->allowed_count; i++) {
		emit(&program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, filter->allowed[i]);
		give(&program, SECCOMP_RET_ALLOW);
	}
	give(&program, SECCOMP_RET_KILL_PROCESS);
	const struct sock_fprog loaded = {program.count, program.insn};
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &loaded) ? -errno : 0;
}
