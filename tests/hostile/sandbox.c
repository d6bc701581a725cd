/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox DIRECTORY PROGRAM ARGUMENT...: what a service manager does with npud.service before it starts the program, as
 * far as that is possible without one. DIRECTORY stands for the unit's runtime directory: it becomes the daemon's, and
 * remains the only place it can write to. $NPUD_UNIT is the unit, $NPUD_SYSCALLS a list of the calls that its
 * SystemCallFilter= allows. Prints what of the unit was applied and what was not. A directive that it does not know is
 * an error: nobody adds one to the unit without saying here what it comes to.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "tests/hostile/sandbox.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1ul
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#define MOVE_FROM_EMPTY_PATH 4u
#define RECURSIVE 0x8000u /* AT_RECURSIVE */
#define NOBODYS_ID 64200u /* where the unit's user does not exist */
#define MAX_DIRECTIVES 64u

enum state { UNKNOWN, IGNORED, APPLIED, NOT_APPLIED };

struct directive {
	char name[64];
	char value[256];
	enum state state;
};

static struct directive unit[MAX_DIRECTIVES];
static unsigned unit_count;

static void die(const char *what)
{
	(void)fprintf(stderr, "sandbox: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* ------------------------------------------------------------------ the unit */

static void read_unit(const char *path)
{
	FILE *file = fopen(path ? path : "systemd/npud.service", "re");
	bool service = false;
	char line[512];

	if (!file)
		die("no unit");
	while (fgets(line, sizeof(line), file) && unit_count < MAX_DIRECTIVES) {
		struct directive *next = &unit[unit_count];

		if (line[0] == '[')
			service = strncmp(line, "[Service]", 9) == 0;
		next->value[0] = '\0';
		if (service && sscanf(line, "%63[A-Za-z]=%255[^\n]", next->name, next->value) >= 1)
			unit_count++;
	}
	(void)fclose(file);
}

/* NULL if the unit does not say; what it says is applied from now on. */
static const char *take(const char *name)
{
	for (unsigned i = 0; i < unit_count; i++) {
		if (strcmp(unit[i].name, name) != 0)
			continue;
		unit[i].state = APPLIED;
		return unit[i].value;
	}
	return NULL;
}

static bool takes(const char *name)
{
	const char *value = take(name);

	return value && (strcmp(value, "yes") == 0 || strcmp(value, "strict") == 0 || value[0] == '\0');
}

static void set_state(const char *const *names, enum state state)
{
	for (; *names; names++)
		for (unsigned i = 0; i < unit_count; i++)
			if (strcmp(unit[i].name, *names) == 0)
				unit[i].state = state;
}

static void print_state(const char *title, enum state state)
{
	(void)fprintf(stderr, "sandbox: %s:", title);
	for (unsigned i = 0; i < unit_count; i++)
		if (unit[i].state == state)
			(void)fprintf(stderr, " %s", unit[i].name);
	(void)fprintf(stderr, "\n");
}

static void report(void)
{
	/* about starting and stopping */
	static const char *const ignored[] = {"Type",
					      "ExecStart",
					      "RestartPreventExitStatus",
					      "Restart",
					      "RestartSec",
					      "RuntimeDirectory",
					      "RuntimeDirectoryMode",
					      "RuntimeDirectoryPreserve",
					      "TimeoutStopSec",
					      "ReadWritePaths",
					      NULL};
	/* of modules and the kernel's log, no capability and no system call is left; set-id bits and /proc are open */
	static const char *const not_applied[] = {"ProtectProc", "ProtectKernelModules", "ProtectKernelLogs",
						  "RestrictSUIDSGID", NULL};

	set_state(ignored, IGNORED);
	set_state(not_applied, NOT_APPLIED);
	print_state("applied", APPLIED);
	print_state("not applied here", NOT_APPLIED);
	for (unsigned i = 0; i < unit_count; i++) {
		if (unit[i].state != UNKNOWN)
			continue;
		(void)fprintf(stderr, "sandbox: %s= is not known here\n", unit[i].name);
		exit(125);
	}
}

/* ------------------------------------------------------------------ limits, namespaces, files */

static void limit(const char *name, int resource)
{
	const char *value = take(name);

	if (!value)
		return;
	rlim_t wanted = strcmp(value, "infinity") == 0 ? RLIM_INFINITY : strtoull(value, NULL, 10);
	struct rlimit limits = {wanted, wanted};
	if (setrlimit((__rlimit_resource_t)resource, &limits) == 0)
		return;
	/* no more than this machine lets anybody have */
	if (getrlimit((__rlimit_resource_t)resource, &limits))
		die(name);
	limits.rlim_cur = limits.rlim_max;
	if (setrlimit((__rlimit_resource_t)resource, &limits))
		die(name);
}

static void cover(const char *path)
{
	if (access(path, F_OK) == 0 && mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV, "size=1M"))
		die(path);
}

/* Everything is read-only, what is private is empty; `directory` alone is as it was. */
static void restrict_files(const char *directory)
{
	struct {
		uint64_t set, clear, propagation, userns;
	} read_only = {.set = 1 /* MOUNT_ATTR_RDONLY */};

	int keep = (int)syscall(SYS_open_tree, AT_FDCWD, directory, OPEN_TREE_CLONE | O_CLOEXEC);
	if (keep < 0)
		die("open_tree");
	if (takes("PrivateTmp"))
		cover("/tmp");
	if (takes("ProtectHome")) {
		cover("/home");
		cover("/root");
	}
	(void)mkdir(directory, 0700);
	if (takes("ProtectSystem") && takes("ProtectKernelTunables") && takes("ProtectControlGroups") &&
	    syscall(SYS_mount_setattr, AT_FDCWD, "/", RECURSIVE, &read_only, sizeof(read_only)))
		die("mount_setattr");
	if (syscall(SYS_move_mount, keep, "", AT_FDCWD, directory, MOVE_FROM_EMPTY_PATH))
		die("move_mount");
	close(keep);
}

static void unshare_all(const char *directory)
{
	static const char *const needed[] = {"PrivateNetwork", "ProtectHostname",       "PrivateTmp", "ProtectHome",
					     "ProtectSystem",  "ProtectKernelTunables", NULL};

	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS)) {
		/* a container that may not: the rest of the unit is applied all the same */
		set_state(needed, NOT_APPLIED);
		set_state((const char *const[]){"ProtectControlGroups", NULL}, NOT_APPLIED);
		return;
	}
	(void)takes("PrivateNetwork");
	(void)takes("ProtectHostname");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("mounts of its own");
	restrict_files(directory);
}

