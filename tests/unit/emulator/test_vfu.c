/* SPDX-License-Identifier: Apache-2.0 */
/* The vfio-user server seen from its socket: framing, commands, refusals, clients that vanish. */
#include "tests/unit/emulator/vfu_client.h"

static struct server server;
static struct client client;

static void setup(void)
{
	server_start(&server, true);
	client_open(&client, &server);
}

static void teardown(void)
{
	close(client.fd);
	server_stop(&server);
}

/* ------------------------------------------------------------------ VERSION */

START_TEST(version_offers_no_more_than_was_asked)
{
	static const char offer[] = "{\"capabilities\":{\"max_msg_fds\":16,\"twin_socket\":{\"supported\":true}}}";
	struct vfu_version version;

	close(client.fd);
	client_dial(&client, &server);
	ck_assert_int_eq(client_version(&client, 0, 1, offer), 0);
	memcpy(&version, client.body, sizeof(version));
	ck_assert_uint_eq(version.major, 0);
	ck_assert_uint_eq(version.minor, 1);
	ck_assert_str_eq((char *)client.body + 4, "{\"capabilities\":{\"max_msg_fds\":8}}");
	/* a second one is refused, the connection stays */
	ck_assert_int_eq(client_version(&client, 0, 0, NULL), EINVAL);
	ck_assert_uint_eq(client_r(&client, 0x50), 0x00010003);
}
END_TEST

START_TEST(version_takes_the_smaller_minor_and_no_json)
{
	close(client.fd);
	client_dial(&client, &server);
	ck_assert_int_eq(client_version(&client, 0, 9, NULL), 0);
	ck_assert_uint_eq(client.bytes, 4);
	ck_assert_uint_eq(client.body[2], VFU_OWN_MINOR);
}
END_TEST

START_TEST(a_full_version_reply_fits_the_smallest_request_buffer)
{
	close(client.fd);
	client_dial(&client, &server);
	ck_assert_int_eq(client_version(&client, 0, 0, CLIENT_JSON), 0);
	ck_assert_uint_le(client.header.size, 214);
	ck_assert_uint_eq(client.body[2], 0);
}
END_TEST

START_TEST(nothing_comes_before_version)
{
	struct vfu_device_info info = {.argsz = 16};

	close(client.fd);
	client_dial(&client, &server);
	ck_assert_int_eq(client_call(&client, VFU_DEVICE_GET_INFO, &info, sizeof(info), NULL, 0), EINVAL);
	ck_assert(!client_receive(&client));
}
END_TEST

START_TEST(a_bad_version_ends_the_connection)
{
	static const char *const json[] = {"{\"capabilities\":3}", "[", "{\"capabilities\":{", ""};

	close(client.fd);
	client_dial(&client, &server);
	ck_assert_int_eq(client_version(&client, 0, 0, json[_i]), EINVAL);
	ck_assert(!client_receive(&client));
	close(client.fd);
	client_dial(&client, &server);
	ck_assert_int_eq(client_version(&client, 1, 0, NULL), EINVAL);
	ck_assert(!client_receive(&client));
}
END_TEST

/* ------------------------------------------------------------------ framing */

START_TEST(a_message_may_be_split_at_any_byte)
{
	struct vfu_region_access access = {0x50, VFU_REGION_BAR0, 4};
	uint8_t message[64];

	for (size_t cut = 1; cut < 32; cut++) {
		size_t size = client_pack(&client, message, VFU_REGION_READ, 0, &access, sizeof(access));

		client_send_all(&client, message, cut);
		ck_assert_int_eq(poll(&(struct pollfd){.fd = client.fd, .events = POLLIN}, 1, 1), 0);
		client_send_all(&client, message + cut, size - cut);
		ck_assert(client_receive(&client));
		ck_assert_uint_eq(client.header.id, client.id);
		ck_assert_uint_eq(*(uint32_t *)(void *)(client.body + 16), 0x00010003);
	}
}
END_TEST

START_TEST(two_commands_in_one_write_are_answered_in_order)
{
	struct vfu_region_access access = {0x50, VFU_REGION_BAR0, 4};
	uint8_t message[128];
	size_t size = client_pack(&client, message, VFU_REGION_READ, 0, &access, sizeof(access));

	access.offset = 0x14;
	size += client_pack(&client, message + size, VFU_REGION_READ, 0, &access, sizeof(access));
	client_send_all(&client, message, size);
	ck_assert(client_receive(&client));
	ck_assert_uint_eq(client.header.id, client.id - 1);
	ck_assert_uint_eq(*(uint32_t *)(void *)(client.body + 16), 0x00010003);
	ck_assert(client_receive(&client));
	ck_assert_uint_eq(client.header.id, client.id);
	ck_assert_uint_eq(*(uint32_t *)(void *)(client.body + 16), 0x00010000);
}
END_TEST

