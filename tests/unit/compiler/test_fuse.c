/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What optimisation leaves over, and that the answer stays the same: each network is run and compared with loops
 * written out here.
 */
#include "emulator/compiler/npucc.h"
#include "tests/unit/compiler/device.h"
#include "tests/unit/compiler/model.h"
#include "tests/unit/suite.h"

#include <math.h>

static struct device device;
static struct npucc_result result;

static void compile(struct model *m)
{
	struct npucc_options options = {.dump = true};

	model_end(m);
	enum npucc_status status = npucc_compile(m->file.data, m->file.used, &options, &result);
	ck_assert_msg(status == NPUCC_OK, "%s", result.error);
	model_free(m);
}

/* Runs with noise of seed 100 + input number; the outputs stay in `device`. */
static void run(void)
{
	ck_assert_msg(device_load(&device, result.elf, result.elf_bytes) == 0, "%s", device.error);
	device.cache = op_cache_new(1u << 20);
	for (uint32_t i = 0; i < device.input_count; i++)
		for (size_t k = 0; k < device.inputs[i].bytes / sizeof(float); k++) {
			float value = model_noise(100 + i, k);
			memcpy(device.inputs[i].data + k * sizeof(float), &value, sizeof(value));
		}
	ck_assert_msg(device_run(&device, true) == 0, "%s", device.error);
}

static void finish(void)
{
	op_cache_free(device.cache);
	device_free(&device);
	npucc_result_free(&result);
}

static float output(uint32_t index, size_t i)
{
	float value = 0;

	memcpy(&value, device.outputs[index].data + i * sizeof(float), sizeof(value));
	return value;
}

static uint32_t count_lines(const char *word)
{
	uint32_t n = 0;

	for (const char *at = result.dump; (at = strstr(at, word)) != NULL; at += strlen(word))
		n++;
	return n;
}

#define CHANNELS 3
#define MAPS 4
#define SIZE 6

/* x [1,3,6,6] (*) w [4,3,3,3], pad 1, plus bias. */
static double conv_at(const float *x, const float *w, const float *bias, int m, int i, int j)
{
	double sum = bias ? (double)bias[m] : 0;

	for (int c = 0; c < CHANNELS; c++)
		for (int a = 0; a < 3; a++)
			for (int b = 0; b < 3; b++) {
				int row = i + a - 1;
				int column = j + b - 1;
				if (row < 0 || column < 0 || row >= SIZE || column >= SIZE)
					continue;
				sum += (double)x[(c * SIZE + row) * SIZE + column] *
				       (double)w[((m * CHANNELS + c) * 3 + a) * 3 + b];
			}
	return sum;
}

static void conv_model(struct model *m, const char *inputs, const char *outputs)
{
	struct pb attrs = {0};

	attr_is(&attrs, "pads", 4, 1, 1, 1, 1);
	model_node(m, "Conv", inputs, outputs, &attrs);
}

START_TEST(convolution_batch_norm_and_relu_are_one_instruction)
{
	struct pb attrs = {0};
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, CHANNELS, SIZE, SIZE));
	model_init_noise(&m, "w", 1, DIMS(MAPS, CHANNELS, 3, 3));
	model_init_noise(&m, "b", 2, DIMS(MAPS));
	model_init_noise(&m, "scale", 3, DIMS(MAPS));
	model_init_noise(&m, "shift", 4, DIMS(MAPS));
	model_init_noise(&m, "mean", 5, DIMS(MAPS));
	static const float variance[MAPS] = {0.5f, 1.5f, 2.0f, 0.25f};
	model_init_raw(&m, "var", T_FLOAT, DIMS(MAPS), variance, sizeof(variance));
	conv_model(&m, "x w b", "c");
	attr_f(&attrs, "epsilon", 0.01f);
	model_node(&m, "BatchNormalization", "c scale shift mean var", "n", &attrs);
	model_node(&m, "Relu", "n", "y", NULL);
	model_out(&m, "y");
	compile(&m);
	ck_assert_uint_eq(result.stats.instructions, 1);
	ck_assert_uint_eq(count_lines("conv act=1"), 1);
	run();
	float *x = model_noise_array(100, CHANNELS * SIZE * SIZE);
	float *w = model_noise_array(1, MAPS * CHANNELS * 9);
	float *bias = model_noise_array(2, MAPS);
	for (int k = 0; k < MAPS * SIZE * SIZE; k++) {
		int map = k / (SIZE * SIZE);
		double c = conv_at(x, w, bias, map, k / SIZE % SIZE, k % SIZE);
		double factor = (double)model_noise(3, (size_t)map) / sqrt((double)variance[map] + 0.01);
		double want = (c - (double)model_noise(5, (size_t)map)) * factor + (double)model_noise(4, (size_t)map);
		want = want > 0 ? want : 0;
		ck_assert_double_eq_tol((double)output(0, (size_t)k), want, 1e-4);
	}
	free(x);
	free(w);
	free(bias);
	finish();
}
END_TEST

