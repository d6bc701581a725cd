/* SPDX-License-Identifier: Apache-2.0 */
/**
 * DOC: libnpu, the client library of npud
 *
 * Load a Zhouyi executable, bind tensors, submit, wait. Functions return 0 or a negative errno unless they say
 * otherwise; npu_error() then tells the calling thread what failed, where, and what to do.
 *
 * Thread-safety: every function may be called from any thread on any object at the same time, except that an object
 * must not be freed while another call uses it. After fork() the child must not use objects of the parent: every call
 * fails with -EOWNERDEAD, and tensor memory is not mapped there.
 *
 * Ownership: a connection owns its graphs, a graph its jobs. Freeing an owner while it has children is refused with
 * -EBUSY, except npu_disconnect(), which ends everything.
 */
#ifndef NPU_NPU_H
#define NPU_NPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* the library hides everything else */
#endif

struct npu_connection;
struct npu_graph;
struct npu_job;
struct npu_maps;
struct npu_queue;
struct npu_fence;
struct npu_ps;
struct npu_timeline;

#define NPU_MAX_RANK 8
#define NPU_NAME_BYTES 128
#define NPU_WAIT_FOREVER (-1)
#define NPU_MAX_DEPENDENCIES 8 /* of a submission, fences included */
#define NPU_FENCE_TOKEN_BYTES 24
#define NPU_PS_SUBMISSIONS 8 /* that are named of a session */

enum npu_generation { NPU_V1 = 1, NPU_V2 = 2, NPU_V3 = 3, NPU_V3_2 = 4 };
enum npu_device_status { NPU_DEVICE_READY = 1, NPU_DEVICE_RECOVERING = 2, NPU_DEVICE_OFFLINE = 3 };
enum npu_direction { NPU_INPUT = 0, NPU_OUTPUT = 1 };

/* Tensor element types; the numbers are those of Zhouyi executables. */
enum npu_type {
	NPU_TYPE_NONE = 0,
	NPU_BOOL = 1,
	NPU_U8 = 2,
	NPU_S8 = 3,
	NPU_U16 = 4,
	NPU_S16 = 5,
	NPU_U32 = 6,
	NPU_S32 = 7,
	NPU_U64 = 8,
	NPU_S64 = 9,
	NPU_F16 = 0xa,
	NPU_F32 = 0xb,
	NPU_F64 = 0xc,
	NPU_BF16 = 0xd,
};

enum npu_outcome {
	NPU_DONE = 1,
	NPU_EXCEPTION = 2, /* the program raised an exception or ran an illegal instruction */
	NPU_FAULT = 3, /* the program reached memory that is not its own */
	NPU_TIMEOUT = 4, /* its device-time budget ran out */
	NPU_CANCELLED = 5,
	NPU_DEVICE_RESET = 6, /* lost to a reset that another job caused: submit again */
	NPU_DEVICE_GONE = 7,
	NPU_SHED = 8, /* its deadline could not be met: it never ran */
	NPU_QUARANTINED = 9, /* never ran: earlier jobs of this session or user hung or faulted too often */
	NPU_DEPENDENCY = 10, /* what it depends on did not end well: it never ran */
};

/* In the order in which they are served; each below another is guaranteed a remainder of the device's time. */
enum npu_class { NPU_CLASS_REALTIME = 1, NPU_CLASS_HIGH = 2, NPU_CLASS_NORMAL = 3, NPU_CLASS_IDLE = 4 };

enum npu_fence_state {
	NPU_FENCE_PENDING = 1,
	NPU_FENCE_DONE = 2,
	NPU_FENCE_FAILED = 3, /* the submission ended otherwise than well */
	NPU_FENCE_OWNER_GONE = 4, /* its session ended before it */
};

enum npu_cancel { NPU_CANCEL_QUEUED = 1, NPU_CANCEL_RUNNING = 2, NPU_CANCEL_FINISHED = 3 };

struct npu_device_info {
	char name[NPU_NAME_BYTES];
	enum npu_generation generation;
	enum npu_device_status status;
	uint32_t isa; /* 5 = X2 */
	uint32_t revision;
	uint32_t config; /* 1204 */
	uint32_t clusters;
	uint32_t cores; /* per cluster */
	uint32_t tecs; /* per core */
	uint64_t gm_bytes;
	uint64_t address_window_bytes;
};

