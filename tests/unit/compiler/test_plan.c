/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, order and sharing of work: no tensor is overwritten while it is needed, whatever the network. */
#include "emulator/compiler/cc.h"
#include "tests/unit/compiler/device.h"
#include "tests/unit/compiler/model.h"
#include "tests/unit/suite.h"

static uint64_t state;

static uint32_t draw(uint32_t below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % below;
}

/* A random network: convolutions, sums, pools, activations, concatenations of earlier results. */
static void random_network(struct model *m, uint32_t nodes)
{
	char name[64][16];
	uint32_t count = 1;

	model_begin(m, 13);
	model_in(m, "v0", T_FLOAT, DIMS(1, 4, 12, 12));
	model_init_noise(m, "w", 1, DIMS(4, 4, 3, 3));
	model_init_noise(m, "w2", 2, DIMS(4, 8, 1, 1));
	(void)snprintf(name[0], sizeof(name[0]), "v0");
	while (count < nodes) {
		char inputs[64];
		char scratch[16];
		struct pb attrs = {0};
		const char *a = name[draw(count)];
		const char *b = name[draw(count)];
		(void)snprintf(name[count], sizeof(name[count]), "v%u", count);
		switch (draw(5)) {
		case 0:
			attr_is(&attrs, "pads", 4, 1, 1, 1, 1);
			(void)snprintf(inputs, sizeof(inputs), "%s w", a);
			model_node(m, "Conv", inputs, name[count], &attrs);
			break;
		case 1:
			(void)snprintf(inputs, sizeof(inputs), "%s %s", a, b);
			model_node(m, "Add", inputs, name[count], NULL);
			break;
		case 2:
			model_node(m, draw(2) ? "Relu" : "Tanh", a, name[count], NULL);
			break;
		case 3:
			attr_is(&attrs, "kernel_shape", 2, 3, 3);
			attr_is(&attrs, "pads", 4, 1, 1, 1, 1);
			model_node(m, "MaxPool", a, name[count], &attrs);
			break;
		default:
			(void)snprintf(inputs, sizeof(inputs), "%s %s", a, b);
			(void)snprintf(scratch, sizeof(scratch), "c%u", count);
			attr_i(&attrs, "axis", 1);
			model_node(m, "Concat", inputs, scratch, &attrs);
			(void)snprintf(inputs, sizeof(inputs), "%s w2", scratch);
			model_node(m, "Conv", inputs, name[count], NULL);
			break;
		}
		count++;
	}
	model_out(m, name[count - 1]);
	model_out(m, name[count / 2]);
	model_end(m);
}

static void check_places(struct cc *cc)
{
	for (size_t i = 0; i < cc->storage_count; i++) {
		const struct storage *a = cc->storages[i];
		if (a->kind != ST_INTERMEDIATE || a->first == UINT32_MAX)
			continue;
		const struct storage *place = storage_place(cc->storages[i]);
		ck_assert_uint_eq(place->place % CC_ALIGN, 0);
		ck_assert_uint_le(place->place + a->bytes, cc->stats.planned_bytes);
		for (size_t k = 0; k < i; k++) {
			const struct storage *b = cc->storages[k];
			if (b->kind != ST_INTERMEDIATE || b->first == UINT32_MAX ||
			    storage_place(cc->storages[k]) == place)
				continue;
			const struct storage *other = storage_place(cc->storages[k]);
			bool together = a->first <= b->last && b->first <= a->last;
			bool overlap = place->place < other->place + b->bytes && other->place < place->place + a->bytes;
			ck_assert_msg(!together || !overlap, "tensors %zu and %zu", i, k);
		}
	}
}

/* Who shares a place: one is written from the other, in the very instruction that reads it last. */
static void check_shared_places(struct cc *cc)
{
	for (size_t i = 0; i < cc->insn_count; i++) {
		const struct insn *insn = cc->insns[i];
		const struct storage *out = insn->v[0].st;
		if (out->kind != ST_INTERMEDIATE || !out->host)
			continue;
		bool found = false;
		for (uint32_t k = 1; k < insn->count; k++)
			found =
			    found || (insn->v[k].st && storage_place(insn->v[k].st) == storage_place(insn->v[0].st));
		ck_assert(found);
		for (size_t j = i + 1; j < cc->insn_count; j++)
			for (uint32_t k = 0; k < cc->insns[j]->count; k++)
				for (uint32_t q = 1; q < insn->count; q++)
					ck_assert(!insn->v[q].st || cc->insns[j]->v[k].st != insn->v[q].st ||
						  storage_place(insn->v[q].st) != storage_place(insn->v[0].st));
	}
}

