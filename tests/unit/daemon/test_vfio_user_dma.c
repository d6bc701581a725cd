/* SPDX-License-Identifier: Apache-2.0 */
/* The vfio-user client's map table and the server's own DMA: what it may reach, and what it is told otherwise. */
#include "daemon/util/alloc_count.h"
#include "tests/unit/daemon/vfu_peer.h"

#define RW (VFIO_READ | VFIO_WRITE)

static void serve_all(struct peer *peer)
{
	while (peer_receive(peer)) {
		if (peer->header.flags & VFU_FLAG_NO_REPLY)
			continue;
		if (peer->header.command == VFU_REGION_READ)
			peer_reply_read(peer, 1);
		else
			peer_reply(peer, peer->body, peer->header.command == VFU_DMA_UNMAP ? 24 : 0);
	}
}

/* ------------------------------------------------------------------ map */

static void expect_map(struct peer *peer)
{
	struct vfu_dma_map map;
	struct stat st;

	peer_expect(peer, VFU_DMA_MAP);
	memcpy(&map, peer->body, sizeof(map));
	ck_assert_uint_eq(peer->body_bytes, sizeof(map));
	ck_assert_uint_eq(map.argsz, 32);
	ck_assert_uint_eq(map.flags, VFU_DMA_FLAG_READ | VFU_DMA_FLAG_WRITE);
	ck_assert_uint_eq(map.offset, 0x2000);
	ck_assert_uint_eq(map.address, 0x100001000);
	ck_assert_uint_eq(map.size, 0x3000);
	ck_assert_uint_eq(peer->fd_count, 1);
	ck_assert_int_eq(fstat(peer->fds[0], &st), 0);
	ck_assert_int_eq(st.st_size, 0x5000);
	peer_reply(peer, NULL, 0);
	peer_expect(peer, VFU_DMA_MAP);
	memcpy(&map, peer->body, sizeof(map));
	ck_assert_uint_eq(map.flags, VFU_DMA_FLAG_READ);
	peer_reply(peer, NULL, 0);
	serve_all(peer);
}

START_TEST(map_sends_the_file_and_exactly_the_rights)
{
	struct peer *peer = peer_new(expect_map);
	struct vfio_device *device = peer_open(peer);
	int memory = memfd_of(0x5000);

	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0x2000, (iova_t){0x100001000}, 0x3000, RW), 0);
	ck_assert_uint_eq(device->mappings, 1);
	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0, (iova_t){0x100004000}, 0x1000, VFIO_READ), 0);
	ck_assert_uint_eq(device->mappings, 2);
	close(memory); /* it stays the caller's */
	ck_assert_int_eq(device->ops->unmap(device, NULL, (iova_t){0x100001000}, 0x3000), 0);
	ck_assert_uint_eq(device->mappings, 1);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

START_TEST(bad_maps_never_reach_the_server)
{
	struct peer *peer = peer_new(serve_all);
	struct vfio_device *device = peer_open(peer);
	const struct vfio_ops *ops = device->ops;
	int memory = memfd_of(0x4000);

	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x10000}, 0x2000, RW), 0);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x14000}, 0x1000, RW), 0);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x10000}, 0x2000, RW), -EEXIST);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0xf000}, 0x2000, RW), -EEXIST);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x11000}, 0x1000, RW), -EEXIST);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x12000}, 0x3000, RW), -EEXIST);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x20800}, 0x1000, RW), -EINVAL);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0x10, (iova_t){0x20000}, 0x1000, RW), -EINVAL);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x20000}, 0x10, RW), -EINVAL);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x20000}, 0, RW), -EINVAL);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x20000}, 0x1000, 0), -EINVAL);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x20000}, 0x1000, 4), -EINVAL);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x20000}, 0x5000, RW),
			 -EINVAL); /* file too short */
	ck_assert_int_eq(ops->map(device, NULL, memory, ~0xfffull, (iova_t){0x20000}, 0x2000, RW), -EINVAL);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){~0xfffull}, 0x2000, RW), -EINVAL);
	ck_assert_int_eq(ops->map(device, NULL, -1, 0, (iova_t){0x20000}, 0x1000, RW), -EBADF);
	ck_assert_uint_eq(device->mappings, 2);
	for (uint64_t i = 2; i < device->max_mappings; i++)
		ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x100000 - i * 0x1000}, 0x1000, RW), 0);
	ck_assert_int_eq(ops->map(device, NULL, memory, 0, (iova_t){0x200000}, 0x1000, RW), -ENOSPC);
	close(memory);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

