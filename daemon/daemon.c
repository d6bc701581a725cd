/* SPDX-License-Identifier: Apache-2.0 */
/* Wiring: locks, devices, loop, socket; then serve; then the same in reverse. Decides nothing about requests. */
#include "daemon/daemon.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/core/device.h"
#include "daemon/core/host.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/opener.h"
#include "daemon/util/clock.h"
#include "daemon/util/lockfile.h"
#include "daemon/wire/server.h"

#define STOP_SECONDS 5
#define DEVICE_LOCK ".npud.lock" /* the server of the socket may have a lock of its own */

struct daemon;

/* A device and its events on the loop. */
struct unit {
	struct daemon *daemon;
	struct device *device;
	struct opener opener;
	int lock; /* negative: the kernel has one */
	int life_fd;
	struct event irq;
	struct event life;
	struct event timer;
	struct event worker;
	bool watched;
};

struct daemon {
	const struct config *config;
	struct event_base *base;
	struct host *host;
	struct server *server;
	int socket_lock;
	struct unit units[HOST_MAX_DEVICES];
	uint32_t unit_count;
	struct event sigterm;
	struct event sigint;
	struct event stop_timer;
	bool stopping;
};

/* ------------------------------------------------------------------ devices on the loop */

static void on_irq(evutil_socket_t fd, short what, void *arg)
{
	struct unit *unit = arg;

	(void)fd;
	(void)what;
	device_irq(unit->device);
}

static void on_life(evutil_socket_t fd, short what, void *arg)
{
	struct unit *unit = arg;

	(void)fd;
	(void)what;
	device_life(unit->device);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct unit *unit = arg;

	(void)fd;
	(void)what;
	device_tick(unit->device);
}

static void on_worker(evutil_socket_t fd, short what, void *arg)
{
	struct unit *unit = arg;

	(void)fd;
	(void)what;
	worker_reap(unit->device->worker);
}

/* A device that was opened again has other descriptors. */
static int unit_assign(struct unit *unit)
{
	struct event_base *base = unit->daemon->base;
	const struct vfio_device *vfio = unit->device->vfio;

	unit->life_fd = vfio->life_fd;
	int error = event_assign(&unit->irq, base, vfio->irq_fd, EV_READ | EV_PERSIST, on_irq, unit);
	if (unit->life_fd >= 0)
		error |= event_assign(&unit->life, base, unit->life_fd, EV_READ | EV_PERSIST, on_life, unit);
	return error;
}

static void unit_watch(void *user, bool on)
{
	struct unit *unit = user;

	if (on == unit->watched)
		return;
	unit->watched = on;
	if (on) {
		if (unit_assign(unit) < 0 || event_add(&unit->irq, NULL) < 0)
			log_event(LOG_LEVEL_ERROR, "loop.failed", LOG_STR("what", "interrupt event"));
		if (unit->life_fd >= 0)
			(void)event_add(&unit->life, NULL);
	} else {
		event_del(&unit->irq);
		if (unit->life_fd >= 0)
			event_del(&unit->life);
	}
}

static void unit_arm(void *user, uint64_t ns)
{
	struct unit *unit = user;
	struct timeval when = {(time_t)(ns / NSEC_PER_SEC), (suseconds_t)(ns % NSEC_PER_SEC / 1000) + 1};

	(void)event_add(&unit->timer, &when);
}

static void unit_flush(void *user)
{
	struct unit *unit = user;

	if (unit->daemon->server)
		server_flush(unit->daemon->server);
}

static int unit_start(struct daemon *daemon, struct unit *unit)
{
	static const struct device_hooks hooks = {unit_watch, unit_arm, unit_flush};
	struct event_base *base = daemon->base;

	unit->daemon = daemon;
	int error = unit_assign(unit);
	error |= evtimer_assign(&unit->timer, base, on_timer, unit);
	error |=
	    event_assign(&unit->worker, base, worker_fd(unit->device->worker), EV_READ | EV_PERSIST, on_worker, unit);
	error |= event_add(&unit->worker, NULL);
	if (error == 0)
		device_set_hooks(unit->device, &hooks, unit);
	return error;
}

static void unit_stop(struct unit *unit)
{
	unit_watch(unit, false);
	event_del(&unit->timer);
	event_del(&unit->worker);
	device_free(unit->device);
	unit->device = NULL;
}

/* ------------------------------------------------------------------ opening devices */

static int open_source(void *user, struct vfio_device **vfio, struct npu_device **npu, char *why, size_t why_bytes)
{
	const struct unit *unit = user;

	return opener_open(&unit->opener, vfio, npu, why, why_bytes);
}

/* A socket can be served to anybody who connects; a device of the kernel has one owner, the kernel sees to that. */
static int take_lock(const struct config_device *config)
{
	return config->transport == TRANSPORT_VFIO_USER ? lockfile_take(config->path, DEVICE_LOCK) : -ENOLCK;
}

