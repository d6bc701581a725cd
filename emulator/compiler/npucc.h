/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler as a library: one ONNX model in, one Zhouyi V3 executable out. Owns nothing between two calls.
 * Input is hostile: every failure ends in a status and one line of text that names the place.
 */
#ifndef NPUD_EMULATOR_COMPILER_NPUCC_H
#define NPUD_EMULATOR_COMPILER_NPUCC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emulator/isa.h"

#define NPUCC_ERROR_BYTES 512u

/* What a compilation ends with; also npucc's exit code. */
enum npucc_status {
	NPUCC_OK = 0,
	NPUCC_BAD_MODEL = 1, /* malformed, inconsistent, or out of resources */
	NPUCC_USAGE = 2,
	NPUCC_UNSUPPORTED = 3, /* well formed, but uses something that is not supported */
};

/* Fixes the shape of one graph input. */
struct npucc_shape {
	const char *name;
	uint32_t rank;
	uint32_t dims[ISA_MAX_RANK];
};

struct npucc_options {
	const struct npucc_shape *shapes;
	size_t shape_count;
	bool dump; /* fill npucc_result.dump */
};

struct npucc_stats {
	uint64_t live_peak_bytes; /* intermediates alive at once, at the worst instruction */
	uint64_t planned_bytes; /* size of the section that holds them */
	uint64_t input_bytes;
	uint64_t output_bytes;
	uint64_t weight_bytes;
	uint64_t macs;
	uint32_t instructions; /* TENSOR instructions */
	uint32_t barriers;
	uint32_t groups;
	uint32_t fused; /* instructions that became part of another one */
	uint32_t elided; /* copies that became unnecessary */
	uint32_t folded; /* instructions that ran at compile time */
};

struct npucc_result {
	uint8_t *elf;
	size_t elf_bytes;
	char *dump; /* one line per instruction */
	struct npucc_stats stats;
	char error[NPUCC_ERROR_BYTES];
};

/* On anything but NPUCC_OK only `error` is set. The same model and options give the same bytes. */
enum npucc_status npucc_compile(const void *model, size_t bytes, const struct npucc_options *options,
				struct npucc_result *result);
void npucc_result_free(struct npucc_result *result);

#endif
