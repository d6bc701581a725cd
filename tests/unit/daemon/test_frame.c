/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and descriptors: limits at their edges, and never a descriptor too many. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/wire/frame.h"
#include "daemon/wire/unpack.h"
#include "tests/unit/suite.h"

static unsigned open_fds(void)
{
	unsigned count = 0;
	DIR *directory = opendir("/proc/self/fd");

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void close_fds(struct frame *frame)
{
	for (int fd = frame_take_fd(frame); fd >= 0; fd = frame_take_fd(frame))
		close(fd);
}

static void send_with_fds(int fd, size_t bytes, unsigned count)
{
	static uint8_t data[NPUD_MAX_FRAME_BYTES + 1];
	static union {
		char bytes[CMSG_SPACE(253 * sizeof(int))];
		struct cmsghdr align;
	} control;
	int fds[253];
	struct iovec vector = {data, bytes};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	memset(&control, 0, sizeof(control));
	for (unsigned i = 0; i < count; i++)
		fds[i] = fd;
	if (count) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	}
	ck_assert_int_eq(sendmsg(fd, &message, 0), (ssize_t)bytes);
}

START_TEST(frames_are_received_up_to_the_limit_and_refused_above_it)
{
	static uint8_t data[NPUD_MAX_FRAME_BYTES];
	struct frame frame = {.data = data};
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(frame_receive(pair[0], &frame), -EAGAIN);
	send_with_fds(pair[1], 1, 0);
	ck_assert_int_eq(frame_receive(pair[0], &frame), 1);
	ck_assert_uint_eq(frame.bytes, 1);
	send_with_fds(pair[1], NPUD_MAX_FRAME_BYTES, 0);
	ck_assert_int_eq(frame_receive(pair[0], &frame), 1);
	ck_assert_uint_eq(frame.bytes, NPUD_MAX_FRAME_BYTES);
	send_with_fds(pair[1], NPUD_MAX_FRAME_BYTES + 1, 0);
	ck_assert_int_eq(frame_receive(pair[0], &frame), -EMSGSIZE);
	close(pair[1]);
	ck_assert_int_eq(frame_receive(pair[0], &frame), 0);
	close(pair[0]);
}
END_TEST

START_TEST(descriptors_above_the_limit_are_refused_and_all_accounted_for)
{
	static const unsigned counts[] = {0, 1, 4, 5, 6, 7, 8, 252, 253};
	static uint8_t data[NPUD_MAX_FRAME_BYTES];
	struct frame frame = {.data = data};
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	unsigned before = open_fds();
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		send_with_fds(pair[1], 8, counts[i]);
		int result = frame_receive(pair[0], &frame);
		if (counts[i] <= NPUD_MAX_FRAME_FDS) {
			ck_assert_int_eq(result, 1);
		} else {
			ck_assert_int_eq(result, -EBADMSG);
		}
		/* the kernel has closed none of them */
		ck_assert_uint_eq(frame.fd_count, counts[i]);
		for (unsigned k = 0; k < frame.fd_count; k++)
			ck_assert_int_eq(fcntl(frame.fds[k], F_GETFD), FD_CLOEXEC);
		close_fds(&frame);
		ck_assert_uint_eq(open_fds(), before);
	}
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(a_peer_that_does_not_read_or_is_gone_is_told_apart)
{
	static uint8_t data[NPUD_MAX_FRAME_BYTES];
	int pair[2];
	int result = 0;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (int i = 0; i < 1000 && result == 0; i++)
		result = frame_send(pair[0], data, sizeof(data), -1);
	ck_assert_int_eq(result, -EAGAIN);
	close(pair[1]);
	result = frame_send(pair[0], data, 1, -1);
	ck_assert(result == -EPIPE || result == -ECONNRESET);
	close(pair[0]);
}
END_TEST

/* One of no bytes looks like the end, and brings descriptors all the same. */
START_TEST(a_socket_in_which_a_message_waits_is_told_apart)
{
	static const struct {
		size_t bytes;
		unsigned fds;
	} left[] = {{0, 0}, {0, 1}, {0, 4}, {1, 0}, {1, 4}};
	int pair[2];

	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		unsigned before = open_fds();
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		send_with_fds(pair[1], left[i].bytes, left[i].fds);
		if (i % 2)
			close(pair[1]);
		ck_assert(!frame_shut(pair[0]));
		ck_assert_uint_eq(open_fds(), before + (i % 2 ? 1 : 2));
		close(pair[0]);
		if (i % 2 == 0)
			close(pair[1]);
	}
	for (int gone = 0; gone < 2; gone++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		if (gone)
			close(pair[1]);
		ck_assert(frame_shut(pair[0]));
		if (!gone) {
			ck_assert_int_eq(send(pair[1], "x", 1, MSG_NOSIGNAL), -1);
			close(pair[1]);
		}
		close(pair[0]);
	}
}
END_TEST

