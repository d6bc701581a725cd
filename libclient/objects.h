/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs, jobs and the memory they share with the device. A connection's lock guards the lists and the counts. */
#ifndef NPU_CLIENT_OBJECTS_H
#define NPU_CLIENT_OBJECTS_H

#include "libclient/connection.h"
#include "libclient/planner.h"

/* A buffer of the session. */
struct npu_buffer {
	uint64_t handle; /* 0: none */
	uint32_t npu_address;
	uint8_t *memory; /* NULL: not mapped here */
	size_t mapped; /* bytes of `memory` */
};

struct npu_graph {
	struct npu_connection *connection;
	struct npu_graph *next;
	struct npu_elf *elf; /* tables only: nothing refers to the file */
	struct npu_plan plan;
	uint8_t *parameters; /* rodata, then desc: as the file has them */
	struct npu_buffer pool; /* text and weights */
	struct npu_job *jobs;
};

struct npu_job {
	struct npu_graph *graph;
	struct npu_job *next;
	uint64_t handle; /* 0: a data-only graph, which no device sees */
	struct npu_buffer pool;
	uint32_t in_flight; /* submissions queued or running, or whose callback has not begun */
};

struct npu_queue {
	struct npu_connection *connection;
	struct npu_queue *next;
	uint64_t handle;
};

struct npu_fence {
	struct npu_connection *connection;
	struct npu_fence *next;
	uint64_t handle;
	uint8_t token[NPU_FENCE_TOKEN_BYTES];
	bool has_token;
	int fd; /* -1: none */
};

/* --- hugepage.c */

#define NPU_HUGE_PAGE_BYTES (2ull << 20)
#define NPU_HUGE_PAGES_ENV "NPU_HUGE_PAGES" /* "0": never take pages that the administrator has set aside */

/* What the host has and gives; tests put their own in its place. */
struct npu_huge_source {
	uint64_t (*free_pages)(void); /* 2 MiB pages that are promised to nobody */
	int (*create)(uint64_t bytes); /* a populated memfd of them, or -errno */
};
extern struct npu_huge_source npu_huge_source;

/* A populated memfd of huge pages with room for `bytes`, or -errno: then ordinary memory it is. */
int npu_huge_create(uint64_t bytes);

/* --- pool.c */

/* A memfd of at least `bytes`, of huge pages where there are any; close-on-exec. */
int npu_memfd_create(uint64_t bytes, int *out);
/* Map the whole file writable, populated, absent in forked children. `mapped` is what to unmap. */
int npu_memfd_map(int fd, uint8_t **out, size_t *mapped);
/* Prefer large pages for what npu_memfd_write() will fill. */
void npu_memfd_prepare(int fd);
/* Fill [offset, offset + bytes) by writing; `next` is where the last write ended, the gap up to here becomes zeros. */
int npu_memfd_write(int fd, const void *data, uint64_t bytes, uint64_t offset, uint64_t *next);
int npu_memfd_seal(int fd, bool read_only);

/* Hand [0, bytes) of a memfd to the daemon. */
int npu_buffer_import(struct npu_connection *connection, int fd, uint64_t bytes, uint64_t align, bool read_only,
		      struct npu_buffer *out);
/* Forget it; tells the daemon unless the connection is broken. */
void npu_buffer_release(struct npu_connection *connection, struct npu_buffer *buffer);

/* --- describe.c: the job as the daemon wants it */
int npu_job_describe(const struct npu_graph *graph, const struct npu_buffer *pool, uint64_t *handle);
void npu_job_destroy(struct npu_connection *connection, uint64_t handle);

/* --- for npu_disconnect(): no daemon to tell */
void npu_graph_drop(struct npu_graph *graph);
void npu_job_drop(struct npu_job *job);
void npu_queue_drop(struct npu_queue *queue);
void npu_fence_drop(struct npu_fence *fence);

/* --- submit.c */
/* The daemon's name for a ticket; 0 if it is over. */
int npu_submission_find(struct npu_connection *connection, uint64_t ticket, uint64_t *out);

/* --- fence.c */
struct npu_fence *npu_fence_new(struct npu_connection *connection);
void npu_fence_adopt(struct npu_fence *fence, const struct npu_fence_reply *reply);

#endif
