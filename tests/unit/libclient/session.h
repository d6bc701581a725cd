/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session of the library with the fake daemon, from its start to its end: what every suite about a session begins
 * and finishes with. finish() asserts that nothing is left over.
 */
#ifndef NPUD_TESTS_SESSION_H
#define NPUD_TESTS_SESSION_H

#include <dirent.h>

#include "libclient/include/npu/npu.h"
#include "tests/malformed/zyfile.h"
#include "tests/unit/libclient/fake_daemon.h"
#include "tests/unit/suite.h"

static struct fake fake;
static struct npu_connection *npu;
static struct npu_graph *graph;
static int fds_before;

static inline int count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	(void)closedir(directory);
	return count;
}

static inline int count_pools(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	int count = 0;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "memfd:npu") != NULL;
	(void)fclose(maps);
	return count;
}

static inline void start(void)
{
	fds_before = count_fds();
	fake_init(&fake);
}

static inline void begin(void)
{
	fake_start(&fake);
	ck_assert_msg(npu_connect(fake.path, &npu) == 0, "%s", npu_error());
}

static inline void begin_with_graph(void)
{
	struct zf_file file = zf_vector();
	struct zf_bytes bytes = zf_build(&file);

	begin();
	ck_assert_msg(npu_graph_load_memory(npu, bytes.data, bytes.size, &graph) == 0, "%s", npu_error());
	zf_free(&bytes);
	zf_file_free(&file);
}

static inline struct npu_job *make_job(void)
{
	struct npu_job *job;

	ck_assert_msg(npu_job_create(graph, &job) == 0, "%s", npu_error());
	return job;
}

/* Nothing is left over, whatever the test did. */
static inline void finish(void)
{
	npu_disconnect(npu);
	npu = NULL;
	fake_stop(&fake);
	ck_assert_int_eq(count_fds(), fds_before);
	ck_assert_int_eq(count_pools(), 0);
}

static inline uint64_t submit(struct npu_job *job, uint64_t cookie)
{
	const struct npu_submit_options options = {.cookie = cookie};
	uint64_t ticket;

	ck_assert_msg(npu_job_submit(job, &options, &ticket) == 0, "%s", npu_error());
	return ticket;
}

/* A ping's answer comes after everything that was sent before it. */
static inline void settle(void)
{
	ck_assert_msg(npu_ping(npu) == 0, "%s", npu_error());
}

#endif
