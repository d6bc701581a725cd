/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, watching and stopping the real programs; see harness.h. Client helpers are in clients.c. */
#include "tests/integration/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/raw.h"

static struct harness *current; /* whose logs are shown when the test fails */
static pid_t owner;

static void join(char *out, size_t bytes, const char *directory, const char *name)
{
	ck_assert_int_lt(snprintf(out, bytes, "%s/%s", directory, name), (int)bytes);
}

const char *harness_program(const char *name)
{
	static char path[4096];
	const char *build = getenv("NPUD_BUILD");

	ck_assert_msg(build != NULL, "NPUD_BUILD has to name the build directory");
	join(path, sizeof(path), build, name);
	return path;
}

static void show_log(const struct harness *harness, const char *name)
{
	char path[160], line[512];

	(void)snprintf(path, sizeof(path), "%s/%s", harness->directory, name);
	FILE *file = fopen(path, "re");
	if (!file)
		return;
	printf("--- %s\n", name);
	while (fgets(line, sizeof(line), file))
		(void)fputs(line, stdout);
	(void)fclose(file);
}

/* A failed assertion ends the test's process: say what the programs said, and leave no directory. */
static void show_logs(void)
{
	if (!current || getpid() != owner)
		return;
	show_log(current, "npud.log");
	show_log(current, "emu.log");
	printf("--- directory %s\n", current->directory);
	(void)fflush(stdout);
}

pid_t harness_spawn(struct harness *harness, const char *const argv[], const char *log, const char *notify)
{
	char path[160];
	pid_t parent = getpid();

	join(path, sizeof(path), harness->directory, log);
	(void)fflush(NULL);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent || fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(126);
	if (notify)
		(void)setenv("NOTIFY_SOCKET", notify, 1);
	(void)close_range(3, ~0u, 0);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static int pid_fd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	ck_assert_msg(fd >= 0, "pidfd_open: %s", strerror(errno));
	return fd;
}

