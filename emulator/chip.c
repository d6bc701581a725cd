/* SPDX-License-Identifier: Apache-2.0 */
/* On-chip memories. Their contents outlive jobs, so that a reader of somebody else's residue finds it. */
#include "emulator/chip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/isa.h"

int chip_init(struct chip *chip, uint32_t cores, uint32_t tecs, uint32_t gm_bytes)
{
	*chip = (struct chip){.cores = cores, .tecs = tecs, .gm_bytes = gm_bytes};
	chip->gm = calloc(1, gm_bytes);
	chip->shared = calloc(cores, CHIP_SHARED_BYTES);
	chip->local = calloc((size_t)cores * tecs, CHIP_LOCAL_BYTES);
	if (chip->gm && chip->shared && chip->local)
		return 0;
	chip_destroy(chip);
	return -ENOMEM;
}

void chip_destroy(struct chip *chip)
{
	free(chip->gm);
	free(chip->shared);
	free(chip->local);
	*chip = (struct chip){0};
}

void chip_clear(struct chip *chip, bool keep_gm)
{
	if (!keep_gm)
		memset(chip->gm, 0, chip->gm_bytes);
	memset(chip->shared, 0, (size_t)chip->cores * CHIP_SHARED_BYTES);
	memset(chip->local, 0, (size_t)chip->cores * chip->tecs * CHIP_LOCAL_BYTES);
}

static void *chip_window(uint8_t *memory, uint32_t size, uint32_t offset, uint64_t bytes)
{
	return offset <= size && bytes <= size - offset ? memory + offset : NULL;
}

void *chip_at(const struct chip *chip, uint32_t core, uint32_t tec, uint32_t address, uint64_t bytes)
{
	if (address >= ISA_GM_BASE)
		return chip_window(chip->gm, chip->gm_bytes, address - ISA_GM_BASE, bytes);
	if (address >= ISA_SHARED_BASE)
		return chip_window(chip->shared + (size_t)core * CHIP_SHARED_BYTES, CHIP_SHARED_BYTES,
				   address - ISA_SHARED_BASE, bytes);
	if (address >= ISA_LOCAL_BASE)
		return chip_window(chip->local + ((size_t)core * chip->tecs + tec) * CHIP_LOCAL_BYTES, CHIP_LOCAL_BYTES,
				   address - ISA_LOCAL_BASE, bytes);
	return NULL;
}
