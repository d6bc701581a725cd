/* SPDX-License-Identifier: Apache-2.0 */
/* The operator tables: one row per ONNX operator, one table per family, each ending in a row without name. */
#ifndef NPUD_EMULATOR_COMPILER_OPERATORS_H
#define NPUD_EMULATOR_COMPILER_OPERATORS_H

#include "emulator/compiler/cc.h"

#define OPERATOR_MANY 0xffffu

struct operator_row {
	const char *name;
	void (*lower)(struct cc *cc, const struct node *n);
	uint16_t min_in;
	uint16_t max_in;
	uint16_t max_out;
	const char *attributes; /* space separated; any other is refused */
};

extern const struct operator_row operators_elementwise[];
extern const struct operator_row operators_shape[];
extern const struct operator_row operators_slice[];
extern const struct operator_row operators_conv[];
extern const struct operator_row operators_pool[];
extern const struct operator_row operators_matmul[];
extern const struct operator_row operators_norm[];
extern const struct operator_row operators_reduce[];
extern const struct operator_row operators_index[];
extern const struct operator_row operators_resize[];
extern const struct operator_row operators_loss[];
extern const struct operator_row operators_quantized[];
extern const struct operator_row operators_recurrent[];
extern const struct operator_row operators_signal[];
extern const struct operator_row operators_einsum[];
extern const struct operator_row operators_search[];

#endif
