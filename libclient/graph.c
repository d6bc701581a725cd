/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: file to checked tables to one sealed, shared buffer of text and weights. The file is mapped, read once and
 * copied once; afterwards nothing refers to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libclient/error.h"
#include "libclient/objects.h"

/* "X2_1204", "X3P_1304": the name of a device word. */
static const char *target_name(uint32_t isa, uint32_t revision, uint32_t config, char text[32])
{
	static const char *const suffix[] = {"", "P", "S"};
	bool x = isa >= 4;

	(void)snprintf(text, 32, "%c%u%s_%04u", x ? 'X' : 'Z', x ? isa - 3 : isa, revision < 3 ? suffix[revision] : "?",
		       config);
	return text;
}

static int check_target(struct npu_graph *graph, struct npu_device_info *info)
{
	struct npu_connection *connection = graph->connection;
	uint32_t word = graph->elf->device;
	char wanted[32], found[32];

	if (connection->device_count == 0)
		return npu_fail(-ENODEV, "npud serves no NPU");
	/* the other devices of the host are for other sessions */
	int rc = npu_device_info(connection, npu_device_index(connection), info);

	if (rc)
		return rc;
	(void)target_name(ZY_DEVICE_ISA(word), ZY_DEVICE_REVISION(word), ZY_DEVICE_CONFIG(word), wanted);
	(void)target_name(info->isa, info->revision, info->config, found);
	if (info->isa != ZY_DEVICE_ISA(word) || info->revision != ZY_DEVICE_REVISION(word) ||
	    info->config != ZY_DEVICE_CONFIG(word) || ZY_DEVICE_ARCH(word) != 0)
		return npu_fail(-ENOTSUP, "note compilermsg: device %#x: compiled for %s, the NPU is %s (%s)", word,
				wanted, found, info->name);
	if (info->generation != NPU_V3)
		return npu_fail(-ENOTSUP, "device word %#x: jobs for %s are not supported yet", word, wanted);
	return 0;
}

/* How many sections from `first` on lie in the file as they do in the pool: one write does for all, gaps included. */
static uint32_t run_length(const struct npu_graph *graph, uint32_t first, uint32_t end)
{
	const struct npu_elf_static *statics = graph->elf->statics;
	const uint64_t *at = graph->plan.static_at;
	uint32_t count = 1;

	while (first + count < end && statics[first + count].zero_copy == statics[first].zero_copy &&
	       at[first + count] - at[first] == statics[first + count].src_offset - statics[first].src_offset)
		count++;
	return count;
}

/* The weights of a block, in the order in which they lie in the pool. */
static int write_statics(const struct npu_graph *graph, int fd, uint32_t bss, bool zero_copy, uint64_t *next)
{
	const struct npu_elf *elf = graph->elf;
	uint32_t end = elf->bss[bss].first_static + elf->bss[bss].static_count;
	uint32_t count;

	for (uint32_t i = elf->bss[bss].first_static; i < end; i += count) {
		count = run_length(graph, i, end);
		if (elf->statics[i].zero_copy != zero_copy)
			continue;
		const struct npu_elf_static *last = &elf->statics[i + count - 1];
		uint64_t bytes = (uint64_t)last->src_offset + last->bytes - elf->statics[i].src_offset;
		int rc = npu_memfd_write(fd, elf->weight.data + elf->statics[i].src_offset, bytes,
					 graph->plan.static_at[i], next);

		if (rc)
			return rc;
	}
	return 0;
}

static int write_pool(const struct npu_graph *graph, int fd)
{
	const struct npu_elf *elf = graph->elf;
	const struct npu_plan *plan = &graph->plan;
	uint64_t next = 0;
	int rc = npu_memfd_write(fd, elf->text.data, elf->text.bytes, plan->text.offset, &next);

	if (rc == 0 && elf->crodata.bytes)
		rc = npu_memfd_write(fd, elf->crodata.data, elf->crodata.bytes, plan->crodata.offset, &next);
	for (uint32_t b = 0; b < elf->bss_count && rc == 0; b++) {
		rc = write_statics(graph, fd, b, false, &next);
		if (rc == 0)
			rc = write_statics(graph, fd, b, true, &next);
	}
	/* up to the end: the device fetches ahead of what it uses */
	return rc ? rc : npu_memfd_write(fd, "", 0, plan->graph_bytes, &next);
}

