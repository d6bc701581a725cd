/* SPDX-License-Identifier: Apache-2.0 */
/* The frame around a reply or an event: byte for byte what protobuf makes of it. */
#include "daemon/wire/envelope.h"

#include <string.h>

#include "proto/limits.h"
#include "tests/unit/suite.h"

#define BYTES 4096

/* Of a text, so that the lengths around it take one byte, one and two, or two. */
static const size_t sizes[] = {0, 1, 100, 121, 122, 123, 124, 125, 126, 127, 128, 200, NPUD_MAX_ERROR_TEXT - 1};

static void expect(const Npud__ServerFrame *frame, const uint8_t *got, size_t bytes)
{
	uint8_t wanted[BYTES];

	ck_assert_uint_eq(bytes, npud__server_frame__pack(frame, wanted));
	ck_assert_mem_eq(got, wanted, bytes);
}

static char *text(size_t bytes)
{
	static char text[NPUD_MAX_ERROR_TEXT];

	memset(text, 'x', bytes);
	text[bytes] = '\0';
	return text;
}

START_TEST(a_reply_is_framed_as_protobuf_frames_it)
{
	uint8_t out[BYTES];
	Npud__ServerFrame frame = NPUD__SERVER_FRAME__INIT;
	Npud__Reply reply = NPUD__REPLY__INIT;
	Npud__Error error = NPUD__ERROR__INIT;

	error.message = text(sizes[_i]);
	reply.serial = 7;
	reply.error = &error;
	frame.body_case = NPUD__SERVER_FRAME__BODY_REPLY;
	frame.reply = &reply;
	expect(&frame, out, envelope_reply(&reply, out, sizeof(out)));
}
END_TEST

START_TEST(an_event_is_framed_as_protobuf_frames_it)
{
	uint8_t out[BYTES];
	Npud__ServerFrame frame = NPUD__SERVER_FRAME__INIT;
	Npud__Event event = NPUD__EVENT__INIT;
	Npud__JobDone done = NPUD__JOB_DONE__INIT;

	done.submission = UINT64_MAX;
	done.message = text(sizes[_i]);
	event.body_case = NPUD__EVENT__BODY_JOB_DONE;
	event.job_done = &done;
	frame.body_case = NPUD__SERVER_FRAME__BODY_EVENT;
	frame.event = &event;
	expect(&frame, out, envelope_event(NPUD__EVENT__BODY_JOB_DONE, &done.base, out, sizeof(out)));
}
END_TEST

START_TEST(what_does_not_fit_is_not_written)
{
	uint8_t out[BYTES];
	Npud__JobDone done = NPUD__JOB_DONE__INIT;

	done.message = text(sizes[_i]);
	done.cookie = 1;
	size_t bytes = envelope_event(NPUD__EVENT__BODY_JOB_DONE, &done.base, out, sizeof(out));
	memset(out, 0xee, sizeof(out));
	ck_assert_uint_eq(envelope_event(NPUD__EVENT__BODY_JOB_DONE, &done.base, out, bytes - 1), 0);
	ck_assert_uint_eq(out[0], 0xee);
	ck_assert_uint_eq(envelope_event(NPUD__EVENT__BODY_JOB_DONE, &done.base, out, bytes), bytes);
	ck_assert_uint_eq(out[bytes], 0xee);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("envelope");
	TCase *frames = tcase_create("frames");
	int count = sizeof(sizes) / sizeof(sizes[0]);

	tcase_add_loop_test(frames, a_reply_is_framed_as_protobuf_frames_it, 0, count);
	tcase_add_loop_test(frames, an_event_is_framed_as_protobuf_frames_it, 0, count);
	tcase_add_loop_test(frames, what_does_not_fit_is_not_written, 0, count);
	suite_add_tcase(suite, frames);
	return suite_main(suite);
}