START_TEST(no_two_live_tensors_overlap)
{
	for (uint32_t seed = 0; seed < 60; seed++) {
		struct model m;
		struct cc cc;
		state = seed;
		random_network(&m, 4 + seed % 56);
		cc_open(&cc, NULL);
		cc_build(&cc, m.file.data, m.file.used);
		ck_assert_msg(cc.status == NPUCC_OK, "%s", cc.error);
		check_places(&cc);
		check_shared_places(&cc);
		ck_assert_uint_ge(cc.stats.planned_bytes, cc.stats.live_peak_bytes);
		ck_assert_uint_le(cc.stats.planned_bytes * 10, cc.stats.live_peak_bytes * 14);
		cc_close(&cc);
		model_free(&m);
	}
}
END_TEST

/* Tasks run in both orders: a missing barrier or an overwritten tensor changes the result. */
START_TEST(the_order_of_tasks_does_not_change_results)
{
	for (uint32_t seed = 0; seed < 40; seed++) {
		struct model m;
		struct npucc_result result;
		uint8_t *first[2] = {NULL, NULL};
		state = seed + 1000;
		random_network(&m, 4 + seed % 56);
		ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, NULL, &result), NPUCC_OK);
		for (int pass = 0; pass < 2; pass++) {
			static struct device d;
			ck_assert_msg(device_load(&d, result.elf, result.elf_bytes) == 0, "%s", d.error);
			d.cache = op_cache_new(1u << 20);
			for (size_t k = 0; k < d.inputs[0].bytes / 4; k++) {
				float value = model_noise(9, k);
				memcpy(d.inputs[0].data + k * 4, &value, 4);
			}
			ck_assert_msg(device_run(&d, pass) == 0, "%s", d.error);
			for (uint32_t o = 0; o < 2; o++) {
				if (pass == 0) {
					first[o] = malloc(d.outputs[o].bytes);
					memcpy(first[o], d.outputs[o].data, d.outputs[o].bytes);
				} else {
					ck_assert_mem_eq(first[o], d.outputs[o].data, d.outputs[o].bytes);
					free(first[o]);
				}
			}
			op_cache_free(d.cache);
			device_free(&d);
		}
		npucc_result_free(&result);
		model_free(&m);
	}
}
END_TEST

START_TEST(the_same_model_gives_the_same_bytes)
{
	struct npucc_result a;
	struct npucc_result b;
	struct model m;

	state = 5;
	random_network(&m, 60);
	ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, NULL, &a), NPUCC_OK);
	ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, NULL, &b), NPUCC_OK);
	ck_assert_uint_eq(a.elf_bytes, b.elf_bytes);
	ck_assert_mem_eq(a.elf, b.elf, a.elf_bytes);
	npucc_result_free(&a);
	npucc_result_free(&b);
	model_free(&m);
}
END_TEST

START_TEST(large_convolutions_are_shared_evenly)
{
	static const int shapes[][4] = {{1, 16, 128, 128}, {1, 64, 6, 96}, {1, 256, 7, 7}, {1, 512, 1, 5},
					{3, 64, 5, 5},     {1, 32, 65, 1}, {1, 96, 3, 3},  {5, 24, 9, 9}};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct model m;
		struct npucc_result result;
		static struct device d;
		int channels = shapes[i][1];
		struct pb attrs = {0};
		model_begin(&m, 13);
		model_in(&m, "x", T_FLOAT, 4, shapes[i]);
		model_init_noise(&m, "w", 1, DIMS(channels * 2, channels, 3, 3));
		attr_is(&attrs, "pads", 4, 1, 1, 1, 1);
		model_node(&m, "Conv", "x w", "y", &attrs);
		model_out(&m, "y");
		model_end(&m);
		ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, NULL, &result), NPUCC_OK);
		ck_assert_msg(device_load(&d, result.elf, result.elf_bytes) == 0, "%s", d.error);
		d.cache = op_cache_new(64u << 20);
		memset(d.inputs[0].data, 0, d.inputs[0].bytes);
		ck_assert_msg(device_run(&d, false) == 0, "%s", d.error);
		uint64_t most = 0;
		uint64_t sum = 0;
		for (uint32_t t = 0; t < DEVICE_TASKS; t++) {
			most = d.macs[t] > most ? d.macs[t] : most;
			sum += d.macs[t];
		}
		ck_assert_uint_gt(sum, 1000000);
		ck_assert_msg(most * DEVICE_TASKS * 10 <= sum * 13, "case %zu: busiest %llu of %llu", i,
			      (unsigned long long)most, (unsigned long long)sum);
		op_cache_free(d.cache);
		device_free(&d);
		npucc_result_free(&result);
		model_free(&m);
	}
}
END_TEST

