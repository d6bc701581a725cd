/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise and moving operators against reference loops over random shapes, strides, types and splits. */
#include "tests/unit/emulator/ops_arena.h"

#define MAX_ELEMENTS 4096

static struct arena arena;
static double reference[MAX_ELEMENTS];

static double load(const struct isa_operand *o, uint32_t flat)
{
	const void *p = element_at(&arena, o, flat);

	switch (o->dtype) {
	case ZY_DATA_BOOL:
	case ZY_DATA_U8:
		return *(const uint8_t *)p;
	case ZY_DATA_S8:
		return *(const int8_t *)p;
	case ZY_DATA_U16:
		return *(const uint16_t *)p;
	case ZY_DATA_S16:
		return *(const int16_t *)p;
	case ZY_DATA_U32:
		return *(const uint32_t *)p;
	case ZY_DATA_S32:
		return *(const int32_t *)p;
	case ZY_DATA_U64:
		return (double)*(const uint64_t *)p;
	case ZY_DATA_S64:
		return (double)*(const int64_t *)p;
	case ZY_DATA_F32:
		return (double)*(const float *)p;
	default:
		return *(const double *)p;
	}
}

static void store(const struct isa_operand *o, uint32_t flat, double v)
{
	void *p = element_at(&arena, o, flat);

	switch (o->dtype) {
	case ZY_DATA_BOOL:
		*(uint8_t *)p = v != 0;
		break;
	case ZY_DATA_U8:
		*(uint8_t *)p = (uint8_t)(int64_t)v;
		break;
	case ZY_DATA_S8:
		*(int8_t *)p = (int8_t)(int64_t)v;
		break;
	case ZY_DATA_U16:
		*(uint16_t *)p = (uint16_t)(int64_t)v;
		break;
	case ZY_DATA_S16:
		*(int16_t *)p = (int16_t)(int64_t)v;
		break;
	case ZY_DATA_U32:
		*(uint32_t *)p = (uint32_t)(int64_t)v;
		break;
	case ZY_DATA_S32:
		*(int32_t *)p = (int32_t)v;
		break;
	case ZY_DATA_U64:
		*(uint64_t *)p = (uint64_t)(int64_t)v;
		break;
	case ZY_DATA_S64:
		*(int64_t *)p = (int64_t)v;
		break;
	case ZY_DATA_F32:
		*(float *)p = (float)v;
		break;
	default:
		*(double *)p = v;
		break;
	}
}

static void random_order(uint32_t rank, uint32_t *order)
{
	for (uint32_t i = 0; i < rank; i++) {
		uint32_t j = random_below(i + 1);
		order[i] = order[j];
		order[j] = i;
	}
}

/* A random view of `dims`: permuted, with gaps, walking back on some axes; inputs may broadcast. */
static struct isa_operand random_view(uint32_t dtype, uint32_t rank, const uint32_t *dims, bool output)
{
	uint32_t order[8] = {0};
	uint32_t wide[8];
	uint32_t es = dtype_bytes(dtype);

	random_order(rank, order);
	for (uint32_t i = 0; i < rank; i++)
		wide[i] = dims[i] + random_below(4) / 3;
	struct isa_operand o = tensor_in(&arena, dtype, rank, wide, random_below(2) ? order : NULL);
	for (uint32_t i = 0; i < rank; i++) {
		o.dims[i] = dims[i];
		if (!output && random_below(6) == 0) {
			o.strides[i] = 0;
		} else if (random_below(5) == 0 && dims[i]) {
			o.addr += (dims[i] - 1) * (uint32_t)o.strides[i] * es;
			o.strides[i] = -o.strides[i];
		}
	}
	return o;
}

static uint32_t random_dims(uint32_t *dims)
{
	uint32_t rank = random_below(5);

	for (uint32_t i = 0; i < rank; i++)
		dims[i] = random_below(12) ? 1 + random_below(7) : 0;
	return rank;
}

static uint32_t random_split(uint32_t rank)
{
	uint32_t split = random_below(rank + 1);

	return split == rank ? ISA_SPLIT_NONE : split;
}

static void compare(const struct isa_operand *out, double tolerance, const char *what, uint32_t fn)
{
	for (uint32_t i = 0; i < elements_of(out); i++) {
		double have = load(out, i);
		double want = reference[i];
		if (out->dtype == ZY_DATA_F32)
			want = (double)(float)want;
		if (want != want && have != have)
			continue;
		ck_assert_msg(have == want || fabs(have - want) <= tolerance * fmax(1, fabs(want)),
			      "%s %u: element %u: want %.9g have %.9g (type %u)", what, fn, i, want, have, out->dtype);
	}
}

