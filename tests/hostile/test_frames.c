/* SPDX-License-Identifier: Apache-2.0 */
/* Attackers with frames: descriptors, sizes, counts and texts that a well-behaved client never sends. */
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tests/hostile/scene.h"
#include "tests/integration/raw.h"

/* An empty request of each kind that the protocol has: also of those that come after this was written. */
#define each_verb(tag)                                                                                                 \
	for (unsigned n_ = 0, tag;                                                                                     \
	     n_ < npud__request__descriptor.n_fields && ((tag) = npud__request__descriptor.fields[n_].id, true); n_++) \
		if ((tag) != 1 /* the serial */)

static size_t empty_request(unsigned tag, uint8_t out[2])
{
	out[0] = (uint8_t)(tag << 3 | 2); /* all numbers are below 16 */
	out[1] = 0;
	return 2;
}

/* ------------------------------------------------------------------ descriptors */

static int flood(struct harness *where, void *user)
{
	static const unsigned counts[] = {2, 4, 5, 16, RAW_MAX_FDS};
	int fds[RAW_MAX_FDS];
	uint8_t frame[2];

	(void)user;
	for (unsigned i = 0; i < RAW_MAX_FDS; i++)
		fds[i] = STDIN_FILENO;
	each_verb(tag)
	{
		size_t bytes = empty_request(tag, frame);
		bool takes_one = tag == NPUD__REQUEST__BODY_BUFFER_IMPORT;

		for (unsigned i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
			int fd = raw_open(where);

			ck_assert_int_eq(raw_send_bytes(fd, frame, bytes, fds, counts[i]), 0);
			raw_expect_closed(fd);
		}
		int fd = raw_open(where);
		ck_assert_int_eq(raw_send_bytes(fd, frame, bytes, fds, takes_one ? 0 : 1), 0);
		raw_expect_closed(fd);
	}
	return 0;
}

START_TEST(attack_fd_flooding_through_scm_rights)
{
	attack_as(MALLORY, flood, NULL);
	ck_assert_uint_le(harness_stats(harness).open_fds, harness->before.open_fds + 16); /* the innocent's */
}
END_TEST

/* The lowest number that npud has not given to a descriptor. */
static unsigned lowest_free_fd(pid_t pid)
{
	char path[64];
	struct stat file;
	unsigned fd = 0;

	do
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%u", pid, fd++);
	while (lstat(path, &file) == 0);
	return fd - 1;
}

static struct rlimit limit_fds(pid_t pid, unsigned fds)
{
	struct rlimit before, after;

	ck_assert_int_eq(prlimit(pid, RLIMIT_NOFILE, NULL, &before), 0);
	after = (struct rlimit){fds, before.rlim_max};
	ck_assert_int_eq(prlimit(pid, RLIMIT_NOFILE, &after, NULL), 0);
	return before;
}

/* No room for any, some or all but one of the descriptors that come: what arrived is closed, and so is the connection.
 */
START_TEST(attack_truncated_control_data)
{
	uint8_t frame[2];
	size_t bytes = empty_request(NPUD__REQUEST__BODY_BUFFER_IMPORT, frame);

	scene_start(&(struct harness_options){.socket = SOCKET_FOR_ALL, .bare = true}); /* its limits are ours to set */
	for (unsigned room = 0; room < 4; room++) {
		for (unsigned count = room + 1; count <= NPUD_MAX_FRAME_FDS; count++) {
			int fd = raw_open(harness), fds[NPUD_MAX_FRAME_FDS];

			for (unsigned i = 0; i < count; i++)
				fds[i] = raw_memory(0x1000, F_SEAL_SHRINK);
			struct rlimit before = limit_fds(harness->npud, lowest_free_fd(harness->npud) + room);
			ck_assert_int_eq(raw_send_bytes(fd, frame, bytes, fds, count), 0);
			raw_expect_closed(fd);
			ck_assert_int_eq(prlimit(harness->npud, RLIMIT_NOFILE, &before, NULL), 0);
			for (unsigned i = 0; i < count; i++)
				close(fds[i]);
			scene_innocent_works();
		}
	}
	/* who comes while there is no room for anybody waits, and is served when there is */
	struct rlimit before = limit_fds(harness->npud, lowest_free_fd(harness->npud));
	int waiting = raw_connect(harness);
	scene_innocent_works();
	ck_assert_int_eq(prlimit(harness->npud, RLIMIT_NOFILE, &before, NULL), 0);
	attack_as(ALICE, innocent_life, NULL);
	close(waiting);
	scene_stop();
}
END_TEST