/* ------------------------------------------------------------------ decoding */

static int decode(const uint8_t *data, size_t bytes, struct fail *fail)
{
	struct unpacker *unpacker;
	const Npud__Request *request;

	ck_assert_int_eq(unpacker_new(&unpacker), 0);
	int result = unpack_request(unpacker, data, bytes, &request, fail);
	ck_assert_uint_le(unpacker_peak(unpacker), NPUD_MAX_UNPACK_BYTES);
	unpacker_free(unpacker);
	return result;
}

/* Wraps `bytes` of `body` as field `number` of a Request. */
static size_t wrap(uint8_t *out, unsigned number, const uint8_t *body, size_t bytes)
{
	size_t used = 0;

	out[used++] = (uint8_t)(number << 3 | 2);
	for (size_t rest = bytes;; rest >>= 7) {
		out[used++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
		if (rest <= 0x7f)
			break;
	}
	memcpy(out + used, body, bytes);
	return used + bytes;
}

START_TEST(a_good_request_is_decoded)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__JobSubmit submit = NPUD__JOB_SUBMIT__INIT;
	struct unpacker *unpacker;
	const Npud__Request *decoded;
	uint8_t data[64];
	struct fail fail;

	submit.job = 5;
	request.serial = 9;
	request.body_case = NPUD__REQUEST__BODY_JOB_SUBMIT;
	request.job_submit = &submit;
	size_t bytes = npud__request__pack(&request, data);
	ck_assert_int_eq(unpacker_new(&unpacker), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(unpack_request(unpacker, data, bytes, &decoded, &fail), 0);
		ck_assert_uint_eq(decoded->serial, 9);
		ck_assert_uint_eq(decoded->job_submit->job, 5);
	}
	unpacker_free(unpacker);
}
END_TEST

START_TEST(the_largest_honest_frame_fits_the_budget)
{
	static Npud__Group groups[NPUD_MAX_GROUPS_PER_FRAME];
	static Npud__BufferRef refs[NPUD_MAX_GROUPS_PER_FRAME];
	Npud__Group *pointers[NPUD_MAX_GROUPS_PER_FRAME];
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__JobGroups message = NPUD__JOB_GROUPS__INIT;
	static uint8_t data[NPUD_MAX_FRAME_BYTES];
	struct fail fail;

	for (unsigned i = 0; i < NPUD_MAX_GROUPS_PER_FRAME; i++) {
		npud__group__init(&groups[i]);
		npud__buffer_ref__init(&refs[i]);
		refs[i].handle = 1ull << 32 | 4000;
		refs[i].offset = 1u << 30;
		groups[i].text = groups[i].parameters = groups[i].constants = groups[i].stack = &refs[i];
		groups[i].private_data = groups[i].profiler = groups[i].global_param = &refs[i];
		groups[i].stack_stride = groups[i].private_stride = groups[i].profiler_offset = 1u << 20;
		pointers[i] = &groups[i];
	}
	message.job = 1ull << 32 | 1000;
	message.n_groups = NPUD_MAX_GROUPS_PER_FRAME;
	message.groups = pointers;
	request.serial = UINT32_MAX;
	request.body_case = NPUD__REQUEST__BODY_JOB_GROUPS;
	request.job_groups = &message;
	ck_assert_uint_le(npud__request__get_packed_size(&request), NPUD_MAX_FRAME_BYTES);
	size_t bytes = npud__request__pack(&request, data);
	int result = decode(data, bytes, &fail);
	ck_assert_msg(result == 0, "%s", result ? fail.text : "");
}
END_TEST

