/* SPDX-License-Identifier: Apache-2.0 */
/* Exact numbers of the quota counters. */
#include <errno.h>
#include <string.h>

#include "daemon/policy/quota.h"
#include "tests/unit/suite.h"

static void limits(uint64_t out[QUOTA_RESOURCES], uint64_t value)
{
	for (int i = 0; i < QUOTA_RESOURCES; i++)
		out[i] = value;
}

START_TEST(a_charge_counts_at_every_owner_and_returns_exactly)
{
	uint64_t maximum[QUOTA_RESOURCES];
	struct quota top, tenant, session;

	limits(maximum, 1000);
	quota_init(&top, "daemon", NULL, maximum);
	quota_init(&tenant, "tenant", &top, maximum);
	quota_init(&session, NULL, &tenant, NULL);
	ck_assert_int_eq(quota_charge(&session, QUOTA_BUFFER_BYTES, 700, NULL), 0);
	ck_assert_int_eq(quota_charge(&session, QUOTA_BUFFER_BYTES, 300, NULL), 0);
	ck_assert_uint_eq(top.used[QUOTA_BUFFER_BYTES], 1000);
	ck_assert(quota_release(&session, QUOTA_BUFFER_BYTES, 999));
	ck_assert_uint_eq(tenant.used[QUOTA_BUFFER_BYTES], 1);
	ck_assert(!quota_is_clear(&session));
	ck_assert(quota_release(&session, QUOTA_BUFFER_BYTES, 1));
	ck_assert(quota_is_clear(&session) && quota_is_clear(&tenant) && quota_is_clear(&top));
	/* more than was charged is a bug, and seen */
	ck_assert(!quota_release(&session, QUOTA_BUFFER_BYTES, 1));
}
END_TEST

START_TEST(a_charge_over_any_owners_limit_charges_nobody)
{
	uint64_t maximum[QUOTA_RESOURCES];
	struct quota_violation violation;
	struct quota top, tenant, first, second;

	limits(maximum, 1000);
	quota_init(&top, "daemon", NULL, maximum);
	limits(maximum, 10);
	quota_init(&tenant, "tenant", &top, maximum);
	quota_init(&first, NULL, &tenant, NULL);
	quota_init(&second, NULL, &tenant, NULL);
	ck_assert_int_eq(quota_charge(&first, QUOTA_JOBS, 6, NULL), 0);
	/* a second connection gets no second allowance */
	ck_assert_int_eq(quota_charge(&second, QUOTA_JOBS, 5, &violation), -EDQUOT);
	ck_assert_str_eq(violation.owner, "tenant");
	ck_assert_uint_eq(violation.used, 6);
	ck_assert_uint_eq(violation.maximum, 10);
	ck_assert_uint_eq(second.used[QUOTA_JOBS], 0);
	ck_assert_uint_eq(top.used[QUOTA_JOBS], 6);
	ck_assert_int_eq(quota_charge(&second, QUOTA_JOBS, 4, NULL), 0);
	/* no overflow helps */
	ck_assert_int_eq(quota_charge(&second, QUOTA_JOBS, UINT64_MAX, NULL), -EDQUOT);
}
END_TEST

START_TEST(several_amounts_are_charged_all_or_not_at_all)
{
	static const struct quota_amount amounts[] = {{QUOTA_BUFFERS, 1}, {QUOTA_FDS, 2}, {QUOTA_BUFFER_BYTES, 100}};
	uint64_t maximum[QUOTA_RESOURCES];
	struct quota_violation violation;
	struct quota top, tenant;

	limits(maximum, 1000);
	quota_init(&top, "daemon", NULL, maximum);
	maximum[QUOTA_BUFFER_BYTES] = 250;
	quota_init(&tenant, "tenant", &top, maximum);
	ck_assert_int_eq(quota_charge_all(&tenant, amounts, 3, &violation), 0);
	ck_assert_int_eq(quota_charge_all(&tenant, amounts, 3, &violation), 0);
	ck_assert_int_eq(quota_charge_all(&tenant, amounts, 3, &violation), -EDQUOT);
	ck_assert_int_eq(violation.resource, QUOTA_BUFFER_BYTES);
	ck_assert_uint_eq(violation.used, 200);
	ck_assert_uint_eq(violation.maximum, 250);
	ck_assert_uint_eq(top.used[QUOTA_BUFFERS], 2);
	ck_assert_uint_eq(top.used[QUOTA_FDS], 4);
	ck_assert_uint_eq(top.used[QUOTA_BUFFER_BYTES], 200);
	quota_release_all(&tenant, amounts, 3);
	quota_release_all(&tenant, amounts, 3);
	ck_assert(quota_is_clear(&tenant) && quota_is_clear(&top));
}
END_TEST

