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

#include "daemon/core/host.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/util/lockfile.h"
#include "daemon/unit.h"
#include "daemon/wire/server.h"

#define STOP_SECONDS 5

struct daemon {
	const struct config *config;
	struct event_base *base;
	struct unit_loop loop;
	struct host *host;
	struct server *server;
	int socket_lock;
	struct unit units[HOST_MAX_DEVICES];
	uint32_t unit_count;
	uint32_t opened; /* of them, when npud starts */
	struct event sigterm;
	struct event sigint;
	struct event stop_timer;
	bool stopping;
};

/* ------------------------------------------------------------------ devices */

static void flush_server(void *user)
{
	const struct daemon *daemon = user;

	if (daemon->server)
		server_flush(daemon->server);
}

static enum daemon_exit open_devices(struct daemon *daemon)
{
	for (uint32_t i = 0; i < daemon->config->device_count; i++) {
		int error = unit_open(&daemon->units[daemon->unit_count], daemon->config, i);
		if (error < 0)
			return error == -EBUSY ? EXIT_DEVICE_TAKEN : EXIT_FAILED;
		daemon->unit_count++;
		daemon->opened += (unsigned)error;
	}
	/* With one, sessions can be served until the others come; with none, whoever started npud has to know. */
	if (daemon->opened == 0) {
		log_event(LOG_LEVEL_ERROR, "daemon.no_device",
			  LOG_STR("advice", "no device of the configuration could be opened; see the lines above"));
		return EXIT_NO_DEVICE;
	}
	return EXIT_OK;
}

/* Isolation is what the daemon is for: where the operator has switched it off between users, the log says so. */
static void warn_of_sharing(const struct tenant_profile *profile)
{
	bool users = profile->address_space == TENANT_SPACE_SHARED ||
		     (profile->address_space == TENANT_SPACE_TENANT && profile->per == TENANT_PER_RULE);

	if (users)
		log_event(LOG_LEVEL_WARN, "tenant.not_isolated", LOG_STR("tenant", profile->name),
			  LOG_STR("advice", "programs of its sessions can read and change memory of one another's; "
					    "address_space \"private\" keeps them apart"));
}

static enum daemon_exit make_host(struct daemon *daemon)
{
	struct host_options options;

	config_host_options(daemon->config, &options);
	options.rights.own_uid = geteuid();
	warn_of_sharing(&options.tenants.fallback);
	for (uint32_t i = 0; i < options.tenants.count; i++)
		warn_of_sharing(&options.tenants.rule[i].profile);
	if (host_new(&options, daemon->unit_count, &daemon->host) < 0)
		return EXIT_FAILED;
	for (uint32_t i = 0; i < daemon->unit_count; i++)
		if (host_add_device(daemon->host, daemon->units[i].device) < 0 ||
		    unit_start(&daemon->units[i], &daemon->loop) < 0)
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

/* One that tells edges: an interrupt's descriptor stays readable. */
static struct event_base *new_loop(void)
{
	struct event_config *config = event_config_new();

	if (!config)
		return NULL;
	(void)event_config_require_features(config, EV_FEATURE_ET);
	struct event_base *base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static enum daemon_exit build(struct daemon *daemon)
{
	enum daemon_exit code = take_socket(daemon);

	if (code == EXIT_OK)
		code = open_devices(daemon);
	if (code != EXIT_OK)
		return code;
	daemon->base = new_loop();
	if (!daemon->base)
		return EXIT_FAILED;
	daemon->loop = (struct unit_loop){daemon->base, flush_server, daemon};
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
	for (uint32_t i = daemon->unit_count; i-- > 0;)
		unit_close(&daemon->units[i]);
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
			  LOG_U64("devices", daemon.opened), LOG_U64("absent", daemon.unit_count - daemon.opened),
			  LOG_STR("version", NPUD_VERSION));
		if (event_base_dispatch(daemon.base) < 0)
			code = EXIT_FAILED;
	}
	destroy(&daemon);
	return code;
}
