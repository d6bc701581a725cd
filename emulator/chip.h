/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On-chip memories: the cluster's GM, each core's shared memory, each TEC's local memory. Their contents outlive jobs,
 * pools and clients' mistakes; only a reset clears them.
 */
#ifndef NPUD_EMULATOR_CHIP_H
#define NPUD_EMULATOR_CHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHIP_LOCAL_CODE 2u /* feature registers: 32 KiB << (code - 1) */
#define CHIP_SHARED_CODE 4u
#define CHIP_LOCAL_BYTES (32u << 10 << (CHIP_LOCAL_CODE - 1))
#define CHIP_SHARED_BYTES (32u << 10 << (CHIP_SHARED_CODE - 1))

struct chip {
	uint32_t cores;
	uint32_t tecs;
	uint32_t gm_bytes;
	uint8_t *gm;
	uint8_t *shared; /* cores x CHIP_SHARED_BYTES */
	uint8_t *local; /* cores x tecs x CHIP_LOCAL_BYTES */
};

int chip_init(struct chip *chip, uint32_t cores, uint32_t tecs, uint32_t gm_bytes);
void chip_destroy(struct chip *chip);
void chip_clear(struct chip *chip, bool keep_gm);
/* The on-chip range at a 32-bit NPU address as one TEC sees it, or NULL if it does not lie inside one memory. */
void *chip_at(const struct chip *chip, uint32_t core, uint32_t tec, uint32_t address, uint64_t bytes);

#endif