/* ------------------------------------------------------------------ sizes */

/* A Ping with an unknown field of as many bytes as it takes: valid, and larger than anything that means something. */
static size_t padded_ping(uint8_t *frame, size_t bytes)
{
	static const uint8_t head[] = {0x1a, 0, 0xa2, 0x06}; /* ping {}, field 100: */
	size_t text = bytes - sizeof(head) - 3;

	memset(frame, 0, bytes);
	memcpy(frame, head, sizeof(head));
	frame[4] = (uint8_t)(text & 0x7f) | 0x80;
	frame[5] = (uint8_t)(text >> 7 & 0x7f) | 0x80;
	frame[6] = (uint8_t)(text >> 14);
	return bytes;
}

static int send_sizes(struct harness *where, void *user)
{
	static uint8_t frame[8 * NPUD_MAX_FRAME_BYTES];
	static const size_t too_large[] = {NPUD_MAX_FRAME_BYTES + 1, 2 * NPUD_MAX_FRAME_BYTES, sizeof(frame)};
	static const size_t accepted[] = {200, NPUD_MAX_FRAME_BYTES - 1, NPUD_MAX_FRAME_BYTES};

	(void)user;
	for (unsigned greeted = 0; greeted < 2; greeted++) {
		for (unsigned i = 0; i < 3; i++) {
			int fd = greeted ? raw_open(where) : raw_connect(where);

			ck_assert_int_eq(raw_send_bytes(fd, frame, padded_ping(frame, too_large[i]), NULL, 0), 0);
			raw_expect_closed(fd);
		}
		int empty = greeted ? raw_open(where) : raw_connect(where);
		ck_assert_int_eq(raw_send_bytes(empty, frame, 0, NULL, 0), 0);
		raw_expect_closed(empty);
		for (unsigned value = 0; value < 256; value++) { /* every frame of one byte */
			int fd = greeted ? raw_open(where) : raw_connect(where);

			frame[0] = (uint8_t)value;
			ck_assert_int_eq(raw_send_bytes(fd, frame, 1, NULL, 0), 0);
			raw_expect_closed(fd);
		}
	}
	int fd = raw_open(where);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(raw_send_bytes(fd, frame, padded_ping(frame, accepted[i]), NULL, 0), 0);
		Npud__ServerFrame *reply = raw_receive(fd);
		ck_assert_msg(reply && !reply->reply->error, "%zu bytes", accepted[i]);
		raw_free(reply);
	}
	close(fd);
	return 0;
}

START_TEST(attack_oversize_or_zero_length_messages)
{
	attack_as(MALLORY, send_sizes, NULL);
}
END_TEST

/* ------------------------------------------------------------------ few bytes, much memory */

struct bomb {
	const char *what;
	uint8_t head[8]; /* before what is repeated */
	uint8_t head_bytes;
	uint8_t length_at; /* in the head: where the lengths of what follows go, two bytes each; 0 ends */
	uint8_t length_at_too;
	uint8_t unit[4]; /* repeated */
	uint8_t unit_bytes;
};