START_TEST(a_residual_sum_and_its_relu_join_the_convolution)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, MAPS, SIZE, SIZE));
	model_init_noise(&m, "w", 1, DIMS(MAPS, MAPS, 3, 3));
	model_node(&m, "Relu", "x", "r", NULL);
	conv_model(&m, "r w", "c1");
	model_node(&m, "Add", "r c1", "s", NULL);
	model_node(&m, "Relu", "s", "t", NULL);
	conv_model(&m, "t w", "c2");
	model_node(&m, "Add", "c2 t", "s2", NULL);
	model_node(&m, "Relu", "s2", "y", NULL);
	model_out(&m, "y");
	compile(&m);
	ck_assert_uint_eq(result.stats.instructions, 3);
	ck_assert_uint_eq(count_lines("conv act=1"), 2);
	ck_assert_uint_eq(count_lines("binary"), 0);
	npucc_result_free(&result);
}
END_TEST

START_TEST(a_result_with_a_second_reader_is_kept)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, CHANNELS, SIZE, SIZE));
	model_init_noise(&m, "w", 1, DIMS(MAPS, CHANNELS, 3, 3));
	conv_model(&m, "x w", "c");
	model_node(&m, "Relu", "c", "y", NULL);
	model_node(&m, "Sigmoid", "c", "z", NULL);
	model_out(&m, "y");
	model_out(&m, "z");
	compile(&m);
	ck_assert_uint_eq(result.stats.instructions, 3);
	run();
	for (size_t k = 0; k < MAPS * SIZE * SIZE; k++) {
		double c = -log(1 / (double)output(1, k) - 1);
		ck_assert_double_eq_tol((double)output(0, k), c > 0 ? c : 0, 1e-3);
	}
	finish();
}
END_TEST

START_TEST(a_graph_output_is_still_written_when_it_feeds_a_fusion)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, CHANNELS, SIZE, SIZE));
	model_init_noise(&m, "w", 1, DIMS(MAPS, CHANNELS, 3, 3));
	conv_model(&m, "x w", "c");
	model_node(&m, "Relu", "c", "y", NULL);
	model_out(&m, "c");
	model_out(&m, "y");
	compile(&m);
	run();
	for (size_t k = 0; k < MAPS * SIZE * SIZE; k++)
		ck_assert_float_eq(output(1, k), output(0, k) > 0 ? output(0, k) : 0);
	finish();
}
END_TEST

