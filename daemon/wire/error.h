/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that maps results to protocol errors. */
#ifndef NPUD_WIRE_ERROR_H
#define NPUD_WIRE_ERROR_H

#include <stdbool.h>

#include "daemon/util/fail.h"
#include "npud.pb-c.h"

Npud__ErrorCode error_code(int error);
/* For a client of this minor version. Points into `fail`, which has to outlive it. */
void error_fill(Npud__Error *out, int error, uint32_t minor, const struct fail *fail);
/* The connection ends after this error. */
bool error_is_fatal(int error);

#endif
