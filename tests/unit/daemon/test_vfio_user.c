/* SPDX-License-Identifier: Apache-2.0 */
/* The vfio-user client's handshake, registers and interrupt against a scripted server: honest, old, lying, silent. */
#include "tests/unit/daemon/vfu_peer.h"

static unsigned fds_before;

static void count_fds(void)
{
	fds_before = open_fds();
}

static void no_fd_left(void)
{
	ck_assert_uint_eq(open_fds(), fds_before);
}

/* Serves register reads with 0x1234 until the client hangs up. */
static void serve_reads(struct peer *peer)
{
	while (peer_receive(peer))
		if (!(peer->header.flags & VFU_FLAG_NO_REPLY))
			peer_reply_read(peer, 0x1234);
}

/* ------------------------------------------------------------------ open */

static void interrupt_then_serve(struct peer *peer)
{
	uint64_t one = 1;

	peer_expect(peer, VFU_REGION_READ);
	ck_assert_int_eq(write(peer->irq_fd, &one, sizeof(one)), sizeof(one));
	peer_reply_read(peer, 0x1234);
	serve_reads(peer);
}

START_TEST(open_negotiates_checks_and_arms_msix)
{
	struct peer *peer = peer_new(interrupt_then_serve);
	struct vfio_device *device = peer_open(peer);
	uint64_t one = 0;
	uint32_t value = 0;

	ck_assert_str_eq(device->ops->name, "vfio-user");
	ck_assert_uint_eq(device->mmio_bytes, 0x10000);
	ck_assert_uint_eq(device->page_bytes, 4096);
	ck_assert_uint_eq(device->max_mappings, 8);
	ck_assert_uint_eq(device->mappings, 0);
	ck_assert(!readable(device->irq_fd));
	ck_assert_int_eq(device->ops->reg_read(device, 0x50, &value), 0);
	ck_assert_uint_eq(value, 0x1234);
	ck_assert_uint_eq(peer->bound_index, VFU_IRQ_MSIX);
	ck_assert(readable(device->irq_fd));
	ck_assert_int_eq(read(device->irq_fd, &one, sizeof(one)), sizeof(one));
	ck_assert_uint_eq(one, 1);
	ck_assert_int_eq(read(device->irq_fd, &one, sizeof(one)), -1); /* does not block */
	ck_assert(!readable(device->life_fd));
	ck_assert_int_ne(fcntl(device->irq_fd, F_GETFD) & FD_CLOEXEC, 0);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

/* Which interrupt is left when the better ones are absent or refused. */
static const struct {
	uint32_t count[3];
	bool refuse[3];
	uint32_t irqs;
	uint32_t bound;
} fallbacks[] = {
    {{1, 0, 4}, {false, false, true}, 5, VFU_IRQ_INTX},
    {{1, 1, 0}, {false, false, false}, 5, VFU_IRQ_MSI},
    {{1, 1, 1}, {false, true, true}, 5, VFU_IRQ_INTX},
    {{1, 0, 4}, {false, false, false}, 1, VFU_IRQ_INTX}, /* the server knows one index only */
};

static void expect_unmask(struct peer *peer)
{
	struct vfu_irq_set set;

	if (peer->bound_index == VFU_IRQ_INTX) {
		peer_expect(peer, VFU_DEVICE_SET_IRQS);
		memcpy(&set, peer->body, sizeof(set));
		ck_assert_uint_eq(set.flags, VFU_IRQ_SET_DATA_NONE | VFU_IRQ_SET_ACTION_UNMASK);
		ck_assert_uint_eq(set.index, VFU_IRQ_INTX);
		ck_assert_uint_eq(set.count, 1);
		ck_assert_uint_eq(peer->header.flags, VFU_FLAG_NO_REPLY);
	}
	peer_expect(peer, VFU_REGION_READ);
	peer_reply_read(peer, 7);
}

START_TEST(the_interrupt_falls_back_from_msix_to_msi_to_intx)
{
	struct peer *peer = peer_new(expect_unmask);
	uint32_t value;

	memcpy(peer->answers.irq_count, fallbacks[_i].count, sizeof(peer->answers.irq_count));
	memcpy(peer->answers.refuse_bind, fallbacks[_i].refuse, sizeof(peer->answers.refuse_bind));
	peer->answers.irqs = fallbacks[_i].irqs;
	struct vfio_device *device = peer_open(peer);
	ck_assert_int_eq(device->ops->irq_unmask(device), 0);
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0);
	ck_assert_uint_eq(peer->bound_index, fallbacks[_i].bound);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

START_TEST(longer_replies_and_unasked_descriptors_are_taken)
{
	struct peer *peer = peer_new(serve_reads);
	uint32_t value = 0;

	peer->answers.long_replies = true;
	struct vfio_device *device = peer_open(peer);
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0);
	ck_assert_uint_eq(device->mmio_bytes, 0x10000);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

#define CAPS(members) .json = "{\"capabilities\":{" members "}}"
static const struct {
	struct peer_answers answers; /* 0 = the default */
	const char *why;
	int error;
} refusals[] = {
    {{.major = 1}, "speaks 1.1", -EPROTONOSUPPORT},
    {{.minor = 3}, "speaks 0.3", -EPROTONOSUPPORT},
    {{.json = "[1,2]"}, "JSON object", -EPROTO},
    {{.json = "{\"capabilities\":"}, "JSON object", -EPROTO},
    {{.json = "{}", .json_bytes = 2}, "without end", -EPROTO},
    {{.json = "{}{}{}{}", .json_bytes = 9}, "JSON object", -EPROTO},
    {{CAPS("\"max_data_xfer_size\":3")}, "max_data_xfer_size", -EPROTO},
    {{CAPS("\"max_data_xfer_size\":\"many\"")}, "max_data_xfer_size", -EPROTO},
    {{CAPS("\"max_data_xfer_size\":-1")}, "max_data_xfer_size", -EPROTO},
    {{CAPS("\"max_dma_maps\":0")}, "max_dma_maps", -EPROTO},
    {{CAPS("\"max_msg_fds\":0")}, "max_msg_fds", -EPROTO},
    {{CAPS("\"pgsizes\":0")}, "pgsizes", -EPROTO},
    {{CAPS("\"twin_socket\":{\"supported\":true,\"fd_index\":0}")}, "twin", -EPROTO},
    {{CAPS("\"twin_socket\":{\"supported\":true,\"fd_index\":1}"), .twin = true}, "twin", -EPROTO},
    {{CAPS("\"twin_socket\":{\"supported\":true,\"fd_index\":-1}"), .twin = true}, "twin", -EPROTO},
    {{.info_flags = VFU_DEVICE_FLAG_RESET}, "not a PCI device", -ENOTSUP},
    {{.regions = 7}, "7 regions", -EPROTO},
    {{.regions = 101}, "101 regions", -EPROTO},
    {{.irqs = 51}, "51 interrupts", -EPROTO},
    {{.class_revision = 0x02000001}, "class 0200", -ENOTSUP},
    {{.class_revision = 0xffffffff}, "class ffff", -ENOTSUP},
    {{.region_size = 3}, "region 0", -ENOTSUP},
    {{.region_size = 1ull << 40}, "region 0", -ENOTSUP},
    {{.region_flags = VFU_REGION_FLAG_READ}, "region 0", -ENOTSUP},
    {{.irq_flags = VFU_IRQ_INFO_MASKABLE}, "no interrupt", -ENOTSUP},
};

START_TEST(a_server_that_is_not_our_device_is_refused_with_a_reason)
{
	struct peer *peer = peer_new(NULL);
	struct peer_answers *to = &peer->answers;
	const struct peer_answers *from = &refusals[_i].answers;
	struct vfio_device *device = NULL;
	char why[256] = "";

	to->major = from->major;
	to->twin = from->twin;
	to->json_bytes = from->json_bytes;
#define TAKE(member) to->member = from->member ? from->member : to->member
	TAKE(minor);
	TAKE(json);
	TAKE(info_flags);
	TAKE(regions);
	TAKE(irqs);
	TAKE(class_revision);
	TAKE(region_flags);
	TAKE(region_size);
	TAKE(irq_flags);
	peer_start(peer);
	ck_assert_int_eq(vfio_user_open(peer->path, NULL, &device, why, sizeof(why)), refusals[_i].error);
	ck_assert_ptr_null(device);
	ck_assert_msg(strstr(why, refusals[_i].why) != NULL, "'%s' does not mention '%s'", why, refusals[_i].why);
	peer_free(peer);
	no_fd_left();
}
END_TEST

static void refuse_version(struct peer *peer)
{
	peer_expect(peer, VFU_VERSION);
	peer_reply_error(peer, 0);
}

static void speak_nonsense(struct peer *peer)
{
	static const char hello[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

	(void)!send(peer->fd, hello, sizeof(hello), MSG_NOSIGNAL);
	while (peer_receive(peer))
		;
}

static void hang_up(struct peer *peer)
{
	(void)peer;
}

START_TEST(what_is_no_vfio_user_server_is_refused)
{
	static const struct {
		void (*script)(struct peer *peer);
		int error;
	} cases[] = {{refuse_version, -EIO}, {speak_nonsense, -EPROTO}, {hang_up, -EPROTO}};
	struct peer *peer = peer_new(cases[_i].script);
	struct vfio_device *device = NULL;
	char why[256] = "";

	peer->raw = true;
	peer_start(peer);
	ck_assert_int_eq(vfio_user_open(peer->path, NULL, &device, why, sizeof(why)), cases[_i].error);
	ck_assert_ptr_nonnull(strstr(why, "VERSION"));
	peer_free(peer);
	no_fd_left();
}
END_TEST

START_TEST(a_socket_that_nobody_serves_is_named)
{
	struct peer *peer = peer_new(NULL);
	struct vfio_device *device = NULL;
	struct vfio_user_options options = {.connect_ns = 1000000};
	char why[256] = "", path[200];

	snprintf(path, sizeof(path), "%s/absent", peer->directory);
	ck_assert_int_eq(vfio_user_open(path, NULL, &device, why, sizeof(why)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "absent"));
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(vfio_user_open(path, NULL, &device, why, sizeof(why)), -ENAMETOOLONG);
	/* the backlog is full and nobody accepts: connect has its deadline */
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int waiting[8], n = 0;
	strcpy(address.sun_path, peer->path);
	do {
		waiting[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	} while (connect(waiting[n++], (const struct sockaddr *)&address, sizeof(address)) == 0 && n < 8);
	ck_assert_int_lt(n, 8);
	ck_assert_int_eq(vfio_user_open(peer->path, &options, &device, why, sizeof(why)), -ETIMEDOUT);
	while (n > 0)
		close(waiting[--n]);
	close(peer->listener);
	ck_assert_int_eq(vfio_user_open(peer->path, NULL, &device, why, sizeof(why)), -ECONNREFUSED);
	peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* accept fails: the thread ends */
	peer_start(peer);
	peer_free(peer);
	no_fd_left();
}
END_TEST

START_TEST(no_wait_is_longer_than_the_deadline_during_open)
{
	struct peer *peer = peer_new(NULL);
	struct vfio_user_options options = {.deadline_ns = 20000000};
	struct vfio_device *device = NULL;
	char why[256] = "";

	/* in the backlog, never accepted: VERSION is sent, no answer comes */
	ck_assert_int_eq(vfio_user_open(peer->path, &options, &device, why, sizeof(why)), -EPROTO);
	ck_assert_ptr_nonnull(strstr(why, "in time"));
	peer_start(peer);
	peer_free(peer);
	no_fd_left();
}
END_TEST

/* ------------------------------------------------------------------ registers */

static void expect_posted_writes(struct peer *peer)
{
	for (uint32_t i = 0; i < 3; i++) {
		struct vfu_region_access access;
		uint32_t value;

		peer_expect(peer, VFU_REGION_WRITE);
		ck_assert_uint_eq(peer->header.flags, VFU_FLAG_NO_REPLY);
		ck_assert_uint_eq(peer->body_bytes, 20);
		memcpy(&access, peer->body, sizeof(access));
		memcpy(&value, peer->body + 16, sizeof(value));
		ck_assert_uint_eq(access.offset, 4 * i);
		ck_assert_uint_eq(access.region, 0);
		ck_assert_uint_eq(access.count, 4);
		ck_assert_uint_eq(value, 0x100 + i);
	}
	peer_expect(peer, VFU_REGION_READ);
	ck_assert_uint_eq(peer->body_bytes, 16);
	peer_reply_read(peer, 0xcafe);
}

START_TEST(writes_are_posted_in_order_before_a_read)
{
	struct peer *peer = peer_new(expect_posted_writes);
	struct vfio_device *device = peer_open(peer);
	uint32_t value = 0;

	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(device->ops->reg_write(device, 4 * i, 0x100 + i), 0);
	ck_assert_int_eq(device->ops->reg_read(device, 8, &value), 0);
	ck_assert_uint_eq(value, 0xcafe);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

START_TEST(accesses_outside_the_region_or_unaligned_never_reach_the_server)
{
	struct peer *peer = peer_new(NULL);
	struct vfio_device *device = peer_open(peer);
	uint32_t value;

	ck_assert_int_eq(device->ops->reg_read(device, 0x10000, &value), -EINVAL);
	ck_assert_int_eq(device->ops->reg_read(device, 0xfffffffc, &value), -EINVAL);
	ck_assert_int_eq(device->ops->reg_read(device, 2, &value), -EINVAL);
	ck_assert_int_eq(device->ops->reg_write(device, 0xfffd, 0), -EINVAL);
	ck_assert_int_eq(device->ops->reg_write(device, 0x10000, 0), -EINVAL);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

static void answer_errors(struct peer *peer)
{
	static const uint32_t errors[] = {0, EINVAL, ENODEV, 100000};

	for (unsigned i = 0; i < 4; i++) {
		peer_expect(peer, VFU_REGION_READ);
		peer_reply_error(peer, errors[i]);
	}
	serve_reads(peer);
}

START_TEST(an_error_reply_costs_the_call_and_not_the_device)
{
	struct peer *peer = peer_new(answer_errors);
	struct vfio_device *device = peer_open(peer);
	uint32_t value;

	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), -EIO); /* errno 0 */
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), -EINVAL);
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), -EIO); /* ENODEV is ours to say */
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), -EIO);
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