struct npu_tensor_info {
	char name[NPU_NAME_BYTES]; /* empty when the executable carries no names */
	enum npu_type type;
	uint32_t rank; /* 0 also when the executable carries no shapes: then `bytes` alone is known */
	uint32_t shape[NPU_MAX_RANK];
	uint64_t bytes;
	float scale;
	int32_t zero_point;
};

struct npu_result {
	enum npu_outcome outcome;
	char message[512]; /* empty when NPU_DONE */
	uint32_t tcb_pointer; /* as the device reported it, 0 if it did not */
	uint32_t hardware_status;
	uint32_t signal_flags;
	uint64_t queued_ns; /* submit to doorbell */
	uint64_t device_ns; /* doorbell or previous completion, whichever is later, to completion */
	uint64_t device_ticks;
	uint64_t cookie;
	bool started; /* false: it certainly never reached the device, so running it again is safe whatever it writes */
};

enum npu_map_kind {
	NPU_MAP_BUFFER = 1, /* memory of the client: program, weights, tensors */
	NPU_MAP_ARENA = 2, /* memory of the daemon for the session's task control blocks */
};

enum npu_map_state {
	NPU_MAP_RESERVED = 1, /* the address is taken; the device does not reach the memory */
	NPU_MAP_LIVE = 2, /* the device reaches it */
	NPU_MAP_CHANGING = 3, /* one of the two in a moment */
};

/* One range of bus addresses of a session. */
struct npu_map {
	uint64_t session;
	uint64_t iova;
	uint64_t bytes;
	enum npu_map_kind kind;
	enum npu_map_state state;
	bool readable; /* by the device */
	bool writable;
};

struct npu_maps_session {
	uint64_t session; /* its number, as in the daemon's log */
	char device_name[NPU_NAME_BYTES]; /* as the daemon's configuration calls it */
	uint32_t device; /* less than npu_device_count() */
	uint32_t pid; /* of the process that connected, as the daemon sees it; 0 if it does not */
	uint32_t uid;
	uint32_t slot; /* its window of 4 GiB bus addresses */
	bool closing; /* the client is gone, its memory not yet */
	uint32_t map_count; /* when the session was read last; the same holds for the next three */
	uint32_t live_count; /* those that are NPU_MAP_LIVE */
	uint64_t map_bytes;
	uint64_t live_bytes;
};

enum npu_session_state {
	NPU_SESSION_OPEN = 1,
	NPU_SESSION_CLOSING = 2, /* its client is gone, what it had not yet */
	NPU_SESSION_QUARANTINED = 3, /* it or its tenant hung or faulted too often: no submission is taken */
};

/* Submissions that have not ended. */
struct npu_load {
	uint32_t waiting; /* for others before them, or for what they depend on */
	uint32_t queued; /* may run */
	uint32_t running; /* on the device */
};

struct npu_ps_session {
	uint64_t session; /* its number, as in the daemon's log */
	char tenant[NPU_NAME_BYTES];
	char client[NPU_NAME_BYTES]; /* what it calls itself */
	char device_name[NPU_NAME_BYTES]; /* as the daemon's configuration calls it */
	enum npu_session_state state;
	uint32_t device; /* less than npu_device_count() */
	uint32_t pid; /* of the process that connected, as the daemon sees it; 0 if it does not */
	uint32_t uid;
	bool attached; /* it holds the device */
	uint32_t queues; /* with its own */
	uint64_t buffers;
	uint64_t buffer_bytes;
	uint64_t jobs;
	struct npu_load load;
	uint32_t unreported; /* submissions that have ended, and the client has not been told */
	uint64_t completed; /* submissions that have ended, however */
	uint64_t device_ns; /* device time used so far */
	uint32_t share_permille; /* of the time that the device worked since the session began */
	uint32_t submission_count;
	uint64_t submissions[NPU_PS_SUBMISSIONS]; /* the oldest that have not ended: for npu_why_session() */
};

enum npu_why_state { NPU_WHY_WAITING = 1, NPU_WHY_QUEUED = 2, NPU_WHY_RUNNING = 3, NPU_WHY_ENDED = 4 };

/* What keeps a queued submission from the device; a waiting one: NPU_LIMIT_DEVICE_CHANGING while its session moves. */
enum npu_limit {
	NPU_LIMIT_ORDER = 1, /* others come first */
	NPU_LIMIT_IN_FLIGHT = 2, /* enough is in the hardware */
	NPU_LIMIT_TENURE = 3, /* another session holds the device and has work there */
	NPU_LIMIT_QUANTUM = 4, /* another session holds the device and may go on for a while */
	NPU_LIMIT_TENANT_TIME = 5, /* its tenant has used up its time */
	NPU_LIMIT_DEVICE_CHANGING = 6, /* the device changes hands or maps memory */
	NPU_LIMIT_DEVICE_RECOVERING = 7,
	NPU_LIMIT_DEVICE_OFFLINE = 8,
};