static int make_pool(struct npu_graph *graph)
{
	const struct npu_plan *plan = &graph->plan;
	int fd;
	int rc = npu_memfd_create(plan->graph_bytes, &fd);

	if (rc)
		return rc;
	npu_memfd_prepare(fd);
	rc = write_pool(graph, fd);
	if (rc == 0)
		rc = npu_memfd_seal(fd, true);
	if (rc == 0)
		rc = npu_buffer_import(graph->connection, fd, plan->graph_bytes, plan->graph_align, true, &graph->pool);
	(void)close(fd);
	return rc;
}

/* What instances start from; it must outlive the file. */
static int keep_parameters(struct npu_graph *graph)
{
	const struct npu_elf *elf = graph->elf;

	graph->parameters = malloc((size_t)elf->rodata.bytes + elf->desc.bytes);
	if (!graph->parameters)
		return npu_fail(-ENOMEM, "out of memory for %u bytes of parameters", elf->rodata.bytes);
	memcpy(graph->parameters, elf->rodata.data, elf->rodata.bytes);
	if (elf->desc.bytes)
		memcpy(graph->parameters + elf->rodata.bytes, elf->desc.data, elf->desc.bytes);
	return 0;
}

static void free_memory(struct npu_graph *graph)
{
	npu_plan_release(&graph->plan);
	npu_elf_free(graph->elf);
	free(graph->parameters);
	free(graph);
}

static int fill(struct npu_graph *graph, const void *data, size_t bytes)
{
	char why[NPUD_MAX_ERROR_TEXT];
	struct npu_device_info info;
	int rc = npu_elf_parse(data, bytes, &graph->elf, why, sizeof(why));

	if (rc)
		return npu_fail(rc, "%s", why);
	rc = check_target(graph, &info);
	if (rc)
		return rc;
	struct npu_plan_target target = {.tecs = info.tecs, .gm_bytes = info.gm_bytes};

	if (target.tecs == 0 || target.tecs > NPUD_MAX_TECS)
		return npu_fail(-EPROTO, "npud reports %u TECs per core", target.tecs);
	rc = npu_plan_pool(graph->elf, &target, &graph->plan, why, sizeof(why));
	if (rc)
		return npu_fail(rc, "%s", why);
	uint64_t sum = graph->plan.graph_bytes + graph->plan.job_bytes;

	if (sum > info.address_window_bytes)
		return npu_fail(-ENOSPC, "sizes: graph and job need %llu bytes of addresses, this NPU has %llu",
				(unsigned long long)sum, (unsigned long long)info.address_window_bytes);
	rc = keep_parameters(graph);
	/* a data-only graph needs no device memory */
	if (rc == 0 && graph->elf->subgraph_count)
		rc = make_pool(graph);
	npu_elf_detach(graph->elf);
	return rc;
}

static int load(struct npu_connection *connection, const void *data, size_t bytes, struct npu_graph **out)
{
	struct npu_graph *graph = calloc(1, sizeof(*graph));

	if (!graph)
		return npu_fail(-ENOMEM, "out of memory for a graph");
	graph->connection = connection;
	int rc = fill(graph, data, bytes);

	if (rc) {
		free_memory(graph);
		return rc;
	}
	(void)pthread_mutex_lock(&connection->lock);
	graph->next = connection->graphs;
	connection->graphs = graph;
	(void)pthread_mutex_unlock(&connection->lock);
	*out = graph;
	return 0;
}

int npu_graph_load_memory(struct npu_connection *connection, const void *data, size_t bytes, struct npu_graph **out)
{
	int rc = npu_link_check(connection);

	if (rc)
		return rc;
	if (!data)
		return npu_fail(-EINVAL, "no executable: data is NULL");
	return load(connection, data, bytes, out);
}

