/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling, matrix products, reductions, softmax and the like against direct loops, for every number of tasks. */
#include "tests/unit/emulator/ops_arena.h"

static struct arena arena;
static double reference[16384];

static void unflatten(uint32_t flat, const uint32_t *dims, uint32_t rank, uint32_t *index)
{
	for (uint32_t i = rank; i-- > 0;) {
		index[i] = flat % dims[i];
		flat /= dims[i];
	}
}

static uint32_t flatten(const uint32_t *index, const uint32_t *dims, uint32_t rank)
{
	uint32_t flat = 0;

	for (uint32_t i = 0; i < rank; i++)
		flat = flat * dims[i] + index[i];
	return flat;
}

/* Runs with 1 to 4 tasks; each must give the reference. */
static void run_and_compare(const struct record *r, const struct isa_operand *out, double tolerance)
{
	for (uint32_t tasks = 1; tasks <= 4; tasks++) {
		for (uint32_t i = 0; i < elements_of(out); i++)
			memset(element_at(&arena, out, i), 0x7e, dtype_bytes(out->dtype));
		record_run_all(&arena, r, tasks);
		for (uint32_t i = 0; i < elements_of(out); i++) {
			double want = reference[i];
			double have = out->dtype == ZY_DATA_F32 ? (double)f32_at(&arena, out, i)
								: (double)*(int64_t *)element_at(&arena, out, i);
			ck_assert_msg(have == want || fabs(have - want) <= tolerance * fmax(1, fabs(want)),
				      "op %u split %d tasks %u element %u: want %.9g have %.9g", r->header.op,
				      (int)r->header.split, tasks, i, want, have);
		}
	}
}

static uint32_t random_split(uint32_t rank)
{
	uint32_t split = random_below(rank + 1);

	return split == rank ? ISA_SPLIT_NONE : split;
}

static uint32_t random_split_but(uint32_t rank, uint32_t axis)
{
	uint32_t split = random_split(rank);

	return split == axis ? ISA_SPLIT_NONE : split;
}

static struct isa_operand random_tensor(uint32_t dtype, uint32_t rank, const uint32_t *dims)
{
	uint32_t order[8] = {0};