/* Counts are of the moment of the question; times are nanoseconds. */
struct npu_why {
	uint64_t session;
	uint64_t submission;
	uint64_t job; /* names of the session's objects; 0 of an ended one that was reported */
	uint64_t queue; /* 0: the session's own */
	enum npu_class class_of; /* 0 of an ended one */
	uint32_t device;
	enum npu_why_state state;
	uint64_t age_ns; /* since it was submitted */
	/* NPU_WHY_WAITING: for so many of each */
	uint32_t queue_ahead; /* submissions before it in its queue that wait, too */
	uint32_t job_ahead; /* earlier runs of its job */
	uint32_t dependencies; /* submissions that it was told to come after */
	uint32_t fences;
	/* NPU_WHY_QUEUED */
	uint32_t position; /* submissions that would run before it if nothing else came */
	uint32_t ahead[NPU_CLASS_IDLE + 1]; /* of them, by class */
	uint32_t ahead_own; /* of them, of its own tenant */
	uint32_t ahead_others; /* of them, of all other tenants together */
	uint32_t in_flight; /* on the device already */
	uint64_t wait_ns; /* estimate of how long all that takes */
	uint64_t throttled_ns; /* its tenant's time is used up for so long */
	uint32_t limits; /* bit 1 << enum npu_limit: all that apply */
	/* NPU_WHY_RUNNING */
	uint32_t device_ahead; /* on the device, before it */
	uint64_t running_ns; /* since it is its turn there; 0 while others are before it */
	uint64_t budget_left_ns;
	/* NPU_WHY_ENDED */
	enum npu_outcome outcome; /* 0 once the client was told */
};

/* A submission that has ended. Instants are nanoseconds of the host's CLOCK_MONOTONIC; 0: it did not come to that. */
struct npu_timeline_entry {
	uint64_t number; /* 1, 2... in the order of the ends */
	uint64_t session;
	uint64_t submission;
	uint64_t job;
	uint64_t queue; /* 0: the session's own */
	char tenant[NPU_NAME_BYTES];
	uint32_t device;
	enum npu_class class_of;
	enum npu_outcome outcome;
	uint64_t submitted_ns;
	uint64_t ready_ns; /* it waited for nothing but its turn */
	uint64_t scheduled_ns; /* its doorbell rang */
	uint64_t started_ns; /* the device came to it: doorbell or the completion before, whichever is later */
	uint64_t finished_ns;
};

/* Called from inside npu_dispatch(), npu_wait() or npu_disconnect(), with no lock held; any function may be called. */
typedef void (*npu_done_fn)(struct npu_job *job, uint64_t ticket, const struct npu_result *result, void *user);
typedef void (*npu_print_fn)(struct npu_job *job, uint32_t group, uint32_t task, const char *text, void *user);

struct npu_submit_options {
	uint64_t budget_ns; /* device time; 0 = the daemon's default */
	uint64_t cookie; /* returned in the result */
	npu_done_fn done; /* optional; the ticket is then released by the callback's return, not by npu_wait() */
	void *user;
};

/* When a submission runs, beside the order of its queue, and where. Start from NPU_RUN_OPTIONS. */
struct npu_run_options {
	size_t size; /* of this struct, as the program knows it */
	struct npu_queue *queue; /* NULL: the session's own */
	uint64_t deadline_ns; /* from the submission to its end; 0: none. What cannot meet it never runs: NPU_SHED */
	bool restartable; /* it overwrites none of its inputs: a recovery may run it again from the start */
	uint32_t after_count; /* with fence_count, NPU_MAX_DEPENDENCIES at most */
	uint32_t fence_count;
	const uint64_t *after; /* tickets of this connection that have to end NPU_DONE before it starts */
	struct npu_fence *const *fences; /* the same, by fence */
	struct npu_fence **fence; /* not NULL: receives a fence that ends with the submission, or NULL if the
				   * connection breaks meanwhile */
	uint32_t core; /* n: on core n - 1 of the NPU alone, with nothing beside it; 0: on any */
};
#define NPU_RUN_OPTIONS                                                                                                \
	{                                                                                                              \
		.size = sizeof(struct npu_run_options)                                                                 \
	}

