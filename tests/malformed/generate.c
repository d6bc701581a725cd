/* SPDX-License-Identifier: Apache-2.0 */
/* generate DIRECTORY: writes every malformed executable, and vector.elf, the sound one they are made from. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/malformed/rows.h"

static int write_file(const char *directory, const char *name, const struct zf_bytes *bytes, uint64_t length)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0) {
		perror(path);
		return -1;
	}
	int rc = write(fd, bytes->data, bytes->size) == (ssize_t)bytes->size ? 0 : -1;

	if (rc == 0 && length)
		rc = ftruncate(fd, (off_t)length);
	if (close(fd) || rc) {
		perror(path);
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	struct zf_file vector = zf_vector();
	struct zf_bytes sound = zf_build(&vector);
	int rc = write_file(argv[1], "vector.elf", &sound, 0);

	zf_file_free(&vector);
	zf_free(&sound);
	for (size_t i = 0; i < ROW_COUNT && rc == 0; i++) {
		struct zf_bytes bytes = row_build(&rows[i]);

		rc = write_file(argv[1], rows[i].name, &bytes, rows[i].sparse_bytes);
		zf_free(&bytes);
	}
	return rc ? 1 : 0;
}