START_TEST(no_reply_writes_are_not_answered_not_even_refused_ones)
{
	struct {
		uint64_t offset;
		uint32_t region;
		uint32_t count;
		uint32_t value;
	} __attribute__((packed)) body = {ZY3_POOL(0, ZY3_POOL_CONFIG), VFU_REGION_BAR0, 4, 5};

	client_send(&client, VFU_REGION_WRITE, VFU_FLAG_NO_REPLY, &body, 20, NULL, 0);
	body.region = 77;
	client_send(&client, VFU_REGION_WRITE, VFU_FLAG_NO_REPLY, &body, 20, NULL, 0);
	ck_assert_uint_eq(client_r(&client, 0x800), 5);
}
END_TEST

START_TEST(an_impossible_size_loses_the_stream)
{
	static const uint32_t sizes[] = {0, 15, 0x00200000, 0xffffffff};
	struct vfu_header header = {1, VFU_REGION_READ, sizes[_i], 0, 0};

	client_send_all(&client, &header, sizeof(header));
	ck_assert(!client_receive(&client));
	/* and the next client is served */
	close(client.fd);
	client_open(&client, &server);
	ck_assert_uint_eq(client_r(&client, 0x50), 0x00010003);
}
END_TEST

START_TEST(unknown_commands_are_refused_and_survived)
{
	static const uint16_t commands[] = {0, 6, 11, 12, 14, 15, 16, 17, 18, 999};
	uint8_t body[32] = {32};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		ck_assert_int_eq(client_call(&client, commands[i], body, sizeof(body), NULL, 0), ENOTSUP);
	ck_assert_uint_eq(client_r(&client, 0x50), 0x00010003);
}
END_TEST

START_TEST(surplus_descriptors_are_closed_and_refused)
{
	struct vfu_dma_map map = {sizeof(map), 3, 0, RIG_BASE, 4096};
	int fd[32], before = rig_count_fds();

	fd[0] = memfd_create("x", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd[0], 65536), 0);
	for (int i = 1; i < 32; i++)
		fd[i] = dup(fd[0]);
	ck_assert_int_eq(client_call(&client, VFU_DMA_MAP, &map, sizeof(map), fd, 32), EINVAL);
	ck_assert_int_eq(client_call(&client, VFU_DMA_MAP, &map, sizeof(map), fd, 2), EINVAL);
	ck_assert_int_eq(client_call(&client, VFU_DEVICE_RESET, NULL, 0, fd, 1), EINVAL);
	ck_assert_int_eq(client_call(&client, VFU_DMA_MAP, &map, sizeof(map), fd, 1), 0);
	for (int i = 0; i < 32; i++)
		close(fd[i]);
	ck_assert_int_eq(rig_count_fds(), before);
}
END_TEST