/* Lengths are varints of three bytes, so that every head has room for what follows. */
static const struct bomb bombs[] = {
    {"groups, empty", {0x42, 0x80, 0x80, 0x00}, 4, 1, 0, {0x1a, 0x00}, 2},
    {"packed handles of one byte", {0x42, 0x80, 0x80, 0x00, 0x12, 0x80, 0x80, 0x00}, 8, 1, 5, {0x01}, 1},
    {"handles by themselves", {0x42, 0x80, 0x80, 0x00}, 4, 1, 0, {0x10, 0x01}, 2},
    {"references, empty", {0x3a, 0x80, 0x80, 0x00, 0x1a, 0x80, 0x80, 0x00}, 8, 1, 5, {0x22, 0x00}, 2},
    {"one group of precursors", {0x42, 0x80, 0x80, 0x00, 0x1a, 0x80, 0x80, 0x00}, 8, 1, 5, {0x18, 0x01}, 2},
    {"one text many times", {0x12, 0x80, 0x80, 0x00}, 4, 1, 0, {0x22, 0x01, 'x'}, 3},
    {"unknown fields", {0}, 0, 0, 0, {0xa2, 0x06, 0x00}, 3},
    {"bodies, one after the other", {0}, 0, 0, 0, {0x1a, 0x00, 0x3a, 0x00}, 4},
    {"a message in a message", {0}, 0, 0, 0, {0x3a, 0x7f}, 2},
};

static void put_length(uint8_t *frame, unsigned at, size_t bytes)
{
	if (!at)
		return;
	size_t rest = bytes - at - 3;
	frame[at] = (uint8_t)(rest & 0x7f) | 0x80;
	frame[at + 1] = (uint8_t)(rest >> 7 & 0x7f) | 0x80;
	frame[at + 2] = (uint8_t)(rest >> 14);
}

static size_t make_bomb(const struct bomb *bomb, uint8_t frame[NPUD_MAX_FRAME_BYTES])
{
	size_t bytes = bomb->head_bytes;

	memcpy(frame, bomb->head, bytes);
	for (; bytes + bomb->unit_bytes <= NPUD_MAX_FRAME_BYTES; bytes += bomb->unit_bytes)
		memcpy(frame + bytes, bomb->unit, bomb->unit_bytes);
	put_length(frame, bomb->length_at, bytes);
	put_length(frame, bomb->length_at_too, bytes);
	return bytes;
}

static int throw_bombs(struct harness *where, void *user)
{
	static uint8_t frame[NPUD_MAX_FRAME_BYTES];
	const unsigned *rounds = user;

	for (unsigned round = 0; round < *rounds; round++) {
		for (unsigned i = 0; i < sizeof(bombs) / sizeof(*bombs); i++) {
			int fd = raw_open(where);

			ck_assert_int_eq(raw_send_bytes(fd, frame, make_bomb(&bombs[i], frame), NULL, 0), 0);
			Npud__ServerFrame *reply = raw_receive(fd); /* refused, whether or not the connection lives */
			ck_assert_msg(!reply || reply->reply->error, "%s: accepted", bombs[i].what);
			raw_free(reply);
			close(fd);
		}
	}
	return 0;
}

/* What all of them together make the daemon take is its one block for decoding, once. */
START_TEST(attack_decoder_amplification)
{
	unsigned rounds = 1;
	uint64_t before = harness_stats(harness).resident_bytes;

	attack_as(MALLORY, throw_bombs, &rounds);
	uint64_t once = harness_stats(harness).resident_bytes;
	expect_growth(before, once, NPUD_MAX_UNPACK_BYTES + (256u << 10));
	rounds = 20;
	attack_as(MALLORY, throw_bombs, &rounds);
	uint64_t often = harness_stats(harness).resident_bytes;
	expect_growth(once, often, 128u << 10);
}
END_TEST

/* ------------------------------------------------------------------ peers that are slow */

static int never_read(struct harness *where, void *user)
{
	uint8_t frame[2];
	size_t bytes = empty_request(NPUD__REQUEST__BODY_PING, frame);
	unsigned sent = 0;
	int fd = raw_open(where), half = raw_open(where);
	Npud__ErrorCode code;

	(void)user;
	ck_assert_int_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
	while (sent < 1000000 && raw_send_bytes(fd, frame, bytes, NULL, 0) == 0)
		sent++;
	ck_assert_uint_lt(sent, 1000000); /* the daemon reads no more from who does not read */
	(void)raw_job_begin(half, 1000, 1, &code); /* announced, and never described */
	ck_assert_int_eq(code, 0);
	attack_ready();
	return attack_stay();
}

