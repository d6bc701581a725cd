/* SPDX-License-Identifier: Apache-2.0 */
/* Slots, IOVAs and the TCB arena; see address_space.h. */
#include "daemon/core/address_space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/util/cleanup.h"

_Static_assert((ARENA_HOLDS + 1) * ZY_TCB_BYTES <= ARENA_PAGE, "code and hold TCBs share page 0");
_Static_assert(ARENA_OFFSET + ARENA_BYTES <= NPU_CLIENT_OFFSET, "the arena lies below the buffers");

int address_space_init(struct address_space *space, const struct space_reach *reach, uint32_t slot)
{
	struct npu_window window;

	memset(space, 0, sizeof(*space));
	space->arena_fd = -1;
	list_init(&space->link);
	int error = npu_window(reach->generation, slot, &window);
	if (error == 0)
		error = iova_space_new(window.clients, reach->reserved, reach->reserved_count, &space->iovas);
	if (error < 0)
		return error;
	space->slot = slot;
	space->base = window.base;
	space->client_bytes = iova_free_bytes(space->iovas);
	return 0;
}

void address_space_fini(struct address_space *space)
{
	if (space->memory)
		munmap(space->memory, ARENA_BYTES);
	if (space->arena_fd >= 0)
		close(space->arena_fd);
	free(space->pieces);
	space->pieces = NULL;
	space->memory = NULL;
	space->arena_fd = -1;
	space->iovas = iova_space_free(space->iovas);
}

static struct mapping *make_pieces(struct address_space *space, int fd)
{
	struct mapping *pieces = calloc(ARENA_PIECES, sizeof(*pieces));

	for (uint32_t i = 0; pieces && i < ARENA_PIECES; i++) {
		pieces[i].space = space;
		pieces[i].fd = fd;
		pieces[i].offset = (uint64_t)i * ARENA_PIECE_BYTES;
		pieces[i].iova = arena_iova(space, i * ARENA_PIECE_BYTES);
		pieces[i].bytes = ARENA_PIECE_BYTES;
		pieces[i].prot = VFIO_READ | VFIO_WRITE;
		list_init(&pieces[i].link);
	}
	return pieces;
}

int address_space_open_arena(struct address_space *space)
{
	if (space->memory)
		return 0;
	_cleanup_close_ int fd = memfd_create("npud-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)ARENA_BYTES) < 0)
		return -errno;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	void *memory = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	struct mapping *pieces = make_pieces(space, fd);
	if (!pieces) {
		munmap(memory, ARENA_BYTES);
		return -ENOMEM;
	}
	space->memory = memory;
	space->pieces = pieces;
	space->arena_fd = steal_fd(&fd);
	space->page_used[0] |= 1;
	space->pages_used = 1;
	arena_restore_code(space);
	return 0;
}

int address_space_alloc(struct address_space *space, uint64_t bytes, uint64_t align, iova_t *out)
{
	/* 0: pages of 4 KiB and 2 MiB, as all IOMMUs have them. */
	return iova_alloc_natural(space->iovas, bytes, align, 0, out);
}

void address_space_release(struct address_space *space, iova_t iova, uint64_t bytes)
{
	(void)iova_release(space->iovas, iova, bytes);
}

static bool page_is_used(const struct address_space *space, uint32_t page)
{
	return space->page_used[page / 64] >> (page % 64) & 1;
}

static void set_pages(struct address_space *space, uint32_t first, uint32_t count, bool used)
{
	for (uint32_t page = first; page < first + count; page++) {
		uint64_t bit = 1ull << (page % 64);
		if (used)
			space->page_used[page / 64] |= bit;
		else
			space->page_used[page / 64] &= ~bit;
	}
	space->pages_used = used ? space->pages_used + count : space->pages_used - count;
}

int arena_alloc(struct address_space *space, uint64_t bytes, uint32_t *offset)
{
	if (bytes == 0 || bytes > ARENA_BYTES)
		return -ENOSPC;
	uint32_t pages = (uint32_t)((bytes + ARENA_PAGE - 1) / ARENA_PAGE);
	uint32_t run = 0;

	for (uint32_t page = 0; page < ARENA_PAGES; page++) {
		run = page_is_used(space, page) ? 0 : run + 1;
		if (run < pages)
			continue;
		uint32_t first = page + 1 - pages;
		set_pages(space, first, pages, true);
		*offset = first * ARENA_PAGE;
		return 0;
	}
	return -ENOSPC;
}

void arena_release(struct address_space *space, uint32_t offset, uint64_t bytes)
{
	set_pages(space, offset / ARENA_PAGE, (uint32_t)((bytes + ARENA_PAGE - 1) / ARENA_PAGE), false);
}

void arena_restore_code(struct address_space *space)
{
	static const uint32_t end[4] = ZY3_END_PACKET;

	memcpy(space->memory, end, sizeof(end));
}

union zy3_tcb *arena_hold(struct address_space *space, uint32_t index)
{
	return (union zy3_tcb *)(void *)(space->memory + arena_hold_offset(index));
}