START_TEST(short_bodies_are_refused)
{
	static const struct {
		uint16_t command;
		size_t bytes;
	} cases[] = {{VFU_DMA_MAP, 31},         {VFU_DMA_UNMAP, 23},          {VFU_DEVICE_GET_INFO, 15},
		     {VFU_REGION_READ, 15},     {VFU_REGION_WRITE, 15},       {VFU_DEVICE_GET_REGION_INFO, 31},
		     {VFU_DEVICE_SET_IRQS, 19}, {VFU_DEVICE_GET_IRQ_INFO, 15}};
	uint8_t body[64] = {64};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_int_eq(client_call(&client, cases[i].command, body, cases[i].bytes, NULL, 0), EINVAL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_int_eq(client_call(&client, cases[i].command, body, 0, NULL, 0), EINVAL);
}
END_TEST

/* ------------------------------------------------------------------ information */

START_TEST(device_regions_and_irqs_are_described)
{
	static const uint64_t bytes[] = {65536, 0, 0, 0, 4096, 0, 0, 4096, 0};
	static const uint32_t counts[] = {1, 0, 4, 1, 1}, flags[] = {7, 0, 1, 9, 9};
	struct vfu_device_info info = {.argsz = 16};

	ck_assert_int_eq(client_call(&client, VFU_DEVICE_GET_INFO, &info, sizeof(info), NULL, 0), 0);
	memcpy(&info, client.body, sizeof(info));
	ck_assert_uint_eq(info.flags, 3);
	ck_assert_uint_eq(info.num_regions, 9);
	ck_assert_uint_eq(info.num_irqs, 5);
	for (uint32_t i = 0; i < 9; i++) {
		struct vfu_region_info region = {.argsz = 32, .index = i};

		ck_assert_int_eq(client_call(&client, VFU_DEVICE_GET_REGION_INFO, &region, sizeof(region), NULL, 0), 0);
		memcpy(&region, client.body, sizeof(region));
		ck_assert_uint_eq(region.argsz, 32);
		ck_assert_uint_eq(region.size, bytes[i]);
		ck_assert_uint_eq(region.flags, bytes[i] ? 3 : 0);
		ck_assert_uint_eq(region.index, i);
		ck_assert_uint_eq(region.cap_offset, 0);
	}
	for (uint32_t i = 0; i < 5; i++) {
		struct vfu_irq_info irq = {.argsz = 16, .index = i};

		ck_assert_int_eq(client_call(&client, VFU_DEVICE_GET_IRQ_INFO, &irq, sizeof(irq), NULL, 0), 0);
		memcpy(&irq, client.body, sizeof(irq));
		ck_assert_uint_eq(irq.count, counts[i]);
		ck_assert_uint_eq(irq.flags, flags[i]);
	}
	struct vfu_region_info region = {.argsz = 32, .index = 9};
	struct vfu_irq_info irq = {.argsz = 16, .index = 5};

	ck_assert_int_eq(client_call(&client, VFU_DEVICE_GET_REGION_INFO, &region, sizeof(region), NULL, 0), EINVAL);
	ck_assert_int_eq(client_call(&client, VFU_DEVICE_GET_IRQ_INFO, &irq, sizeof(irq), NULL, 0), EINVAL);
}
END_TEST

START_TEST(region_accesses_are_checked_without_overflow)
{
	uint32_t word = 0;

	ck_assert_int_eq(client_access(&client, VFU_REGION_READ, 0, 65536, NULL, 4), EINVAL);
	ck_assert_int_eq(client_access(&client, VFU_REGION_READ, 0, 65533, NULL, 4), EINVAL);
	ck_assert_int_eq(client_access(&client, VFU_REGION_READ, 0, UINT64_MAX, NULL, 4), EINVAL);
	ck_assert_int_eq(client_access(&client, VFU_REGION_READ, 1, 0, NULL, 4), EINVAL);
	ck_assert_int_eq(client_access(&client, VFU_REGION_READ, 9, 0, NULL, 4), EINVAL);
	ck_assert_int_eq(client_access(&client, VFU_REGION_READ, 0xffffffff, 0, NULL, 4), EINVAL);
	ck_assert_int_eq(client_access(&client, VFU_REGION_READ, 0, 0, NULL, 0xffffffff), E2BIG);
	ck_assert_int_eq(client_access(&client, VFU_REGION_WRITE, 0, UINT64_MAX - 1, &word, 4), EINVAL);
	/* a count that disagrees with the size */
	struct vfu_region_access access = {0, 0, 8};

	ck_assert_int_eq(client_call(&client, VFU_REGION_WRITE, &access, sizeof(access), NULL, 0), EINVAL);
	ck_assert_int_eq(client_access(&client, VFU_REGION_READ, 0, 0x50, NULL, 0), 0);
	ck_assert_uint_eq(client.bytes, 16);
}
END_TEST

START_TEST(config_space_is_read_at_once_and_registers_in_parts)
{
	ck_assert_int_eq(client_access(&client, VFU_REGION_READ, VFU_REGION_CONFIG, 0, NULL, 4096), 0);
	ck_assert_uint_eq(client.bytes, 16 + 4096);
	ck_assert_uint_eq(client.body[16 + 0x0b], 0x12);
	ck_assert_uint_eq(client.body[16 + 0x0a], 0x00);
	ck_assert_uint_eq(client_read(&client, 0, 0x52, 1), 0x01);
	ck_assert_uint_eq(client_read(&client, 0, 0x50, 2), 0x0003);
	/* registers are written whole or not at all */
	client_write(&client, 0, 0x800, 0x5, 1);
	ck_assert_uint_eq(client_r(&client, 0x800), 0);
	uint64_t two = 0x0000000400000003;

	ck_assert_int_eq(client_access(&client, VFU_REGION_WRITE, 0, 0x8, &two, 8), 0);
	ck_assert_uint_eq(client_r(&client, 0x8), 3);
	ck_assert_uint_eq(client_r(&client, 0xc), 4);
}
END_TEST

/* ------------------------------------------------------------------ DMA maps */

START_TEST(maps_are_checked)
{
	int small = memfd_create("small", MFD_CLOEXEC), pipes[2];

	ck_assert_int_eq(ftruncate(small, 8192), 0);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(client_map(&client, small, 4096, RIG_BASE, 8192, 3), EINVAL); /* behind the file's end */
	ck_assert_int_eq(client_map(&client, small, UINT64_MAX - 4095, RIG_BASE, 8192, 3), EINVAL);
	ck_assert_int_eq(client_map(&client, pipes[0], 0, RIG_BASE, 4096, 3), EINVAL);
	ck_assert_int_eq(client_map(&client, small, 0, RIG_BASE, 0, 3), EINVAL);
	ck_assert_int_eq(client_map(&client, small, 0, RIG_BASE, 4096, 0), EINVAL);
	ck_assert_int_eq(client_map(&client, small, 0, RIG_BASE, 4096, 7), EINVAL);
	ck_assert_int_eq(client_map(&client, small, 0, RIG_BASE + 1, 4096, 3), EINVAL);
	ck_assert_int_eq(client_map(&client, small, 0, UINT64_MAX - 4095, 8192, 3), EINVAL);
	ck_assert_int_eq(client_map(&client, small, 0, RIG_BASE, 8192, 3), 0);
	ck_assert_int_eq(client_map(&client, small, 0, RIG_BASE + 4096, 8192, 3), EEXIST);
	ck_assert_int_eq(client_map(&client, -1, 0, RIG_BASE + 8192, 4096, 1), 0);
	ck_assert_uint_eq(dma_map_count(server.dma), 2);
	close(small);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

START_TEST(unmaps_tolerate_supersets_and_the_end_of_the_address_space)
{
	ck_assert_int_eq(client_map(&client, -1, 0, 0xfef00000, 4096, 3), 0);
	ck_assert_int_eq(client_map(&client, -1, 0, UINT64_MAX - 4095, 4096, 3), 0);
	ck_assert_int_eq(client_unmap(&client, 0, 4096, 0), 0); /* nothing there */
	ck_assert_int_eq(client_unmap(&client, 0xfef00000, 0xffffffff01100000, 0), 0);
	ck_assert_uint_eq(dma_map_count(server.dma), 0);
	ck_assert_int_eq(client_map(&client, -1, 0, 0, 8192, 3), 0);
	ck_assert_int_eq(client_unmap(&client, 4096, 4096, 0), EINVAL); /* would cut it */
	ck_assert_int_eq(client_unmap(&client, 4096, UINT64_MAX, 0), EINVAL);
	ck_assert_int_eq(client_unmap(&client, 0, 8192, 1), EINVAL); /* dirty pages */
	ck_assert_int_eq(client_unmap(&client, 0, 8192, 2), EINVAL);
	ck_assert_uint_eq(dma_map_count(server.dma), 1);
	ck_assert_int_eq(client_unmap(&client, 0, 0, 2), 0);
	ck_assert_uint_eq(dma_map_count(server.dma), 0);
}
END_TEST

static void add(TCase *tcase, Suite *suite)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
}

int main(void)
{
	Suite *suite = suite_create("vfu");
	TCase *frames = tcase_create("frames"), *commands = tcase_create("commands");

	add(frames, suite);
	tcase_add_test(frames, version_offers_no_more_than_was_asked);
	tcase_add_test(frames, version_takes_the_smaller_minor_and_no_json);
	tcase_add_test(frames, a_full_version_reply_fits_the_smallest_request_buffer);
	tcase_add_test(frames, nothing_comes_before_version);
	tcase_add_loop_test(frames, a_bad_version_ends_the_connection, 0, 4);
	tcase_add_test(frames, a_message_may_be_split_at_any_byte);
	tcase_add_test(frames, two_commands_in_one_write_are_answered_in_order);
	tcase_add_test(frames, no_reply_writes_are_not_answered_not_even_refused_ones);
	tcase_add_loop_test(frames, an_impossible_size_loses_the_stream, 0, 4);
	tcase_add_test(frames, unknown_commands_are_refused_and_survived);
	tcase_add_test(frames, surplus_descriptors_are_closed_and_refused);
	tcase_add_test(frames, short_bodies_are_refused);
	add(commands, suite);
	tcase_add_test(commands, device_regions_and_irqs_are_described);
	tcase_add_test(commands, region_accesses_are_checked_without_overflow);
	tcase_add_test(commands, config_space_is_read_at_once_and_registers_in_parts);
	tcase_add_test(commands, maps_are_checked);
	tcase_add_test(commands, unmaps_tolerate_supersets_and_the_end_of_the_address_space);
	return suite_main(suite);
}