/* For each resource, and up to 16 connections: what they get together is what one gets. */
START_TEST(many_connections_get_what_one_gets)
{
	const enum quota_resource resource = (enum quota_resource)_i;
	uint64_t maximum[QUOTA_RESOURCES];
	struct quota top, tenant, sessions[16];

	for (unsigned k = 1; k <= 16; k++) {
		uint64_t granted = 0;
		limits(maximum, UINT64_MAX);
		quota_init(&top, "daemon", NULL, maximum);
		limits(maximum, 1003);
		quota_init(&tenant, "tenant", &top, maximum);
		for (unsigned s = 0; s < k; s++)
			quota_init(&sessions[s], NULL, &tenant, NULL);
		for (unsigned tries = 0; tries < 2000; tries++)
			granted += quota_charge(&sessions[tries % k], resource, 1, NULL) == 0;
		ck_assert_uint_eq(granted, 1003);
		ck_assert_uint_eq(tenant.used[resource], 1003);
		for (unsigned s = 0; s < k; s++)
			ck_assert(quota_release(&sessions[s], resource, sessions[s].used[resource]));
		ck_assert(quota_is_clear(&tenant) && quota_is_clear(&top));
	}
}
END_TEST

/* One session is as good as sixteen: nothing is kept for those that come later. */
START_TEST(one_session_may_have_all_that_its_tenant_may)
{
	const enum quota_resource resource = (enum quota_resource)_i;
	uint64_t maximum[QUOTA_RESOURCES];
	struct quota_violation violation;
	struct quota top, tenant, greedy, late;

	quota_init(&top, "daemon", NULL, NULL);
	limits(maximum, 1003);
	quota_init(&tenant, "tenant", &top, maximum);
	quota_init(&greedy, NULL, &tenant, NULL);
	quota_init(&late, NULL, &tenant, NULL);
	ck_assert_int_eq(quota_charge(&greedy, resource, 1003, NULL), 0);
	ck_assert_int_eq(quota_charge(&late, resource, 1, &violation), -EDQUOT);
	ck_assert_str_eq(violation.owner, "tenant");
	ck_assert_int_eq(violation.resource, resource);
	ck_assert_uint_eq(violation.used, 1003);
	ck_assert_uint_eq(greedy.used[resource], 1003);
	ck_assert(quota_release(&greedy, resource, 1));
	ck_assert_int_eq(quota_charge(&late, resource, 1, NULL), 0);
	ck_assert_uint_eq(late.used[resource], 1);
}
END_TEST

/* Tenants that are each inside their quota can be too many for the host. */
START_TEST(all_tenants_together_stay_inside_what_the_host_has)
{
	const enum quota_resource resource = (enum quota_resource)_i;
	uint64_t maximum[QUOTA_RESOURCES], granted = 0;
	struct quota_violation violation = {0};
	struct quota top, tenants[16], sessions[16];

	limits(maximum, 1003);
	quota_init(&top, "daemon", NULL, maximum);
	limits(maximum, 100);
	for (unsigned t = 0; t < 16; t++) {
		quota_init(&tenants[t], "tenant", &top, maximum);
		quota_init(&sessions[t], NULL, &tenants[t], NULL);
	}
	for (unsigned tries = 0; tries < 1600; tries++)
		granted += quota_charge(&sessions[tries % 16], resource, 1, &violation) == 0;
	ck_assert_uint_eq(granted, 1003);
	ck_assert_uint_eq(top.used[resource], 1003);
	ck_assert_str_eq(violation.owner, "daemon");
	ck_assert_uint_eq(violation.maximum, 1003);
	for (unsigned t = 0; t < 16; t++)
		ck_assert_uint_le(tenants[t].used[resource], 63);
}
END_TEST

