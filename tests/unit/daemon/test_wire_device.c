/* SPDX-License-Identifier: Apache-2.0 */
/* Draining, resetting and looking at a device over the wire: who may, what is answered, and what older clients see. */
#include "daemon/wire/request.h"
#include "tests/unit/daemon/wire_bench.h"

static Npud__ServerFrame *query(struct bench *bench, int fd, uint32_t index)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__DeviceQuery body = NPUD__DEVICE_QUERY__INIT;

	body.index = index;
	request.body_case = NPUD__REQUEST__BODY_DEVICE_QUERY;
	request.device_query = &body;
	return ask(bench, fd, &request, NULL, 0);
}

static Npud__ServerFrame *drain(struct bench *bench, int fd, uint32_t index, bool resume)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__DeviceDrain body = NPUD__DEVICE_DRAIN__INIT;

	body.index = index;
	body.resume = resume;
	request.body_case = NPUD__REQUEST__BODY_DEVICE_DRAIN;
	request.device_drain = &body;
	return ask(bench, fd, &request, NULL, 0);
}

static Npud__ServerFrame *reset(struct bench *bench, int fd, uint32_t index)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__DeviceReset body = NPUD__DEVICE_RESET__INIT;

	body.index = index;
	request.body_case = NPUD__REQUEST__BODY_DEVICE_RESET;
	request.device_reset = &body;
	return ask(bench, fd, &request, NULL, 0);
}

static Npud__ServerFrame *registers(struct bench *bench, int fd, uint32_t index)
{
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__RegistersQuery body = NPUD__REGISTERS_QUERY__INIT;

	body.index = index;
	request.body_case = NPUD__REQUEST__BODY_REGISTERS_QUERY;
	request.registers_query = &body;
	return ask(bench, fd, &request, NULL, 0);
}

static Npud__ServerFrame *any(struct bench *bench, int which, int fd, uint32_t index)
{
	return which == 0   ? drain(bench, fd, index, false)
	       : which == 1 ? reset(bench, fd, index)
			    : registers(bench, fd, index);
}

static const enum right needed[] = {RIGHT_DRAIN, RIGHT_RESET, RIGHT_REGISTERS};

