/* SPDX-License-Identifier: Apache-2.0 */
/* Import and return of client memory; see buffer.h. Never maps it into the daemon. */
#include "daemon/core/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/core/device.h"
#include "daemon/core/session.h"
#include "daemon/vfio/vfio.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static int check_range(const struct buffer_request *request, struct fail *fail)
{
	uint64_t end;

	if (request->bytes == 0 || request->bytes > NPUD_MAX_BUFFER_BYTES)
		return fail_set(fail, EINVAL, "buffer bytes: %" PRIu64 " is not in 1..%llu", request->bytes,
				NPUD_MAX_BUFFER_BYTES);
	if (request->bytes % NPUD_BUFFER_ALIGN || request->offset % NPUD_BUFFER_ALIGN)
		return fail_set(fail, EINVAL, "buffer offset %" PRIu64 " and bytes %" PRIu64 " must be multiples of %u",
				request->offset, request->bytes, NPUD_BUFFER_ALIGN);
	if (__builtin_add_overflow(request->offset, request->bytes, &end) || end > INT64_MAX)
		return fail_set(fail, EINVAL, "buffer offset + bytes: overflow");
	if (request->align & (request->align - 1))
		return fail_set(fail, EINVAL, "buffer align: %" PRIu64 " is not a power of two", request->align);
	return 0;
}

static int check_access(int fd, bool read_only, struct fail *fail)
{
	int flags = fcntl(fd, F_GETFL);
	int seals = fcntl(fd, F_GET_SEALS);

	if (flags < 0 || seals < 0)
		return fail_set(fail, EINVAL, "buffer fd: not a memfd (it has no seals); create it with memfd_create");
	if (!(seals & F_SEAL_SHRINK))
		return fail_set(fail, EPERM, "buffer fd: F_SEAL_SHRINK is missing; seal the memfd before the import");
	if (flags & O_PATH || (flags & O_ACCMODE) == O_WRONLY)
		return fail_set(fail, EPERM, "buffer fd: not open for reading");
	if (read_only)
		return 0;
	if ((flags & O_ACCMODE) != O_RDWR)
		return fail_set(fail, EPERM, "buffer fd: not open for writing; import it read_only or reopen it");
	if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return fail_set(fail, EPERM, "buffer fd: write-sealed; import it read_only");
	return 0;
}

/*
 * Sparse memory would be populated, and so paid for, by whoever touches it first: the device. Allocated pages that
 * nobody wrote yet look like holes, so the block count is asked first. Blocks beyond the end can fool it; the session
 * has been charged for every byte either way. hugetlbfs knows no holes: it calls all of a file data. A file that lacks
 * blocks and still shows no hole anywhere is such a one, and lies.
 */
static int check_populated(int fd, const struct stat *file, const struct buffer_request *request, struct fail *fail)
{
	if (file->st_blocks >= 0 && (uint64_t)file->st_blocks * 512 >= (uint64_t)file->st_size)
		return 0;
	off_t first = lseek(fd, 0, SEEK_HOLE);
	off_t hole = lseek(fd, (off_t)request->offset, SEEK_HOLE);
	if (first >= 0 && first < file->st_size && hole >= 0 && (uint64_t)hole >= request->offset + request->bytes)
		return 0;
	return fail_set(fail, EINVAL,
			"buffer fd: not populated in [%" PRIu64 ", +%" PRIu64
			"); allocate or write the whole range first",
			request->offset, request->bytes);
}

int buffer_check_file(int fd, const struct buffer_request *request, struct fail *fail)
{
	struct stat file;

	int error = check_range(request, fail);
	if (error < 0)
		return error;
	error = check_access(fd, request->read_only, fail);
	if (error < 0)
		return error;
	if (fstat(fd, &file) < 0)
		return fail_set(fail, errno, "buffer fd: fstat failed");
	if (!S_ISREG(file.st_mode) || file.st_size < 0)
		return fail_set(fail, EINVAL, "buffer fd: not a regular memory file");
	if (request->offset + request->bytes > (uint64_t)file.st_size)
		return fail_set(fail, EINVAL,
				"buffer: [%" PRIu64 ", +%" PRIu64 ") is outside the file of %" PRIu64 " bytes",
				request->offset, request->bytes, (uint64_t)file.st_size);
	return check_populated(fd, &file, request, fail);
}

/* What a buffer of so many bytes takes. */
#define BUFFER_PARTS 3u
#define BUFFER_AMOUNTS(bytes)                                                                                          \
	(const struct quota_amount[BUFFER_PARTS])                                                                      \
	{                                                                                                              \
		{QUOTA_BUFFERS, 1}, {QUOTA_FDS, 1}, {QUOTA_BUFFER_BYTES, (bytes)},                                     \
	}

