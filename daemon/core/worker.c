/* SPDX-License-Identifier: Apache-2.0 */
/* The worker thread and its two queues. Knows nothing of what the work is. */
#include "daemon/core/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct worker {
	bool threaded;
	bool stopping;
	int fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list todo;
	struct list finished;
};

static struct work *take(struct list *from)
{
	struct list *first = list_first(from);

	if (!first)
		return NULL;
	list_remove(first);
	return list_entry(first, struct work, link);
}

void worker_report(struct worker *worker, struct work *work)
{
	static const uint64_t one = 1;

	pthread_mutex_lock(&worker->lock);
	list_append(&worker->finished, &work->link);
	pthread_mutex_unlock(&worker->lock);
	/* EAGAIN means that the counter is at its ceiling: readable anyway. */
	if (write(worker->fd, &one, sizeof(one)) < 0)
		return;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;

	for (;;) {
		pthread_mutex_lock(&worker->lock);
		while (list_empty(&worker->todo) && !worker->stopping)
			pthread_cond_wait(&worker->wake, &worker->lock);
		struct work *work = take(&worker->todo);
		pthread_mutex_unlock(&worker->lock);
		if (!work)
			return NULL;
		work->run(work);
		worker_report(worker, work);
	}
}

static int start_thread(struct worker *worker)
{
	sigset_t all;
	sigset_t before;

	/* Signals are the loop's. */
	sigfillset(&all);
	int error = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error)
		return -error;
	error = pthread_create(&worker->thread, NULL, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

int worker_new(bool threaded, struct worker **out)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return -ENOMEM;
	worker->threaded = threaded;
	list_init(&worker->todo);
	list_init(&worker->finished);
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->wake, NULL);
	int error = 0;
	worker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->fd < 0)
		error = -errno;
	else if (threaded)
		error = start_thread(worker);
	if (error < 0) {
		worker->threaded = false;
		worker_free(worker);
		return error;
	}
	*out = worker;
	return 0;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	if (worker->threaded) {
		pthread_mutex_lock(&worker->lock);
		worker->stopping = true;
		pthread_cond_signal(&worker->wake);
		pthread_mutex_unlock(&worker->lock);
		pthread_join(worker->thread, NULL);
		worker_reap(worker);
	}
	/* done() may have submitted more: there is no thread any more, so it runs here. */
	while (worker_step(worker))
		;
	if (worker->fd >= 0)
		close(worker->fd);
	pthread_cond_destroy(&worker->wake);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

void worker_submit(struct worker *worker, struct work *work)
{
	pthread_mutex_lock(&worker->lock);
	list_append(&worker->todo, &work->link);
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
}

int worker_fd(const struct worker *worker)
{
	return worker->fd;
}

void worker_reap(struct worker *worker)
{
	struct list finished;
	uint64_t count;

	if (read(worker->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	list_init(&finished);
	pthread_mutex_lock(&worker->lock);
	list_splice(&finished, &worker->finished);
	pthread_mutex_unlock(&worker->lock);
	for (struct work *work = take(&finished); work; work = take(&finished))
		work->done(work);
}

bool worker_step(struct worker *worker)
{
	struct work *work = take(&worker->todo);

	if (work)
		work->run(work);
	else
		work = take(&worker->finished);
	if (!work)
		return false;
	work->done(work);
	return true;
}