	for (uint32_t i = 0; i < rank; i++) {
		uint32_t j = random_below(i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	struct isa_operand o = tensor_in(&arena, dtype, rank, dims, random_below(2) ? order : NULL);
	if (dtype == ZY_DATA_F32)
		fill_random(&arena, &o);
	return o;
}

/* ------------------------------------------------------------------ POOL */

static double pool_value(const struct isa_pool_params *p, const struct isa_operand *in, const uint32_t *o,
			 int64_t *best)
{
	double acc = p->mode == ISA_POOL_MAX ? -INFINITY : 0;
	uint32_t valid = 0;
	uint32_t padded = 0;

	for (uint32_t ky = 0; ky < p->kernel[0]; ky++)
		for (uint32_t kx = 0; kx < p->kernel[1]; kx++) {
			int64_t y = (int64_t)o[2] * p->stride[0] - p->pad_begin[0] + (int64_t)ky * p->dilation[0];
			int64_t x = (int64_t)o[3] * p->stride[1] - p->pad_begin[1] + (int64_t)kx * p->dilation[1];
			if (y < (int64_t)in->dims[2] + p->pad_end[0] && x < (int64_t)in->dims[3] + p->pad_end[1])
				padded++;
			if (y < 0 || x < 0 || y >= in->dims[2] || x >= in->dims[3])
				continue;
			uint32_t at[4] = {o[0], o[1], (uint32_t)y, (uint32_t)x};
			double v = (double)f32_at(&arena, in, flatten(at, in->dims, 4));
			valid++;
			if (p->mode == ISA_POOL_MAX) {
				if (v > acc) {
					acc = v;
					*best = (int64_t)(o[0] * in->dims[1] + o[1]) * in->dims[2] * in->dims[3];
					*best += p->storage_order ? y + x * in->dims[2] : y * in->dims[3] + x;
				}
			} else {
				acc += p->mode == ISA_POOL_LP ? pow(fabs(v), p->p) : v;
			}
		}
	if (p->mode == ISA_POOL_AVG_EXCLUDE_PAD)
		return acc / valid;
	if (p->mode == ISA_POOL_AVG_INCLUDE_PAD)
		return acc / padded;
	return p->mode == ISA_POOL_LP ? pow(acc, 1.0 / p->p) : acc;
}

START_TEST(a_pool_equals_direct_loops)
{
	random_state = 3;
	for (uint32_t round = 0; round < 300; round++) {
		struct isa_pool_params p = {.mode = 1 + random_below(4), .spatial = 2, .p = 1 + random_below(3)};
		uint32_t in_dims[4] = {1 + random_below(2), 1 + random_below(9), 0, 0};
		uint32_t out_dims[4] = {in_dims[0], in_dims[1], 0, 0};
		double indices[4096];
		bool wants_indices = p.mode == ISA_POOL_MAX && random_below(2);
		for (uint32_t i = 0; i < 2; i++) {
			p.kernel[i] = 1 + random_below(3);
			p.stride[i] = 1 + random_below(3);
			p.dilation[i] = 1 + random_below(2);
			p.pad_begin[i] = random_below(p.kernel[i]);
			p.pad_end[i] = random_below(p.kernel[i]);
			uint32_t reach = (p.kernel[i] - 1) * p.dilation[i] + 1;
			in_dims[2 + i] = reach + random_below(7);
			out_dims[2 + i] = (in_dims[2 + i] + p.pad_begin[i] + p.pad_end[i] - reach) / p.stride[i] + 1;
		}
		p.storage_order = random_below(2);
		static const uint32_t last[] = {0, 2, 3, 1};
		arena.used = 0;
		const uint32_t *order = random_below(2) ? last : NULL;
		struct isa_operand in = tensor_in(&arena, ZY_DATA_F32, 4, in_dims, order);
		struct isa_operand out = tensor_in(&arena, ZY_DATA_F32, 4, out_dims, order);
		struct isa_operand index = tensor_in(&arena, ZY_DATA_S64, 4, out_dims, NULL);
		struct record r;
		fill_random(&arena, &in);
		bool empty = false;
		for (uint32_t i = 0; i < elements_of(&out); i++) {
			uint32_t o[4];
			int64_t best = -1;
			unflatten(i, out_dims, 4, o);
			reference[i] = pool_value(&p, &in, o, &best);
			indices[i] = (double)best;
			empty |= isnan(reference[i]) || isinf(reference[i]);
		}
		if (empty) /* a window of nothing but padding */
			continue;
		record_start(&r, ISA_T_POOL, random_split(4));
		record_operand(&r, &out);
		record_operand(&r, &in);
		if (wants_indices)
			record_operand(&r, &index);
		record_finish(&r, &p, sizeof(p));
		run_and_compare(&r, &out, 1e-5);
		memcpy(reference, indices, elements_of(&out) * sizeof(double));
		if (wants_indices)
			run_and_compare(&r, &index, 0);
	}
}
END_TEST

/* ------------------------------------------------------------------ MATMUL */

START_TEST(a_matrix_product_equals_direct_loops_in_any_orientation)
{
	random_state = 4;
	for (uint32_t round = 0; round < 300; round++) {
		struct isa_matmul_params p = {random_below(2) ? 1.0f : 0.5f, random_below(2) ? 1.0f : -2.0f, {0}};
		uint32_t m = 1 + random_below(20);
		uint32_t n = 1 + random_below(20);
		uint32_t k = random_below(20) ? 1 + random_below(30) : 0;
		uint32_t batch = 1 + random_below(3);
		uint32_t rank = 2 + random_below(2);
		uint32_t out_dims[3] = {batch, m, n};
		uint32_t a_dims[3] = {batch, m, k};
		uint32_t b_dims[3] = {batch, k, n};
		uint32_t skip = 3 - rank;
		bool has_bias = random_below(2);
		struct record r;
		arena.used = 0;
		p.activation.fn = random_below(2) ? ISA_U_RELU : ISA_U_NONE;
		struct isa_operand out = random_tensor(ZY_DATA_F32, rank, out_dims + skip);
		struct isa_operand a = random_tensor(ZY_DATA_F32, rank, a_dims + skip);
		struct isa_operand b = random_tensor(ZY_DATA_F32, rank, b_dims + skip);
		struct isa_operand bias = random_tensor(ZY_DATA_F32, rank, out_dims + skip);
		if (random_below(2))
			bias.strides[rank - 2] = 0;
		if (rank == 3 && random_below(2))
			b.strides[0] = 0;
		for (uint32_t i = 0; i < elements_of(&out); i++) {
			uint32_t row = i / n % m;
			uint32_t col = i % n;
			uint32_t which = i / n / m;
			double sum = 0;
			for (uint32_t j = 0; j < k; j++)
				sum += (double)f32_at(&arena, &a, (which * m + row) * k + j) *
				       (double)f32_at(&arena, &b, (which * k + j) * n + col);
			sum =
			    (double)p.alpha * sum + (has_bias ? (double)p.beta * (double)f32_at(&arena, &bias, i) : 0);
			reference[i] = p.activation.fn && sum < 0 ? 0 : sum;
		}
		record_start(&r, ISA_T_MATMUL, random_split(rank));
		record_operand(&r, &out);
		record_operand(&r, &a);
		record_operand(&r, &b);
		if (has_bias)
			record_operand(&r, &bias);
		record_finish(&r, &p, sizeof(p));
		run_and_compare(&r, &out, 1e-5);
	}
}
END_TEST

/* ------------------------------------------------------------------ REDUCE, ARG_REDUCE, SOFTMAX */

static double reduce_first(uint32_t fn)
{
	return fn == ISA_R_MAX ? -INFINITY : fn == ISA_R_MIN ? INFINITY : fn == ISA_R_PROD ? 1 : 0;
}

static double reduce_take(uint32_t fn, double acc, double v)
{
	switch (fn) {
	case ISA_R_MAX:
		return fmax(acc, v);
	case ISA_R_MIN:
		return fmin(acc, v);
	case ISA_R_PROD:
		return acc * v;
	case ISA_R_L1:
		return acc + fabs(v);
	case ISA_R_L2:
	case ISA_R_SUM_SQUARE:
		return acc + v * v;
	case ISA_R_LOG_SUM_EXP:
		return acc + exp(v);
	default:
		return acc + v;
	}
}

static double reduce_last(uint32_t fn, double acc, double n)
{
	return fn == ISA_R_MEAN                                 ? acc / n
	       : fn == ISA_R_L2                                 ? sqrt(acc)
	       : fn == ISA_R_LOG_SUM || fn == ISA_R_LOG_SUM_EXP ? log(acc)
								: acc;
}

START_TEST(every_reduction_over_any_axes_equals_direct_loops)
{
	random_state = 6;
	for (uint32_t round = 0; round < 600; round++) {
		uint32_t rank = 1 + random_below(4);
		uint32_t in_dims[4];
		uint32_t out_dims[4];
		uint32_t count = 1;
		struct isa_reduce_params p = {1 + random_below(ISA_R_COUNT - 1)};
		struct record r;
		for (uint32_t i = 0; i < rank; i++) {
			in_dims[i] = 1 + random_below(rank == 2 ? 60 : 6);
			out_dims[i] = random_below(2) ? 1 : in_dims[i];
			count *= in_dims[i] / out_dims[i];
		}
		arena.used = 0;
		struct isa_operand in = random_tensor(ZY_DATA_F32, rank, in_dims);
		struct isa_operand out = random_tensor(ZY_DATA_F32, rank, out_dims);
		for (uint32_t i = 0; p.fn == ISA_R_LOG_SUM && i < elements_of(&in); i++)
			*(float *)element_at(&arena, &in, i) += 2.0f;
		for (uint32_t i = 0; i < elements_of(&out); i++)
			reference[i] = reduce_first(p.fn);
		for (uint32_t i = 0; i < elements_of(&in); i++) {
			uint32_t at[4];
			unflatten(i, in_dims, rank, at);
			for (uint32_t d = 0; d < rank; d++)
				at[d] = out_dims[d] == 1 ? 0 : at[d];
			double *acc = &reference[flatten(at, out_dims, rank)];
			*acc = reduce_take(p.fn, *acc, (double)f32_at(&arena, &in, i));
		}
		for (uint32_t i = 0; i < elements_of(&out); i++)
			reference[i] = reduce_last(p.fn, reference[i], count);
		uint32_t split = random_split(rank);
		if (split != ISA_SPLIT_NONE && out_dims[split] != in_dims[split])
			split = ISA_SPLIT_NONE;
		record_start(&r, ISA_T_REDUCE, split);
		record_operand(&r, &out);
		record_operand(&r, &in);
		record_finish(&r, &p, sizeof(p));
		run_and_compare(&r, &out, 1e-5);
	}
}
END_TEST

START_TEST(the_index_of_an_extreme_obeys_its_tie_rule)
{
	random_state = 7;
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t dims[3] = {1 + random_below(4), 1 + random_below(9), 1 + random_below(4)};
		struct isa_arg_reduce_params p = {random_below(3), random_below(2), random_below(2)};
		uint32_t out_dims[3] = {dims[0], dims[1], dims[2]};
		struct record r;
		out_dims[p.axis] = 1;
		arena.used = 0;
		struct isa_operand in = random_tensor(ZY_DATA_F32, 3, dims);
		struct isa_operand out = random_tensor(ZY_DATA_S64, 3, out_dims);
		for (uint32_t i = 0; i < elements_of(&in); i++)
			*(float *)element_at(&arena, &in, i) = (float)random_below(4);
		for (uint32_t i = 0; i < elements_of(&out); i++) {
			uint32_t at[3];
			float best = 0;
			unflatten(i, out_dims, 3, at);
			for (at[p.axis] = 0; at[p.axis] < dims[p.axis]; at[p.axis]++) {
				float v = f32_at(&arena, &in, flatten(at, dims, 3));
				v = p.is_max ? v : -v;
				if (at[p.axis] == 0 || v > best || (p.select_last && !(v < best))) {
					best = v;
					reference[i] = at[p.axis];
				}
			}
		}
		record_start(&r, ISA_T_ARG_REDUCE, random_split_but(3, p.axis));
		record_operand(&r, &out);
		record_operand(&r, &in);
		record_finish(&r, &p, sizeof(p));
		run_and_compare(&r, &out, 0);
	}
}
END_TEST

static double softmax_value(const struct isa_softmax_params *p, const struct isa_operand *in, uint32_t flat)
{
	uint32_t at[3];
	double sum = 0;
	double x = (double)f32_at(&arena, in, flat);

	unflatten(flat, in->dims, 3, at);
	uint32_t mine = at[p->axis];
	bool first = true;
	for (at[p->axis] = 0; at[p->axis] < in->dims[p->axis]; at[p->axis]++) {
		double v = (double)f32_at(&arena, in, flatten(at, in->dims, 3));
		sum += exp(v);
		first &= at[p->axis] < mine ? v < x : !(v > x);
	}
	return p->log == 2 ? first : p->log ? x - log(sum) : exp(x) / sum;
}

START_TEST(softmax_in_its_three_forms_equals_direct_loops)
{
	random_state = 8;
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t dims[3] = {1 + random_below(5), 1 + random_below(20), 1 + random_below(5)};
		struct isa_softmax_params p = {random_below(3), random_below(3)};
		struct record r;
		arena.used = 0;
		struct isa_operand in = random_tensor(ZY_DATA_F32, 3, dims);
		struct isa_operand out = random_tensor(ZY_DATA_F32, 3, dims);
		for (uint32_t i = 0; i < elements_of(&out); i++)
			reference[i] = softmax_value(&p, &in, i);
		record_start(&r, ISA_T_SOFTMAX, random_split_but(3, p.axis));
		record_operand(&r, &out);
		record_operand(&r, &in);
		record_finish(&r, &p, sizeof(p));
		run_and_compare(&r, &out, 1e-5);
	}
}
END_TEST