/* --- connection */

/**
 * npu_connect - open a session with npud
 * @path: socket path; NULL = $NPU_SOCKET, else /run/npud/npud.sock
 * @out: receives the connection
 *
 * Errors: -ENOENT, -ECONNREFUSED, -EACCES (socket), -EPROTO (not npud), -EPROTONOSUPPORT (no common version), -ENOMEM.
 */
int npu_connect(const char *path, struct npu_connection **out);

/** npu_disconnect - end the session; frees its graphs and jobs, pending submissions end NPU_CANCELLED. NULL is legal.
 */
void npu_disconnect(struct npu_connection *connection);

/** npu_ping - one empty request and its reply */
int npu_ping(struct npu_connection *connection);

/** npu_device_count - number of NPUs the daemon serves */
uint32_t npu_device_count(struct npu_connection *connection);

/**
 * npu_device_index - the NPU that this session works on
 *
 * Less than npu_device_count(). While none of its submissions has still to end, the daemon may move the session to
 * another NPU that is alike: to one that is less busy with its next submission, to one that works when its own went
 * offline or is drained. Graphs, jobs, and what was asked about the device stay valid; nothing has to be done.
 *
 * Return: where the session is as far as the daemon has said.
 */
uint32_t npu_device_index(struct npu_connection *connection);

int npu_device_info(struct npu_connection *connection, uint32_t index, struct npu_device_info *info);

/** npu_fd - a descriptor that is readable when npu_dispatch() has work; owned by the connection */
int npu_fd(struct npu_connection *connection);

/** npu_dispatch - handle what arrived, run callbacks, without blocking; returns the number of completions handled or
 * -errno */
int npu_dispatch(struct npu_connection *connection);

/** npu_set_print - receive what NPU programs print; NULL restores the default, which drops it */
void npu_set_print(struct npu_connection *connection, npu_print_fn print, void *user);

/** npu_error - why the last call of this thread failed: one line, valid until the thread's next call, never NULL */
const char *npu_error(void);

const char *npu_outcome_name(enum npu_outcome outcome);
const char *npu_type_name(enum npu_type type);
/** npu_type_bytes - size of one element in bytes; 0 if unknown */
size_t npu_type_bytes(enum npu_type type);
const char *npu_version(void);

/* --- graphs */

/**
 * npu_graph_load_file - load a Zhouyi executable
 *
 * The file is read once; it may change afterwards. Errors: errno of open and read, -EBADMSG (malformed: npu_error()
 * names the field), -ENOTSUP (well formed, but for another target or with a feature that is not supported), -ENOMEM,
 * -ENOSPC.
 */
int npu_graph_load_file(struct npu_connection *connection, const char *path, struct npu_graph **out);

/** npu_graph_load_memory - the same from memory, which may be released afterwards */
int npu_graph_load_memory(struct npu_connection *connection, const void *data, size_t bytes, struct npu_graph **out);

/** npu_graph_free - -EBUSY while jobs exist. NULL is legal. */
int npu_graph_free(struct npu_graph *graph);

uint32_t npu_graph_tensor_count(struct npu_graph *graph, enum npu_direction direction);
int npu_graph_tensor_info(struct npu_graph *graph, enum npu_direction direction, uint32_t index,
			  struct npu_tensor_info *info);
/** npu_graph_tensor_index - by name; the index or -ENOENT */
int npu_graph_tensor_index(struct npu_graph *graph, enum npu_direction direction, const char *name);

/* --- jobs */

/** npu_job_create - one instance of a graph with tensors of its own; instances share text and weights */
int npu_job_create(struct npu_graph *graph, struct npu_job **out);

/** npu_job_free - -EBUSY while a submission is queued or running. NULL is legal. */
int npu_job_free(struct npu_job *job);

/**
 * npu_job_tensor - the memory the device reads or writes: no copy is made
 * @bytes: may be NULL; receives the tensor's size
 *
 * Valid until the job is freed. Writing an input or reading an output while a submission is queued or running is a race
 * with the device. Returns NULL if there is no such tensor.
 */
void *npu_job_tensor(struct npu_job *job, enum npu_direction direction, uint32_t index, size_t *bytes);

