/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy files: one tensor with its element type and shape. */
#ifndef NPUD_TOOLS_NPY_H
#define NPUD_TOOLS_NPY_H

#include <npu/npu.h>

#include "tools/reason.h"

#define NPY_MAX_BYTES (1u << 30)

struct npy {
	enum npu_type type;
	uint32_t rank;
	uint32_t shape[NPU_MAX_RANK];
	size_t bytes;
	const void *data; /* inside `file` */
	void *file;
};

/* Versions 1 to 3, little-endian, C order. npy_free() releases it. */
int npy_read(const char *path, struct npy *out, struct reason *why);
/* The same from memory that stays the caller's. */
int npy_parse(const char *path, const void *file, size_t bytes, struct npy *out, struct reason *why);
void npy_free(struct npy *npy);

int npy_write(const char *path, enum npu_type type, uint32_t rank, const uint32_t *shape, const void *data,
	      size_t bytes, struct reason *why);

/* "1x3x48x192", for messages */
const char *shape_text(uint32_t rank, const uint32_t *shape, char *text, size_t bytes);

#endif
