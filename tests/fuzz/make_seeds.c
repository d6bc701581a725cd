/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the seeds of the fuzzers: make_seeds FOLDER. tests/fuzz/seeds is what it wrote; a check compares. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/seeds.h"

static const char *folder;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

void seed_add(struct seed *seed, const void *data, size_t bytes)
{
	if (bytes > SEED_BYTES - seed->bytes) {
		fprintf(stderr, "seed too large\n");
		exit(1);
	}
	if (bytes)
		memcpy(seed->data + seed->bytes, data, bytes);
	seed->bytes += bytes;
}

void seed_u32(struct seed *seed, uint32_t value)
{
	seed_add(seed, &value, sizeof(value));
}

void seed_write(const struct seed *seed, const char *kind, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, kind);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s", folder, kind, name);
	FILE *file = fopen(path, "wb");
	if (!file || fwrite(seed->data, 1, seed->bytes, file) != seed->bytes || fclose(file) != 0)
		die(path);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: make_seeds FOLDER\n");
		return 2;
	}
	folder = argv[1];
	seeds_elf();
	seeds_wire();
	seeds_vfu();
	return 0;
}
