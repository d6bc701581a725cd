/* SPDX-License-Identifier: Apache-2.0 */
/* What the cache of primitives and packed weights must never do: answer from weights that memory no longer holds. */
#include <pthread.h>

#include "tests/unit/emulator/ops_arena.h"

#define SIDE 12u
#define CHANNELS 16u

static struct arena arena;
static struct isa_operand in;
static struct isa_operand out;
static struct isa_operand weight;
static struct record record;

static void build_sized(uint32_t channels)
{
	static const uint32_t last[] = {0, 2, 3, 1};
	uint32_t map[4] = {1, channels, SIDE, SIDE};
	uint32_t w[4] = {channels, channels, 1, 1};
	struct isa_conv_params p = {.spatial = 2, .group = 1, .stride = {1, 1}, .dilation = {1, 1}};

	in = tensor_in(&arena, ZY_DATA_F32, 4, map, last);
	out = tensor_in(&arena, ZY_DATA_F32, 4, map, last);
	weight = tensor_in(&arena, ZY_DATA_F32, 4, w, NULL);
	fill_random(&arena, &in);
	fill_random(&arena, &weight);
	record_start(&record, ISA_T_CONV, 2);
	record_operand(&record, &out);
	record_operand(&record, &in);
	record_operand(&record, &weight);
	record_finish(&record, &p, sizeof(p));
}

static void check(void)
{
	uint32_t area = SIDE * SIDE;
	uint32_t channels = in.dims[1];

	for (uint32_t m = 0; m < channels; m++)
		for (uint32_t i = 0; i < area; i++) {
			double sum = 0;
			for (uint32_t c = 0; c < channels; c++)
				sum += (double)f32_at(&arena, &weight, m * channels + c) *
				       (double)f32_at(&arena, &in, c * area + i);
			ck_assert_float_eq_tol(f32_at(&arena, &out, m * area + i), (float)sum, 1e-4f);
		}
}

START_TEST(a_weight_altered_between_two_runs_is_seen)
{
	build_sized(CHANNELS);
	record_run_all(&arena, &record, 4);
	check();
	for (uint32_t i = 0; i < CHANNELS * CHANNELS; i += 37) {
		arena.instance = i + 1;
		*(float *)element_at(&arena, &weight, i) += 0.5f;
		record_run_all(&arena, &record, 4);
		check();
	}
	arena.instance = 0;
	*(float *)element_at(&arena, &weight, CHANNELS * CHANNELS - 1) = 3.0f;
	record_run_all(&arena, &record, 4);
	check();
}
END_TEST

START_TEST(the_same_address_mapped_anew_is_packed_anew)
{
	build_sized(CHANNELS);
	record_run_all(&arena, &record, 2);
	check();
	arena.identity++;
	fill_random(&arena, &weight);
	record_run_all(&arena, &record, 2);
	check();
	arena.identity--;
	record_run_all(&arena, &record, 2);
	check();
}
END_TEST

START_TEST(a_new_mapping_is_looked_at_even_within_one_instruction)
{
	build_sized(CHANNELS);
	arena.instance = 7;
	record_run_all(&arena, &record, 2);
	check();
	arena.identity++;
	fill_random(&arena, &weight);
	record_run_all(&arena, &record, 2);
	check();
}
END_TEST

START_TEST(a_cleared_cache_still_computes)
{
	build_sized(CHANNELS);
	record_run_all(&arena, &record, 2);
	op_cache_clear(arena.cache);
	fill_random(&arena, &weight);
	record_run_all(&arena, &record, 2);
	check();
}
END_TEST

START_TEST(a_cache_too_small_for_anything_still_computes)
{
	op_cache_free(arena.cache);
	arena.cache = op_cache_new(4096);
	build_sized(CHANNELS);
	for (int i = 0; i < 3; i++) {
		fill_random(&arena, &weight);
		record_run_all(&arena, &record, 3);
		check();
	}
}
END_TEST

START_TEST(many_geometries_evict_each_other_without_harm)
{
	op_cache_free(arena.cache);
	arena.cache = op_cache_new(400u << 10);
	for (uint32_t round = 0; round < 3; round++)
		for (uint32_t channels = 4; channels < 24; channels += 3) {
			arena.used = 0;
			build_sized(channels);
			record_run_all(&arena, &record, 2);
			check();
		}
}
END_TEST

static void *worker(void *arg)
{
	uint32_t first = *(uint32_t *)arg;

	op_thread_init();
	for (uint32_t round = 0; round < 50; round++)
		for (uint32_t task = first; task < 4; task += 2) {
			struct op_run run = {.memory = &arena.memory, .cache = arena.cache, .task = task, .tasks = 4};
			if (op_run(&run, &record.header, record.header.bytes))
				return arg;
			if (round == 25)
				op_cache_clear(arena.cache);
		}
	return NULL;
}

START_TEST(two_threads_share_four_tasks)
{
	pthread_t threads[2];
	uint32_t first[2] = {0, 1};
	void *failed;

	build_sized(CHANNELS);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, worker, &first[i]), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
	ck_assert_int_eq(arena.open, 0);
	check();
}
END_TEST

static void setup(void)
{
	arena_open(&arena);
}

static void teardown(void)
{
	arena_close(&arena);
}

int main(void)
{
	Suite *suite = suite_create("ops_cache");
	TCase *tc = tcase_create("cache");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_weight_altered_between_two_runs_is_seen);
	tcase_add_test(tc, the_same_address_mapped_anew_is_packed_anew);
	tcase_add_test(tc, a_new_mapping_is_looked_at_even_within_one_instruction);
	tcase_add_test(tc, a_cleared_cache_still_computes);
	tcase_add_test(tc, a_cache_too_small_for_anything_still_computes);
	tcase_add_test(tc, many_geometries_evict_each_other_without_harm);
	tcase_add_test(tc, two_threads_share_four_tasks);
	suite_add_tcase(suite, tc);
	return suite_main(suite);
}
