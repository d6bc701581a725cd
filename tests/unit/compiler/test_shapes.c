/* SPDX-License-Identifier: Apache-2.0 */
/* Shape inference: the shape that the finished executable states for its output. */
#include "emulator/compiler/npucc.h"
#include "tests/unit/compiler/device.h"
#include "tests/unit/compiler/model.h"
#include "tests/unit/suite.h"

/* Compiles, compares the only output's shape and type with the graphjson entry, frees the model. */
static void expect_type(struct model *m, const struct npucc_options *options, const char *shape, const char *type)
{
	struct npucc_result result;
	static struct device device;
	char text[4096];
	char wanted[256];

	model_end(m);
	enum npucc_status status = npucc_compile(m->file.data, m->file.used, options, &result);
	ck_assert_msg(status == NPUCC_OK, "%s", result.error);
	ck_assert_msg(device_load(&device, result.elf, result.elf_bytes) == 0, "%s", device.error);
	(void)snprintf(text, sizeof(text), "%.*s", (int)device.json.bytes, (const char *)device.json.data);
	(void)snprintf(wanted, sizeof(wanted), "\"outputs\":[{\"name\":\"y\",\"shape\":[%s],\"type\":\"%s\"}]", shape,
		       type);
	ck_assert_msg(strstr(text, wanted) != NULL, "wanted %s in %s", wanted, text);
	device_free(&device);
	npucc_result_free(&result);
	model_free(m);
}

static void expect(struct model *m, const char *shape)
{
	model_out(m, "y");
	expect_type(m, NULL, shape, "f32");
}

/* One operator on x [1,3,8,8] and, if its rank is not negative, constant weights w. */
static void one(const char *op, int rank, const int *dims, struct pb *attrs, const char *shape)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, 3, 8, 8));
	if (rank >= 0)
		model_init_noise(&m, "w", 1, rank, dims);
	model_node(&m, op, rank >= 0 ? "x w" : "x", "y", attrs);
	expect(&m, shape);
}

START_TEST(convolutions_slide_stride_dilate_and_pad)
{
	struct pb a = {0};

	one("Conv", DIMS(4, 3, 3, 3), NULL, "1,4,6,6");
	attr_is(&a, "strides", 2, 2, 3);
	one("Conv", DIMS(4, 3, 3, 3), &a, "1,4,3,2");
	attr_is(&a, "dilations", 2, 2, 3);
	one("Conv", DIMS(4, 3, 3, 3), &a, "1,4,4,2");
	attr_is(&a, "pads", 4, 1, 0, 2, 3);
	one("Conv", DIMS(4, 3, 3, 3), &a, "1,4,9,9");
	attr_s(&a, "auto_pad", "SAME_UPPER");
	attr_is(&a, "strides", 2, 3, 3);
	one("Conv", DIMS(4, 3, 2, 5), &a, "1,4,3,3");
	attr_s(&a, "auto_pad", "VALID");
	one("Conv", DIMS(4, 3, 2, 5), &a, "1,4,7,4");
	attr_i(&a, "group", 3);
	one("Conv", DIMS(6, 1, 3, 3), &a, "1,6,6,6");
}
END_TEST

START_TEST(transposed_convolutions_grow)
{
	struct pb a = {0};

	one("ConvTranspose", DIMS(3, 5, 3, 3), NULL, "1,5,10,10");
	attr_is(&a, "strides", 2, 2, 2);
	attr_is(&a, "pads", 4, 1, 1, 1, 1);
	attr_is(&a, "output_padding", 2, 1, 1);
	one("ConvTranspose", DIMS(3, 5, 3, 3), &a, "1,5,16,16");
	attr_is(&a, "strides", 2, 2, 2);
	attr_is(&a, "output_shape", 2, 17, 16);
	one("ConvTranspose", DIMS(3, 5, 3, 3), &a, "1,5,17,16");
}
END_TEST

