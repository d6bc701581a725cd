/* SPDX-License-Identifier: Apache-2.0 */
/* The registers that an operator may look at: read once each, in order, none written, and only those that are listed.
 */
#include "tests/unit/daemon/v3_fake.h"

#define ALL                                                                                                            \
	"R4=7 R8=1 RC=2000 R14=1020000 R18=80000003 R20=2 R50=10000 R60=5 R64=6 R68=3 R800=1 R804=2000041 R808=73D "   \
	"R80C=2310801 R810=20003 R814=80000007 R81C=1 R820=20000010 R824=1234 RC00=1314 RC04=1011314"

static const struct npu_register *find(const struct npu_register *list, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	ck_abort_msg("no register %s", name);
}

static uint32_t field_of(const struct npu_register *from, const char *name)
{
	for (uint32_t i = 0; i < NPU_MAX_REGISTER_FIELDS && from->fields[i].name[0]; i++)
		if (strcmp(from->fields[i].name, name) == 0)
			return from->value >> from->fields[i].shift & from->fields[i].mask;
	ck_abort_msg("no field %s in %s", name, from->name);
}

START_TEST(a_look_reads_each_register_once_and_writes_none)
{
	struct npu_register list[NPU_MAX_REGISTERS];
	struct fake fake;
	struct npu_device *npu = running(&fake, ALL);
	int count = npu->ops->registers(npu, list);

	fake_done(&fake);
	ck_assert_int_eq(count, 21);
	for (int i = 1; i < count; i++)
		ck_assert_uint_gt(list[i].offset, list[i - 1].offset);
	ck_assert_uint_eq(field_of(find(list, count, "TSM_BUILD_INFO"), "more_partitions"), 1);
	ck_assert_uint_eq(field_of(find(list, count, "TSM_BUILD_INFO"), "pools"), 2);
	ck_assert_uint_eq(field_of(find(list, count, "TSM_STATUS"), "failed"), 1);
	ck_assert_uint_eq(field_of(find(list, count, "TSM_STATUS"), "full"), 3);
	ck_assert_uint_eq(field_of(find(list, count, "POOL0_STATUS"), "cluster"), 2);
	ck_assert_uint_eq(field_of(find(list, count, "POOL0_STATUS"), "idle"), 1);
	ck_assert_uint_eq(field_of(find(list, count, "POOL0_STATUS"), "types"), 1);
	ck_assert_uint_eq(field_of(find(list, count, "POOL0_INTR_STATUS"), "core"), 3);
	ck_assert_uint_eq(field_of(find(list, count, "POOL0_INTR_STATUS"), "tec"), 1);
	ck_assert_uint_eq(field_of(find(list, count, "POOL0_INTR_STATUS"), "levels"), 8);
	ck_assert_uint_eq(field_of(find(list, count, "CLUSTER0_CONFIG"), "cores"), 3);
	ck_assert_uint_eq(find(list, count, "POOL0_TCB_PTR")->value, 0x1234);
	npu_free(npu);
}
END_TEST

START_TEST(a_look_at_a_device_that_is_gone_says_so)
{
	struct npu_register list[NPU_MAX_REGISTERS];
	struct fake fake;
	/* all ones from every register: nobody answers */
	struct npu_device *npu = running(&fake, "R4=FFFFFFFF R8=FFFFFFFF RC=FFFFFFFF R14=FFFFFFFF R18=FFFFFFFF "
						"R20=FFFFFFFF R50=FFFFFFFF");

	ck_assert_int_eq(npu->ops->registers(npu, list), -ENODEV);
	fake_done(&fake);
	fake.gone = true;
	ck_assert_int_eq(npu->ops->registers(npu, list), -ENODEV);
	npu_free(npu);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("V3 registers");
	TCase *tcase = tcase_create("V3 registers");

	tcase_add_test(tcase, a_look_reads_each_register_once_and_writes_none);
	tcase_add_test(tcase, a_look_at_a_device_that_is_gone_says_so);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