static int enter_tables(struct session *session, struct buffer *buffer, uint64_t align, struct fail *fail)
{
	int error = address_space_alloc(session->space, buffer->map.bytes, align, &buffer->map.iova);

	if (error == -ENOSPC)
		return fail_limit(fail, "addresses", "address space",
				  session->space->client_bytes - iova_free_bytes(session->space->iovas),
				  session->space->client_bytes, "no gap is large enough, release buffers");
	if (error < 0)
		return fail_set(fail, -error, "buffer: no address for %" PRIu64 " bytes aligned to %" PRIu64,
				buffer->map.bytes, align);
	error = handles_add(&session->buffer_handles, buffer, &buffer->handle);
	if (error == 0)
		return 0;
	address_space_release(session->space, buffer->map.iova, buffer->map.bytes);
	if (error == -ENOSPC)
		return fail_limit(fail, "buffers", "session", session->buffer_handles.live,
				  session->buffer_handles.maximum, "release buffers");
	return fail_set(fail, -error, "buffer: no memory for a handle");
}

int buffer_import(struct session *session, int fd, const struct buffer_request *request, struct buffer **out,
		  struct fail *fail)
{
	/* Charged before it is looked at: the tenant pays for what it makes us do. */
	int error = check_range(request, fail);
	if (error < 0)
		return error;
	error = session_charge_all(session, BUFFER_AMOUNTS(request->bytes), BUFFER_PARTS, fail);
	if (error < 0)
		return error;
	struct buffer *buffer = calloc(1, sizeof(*buffer));
	error = buffer_check_file(fd, request, fail);
	if (!buffer)
		error = fail_set(fail, ENOMEM, "buffer: no memory");
	if (buffer && error == 0) {
		buffer->session = session;
		buffer->read_only = request->read_only;
		buffer->map.space = session->space;
		buffer->map.fd = fd;
		buffer->map.offset = request->offset;
		buffer->map.bytes = request->bytes;
		buffer->map.prot = request->read_only ? VFIO_READ : VFIO_READ | VFIO_WRITE;
		list_init(&buffer->map.link);
		list_init(&buffer->release);
		error = enter_tables(session, buffer, request->align, fail);
	}
	if (!buffer || error < 0) {
		quota_release_all(&session->quota, BUFFER_AMOUNTS(request->bytes), BUFFER_PARTS);
		free(buffer);
		return error;
	}
	list_append(&session->buffers, &buffer->link);
	*out = buffer;
	return 0;
}

static void buffer_free_if_unused(struct buffer *buffer)
{
	if (!buffer->reaped || buffer->jobs > 0)
		return;
	struct session *session = buffer->session;
	list_remove(&buffer->link);
	free(buffer);
	session_settle(session);
}

static void reap_run(struct work *work)
{
	struct buffer *buffer = list_entry(work, struct buffer, reap);

	/* Live only in a table that the device does not use. */
	if (buffer->map.live && buffer->session->device->vfio)
		buffer->unmap_error = device_unmap_one(buffer->session->device, &buffer->map);
	close(buffer->map.fd);
}

static void reap_done(struct work *work)
{
	struct buffer *buffer = list_entry(work, struct buffer, reap);
	struct session *session = buffer->session;

	if (buffer->unmap_error == -ENODEV)
		session->device->lost = true;
	else if (buffer->unmap_error < 0)
		session->device->leaking = true;
	address_space_release(session->space, buffer->map.iova, buffer->map.bytes);
	quota_release_all(&session->quota, BUFFER_AMOUNTS(buffer->map.bytes), BUFFER_PARTS);
	buffer->map.fd = -1;
	buffer->reaped = true;
	session->releases--;
	buffer_free_if_unused(buffer);
	session_settle(session);
}

void buffer_reap(struct buffer *buffer)
{
	list_remove(&buffer->release);
	buffer->reap.run = reap_run;
	buffer->reap.done = reap_done;
	worker_submit(buffer->session->device->worker, &buffer->reap);
}

static void release_if_unused(struct buffer *buffer)
{
	if (!buffer->released || buffer->pins)
		return;
	buffer->session->releases++;
	device_release_buffer(buffer->session->device, buffer);
}

void buffer_release(struct buffer *buffer)
{
	handles_remove(&buffer->session->buffer_handles, buffer->handle);
	buffer->released = true;
	release_if_unused(buffer);
}

int buffer_release_handle(struct session *session, uint64_t handle, struct fail *fail)
{
	struct buffer *buffer = handles_get(&session->buffer_handles, handle);

	if (!buffer)
		return fail_set(fail, ENOENT, "buffer 0x%" PRIx64 ": no such buffer in this session", handle);
	buffer_release(buffer);
	device_pump(session->device);
	return 0;
}

void buffer_pin(struct buffer *buffer)
{
	buffer->pins++;
}

void buffer_unpin(struct buffer *buffer)
{
	buffer->pins--;
	release_if_unused(buffer);
}

void buffer_forget(struct buffer *buffer)
{
	buffer->jobs--;
	buffer_free_if_unused(buffer);
}