static void refuse_then_serve(struct peer *peer)
{
	peer_expect(peer, VFU_DMA_MAP);
	peer_drop_fds(peer);
	peer_reply_error(peer, ENOSPC);
	serve_all(peer);
}

START_TEST(a_refused_map_leaves_nothing)
{
	struct peer *peer = peer_new(refuse_then_serve);
	struct vfio_device *device = peer_open(peer);
	int memory = memfd_of(0x1000);
	unsigned fds = open_fds();

	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0, (iova_t){0x1000}, 0x1000, RW), -ENOSPC);
	ck_assert_uint_eq(device->mappings, 0);
	ck_assert_uint_eq(open_fds(), fds);
	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0, (iova_t){0x1000}, 0x1000, RW), 0);
	close(memory);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

/* ------------------------------------------------------------------ unmap */

static void unmap_late(struct peer *peer)
{
	peer_expect(peer, VFU_DMA_MAP);
	peer_reply(peer, NULL, 0);
	peer_expect(peer, VFU_DMA_UNMAP);
	struct vfu_header command = peer->header;
	struct vfu_dma_unmap unmap;
	memcpy(&unmap, peer->body, sizeof(unmap));
	ck_assert_uint_eq(unmap.address, 0x1000);
	ck_assert_uint_eq(unmap.size, 0x1000);
	ck_assert_uint_eq(unmap.flags, 0);
	ck_assert_uint_eq(peer->header.flags, VFU_FLAG_COMMAND); /* a reply is wanted */
	/* The server still uses the memory: it may, until it answers. */
	struct vfu_header header = {.id = 3, .command = VFU_DMA_WRITE, .size = 16 + 16 + 4};
	uint32_t access[5] = {0x1000, 0, 4, 0, 0x77777777};
	peer_send_on(peer->fd, &header, access, sizeof(access), NULL, 0);
	ck_assert(peer_receive(peer));
	ck_assert_uint_eq(peer->header.flags, VFU_FLAG_REPLY);
	peer->header = command;
	atomic_store(&peer->flag, 1);
	peer_reply(peer, &unmap, sizeof(unmap));
}

START_TEST(unmap_returns_after_the_servers_answer)
{
	struct peer *peer = peer_new(unmap_late);
	struct vfio_device *device = peer_open(peer);
	int memory = memfd_of(0x1000);
	uint32_t value = 0;

	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0, (iova_t){0x1000}, 0x1000, RW), 0);
	ck_assert_int_eq(device->ops->unmap(device, NULL, (iova_t){0x1000}, 0x1000), 0);
	ck_assert_int_eq(atomic_load(&peer->flag), 1);
	ck_assert_uint_eq(device->mappings, 0);
	ck_assert_int_eq(pread(memory, &value, 4, 0), 4);
	ck_assert_uint_eq(value, 0x77777777);
	close(memory);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

START_TEST(only_exact_mappings_are_unmapped)
{
	struct peer *peer = peer_new(serve_all);
	struct vfio_device *device = peer_open(peer);
	int memory = memfd_of(0x4000);

	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0, (iova_t){0x1000}, 0x2000, RW), 0);
	ck_assert_int_eq(device->ops->unmap(device, NULL, (iova_t){0x1000}, 0x1000), -ENOENT);
	ck_assert_int_eq(device->ops->unmap(device, NULL, (iova_t){0x2000}, 0x1000), -ENOENT);
	ck_assert_int_eq(device->ops->unmap(device, NULL, (iova_t){0x0}, 0x3000), -ENOENT);
	ck_assert_int_eq(device->ops->unmap(device, NULL, (iova_t){0x1000}, 0x2000), 0);
	ck_assert_int_eq(device->ops->unmap(device, NULL, (iova_t){0x1000}, 0x2000), -ENOENT);
	close(memory);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