int harness_wait(pid_t pid)
{
	struct pollfd pollfd = {.fd = pid_fd(pid), .events = POLLIN};
	int status = 0;

	ck_assert_msg(poll(&pollfd, 1, (int)(PATIENCE_NS / 1000000)) == 1, "process %d does not end", pid);
	close(pollfd.fd);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

char *harness_read(const struct harness *harness, const char *name)
{
	char path[160], *text = calloc(1, 65536);

	join(path, sizeof(path), harness->directory, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_ptr_nonnull(text);
	if (fd >= 0) {
		ck_assert_int_ge(read(fd, text, 65535), 0);
		close(fd);
	}
	return text;
}

/* ------------------------------------------------------------------ npu-emu */

/* It listens when a connection is accepted into its backlog; until then the path is absent or refuses. */
static void wait_listening(struct harness *harness)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timespec pause = {0, 1000000};

	strncpy(address.sun_path, harness->emu_socket, sizeof(address.sun_path) - 1);
	for (int i = 0; i < 20000; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int rc = connect(fd, (const struct sockaddr *)&address, sizeof(address));
		int error = errno;

		close(fd);
		if (rc == 0)
			return;
		ck_assert_msg(error == ENOENT || error == ECONNREFUSED, "%s: %s", harness->emu_socket, strerror(error));
		ck_assert_msg(waitpid(harness->emu, NULL, WNOHANG) == 0, "npu-emu ended");
		(void)nanosleep(&pause, NULL);
	}
	ck_abort_msg("npu-emu does not listen");
}

bool harness_has_kernel_device(void)
{
	return getenv("NPUD_TEST_ADDRESS") != NULL;
}

static void start_emu(struct harness *harness, const struct harness_options *options)
{
	char program[4096];
	const char *argv[12] = {program, "--socket", harness->emu_socket};

	(void)snprintf(program, sizeof(program), "%s", harness_program("npu-emu"));
	for (unsigned i = 0; i < 8 && options && options->emu_args[i]; i++)
		argv[3 + i] = options->emu_args[i];
	harness->emu = harness_spawn(harness, argv, "emu.log", NULL);
	wait_listening(harness);
	if (harness->launcher) /* npud may come as another user */
		ck_assert_int_eq(chmod(harness->emu_socket, 0666), 0);
}

/* ------------------------------------------------------------------ npud */

static void write_file(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void write_file(const char *path, const char *format, ...)
{
	FILE *file = fopen(path, "we");
	va_list args;

	ck_assert_ptr_nonnull(file);
	va_start(args, format);
	ck_assert_int_gt(vfprintf(file, format, args), 0);
	va_end(args);
	ck_assert_int_eq(fclose(file), 0);
}

/* The device's place in the configuration. */
static void describe_device(const struct harness *harness, unsigned deadline, char *text, size_t bytes)
{
	const char *iommu = getenv("NPUD_TEST_IOMMU");

	if (harness_has_kernel_device())
		(void)snprintf(text, bytes, "\"transport\":\"vfio\",\"address\":\"%s\",\"iommu\":\"%s\"",
			       getenv("NPUD_TEST_ADDRESS"), iommu ? iommu : "auto");
	else
		(void)snprintf(text, bytes, "\"transport\":\"vfio-user\",\"path\":\"%s\",\"deadline_ms\":%u",
			       harness->emu_socket, deadline);
}

static void write_config(struct harness *harness, const struct harness_options *options)
{
	unsigned deadline = options && options->deadline_ms ? options->deadline_ms : 1000;
	unsigned budget = options && options->budget_ms ? options->budget_ms : 10000;
	const char *members = options && options->members ? options->members : "";
	/* What a test does a hundred times is not to be refused, unless refusals are its subject. */
	const char *lenient =
	    strstr(members, "\"quarantine\"") ? "" : ",\"quarantine\":{\"session_threshold\":0,\"tenant_threshold\":0}";
	char device[256];

	describe_device(harness, deadline, device, sizeof(device));
	join(harness->config, sizeof(harness->config), harness->directory, "npud.json");
	write_file(harness->config,
		   "{\"socket\":{\"path\":\"%s\",%s},\"log\":{%s},"
		   "\"devices\":[{\"name\":\"npu0\",%s}],"
		   "\"budget\":{\"default_ms\":%u,\"max_ms\":600000}%s%s}\n",
		   harness->socket, options && options->socket ? options->socket : "\"mode\":\"0600\"",
		   options && options->log ? options->log : "\"level\":\"debug\"", device, budget, lenient, members);
}

/* The service manager's protocol: READY=1 on a datagram socket; its end before that is a failure. */
static void wait_ready(int notify, pid_t pid)
{
	struct pollfd fds[] = {{.fd = notify, .events = POLLIN}, {.fd = pid_fd(pid), .events = POLLIN}};
	char text[256];

	ck_assert_msg(poll(fds, 2, (int)(PATIENCE_NS / 1000000)) > 0, "npud does not become ready");
	close(fds[1].fd);
	ck_assert_msg(fds[0].revents & POLLIN, "npud ended before it was ready");
	ssize_t bytes = recv(notify, text, sizeof(text) - 1, 0);
	ck_assert_int_gt(bytes, 0);
	text[bytes] = '\0';
	ck_assert_msg(strstr(text, "READY=1") != NULL, "npud says '%s'", text);
}

static void start_npud(struct harness *harness)
{
	char program[4096];
	const char *argv[] = {harness->launcher, harness->directory, program, "--config", harness->config, NULL};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(program, sizeof(program), "%s", harness_program(harness->program));
	join(address.sun_path, sizeof(address.sun_path), harness->directory, "notify");
	ck_assert_int_eq(bind(notify, (const struct sockaddr *)&address, sizeof(address)), 0);
	if (harness->launcher)
		ck_assert_int_eq(chmod(address.sun_path, 0666), 0);
	harness->npud = harness_spawn(harness, harness->launcher ? argv : argv + 2, "npud.log", address.sun_path);
	wait_ready(notify, harness->npud);
	close(notify);
	unlink(address.sun_path);
}

int harness_npud_exit(struct harness *harness, const char *config, const char *log)
{
	char path[160], program[4096];
	const char *argv[] = {program, "--config", path, NULL};

	(void)snprintf(program, sizeof(program), "%s", harness_program("npud"));
	join(path, sizeof(path), harness->directory, "second.json");
	write_file(path, "%s\n", config);
	int code = harness_wait(harness_spawn(harness, argv, log, NULL));
	unlink(path);
	return code;
}

/* ------------------------------------------------------------------ life */

struct harness *harness_start(const struct harness_options *options)
{
	struct harness *harness = calloc(1, sizeof(*harness));
	static bool registered;

	ck_assert_ptr_nonnull(harness);
	(void)signal(SIGPIPE, SIG_IGN);
	strcpy(harness->directory, "/tmp/npud-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(harness->directory));
	join(harness->emu_socket, sizeof(harness->emu_socket), harness->directory, "npu0.sock");
	join(harness->socket, sizeof(harness->socket), harness->directory, "npud.sock");
	owner = getpid();
	current = harness;
	if (!registered)
		ck_assert_int_eq(atexit(show_logs), 0);
	registered = true;
	harness->program = options && options->npud ? options->npud : "npud";
	harness->launcher = options && options->bare ? NULL : getenv("NPUD_LAUNCHER");
	if (options && options->socket)
		ck_assert_int_eq(chmod(harness->directory, 0711), 0);
	if (!harness_has_kernel_device())
		start_emu(harness, options);
	write_config(harness, options);
	start_npud(harness);
	harness->before = harness_stats(harness);
	return harness;
}

void harness_device_gone(struct harness *harness)
{
	harness->device_gone = true;
}

void harness_emu_gone(struct harness *harness)
{
	harness->emu = 0;
	harness->device_gone = true;
}

void harness_emu_again(struct harness *harness)
{
	start_emu(harness, NULL);
	harness->device_gone = false;
}

void harness_npud_gone(struct harness *harness)
{
	harness->npud = 0;
}

void harness_npud_start(struct harness *harness, const char *program)
{
	harness->program = program;
	start_npud(harness);
}

void harness_npud_again(struct harness *harness)
{
	start_npud(harness);
	harness->before = harness_stats(harness);
}

static void stop(const char *name, pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	int code = harness_wait(pid);
	ck_assert_msg(code == 0, "%s ended with %d", name, code);
}

/* Logs, locks, the configuration and what a killed program leaves; anything else is somebody's mistake. */
static void remove_directory(const struct harness *harness)
{
	static const char *const suffixes[] = {".log", ".lock", ".json", ".sock", ".stats"};
	DIR *directory = opendir(harness->directory);
	const struct dirent *entry;

	ck_assert_ptr_nonnull(directory);
	while ((entry = readdir(directory))) {
		const char *suffix = strrchr(entry->d_name, '.');
		char path[sizeof(harness->directory) + sizeof(entry->d_name) + 1];

		for (unsigned i = 0; suffix && i < sizeof(suffixes) / sizeof(*suffixes); i++) {
			if (strcmp(suffix, suffixes[i]) != 0)
				continue;
			join(path, sizeof(path), harness->directory, entry->d_name);
			(void)unlink(path);
		}
	}
	closedir(directory);
	ck_assert_msg(rmdir(harness->directory) == 0, "%s: something else is left there", harness->directory);
}

/* The watchdog completes work whose interrupt got lost; a test that passes thanks to it has not passed. */
static void no_interrupt_lost(const struct harness *harness)
{
	char path[160], line[512];

	if (harness->hides_completions)
		return;
	join(path, sizeof(path), harness->directory, "npud.log");
	FILE *file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		ck_assert_msg(strstr(line, "interrupt_lost") == NULL, "%s", line);
	(void)fclose(file);
}

void harness_stop(struct harness *harness)
{
	if (harness->npud) {
		harness_settle(harness);
		stop("npud", harness->npud);
		ck_assert_msg(access(harness->socket, F_OK) < 0, "npud left its socket");
	}
	if (harness->emu)
		stop("npu-emu", harness->emu);
	no_interrupt_lost(harness);
	current = NULL;
	remove_directory(harness);
	free(harness);
}
