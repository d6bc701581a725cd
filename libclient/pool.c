/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory shared with the device: memfds that cannot shrink, populated before the daemon pins them. The daemon imports
 * ranges of them; nothing is ever copied through the socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "libclient/error.h"
#include "libclient/objects.h"

int npu_memfd_create(uint64_t bytes, int *out)
{
	int huge = npu_huge_create(bytes);

	if (huge >= 0) {
		*out = huge;
		return 0;
	}
	int fd = memfd_create("npu", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return npu_fail(-errno, "memfd_create: %s", strerror(errno));
	if (ftruncate(fd, (off_t)bytes)) {
		int code = -errno;

		(void)close(fd);
		return npu_fail(code, "no memory for a buffer of %llu bytes: %s", (unsigned long long)bytes,
				strerror(-code));
	}
	*out = fd;
	return 0;
}

/* Older kernels cannot populate by advice: touch every page. */
static void populate(uint8_t *memory, size_t bytes)
{
#ifdef MADV_POPULATE_WRITE
	if (madvise(memory, bytes, MADV_POPULATE_WRITE) == 0)
		return;
#endif
	for (size_t at = 0; at < bytes; at += ZY_PAGE_BYTES)
		((volatile uint8_t *)memory)[at] = 0;
}

static int map_all(int fd, uint8_t **out, size_t *mapped)
{
	struct stat file;

	if (fstat(fd, &file))
		return npu_fail(-errno, "cannot map a buffer: %s", strerror(errno));
	size_t bytes = (size_t)file.st_size;
	uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return npu_fail(-errno, "cannot map a buffer of %zu bytes: %s", bytes, strerror(errno));
	if (bytes >= NPU_HUGE_PAGE_BYTES)
		(void)madvise(memory, bytes, MADV_HUGEPAGE);
	*out = memory;
	*mapped = bytes;
	return 0;
}

int npu_memfd_map(int fd, uint8_t **out, size_t *mapped)
{
	uint8_t *memory = NULL;
	size_t bytes = 0;
	int rc = map_all(fd, &memory, &bytes);

	if (rc)
		return rc;
	populate(memory, bytes);
	if (madvise(memory, bytes, MADV_DONTFORK)) {
		int code = -errno;

		(void)munmap(memory, bytes);
		return npu_fail(code, "cannot keep a buffer out of forked processes: %s", strerror(-code));
	}
	*out = memory;
	*mapped = bytes;
	return 0;
}

/* Writing into a file takes large pages only where a mapping has put them before. Small pools have no use for it. */
void npu_memfd_prepare(int fd)
{
#ifdef MADV_POPULATE_WRITE
	struct stat file;
	uint8_t *memory = NULL;
	size_t bytes = 0;

	if (fstat(fd, &file) || file.st_size < (off_t)NPU_HUGE_PAGE_BYTES || map_all(fd, &memory, &bytes))
		return;
	(void)madvise(memory, bytes, MADV_POPULATE_WRITE);
	(void)munmap(memory, bytes);
#else
	(void)fd;
#endif
}

/* A page of the source that is gone (a file that shrank) is an error and not a signal, as it is for pwrite(). */
static ssize_t copy_checked(uint8_t *to, const uint8_t *from, size_t bytes)
{
	struct iovec local = {to, bytes};
	struct iovec remote = {(void *)(uintptr_t)from, bytes};
	ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	if (n >= 0 || (errno != ENOSYS && errno != EPERM))
		return n;
	/* Kernels can be built without that call, and sandboxes forbid it. */
	memcpy(to, from, bytes);
	return (ssize_t)bytes;
}

/* pwrite() for files that know no write(): those of huge pages. */
static ssize_t write_mapped(int fd, const uint8_t *data, size_t bytes, uint64_t offset)
{
	uint64_t start = offset / NPU_HUGE_PAGE_BYTES * NPU_HUGE_PAGE_BYTES, end = offset + bytes;
	size_t mapped = (size_t)((end - start + NPU_HUGE_PAGE_BYTES - 1) / NPU_HUGE_PAGE_BYTES * NPU_HUGE_PAGE_BYTES);
	uint8_t *memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);

	if (memory == MAP_FAILED)
		return -1;
	ssize_t n = copy_checked(memory + (offset - start), data, bytes);
	int code = errno;

	(void)munmap(memory, mapped);
	errno = code;
	return n;
}

static int write_all(int fd, const uint8_t *data, uint64_t bytes, uint64_t offset)
{
	while (bytes) {
		/* one call takes at most 2 GiB */
		size_t part = bytes < (1u << 30) ? bytes : 1u << 30;
		ssize_t n = pwrite(fd, data, part, (off_t)offset);

		if (n < 0 && errno == EINVAL)
			n = write_mapped(fd, data, part, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int code = n < 0 ? -errno : -ENOSPC;

			return npu_fail(code, "cannot fill a buffer: %s%s", strerror(-code),
					code == -EFAULT ? " (the file shrank while it was read?)" : "");
		}
		data += n;
		bytes -= (uint64_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int npu_memfd_write(int fd, const void *data, uint64_t bytes, uint64_t offset, uint64_t *next)
{
	static const uint8_t zeros[ZY_PAGE_BYTES];

	/* a gap is written too, or it would be a hole that the daemon refuses */
	while (*next < offset) {
		uint64_t step = offset - *next < sizeof(zeros) ? offset - *next : sizeof(zeros);
		int rc = write_all(fd, zeros, step, *next);

		if (rc)
			return rc;
		*next += step;
	}
	int rc = write_all(fd, data, bytes, offset);

	*next = offset + bytes;
	return rc;
}

int npu_memfd_seal(int fd, bool read_only)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | (read_only ? F_SEAL_WRITE : 0);

	if (fcntl(fd, F_ADD_SEALS, seals))
		return npu_fail(-errno, "cannot seal a buffer: %s", strerror(errno));
	return 0;
}

int npu_buffer_import(struct npu_connection *connection, int fd, uint64_t bytes, uint64_t align, bool read_only,
		      struct npu_buffer *out)
{
	Npud__BufferImport import = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;

	import.bytes = bytes;
	import.read_only = read_only;
	/* large buffers where the IOMMU can use large pages */
	import.align = bytes >= NPU_HUGE_PAGE_BYTES && align < NPU_HUGE_PAGE_BYTES ? NPU_HUGE_PAGE_BYTES : align;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &import;
	int rc = npu_link_call(connection, &request, fd, NPUD__REPLY__BODY_BUFFER_INFO, &reply, "import a buffer");

	if (rc)
		return rc;
	if (reply.buffer.handle == 0)
		return npu_fail(-EPROTO, "import a buffer: npud answered without a handle");
	out->handle = reply.buffer.handle;
	out->npu_address = reply.buffer.npu_address;
	return 0;
}

void npu_buffer_release(struct npu_connection *connection, struct npu_buffer *buffer)
{
	Npud__BufferRelease release = NPUD__BUFFER_RELEASE__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	struct npu_reply reply;

	if (buffer->handle) {
		release.handle = buffer->handle;
		request.body_case = NPUD__REQUEST__BODY_BUFFER_RELEASE;
		request.buffer_release = &release;
		/* if the daemon is gone, so is the buffer */
		(void)npu_link_call(connection, &request, -1, NPUD__REPLY__BODY_EMPTY, &reply, "release a buffer");
	}
	if (buffer->memory)
		(void)munmap(buffer->memory, buffer->mapped);
	*buffer = (struct npu_buffer){0};
}
