/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile records: every operator's record, mutated at a fixed seed, against a memory whose spans end (or begin) at an
 * inaccessible page. Any access outside a span kills the test; so does a leaked span.
 */
#include <sys/mman.h>

#include "tests/unit/emulator/ops_arena.h"

#define SLOTS 8u
#define PAGE 4096u
#define GRANTED (256u << 10)
#define ROUNDS 4000u

struct slot {
	uint8_t *map; /* guard page, GRANTED bytes, guard page */
	bool taken;
	enum op_access access;
	uint32_t offset;
};

static struct slot slots[SLOTS];
static uint8_t memory_bytes[GRANTED];
static int open_spans;
static atomic_bool cancelled;

static int guarded_get(void *ctx, uint32_t asid, uint32_t addr, uint64_t bytes, enum op_access access,
		       struct op_span *span)
{
	uint32_t i = 0;

	(void)ctx;
	ck_assert_uint_gt(bytes, 0);
	if (asid || addr < ARENA_BASE || bytes > GRANTED || addr - ARENA_BASE > GRANTED - bytes)
		return -EFAULT;
	while (slots[i].taken)
		i++;
	ck_assert_uint_lt(i, SLOTS);
	struct slot *s = &slots[i];
	s->taken = true;
	s->access = access;
	s->offset = addr - ARENA_BASE;
	span->data = random_below(2) ? s->map + PAGE : s->map + PAGE + GRANTED - bytes;
	span->bytes = bytes;
	span->cookie[0] = s;
	memcpy(span->data, memory_bytes + s->offset, bytes);
	open_spans++;
	return 0;
}

static void guarded_put(void *ctx, struct op_span *span)
{
	struct slot *s = span->cookie[0];

	(void)ctx;
	if (s->access == OP_WRITE)
		memcpy(memory_bytes + s->offset, span->data, span->bytes);
	s->taken = false;
	open_spans--;
}

static uint64_t guarded_identity(void *ctx, uint32_t asid, uint32_t addr)
{
	(void)ctx;
	(void)asid;
	(void)addr;
	return 1;
}

static const struct op_memory guarded = {guarded_get, guarded_put, guarded_identity, NULL};

/* ------------------------------------------------------------------ valid records to start from */

static uint32_t used;

static struct isa_operand operand(uint32_t dtype, uint32_t rank, const uint32_t *dims, bool channels_last)
{
	struct isa_operand o = {.dtype = dtype, .rank = rank};
	uint32_t stride = 1;

	for (uint32_t i = rank; i-- > 0;) {
		uint32_t axis = !channels_last || rank < 3 ? i : i == 0 ? 0 : i == rank - 1 ? 1 : i + 1;
		o.dims[axis] = dims[axis];
		o.strides[axis] = (int32_t)stride;
		stride *= dims[axis];
	}
	used = (used + 7u) & ~7u;
	o.addr = ARENA_BASE + used;
	used += stride * dtype_bytes(dtype);
	return o;
}

static void add(struct record *r, uint32_t dtype, uint32_t rank, const uint32_t *dims)
{
	struct isa_operand o = operand(dtype, rank, dims, random_below(2));

	record_operand(r, &o);
}

static void conv_record(struct record *r, bool transpose)
{
	uint32_t map[4] = {1, 16, 9, 10};
	uint32_t weight[4] = {16, 16, 3, 3};
	uint32_t out[4] = {1, 16, 9, 10};
	struct isa_conv_params p = {.spatial = 2,
				    .group = 1,
				    .stride = {1, 1},
				    .dilation = {1, 1},
				    .pad_begin = {1, 1},
				    .pad_end = {1, 1},
				    .activation = {random_below(ISA_U_COUNT), 0.5f, 1.0f}};

	if (random_below(3) == 0) {
		p.group = 16;
		weight[1] = 1;
	}
	struct isa_operand o[5] = {operand(ZY_DATA_F32, 4, out, true), operand(ZY_DATA_F32, 4, map, true),
				   operand(ZY_DATA_F32, 4, weight, false), operand(ZY_DATA_F32, 1, &out[1], false),
				   operand(ZY_DATA_F32, 4, out, true)};
	for (uint32_t i = 0; i < (transpose ? 4u : 3u + random_below(3)); i++)
		record_operand(r, &o[i]);
	record_finish(r, &p, sizeof(p));
}

