/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the device's eventfd to the completion at the client. The device signals us instead of npud; when a job is over
 * and all is quiet we signal npud, and wait for its message as any client does, until npu_wait() returns. Beside it:
 * what a process needs to wake up, and what a driver would need that does no more than wake up, read the same registers
 * and say so over a socket.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <npu/npu.h>

#include "proto/zhouyi_regs.h"
#include "tests/bench/guest/bench_guest.h"

#define WAIT_MS 5000
#define QUIET_NS 2000000
#define WARM_UP 10u
#define FRAME_BYTES 64u
/*
 * Who is woken by the device has one and who waits for its message the other, as on any host: what a driver does behind
 * the message is not waited for.
 */
#define DRIVER_PROCESSOR 1u
#define CLIENT_PROCESSOR 0u

/* 0 is this process. */
static void use_processor(long pid, unsigned number)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(number, &one);
	if (sched_setaffinity((pid_t)pid, sizeof(one), &one))
		bench_fail("no processor %u: %s", number, strerror(errno));
}

/* ------------------------------------------------------------------ the other process */

/* It waits for @wake, touches the device's registers if it has any, and answers through the socket. */
struct other {
	pid_t pid;
	int wake;
	int socket;
	struct {
		uint64_t woke;
		uint64_t touched;
	} * times;
};

/* What npud reads and writes between its wake-up and the message, of a device that has nothing to say here. */
static void touch_registers(volatile uint32_t *registers)
{
	static const uint32_t reads[] = {ZY3_POOL(0, ZY3_POOL_INTR_STATUS), ZY3_POOL(0, ZY3_POOL_TCB_PTR), ZY3_TICK_LOW,
					 ZY3_TICK_HIGH};

	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
		(void)registers[reads[i] / 4];
	registers[ZY3_POOL(0, ZY3_POOL_STATUS) / 4] = 0;
}