/**
 * npu_job_submit - queue one run
 * @options: may be NULL
 * @ticket: receives the name of this submission, for npu_wait() and npu_cancel()
 *
 * Submissions of one job run in order. Errors: -EAGAIN (no credits: too many tickets are neither waited for nor
 * called back), -ENODEV (device gone), -EPIPE (the daemon went away).
 *
 * The call does not wait for the daemon's answer. What only the daemon can refuse (a quota, say) is told by npu_wait(),
 * which then returns the error and releases the ticket; a callback gets NPU_CANCELLED and the reason.
 */
int npu_job_submit(struct npu_job *job, const struct npu_submit_options *options, uint64_t *ticket);

/**
 * npu_job_submit_with - queue one run, with a queue, a deadline, dependencies, a fence
 * @options: may be NULL
 * @run: may be NULL, which makes it npu_job_submit()
 *
 * A submission whose dependency ends otherwise than NPU_DONE ends NPU_DEPENDENCY and never runs. Errors beside those of
 * npu_job_submit(): -EINVAL (too many dependencies, or a size that no version has), -ENOENT (a ticket of `after` was
 * released: npu_wait() told how it ended), -ECANCELED (a ticket of `after` ended otherwise than well), -ENOTSUP (the
 * daemon is older than protocol 1.2). With `after` or `fence` the call waits for the daemon's answer, and with `fence`
 * what the daemon refuses is the call's own error.
 */
int npu_job_submit_with(struct npu_job *job, const struct npu_submit_options *options,
			const struct npu_run_options *run, uint64_t *ticket);

/**
 * npu_wait - wait for a submission, and release its ticket
 * @timeout_ns: NPU_WAIT_FOREVER, 0 to poll, or nanoseconds for the whole call
 * @result: may be NULL
 *
 * Returns 0 when the submission ended (in whatever way: see result->outcome), -ETIMEDOUT when it still runs (the ticket
 * stays valid), -ENOENT for an unknown or released ticket, -EPIPE when the daemon went away, and what
 * npu_job_submit() could not say yet when the daemon refused the submission. A ticket with a callback can be waited
 * for, too; whether its callback has returned by then is open.
 */
int npu_wait(struct npu_connection *connection, uint64_t ticket, int64_t timeout_ns, struct npu_result *result);

/** npu_cancel - returns enum npu_cancel or a negative errno; the submission still has to be waited for */
int npu_cancel(struct npu_connection *connection, uint64_t ticket);

/** npu_job_run - submit and wait; 0 only if the outcome is NPU_DONE, else -EIO with npu_error() saying which */
int npu_job_run(struct npu_job *job, struct npu_result *result);

/* --- who has which addresses; since 1.1, for operators */

/**
 * npu_maps_read - which session has memory at which addresses of its device, read once
 * @session: that one alone, or 0 for all
 * @out: receives the table, which does not change any more and outlives the connection
 *
 * The daemon has to give this user the right "maps"; root has it. Sessions and memory may come and go while the table
 * is read: what was there all the time is in it, once. Errors: -EACCES (the right is missing), -ENOENT (no such
 * session), -ENOTSUP (the daemon is older than protocol 1.1), -EPROTO, -EPIPE, -ENOMEM.
 */
int npu_maps_read(struct npu_connection *connection, uint64_t session, struct npu_maps **out);

/** npu_maps_free - NULL is legal */
void npu_maps_free(struct npu_maps *maps);

/** npu_maps_session_count - sessions in the table, those without memory too */
size_t npu_maps_session_count(const struct npu_maps *maps);

/** npu_maps_session - by number ascending; -ENOENT for an index that is not less than the count */
int npu_maps_session(const struct npu_maps *maps, size_t index, struct npu_maps_session *session);

/** npu_maps_count - mappings in the table, of all its sessions */
size_t npu_maps_count(const struct npu_maps *maps);

/** npu_maps_entry - by session, then by address; -ENOENT for an index that is not less than the count */
int npu_maps_entry(const struct npu_maps *maps, size_t index, struct npu_map *map);

/* --- queues and fences, since protocol 1.2; a connection owns those that it made or imported */

/**
 * npu_queue_create - one more queue of this session
 * @class: anything but NPU_CLASS_REALTIME, unless the daemon's configuration allows it
 * @weight: share of the session's device time in its class, 1..1000; 0 = 100
 *
 * The submissions of a queue start in their order. Every session has a queue from the start, of class normal and weight
 * 100. Errors: -EINVAL, -EACCES (the class is not allowed), -ENOSPC (too many queues), -ENOTSUP, -ENOMEM, -EPIPE.
 */
int npu_queue_create(struct npu_connection *connection, enum npu_class class_of, uint32_t weight,
		     struct npu_queue **out);