static int open_unit(struct unit *unit, const struct config_device *config, char *why, size_t why_bytes)
{
	const struct device_source source = {open_source, unit};
	struct vfio_device *vfio;
	struct npu_device *npu;

	int error = opener_open(&unit->opener, &vfio, &npu, why, why_bytes);
	if (error == 0)
		error = device_new(config->name, vfio, npu, true, &unit->device);
	if (error == 0)
		device_set_source(unit->device, &source);
	return error;
}

static void log_ready(const struct unit *unit, const char *refused)
{
	const struct device *device = unit->device;
	char why[256];

	log_event(LOG_LEVEL_INFO, "device.ready", LOG_STR("device", device->name),
		  LOG_STR("path", opener_place(unit->opener.config)), LOG_STR("transport", device->vfio->ops->name),
		  LOG_STR("npu", device->identity.name), LOG_U64("cores", device->identity.cores),
		  LOG_U64("tecs", device->identity.tecs), LOG_U64("gm_bytes", device->identity.gm_bytes),
		  LOG_STR("refused", refused));
	if (opener_check_memory(&unit->opener, device->vfio, why, sizeof(why)) > 0)
		log_event(LOG_LEVEL_WARN, "device.memory_limit", LOG_STR("device", device->name),
			  LOG_STR("reason", why));
}

static enum daemon_exit open_device(struct daemon *daemon, uint32_t index)
{
	const struct config_device *config = &daemon->config->devices[index];
	struct unit *unit = &daemon->units[daemon->unit_count];
	struct host_options options;
	char why[512] = "";

	config_host_options(daemon->config, &options);
	/* Each device pins the memory of one session at a time, or of all; control blocks count, too. */
	unit->opener = (struct opener){
	    .config = config,
	    .quirks = options.quirks,
	    .session_bytes = (options.session_maximum[QUOTA_BUFFER_BYTES] + ARENA_BYTES) * daemon->config->device_count,
	    .all_bytes = options.daemon_maximum[QUOTA_BUFFER_BYTES] + options.daemon_maximum[QUOTA_TCB_BYTES],
	};
	unit->lock = take_lock(config);
	int error = 0;
	if (unit->lock < 0 && unit->lock != -ENOLCK) {
		error = unit->lock == -EWOULDBLOCK ? -EBUSY : unit->lock;
		(void)snprintf(why, sizeof(why), "%s" DEVICE_LOCK ": %s", config->path, strerror(-unit->lock));
	}
	if (error == 0)
		error = open_unit(unit, config, why, sizeof(why));
	if (error == 0) {
		daemon->unit_count++;
		log_ready(unit, why);
		return EXIT_OK;
	}
	if (unit->lock >= 0)
		close(unit->lock);
	if (error == -EBUSY)
		log_event(LOG_LEVEL_ERROR, "device.taken", LOG_U64("index", index),
			  LOG_STR("path", opener_place(config)), LOG_STR("reason", why),
			  LOG_STR("advice", "another process, perhaps an npud, has this device; stop it first"));
	else
		log_event(LOG_LEVEL_ERROR, "device.failed", LOG_U64("index", index), LOG_STR("device", config->name),
			  LOG_STR("reason", why));
	return error == -EBUSY ? EXIT_DEVICE_TAKEN : EXIT_NO_DEVICE;
}

static enum daemon_exit open_devices(struct daemon *daemon)
{
	for (uint32_t i = 0; i < daemon->config->device_count; i++)
		if (open_device(daemon, i) == EXIT_DEVICE_TAKEN)
			return EXIT_DEVICE_TAKEN;
	if (daemon->unit_count == 0) {
		log_event(LOG_LEVEL_ERROR, "daemon.no_device",
			  LOG_STR("advice", "no device of the configuration could be opened; see the lines above"));
		return EXIT_NO_DEVICE;
	}
	return EXIT_OK;
}

static enum daemon_exit make_host(struct daemon *daemon)
{
	struct host_options options;

	config_host_options(daemon->config, &options);
	if (host_new(&options, daemon->unit_count, &daemon->host) < 0)
		return EXIT_FAILED;
	for (uint32_t i = 0; i < daemon->unit_count; i++)
		if (host_add_device(daemon->host, daemon->units[i].device) < 0 ||
		    unit_start(daemon, &daemon->units[i]) < 0)
			return EXIT_FAILED;
	return EXIT_OK;
}

/* ------------------------------------------------------------------ socket and signals */

static enum daemon_exit take_socket(struct daemon *daemon)
{
	const char *path = daemon->config->socket.path;

