/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory files of 2 MiB pages that the administrator has set aside (hugetlb). A pool made of them costs the IOMMU one
 * entry per 2 MiB. They are scarce and others count on them: a pool takes at most half of what is free, and no pool
 * fails for want of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libclient/objects.h"

#ifndef MFD_HUGETLB
#define MFD_HUGETLB 0x0004u
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21u << 26)
#endif
#define HOST_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static uint64_t read_count(const char *path)
{
	char text[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	(void)close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return strtoull(text, NULL, 10);
}

static uint64_t host_free_pages(void)
{
	uint64_t unused = read_count(HOST_PAGES "free_hugepages");
	uint64_t promised = read_count(HOST_PAGES "resv_hugepages");

	return unused > promised ? unused - promised : 0;
}

/*
 * The pages are taken here, all or none: a mapping of pages that are not there any more would kill whoever touches it.
 * The name tells in /proc/PID/maps what a pool is made of.
 */
static int host_create(uint64_t bytes)
{
	int fd = memfd_create("npu-huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_HUGE_2MB);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) || fallocate(fd, 0, 0, (off_t)bytes)) {
		int code = -errno;

		(void)close(fd);
		return code;
	}
	return fd;
}

struct npu_huge_source npu_huge_source = {host_free_pages, host_create};

int npu_huge_create(uint64_t bytes)
{
	const char *wish = getenv(NPU_HUGE_PAGES_ENV);
	uint64_t pages = bytes / NPU_HUGE_PAGE_BYTES + (bytes % NPU_HUGE_PAGE_BYTES != 0);

	if (wish && strcmp(wish, "0") == 0)
		return -ENOTSUP;
	/* At most a quarter of a pool may be there for nothing but to fill its last page. */
	if (bytes < NPU_HUGE_PAGE_BYTES || pages * NPU_HUGE_PAGE_BYTES - bytes > bytes / 4)
		return -ENOTSUP;
	if (pages > npu_huge_source.free_pages() / 2)
		return -ENOMEM;
	return npu_huge_source.create(pages * NPU_HUGE_PAGE_BYTES);
}
