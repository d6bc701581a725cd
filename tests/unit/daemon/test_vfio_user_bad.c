/* SPDX-License-Identifier: Apache-2.0 */
/* The vfio-user client against servers that lie, stall, flood or die: they cost the device, never a hang or a crash. */
#include "tests/unit/daemon/vfu_peer.h"

static void lie_id(struct peer *peer)
{
	peer->header.id++;
	peer_reply_read(peer, 1);
}

static void lie_command(struct peer *peer)
{
	peer->header.command = VFU_REGION_WRITE;
	peer_reply_read(peer, 1);
}

static void lie_type(struct peer *peer)
{
	struct vfu_header header = reply_header(peer, 20);

	header.flags = 7;
	peer_send_on(peer->fd, &header, peer->body, 20, NULL, 0);
}

static void lie_short(struct peer *peer)
{
	peer_reply(peer, peer->body, 16); /* no data */
}

static void lie_empty(struct peer *peer)
{
	peer_reply(peer, NULL, 0);
}

static void lie_long(struct peer *peer)
{
	peer_reply(peer, peer->body, 24);
}

static void lie_count(struct peer *peer)
{
	peer->body[12] = 8;
	peer_reply_read(peer, 1);
}

static void lie_offset(struct peer *peer)
{
	peer->body[0] ^= 4;
	peer_reply_read(peer, 1);
}

static void lie_size_below_header(struct peer *peer)
{
	struct vfu_header header = reply_header(peer, 0);

	header.size = 15;
	peer_send_on(peer->fd, &header, NULL, 0, NULL, 0);
}

static void lie_size_huge(struct peer *peer)
{
	struct vfu_header header = reply_header(peer, 0);

	header.size = 0xfffffff0;
	peer_send_on(peer->fd, &header, peer->body, 20, NULL, 0);
}

static void die_in_header(struct peer *peer)
{
	struct vfu_header header = reply_header(peer, 20);

	(void)!send(peer->fd, &header, 7, MSG_NOSIGNAL);
	close(peer->fd);
	peer->fd = -1;
}

static void die_in_body(struct peer *peer)
{
	struct vfu_header header = reply_header(peer, 20);

	peer_send_on(peer->fd, &header, peer->body, 3, NULL, 0);
	close(peer->fd);
	peer->fd = -1;
}

static void die_at_once(struct peer *peer)
{
	close(peer->fd);
	peer->fd = -1;
}

static void stall(struct peer *peer)
{
	(void)peer; /* the connection stays open until the test says so */
}

static void stall_in_body(struct peer *peer)
{
	struct vfu_header header = reply_header(peer, 20);

	peer_send_on(peer->fd, &header, peer->body, 3, NULL, 0);
}

/* Requests without end, and never the reply: the deadline holds all the same. */
static void babble(struct peer *peer)
{
	struct vfu_header header = {.command = VFU_DMA_READ, .size = 32, .flags = VFU_FLAG_NO_REPLY};
	uint64_t access[2] = {0x1000, 4};

	while (send(peer->fd, &header, sizeof(header), MSG_NOSIGNAL) > 0 &&
	       send(peer->fd, access, sizeof(access), MSG_NOSIGNAL) > 0)
		;
}

static void flood_fds(struct peer *peer)
{
	struct vfu_header header = reply_header(peer, 20);
	int fds[20];

	for (unsigned i = 0; i < 20; i++)
		fds[i] = peer->listener;
	peer_send_on(peer->fd, &header, peer->body, 20, fds, 20); /* more than any message may carry */
}

static void (*const lies[])(struct peer *peer) = {
    lie_id,        lie_command,   lie_type,
    lie_short,     lie_empty,     lie_long,
    lie_count,     lie_offset,    lie_size_below_header,
    lie_size_huge, die_in_header, die_in_body,
    die_at_once,   stall,         stall_in_body,
    babble,        flood_fds,
};

static void lie(struct peer *peer)
{
	void (*const *chosen)(struct peer *) = peer->user;

	peer_expect(peer, VFU_REGION_READ);
	(*chosen)(peer);
	sem_wait(&peer->go);
}

START_TEST(a_lying_stalling_or_dying_server_costs_the_device_and_nothing_else)
{
	struct peer *peer = peer_new(lie);
	struct vfio_user_options options = {.deadline_ns = 50000000};
	struct vfio_device *device = NULL;
	char why[256] = "";
	uint32_t value = 0x5a;
	void (*chosen)(struct peer *) = lies[_i];
	int memory = memfd_of(4096);

	peer->user = &chosen;
	peer_start(peer);
	ck_assert_int_eq(vfio_user_open(peer->path, &options, &device, why, sizeof(why)), 0);
	ck_assert_int_eq(device->ops->reg_read(device, 0x50, &value), -ENODEV);
	ck_assert_uint_eq(value, 0x5a);
	ck_assert(readable(device->life_fd)); /* the loop learns of it */
	/* nothing more is asked of the server */
	ck_assert_int_eq(device->ops->reg_read(device, 0x50, &value), -ENODEV);
	ck_assert_int_eq(device->ops->reg_write(device, 0x50, 1), -ENODEV);
	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0, (iova_t){0x1000}, 4096, VFIO_READ), -ENODEV);
	ck_assert_int_eq(device->ops->unmap(device, NULL, (iova_t){0x1000}, 4096), -ENODEV);
	ck_assert_int_eq(device->ops->irq_unmask(device), -ENODEV);
	ck_assert_int_eq(device->ops->reset(device), -ENODEV);
	vfio_close(device);
	sem_post(&peer->go);
	close(memory);
	peer_free(peer);
	no_fd_left();
}
END_TEST

