/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A buffer: client memory that the device may reach, at an IOVA of the session. The daemon neither reads nor writes it.
 * Released buffers stay until no submission uses them and no device maps them; then the worker closes the file.
 */
#ifndef NPUD_CORE_BUFFER_H
#define NPUD_CORE_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/mapping.h"
#include "daemon/core/worker.h"
#include "daemon/util/fail.h"
#include "daemon/util/list.h"

struct session;

struct buffer {
	struct list link; /* session->buffers */
	struct session *session;
	uint64_t handle;
	struct mapping map;
	bool read_only;
	bool released; /* the handle is gone */
	bool reaped; /* the memory is gone; the struct waits for its jobs */
	uint64_t last_job; /* serial of the last job that took a reference: most references repeat */
	unsigned jobs; /* prepared or growing, that refer to it */
	unsigned pins; /* of those, the ones with a submission that has not ended */
	struct list release; /* device->releasing */
	struct work reap;
	int unmap_error; /* of the reap */
};

struct buffer_request {
	uint64_t offset;
	uint64_t bytes;
	uint64_t align;
	bool read_only;
};

/* Takes `fd` when it succeeds. Otherwise it may be anything, and is not closed here: that may take for ever. */
int buffer_import(struct session *session, int fd, const struct buffer_request *request, struct buffer **out,
		  struct fail *fail);

/* The rules for the file alone; also what the tests call with twenty kinds of descriptors. */
int buffer_check_file(int fd, const struct buffer_request *request, struct fail *fail);

int buffer_release_handle(struct session *session, uint64_t handle, struct fail *fail);
void buffer_release(struct buffer *buffer);

void buffer_pin(struct buffer *buffer);
void buffer_unpin(struct buffer *buffer);
/* A job refers to it no longer. */
void buffer_forget(struct buffer *buffer);

/* The device maps it no longer: return IOVA, memory, charge. */
void buffer_reap(struct buffer *buffer);

#endif