START_TEST(pools_round_down_or_up)
{
	struct pb a = {0};

	attr_is(&a, "kernel_shape", 2, 3, 3);
	attr_is(&a, "strides", 2, 2, 2);
	one("MaxPool", -1, NULL, &a, "1,3,3,3");
	attr_is(&a, "kernel_shape", 2, 3, 3);
	attr_is(&a, "strides", 2, 2, 2);
	attr_i(&a, "ceil_mode", 1);
	one("AveragePool", -1, NULL, &a, "1,3,4,4");
	one("GlobalAveragePool", -1, NULL, NULL, "1,3,1,1");
}
END_TEST

START_TEST(rearrangements_follow_their_attributes)
{
	struct pb a = {0};

	attr_is(&a, "perm", 4, 0, 2, 3, 1);
	one("Transpose", -1, NULL, &a, "1,8,8,3");
	one("Transpose", -1, NULL, NULL, "8,8,3,1");
	attr_i(&a, "axis", 2);
	one("Flatten", -1, NULL, &a, "3,64");
	attr_i(&a, "axis", 0);
	one("Flatten", -1, NULL, &a, "1,192");
	attr_i(&a, "blocksize", 2);
	one("SpaceToDepth", -1, NULL, &a, "1,12,4,4");
	attr_is(&a, "axes", 2, 1, -1);
	one("ReduceMean", -1, NULL, &a, "1,1,8,1");
	attr_is(&a, "axes", 2, 1, -1);
	attr_i(&a, "keepdims", 0);
	one("ReduceMax", -1, NULL, &a, "1,8");
	one("Add", DIMS(2, 1, 1, 8), NULL, "2,3,8,8");
	one("MatMul", DIMS(8, 5), NULL, "1,3,8,5");
}
END_TEST

/* One operator whose second input is a list of integers. */
static void listed(const char *op, int count, const int *values, const char *shape)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, 3, 8, 8));
	model_init_ints(&m, "s", count, values);
	model_node(&m, op, "x s", "y", NULL);
	expect(&m, shape);
}

START_TEST(lists_of_integers_shape_the_result)
{
	listed("Reshape", DIMS(0, -1, 4), "1,48,4");
	listed("Reshape", DIMS(-1), "192");
	listed("Squeeze", DIMS(0), "3,8,8");
	listed("Unsqueeze", DIMS(0, -1), "1,1,3,8,8,1");
	listed("Expand", DIMS(2, 1, 8, 8), "2,3,8,8");
	listed("Tile", DIMS(1, 2, 3, 1), "1,6,24,8");
	listed("Pad", DIMS(0, 0, 1, 2, 0, 0, 3, -4), "1,3,12,6");
	listed("ReduceSum", DIMS(2), "1,3,1,8");
}
END_TEST

START_TEST(slices_clamp_and_walk_backwards)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, 3, 8, 8));
	model_init_ints(&m, "starts", DIMS(-1, 2, 1));
	model_init_ints(&m, "ends", DIMS(-100, 1000, -1));
	model_init_ints(&m, "axes", DIMS(1, 2, 3));
	model_init_ints(&m, "steps", DIMS(-2, 4, 3));
	model_node(&m, "Slice", "x starts ends axes steps", "y", NULL);
	expect(&m, "1,2,2,2");
}
END_TEST

/* The way exporters write "flatten everything but the batch". */
START_TEST(shape_arithmetic_is_folded)
{
	struct pb a = {0};
	struct npucc_shape shape = {.name = "x", .rank = 4, .dims = {5, 3, 4, 4}};
	struct npucc_options options = {.shapes = &shape, .shape_count = 1};
	struct model m;
	int zero = 0;
	int64_t wide_zero = 0;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(-1, 3, -1, -1));
	model_init_raw(&m, "zero", T_INT64, 0, NULL, &wide_zero, sizeof(wide_zero));
	model_init_ints(&m, "axis", 1, &zero);
	model_init_ints(&m, "rest", DIMS(-1));
	model_node(&m, "Shape", "x", "s", NULL);
	model_node(&m, "Gather", "s zero", "n", NULL);
	model_node(&m, "Unsqueeze", "n axis", "n1", NULL);
	attr_i(&a, "axis", 0);
	model_node(&m, "Concat", "n1 rest", "shape", &a);
	model_node(&m, "Relu", "x", "r", NULL);
	model_node(&m, "Reshape", "r shape", "y", NULL);
	model_out(&m, "y");
	expect_type(&m, &options, "5,48", "f32");
}
END_TEST