static void refuse_unmap(struct peer *peer)
{
	peer_expect(peer, VFU_DMA_MAP);
	peer_reply(peer, NULL, 0);
	peer_expect(peer, VFU_DMA_UNMAP);
	peer_reply_error(peer, ENOENT);
	ck_assert(!peer_receive(peer)); /* the client hung up, which ends every mapping */
	atomic_store(&peer->flag, 1);
}

static void unmap_something_else(struct peer *peer)
{
	peer_expect(peer, VFU_DMA_MAP);
	peer_reply(peer, NULL, 0);
	peer_expect(peer, VFU_DMA_UNMAP);
	peer->body[8] ^= 1;
	peer_reply(peer, peer->body, 24);
	ck_assert(!peer_receive(peer));
	atomic_store(&peer->flag, 1);
}

START_TEST(a_server_that_keeps_memory_loses_the_device)
{
	struct peer *peer = peer_new(_i ? unmap_something_else : refuse_unmap);
	struct vfio_device *device = peer_open(peer);
	int memory = memfd_of(0x1000);

	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0, (iova_t){0x1000}, 0x1000, RW), 0);
	ck_assert_int_eq(device->ops->unmap(device, NULL, (iova_t){0x1000}, 0x1000), -ENODEV);
	ck_assert(readable(device->life_fd));
	ck_assert_uint_eq(device->mappings, 0);
	close(memory);
	vfio_close(device);
	pthread_join(peer->thread, NULL);
	ck_assert_int_eq(atomic_load(&peer->flag), 1);
	peer_start(peer); /* peer_free() joins: a thread whose accept fails */
	shutdown(peer->listener, SHUT_RDWR);
	peer_free(peer);
	no_fd_left();
}
END_TEST

/* ------------------------------------------------------------------ the server's own requests */

struct request {
	uint16_t command;
	uint64_t address;
	uint64_t count;
	uint32_t payload; /* bytes of data sent along */
	uint32_t error; /* expected */
	uint32_t flags;
};

/* Mapped: 0x10000-0x12000 read-write (file offset 0x1000), 0x12000-0x13000 read only, 0x13000-0x14000 write only. */
static const struct request requests[] = {
    {VFU_DMA_READ, 0x10000, 4096, 0, 0, 0},
    {VFU_DMA_READ, 0x10ffe, 4, 0, 0, 0}, /* unaligned */
    {VFU_DMA_READ, 0x11ffe, 4, 0, 0, 0}, /* across two mappings */
    {VFU_DMA_READ, 0x12ffe, 2, 0, 0, 0},
    {VFU_DMA_READ, 0x12ffe, 4, 0, EACCES, 0}, /* the second may not be read */
    {VFU_DMA_WRITE, 0x13ffe, 4, 4, EFAULT, 0}, /* runs out of the last */
    {VFU_DMA_READ, 0x0fffe, 4, 0, EFAULT, 0},
    {VFU_DMA_READ, 0x14000, 1, 0, EFAULT, 0},
    {VFU_DMA_READ, ~0ull, 4, 0, EFAULT, 0}, /* wraps */
    {VFU_DMA_READ, 0x10000, 0, 0, EINVAL, 0},
    {VFU_DMA_READ, 0x10000, 65537, 0, E2BIG, 0},
    {VFU_DMA_READ, 0x10000, ~0ull, 0, E2BIG, 0},
    {VFU_DMA_READ, 0x10000, 4, 4, EINVAL, 0}, /* a read carries no data */
    {VFU_DMA_WRITE, 0x10000, 4, 4, 0, 0},
    {VFU_DMA_WRITE, 0x13000, 4096, 4096, 0, 0},
    {VFU_DMA_WRITE, 0x12000, 4, 4, EACCES, 0},
    {VFU_DMA_WRITE, 0x11ffe, 4, 4, EACCES, 0},
    {VFU_DMA_WRITE, 0x10000, 8, 4, EINVAL, 0}, /* less data than announced */
    {VFU_DMA_WRITE, 0x10000, 4, 8, EINVAL, 0},
    {VFU_REGION_READ, 0x10000, 4, 0, ENOTSUP, 0}, /* not a server's command */
    {99, 0x10000, 4, 0, ENOTSUP, 0},
    {VFU_DMA_WRITE, 0x10004, 4, 4, 0, VFU_FLAG_NO_REPLY},
};

