/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups in the configuration: numbers, or names that this host knows when the file is read. */
#ifndef NPUD_CONFIG_IDS_H
#define NPUD_CONFIG_IDS_H

#include <jansson.h>
#include <stdint.h>

#define CONFIG_ID_WHY_BYTES 128

enum config_id_kind { CONFIG_USER = 0, CONFIG_GROUP };

/* -EINVAL with the reason in `why` (CONFIG_ID_WHY_BYTES). */
int config_id_resolve(const json_t *value, enum config_id_kind kind, uint32_t *out, char *why);

#endif
