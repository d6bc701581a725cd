/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A convolution (or its transpose) after validation and slicing: always three spatial axes, feature maps as
 * N, C, D, H, W views, weights as M, C/group, D, H, W views.
 */
#ifndef NPUD_EMULATOR_OPS_CONV_H
#define NPUD_EMULATOR_OPS_CONV_H

#include "emulator/ops/internal.h"

#define CONV_RANK OP_MAP_RANK
#define CONV_MAX_STEP (1u << 24) /* stride, dilation, padding */

struct conv {
	struct isa_conv_params params;
	bool transpose;
	bool has_bias;
	bool has_addend;
	struct op_tensor out;
	struct op_tensor in;
	struct op_tensor weight;
	struct op_tensor bias;
	struct op_tensor addend;
	int64_t group; /* groups inside the slice */
	int64_t in_per_group;
	int64_t out_per_group;
	int64_t out_first; /* where the slice starts inside its first group; 0 unless a group is cut */
	int64_t stride[3];
	int64_t dilation[3];
	int64_t pad[3]; /* of the slice: may be negative when the slice starts behind the input's first row */
	int64_t macs;
};

int conv_open(struct op_ctx *ctx, struct conv *c);
int conv_loops(struct op_ctx *ctx, const struct conv *c);
/* 1 if the library has nothing for this geometry. */
int conv_fast(struct op_ctx *ctx, const struct conv *c);

#endif
