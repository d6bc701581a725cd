/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files, in and out of memory. Owns nothing; never follows what is not a regular file, so that a FIFO or a
 * terminal given by mistake cannot hang the program.
 */
#include "tools/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int file_read_fd(int fd, uint8_t *to, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = read(fd, to + done, bytes - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int file_load(int fd, const char *path, size_t max, uint8_t **out, size_t *bytes, struct reason *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return reason_set(why, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return reason_set(why, -EINVAL, "%s: not a regular file", path);
	if (st.st_size == 0)
		return reason_set(why, -EINVAL, "%s: the file is empty", path);
	if ((uint64_t)st.st_size > max)
		return reason_set(why, -EFBIG, "%s: %lld bytes, more than the limit of %zu", path,
				  (long long)st.st_size, max);
	uint8_t *data = malloc((size_t)st.st_size);
	if (!data)
		return reason_set(why, -ENOMEM, "%s: out of memory", path);
	int error = file_read_fd(fd, data, (size_t)st.st_size);
	if (error) {
		free(data);
		return reason_set(why, error, "%s: %s", path, strerror(-error));
	}
	*out = data;
	*bytes = (size_t)st.st_size;
	return 0;
}

int file_read(const char *path, size_t max, uint8_t **out, size_t *bytes, struct reason *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return reason_set(why, -errno, "%s: %s", path, strerror(errno));
	int error = file_load(fd, path, max, out, bytes, why);
	close(fd);
	return error;
}

int file_write(const char *path, const void *head, size_t head_bytes, const void *body, size_t body_bytes,
	       struct reason *why)
{
	FILE *file = fopen(path, "wbe");

	if (!file)
		return reason_set(why, -errno, "%s: %s", path, strerror(errno));
	bool complete = fwrite(head, 1, head_bytes, file) == head_bytes &&
			(body_bytes == 0 || fwrite(body, 1, body_bytes, file) == body_bytes);
	int error = complete ? 0 : -errno;
	if (fclose(file) != 0 && error == 0)
		error = -errno;
	if (error) {
		(void)unlink(path);
		return reason_set(why, error, "%s: %s", path, strerror(-error));
	}
	return 0;
}