START_TEST(transposes_at_the_borders_are_free)
{
	struct pb attrs = {0};
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, SIZE, SIZE, CHANNELS));
	model_init_noise(&m, "w", 1, DIMS(MAPS, CHANNELS, 3, 3));
	attr_is(&attrs, "perm", 4, 0, 3, 1, 2);
	model_node(&m, "Transpose", "x", "t", &attrs);
	conv_model(&m, "t w", "c");
	attr_is(&attrs, "perm", 4, 0, 2, 3, 1);
	model_node(&m, "Transpose", "c", "u", &attrs);
	model_init_ints(&m, "s", DIMS(1, -1, 2));
	model_node(&m, "Reshape", "u s", "y", NULL);
	model_out(&m, "y");
	compile(&m);
	ck_assert_uint_eq(result.stats.instructions, 1);
	ck_assert_uint_eq(result.stats.planned_bytes, 0);
	run();
	float *nhwc = model_noise_array(100, CHANNELS * SIZE * SIZE);
	float *x = model_noise_array(100, CHANNELS * SIZE * SIZE);
	float *w = model_noise_array(1, MAPS * CHANNELS * 9);
	for (int k = 0; k < CHANNELS * SIZE * SIZE; k++)
		x[(k % CHANNELS) * SIZE * SIZE + k / CHANNELS] = nhwc[k];
	for (int k = 0; k < MAPS * SIZE * SIZE; k++)
		ck_assert_double_eq_tol((double)output(0, (size_t)k),
					conv_at(x, w, NULL, k % MAPS, k / MAPS / SIZE, k / MAPS % SIZE), 1e-4);
	free(nhwc);
	free(x);
	free(w);
	finish();
}
END_TEST

START_TEST(parts_of_a_concatenation_are_computed_in_place)
{
	struct pb attrs = {0};
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(2, 3));
	model_node(&m, "Exp", "x", "a", NULL);
	model_node(&m, "Neg", "x", "b", NULL);
	attr_i(&attrs, "axis", 1);
	model_node(&m, "Concat", "a b a", "y", &attrs);
	model_out(&m, "y");
	compile(&m);
	ck_assert_uint_eq(count_lines(" unary"), 2);
	ck_assert_uint_eq(count_lines(" copy"), 1); /* the second use of a */
	run();
	for (size_t k = 0; k < 18; k++) {
		size_t column = k % 9;
		float x = model_noise(100, k / 9 * 3 + column % 3);
		float want = column / 3 == 1 ? -x : expf(x);
		ck_assert_float_eq_tol(output(0, k), want, 1e-5f);
	}
	finish();
}
END_TEST

START_TEST(constant_channels_of_a_concatenation_are_filled)
{
	struct pb attrs = {0};
	struct model m;
	float zeros[1 * 2 * SIZE * SIZE] = {0};

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, CHANNELS, SIZE, SIZE));
	model_init_raw(&m, "z", T_FLOAT, DIMS(1, 2, SIZE, SIZE), zeros, sizeof(zeros));
	attr_is(&attrs, "kernel_shape", 2, 1, 1);
	model_node(&m, "MaxPool", "x", "p", &attrs);
	attr_i(&attrs, "axis", 1);
	model_node(&m, "Concat", "p z", "y", &attrs);
	model_out(&m, "y");
	compile(&m);
	ck_assert_uint_eq(count_lines(" pool"), 1);
	ck_assert_uint_eq(result.stats.instructions, 2);
	run();
	for (size_t k = 0; k < 5 * SIZE * SIZE; k++)
		ck_assert_float_eq(output(0, k), k < CHANNELS * SIZE * SIZE ? model_noise(100, k) : 0);
	finish();
}
END_TEST

START_TEST(a_written_out_hard_swish_joins_the_convolution)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, CHANNELS, SIZE, SIZE));
	model_init_noise(&m, "w", 1, DIMS(MAPS, CHANNELS, 3, 3));
	model_init_scalar(&m, "three", 3);
	model_init_scalar(&m, "six", 6);
	model_init_scalar(&m, "zero", 0);
	conv_model(&m, "x w", "c");
	model_node(&m, "Add", "c three", "a", NULL);
	model_node(&m, "Clip", "a zero six", "k", NULL);
	model_node(&m, "Mul", "c k", "p", NULL);
	model_node(&m, "Div", "p six", "y", NULL);
	model_out(&m, "y");
	compile(&m);
	ck_assert_uint_eq(result.stats.instructions, 1);
	run();
	float *x = model_noise_array(100, CHANNELS * SIZE * SIZE);
	float *w = model_noise_array(1, MAPS * CHANNELS * 9);
	for (int k = 0; k < MAPS * SIZE * SIZE; k++) {
		double c = conv_at(x, w, NULL, k / (SIZE * SIZE), k / SIZE % SIZE, k % SIZE);
		double inner = c + 3 < 0 ? 0 : c + 3 > 6 ? 6 : c + 3;
		ck_assert_double_eq_tol((double)output(0, (size_t)k), c * inner / 6, 1e-4);
	}
	free(x);
	free(w);
	finish();
}
END_TEST

