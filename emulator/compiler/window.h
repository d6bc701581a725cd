/* SPDX-License-Identifier: Apache-2.0 */
/* Sliding windows: kernel, stride, dilation and padding as convolutions and pools state them. */
#ifndef NPUD_EMULATOR_COMPILER_WINDOW_H
#define NPUD_EMULATOR_COMPILER_WINDOW_H

#include "emulator/compiler/cc.h"

enum window_auto { WINDOW_NOTSET, WINDOW_VALID, WINDOW_SAME_UPPER, WINDOW_SAME_LOWER };

struct window {
	uint32_t spatial;
	enum window_auto automatic;
	uint32_t kernel[ISA_MAX_SPATIAL];
	uint32_t stride[ISA_MAX_SPATIAL];
	uint32_t dilation[ISA_MAX_SPATIAL];
	uint32_t pad_begin[ISA_MAX_SPATIAL];
	uint32_t pad_end[ISA_MAX_SPATIAL];
};

/* Reads the attributes for an input of rank 2 + spatial. `kernel` (spatial entries) is used if the attribute is
 * missing. */
bool window_read(struct cc *cc, const struct node *n, const struct view *x, const uint32_t *kernel, struct window *w);
/* Spatial output sizes; resolves automatic padding. */
bool window_slide(struct cc *cc, struct window *w, const struct view *x, bool ceil_mode, uint32_t *out);
/* Axis order that keeps channels innermost: batch, space, channels. */
void window_order(uint32_t rank, uint32_t *order);

/* op_conv.c: a convolution with the attributes of `n` over any operands; `bias` may be absent. */
struct view conv_by_node(struct cc *cc, const struct node *n, const struct view *x, const struct view *w,
			 const struct view *bias);

#endif