START_TEST(attack_slow_reader_or_half_message_stalls_others)
{
	uint64_t before = harness_stats(harness).resident_bytes;
	struct accomplice attacks[4];

	for (unsigned i = 0; i < 4; i++)
		attacks[i] = attack_begin(MALLORY, never_read, NULL);
	for (unsigned i = 0; i < 4; i++)
		attack_await(&attacks[i]);
	for (unsigned i = 0; i < 20; i++)
		scene_innocent_works();
	attack_as(ALICE, innocent_life, NULL);
	uint64_t after = harness_stats(harness).resident_bytes;
	/* eight sessions with their submissions, and not a byte for each of the frames */
	expect_growth(before, after, 2u << 20);
	for (unsigned i = 0; i < 4; i++)
		attack_kill(&attacks[i]);
}
END_TEST

/* ------------------------------------------------------------------ numbers that overflow */

/* Ranges of a memfd, and of a buffer where a group names one. */
static void import_ranges(int fd)
{
	const Npud__ErrorCode invalid = NPUD__ERROR_CODE__ERROR_INVALID;
	int good = raw_memory(0x4000, F_SEAL_SHRINK);

	ck_assert_int_eq(raw_import(fd, good, 0, 0x4000, 0, false), 0);
	ck_assert_int_eq(raw_import(fd, good, 0, 0, 0, false), invalid);
	ck_assert_int_eq(raw_import(fd, good, 0, 0x1001, 0, false), invalid);
	ck_assert_int_eq(raw_import(fd, good, 0x800, 0x1000, 0, false), invalid);
	ck_assert_int_eq(raw_import(fd, good, 0, 0x5000, 0, false), invalid);
	ck_assert_int_eq(raw_import(fd, good, 0x4000, 0x1000, 0, false), invalid);
	ck_assert_int_eq(raw_import(fd, good, ~0xfffull, 0x1000, 0, false), invalid);
	ck_assert_int_eq(raw_import(fd, good, ~0xfffull, 0x2000, 0, false), invalid);
	ck_assert_int_eq(raw_import(fd, good, 1ull << 63, 0x1000, 0, false), invalid);
	ck_assert_int_eq(raw_import(fd, good, (1ull << 63) - 0x1000, 0x1000, 0, false), invalid);
	ck_assert_int_eq(raw_import(fd, good, 0, ~0xfffull, 0, false), invalid);
	ck_assert_int_eq(raw_import(fd, good, 0, 0x1000, 0x3000, false), invalid);
	ck_assert_int_eq(raw_import(fd, good, 0, 0x1000, UINT64_MAX, false), invalid);
	ck_assert_int_ne(raw_import(fd, good, 0, 0x1000, 1ull << 63, false), 0);
	ck_assert_int_ne(raw_import(fd, good, 0, 0x1000, 1ull << 32, false), 0);
	close(good);
}

struct reference {
	uint64_t text, parameters, stack;
	uint32_t stride, bss;
	int dependency;
	bool good;
};

static const struct reference references[] = {
    {0, 0, 0, 0x400, 0, 2, true},           {0x4000, 0, 0, 0x400, 0, 2, false}, /* at the end */
    {0x3ff0, 0, 0, 0x400, 0, 2, true},      {8, 0, 0, 0x400, 0, 2, false}, /* an entry point is a multiple of 16 */
    {UINT64_MAX, 0, 0, 0x400, 0, 2, false}, {UINT64_MAX - 15, 0, 0, 0x400, 0, 2, false},
    {1ull << 32, 0, 0, 0x400, 0, 2, false}, {0, UINT64_MAX - 15, 0, 0x400, 0, 2, false},
    {0, 0x4000, 0, 0x400, 0, 2, false},     {0, 0, 0x4000, 0x400, 0, 2, false},
    {0, 0, 0, 0x40000000, 0, 2, false}, /* task 1 outside */
    {0, 0, 0, UINT32_MAX, 0, 2, false},     {0, 0, UINT64_MAX - 0x3ff, 0x400, 0, 2, false}, /* task 1 is inside again */
    {0, 0, 0, 0x400, 1, 2, false}, /* no such block */
    {0, 0, 0, 0x400, UINT32_MAX, 2, false}, {0, 0, 0, 0x400, 0, 3, false}, /* not of this generation */
    {0, 0, 0, 0x400, 0, 99, false},
};