START_TEST(a_copy_converts_every_pair_of_types_over_any_strides)
{
	static const uint32_t types[] = {ZY_DATA_BOOL, ZY_DATA_U8,  ZY_DATA_S8,  ZY_DATA_U16, ZY_DATA_S16, ZY_DATA_U32,
					 ZY_DATA_S32,  ZY_DATA_U64, ZY_DATA_S64, ZY_DATA_F32, ZY_DATA_F64};

	random_state = 5;
	for (uint32_t round = 0; round < 2000; round++) {
		uint32_t dims[8];
		uint32_t rank = random_dims(dims);
		struct record r;
		arena.used = 0;
		struct isa_operand in = random_view(types[random_below(11)], rank, dims, false);
		struct isa_operand out = random_view(types[random_below(11)], rank, dims, true);
		for (uint32_t i = 0; i < elements_of(&in); i++)
			store(&in, i, (double)random_below(100) - (in.dtype == ZY_DATA_F32 ? 0.5 : 0));
		for (uint32_t i = 0; i < elements_of(&in); i++) {
			double v = load(&in, i);
			if (out.dtype == ZY_DATA_BOOL)
				v = v != 0;
			else if (out.dtype < ZY_DATA_F16)
				v = trunc(v);
			reference[i] = v;
		}
		record_start(&r, ISA_T_COPY, random_split(rank));
		record_operand(&r, &out);
		record_operand(&r, &in);
		record_run_all(&arena, &r, 1 + random_below(4));
		compare(&out, 0, "copy", in.dtype);
	}
}
END_TEST

START_TEST(halves_survive_the_way_through_f32)
{
	uint32_t dims[1] = {65536};
	struct record r;

	for (uint32_t half = ZY_DATA_F16; half <= ZY_DATA_BF16; half += ZY_DATA_BF16 - ZY_DATA_F16) {
		arena.used = 0;
		struct isa_operand a = tensor_in(&arena, half, 1, dims, NULL);
		struct isa_operand f = tensor_in(&arena, ZY_DATA_F32, 1, dims, NULL);
		struct isa_operand b = tensor_in(&arena, half, 1, dims, NULL);
		for (uint32_t i = 0; i < dims[0]; i++)
			*(uint16_t *)element_at(&arena, &a, i) = (uint16_t)i;
		record_start(&r, ISA_T_COPY, 0);
		record_operand(&r, &f);
		record_operand(&r, &a);
		record_run_all(&arena, &r, 2);
		record_start(&r, ISA_T_COPY, 0);
		record_operand(&r, &b);
		record_operand(&r, &f);
		record_run_all(&arena, &r, 3);
		for (uint32_t i = 0; i < dims[0]; i++)
			if (!isnan(f32_at(&arena, &f, i)))
				ck_assert_uint_eq(*(uint16_t *)element_at(&arena, &b, i), i);
			else
				ck_assert(half == ZY_DATA_F16 ? (i & 0x7c00) == 0x7c00 : (i & 0x7f80) == 0x7f80);
	}
}
END_TEST

START_TEST(a_fill_writes_its_own_elements_and_no_others)
{
	random_state = 9;
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t dims[8];
		uint32_t rank = random_dims(dims);
		struct isa_fill_params p = {{0x11223344u, 0x55667788u}};
		struct record r;
		arena.used = 0;
		struct isa_operand out = random_view(ZY_DATA_U64, rank, dims, true);
		memset(arena.data, 0, arena.used);
		record_start(&r, ISA_T_FILL, random_split(rank));
		record_operand(&r, &out);
		record_finish(&r, &p, sizeof(p));
		record_run_all(&arena, &r, 1 + random_below(4));
		uint32_t written = 0;
		for (uint32_t i = 0; i < arena.used; i += 8)
			written += *(uint64_t *)(void *)(arena.data + i) == 0x5566778811223344u;
		ck_assert_uint_eq(written, elements_of(&out));
	}
}
END_TEST