/* ------------------------------------------------------------------ identity */

static uid_t id_of_user(void)
{
	const char *name = take("User");
	const struct passwd *user = name ? getpwnam(name) : NULL;

	(void)take("Group");
	return user ? user->pw_uid : NOBODYS_ID;
}

/* The group that may use the socket; tests call it "users" where npu does not exist. */
static gid_t id_of_clients(void)
{
	const char *name = take("SupplementaryGroups");
	const struct group *group = name ? getgrnam(name) : NULL;

	if (!group)
		group = getgrnam("users");
	return group ? group->gr_gid : NOBODYS_ID;
}

static void become(uid_t id, gid_t clients)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {0};

	if (takes("CapabilityBoundingSet"))
		for (unsigned long i = 0; i <= CAP_LAST_CAP; i++)
			(void)prctl(PR_CAPBSET_DROP, i); /* EINVAL beyond what this kernel knows */
	if (takes("AmbientCapabilities"))
		(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (setgroups(1, &clients) || setresgid(id, id, id) || setresuid(id, id, id) ||
	    syscall(SYS_capset, &header, none))
		die("change of user");
	const char *mask = take("UMask");
	if (mask)
		(void)umask((mode_t)strtoul(mask, NULL, 8));
}

/* ------------------------------------------------------------------ system calls */

static struct sandbox_filter wanted_filter(void)
{
	struct sandbox_filter filter = {0};
	const char *families = take("RestrictAddressFamilies"), *calls = take("SystemCallFilter"),
		   *native = take("SystemCallArchitectures");

	if (!families || strcmp(families, "AF_UNIX AF_NETLINK") != 0 || !calls ||
	    strcmp(calls, "@system-service") != 0 || !native || strcmp(native, "native") != 0) {
		errno = EINVAL;
		die("the unit's filters are not those that are written here");
	}
	filter.allowed_list = getenv("NPUD_SYSCALLS");
	filter.no_namespaces = takes("RestrictNamespaces");
	filter.no_realtime = takes("RestrictRealtime");
	filter.lock_personality = takes("LockPersonality");
	return filter;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		die("usage: sandbox DIRECTORY PROGRAM ARGUMENT...");
	read_unit(getenv("NPUD_UNIT"));
	int program = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (program < 0)
		die(argv[2]);
	uid_t id = id_of_user();
	gid_t clients = id_of_clients();
	if (chown(argv[1], id, id))
		die(argv[1]);
	limit("LimitNOFILE", RLIMIT_NOFILE);
	limit("LimitMEMLOCK", RLIMIT_MEMLOCK);
	limit("TasksMax", RLIMIT_NPROC);
	struct sandbox_filter filter = wanted_filter();
	filter.allowed = sandbox_read_list(filter.allowed_list, &filter.allowed_count);
	unshare_all(argv[1]);
	become(id, clients);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL)) /* the change of user cleared it */
		die("death signal");
	if (takes("NoNewPrivileges") && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("no new privileges");
	if (takes("MemoryDenyWriteExecute") && prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0))
		set_state((const char *const[]){"MemoryDenyWriteExecute", NULL}, NOT_APPLIED);
	report();
	if (sandbox_filter_load(&filter))
		die("seccomp");
	(void)execveat(program, "", argv + 2, environ, AT_EMPTY_PATH);
	die("exec");
}