/* ------------------------------------------------------------------ LRN, CUMSUM, TOPK */

START_TEST(response_normalisation_sees_neighbours_beyond_its_slice)
{
	random_state = 12;
	for (uint32_t round = 0; round < 100; round++) {
		uint32_t dims[3] = {2, 3 + random_below(9), 5};
		struct isa_lrn_params p = {1 + random_below(6), 0.3f, 0.75f, 1.5f};
		struct record r;
		arena.used = 0;
		struct isa_operand in = random_tensor(ZY_DATA_F32, 3, dims);
		struct isa_operand out = random_tensor(ZY_DATA_F32, 3, dims);
		for (uint32_t i = 0; i < elements_of(&out); i++) {
			uint32_t at[3];
			double sum = 0;
			unflatten(i, dims, 3, at);
			int c = (int)at[1];
			for (int k = c - ((int)p.size - 1) / 2; k <= c + (int)p.size / 2; k++) {
				if (k < 0 || k >= (int)dims[1])
					continue;
				at[1] = (uint32_t)k;
				sum += pow((double)f32_at(&arena, &in, flatten(at, dims, 3)), 2);
			}
			reference[i] = (double)f32_at(&arena, &in, i) /
				       pow((double)p.bias + (double)p.alpha / p.size * sum, (double)p.beta);
		}
		record_start(&r, ISA_T_LRN, random_split(3));
		record_operand(&r, &out);
		record_operand(&r, &in);
		record_finish(&r, &p, sizeof(p));
		run_and_compare(&r, &out, 1e-5);
	}
}
END_TEST

