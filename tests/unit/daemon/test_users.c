/* SPDX-License-Identifier: Apache-2.0 */
/* The count of connections per user, against an array that cannot be wrong. */
#include <stdbool.h>

#include "daemon/wire/users.h"
#include "tests/sim/random.h"
#include "tests/unit/suite.h"

#define MOST 300u

struct model {
	struct users *users;
	uint32_t connections;
	uid_t of[MOST]; /* of each connection, whose it is */
};

static void expect_agreement(const struct model *model, uid_t first, uid_t end)
{
	for (uid_t uid = first; uid < end; uid++) {
		uint32_t count = 0;
		for (uint32_t i = 0; i < model->connections; i++)
			count += model->of[i] == uid;
		ck_assert_uint_eq(users_count(model->users, uid), count);
	}
}

static void leave(struct model *model, uint32_t which)
{
	users_leave(model->users, model->of[which]);
	model->of[which] = model->of[--model->connections];
}

/* Few users with many connections, or nearly as many users as connections; the highest ids, too. */
START_TEST(every_user_has_what_entered_and_has_not_left)
{
	static const struct {
		uint32_t connections, users;
		uid_t first;
	} cases[] = {{1, 3, 0},
		     {2, 2, 1000},
		     {7, 5, 100000},
		     {MOST, 4, 1000},
		     {MOST, 290, 0},
		     {MOST, 900, 100000},
		     {MOST, 600, UINT32_MAX - 700}};
	uint32_t most = cases[_i].connections, users = cases[_i].users;
	struct random random = {.state = (uint64_t)_i + 1};
	struct model model = {0};

	ck_assert_int_eq(users_new(most, &model.users), 0);
	for (unsigned step = 0; step < 3000; step++) {
		bool enters = model.connections < most && random_below(&random, 5) < 3;
		if (enters) {
			uid_t uid = cases[_i].first + random_below(&random, users);
			users_enter(model.users, uid);
			model.of[model.connections++] = uid;
		} else if (model.connections) {
			leave(&model, random_below(&random, model.connections));
		}
		if (step % 50 == 0)
			expect_agreement(&model, cases[_i].first, cases[_i].first + users);
	}
	while (model.connections)
		leave(&model, random_below(&random, model.connections));
	expect_agreement(&model, cases[_i].first, cases[_i].first + users);
	users_free(model.users);
}
END_TEST

START_TEST(who_never_came_has_none)
{
	struct users *users;

	ck_assert_int_eq(users_new(16, &users), 0);
	users_enter(users, 1000);
	ck_assert_uint_eq(users_count(users, 0), 0);
	ck_assert_uint_eq(users_count(users, 1001), 0);
	ck_assert_uint_eq(users_count(users, (uid_t)-1), 0);
	users_leave(users, 1001);
	ck_assert_uint_eq(users_count(users, 1000), 1);
	users_free(users);
	users_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("users");
	TCase *tcase = tcase_create("users");

	tcase_add_loop_test(tcase, every_user_has_what_entered_and_has_not_left, 0, 7);
	tcase_add_test(tcase, who_never_came_has_none);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