START_TEST(long_networks_become_chains_of_groups)
{
	struct model m;
	struct npucc_result result;
	char from[16] = "v0";

	model_begin(&m, 13);
	model_in(&m, "v0", T_FLOAT, DIMS(64));
	model_init_noise(&m, "k", 1, DIMS(64));
	for (int i = 1; i <= 100; i++) {
		char to[16];
		char inputs[40];
		(void)snprintf(to, sizeof(to), "v%d", i);
		(void)snprintf(inputs, sizeof(inputs), "%s k", from);
		model_node(&m, i % 2 ? "Mul" : "Sub", inputs, to, NULL);
		memcpy(from, to, sizeof(from));
	}
	model_out(&m, from);
	model_end(&m);
	ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, NULL, &result), NPUCC_OK);
	ck_assert_uint_eq(result.stats.instructions, 100);
	ck_assert_uint_eq(result.stats.groups, 7);
	/* Every task stays within its own elements from the first instruction to the last. */
	ck_assert_uint_eq(result.stats.barriers, 0);
	/* Each result replaces the one before. */
	ck_assert_uint_eq(result.stats.planned_bytes, 256);
	npucc_result_free(&result);
	model_free(&m);
}
END_TEST

START_TEST(independent_instructions_need_no_barrier)
{
	struct model m;
	struct npucc_result result;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(64));
	model_node(&m, "Exp", "x", "a", NULL);
	model_node(&m, "Tanh", "x", "b", NULL);
	model_node(&m, "Neg", "x", "c", NULL);
	model_out(&m, "a");
	model_out(&m, "b");
	model_out(&m, "c");
	model_end(&m);
	ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, NULL, &result), NPUCC_OK);
	ck_assert_uint_eq(result.stats.instructions, 3);
	ck_assert_uint_eq(result.stats.barriers, 0);
	npucc_result_free(&result);
	model_free(&m);
}
END_TEST

/* Rows follow rows: only what looks beyond its own row, or is cut differently, waits. */
START_TEST(only_what_reads_another_tasks_part_waits)
{
	static const struct {
		int kernel;
		int stride;
		uint32_t barriers;
	} cases[] = {{1, 1, 0}, {3, 1, 1}, {1, 2, 1}, {3, 2, 1}};

	/* Six channels: rows are shared more evenly. */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model m;
		struct npucc_result result;
		struct pb attrs = {0};
		int k = cases[i].kernel;
		model_begin(&m, 13);
		model_in(&m, "x", T_FLOAT, DIMS(1, 6, 16, 16));
		model_init_noise(&m, "w", 1, DIMS(6, 6, 1, 1));
		model_init_noise(&m, "w2", 2, DIMS(6, 6, k, k));
		model_node(&m, "Conv", "x w", "a", NULL);
		attr_is(&attrs, "pads", 4, k / 2, k / 2, k / 2, k / 2);
		attr_is(&attrs, "strides", 2, cases[i].stride, cases[i].stride);
		model_node(&m, "Conv", "a w2", "b", &attrs);
		model_out(&m, "b");
		model_end(&m);
		ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, NULL, &result), NPUCC_OK);
		ck_assert_uint_eq(result.stats.instructions, 2);
		ck_assert_msg(result.stats.barriers == cases[i].barriers, "case %zu: %u barriers", i,
			      result.stats.barriers);
		npucc_result_free(&result);
		model_free(&m);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plan");
	TCase *tcase = tcase_create("plan");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, no_two_live_tensors_overlap);
	tcase_add_test(tcase, the_order_of_tasks_does_not_change_results);
	tcase_add_test(tcase, the_same_model_gives_the_same_bytes);
	tcase_add_test(tcase, large_convolutions_are_shared_evenly);
	tcase_add_test(tcase, long_networks_become_chains_of_groups);
	tcase_add_test(tcase, independent_instructions_need_no_barrier);
	tcase_add_test(tcase, only_what_reads_another_tasks_part_waits);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
