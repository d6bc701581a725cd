/* SPDX-License-Identifier: Apache-2.0 */
/* The vfio-user client's handshake, registers and interrupt against a scripted server: honest, old, lying, silent. */
#include "tests/unit/daemon/vfu_peer.h"

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
	memcpy(address.sun_path, peer->path, sizeof(peer->path));
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
		ck_assert_uint_eq(access.offset, (uint64_t)4 * i);
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
	TCase *open_case = tcase_create("open"), *registers = tcase_create("registers");

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
	return suite_main(suite);
}