static void group_references(int fd)
{
	Npud__Group group = NPUD__GROUP__INIT, *list[] = {&group};
	Npud__BufferRef text = NPUD__BUFFER_REF__INIT, parameters = NPUD__BUFFER_REF__INIT,
			stack = NPUD__BUFFER_REF__INIT, data = NPUD__BUFFER_REF__INIT;
	Npud__JobGroups message = NPUD__JOB_GROUPS__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	text.handle = parameters.handle = stack.handle = data.handle = raw_import_handle(fd, 0x4000, false);
	group.text = &text;
	group.parameters = &parameters;
	group.stack = &stack;
	group.private_data = &data;
	group.private_stride = 0x100;
	message.n_groups = 1;
	message.groups = list;
	request.body_case = NPUD__REQUEST__BODY_JOB_GROUPS;
	request.job_groups = &message;
	for (unsigned i = 0; i < sizeof(references) / sizeof(*references); i++) {
		Npud__ErrorCode code;

		message.job = raw_job_begin(fd, 1, 1, &code);
		ck_assert_int_eq(code, 0);
		text.offset = references[i].text;
		parameters.offset = references[i].parameters;
		stack.offset = references[i].stack;
		group.stack_stride = references[i].stride;
		group.bss = references[i].bss;
		group.dependency = (Npud__Dependency)references[i].dependency;
		code = raw_code(fd, &request, -1);
		ck_assert_msg((code == 0) == references[i].good, "case %u: error %d", i, code);
	}
}

/* A job whose global memory shadows [offset, offset + bytes) of a buffer of 64 KiB. */
static Npud__ErrorCode gm_region(int fd, uint64_t buffer, uint64_t offset, uint64_t bytes, uint64_t preload_offset,
				 uint64_t preload_bytes)
{
	Npud__BufferRef ref = NPUD__BUFFER_REF__INIT;
	Npud__GmRegion gm = NPUD__GM_REGION__INIT;
	Npud__JobV3 v3 = NPUD__JOB_V3__INIT;
	Npud__JobBegin begin = NPUD__JOB_BEGIN__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	ref.handle = buffer;
	ref.offset = offset;
	gm.buffer = &ref;
	gm.bytes = bytes;
	gm.preload = preload_bytes != 0;
	gm.preload_offset = preload_offset;
	gm.preload_bytes = preload_bytes;
	v3.group_count = v3.bss_count = 1;
	v3.gm = &gm;
	begin.generation_case = NPUD__JOB_BEGIN__GENERATION_V3;
	begin.v3 = &v3;
	request.body_case = NPUD__REQUEST__BODY_JOB_BEGIN;
	request.job_begin = &begin;
	return raw_code(fd, &request, -1);
}

static void gm_ranges(int fd)
{
	uint64_t buffer = raw_import_handle(fd, 0x10000, false);

	ck_assert_int_eq(gm_region(fd, buffer, 0, 0x1000, 0, 0), 0); /* or nothing below means anything */
	ck_assert_int_ne(gm_region(fd, buffer, 0x10000, 0x1000, 0, 0), 0);
	ck_assert_int_ne(gm_region(fd, buffer, 0, 0x11000, 0, 0), 0);
	ck_assert_int_ne(gm_region(fd, buffer, UINT64_MAX - 0xfff, 0x2000, 0, 0), 0);
	ck_assert_int_ne(gm_region(fd, buffer, 0x1000, UINT64_MAX - 0xfff, 0, 0), 0);
	ck_assert_int_ne(gm_region(fd, buffer, 0, 0x1000, UINT64_MAX - 0xfff, 0x1000), 0);
	ck_assert_int_ne(gm_region(fd, buffer, 0, 0x1000, 0, UINT64_MAX - 0xfff), 0);
	ck_assert_int_ne(gm_region(fd, buffer, 0, 0x1000, 0x1000, 0x1000), 0);
}