static void die_idle(struct peer *peer)
{
	struct vfu_header header = {.command = VFU_DMA_READ, .size = 32};
	uint64_t access[2] = {0x1000, 4};

	peer_send_on(peer->fd, &header, access, sizeof(access), NULL, 0);
	sem_post(&peer->reached);
	sem_wait(&peer->go);
}

START_TEST(life_fd_tells_the_end_of_the_connection_and_nothing_else)
{
	struct peer *peer = peer_new(die_idle);
	struct vfio_device *device = peer_open(peer);
	struct pollfd life = {.fd = device->life_fd, .events = POLLIN};

	sem_wait(&peer->reached);
	ck_assert(!readable(device->life_fd)); /* a request waits; that is not the end */
	sem_post(&peer->go);
	ck_assert_int_eq(poll(&life, 1, -1), 1);
	ck_assert_int_eq(device->ops->reg_write(device, 0, 0), -ENODEV);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

/* Does not read until the client's posts filled the socket; then asks for memory and only goes on after the answer. */
static void block_both_ways(struct peer *peer)
{
	struct vfu_header header = {.id = 9, .command = VFU_DMA_READ, .size = 32};
	uint64_t access[2] = {0x1000, 4};

	peer_expect(peer, VFU_DMA_MAP);
	peer_reply(peer, NULL, 0);
	sem_wait(&peer->go);
	peer_send_on(peer->fd, &header, access, sizeof(access), NULL, 0);
	while (peer_receive(peer)) {
		if ((peer->header.flags & VFU_FLAG_TYPE_MASK) == VFU_FLAG_REPLY) {
			ck_assert_uint_eq(peer->header.id, 9);
			ck_assert_uint_eq(peer->header.flags, VFU_FLAG_REPLY);
			atomic_fetch_add(&peer->flag, 1);
		} else if (peer->header.command == VFU_REGION_READ) {
			peer_reply_read(peer, 5);
		}
	}
}

START_TEST(a_full_socket_and_a_waiting_server_do_not_deadlock)
{
	struct peer *peer = peer_new(block_both_ways);
	struct vfio_device *device = peer_open(peer);
	int memory = memfd_of(4096);
	uint32_t value = 0;

	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0, (iova_t){0x1000}, 4096, VFIO_READ), 0);
	for (unsigned i = 0; i < 4000; i++) {
		if (i == 100)
			sem_post(&peer->go);
		ck_assert_int_eq(device->ops->reg_write(device, 0, i), 0);
	}
	for (unsigned i = 0; i < 2; i++) { /* the second is behind the answer to the server's request */
		ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0);
		ck_assert_uint_eq(value, 5);
	}
	int answers = atomic_load(&peer->flag);
	ck_assert_int_eq(answers, 1);
	vfio_close(device);
	close(memory);
	peer_free(peer);
	no_fd_left();
}
END_TEST

/* The same over a twin socket, where "after the answer" can be told exactly. */
static void ask_before_reading(struct peer *peer)
{
	struct vfu_header header = {.id = 9, .command = VFU_DMA_READ, .size = 32};
	uint64_t access[2] = {0x1000, 4};

	peer_expect(peer, VFU_DMA_MAP);
	peer_reply(peer, NULL, 0);
	peer_send_on(peer->twin, &header, access, sizeof(access), NULL, 0);
	ck_assert(peer_receive_on(peer, peer->twin));
	ck_assert_uint_eq(peer->header.flags, VFU_FLAG_REPLY);
	serve_reads(peer);
}

START_TEST(a_server_that_reads_only_after_its_answer_gets_it_while_we_send)
{
	struct peer *peer = peer_new(ask_before_reading);
	int memory = memfd_of(4096);
	uint32_t value = 0;

	peer->answers.twin = true;
	peer->answers.json = "{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":0}}}";
	struct vfio_device *device = peer_open(peer);
	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0, (iova_t){0x1000}, 4096, VFIO_READ), 0);
	for (unsigned i = 0; i < 4000; i++)
		ck_assert_int_eq(device->ops->reg_write(device, 0, i), 0);
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0);
	vfio_close(device);
	close(memory);
	peer_free(peer);
	no_fd_left();
}
END_TEST

static void never_read(struct peer *peer)
{
	sem_wait(&peer->go);
}

START_TEST(posted_writes_to_a_server_that_does_not_read_end)
{
	struct peer *peer = peer_new(never_read);
	struct vfio_user_options options = {.deadline_ns = 50000000};
	struct vfio_device *device = NULL;
	char why[256] = "";
	int rc = 0;

	peer_start(peer);
	ck_assert_int_eq(vfio_user_open(peer->path, &options, &device, why, sizeof(why)), 0);
	for (unsigned i = 0; i < 1000000 && rc == 0; i++)
		rc = device->ops->reg_write(device, 0, i);
	ck_assert_int_eq(rc, -ENODEV);
	vfio_close(device);
	sem_post(&peer->go);
	peer_free(peer);
	no_fd_left();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vfio_user_bad");
	TCase *bad = tcase_create("bad");

	tcase_add_checked_fixture(bad, count_fds, NULL);
	tcase_add_loop_test(bad, a_lying_stalling_or_dying_server_costs_the_device_and_nothing_else, 0,
			    sizeof(lies) / sizeof(*lies));
	tcase_add_test(bad, life_fd_tells_the_end_of_the_connection_and_nothing_else);
	tcase_add_test(bad, a_full_socket_and_a_waiting_server_do_not_deadlock);
	tcase_add_test(bad, a_server_that_reads_only_after_its_answer_gets_it_while_we_send);
	tcase_add_test(bad, posted_writes_to_a_server_that_does_not_read_end);
	suite_add_tcase(suite, bad);
	return suite_main(suite);
}
