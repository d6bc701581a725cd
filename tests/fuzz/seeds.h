/* SPDX-License-Identifier: Apache-2.0 */
/* For the makers of fuzz seeds: a growing byte buffer, and where seeds go. */
#ifndef NPUD_TESTS_FUZZ_SEEDS_H
#define NPUD_TESTS_FUZZ_SEEDS_H

#include <stddef.h>
#include <stdint.h>

#define SEED_BYTES 16384u

struct seed {
	uint8_t data[SEED_BYTES];
	size_t bytes;
};

void seed_add(struct seed *seed, const void *data, size_t bytes);
void seed_u32(struct seed *seed, uint32_t value);
/* FOLDER/KIND/NAME under the folder that the program was given; exits on failure */
void seed_write(const struct seed *seed, const char *kind, const char *name);

void seeds_elf(void);
void seeds_wire(void);
void seeds_vfu(void);

#endif
