/* SPDX-License-Identifier: Apache-2.0 */
/* What operators ask of a device, from a daemon that is good, slow, old, unwilling, or says too much. */
#include <npu/operator.h>

#include "tests/unit/libclient/session.h"

/* Looks at the device that it takes until it is over. */
#define LOOKS 3

/* Of the daemon's thread and the test's. */
static atomic_uint looks, reset_number, reset_end;

static void fill(Npud__DeviceInfo *info, Npud__ResetInfo *reset)
{
	npud__device_info__init(info);
	info->name = (char *)(uintptr_t) "X2_1204MP3";
	info->device_name = (char *)(uintptr_t) "npu0";
	info->status = NPUD__DEVICE_STATUS__DEVICE_READY;
	info->sessions = 5;
	if (looks < LOOKS) {
		info->busy_sessions = 2;
		info->submissions = LOOKS - looks;
	}
	npud__reset_info__init(reset);
	if (reset_number == 0)
		return;
	reset->number = looks < LOOKS ? 1 : reset_number;
	reset->state = looks < LOOKS ? NPUD__RESET_STATE__RESET_RUNNING : (Npud__ResetState)reset_end;
	reset->rung = NPUD__RUNG__RUNG_TRANSPORT_RESET;
	reset->ns = 77;
	reset->message = (char *)(uintptr_t) "power-cycle it";
	info->reset = reset;
}

static void say_news(struct fake *daemon)
{
	Npud__DeviceState state = NPUD__DEVICE_STATE__INIT;
	Npud__Event event = NPUD__EVENT__INIT;

	state.status = NPUD__DEVICE_STATUS__DEVICE_READY;
	event.body_case = NPUD__EVENT__BODY_DEVICE_STATE;
	event.device_state = &state;
	fake_event(daemon, &event);
}

/* Each look is nearer to the end; news come with each, so that nobody waits for a clock. */
static void answer(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request)
{
	Npud__DeviceInfo info;
	Npud__ResetInfo reset;

	if (request->body_case == NPUD__REQUEST__BODY_DEVICE_RESET && reset_number == 0)
		reset_number = 1;
	fill(&info, &reset);
	info.drained = request->body_case == NPUD__REQUEST__BODY_DEVICE_DRAIN && !request->device_drain->resume;
	reply->body_case = NPUD__REPLY__BODY_DEVICE_INFO;
	reply->device_info = &info;
	looks += request->body_case == NPUD__REQUEST__BODY_DEVICE_QUERY;
	fake_reply(daemon, reply);
	say_news(daemon);
}

static void answer_no(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request)
{
	(void)request;
	fake_refuse(daemon, reply->serial, NPUD__ERROR_CODE__ERROR_PERMISSION, "needs the right \"drain\"");
}

static void begin_with(uint32_t minor, void (*control)(struct fake *, Npud__Reply *, const Npud__Request *))
{
	looks = 0;
	reset_number = 0;
	reset_end = NPUD__RESET_STATE__RESET_DONE;
	start();
	fake.minor = minor;
	fake.control = control;
	begin();
}

START_TEST(a_drain_waits_until_the_device_is_empty)
{
	struct npu_device_usage usage;

	begin_with(3, answer);
	ck_assert_int_eq(npu_device_drain(npu, 0, NPU_WAIT_FOREVER, &usage), 0);
	ck_assert_uint_eq(looks, LOOKS + 1);
	ck_assert_str_eq(usage.name, "npu0");
	ck_assert_uint_eq(usage.sessions, 5);
	ck_assert_uint_eq(usage.submissions, 0);
	finish();
}
END_TEST

START_TEST(a_drain_that_does_not_wait_says_what_is_left)
{
	struct npu_device_usage usage;

	begin_with(3, answer);
	ck_assert_int_eq(npu_device_drain(npu, 0, 0, &usage), -ETIMEDOUT);
	ck_assert_uint_eq(looks, 0);
	ck_assert(usage.drained);
	ck_assert_uint_eq(usage.submissions, LOOKS);
	ck_assert_ptr_nonnull(strstr(npu_error(), "3 submissions of 2 sessions"));
	ck_assert_int_eq(npu_device_resume(npu, 0), 0);
	finish();
}
END_TEST

START_TEST(a_reset_waits_for_its_own_end_and_tells_how)
{
	struct npu_reset reset;

	begin_with(3, answer);
	ck_assert_int_eq(npu_device_reset(npu, 0, 0, &reset), -ETIMEDOUT);
	ck_assert_int_eq(reset.state, NPU_RESET_RUNNING);
	ck_assert_int_eq(npu_device_reset(npu, 0, NPU_WAIT_FOREVER, &reset), 0);
	ck_assert_uint_eq(reset.number, 1);
	ck_assert_int_eq(reset.by, NPU_RESET_BY_TRANSPORT);
	ck_assert_uint_eq(reset.ns, 77);
	finish();
}
END_TEST