static void simple_record(struct record *r, uint32_t op)
{
	uint32_t dims[4] = {2, 3, 4, 5};
	uint32_t type = random_below(2) ? ZY_DATA_F32 : 1 + random_below(13);
	struct isa_binary_params binary = {1 + random_below(ISA_B_COUNT), {random_below(5), 0, 1}};
	struct isa_unary_params unary = {{random_below(ISA_U_COUNT), 0.1f, 0.9f}};
	uint32_t inputs = op == ISA_T_FILL ? 0 : op == ISA_T_BINARY ? 2 : op == ISA_T_SELECT ? 3 : 1;
	bool test = binary.fn >= ISA_B_EQUAL && binary.fn <= ISA_B_LESS_EQUAL;

	add(r, op == ISA_T_BINARY && test ? (uint32_t)ZY_DATA_BOOL : type, 4, dims);
	for (uint32_t i = 0; i < inputs; i++)
		add(r,
		    op == ISA_T_SELECT && i == 0 ? (uint32_t)ZY_DATA_BOOL
		    : op == ISA_T_COPY           ? 1 + random_below(13)
						 : type,
		    4, dims);
	if (op == ISA_T_BINARY)
		record_finish(r, &binary, sizeof(binary));
	else if (op == ISA_T_UNARY)
		record_finish(r, &unary, sizeof(unary));
	else if (op == ISA_T_FILL)
		record_finish(r, (struct isa_fill_params[]){{{1, 2}}}, sizeof(struct isa_fill_params));
}

static void line_record(struct record *r, uint32_t op)
{
	uint32_t dims[4] = {2, 3, 4, 5};
	uint32_t cut[4] = {2, 1, 4, 5};
	uint32_t pooled[4] = {2, 3, 2, 2};
	uint32_t params[64] = {1, random_below(2), random_below(3)};
	size_t bytes = 12;

	if (op == ISA_T_REDUCE) {
		params[0] = 1 + random_below(ISA_R_COUNT - 1);
		bytes = 4;
	} else if (op == ISA_T_SOFTMAX || op == ISA_T_TRILU) {
		bytes = 8;
	} else if (op == ISA_T_LRN) {
		params[0] = 3;
		bytes = 16;
	}
	add(r, op == ISA_T_ARG_REDUCE ? ZY_DATA_S64 : ZY_DATA_F32, 4,
	    op == ISA_T_REDUCE || op == ISA_T_ARG_REDUCE || op == ISA_T_TOPK ? cut
	    : op == ISA_T_POOL                                               ? pooled
									     : dims);
	if (op == ISA_T_TOPK)
		add(r, ZY_DATA_S64, 4, cut);
	add(r, ZY_DATA_F32, 4, dims);
	if (op == ISA_T_POOL) {
		struct isa_pool_params p = {.mode = 1 + random_below(4),
					    .spatial = 2,
					    .kernel = {2, 2},
					    .stride = {2, 2},
					    .dilation = {1, 1},
					    .p = 2};
		if (p.mode == ISA_POOL_MAX && random_below(2))
			add(r, ZY_DATA_S64, 4, pooled);
		record_finish(r, &p, sizeof(p));
		return;
	}
	record_finish(r, params, bytes);
}

static void matmul_record(struct record *r)
{
	uint32_t a[3] = {2, 5, 7};
	uint32_t b[3] = {2, 7, 6};
	uint32_t out[3] = {2, 5, 6};
	struct isa_matmul_params p = {1, 1, {random_below(4), 0, 1}};

	add(r, ZY_DATA_F32, 3, out);
	add(r, ZY_DATA_F32, 3, a);
	add(r, ZY_DATA_F32, 3, b);
	if (random_below(2))
		add(r, ZY_DATA_F32, 3, out);
	record_finish(r, &p, sizeof(p));
}

static void index_record(struct record *r, uint32_t op)
{
	uint32_t dims[2] = {6, 5};
	uint32_t tuple[2] = {6, 1};
	uint32_t params[2] = {0, random_below(3)};
	uint32_t two[1] = {2};
	bool nd = op == ISA_T_GATHER_ND || op == ISA_T_SCATTER_ND;
	bool scatter = op == ISA_T_SCATTER_ND || op == ISA_T_SCATTER_ELEMENTS;

	add(r, ZY_DATA_F32, 2, dims);
	if (op == ISA_T_ONE_HOT) {
		add(r, ZY_DATA_S32, 1, &dims[1]);
		record_operand(r, NULL);
		add(r, ZY_DATA_F32, 1, two);
		record_finish(r, params, 4);
		return;
	}
	add(r, ZY_DATA_F32, 2, dims);
	if (op == ISA_T_GATHER)
		add(r, ZY_DATA_S64, 1, dims);
	else
		add(r, random_below(2) ? ZY_DATA_S64 : ZY_DATA_S32, 2, nd ? tuple : dims);
	if (scatter)
		add(r, ZY_DATA_F32, 2, dims);
	record_finish(r, params, scatter ? 8 : 4);
}