static int map_file(const char *path, void **data, size_t *bytes)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return npu_fail(-errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_size == 0) {
		(void)close(fd);
		return npu_fail(-EBADMSG, "%s: file kind: not a regular file with something in it", path);
	}
	void *mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	int code = -errno;

	(void)close(fd);
	if (mapped == MAP_FAILED)
		return npu_fail(code, "%s: cannot be mapped: %s", path, strerror(-code));
	/* read ahead while the tables are parsed */
	(void)madvise(mapped, (size_t)status.st_size, MADV_WILLNEED);
	*data = mapped;
	*bytes = (size_t)status.st_size;
	return 0;
}

int npu_graph_load_file(struct npu_connection *connection, const char *path, struct npu_graph **out)
{
	char reason[NPUD_MAX_ERROR_TEXT];
	void *data = NULL;
	size_t bytes = 0;
	int rc = npu_link_check(connection);

	if (rc)
		return rc;
	rc = map_file(path, &data, &bytes);
	if (rc)
		return rc;
	rc = load(connection, data, bytes, out);
	(void)munmap(data, bytes);
	if (rc) {
		(void)snprintf(reason, sizeof(reason), "%s", npu_error());
		return npu_fail(rc, "%s: %s", path, reason);
	}
	return 0;
}

static void unlink_graph(struct npu_graph *graph)
{
	for (struct npu_graph **link = &graph->connection->graphs; *link; link = &(*link)->next) {
		if (*link == graph) {
			*link = graph->next;
			return;
		}
	}
}

int npu_graph_free(struct npu_graph *graph)
{
	if (!graph)
		return 0;
	struct npu_connection *connection = graph->connection;
	int rc = npu_link_check(connection);

	if (rc)
		return rc;
	(void)pthread_mutex_lock(&connection->lock);
	bool busy = graph->jobs != NULL;

	if (!busy)
		unlink_graph(graph);
	(void)pthread_mutex_unlock(&connection->lock);
	if (busy)
		return npu_fail(-EBUSY, "the graph has jobs: free them first");
	npu_buffer_release(connection, &graph->pool);
	free_memory(graph);
	return 0;
}

void npu_graph_drop(struct npu_graph *graph)
{
	unlink_graph(graph);
	graph->pool.handle = 0;
	npu_buffer_release(graph->connection, &graph->pool);
	free_memory(graph);
}

uint32_t npu_graph_tensor_count(struct npu_graph *graph, enum npu_direction direction)
{
	if (npu_link_check(graph->connection) || (direction != NPU_INPUT && direction != NPU_OUTPUT))
		return 0;
	return graph->elf->tensor_count[direction];
}

int npu_graph_tensor_info(struct npu_graph *graph, enum npu_direction direction, uint32_t index,
			  struct npu_tensor_info *info)
{
	int rc = npu_link_check(graph->connection);

	if (rc)
		return rc;
	if (index >= npu_graph_tensor_count(graph, direction))
		return npu_fail(-ENOENT, "no %s tensor %u: the graph has %u",
				direction == NPU_INPUT ? "input" : "output", index,
				npu_graph_tensor_count(graph, direction));
	const struct npu_elf_tensor *tensor = &graph->elf->tensors[direction][index];
	const struct npu_elf_sub *sub = &graph->elf->subs[tensor->sub];

	*info = (struct npu_tensor_info){
	    .type = (enum npu_type)sub->data_type,
	    .rank = tensor->rank,
	    .bytes = sub->bytes,
	    .scale = sub->scale,
	    .zero_point = sub->zero_point,
	};
	memcpy(info->name, tensor->name, sizeof(info->name));
	memcpy(info->shape, tensor->shape, sizeof(info->shape));
	return 0;
}

int npu_graph_tensor_index(struct npu_graph *graph, enum npu_direction direction, const char *name)
{
	int rc = npu_link_check(graph->connection);
	uint32_t count = rc ? 0 : npu_graph_tensor_count(graph, direction);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < count; i++) {
		if (strcmp(graph->elf->tensors[direction][i].name, name) == 0)
			return (int)i;
	}
	return npu_fail(-ENOENT, "no %s tensor is named \"%s\"", direction == NPU_INPUT ? "input" : "output", name);
}