START_TEST(resizing_multiplies_by_scales_or_takes_sizes)
{
	static const float scales[4] = {1, 1, 0.5f, 2.3f};
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, 3, 8, 8));
	model_init_raw(&m, "scales", T_FLOAT, DIMS(4), scales, sizeof(scales));
	model_node(&m, "Resize", "x - scales", "y", NULL);
	expect(&m, "1,3,4,18");
	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, 3, 8, 8));
	model_init_ints(&m, "sizes", DIMS(1, 3, 5, 11));
	model_node(&m, "Resize", "x - - sizes", "y", NULL);
	expect(&m, "1,3,5,11");
}
END_TEST

START_TEST(a_declared_shape_decides_what_only_the_run_will_tell)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, 3, 8, 8));
	model_in(&m, "s", T_INT64, DIMS(2));
	model_node(&m, "Reshape", "x s", "y", NULL);
	model_port(&m, 12, "y", T_FLOAT, DIMS(24, 8));
	expect_type(&m, NULL, "24,8", "f32");
}
END_TEST

START_TEST(types_follow_the_operator)
{
	struct pb a = {0};
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(2, 5));
	model_node(&m, "ArgMax", "x", "y", NULL);
	model_out(&m, "y");
	expect_type(&m, NULL, "1,5", "s64");
	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(2, 5));
	model_node(&m, "Less", "x x", "y", NULL);
	model_out(&m, "y");
	expect_type(&m, NULL, "2,5", "bool");
	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(2, 5));
	attr_i(&a, "to", T_INT32);
	model_node(&m, "Cast", "x", "y", &a);
	model_out(&m, "y");
	expect_type(&m, NULL, "2,5", "s32");
}
END_TEST

START_TEST(an_initializer_listed_as_input_is_a_constant)
{
	struct model m;
	struct npucc_result result;
	static struct device device;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(4));
	model_in(&m, "w", T_FLOAT, DIMS(4));
	model_init_noise(&m, "w", 3, DIMS(4));
	model_node(&m, "Add", "x w", "y", NULL);
	model_out(&m, "y");
	model_end(&m);
	ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, NULL, &result), NPUCC_OK);
	ck_assert_int_eq(device_load(&device, result.elf, result.elf_bytes), 0);
	ck_assert_uint_eq(device.input_count, 1);
	ck_assert_uint_eq(device.output_count, 1);
	device_free(&device);
	npucc_result_free(&result);
	model_free(&m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shapes");
	TCase *tcase = tcase_create("shapes");

	tcase_add_test(tcase, convolutions_slide_stride_dilate_and_pad);
	tcase_add_test(tcase, transposed_convolutions_grow);
	tcase_add_test(tcase, pools_round_down_or_up);
	tcase_add_test(tcase, rearrangements_follow_their_attributes);
	tcase_add_test(tcase, lists_of_integers_shape_the_result);
	tcase_add_test(tcase, slices_clamp_and_walk_backwards);
	tcase_add_test(tcase, shape_arithmetic_is_folded);
	tcase_add_test(tcase, resizing_multiplies_by_scales_or_takes_sizes);
	tcase_add_test(tcase, a_declared_shape_decides_what_only_the_run_will_tell);
	tcase_add_test(tcase, types_follow_the_operator);
	tcase_add_test(tcase, an_initializer_listed_as_input_is_a_constant);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