/* The functions that are the C library's own. */
static double (*const plain_unary[ISA_U_COUNT])(double) = {
    [ISA_U_TANH] = tanh, [ISA_U_ABS] = fabs,    [ISA_U_EXP] = exp,     [ISA_U_LOG] = log,     [ISA_U_SQRT] = sqrt,
    [ISA_U_ERF] = erf,   [ISA_U_FLOOR] = floor, [ISA_U_CEIL] = ceil,   [ISA_U_ROUND] = rint,  [ISA_U_SIN] = sin,
    [ISA_U_COS] = cos,   [ISA_U_TAN] = tan,     [ISA_U_ASIN] = asin,   [ISA_U_ACOS] = acos,   [ISA_U_ATAN] = atan,
    [ISA_U_SINH] = sinh, [ISA_U_COSH] = cosh,   [ISA_U_ASINH] = asinh, [ISA_U_ACOSH] = acosh, [ISA_U_ATANH] = atanh,
};

static double unary(const struct isa_activation *f, double x)
{
	double a = (double)f->alpha;
	double b = (double)f->beta;

	if (f->fn < ISA_U_COUNT && plain_unary[f->fn])
		return plain_unary[f->fn](x);
	switch (f->fn) {
	case ISA_U_RELU:
		return fmax(x, 0);
	case ISA_U_LEAKY_RELU:
		return x < 0 ? a * x : x;
	case ISA_U_CLIP:
		return fmin(fmax(x, a), b);
	case ISA_U_SIGMOID:
		return 1 / (1 + exp(-x));
	case ISA_U_HARD_SIGMOID:
		return fmax(0, fmin(1, a * x + b));
	case ISA_U_HARD_SWISH:
		return x * fmax(0, fmin(1, a * x + b));
	case ISA_U_ELU:
		return x < 0 ? a * (exp(x) - 1) : x;
	case ISA_U_CELU:
		return fmax(0, x) + fmin(0, a * (exp(x / a) - 1));
	case ISA_U_SELU:
		return b * (x > 0 ? x : a * (exp(x) - 1));
	case ISA_U_THRESHOLDED_RELU:
		return x > a ? x : 0;
	case ISA_U_SOFTPLUS:
		return log(exp(x) + 1);
	case ISA_U_SOFTSIGN:
		return x / (1 + fabs(x));
	case ISA_U_NEG:
		return -x;
	case ISA_U_RECIPROCAL:
		return 1 / x;
	case ISA_U_SIGN:
		return (x > 0) - (x < 0);
	case ISA_U_SHRINK:
		return x < -a ? x + b : x > a ? x - b : 0;
	case ISA_U_AFFINE:
		return a * x + b;
	default:
		return x;
	}
}

START_TEST(every_unary_function_equals_the_c_library)
{
	random_state = 21;
	for (uint32_t round = 0; round < 1500; round++) {
		uint32_t dims[8];
		uint32_t rank = round % 5 ? random_dims(dims) : 2;
		struct isa_unary_params p = {{random_below(ISA_U_COUNT), 0.25f, 0.75f}};
		struct record r;
		if (rank == 2 && round % 5 == 0) {
			dims[0] = 3;
			dims[1] = 600 + random_below(600);
		}
		if (p.fn.fn == ISA_U_NOT || p.fn.fn == ISA_U_ISNAN || p.fn.fn == ISA_U_ISINF)
			continue;
		arena.used = 0;
		struct isa_operand in = random_view(ZY_DATA_F32, rank, dims, false);
		struct isa_operand out = random_view(ZY_DATA_F32, rank, dims, true);
		for (uint32_t i = 0; i < elements_of(&in); i++)
			store(&in, i, (double)random_float() * 3);
		for (uint32_t i = 0; i < elements_of(&in); i++)
			reference[i] = unary(&p.fn, load(&in, i));
		record_start(&r, ISA_T_UNARY, random_split(rank));
		record_operand(&r, &out);
		record_operand(&r, &in);
		record_finish(&r, &p, sizeof(p));
		record_run_all(&arena, &r, 1 + random_below(4));
		compare(&out, 2e-6, "unary", p.fn.fn);
	}
}
END_TEST

