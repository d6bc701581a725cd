/* SPDX-License-Identifier: Apache-2.0 */
/* Views: whatever is done by strides names exactly the elements that moving the data would. Checked by brute force. */
#include "emulator/compiler/cc.h"
#include "tests/unit/suite.h"

#include <string.h>

static uint64_t state;

static uint32_t draw(uint32_t below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % below;
}

static struct view random_dense(struct storage *st)
{
	struct view v = {.st = st, .dtype = ZY_DATA_U8, .rank = 1 + draw(4)};
	uint32_t order[ISA_MAX_RANK];

	for (uint32_t i = 0; i < v.rank; i++) {
		v.dims[i] = 1 + draw(4);
		uint32_t j = draw(i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	dims_ordered(v.rank, v.dims, order, v.strides);
	st->bytes = view_elements(&v);
	return v;
}

static int64_t element(const struct view *v, uint64_t linear)
{
	int64_t at = v->offset;

	for (uint32_t i = v->rank; i-- > 0;) {
		at += (int64_t)(linear % v->dims[i]) * v->strides[i];
		linear /= v->dims[i];
	}
	return at;
}

START_TEST(a_reshape_by_strides_names_the_same_elements)
{
	uint32_t done = 0;

	state = 1;
	for (int round = 0; round < 20000; round++) {
		struct storage st = {.kind = ST_INTERMEDIATE};
		struct view v = random_dense(&st);
		uint32_t dims[4] = {1, 1, 1, 1};
		uint64_t rest = view_elements(&v);
		for (uint32_t i = 0; i < 3; i++) {
			uint32_t pick = 1 + draw(4);
			dims[i] = rest % pick == 0 ? pick : 1;
			rest /= dims[i];
		}
		dims[3] = (uint32_t)rest;
		struct view out;
		if (!view_reshape(&v, 4, dims, &out))
			continue;
		done++;
		for (uint64_t i = 0; i < view_elements(&v); i++)
			ck_assert_int_eq(element(&v, i), element(&out, i));
	}
	ck_assert_uint_gt(done, 5000);
}
END_TEST

START_TEST(a_dense_view_can_always_be_reshaped)
{
	struct storage st = {.kind = ST_INTERMEDIATE, .bytes = 24};
	struct view v = {.st = &st, .dtype = ZY_DATA_U8, .rank = 3, .dims = {2, 3, 4}, .strides = {12, 4, 1}};
	struct view out;

	ck_assert(view_reshape(&v, 2, (uint32_t[]){4, 6}, &out));
	ck_assert(view_reshape(&v, 1, (uint32_t[]){24}, &out));
	ck_assert(view_reshape(&v, 5, (uint32_t[]){1, 24, 1, 1, 1}, &out));
	ck_assert(
	    !view_reshape(&(struct view){.st = &st, .dtype = ZY_DATA_U8, .rank = 2, .dims = {2, 3}, .strides = {1, 2}},
			  1, (uint32_t[]){6}, &out));
}
END_TEST

/* A view of `v`'s storage made by a few random steps. */
static struct view derive(const struct view *v)
{
	struct view out = *v;

	for (uint32_t n = draw(4); n > 0; n--) {
		uint32_t axis = draw(out.rank);
		switch (draw(4)) {
		case 0: {
			uint32_t start = draw(out.dims[axis]);
			out = view_slice(&out, axis, start, 1 + draw(out.dims[axis] - start), 1);
			break;
		}
		case 1:
			out = view_slice(&out, axis, out.dims[axis] - 1, out.dims[axis], -1);
			break;
		case 2:
			out = view_swap(&out, axis, draw(out.rank));
			break;
		default: /* runs together axes that need not be neighbours at the destination */
			(void)view_reshape(&out, 1, (uint32_t[]){(uint32_t)view_elements(&out)}, &out);
			break;
		}
	}
	return out;
}

START_TEST(a_rebased_view_names_the_moved_elements)
{
	uint32_t done = 0;

	state = 7;
	for (int round = 0; round < 20000; round++) {
		struct storage from = {.kind = ST_INTERMEDIATE};
		struct storage to = {.kind = ST_INTERMEDIATE};
		struct view through = random_dense(&from);
		struct view onto = through;
		struct view moved;
		int64_t where[256];
		/* The destination: the same shape inside a larger tensor of another layout. */
		uint32_t wide[ISA_MAX_RANK];
		uint32_t order[ISA_MAX_RANK];
		for (uint32_t i = 0; i < onto.rank; i++) {
			wide[i] = onto.dims[i] + draw(3);
			order[i] = i;
		}
		if (draw(2) && onto.rank > 1) {
			order[0] = 1;
			order[1] = 0;
		}
		dims_ordered(onto.rank, wide, order, onto.strides);
		onto.st = &to;
		onto.offset = draw(5);
		ck_assert(view_covers(&through));
		for (uint64_t i = 0; i < view_elements(&through); i++)
			where[element(&through, i)] = element(&onto, i);
		struct view v = derive(&through);
		if (!view_rebase(&v, &through, &onto, &moved))
			continue;
		done++;
		ck_assert_ptr_eq(moved.st, &to);
		for (uint64_t i = 0; i < view_elements(&v); i++)
			ck_assert_int_eq(element(&moved, i), where[element(&v, i)]);
	}
	ck_assert_uint_gt(done, 15000);
}
END_TEST

START_TEST(only_a_gapless_view_of_all_covers_its_storage)
{
	struct storage st = {.kind = ST_INTERMEDIATE, .bytes = 24};
	struct view v = {.st = &st, .dtype = ZY_DATA_F32, .rank = 2, .dims = {2, 3}, .strides = {1, 2}};

	ck_assert(view_covers(&v));
	struct view part = view_slice(&v, 1, 0, 2, 1);
	ck_assert(!view_covers(&part));
	struct view twice = v;
	twice.strides[1] = 0;
	ck_assert(!view_covers(&twice));
}
END_TEST

START_TEST(broadcasting_follows_numpy)
{
	struct storage st = {.kind = ST_CONST};
	struct view v = {.st = &st, .dtype = ZY_DATA_F32, .rank = 2, .dims = {3, 1}, .strides = {1, 1}};
	struct view out;

	ck_assert(view_broadcast(&v, 3, (uint32_t[]){2, 3, 5}, &out));
	ck_assert_int_eq(out.strides[0], 0);
	ck_assert_int_eq(out.strides[1], 1);
	ck_assert_int_eq(out.strides[2], 0);
	ck_assert(!view_broadcast(&v, 2, (uint32_t[]){4, 5}, &out));
	ck_assert(!view_broadcast(&v, 1, (uint32_t[]){3}, &out));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("views");
	TCase *tcase = tcase_create("views");

	tcase_add_test(tcase, a_reshape_by_strides_names_the_same_elements);
	tcase_add_test(tcase, a_dense_view_can_always_be_reshaped);
	tcase_add_test(tcase, a_rebased_view_names_the_moved_elements);
	tcase_add_test(tcase, only_a_gapless_view_of_all_covers_its_storage);
	tcase_add_test(tcase, broadcasting_follows_numpy);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