static int overflow(struct harness *where, void *user)
{
	int fd = raw_open(where);

	(void)user;
	import_ranges(fd);
	group_references(fd);
	gm_ranges(fd);
	close(fd);
	return 0;
}

START_TEST(attack_integer_overflow_in_offset_and_length)
{
	attack_as(MALLORY, overflow, NULL);
}
END_TEST

/* ------------------------------------------------------------------ texts that end up elsewhere */

static int say_names(struct harness *where, void *user)
{
	static const char *const names[] = {
	    "x\nlevel=error event=forged uid=0",
	    "x\"} \n{\"level\":\"error\",\"event\":\"forged\"}",
	    "%s%s%s%s%n%n%08x%p",
	    "\x1b[2J\x1b]0;forged\x07\r\b\x7f\xff\xfe\xc0\x80",
	    "\" event=forged \\\" event=forged \\",
	};

	(void)user;
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		int fd = raw_connect(where);

		raw_hello(fd, names[i]);
		close(fd);
	}
	return 0;
}

static bool is_json_event(const char *line, const char *event)
{
	json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	ck_assert_msg(object != NULL, "no JSON: %s", line);
	const char *name = json_string_value(json_object_get(object, "event"));
	ck_assert_ptr_nonnull(name);
	bool same = strcmp(name, event) == 0;
	json_decref(object);
	return same;
}

static bool is_kv_event(const char *line, const char *event)
{
	char start[64];
	const char *at = strstr(line, " event=");

	ck_assert_msg(strncmp(line, "level=", 6) == 0 && at, "no line of npud's: %s", line);
	(void)snprintf(start, sizeof(start), " event=%s ", event);
	return strncmp(at, start, strlen(start)) == 0;
}

/* Each line is one event of the daemon's own, of printable characters. */
static unsigned count_events(const char *event, bool (*is_event)(const char *line, const char *event))
{
	char *text = harness_read(harness, "npud.log"), *rest = NULL;
	unsigned count = 0;

	for (const char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "sandbox: ", 9) == 0)
			continue;
		for (const char *c = line; *c; c++)
			ck_assert_msg(*c >= ' ' && *c <= '~', "character %#x: %s", (unsigned char)*c, line);
		count += is_event(line, event);
	}
	free(text);
	return count;
}

START_TEST(attack_log_json_and_format_injection)
{
	const char *const formats[] = {"\"level\":\"debug\",\"format\":\"kv\"",
				       "\"level\":\"debug\",\"format\":\"json\""};

	scene_start(&(struct harness_options){.socket = SOCKET_FOR_ALL, .log = formats[_i]});
	unsigned before = count_events("session.open", _i ? is_json_event : is_kv_event);
	attack_as(MALLORY, say_names, NULL);
	scene_innocent_works();
	ck_assert_uint_eq(count_events("session.open", _i ? is_json_event : is_kv_event), before + 5);
	ck_assert_uint_eq(count_events("forged", _i ? is_json_event : is_kv_event), 0);
	scene_stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frames");
	TCase *all = tcase_create("frames"), *own = tcase_create("own scene");

	tcase_set_timeout(all, 120);
	tcase_add_checked_fixture(all, scene_setup, scene_stop);
	tcase_add_test(all, attack_fd_flooding_through_scm_rights);
	tcase_add_test(all, attack_oversize_or_zero_length_messages);
	tcase_add_test(all, attack_decoder_amplification);
	tcase_add_test(all, attack_slow_reader_or_half_message_stalls_others);
	tcase_add_test(all, attack_integer_overflow_in_offset_and_length);
	suite_add_tcase(suite, all);
	tcase_set_timeout(own, 120);
	tcase_add_test(own, attack_truncated_control_data);
	tcase_add_loop_test(own, attack_log_json_and_format_injection, 0, 2);
	suite_add_tcase(suite, own);
	return suite_main(suite);
}