START_TEST(a_running_sum_goes_both_ways)
{
	random_state = 13;
	for (uint32_t round = 0; round < 100; round++) {
		uint32_t dims[3] = {1 + random_below(4), 1 + random_below(9), 1 + random_below(4)};
		struct isa_cumsum_params p = {random_below(3), random_below(2), random_below(2)};
		struct record r;
		arena.used = 0;
		struct isa_operand in = random_tensor(ZY_DATA_F32, 3, dims);
		struct isa_operand out = random_tensor(ZY_DATA_F32, 3, dims);
		for (uint32_t i = 0; i < elements_of(&out); i++) {
			uint32_t at[3];
			unflatten(i, dims, 3, at);
			uint32_t mine = at[p.axis];
			reference[i] = 0;
			for (at[p.axis] = 0; at[p.axis] < dims[p.axis]; at[p.axis]++) {
				bool counts = p.reverse ? at[p.axis] > mine : at[p.axis] < mine;
				if (counts || (at[p.axis] == mine && !p.exclusive))
					reference[i] += (double)f32_at(&arena, &in, flatten(at, dims, 3));
			}
		}
		record_start(&r, ISA_T_CUMSUM, random_split_but(3, p.axis));
		record_operand(&r, &out);
		record_operand(&r, &in);
		record_finish(&r, &p, sizeof(p));
		run_and_compare(&r, &out, 1e-5);
	}
}
END_TEST

