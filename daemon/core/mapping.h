/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One range of client or daemon memory at one place of an address space; live while a page table of the device has it,
 * which is the one it uses where there is only one.
 */
#ifndef NPUD_CORE_MAPPING_H
#define NPUD_CORE_MAPPING_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/util/list.h"
#include "daemon/util/types.h"

struct address_space;

struct mapping {
	struct address_space *space; /* whose addresses */
	int fd;
	uint64_t offset;
	iova_t iova;
	uint64_t bytes;
	unsigned prot;
	/* The next two belong to whoever owns the device: the loop while it is READY, the worker else. */
	bool live;
	struct list link; /* on the device's list of live mappings, or on a list of a request */
};

#endif
