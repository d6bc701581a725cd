/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the configuration that says who is which tenant and what each may have. */
#ifndef NPUD_CONFIG_TENANTS_H
#define NPUD_CONFIG_TENANTS_H

#include "daemon/config_value.h"

/* Of struct config_limits. */
extern const struct config_key config_limit_keys[];

/* "tenants" and "default_tenant". What they leave out is taken from `limits`, which was read before. */
void config_parse_tenants(const json_t *root, struct config *config, struct config_errors *errors);

#endif
