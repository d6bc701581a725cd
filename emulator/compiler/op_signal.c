/* SPDX-License-Identifier: Apache-2.0 */
/* signal */
#include "emulator/compiler/operators.h"

const struct operator_row operators_signal[] = {
    {0},
};
