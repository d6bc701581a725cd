/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory files behind client mappings, and the SIGBUS guard: an access to a page that its owner cut off reads as zero
 * and becomes a fault of the program. Must never take another SIGBUS for one of ours.
 */
#include "emulator/dma_file.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emulator/dma.h"

#define DMA_GUARDS 64

struct dma_file {
	struct dma_file *next;
	dev_t device;
	ino_t inode;
	uint64_t offset; /* of the host mapping inside the file */
	uint64_t bytes;
	bool writable;
	bool shared; /* the whole file: later mappings may share it */
	atomic_bool poisoned;
	uint8_t *data;
	uint32_t users;
};

struct dma_guard {
	struct dma_file *file;
	uint8_t *data;
	uint64_t bytes;
};

static _Thread_local struct dma_guard guards[DMA_GUARDS];
static _Thread_local volatile sig_atomic_t guard_count;
static _Thread_local volatile sig_atomic_t bus_error;

static struct dma_file **dma_file_bucket(struct dma_files *files, ino_t inode)
{
	return &files->bucket[(uint64_t)inode % DMA_FILE_BUCKETS];
}

static int dma_file_check(int fd, uint64_t offset, uint64_t bytes, struct stat *st)
{
	if (fstat(fd, st))
		return -errno;
	if (!S_ISREG(st->st_mode) || st->st_size < 0)
		return -EINVAL;
	return offset + bytes > (uint64_t)st->st_size ? -EINVAL : 0;
}

static int dma_file_map(struct dma_file *file, int fd, const struct stat *st, uint64_t offset, uint64_t bytes)
{
	int prot = file->writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *data = mmap(NULL, (size_t)st->st_size, prot, MAP_SHARED, fd, 0);

	file->shared = data != MAP_FAILED;
	file->bytes = (uint64_t)st->st_size;
	if (data == MAP_FAILED && errno == ENOMEM) {
		/* A huge sparse file: take the window that was asked for. */
		data = mmap(NULL, bytes, prot, MAP_SHARED, fd, (off_t)offset);
		file->offset = offset;
		file->bytes = bytes;
	}
	if (data == MAP_FAILED)
		return errno == EPERM ? -EACCES : -errno;
	file->data = data;
	return 0;
}

int dma_file_get(struct dma_files *files, int fd, uint64_t offset, uint64_t bytes, bool writable, struct dma_file **out,
		 uint8_t **data)
{
	struct stat st;
	int err = dma_file_check(fd, offset, bytes, &st);

	if (err)
		return err;
	struct dma_file **bucket = dma_file_bucket(files, st.st_ino), *file = *bucket;

	for (; file; file = file->next) {
		if (file->shared && file->device == st.st_dev && file->inode == st.st_ino &&
		    file->writable == writable && offset + bytes <= file->bytes && !dma_file_poisoned(file))
			break;
	}
	if (!file) {
		file = calloc(1, sizeof(*file));
		if (!file)
			return -ENOMEM;
		file->device = st.st_dev;
		file->inode = st.st_ino;
		file->writable = writable;
		err = dma_file_map(file, fd, &st, offset, bytes);
		if (err) {
			free(file);
			return err;
		}
		file->next = *bucket;
		*bucket = file;
	}
	file->users++;
	*data = file->data + (offset - file->offset);
	*out = file;
	return 0;
}

void dma_file_put(struct dma_files *files, struct dma_file *file)
{
	if (!file || --file->users)
		return;
	struct dma_file **at = dma_file_bucket(files, file->inode);

	while (*at != file)
		at = &(*at)->next;
	*at = file->next;
	(void)munmap(file->data, file->bytes);
	free(file);
}

bool dma_file_poisoned(const struct dma_file *file)
{
	return atomic_load_explicit(&file->poisoned, memory_order_relaxed);
}

int dma_guard_push(struct dma_file *file, void *data, uint64_t bytes)
{
	if (guard_count >= DMA_GUARDS)
		return -ENOSPC;
	guards[guard_count] = (struct dma_guard){file, data, bytes};
	guard_count = guard_count + 1;
	return 0;
}

void dma_guard_pop(const void *data)
{
	for (int i = guard_count; i-- > 0;) {
		if (guards[i].data == data) {
			guards[i] = guards[guard_count - 1];
			guard_count = guard_count - 1;
			return;
		}
	}
}

bool dma_bus_error_take(void)
{
	bool error = bus_error != 0;

	bus_error = 0;
	return error;
}

static void dma_sigbus(int number, siginfo_t *info, void *context)
{
	uint8_t *address = info->si_addr;

	(void)context;
	for (int i = 0; i < guard_count; i++) {
		const struct dma_guard *guard = &guards[i];
		uintptr_t page = (uintptr_t)address & ~(uintptr_t)(DMA_PAGE_BYTES - 1);

		if (address < guard->data || (uint64_t)(address - guard->data) >= guard->bytes)
			continue;
		/* Zeros in place of what the owner took away: the instruction ends, then the task faults. */
		if (mmap((void *)page, DMA_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0) == MAP_FAILED)
			break;
		atomic_store(&guard->file->poisoned, true);
		bus_error = 1;
		return;
	}
	(void)signal(number, SIG_DFL);
}

int dma_install_sigbus(void)
{
	struct sigaction action = {.sa_sigaction = dma_sigbus, .sa_flags = SA_SIGINFO};

	(void)sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) ? -errno : 0;
}