/* One request between the client's read and its reply; checks the answer. */
static void ask(struct peer *peer, int fd, const struct request *request, unsigned number)
{
	static uint8_t body[16 + 8192];
	struct vfu_header header = {.id = (uint16_t)(500 + number),
				    .command = request->command,
				    .size = (uint32_t)(16 + 16 + request->payload),
				    .flags = request->flags};

	memcpy(body, &request->address, 8);
	memcpy(body + 8, &request->count, 8);
	memset(body + 16, 0xd0 + (int)number, request->payload);
	peer_send_on(fd, &header, body, 16 + request->payload, NULL, 0);
	if (request->flags & VFU_FLAG_NO_REPLY)
		return;
	ck_assert(peer_receive_on(peer, fd));
	ck_assert_uint_eq(peer->header.id, 500 + number);
	ck_assert_uint_eq(peer->header.command, request->command);
	ck_assert_msg(peer->header.error == request->error, "request %u: error %u, not %u", number, peer->header.error,
		      request->error);
	ck_assert_uint_eq(peer->header.flags, VFU_FLAG_REPLY | (request->error ? VFU_FLAG_ERROR : 0));
	if (request->error) {
		ck_assert_uint_eq(peer->body_bytes, 0);
	} else if (request->command == VFU_DMA_WRITE) {
		ck_assert_uint_eq(peer->body_bytes, 16);
		ck_assert_mem_eq(peer->body, body, 16);
	} else {
		ck_assert_uint_eq(peer->body_bytes, 16 + request->count);
		/* every page of the file is filled with its number, counted from 0x10000 */
		for (uint64_t i = 0; i < request->count; i++)
			ck_assert_uint_eq(peer->body[16 + i], ((request->address + i) >> 12) - 0x10 + 1);
	}
}

static void accept_maps(struct peer *peer)
{
	for (int i = 0; i < 3; i++) {
		peer_expect(peer, VFU_DMA_MAP);
		peer_reply(peer, NULL, 0);
	}
}

static void ask_all(struct peer *peer)
{
	accept_maps(peer);
	for (unsigned i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		uint8_t body[16];

		peer_expect(peer, VFU_REGION_READ);
		struct vfu_header header = peer->header;
		memcpy(body, peer->body, sizeof(body));
		ask(peer, peer->answers.twin ? peer->twin : peer->fd, &requests[i], i);
		peer->header = header;
		memcpy(peer->body, body, sizeof(body));
		peer_reply_read(peer, i);
	}
	serve_all(peer);
}

static void fill(int memory)
{
	uint8_t page[4096];

	for (int i = 0; i < 5; i++) {
		memset(page, i, sizeof(page));
		ck_assert_int_eq(pwrite(memory, page, sizeof(page), (off_t)i * 4096), 4096);
	}
}

/* _i: 0 = one socket, 1 = twin socket */
START_TEST(server_requests_are_served_between_request_and_reply)
{
	struct peer *peer = peer_new(ask_all);
	int memory = memfd_of(0x5000);
	uint32_t value = 0, words[2];

	if (_i) {
		peer->answers.twin = true;
		peer->answers.json = "{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":0}}}";
	}
	fill(memory);
	struct vfio_device *device = peer_open(peer);
	ck_assert_uint_eq(device->max_mappings, _i ? 65535 : 8); /* the default where nothing is said */
	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0x1000, (iova_t){0x10000}, 0x2000, RW), 0);
	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0x3000, (iova_t){0x12000}, 0x1000, VFIO_READ), 0);
	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0x4000, (iova_t){0x13000}, 0x1000, VFIO_WRITE), 0);
	for (uint32_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0);
		ck_assert_uint_eq(value, i);
	}
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0); /* the last request is served by now */
	ck_assert_int_eq(pread(memory, words, 8, 0x1000), 8);
	ck_assert_uint_eq(words[0], 0xdddddddd); /* request 13 */
	ck_assert_uint_eq(words[1], 0xe5e5e5e5); /* request 21: no reply, but done */
	ck_assert_int_eq(pread(memory, words, 8, 0x2ffc), 8);
	ck_assert_uint_eq(words[0], 0x02020202); /* a refused write changes nothing */
	ck_assert_uint_eq(words[1], 0x03030303);
	ck_assert_int_eq(pread(memory, words, 8, 0x4ff8), 8);
	ck_assert_uint_eq(words[1], 0xdededede);
	close(memory);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

