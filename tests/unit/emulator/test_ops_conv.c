/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions, plain and transposed, against direct loops: shapes, layouts, fusions and every way to share them. */
#include "tests/unit/emulator/ops_arena.h"

static struct arena arena;

struct shape {
	uint32_t spatial;
	uint32_t n;
	uint32_t group;
	uint32_t ic; /* per group */
	uint32_t oc; /* per group */
	uint32_t in[3];
	uint32_t out[3];
	uint32_t k[3];
	struct isa_conv_params p;
};

struct tensors {
	struct isa_operand out;
	struct isa_operand in;
	struct isa_operand weight;
	struct isa_operand bias;
	struct isa_operand addend;
	bool has_bias;
	bool has_addend;
	bool transpose;
};

static const uint32_t *layout(uint32_t spatial, bool channels_last)
{
	static const uint32_t orders[4][5] = {{0}, {0, 2, 1}, {0, 2, 3, 1}, {0, 2, 3, 4, 1}};

	return channels_last ? orders[spatial] : NULL;
}

static float at5(const struct isa_operand *o, uint32_t spatial, uint32_t a, uint32_t b, const uint32_t *s)
{
	int64_t offset = (int64_t)a * o->strides[0] + (int64_t)b * o->strides[1];

	for (uint32_t i = 0; i < spatial; i++)
		offset += (int64_t)s[i] * o->strides[2 + i];
	return ((float *)arena_at(&arena, o->addr))[offset];
}

static void unflatten(uint32_t flat, const uint32_t *dims, uint32_t rank, uint32_t *index)
{
	for (uint32_t i = rank; i-- > 0;) {
		index[i] = flat % dims[i];
		flat /= dims[i];
	}
}

static uint32_t volume(const uint32_t *dims, uint32_t rank)
{
	uint32_t n = 1;

	for (uint32_t i = 0; i < rank; i++)
		n *= dims[i];
	return n;
}

/* Input position under output position o and kernel position k. */
static bool source(const struct shape *s, bool transpose, const uint32_t *o, const uint32_t *k, uint32_t *in)
{
	for (uint32_t i = 0; i < s->spatial; i++) {
		int64_t v;
		if (transpose) {
			v = (int64_t)o[i] + s->p.pad_begin[i] - (int64_t)k[i] * s->p.dilation[i];
			if (v < 0 || v % s->p.stride[i])
				return false;
			v /= s->p.stride[i];
		} else {
			v = (int64_t)o[i] * s->p.stride[i] - s->p.pad_begin[i] + (int64_t)k[i] * s->p.dilation[i];
		}
		if (v < 0 || v >= s->in[i])
			return false;
		in[i] = (uint32_t)v;
	}
	return true;
}

static double expected(const struct shape *s, const struct tensors *t, uint32_t n, uint32_t m, const uint32_t *o)
{
	uint32_t g = m / s->oc;
	double sum = t->has_bias ? (double)f32_at(&arena, &t->bias, m) : 0;

	for (uint32_t kf = 0; kf < volume(s->k, s->spatial); kf++) {
		uint32_t k[3];
		uint32_t in[3];
		unflatten(kf, s->k, s->spatial, k);
		if (!source(s, t->transpose, o, k, in))
			continue;
		for (uint32_t c = 0; c < s->ic; c++) {
			float w = t->transpose ? at5(&t->weight, s->spatial, g * s->ic + c, m % s->oc, k)
					       : at5(&t->weight, s->spatial, m, c, k);
			sum += (double)w * (double)at5(&t->in, s->spatial, n, g * s->ic + c, in);
		}
	}
	if (t->has_addend)
		sum += (double)at5(&t->addend, s->spatial, n, m, o);
	switch (s->p.activation.fn) {
	case ISA_U_RELU:
		return sum < 0 ? 0 : sum;
	case ISA_U_CLIP:
		return fmin(fmax(sum, (double)s->p.activation.alpha), (double)s->p.activation.beta);
	case ISA_U_SOFTSIGN:
		return sum / (1 + fabs(sum));
	default:
		return sum;
	}
}

static void check_output(const struct shape *s, const struct tensors *t)
{
	uint32_t area = volume(s->out, s->spatial);

	for (uint32_t n = 0; n < s->n; n++)
		for (uint32_t m = 0; m < s->group * s->oc; m++)
			for (uint32_t f = 0; f < area; f++) {
				uint32_t o[3];
				unflatten(f, s->out, s->spatial, o);
				double want = expected(s, t, n, m, o);
				double have = (double)at5(&t->out, s->spatial, n, m, o);
				ck_assert_msg(fabs(want - have) < 1e-4, "want %g have %g (%u %u %u)", want, have, n, m,
					      f);
			}
}

