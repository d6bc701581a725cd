/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that close and say so through a pipe; see discard.h. Nothing here waits for them but the end of npud. */
#include "daemon/wire/discard.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/util/clock.h"
#include "daemon/wire/frame.h"

/* close() and write() need little; sanitizers need more. */
#define STACK_BYTES ((size_t)256 * 1024)
#define RETRY_US 100000L
#define MOMENT_MS 1000
#define MAX_SOCKETS 256u

struct discarder {
	int reports[2]; /* pointers of what is done */
	unsigned count; /* under way */
	unsigned sockets; /* of them, those that are on their own */
	struct list waiting; /* no thread was to be had */
	struct event readable;
	struct event retry;
};

static void *close_all(void *arg)
{
	struct discard *discard = arg;

	for (unsigned i = 0; i < discard->count; i++)
		close(discard->fds[i]);
	/* Waits when the pipe is full, and fails when npud stops: nobody needs to know any more. */
	(void)!write(discard->discarder->reports[1], &discard, sizeof(discard));
	return NULL;
}

static int start_thread(struct discard *discard)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;

	int error = pthread_attr_init(&attributes);
	if (error)
		return -error;
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	/* Signals are the loop's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attributes, close_all, discard);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	return -error;
}

/*
 * Without a thread it waits: its connection is neither read nor forgotten meanwhile, so what waits is bounded as what
 * is stuck is. To close it here would be to trust the client.
 */
static void start_or_wait(struct discard *discard)
{
	static const struct timeval pause = {0, RETRY_US};
	struct discarder *discarder = discard->discarder;
	int error = start_thread(discard);

	if (error == 0)
		return;
	log_peer_event(discard->uid, LOG_LEVEL_WARN, "discard.waits", LOG_U64("uid", discard->uid),
		       LOG_U64("descriptors", discard->count), LOG_STR("reason", strerror(-error)),
		       LOG_STR("advice", "no thread could be started to close them: raise TasksMax of the unit"));
	list_append(&discarder->waiting, &discard->link);
	(void)event_add(&discarder->retry, &pause);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct discarder *discarder = arg;
	struct list batch;

	(void)fd;
	(void)what;
	list_init(&batch);
	list_splice(&batch, &discarder->waiting);
	while (!list_empty(&batch)) {
		struct discard *discard = list_entry(list_first(&batch), struct discard, link);
		list_remove(&discard->link);
		start_or_wait(discard);
	}
}

static bool take_report(struct discarder *discarder)
{
	struct discard *discard;

	if (read(discarder->reports[0], &discard, sizeof(discard)) != (ssize_t)sizeof(discard))
		return false;
	discarder->count--;
	discard->count = 0;
	if (discard->fds != discard->few)
		free(discard->fds);
	discard->done(discard);
	return true;
}

static void on_report(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	while (take_report(arg))
		;
}

int discarder_new(struct event_base *base, struct discarder **out)
{
	struct discarder *discarder = calloc(1, sizeof(*discarder));

	if (!discarder)
		return -ENOMEM;
	list_init(&discarder->waiting);
	if (pipe2(discarder->reports, O_CLOEXEC) < 0) {
		int error = -errno;
		free(discarder);
		return error;
	}
	int error = fcntl(discarder->reports[0], F_SETFL, O_NONBLOCK);
	error |=
	    event_assign(&discarder->readable, base, discarder->reports[0], EV_READ | EV_PERSIST, on_report, discarder);
	error |= evtimer_assign(&discarder->retry, base, on_retry, discarder);
	error |= event_add(&discarder->readable, NULL);
	if (error < 0) {
		discarder_free(discarder);
		return -ENOMEM;
	}
	*out = discarder;
	return 0;
}

void discarder_free(struct discarder *discarder)
{
	if (!discarder)
		return;
	struct pollfd report = {.fd = discarder->reports[0], .events = POLLIN};
	nsec_t end = nsec_add(clock_now(), MOMENT_MS * NSEC_PER_MSEC);
	while (discarder->count > 0 && clock_now().v < end.v && poll(&report, 1, MOMENT_MS) > 0)
		(void)take_report(discarder);
	event_del(&discarder->readable);
	event_del(&discarder->retry);
	close(discarder->reports[0]);
	/* Threads that are stuck still have the rest, and the end of the process ends them. */
	if (discarder->count > 0)
		return;
	close(discarder->reports[1]);
	free(discarder);
}

unsigned discarder_count(const struct discarder *discarder)
{
	return discarder->count;
}

void discard_init(struct discard *discard, struct discarder *discarder, uid_t uid,
		  void (*done)(struct discard *discard))
{
	list_init(&discard->link);
	discard->discarder = discarder;
	discard->done = done;
	discard->uid = uid;
	discard->count = 0;
}

bool discard_is_under_way(const struct discard *discard)
{
	return discard->count > 0;
}

void discard_start(struct discard *discard, const int *fds, unsigned count)
{
	if (count == 0)
		return;
	discard->fds = count <= NPUD_MAX_FRAME_FDS ? discard->few : malloc(count * sizeof(*fds));
	if (!discard->fds) {
		log_peer_event(discard->uid, LOG_LEVEL_ERROR, "discard.failed", LOG_U64("uid", discard->uid),
			       LOG_U64("descriptors", count), LOG_STR("reason", "no memory; they stay open"));
		return;
	}
	memcpy(discard->fds, fds, count * sizeof(*fds));
	discard->count = count;
	discard->discarder->count++;
	start_or_wait(discard);
}

static void on_socket_closed(struct discard *discard)
{
	discard->discarder->sockets--;
	free(discard);
}

void discard_socket(struct discarder *discarder, uid_t uid, int fd)
{
	struct discard *discard = frame_shut(fd) ? NULL : malloc(sizeof(*discard));

	/* Out of memory, all that is left is to hope. */
	if (!discard) {
		close(fd);
		return;
	}
	discard_init(discard, discarder, uid, on_socket_closed);
	discarder->sockets++;
	discard_start(discard, &fd, 1);
}

bool discarder_has_room(const struct discarder *discarder)
{
	return discarder->sockets < MAX_SOCKETS;
}