START_TEST(a_product_takes_bias_and_activation)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(2, 5, 3));
	model_init_noise(&m, "w", 1, DIMS(3, 4));
	model_init_noise(&m, "b", 2, DIMS(4));
	model_node(&m, "MatMul", "x w", "p", NULL);
	model_node(&m, "Add", "p b", "s", NULL);
	model_node(&m, "Relu", "s", "y", NULL);
	model_out(&m, "y");
	compile(&m);
	ck_assert_uint_eq(result.stats.instructions, 1);
	ck_assert_uint_eq(count_lines("matmul act=1"), 1);
	run();
	for (size_t k = 0; k < 40; k++) {
		double sum = (double)model_noise(2, k % 4);
		for (size_t i = 0; i < 3; i++)
			sum += (double)model_noise(100, k / 4 * 3 + i) * (double)model_noise(1, i * 4 + k % 4);
		ck_assert_double_eq_tol((double)output(0, k), sum > 0 ? sum : 0, 1e-4);
	}
	finish();
}
END_TEST

START_TEST(subtracting_the_product_from_a_constant_is_not_mistaken)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, CHANNELS, SIZE, SIZE));
	model_init_noise(&m, "w", 1, DIMS(MAPS, CHANNELS, 3, 3));
	model_init_noise(&m, "k", 2, DIMS(MAPS, 1, 1));
	conv_model(&m, "x w", "c");
	model_node(&m, "Sub", "k c", "y", NULL);
	model_out(&m, "y");
	compile(&m);
	run();
	float *x = model_noise_array(100, CHANNELS * SIZE * SIZE);
	float *w = model_noise_array(1, MAPS * CHANNELS * 9);
	for (int k = 0; k < MAPS * SIZE * SIZE; k++) {
		int map = k / (SIZE * SIZE);
		double want = (double)model_noise(2, (size_t)map) - conv_at(x, w, NULL, map, k / SIZE % SIZE, k % SIZE);
		ck_assert_double_eq_tol((double)output(0, (size_t)k), want, 1e-4);
	}
	free(x);
	free(w);
	finish();
}
END_TEST

START_TEST(equal_constants_are_stored_once)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, 1000));
	model_init_noise(&m, "a", 1, DIMS(1000));
	model_init_noise(&m, "b", 1, DIMS(1000));
	model_node(&m, "Add", "x a", "s", NULL);
	model_node(&m, "Mul", "s b", "y", NULL);
	model_out(&m, "y");
	compile(&m);
	ck_assert_uint_eq(result.stats.weight_bytes, 4000);
	npucc_result_free(&result);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fuse");
	TCase *tcase = tcase_create("fuse");

	tcase_add_test(tcase, convolution_batch_norm_and_relu_are_one_instruction);
	tcase_add_test(tcase, a_residual_sum_and_its_relu_join_the_convolution);
	tcase_add_test(tcase, a_result_with_a_second_reader_is_kept);
	tcase_add_test(tcase, a_graph_output_is_still_written_when_it_feeds_a_fusion);
	tcase_add_test(tcase, transposes_at_the_borders_are_free);
	tcase_add_test(tcase, parts_of_a_concatenation_are_computed_in_place);
	tcase_add_test(tcase, constant_channels_of_a_concatenation_are_filled);
	tcase_add_test(tcase, a_written_out_hard_swish_joins_the_convolution);
	tcase_add_test(tcase, a_product_takes_bias_and_activation);
	tcase_add_test(tcase, subtracting_the_product_from_a_constant_is_not_mistaken);
	tcase_add_test(tcase, equal_constants_are_stored_once);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