/* ------------------------------------------------------------------ lies, silence, death */

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
	ck_assert_int_eq(device->ops->map(device, memory, 0, (iova_t){0x1000}, 4096, VFIO_READ), -ENODEV);
	ck_assert_int_eq(device->ops->unmap(device, (iova_t){0x1000}, 4096), -ENODEV);
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

	ck_assert_int_eq(device->ops->map(device, memory, 0, (iova_t){0x1000}, 4096, VFIO_READ), 0);
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

/* ------------------------------------------------------------------ reset */

static void answer_resets(struct peer *peer)
{
	peer_expect(peer, VFU_DEVICE_RESET);
	ck_assert_uint_eq(peer->body_bytes, 0);
	peer_reply(peer, NULL, 0);
	peer_expect(peer, VFU_DEVICE_RESET);
	peer_reply_error(peer, EBUSY);
	serve_reads(peer);
}

START_TEST(reset_is_asked_for_only_where_it_exists)
{
	struct peer *peer = peer_new(answer_resets);
	struct vfio_device *device = peer_open(peer);
	uint32_t value;

	ck_assert_int_eq(device->ops->reset(device), 0);
	ck_assert_int_eq(device->ops->reset(device), -EBUSY);
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0);
	vfio_close(device);
	peer_free(peer);
	peer = peer_new(serve_reads);
	peer->answers.info_flags = VFU_DEVICE_FLAG_PCI;
	device = peer_open(peer);
	ck_assert_int_eq(device->ops->reset(device), -ENOTSUP);
	vfio_close(device);
	peer_free(peer);
	no_fd_left();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vfio_user");
	TCase *open_case = tcase_create("open"), *registers = tcase_create("registers"), *bad = tcase_create("bad");

	tcase_add_checked_fixture(open_case, count_fds, NULL);
	tcase_add_test(open_case, open_negotiates_checks_and_arms_msix);
	tcase_add_loop_test(open_case, the_interrupt_falls_back_from_msix_to_msi_to_intx, 0,
			    sizeof(fallbacks) / sizeof(*fallbacks));
	tcase_add_test(open_case, longer_replies_and_unasked_descriptors_are_taken);
	tcase_add_loop_test(open_case, a_server_that_is_not_our_device_is_refused_with_a_reason, 0,
			    sizeof(refusals) / sizeof(*refusals));
	tcase_add_loop_test(open_case, what_is_no_vfio_user_server_is_refused, 0, 3);
	tcase_add_test(open_case, a_socket_that_nobody_serves_is_named);
	tcase_add_test(open_case, no_wait_is_longer_than_the_deadline_during_open);
	suite_add_tcase(suite, open_case);
	tcase_add_checked_fixture(registers, count_fds, NULL);
	tcase_add_test(registers, writes_are_posted_in_order_before_a_read);
	tcase_add_test(registers, accesses_outside_the_region_or_unaligned_never_reach_the_server);
	tcase_add_test(registers, an_error_reply_costs_the_call_and_not_the_device);
	tcase_add_test(registers, reset_is_asked_for_only_where_it_exists);
	suite_add_tcase(suite, registers);
	tcase_add_checked_fixture(bad, count_fds, NULL);
	tcase_add_loop_test(bad, a_lying_stalling_or_dying_server_costs_the_device_and_nothing_else, 0,
			    sizeof(lies) / sizeof(*lies));
	tcase_add_test(bad, life_fd_tells_the_end_of_the_connection_and_nothing_else);
	tcase_add_test(bad, a_full_socket_and_a_waiting_server_do_not_deadlock);
	tcase_add_test(bad, posted_writes_to_a_server_that_does_not_read_end);
	suite_add_tcase(suite, bad);
	return suite_main(suite);
}