START_TEST(a_reset_that_failed_or_was_overtaken_is_an_error_with_its_reason)
{
	begin_with(3, answer);
	if (_i == 0)
		reset_end = NPUD__RESET_STATE__RESET_FAILED;
	else
		reset_number = 2; /* at its end; it began as 1 */
	ck_assert_int_eq(npu_device_reset(npu, 0, NPU_WAIT_FOREVER, NULL), -EIO);
	ck_assert_ptr_nonnull(strstr(npu_error(), _i == 0 ? "power-cycle it" : "followed by reset 2"));
	finish();
}
END_TEST

static atomic_uint register_count, field_count;

static void answer_registers(struct fake *daemon, Npud__Reply *reply, const Npud__Request *request)
{
	Npud__Register entry = NPUD__REGISTER__INIT, *entries[NPU_REGISTERS + 1];
	Npud__RegisterField field = NPUD__REGISTER_FIELD__INIT, *fields[NPU_REGISTER_FIELDS + 1];
	Npud__Registers registers = NPUD__REGISTERS__INIT;

	(void)request;
	field.name = (char *)(uintptr_t) "cores";
	field.value = 3;
	entry.name = (char *)(uintptr_t) "CLUSTER0_CONFIG_AND_MORE_THAN_FITS_ITS_PLACE";
	entry.offset = 0xc00;
	entry.value = 0x1314;
	entry.fields = fields;
	entry.n_fields = field_count;
	for (uint32_t i = 0; i < field_count; i++)
		fields[i] = &field;
	registers.registers = entries;
	registers.n_registers = register_count;
	for (uint32_t i = 0; i < register_count; i++)
		entries[i] = &entry;
	reply->body_case = NPUD__REPLY__BODY_REGISTERS;
	reply->registers = &registers;
	fake_reply(daemon, reply);
}

START_TEST(registers_are_copied_and_no_more_than_there_can_be)
{
	struct npu_register_info registers[NPU_REGISTERS];

	begin_with(3, answer_registers);
	register_count = NPU_REGISTERS;
	field_count = NPU_REGISTER_FIELDS + 1;
	ck_assert_int_eq(npu_registers_read(npu, 0, registers), NPU_REGISTERS);
	for (uint32_t i = 0; i < NPU_REGISTERS; i++) {
		ck_assert_uint_eq(strlen(registers[i].name), sizeof(registers[i].name) - 1);
		ck_assert_uint_eq(registers[i].value, 0x1314);
		ck_assert_uint_eq(registers[i].field_count, NPU_REGISTER_FIELDS);
		ck_assert_str_eq(registers[i].fields[4].name, "cores");
		ck_assert_uint_eq(registers[i].fields[4].value, 3);
	}
	register_count = NPU_REGISTERS + 1;
	ck_assert_int_eq(npu_registers_read(npu, 0, registers), -EPROTO);
	finish();
}
END_TEST

static int ask_all(int which)
{
	struct npu_register_info registers[NPU_REGISTERS];
	struct npu_device_usage usage;

	return which == 0   ? npu_device_drain(npu, 0, 0, &usage)
	       : which == 1 ? npu_device_resume(npu, 0)
	       : which == 2 ? npu_device_reset(npu, 0, 0, NULL)
	       : which == 3 ? npu_registers_read(npu, 0, registers)
			    : npu_device_usage(npu, 0, &usage);
}

START_TEST(what_the_daemon_refuses_or_does_not_know_is_an_error_that_says_so)
{
	begin_with(3, answer_no);
	ck_assert_int_eq(ask_all(_i), -EACCES);
	ck_assert_ptr_nonnull(strstr(npu_error(), "needs the right"));
	finish();
	begin_with(2, answer_no);
	ck_assert_int_eq(ask_all(_i), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(npu_error(), "1.2"));
	finish();
}
END_TEST

START_TEST(a_device_that_is_not_there_is_named)
{
	begin_with(3, answer);
	ck_assert_int_eq(npu_device_drain(npu, 1, 0, NULL), -ENODEV);
	ck_assert_str_eq(npu_error(), "device 1: npud serves 1");
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device");
	TCase *tests = tcase_create("device");

	tcase_add_test(tests, a_drain_waits_until_the_device_is_empty);
	tcase_add_test(tests, a_drain_that_does_not_wait_says_what_is_left);
	tcase_add_test(tests, a_reset_waits_for_its_own_end_and_tells_how);
	tcase_add_loop_test(tests, a_reset_that_failed_or_was_overtaken_is_an_error_with_its_reason, 0, 2);
	tcase_add_test(tests, registers_are_copied_and_no_more_than_there_can_be);
	tcase_add_loop_test(tests, what_the_daemon_refuses_or_does_not_know_is_an_error_that_says_so, 0, 5);
	tcase_add_test(tests, a_device_that_is_not_there_is_named);
	suite_add_tcase(suite, tests);
	return suite_main(suite);
}