static void other_serve(const struct other *other, int answers, volatile uint32_t *registers)
{
	static const uint8_t frame[FRAME_BYTES];
	struct pollfd wait = {.fd = other->wake, .events = POLLIN};
	uint64_t ticks;

	while (poll(&wait, 1, -1) == 1 && read(other->wake, &ticks, sizeof(ticks)) == sizeof(ticks)) {
		other->times->woke = bench_clock_ns();
		if (registers)
			touch_registers(registers);
		other->times->touched = bench_clock_ns();
		if (send(answers, frame, sizeof(frame), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

static struct other other_start(volatile uint32_t *registers)
{
	struct other other = {.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	int pair[2];

	other.times = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (other.wake < 0 || other.times == MAP_FAILED || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		bench_fail("no second process: %s", strerror(errno));
	other.pid = fork();
	if (other.pid < 0)
		bench_fail("fork: %s", strerror(errno));
	if (other.pid == 0) {
		use_processor(0, DRIVER_PROCESSOR);
		(void)close(pair[0]);
		other_serve(&other, pair[1], registers);
	}
	(void)close(pair[1]);
	other.socket = pair[0];
	return other;
}

static void other_stop(const struct other *other)
{
	(void)kill(other->pid, SIGKILL);
	(void)waitpid(other->pid, NULL, 0);
	(void)close(other->socket);
	(void)close(other->wake);
	(void)munmap(other->times, PAGE);
}

/* ------------------------------------------------------------------ one measurement each */

static void be_quiet(void)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = QUIET_NS}, NULL);
}

static void signal_eventfd(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		bench_fail("eventfd: %s", strerror(errno));
}

/* What became of one signal, on the way through the second process. */
struct parts {
	uint64_t wake; /* until it runs */
	uint64_t registers;
	uint64_t message; /* until we have it */
};

static struct parts time_other(const struct other *other)
{
	struct pollfd wait = {.fd = other->socket, .events = POLLIN};
	uint8_t frame[FRAME_BYTES];

	be_quiet();
	uint64_t start = bench_clock_ns();
	signal_eventfd(other->wake);
	if (poll(&wait, 1, WAIT_MS) != 1 || recv(other->socket, frame, sizeof(frame), 0) <= 0)
		bench_fail("the second process does not answer");
	return (struct parts){.wake = other->times->woke - start,
			      .registers = other->times->touched - other->times->woke,
			      .message = bench_clock_ns() - other->times->touched};
}

/* 0: npud's watchdog, which looks at a busy device four times a second, was first. */
static uint64_t time_npud(struct npu_connection *connection, struct npu_job *job, const struct stolen *stolen)
{
	struct pollfd wait = {.fd = stolen->interrupt, .events = POLLIN};
	struct npu_result result = {0};
	uint64_t ticket, ticks;

	if (npu_job_submit(job, NULL, &ticket) < 0)
		bench_fail("submit: %s", npu_error());
	if (poll(&wait, 1, WAIT_MS) != 1 || read(stolen->interrupt, &ticks, sizeof(ticks)) != sizeof(ticks))
		bench_fail("the device does not signal the end of a job");
	be_quiet();
	if (npu_wait(connection, ticket, 0, NULL) != -ETIMEDOUT)
		return 0;
	uint64_t start = bench_clock_ns();
	signal_eventfd(stolen->irq_fd);
	if (npu_wait(connection, ticket, WAIT_MS * 1000000LL, &result) < 0 || result.outcome != NPU_DONE)
		bench_fail("wait: %s", npu_error());
	return bench_clock_ns() - start;
}

/* ------------------------------------------------------------------ the rows */

static struct npu_job *noop_job(struct npu_connection *connection)
{
	struct npu_graph *graph = NULL;
	struct npu_job *job = NULL;
	size_t bytes = 0;
	void *executable = noop_executable(NOOP_TENSORS, &bytes);

	if (npu_graph_load_memory(connection, executable, bytes, &graph) < 0 || npu_job_create(graph, &job) < 0 ||
	    npu_job_run(job, NULL) < 0)
		bench_fail("the no-op job: %s", npu_error());
	free(executable);
	return job;
}

static uint64_t without(uint64_t time, uint64_t part)
{
	return time > part ? time - part : 1;
}

static uint64_t time_job(struct npu_connection *connection, struct npu_job *job, const struct stolen *stolen)
{
	uint64_t time = 0;

	while (time == 0)
		time = time_npud(connection, job, stolen);
	return time;
}

struct row {
	const char *name;
	double goal;
	struct pairs pairs;
};

enum { ROW_WAKE, ROW_REST, ROW_OWN, ROW_DRIVER, ROW_RAW, ROW_REGISTERS, ROW_MESSAGE, ROWS };

static void note(struct row *row, uint32_t at, uint64_t ours, uint64_t baseline)
{
	row->pairs.ours[at] = ours;
	row->pairs.baseline[at] = baseline;
}

/* One of each, in turn: two raw drivers, without and with registers, and npud. */
static void measure_once(struct row rows[ROWS], uint32_t at, uint64_t wake, const struct parts *raw, uint64_t ours)
{
	uint64_t all = raw->wake + raw->registers + raw->message;

	note(&rows[ROW_WAKE], at, ours, wake);
	note(&rows[ROW_REST], at, without(ours, raw->registers), wake);
	note(&rows[ROW_OWN], at, without(ours, raw->registers + raw->message), wake);
	note(&rows[ROW_DRIVER], at, ours, all);
	note(&rows[ROW_RAW], at, all, wake);
	note(&rows[ROW_REGISTERS], at, raw->registers, wake);
	note(&rows[ROW_MESSAGE], at, raw->message, wake);
}

static void measure(const struct guest *guest, struct npu_connection *connection, struct npu_job *job,
		    const struct stolen *stolen)
{
	struct row rows[ROWS] = {
	    [ROW_WAKE] = {.name = "interrupt to JobDone / a wake-up", .goal = 2},
	    [ROW_REST] = {.name = "... without its registers", .goal = 2},
	    [ROW_OWN] = {.name = "... nor its client's wake-up", .goal = 2},
	    [ROW_DRIVER] = {.name = "interrupt to JobDone / raw driver"},
	    [ROW_RAW] = {.name = "raw driver / a wake-up"},
	    [ROW_REGISTERS] = {.name = "... its registers alone"},
	    [ROW_MESSAGE] = {.name = "... its message alone"},
	};
	struct other waker = other_start(NULL), least = other_start(stolen->registers);

	for (size_t i = 0; i < ROWS; i++)
		rows[i].pairs = pairs_new(guest, 300);
	for (uint32_t i = 0; i < rows[0].pairs.count + WARM_UP; i++) {
		struct parts raw = time_other(&least);
		uint64_t wake = time_other(&waker).wake;

		measure_once(rows, i < WARM_UP ? 0 : i - WARM_UP, wake, &raw, time_job(connection, job, stolen));
	}
	other_stop(&waker);
	other_stop(&least);
	for (size_t i = 0; i < ROWS; i++)
		pairs_row(&rows[i].pairs, rows[i].name, rows[i].goal);
}

void interrupt_rows(const struct guest *guest)
{
	struct npu_connection *connection = NULL;
	struct stolen stolen;

	if (npu_connect(guest->socket, &connection) < 0)
		bench_fail("npud: %s", npu_error());
	struct npu_job *job = noop_job(connection);
	use_processor(guest->npud_pid, DRIVER_PROCESSOR);
	use_processor(0, CLIENT_PROCESSOR);
	steal_interrupt(&stolen, guest->npud_pid);
	measure(guest, connection, job, &stolen);
	return_interrupt(&stolen);
	npu_disconnect(connection);
}