static void place_record(struct record *r, uint32_t op)
{
	uint32_t dims[2] = {6, 5};
	uint32_t out[2] = {8, 7};
	uint32_t n[1] = {op == ISA_T_SLICE ? 2 : 4};

	add(r, ZY_DATA_F32, 2, op == ISA_T_SLICE ? dims : out);
	add(r, ZY_DATA_F32, 2, op == ISA_T_SLICE ? out : dims);
	if (op == ISA_T_RESIZE) {
		struct isa_resize_params p = {.mode = 1 + random_below(3),
					      .coord = 1 + random_below(5),
					      .nearest = 1,
					      .scale = {8.0f / 6, 7.0f / 5}};
		if (random_below(3) == 0)
			add(r, ZY_DATA_F32, 1, (uint32_t[]){2});
		record_finish(r, &p, sizeof(p));
	} else if (op == ISA_T_PAD) {
		struct isa_pad_params p = {.mode = 1 + random_below(3), .pads = {1, 1, 1, 1}};
		if (random_below(3) == 0)
			add(r, ZY_DATA_S64, 1, n);
		record_finish(r, &p, sizeof(p));
	} else {
		add(r, ZY_DATA_S64, 1, n);
		add(r, ZY_DATA_S64, 1, n);
	}
}

static void valid_record(struct record *r, uint32_t op)
{
	used = 0;
	record_start(r, op, random_below(3) ? random_below(4) : ISA_SPLIT_NONE);
	switch (op) {
	case ISA_T_CONV:
	case ISA_T_CONV_TRANSPOSE:
		conv_record(r, op == ISA_T_CONV_TRANSPOSE);
		break;
	case ISA_T_MATMUL:
		matmul_record(r);
		break;
	case ISA_T_GATHER:
	case ISA_T_GATHER_ELEMENTS:
	case ISA_T_SCATTER_ELEMENTS:
	case ISA_T_GATHER_ND:
	case ISA_T_SCATTER_ND:
	case ISA_T_ONE_HOT:
		index_record(r, op);
		break;
	case ISA_T_SLICE:
	case ISA_T_PAD:
	case ISA_T_RESIZE:
		place_record(r, op);
		break;
	case ISA_T_COPY:
	case ISA_T_FILL:
	case ISA_T_UNARY:
	case ISA_T_BINARY:
	case ISA_T_SELECT:
		simple_record(r, op);
		break;
	default:
		line_record(r, op);
		break;
	}
}

/* ------------------------------------------------------------------ mutation */

static uint32_t nasty(uint32_t was)
{
	static const uint32_t values[] = {0,        1,          2,           3,           7,           8,
					  9,        255,        0x7fffffffu, 0x80000000u, 0xffffffffu, 0xfffffffeu,
					  0x10000u, ARENA_BASE, 0x7f800000u, 0xff800000u, 0x7fc00000u, 0x3f800000u};

	switch (random_below(4)) {
	case 0:
		return was + random_below(9) - 4;
	case 1:
		return was ^ 1u << random_below(32);
	case 2:
		return random_u32() << random_below(32);
	default:
		return values[random_below(sizeof(values) / sizeof(values[0]))];
	}
}

static void mutate(struct record *r)
{
	uint32_t words = r->header.bytes / 4;

	for (uint32_t i = random_below(4); i > 0; i--) {
		uint32_t at = random_below(words);
		uint32_t word;
		if (at == 1 && random_below(4)) /* a wrong length ends everything at once */
			continue;
		memcpy(&word, r->bytes + 4 * (size_t)at, 4);
		word = nasty(word);
		memcpy(r->bytes + 4 * (size_t)at, &word, 4);
	}
}

/* Long loops are given up: what is under test is where they reach, not that they end by themselves. */
static bool is_long(const struct record *r)
{
	double work = 1;

	for (uint32_t i = 0; i < r->header.operand_count && i < 5; i++) {
		double n = 1;
		for (uint32_t d = 0; d < ISA_MAX_RANK; d++)
			n *= d < r->header.operand[i].rank ? fmax(1, r->header.operand[i].dims[d]) : 1;
		work = fmax(work, n);
	}
	return work > 20000;
}

static void fill_memory(void)
{
	for (uint32_t i = 0; i < GRANTED / 4; i++) {
		uint32_t word = random_below(4) ? random_below(6) : nasty(i);
		memcpy(memory_bytes + 4 * (size_t)i, &word, 4);
	}
}