START_TEST(the_best_k_come_sorted_and_ties_keep_the_lower_index)
{
	random_state = 14;
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t n = 1 + random_below(20);
		uint32_t in_dims[2] = {1 + random_below(4), n};
		uint32_t out_dims[2] = {in_dims[0], 1 + random_below(n)};
		struct isa_topk_params p = {1, random_below(2), 1};
		double indices[128];
		struct record r;
		arena.used = 0;
		struct isa_operand in = random_tensor(ZY_DATA_F32, 2, in_dims);
		struct isa_operand values = random_tensor(ZY_DATA_F32, 2, out_dims);
		struct isa_operand index = random_tensor(ZY_DATA_S64, 2, out_dims);
		for (uint32_t i = 0; i < elements_of(&in); i++)
			*(float *)element_at(&arena, &in, i) = (float)random_below(8);
		for (uint32_t i = 0; i < elements_of(&in); i++) {
			float v = f32_at(&arena, &in, i);
			uint32_t place = 0;
			for (uint32_t j = i / n * n; j < i / n * n + n; j++) {
				float w = f32_at(&arena, &in, j);
				bool better = p.largest ? w > v : w < v;
				place += better || (!(w < v) && !(w > v) && j < i);
			}
			if (place < out_dims[1]) {
				reference[i / n * out_dims[1] + place] = (double)v;
				indices[i / n * out_dims[1] + place] = i % n;
			}
		}
		record_start(&r, ISA_T_TOPK, random_below(2) ? 0 : ISA_SPLIT_NONE);
		record_operand(&r, &values);
		record_operand(&r, &index);
		record_operand(&r, &in);
		record_finish(&r, &p, sizeof(p));
		run_and_compare(&r, &values, 0);
		memcpy(reference, indices, elements_of(&index) * sizeof(double));
		run_and_compare(&r, &index, 0);
	}
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
	Suite *suite = suite_create("ops_nn");
	TCase *tc = tcase_create("nn");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_pool_equals_direct_loops);
	tcase_add_test(tc, a_matrix_product_equals_direct_loops_in_any_orientation);
	tcase_add_test(tc, every_reduction_over_any_axes_equals_direct_loops);
	tcase_add_test(tc, the_index_of_an_extreme_obeys_its_tie_rule);
	tcase_add_test(tc, softmax_in_its_three_forms_equals_direct_loops);
	tcase_add_test(tc, response_normalisation_sees_neighbours_beyond_its_slice);
	tcase_add_test(tc, a_running_sum_goes_both_ways);
	tcase_add_test(tc, the_best_k_come_sorted_and_ties_keep_the_lower_index);
	suite_add_tcase(suite, tc);
	return suite_main(suite);
}