START_TEST(few_bytes_do_not_become_much_memory)
{
	static uint8_t body[NPUD_MAX_FRAME_BYTES];
	static uint8_t inner[NPUD_MAX_FRAME_BYTES];
	static uint8_t data[NPUD_MAX_FRAME_BYTES + 64];
	struct fail fail;

	/* JobGroups.groups, empty, as often as fits; then JobBegin.v3.uses */
	for (size_t i = 0; i < 16000; i += 2) {
		body[i] = 3 << 3 | 2;
		body[i + 1] = 0;
	}
	size_t bytes = wrap(data, 8, body, 16000);
	ck_assert_int_eq(decode(data, bytes, &fail), -EPROTO);
	ck_assert_ptr_nonnull(strstr(fail.text, "groups"));
	for (size_t i = 0; i < 16000; i += 2) {
		body[i] = 4 << 3 | 2;
		body[i + 1] = 0;
	}
	bytes = wrap(inner, 3, body, 16000);
	bytes = wrap(data, 7, inner, bytes);
	ck_assert_int_eq(decode(data, bytes, &fail), -EPROTO);
	/* unknown fields */
	for (size_t i = 0; i < 16000; i += 2) {
		data[i] = 15 << 3;
		data[i + 1] = 0;
	}
	ck_assert_int_eq(decode(data, 16000, &fail), -EPROTO);
}
END_TEST

/* JobBegin.v3.uses, empty ones, in two messages around them. */
static int decode_uses(unsigned count, struct fail *fail)
{
	static uint8_t uses[NPUD_MAX_FRAME_BYTES], begin[NPUD_MAX_FRAME_BYTES + 8], data[NPUD_MAX_FRAME_BYTES + 16];

	for (unsigned i = 0; i < count; i++) {
		uses[2 * i] = 4 << 3 | 2;
		uses[2 * i + 1] = 0;
	}
	size_t bytes = wrap(begin, 3, uses, 2 * (size_t)count);
	return decode(data, wrap(data, 7, begin, bytes), fail);
}

START_TEST(few_bytes_do_not_become_many_messages)
{
	struct fail fail;

	ck_assert_int_eq(decode_uses(NPUD_MAX_NESTED_PER_FRAME - 2, &fail), 0);
	ck_assert_int_eq(decode_uses(NPUD_MAX_NESTED_PER_FRAME - 1, &fail), -EPROTO);
	ck_assert_ptr_nonnull(strstr(fail.text, "messages"));
}
END_TEST

START_TEST(malformed_bytes_are_refused)
{
	static const struct {
		uint8_t data[12];
		size_t bytes;
	} bad[] = {
	    {{0x08}, 1},
	    {{0x00, 0x00}, 2},
	    {{0x07}, 1},
	    {{0x0b, 0x0c}, 2},
	    {{0x12, 0x05, 0x00}, 3},
	    {{0x12, 0xff, 0xff, 0xff, 0xff, 0x0f}, 6},
	    {{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 12},
	    {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 7},
	    {{0x12, 0x00, 0x12, 0x00}, 4},
	};
	struct fail fail;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(decode(bad[i].data, bad[i].bytes, &fail) == -EPROTO, "case %zu", i);
}
END_TEST

START_TEST(long_texts_are_refused)
{
	static uint8_t text[300];
	static uint8_t body[400];
	static uint8_t data[500];
	struct fail fail;

	memset(text, 'x', sizeof(text));
	size_t bytes = wrap(body, 4, text, NPUD_MAX_STRING_BYTES + 1);
	bytes = wrap(data, 2, body, bytes);
	ck_assert_int_eq(decode(data, bytes, &fail), -EPROTO);
	ck_assert_ptr_nonnull(strstr(fail.text, "client_name"));
	bytes = wrap(body, 4, text, NPUD_MAX_STRING_BYTES);
	bytes = wrap(data, 2, body, bytes);
	ck_assert_int_eq(decode(data, bytes, &fail), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frame");
	TCase *tcase = tcase_create("frame");

	tcase_add_test(tcase, frames_are_received_up_to_the_limit_and_refused_above_it);
	tcase_add_test(tcase, descriptors_above_the_limit_are_refused_and_all_accounted_for);
	tcase_add_test(tcase, a_peer_that_does_not_read_or_is_gone_is_told_apart);
	tcase_add_test(tcase, a_socket_in_which_a_message_waits_is_told_apart);
	tcase_add_test(tcase, a_good_request_is_decoded);
	tcase_add_test(tcase, the_largest_honest_frame_fits_the_budget);
	tcase_add_test(tcase, few_bytes_do_not_become_much_memory);
	tcase_add_test(tcase, few_bytes_do_not_become_many_messages);
	tcase_add_test(tcase, malformed_bytes_are_refused);
	tcase_add_test(tcase, long_texts_are_refused);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