START_TEST(no_mutated_record_reaches_outside_its_spans)
{
	uint32_t op = (uint32_t)_i;
	struct op_cache *cache = op_cache_new(4u << 20);
	uint32_t outcome[3] = {0};

	random_state = 1000 + op;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct record r;
		uint32_t tasks = 1 + random_below(4);
		valid_record(&r, op);
		if (round % 50 == 0)
			fill_memory();
		if (round % 10)
			mutate(&r);
		cancelled = is_long(&r);
		struct op_run run = {.memory = &guarded,
				     .cache = random_below(8) ? cache : NULL,
				     .task = random_below(tasks),
				     .tasks = tasks,
				     .cancel = &cancelled};
		size_t bytes = r.header.bytes < sizeof(r) ? r.header.bytes : sizeof(r);
		int rc = op_run(&run, &r.header, bytes);
		ck_assert_int_eq(open_spans, 0);
		ck_assert_msg(rc == 0 || rc == -EINVAL || rc == -EFAULT || rc == -EOPNOTSUPP || rc == -ECANCELED ||
				  rc == -ENOMEM,
			      "%d", rc);
		outcome[rc == 0 ? 0 : rc == -EFAULT ? 1 : 2]++;
	}
	ck_assert_uint_gt(outcome[0], ROUNDS / 50);
	ck_assert_uint_gt(outcome[1], 0);
	ck_assert_uint_gt(outcome[2], ROUNDS / 50);
	op_cache_free(cache);
}
END_TEST

START_TEST(a_record_of_any_length_is_refused_unless_it_is_exact)
{
	struct record r;

	for (uint32_t op = 1; op < ISA_T_COUNT; op++) {
		valid_record(&r, op);
		uint32_t exact = r.header.bytes;
		for (uint32_t bytes = 0; bytes < exact + 64; bytes++) {
			struct op_run run = {.memory = &guarded, .tasks = 1};
			/* a heap copy of that size, so that a read past it is seen */
			struct isa_record *copy = malloc(bytes ? bytes : 1);
			ck_assert_ptr_nonnull(copy);
			if (bytes == exact) {
				free(copy);
				continue;
			}
			r.header.bytes = bytes;
			memcpy(copy, &r, bytes);
			int rc = op_run(&run, copy, bytes);
			free(copy);
			/* whole operands may be left out where they are optional; nothing else may */
			ck_assert_msg(rc != 0, "op %u of %u bytes ran with %u", op, exact, bytes);
		}
	}
}
END_TEST

START_TEST(an_operand_that_leaves_its_four_gigabytes_is_malformed)
{
	static const struct {
		uint32_t addr;
		int32_t stride;
	} cases[] = {{0xfffffff0u, 1}, {0x10u, -1}, {0xfffffffcu, INT32_MAX}, {0, INT32_MIN}, {ARENA_BASE, 1 << 30}};

	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (uint32_t which = 0; which < 2; which++) {
			uint32_t dims[1] = {8};
			struct record r;
			record_start(&r, ISA_T_COPY, 0);
			add(&r, ZY_DATA_F32, 1, dims);
			add(&r, ZY_DATA_F32, 1, dims);
			r.header.operand[which].addr = cases[i].addr;
			r.header.operand[which].strides[0] = cases[i].stride;
			struct op_run run = {.memory = &guarded, .tasks = 1};
			ck_assert_int_eq(op_run(&run, &r.header, r.header.bytes), -EINVAL);
		}
}
END_TEST

START_TEST(a_refused_operand_leaves_no_span_open)
{
	for (uint32_t op = 1; op < ISA_T_COUNT; op++) {
		struct record r;
		valid_record(&r, op);
		for (uint32_t i = 0; i < r.header.operand_count; i++) {
			struct record broken = r;
			struct op_run run = {.memory = &guarded, .tasks = 1};
			if (broken.header.operand[i].dtype == ZY_DATA_NONE)
				continue;
			broken.header.operand[i].addr += GRANTED;
			int rc = op_run(&run, &broken.header, broken.header.bytes);
			ck_assert_int_ne(rc, 0);
			ck_assert_int_eq(open_spans, 0);
		}
	}
}
END_TEST

static void setup(void)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		slots[i].map =
		    mmap(NULL, GRANTED + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ck_assert_ptr_ne(slots[i].map, MAP_FAILED);
		ck_assert_int_eq(mprotect(slots[i].map, PAGE, PROT_NONE), 0);
		ck_assert_int_eq(mprotect(slots[i].map + PAGE + GRANTED, PAGE, PROT_NONE), 0);
	}
	fill_memory();
}

static void teardown(void)
{
	for (uint32_t i = 0; i < SLOTS; i++)
		ck_assert_int_eq(munmap(slots[i].map, GRANTED + 2 * PAGE), 0);
}

int main(void)
{
	Suite *suite = suite_create("ops_hostile");
	TCase *tc = tcase_create("hostile");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, no_mutated_record_reaches_outside_its_spans, 1, ISA_T_COUNT);
	tcase_add_test(tc, a_record_of_any_length_is_refused_unless_it_is_exact);
	tcase_add_test(tc, an_operand_that_leaves_its_four_gigabytes_is_malformed);
	tcase_add_test(tc, a_refused_operand_leaves_no_span_open);
	suite_add_tcase(suite, tc);
	return suite_main(suite);
}