	daemon->socket_lock = lockfile_take(path, ".lock");
	if (daemon->socket_lock >= 0)
		return EXIT_OK;
	if (daemon->socket_lock == -EWOULDBLOCK) {
		log_event(LOG_LEVEL_ERROR, "socket.taken", LOG_STR("path", path),
			  LOG_STR("advice", "another npud serves this socket; stop it first"));
		return EXIT_SOCKET_TAKEN;
	}
	log_event(LOG_LEVEL_ERROR, "socket.failed", LOG_STR("path", path),
		  LOG_STR("reason", strerror(-daemon->socket_lock)),
		  LOG_STR("advice", "the directory has to exist and be writable"));
	return EXIT_FAILED;
}

static enum daemon_exit start_server(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	struct server_options options = {
	    .path = config->socket.path,
	    .mode = config->socket.mode,
	    .group = config->socket.group,
	    .listen_fd = notify_listen_fd(),
	    .connections = config->limits.connections,
	    .connections_per_user = config->limits.connections_per_user,
	    .hello_ms = config->limits.hello_ms,
	};
	char why[256] = "";

	if (options.listen_fd < 0 && options.listen_fd != -ENOENT) {
		log_event(
		    LOG_LEVEL_ERROR, "socket.failed",
		    LOG_STR("reason", "the service manager passed something else than one SOCK_SEQPACKET listener"));
		return EXIT_FAILED;
	}
	if (server_new(daemon->base, daemon->host, &options, &daemon->server, why) < 0) {
		log_event(LOG_LEVEL_ERROR, "socket.failed", LOG_STR("reason", why));
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static void on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval tick = {0, 20000};
	static int ticks;
	struct daemon *daemon = arg;

	(void)fd;
	(void)what;
	/* Sessions go when the device lets go of their memory. */
	if (daemon->host->session_count == 0 || ++ticks > STOP_SECONDS * 50)
		(void)event_base_loopbreak(daemon->base);
	else
		(void)event_add(&daemon->stop_timer, &tick);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)what;
	if (daemon->stopping)
		return;
	daemon->stopping = true;
	log_event(LOG_LEVEL_INFO, "daemon.stop", LOG_U64("signal", (uint64_t)number),
		  LOG_U64("sessions", daemon->host->session_count));
	notify_send("STOPPING=1");
	server_stop(daemon->server);
	on_stop_timer(-1, 0, daemon);
}

static enum daemon_exit watch_signals(struct daemon *daemon)
{
	int error = evsignal_assign(&daemon->sigterm, daemon->base, SIGTERM, on_signal, daemon);

	error |= evsignal_assign(&daemon->sigint, daemon->base, SIGINT, on_signal, daemon);
	error |= evtimer_assign(&daemon->stop_timer, daemon->base, on_stop_timer, daemon);
	error |= event_add(&daemon->sigterm, NULL);
	error |= event_add(&daemon->sigint, NULL);
	return error < 0 ? EXIT_FAILED : EXIT_OK;
}

/* Each buffer is a descriptor. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_event(LOG_LEVEL_WARN, "limit.failed", LOG_STR("what", "RLIMIT_NOFILE"));
}

/* ------------------------------------------------------------------ the whole */

static enum daemon_exit build(struct daemon *daemon)
{
	enum daemon_exit code = take_socket(daemon);

	if (code == EXIT_OK)
		code = open_devices(daemon);
	if (code != EXIT_OK)
		return code;
	daemon->base = event_base_new();
	if (!daemon->base)
		return EXIT_FAILED;
	code = make_host(daemon);
	if (code == EXIT_OK)
		code = watch_signals(daemon);
	if (code == EXIT_OK)
		code = start_server(daemon);
	return code;
}

static void destroy(struct daemon *daemon)
{
	server_free(daemon->server);
	daemon->server = NULL;
	if (daemon->base && event_initialized(&daemon->sigterm)) {
		event_del(&daemon->sigterm);
		event_del(&daemon->sigint);
		event_del(&daemon->stop_timer);
	}
	for (uint32_t i = daemon->unit_count; i-- > 0;) {
		if (event_initialized(&daemon->units[i].worker))
			unit_stop(&daemon->units[i]);
		else
			device_free(daemon->units[i].device);
		if (daemon->units[i].lock >= 0)
			close(daemon->units[i].lock);
	}
	host_free(daemon->host);
	if (daemon->base)
		event_base_free(daemon->base);
	if (daemon->socket_lock >= 0)
		close(daemon->socket_lock);
	libevent_global_shutdown();
}

enum daemon_exit daemon_run(const struct config *config)
{
	struct daemon daemon = {.config = config, .socket_lock = -1};

	(void)signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();
	enum daemon_exit code = build(&daemon);
	if (code == EXIT_OK) {
		notify_send("READY=1");
		log_event(LOG_LEVEL_INFO, "daemon.ready", LOG_STR("socket", config->socket.path),
			  LOG_U64("devices", daemon.unit_count), LOG_STR("version", NPUD_VERSION));
		if (event_base_dispatch(daemon.base) < 0)
			code = EXIT_FAILED;
	}
	destroy(&daemon);
	return code;
}