static void ask_shrunk(struct peer *peer)
{
	peer_expect(peer, VFU_DMA_MAP);
	peer_reply(peer, NULL, 0);
	peer_expect(peer, VFU_REGION_READ);
	struct vfu_header header = peer->header;
	uint8_t body[16];
	memcpy(body, peer->body, sizeof(body));
	ask(peer, peer->fd, &(struct request){VFU_DMA_READ, 0x10000, 4, 0, EFAULT, 0}, 0);
	peer->header = header;
	memcpy(peer->body, body, sizeof(body));
	peer_reply_read(peer, 1);
}

START_TEST(a_file_that_shrinks_costs_an_error_reply)
{
	struct peer *peer = peer_new(ask_shrunk);
	struct vfio_device *device = peer_open(peer);
	int memory = memfd_of(0x1000);
	uint32_t value;

	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0, (iova_t){0x10000}, 0x1000, RW), 0);
	ck_assert_int_eq(ftruncate(memory, 0), 0);
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0);
	close(memory);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

START_TEST(many_mappings_of_one_file_cost_one_descriptor)
{
	struct peer *peer = peer_new(serve_all);
	peer->answers.json = "{}";
	struct vfio_device *device = peer_open(peer);
	int memory = memfd_of(0x1000);
	unsigned fds = open_fds();

	for (uint64_t i = 0; i < 1000; i++) /* from both ends, so that the table moves */
		ck_assert_int_eq(device->ops->map(device, NULL, memory, 0,
						  (iova_t){0x1000 * (1 + (i % 2 ? 1000 - i : i))}, 0x1000, RW),
				 0);
	ck_assert_uint_le(open_fds(), fds + 2); /* ours, and the last message's at the peer */
	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_int_eq(
		    device->ops->unmap(device, NULL, (iova_t){0x1000 * (1 + (i % 2 ? 1000 - i : i))}, 0x1000), 0);
	ck_assert_uint_eq(device->mappings, 0);
	close(memory);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

START_TEST(register_accesses_allocate_nothing)
{
	struct peer *peer = peer_new(serve_all);
	struct vfio_device *device = peer_open(peer);
	uint32_t value;
	uint64_t before = alloc_count();

	int failed = 0;
	for (unsigned i = 0; i < 100; i++)
		failed |= device->ops->reg_write(device, 0, i) | device->ops->reg_read(device, 0, &value);
	uint64_t allocations = alloc_count() - before;
	ck_assert_int_eq(failed, 0);
	ck_assert_uint_eq(allocations, 0);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vfio_user_dma");
	TCase *maps = tcase_create("maps"), *requests_case = tcase_create("requests");

	tcase_add_checked_fixture(maps, count_fds, NULL);
	tcase_add_test(maps, map_sends_the_file_and_exactly_the_rights);
	tcase_add_test(maps, bad_maps_never_reach_the_server);
	tcase_add_test(maps, a_refused_map_leaves_nothing);
	tcase_add_test(maps, unmap_returns_after_the_servers_answer);
	tcase_add_test(maps, only_exact_mappings_are_unmapped);
	tcase_add_loop_test(maps, a_server_that_keeps_memory_loses_the_device, 0, 2);
	tcase_add_test(maps, many_mappings_of_one_file_cost_one_descriptor);
	suite_add_tcase(suite, maps);
	tcase_add_checked_fixture(requests_case, count_fds, NULL);
	tcase_add_loop_test(requests_case, server_requests_are_served_between_request_and_reply, 0, 2);
	tcase_add_test(requests_case, a_file_that_shrinks_costs_an_error_reply);
	tcase_add_test(requests_case, register_accesses_allocate_nothing);
	suite_add_tcase(suite, requests_case);
	return suite_main(suite);
}
