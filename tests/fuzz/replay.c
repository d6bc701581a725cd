/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs files through a fuzz target without libFuzzer: for coverage, and for looking at a crash in a plain build.
 * fuzz_NAME FILE...
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

#define MAX_FILE (8u << 20)

static int replay_file(const char *path, uint8_t *data)
{
	FILE *file = fopen(path, "rb");

	if (!file) {
		perror(path);
		return 1;
	}
	size_t size = fread(data, 1, MAX_FILE, file);
	fclose(file);
	/* A copy of exact size, so that a sanitizer sees a read beyond the end. */
	uint8_t *exact = malloc(size ? size : 1);
	if (!exact)
		return 1;
	for (size_t i = 0; i < size; i++)
		exact[i] = data[i];
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	uint8_t *data = malloc(MAX_FILE);
	int failed = data == NULL;

	for (int i = 1; i < argc && data; i++)
		failed |= replay_file(argv[i], data);
	free(data);
	return failed;
}