START_TEST(integers_and_classes_have_their_own_unary_functions)
{
	static const uint32_t fns[] = {ISA_U_ABS, ISA_U_NEG, ISA_U_SIGN, ISA_U_RELU, ISA_U_CLIP};
	uint32_t dims[1] = {6};
	const float special[6] = {0, NAN, INFINITY, -INFINITY, 1, -NAN};
	struct record r;

	for (uint32_t type = ZY_DATA_S8; type <= ZY_DATA_S64; type += 2)
		for (uint32_t f = 0; f < 5; f++) {
			struct isa_unary_params p = {{fns[f], -1.5f, 20.5f}};
			arena.used = 0;
			struct isa_operand in = tensor_in(&arena, type, 1, dims, NULL);
			struct isa_operand out = tensor_in(&arena, type, 1, dims, NULL);
			for (uint32_t i = 0; i < 6; i++)
				store(&in, i, (double)i * 9 - 20);
			for (uint32_t i = 0; i < 6; i++)
				reference[i] = trunc(unary(&p.fn, load(&in, i)));
			record_start(&r, ISA_T_UNARY, 0);
			record_operand(&r, &out);
			record_operand(&r, &in);
			record_finish(&r, &p, sizeof(p));
			record_run_all(&arena, &r, 2);
			compare(&out, 0, "integer unary", fns[f]);
		}
	arena.used = 0;
	struct isa_operand in = tensor_in(&arena, ZY_DATA_F32, 1, dims, NULL);
	struct isa_operand out = tensor_in(&arena, ZY_DATA_BOOL, 1, dims, NULL);
	memcpy(element_at(&arena, &in, 0), special, sizeof(special));
	const struct isa_unary_params classes[3] = {
	    {{ISA_U_ISNAN, 0, 0}}, {{ISA_U_ISINF, 1, 0}}, {{ISA_U_ISINF, 1, 1}}};
	const char *expected[3] = {"010001", "000100", "001100"};
	for (uint32_t f = 0; f < 3; f++) {
		record_start(&r, ISA_T_UNARY, ISA_SPLIT_NONE);
		record_operand(&r, &out);
		record_operand(&r, &in);
		record_finish(&r, &classes[f], sizeof(classes[f]));
		record_run_all(&arena, &r, 2);
		for (uint32_t i = 0; i < 6; i++)
			ck_assert_int_eq(*(uint8_t *)element_at(&arena, &out, i), expected[f][i] - '0');
	}
}
END_TEST

static double modulo(double a, double b)
{
	double m = fmod(a, b);

	return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}

static double binary(uint32_t fn, double a, double b, bool integer)
{
	switch (fn) {
	case ISA_B_ADD:
		return a + b;
	case ISA_B_SUB:
		return a - b;
	case ISA_B_MUL:
		return a * b;
	case ISA_B_DIV:
		return integer ? trunc(a / b) : a / b;
	case ISA_B_POW:
		return integer ? trunc(pow(a, b)) : pow(a, b);
	case ISA_B_MIN:
		return fmin(a, b);
	case ISA_B_MAX:
		return fmax(a, b);
	case ISA_B_PRELU:
		return a < 0 ? a * b : a;
	case ISA_B_MOD:
		return modulo(a, b);
	case ISA_B_FMOD:
		return fmod(a, b);
	case ISA_B_EQUAL:
		return a == b;
	case ISA_B_GREATER:
		return a > b;
	case ISA_B_LESS:
		return a < b;
	case ISA_B_GREATER_EQUAL:
		return a >= b;
	default:
		return a <= b;
	}
}

START_TEST(every_binary_function_works_on_every_type)
{
	static const uint32_t types[] = {ZY_DATA_U8,  ZY_DATA_S8,  ZY_DATA_U16, ZY_DATA_S16, ZY_DATA_U32,
					 ZY_DATA_S32, ZY_DATA_U64, ZY_DATA_S64, ZY_DATA_F32, ZY_DATA_F64};

	random_state = 31;
	for (uint32_t round = 0; round < 4000; round++) {
		uint32_t dims[8];
		uint32_t rank = random_dims(dims);
		uint32_t type = types[random_below(14) < 10 ? random_below(10) : 8];
		bool real = type == ZY_DATA_F32 || type == ZY_DATA_F64;
		bool sign = type == ZY_DATA_S8 || type == ZY_DATA_S16 || type == ZY_DATA_S32 || type == ZY_DATA_S64;
		struct isa_binary_params p = {.fn = 1 + random_below(ISA_B_LESS_EQUAL)};
		bool test = p.fn >= ISA_B_EQUAL;
		struct record r;
		if (p.fn == ISA_B_PRELU && !real && !sign)
			continue;
		if (type == ZY_DATA_F32 && !test && random_below(3) == 0)
			p.activation.fn = ISA_U_RELU;
		arena.used = 0;
		struct isa_operand a = random_view(type, rank, dims, false);
		struct isa_operand b = random_view(type, rank, dims, false);
		struct isa_operand out = random_view(test ? ZY_DATA_BOOL : type, rank, dims, true);
		for (uint32_t i = 0; i < elements_of(&a); i++) {
			store(&a, i, real || sign ? (double)random_below(9) - 4 : 4 + (double)random_below(9));
			store(&b, i,
			      p.fn == ISA_B_POW || !(real || sign) ? 1 + (double)random_below(2)
								   : (double)random_below(3) * 2 - 3);
		}
		for (uint32_t i = 0; i < elements_of(&a); i++) {
			reference[i] = binary(p.fn, load(&a, i), load(&b, i), !real);
			if (p.activation.fn)
				reference[i] = fmax(reference[i], 0);
		}
		record_start(&r, ISA_T_BINARY, random_split(rank));
		record_operand(&r, &out);
		record_operand(&r, &a);
		record_operand(&r, &b);
		record_finish(&r, &p, sizeof(p));
		record_run_all(&arena, &r, 1 + random_below(4));
		compare(&out, 1e-6, "binary", p.fn);
	}
}
END_TEST