static void build(const struct shape *s, struct tensors *t, uint32_t layouts)
{
	uint32_t rank = s->spatial + 2;
	uint32_t in[5] = {s->n, s->group * s->ic, s->in[0], s->in[1], s->in[2]};
	uint32_t out[5] = {s->n, s->group * s->oc, s->out[0], s->out[1], s->out[2]};
	uint32_t w[5] = {t->transpose ? s->group * s->ic : s->group * s->oc, t->transpose ? s->oc : s->ic, s->k[0],
			 s->k[1], s->k[2]};

	arena.used = 0;
	t->in = tensor_in(&arena, ZY_DATA_F32, rank, in, layout(s->spatial, layouts & 1));
	t->out = tensor_in(&arena, ZY_DATA_F32, rank, out, layout(s->spatial, layouts & 2));
	if (layouts & 4) { /* a channel range of a wider tensor, as a concatenation's operand is */
		uint32_t wide[5] = {out[0], out[1] + 5, out[2], out[3], out[4]};
		t->out = tensor_in(&arena, ZY_DATA_F32, rank, wide, layout(s->spatial, layouts & 2));
		t->out.dims[1] = out[1];
		t->out.addr += 3u * 4u * (uint32_t)t->out.strides[1];
	}
	t->weight = tensor_in(&arena, ZY_DATA_F32, rank, w, NULL);
	t->bias = tensor_in(&arena, ZY_DATA_F32, 1, &out[1], NULL);
	t->addend = tensor_in(&arena, ZY_DATA_F32, rank, out, layout(s->spatial, layouts & 8));
	fill_random(&arena, &t->in);
	fill_random(&arena, &t->weight);
	fill_random(&arena, &t->bias);
	fill_random(&arena, &t->addend);
}

static void run_and_check(const struct shape *s, const struct tensors *t, uint32_t split, uint32_t tasks)
{
	struct record r;

	record_start(&r, t->transpose ? ISA_T_CONV_TRANSPOSE : ISA_T_CONV, split);
	record_operand(&r, &t->out);
	record_operand(&r, &t->in);
	record_operand(&r, &t->weight);
	if (t->has_bias || t->has_addend)
		record_operand(&r, t->has_bias ? &t->bias : NULL);
	if (t->has_addend)
		record_operand(&r, &t->addend);
	record_finish(&r, &s->p, sizeof(s->p));
	for (uint32_t i = 0; i < elements_of(&t->out); i++)
		*(float *)element_at(&arena, &t->out, i) = NAN;
	record_run_all(&arena, &r, tasks);
	check_output(s, t);
}

static void random_shape(struct shape *s, bool transpose)
{
	static const uint32_t activations[] = {ISA_U_NONE, ISA_U_RELU, ISA_U_CLIP, ISA_U_SOFTSIGN};

	memset(s, 0, sizeof(*s));
	s->spatial = 1 + random_below(8) % 3;
	s->n = 1 + random_below(2);
	bool depthwise = random_below(3) == 0;
	s->group = depthwise ? 1 + random_below(40) : 1 + random_below(2);
	s->ic = depthwise ? 1 : 1 + random_below(24);
	s->oc = depthwise ? 1 : 1 + random_below(36);
	s->p.spatial = s->spatial;
	s->p.group = s->group;
	s->p.activation = (struct isa_activation){transpose ? ISA_U_NONE : activations[random_below(4)], -0.5f, 0.75f};
	for (uint32_t i = 0; i < s->spatial; i++) {
		s->k[i] = 1 + random_below(s->spatial == 3 ? 3 : 5);
		s->p.stride[i] = 1 + random_below(3);
		s->p.dilation[i] = 1 + random_below(2);
		uint32_t reach = (s->k[i] - 1) * s->p.dilation[i] + 1;
		s->p.pad_begin[i] = random_below(reach);
		s->p.pad_end[i] = random_below(reach);
		s->in[i] = 1 + random_below(s->spatial == 3 ? 6 : 12);
		if (transpose) {
			uint32_t full = (s->in[i] - 1) * s->p.stride[i] + reach;
			uint32_t cut = s->p.pad_begin[i] + s->p.pad_end[i];
			s->out[i] = full > cut ? full - cut : 1;
		} else {
			uint32_t span = s->in[i] + s->p.pad_begin[i] + s->p.pad_end[i];
			if (span < reach)
				s->in[i] += reach - span;
			span = s->in[i] + s->p.pad_begin[i] + s->p.pad_end[i];
			s->out[i] = (span - reach) / s->p.stride[i] + 1;
		}
	}
}