static unsigned next_random(unsigned *state)
{
	*state = *state * 1103515245u + 12345u;
	return *state >> 16;
}

#define TENANTS 2u
#define SESSIONS 16u

/* Sums agree at every level, and nothing is ever above its maximum. */
static void check_sums(const struct quota *top, const struct quota tenants[TENANTS],
		       const struct quota sessions[SESSIONS], enum quota_resource resource)
{
	uint64_t all = 0, of[TENANTS] = {0};

	for (unsigned s = 0; s < SESSIONS; s++)
		of[s % TENANTS] += sessions[s].used[resource];
	for (unsigned t = 0; t < TENANTS; t++) {
		ck_assert_uint_eq(tenants[t].used[resource], of[t]);
		ck_assert_uint_le(of[t], tenants[t].maximum[resource]);
		all += of[t];
	}
	ck_assert_uint_eq(top->used[resource], all);
	ck_assert_uint_le(all, top->maximum[resource]);
}

START_TEST(charges_in_any_order_add_up_and_stay_inside)
{
	uint64_t maximum[QUOTA_RESOURCES];
	struct quota top, tenants[TENANTS], sessions[SESSIONS];
	unsigned seed = (unsigned)_i + 1;

	limits(maximum, 1500);
	quota_init(&top, "daemon", NULL, maximum);
	for (unsigned t = 0; t < TENANTS; t++) {
		limits(maximum, 1000 + t);
		quota_init(&tenants[t], "tenant", &top, maximum);
	}
	for (unsigned s = 0; s < SESSIONS; s++)
		quota_init(&sessions[s], NULL, &tenants[s % TENANTS], NULL);
	for (unsigned step = 0; step < 5000; step++) {
		struct quota *session = &sessions[next_random(&seed) % SESSIONS];
		enum quota_resource resource = (enum quota_resource)(next_random(&seed) % QUOTA_RESOURCES);
		uint64_t amount = next_random(&seed) % 64;
		if (next_random(&seed) % 3)
			(void)quota_charge(session, resource, amount, NULL);
		else
			ck_assert(quota_release(session, resource,
						amount < session->used[resource] ? amount : session->used[resource]));
		check_sums(&top, tenants, sessions, resource);
	}
	for (unsigned s = 0; s < SESSIONS; s++)
		for (unsigned r = 0; r < QUOTA_RESOURCES; r++)
			ck_assert(quota_release(&sessions[s], (enum quota_resource)r, sessions[s].used[r]));
	ck_assert(quota_is_clear(&top) && quota_is_clear(&tenants[0]) && quota_is_clear(&tenants[1]));
}
END_TEST

START_TEST(every_resource_has_a_name_of_its_own)
{
	for (unsigned r = 0; r < QUOTA_RESOURCES; r++)
		for (unsigned other = 0; other < r; other++)
			ck_assert_str_ne(quota_resource_name((enum quota_resource)r),
					 quota_resource_name((enum quota_resource)other));
	ck_assert_str_eq(quota_resource_name(QUOTA_QUEUED), "queued");
	ck_assert_str_eq(quota_resource_name(QUOTA_FDS), "fds");
	ck_assert_str_eq(quota_resource_name(QUOTA_RESOURCES), "?");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quota");
	TCase *tcase = tcase_create("quota");

	tcase_add_test(tcase, a_charge_counts_at_every_owner_and_returns_exactly);
	tcase_add_test(tcase, a_charge_over_any_owners_limit_charges_nobody);
	tcase_add_test(tcase, several_amounts_are_charged_all_or_not_at_all);
	tcase_add_loop_test(tcase, many_connections_get_what_one_gets, 0, QUOTA_RESOURCES);
	tcase_add_loop_test(tcase, one_session_may_have_all_that_its_tenant_may, 0, QUOTA_RESOURCES);
	tcase_add_loop_test(tcase, all_tenants_together_stay_inside_what_the_host_has, 0, QUOTA_RESOURCES);
	tcase_add_loop_test(tcase, charges_in_any_order_add_up_and_stay_inside, 0, 10);
	tcase_add_test(tcase, every_resource_has_a_name_of_its_own);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