START_TEST(no_integer_operation_traps)
{
	uint32_t dims[1] = {4};
	struct record r;

	for (uint32_t type = ZY_DATA_U8; type <= ZY_DATA_S64; type++)
		for (uint32_t fn = 1; fn < ISA_B_COUNT; fn++) {
			struct isa_binary_params p = {.fn = fn};
			bool test = fn >= ISA_B_EQUAL && fn <= ISA_B_LESS_EQUAL;
			arena.used = 0;
			struct isa_operand a = tensor_in(&arena, type, 1, dims, NULL);
			struct isa_operand b = tensor_in(&arena, type, 1, dims, NULL);
			struct isa_operand out = tensor_in(&arena, test ? ZY_DATA_BOOL : type, 1, dims, NULL);
			memset(arena.data, 0, arena.used);
			for (uint32_t i = 0; i < 4; i++) { /* the least value of signed types by 0, -1, huge */
				((uint8_t *)element_at(&arena, &a, i))[dtype_bytes(type) - 1] = 0x80;
				memset(element_at(&arena, &b, i), i == 1 ? 0xff : i == 2 ? 0x7f : 0, dtype_bytes(type));
			}
			record_start(&r, ISA_T_BINARY, 0);
			record_operand(&r, &out);
			record_operand(&r, &a);
			record_operand(&r, &b);
			record_finish(&r, &p, sizeof(p));
			int rc = record_run(&arena, &r, 0, 1);
			ck_assert_msg(rc == 0 || rc == -EOPNOTSUPP, "fn %u type %u: %d", fn, type, rc);
		}
}
END_TEST

START_TEST(a_select_takes_each_element_from_its_side)
{
	random_state = 41;
	for (uint32_t round = 0; round < 500; round++) {
		static const uint32_t types[] = {ZY_DATA_U8, ZY_DATA_S16, ZY_DATA_F32, ZY_DATA_S64};
		uint32_t dims[8];
		uint32_t rank = random_dims(dims);
		uint32_t type = types[random_below(4)];
		struct record r;
		arena.used = 0;
		struct isa_operand c = random_view(ZY_DATA_BOOL, rank, dims, false);
		struct isa_operand a = random_view(type, rank, dims, false);
		struct isa_operand b = random_view(type, rank, dims, false);
		struct isa_operand out = random_view(type, rank, dims, true);
		for (uint32_t i = 0; i < elements_of(&out); i++) {
			store(&c, i, random_below(2));
			store(&a, i, random_below(100));
			store(&b, i, random_below(100));
		}
		for (uint32_t i = 0; i < elements_of(&out); i++)
			reference[i] = load(&c, i) != 0 ? load(&a, i) : load(&b, i);
		record_start(&r, ISA_T_SELECT, random_split(rank));
		record_operand(&r, &out);
		record_operand(&r, &c);
		record_operand(&r, &a);
		record_operand(&r, &b);
		record_run_all(&arena, &r, 1 + random_below(4));
		compare(&out, 0, "select", type);
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
	Suite *suite = suite_create("ops");
	TCase *tc = tcase_create("elementwise");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_copy_converts_every_pair_of_types_over_any_strides);
	tcase_add_test(tc, halves_survive_the_way_through_f32);
	tcase_add_test(tc, a_fill_writes_its_own_elements_and_no_others);
	tcase_add_test(tc, every_unary_function_equals_the_c_library);
	tcase_add_test(tc, integers_and_classes_have_their_own_unary_functions);
	tcase_add_test(tc, every_binary_function_works_on_every_type);
	tcase_add_test(tc, no_integer_operation_traps);
	tcase_add_test(tc, a_select_takes_each_element_from_its_side);
	suite_add_tcase(suite, tc);
	return suite_main(suite);
}