/* Every other right together is not that one. */
START_TEST(each_verb_needs_its_right_and_the_refusal_names_it)
{
	struct bench bench;
	bench_open(&bench);
	int without = client_in(&bench, RIGHTS_ALL & ~RIGHT_BIT(needed[_i]), 3);
	int with = client_in(&bench, RIGHT_BIT(needed[_i]), 3);

	Npud__ServerFrame *frame = any(&bench, _i, without, 0);
	ck_assert_ptr_nonnull(frame->reply->error);
	ck_assert_int_eq(frame->reply->error->code, NPUD__ERROR_CODE__ERROR_PERMISSION);
	char text[64];
	(void)snprintf(text, sizeof(text), "the right \"%s\"", right_name(needed[_i]));
	ck_assert_msg(strstr(frame->reply->error->message, text) != NULL, "%s", frame->reply->error->message);
	drop(frame);
	ck_assert(!bench.world.device->drained);
	ck_assert_str_eq(bench.world.fake->trace, "");
	ck_assert_int_eq(ping(&bench, without), 0);
	ck_assert_int_eq(error_of(any(&bench, _i, with, 0)), 0);
	while ((frame = receive(with)))
		drop(frame);
	ck_assert_int_eq(error_of(any(&bench, _i, with, 1)), NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
	close(without);
	close(with);
	bench_close(&bench);
}
END_TEST

START_TEST(an_older_client_knows_none_of_the_verbs)
{
	struct bench bench;
	bench_open(&bench);
	int fd = client_in(&bench, RIGHTS_ALL, 2);

	ck_assert_int_eq(error_of(any(&bench, _i, fd, 0)), NPUD__ERROR_CODE__ERROR_PROTOCOL);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(a_drain_is_answered_at_once_and_told_to_everybody_in_his_words)
{
	struct bench bench;
	bench_open(&bench);
	int fd = client_in(&bench, RIGHT_BIT(RIGHT_DRAIN), 3), older = client_in(&bench, RIGHTS_NONE, 2);
	struct session *session = world_session(&bench.world);
	run(&bench.world, session, make_job(session));

	Npud__ServerFrame *frame = drain(&bench, fd, 0, false);
	const Npud__DeviceInfo *info = frame->reply->device_info;
	ck_assert_ptr_nonnull(info);
	ck_assert(info->drained);
	ck_assert_str_eq(info->device_name, "fake0");
	ck_assert_uint_eq(info->sessions, 3);
	ck_assert_uint_eq(info->busy_sessions, 1);
	ck_assert_uint_eq(info->submissions, 1);
	drop(frame);
	for (int i = 0; i < 2; i++) {
		frame = receive(i ? older : fd);
		ck_assert_ptr_nonnull(frame);
		ck_assert_int_eq(frame->event->body_case, NPUD__EVENT__BODY_DEVICE_STATE);
		ck_assert_int_eq(frame->event->device_state->status, NPUD__DEVICE_STATUS__DEVICE_READY);
		ck_assert_int_eq(frame->event->device_state->drained, i == 0);
		drop(frame);
	}
	frame = query(&bench, older, 0);
	ck_assert(!frame->reply->device_info->drained);
	ck_assert_uint_eq(frame->reply->device_info->sessions, 0);
	drop(frame);
	frame = drain(&bench, fd, 0, true);
	ck_assert(!frame->reply->device_info->drained);
	drop(frame);
	close(fd);
	close(older);
	bench_close(&bench);
}
END_TEST

/* Serial, answer, then the news, then the outcome for whoever asks. */
START_TEST(a_reset_is_answered_before_it_has_ended_and_its_rung_is_told_afterwards)
{
	struct bench bench;
	bench_open(&bench);
	int fd = client_in(&bench, RIGHT_BIT(RIGHT_RESET), 3);
	bench.world.fake->failing = FAKE_RESET;

	Npud__ServerFrame *frame = query(&bench, fd, 0);
	ck_assert_ptr_null(frame->reply->device_info->reset);
	drop(frame);
	frame = reset(&bench, fd, 0);
	ck_assert_uint_eq(frame->reply->device_info->reset->number, 1);
	ck_assert_int_eq(frame->reply->device_info->reset->state, NPUD__RESET_STATE__RESET_RUNNING);
	drop(frame);
	while ((frame = receive(fd)))
		drop(frame);
	frame = query(&bench, fd, 0);
	ck_assert_uint_eq(frame->reply->device_info->reset->number, 1);
	ck_assert_int_eq(frame->reply->device_info->reset->state, NPUD__RESET_STATE__RESET_DONE);
	ck_assert_int_eq(frame->reply->device_info->reset->rung, NPUD__RUNG__RUNG_TRANSPORT_RESET);
	drop(frame);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(the_longest_answer_about_a_device_fits_its_frame)
{
	struct bench bench;
	bench_open(&bench);
	struct device *device = bench.world.device;
	int fd = client_in(&bench, RIGHTS_ALL, 3);

	memset(device->name, 'n', sizeof(device->name) - 1);
	memset(device->reason, 'r', sizeof(device->reason) - 1);
	memset(device->reset.reason, 'R', sizeof(device->reset.reason) - 1);
	device->reset.number = UINT32_MAX;
	device->reset.state = RESET_FAILED;
	device->reset.ns = UINT64_MAX;
	Npud__ServerFrame *frame = query(&bench, fd, 0);
	ck_assert_uint_eq(strlen(frame->reply->device_info->reset->message), sizeof(device->reset.reason) - 1);
	drop(frame);
	/* and the most registers with the most fields, all with the longest numbers */
	frame = registers(&bench, fd, 0);
	ck_assert_ptr_null(frame->reply->error);
	const Npud__Registers *read = frame->reply->registers;
	ck_assert_uint_eq(read->n_registers, NPU_MAX_REGISTERS);
	ck_assert_uint_eq(read->registers[3]->offset, 0x300c);
	ck_assert_uint_eq(read->registers[3]->value, UINT32_MAX - 3);
	ck_assert_uint_eq(read->registers[3]->n_fields, NPU_MAX_REGISTER_FIELDS);
	ck_assert_uint_eq(read->registers[3]->fields[0]->value, UINT32_MAX - 3);
	ck_assert_uint_eq(read->registers[3]->fields[1]->value, UINT32_MAX << 4);
	drop(frame);
	close(fd);
	bench_close(&bench);
}
END_TEST

START_TEST(one_look_reads_each_register_once)
{
	struct bench bench;
	bench_open(&bench);
	int fd = client_in(&bench, RIGHT_BIT(RIGHT_REGISTERS), 3);

	ck_assert_int_eq(error_of(registers(&bench, fd, 0)), 0);
	ck_assert_str_eq(bench.world.fake->trace, "R");
	/* the device is another's just now: an error that says to try again */
	bench.world.device->state = DEV_SWITCHING;
	ck_assert_int_eq(error_of(registers(&bench, fd, 0)), NPUD__ERROR_CODE__ERROR_BUSY);
	bench.world.device->state = DEV_READY;
	ck_assert_str_eq(bench.world.fake->trace, "R");
	close(fd);
	bench_close(&bench);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire device");
	TCase *tcase = tcase_create("wire device");

	tcase_add_loop_test(tcase, each_verb_needs_its_right_and_the_refusal_names_it, 0, 3);
	tcase_add_loop_test(tcase, an_older_client_knows_none_of_the_verbs, 0, 3);
	tcase_add_test(tcase, a_drain_is_answered_at_once_and_told_to_everybody_in_his_words);
	tcase_add_test(tcase, a_reset_is_answered_before_it_has_ended_and_its_rung_is_told_afterwards);
	tcase_add_test(tcase, the_longest_answer_about_a_device_fits_its_frame);
	tcase_add_test(tcase, one_look_reads_each_register_once);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