static void random_rounds(bool transpose, uint32_t rounds)
{
	struct op_cache *cache = arena.cache;

	for (uint32_t round = 0; round < rounds; round++) {
		struct shape s;
		struct tensors t = {.has_bias = random_below(2),
				    .has_addend = !transpose && random_below(3) == 0,
				    .transpose = transpose};
		random_shape(&s, transpose);
		build(&s, &t, random_below(16));
		uint32_t split = random_below(s.spatial + 3);
		/* without a cache everything runs through our own loops */
		arena.cache = round % 8 == 7 ? NULL : cache;
		run_and_check(&s, &t, split == s.spatial + 2 ? ISA_SPLIT_NONE : split, 1 + random_below(4));
	}
	arena.cache = cache;
}

START_TEST(a_convolution_equals_direct_loops_whatever_its_shape_layout_and_split)
{
	random_state = 11 + (uint64_t)_i;
	random_rounds(false, 60);
}
END_TEST

START_TEST(a_transposed_convolution_equals_direct_loops)
{
	random_state = 77 + (uint64_t)_i;
	random_rounds(true, 40);
}
END_TEST

START_TEST(an_output_that_reaches_past_the_input_reads_zeros)
{
	struct shape s = {.spatial = 2, .n = 1, .group = 1, .ic = 3, .oc = 4, .in = {5, 5}, .out = {9, 7}, .k = {3, 3}};
	struct tensors t = {.has_bias = true};

	s.p = (struct isa_conv_params){
	    .spatial = 2, .group = 1, .stride = {2, 1}, .dilation = {1, 1}, .pad_begin = {6, 1}};
	build(&s, &t, 3);
	for (uint32_t tasks = 1; tasks <= 4; tasks++)
		run_and_check(&s, &t, 2, tasks);
}
END_TEST

START_TEST(an_addend_may_be_the_output_itself)
{
	struct shape s = {
	    .spatial = 2, .n = 1, .group = 1, .ic = 8, .oc = 24, .in = {9, 9}, .out = {9, 9}, .k = {1, 1}};
	struct tensors t = {.has_bias = true};
	struct record r;

	s.p = (struct isa_conv_params){.spatial = 2, .group = 1, .stride = {1, 1}, .dilation = {1, 1}};
	build(&s, &t, 11);
	record_start(&r, ISA_T_CONV, 2);
	record_operand(&r, &t.out);
	record_operand(&r, &t.in);
	record_operand(&r, &t.weight);
	record_operand(&r, &t.bias);
	record_operand(&r, &t.out);
	record_finish(&r, &s.p, sizeof(s.p));
	for (uint32_t i = 0; i < elements_of(&t.out); i++)
		*(float *)element_at(&arena, &t.out, i) = f32_at(&arena, &t.addend, i);
	record_run_all(&arena, &r, 4);
	t.has_addend = true;
	check_output(&s, &t);
}
END_TEST

START_TEST(work_is_counted_and_shared_evenly)
{
	struct shape s = {
	    .spatial = 2, .n = 1, .group = 1, .ic = 16, .oc = 16, .in = {34, 34}, .out = {34, 34}, .k = {3, 3}};
	struct tensors t = {.has_bias = true};
	struct record r;
	uint64_t sum = 0;
	uint64_t top = 0;

	s.p = (struct isa_conv_params){
	    .spatial = 2, .group = 1, .stride = {1, 1}, .dilation = {1, 1}, .pad_begin = {1, 1}};
	build(&s, &t, 3);
	record_start(&r, ISA_T_CONV, 2);
	record_operand(&r, &t.out);
	record_operand(&r, &t.in);
	record_operand(&r, &t.weight);
	record_operand(&r, &t.bias);
	record_finish(&r, &s.p, sizeof(s.p));
	for (uint32_t i = 0; i < 4; i++) {
		struct op_run run = {.memory = &arena.memory, .cache = arena.cache, .task = i, .tasks = 4};
		ck_assert_int_eq(op_run(&run, &r.header, r.header.bytes), 0);
		sum += run.macs;
		top = run.macs > top ? run.macs : top;
		ck_assert_uint_ge(run.cycles, run.macs / 512);
	}
	ck_assert_uint_eq(sum, UINT64_C(34) * 34 * 16 * 16 * 9);
	ck_assert_uint_le(top * 4 * 10, sum * 13);
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
	Suite *suite = suite_create("ops_conv");
	TCase *tc = tcase_create("conv");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_convolution_equals_direct_loops_whatever_its_shape_layout_and_split, 0, 6);
	tcase_add_loop_test(tc, a_transposed_convolution_equals_direct_loops, 0, 4);
	tcase_add_test(tc, an_output_that_reaches_past_the_input_reads_zeros);
	tcase_add_test(tc, an_addend_may_be_the_output_itself);
	tcase_add_test(tc, work_is_counted_and_shared_evenly);
	suite_add_tcase(suite, tc);
	return suite_main(suite);
}