/** npu_queue_change - both are set, from the daemon's next decision on; the errors of npu_queue_create() */
int npu_queue_change(struct npu_queue *queue, enum npu_class class_of, uint32_t weight);

/** npu_queue_free - -EBUSY while a submission of it has not ended. NULL is legal. */
int npu_queue_free(struct npu_queue *queue);

/** npu_fence_token - what names the fence to other sessions: whoever knows it may wait for the fence while its maker
 * holds it. NPU_FENCE_TOKEN_BYTES bytes. -EINVAL for an imported fence. */
int npu_fence_token(const struct npu_fence *fence, uint8_t token[NPU_FENCE_TOKEN_BYTES]);

/**
 * npu_fence_fd - a descriptor that becomes readable when the fence ends; owned by the fence
 *
 * A notification: nothing is to be read from it, and npu_fence_state() tells how the fence ended. -ENOTSUP for an
 * imported fence, and when the daemon had no descriptor to spare.
 */
int npu_fence_fd(const struct npu_fence *fence);

/** npu_fence_import - by token; -ENOENT if it names no fence that anybody holds */
int npu_fence_import(struct npu_connection *connection, const uint8_t token[NPU_FENCE_TOKEN_BYTES],
		     struct npu_fence **out);

/** npu_fence_state - enum npu_fence_state, or a negative errno */
int npu_fence_state(struct npu_fence *fence);

/** npu_fence_free - submissions that wait for it go on waiting. NULL is legal. */
void npu_fence_free(struct npu_fence *fence);

/* --- who waits for what, since protocol 1.2: of one's own tenant, and of all with the daemon's right "sessions" */

/**
 * npu_ps_read - what every session has and does, read once
 * @out: receives the table, which does not change any more and outlives the connection
 *
 * Sessions may come and go while the table is read: what was there all the time is in it, once. Errors: -ENOTSUP (the
 * daemon is older than protocol 1.2), -EPROTO, -EPIPE, -ENOMEM.
 */
int npu_ps_read(struct npu_connection *connection, struct npu_ps **out);

/** npu_ps_free - NULL is legal */
void npu_ps_free(struct npu_ps *ps);

/** npu_ps_count - sessions in the table: those that this user may see */
size_t npu_ps_count(const struct npu_ps *ps);

/** npu_ps_session - by number ascending; -ENOENT for an index that is not less than the count */
int npu_ps_session(const struct npu_ps *ps, size_t index, struct npu_ps_session *session);

/** npu_ps_total - sessions of all tenants, and their submissions of one class; -EINVAL if there is no such class */
int npu_ps_total(const struct npu_ps *ps, enum npu_class class_of, uint32_t *sessions, struct npu_load *load);

/**
 * npu_why - why a submission of this connection is where it is
 * @ticket: as npu_job_submit() gave it
 *
 * Errors: -ENOENT (the ticket is unknown or has been released), -ENOTSUP, -EPROTO, -EPIPE.
 */
int npu_why(struct npu_connection *connection, uint64_t ticket, struct npu_why *why);

/**
 * npu_why_session - the same of a session's submission
 * @submission: its name, as npu_ps_session() and npu_why() tell it
 *
 * Errors: -ENOENT (there is none, or none that this user may see), -ENOTSUP, -EPROTO, -EPIPE.
 */
int npu_why_session(struct npu_connection *connection, uint64_t session, uint64_t submission, struct npu_why *why);

/**
 * npu_timeline_read - when what happened to the last submissions that have ended
 * @from: number of the first that is wanted: npu_timeline_next() of an earlier reading, or 0 for the oldest
 * @out: receives the entries that the daemon still has and this user may see; it outlives the connection
 *
 * Errors: -ENOTSUP, -EPROTO, -EPIPE, -ENOMEM.
 */
int npu_timeline_read(struct npu_connection *connection, uint64_t from, struct npu_timeline **out);

/** npu_timeline_free - NULL is legal */
void npu_timeline_free(struct npu_timeline *timeline);

/** npu_timeline_count - entries */
size_t npu_timeline_count(const struct npu_timeline *timeline);

/** npu_timeline_entry - by number ascending; -ENOENT for an index that is not less than the count */
int npu_timeline_entry(const struct npu_timeline *timeline, size_t index, struct npu_timeline_entry *entry);

/** npu_timeline_next - where to go on reading later */
uint64_t npu_timeline_next(const struct npu_timeline *timeline);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
