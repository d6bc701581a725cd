/* SPDX-License-Identifier: Apache-2.0 */
/* What npucc refuses, with which status and which words. Every message is one line and names the place. */
#include "emulator/compiler/npucc.h"
#include "tests/unit/compiler/model.h"
#include "tests/unit/suite.h"

#include <ctype.h>

/* Compiles, expects the status and each of the words, separated by '|'. Frees the model. */
static void expect(struct model *m, const struct npucc_options *options, enum npucc_status status, const char *words)
{
	struct npucc_result result;

	model_end(m);
	ck_assert_int_eq(npucc_compile(m->file.data, m->file.used, options, &result), status);
	ck_assert_ptr_null(result.elf);
	for (const char *c = result.error; *c; c++)
		ck_assert_msg(isprint((unsigned char)*c), "not one printable line: %s", result.error);
	while (*words) {
		const char *end = strchrnul(words, '|');
		char word[128];
		(void)snprintf(word, sizeof(word), "%.*s", (int)(end - words), words);
		ck_assert_msg(strstr(result.error, word) != NULL, "\"%s\" is not in \"%s\"", word, result.error);
		words = *end ? end + 1 : end;
	}
	npucc_result_free(&result);
	model_free(m);
}

static void begin(struct model *m)
{
	model_begin(m, 13);
	model_in(m, "x", T_FLOAT, DIMS(1, 3, 8, 8));
}

START_TEST(an_empty_file_is_bad)
{
	struct npucc_result result;

	ck_assert_int_eq(npucc_compile("", 0, NULL, &result), NPUCC_BAD_MODEL);
	ck_assert_str_eq(result.error, "the file is empty");
}
END_TEST

START_TEST(noise_is_bad)
{
	uint8_t noise[512];
	struct npucc_result result;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i * 167 + 13);
	ck_assert_int_eq(npucc_compile(noise, sizeof(noise), NULL, &result), NPUCC_BAD_MODEL);
	ck_assert(strstr(result.error, "not an ONNX model"));
}
END_TEST

START_TEST(every_truncation_is_bad_or_unsupported)
{
	struct model m;
	struct npucc_result result;

	begin(&m);
	model_init_noise(&m, "w", 1, DIMS(4, 3, 3, 3));
	model_node(&m, "Conv", "x w", "y", NULL);
	model_out(&m, "y");
	model_end(&m);
	for (size_t n = 0; n < m.file.used; n++) {
		/* The operator set stands at the end: without it only the shape of the file changes. */
		enum npucc_status status = npucc_compile(m.file.data, n, NULL, &result);
		ck_assert(status == NPUCC_BAD_MODEL || status == NPUCC_UNSUPPORTED || n > m.file.used - 8);
		npucc_result_free(&result);
	}
	model_free(&m);
}
END_TEST

START_TEST(deep_nesting_is_bad)
{
	struct pb inner = {0};
	struct npucc_result result;

	/* graph in attribute in node in graph ... */
	pb_text(&inner, 2, "g");
	for (int depth = 0; depth < 4000; depth++) {
		struct pb attribute = {0};
		struct pb node = {0};
		struct pb graph = {0};
		pb_message(&attribute, 6, &inner);
		pb_message(&node, 5, &attribute);
		pb_message(&graph, 1, &node);
		inner = graph;
	}
	struct pb file = {0};
	pb_message(&file, 7, &inner);
	ck_assert_int_eq(npucc_compile(file.data, file.used, NULL, &result), NPUCC_BAD_MODEL);
	ck_assert(strstr(result.error, "nested"));
	pb_free(&file);
}
END_TEST

START_TEST(a_model_without_outputs_is_bad)
{
	struct model m;

	begin(&m);
	expect(&m, NULL, NPUCC_BAD_MODEL, "no outputs");
}
END_TEST

START_TEST(an_undefined_value_is_named)
{
	struct model m;

	begin(&m);
	model_node(&m, "Add", "x ghost", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_BAD_MODEL, "node 0 \"y\" (Add)|\"ghost\"|nothing before defines it");
}
END_TEST

START_TEST(a_value_used_before_its_definition_is_bad)
{
	struct model m;

	begin(&m);
	model_node(&m, "Relu", "later", "y", NULL);
	model_node(&m, "Relu", "x", "later", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_BAD_MODEL, "\"later\"|nothing before defines it");
}
END_TEST

START_TEST(a_cycle_is_bad)
{
	struct model m;

	begin(&m);
	model_node(&m, "Add", "x b", "a", NULL);
	model_node(&m, "Relu", "a", "b", NULL);
	model_out(&m, "b");
	expect(&m, NULL, NPUCC_BAD_MODEL, "nothing before defines it");
}
END_TEST

START_TEST(a_value_defined_twice_is_bad)
{
	struct model m;

	begin(&m);
	model_node(&m, "Relu", "x", "y", NULL);
	model_node(&m, "Tanh", "x", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_BAD_MODEL, "\"y\" is defined twice");
}
END_TEST

START_TEST(an_unknown_operator_is_unsupported)
{
	struct model m;

	begin(&m);
	model_node(&m, "Frobnicate", "x", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_UNSUPPORTED, "node 0 \"y\" (Frobnicate): unsupported: operator");
}
END_TEST

START_TEST(an_unknown_operator_that_nothing_needs_does_not_matter)
{
	struct model m;
	struct npucc_result result;

	begin(&m);
	model_node(&m, "Frobnicate", "x", "z", NULL);
	model_node(&m, "Relu", "x", "y", NULL);
	model_out(&m, "y");
	model_end(&m);
	ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, NULL, &result), NPUCC_OK);
	npucc_result_free(&result);
	model_free(&m);
}
END_TEST

START_TEST(an_unknown_attribute_is_unsupported)
{
	struct pb attrs = {0};
	struct model m;

	begin(&m);
	attr_i(&attrs, "sideways", 1);
	model_node(&m, "Relu", "x", "y", &attrs);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_UNSUPPORTED, "(Relu)|attribute \"sideways\"");
}
END_TEST

START_TEST(an_attribute_of_the_wrong_type_is_bad)
{
	struct pb attrs = {0};
	struct model m;

	begin(&m);
	attr_s(&attrs, "axis", "one");
	model_node(&m, "Softmax", "x", "y", &attrs);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_BAD_MODEL, "(Softmax)|attribute \"axis\" has type");
}
END_TEST

START_TEST(strings_are_unsupported)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_STRING, DIMS(2));
	model_node(&m, "Identity", "x", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_UNSUPPORTED, "input \"x\"|element type 8");
}
END_TEST

START_TEST(a_type_that_an_operator_cannot_do_is_unsupported)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_BOOL, DIMS(1, 3, 8, 8));
	model_in(&m, "w", T_BOOL, DIMS(4, 3, 3, 3));
	model_node(&m, "Conv", "x w", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_UNSUPPORTED, "(Conv)|element type bool");
}
END_TEST

START_TEST(mixed_types_are_bad)
{
	struct model m;

	begin(&m);
	model_in(&m, "k", T_INT32, DIMS(1));
	model_node(&m, "Add", "x k", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_BAD_MODEL, "(Add)|types f32 and s32");
}
END_TEST

START_TEST(a_foreign_domain_is_unsupported)
{
	struct model m;
	struct pb node = {0};

	begin(&m);
	pb_text(&node, 1, "x");
	pb_text(&node, 2, "y");
	pb_text(&node, 4, "Relu");
	pb_text(&node, 7, "com.example");
	pb_message(&m.graph, 1, &node);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_UNSUPPORTED, "domain \"com.example\"");
}
END_TEST

START_TEST(a_newer_operator_set_is_unsupported)
{
	struct model m;

	model_begin(&m, 99);
	model_in(&m, "x", T_FLOAT, DIMS(1));
	model_node(&m, "Relu", "x", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_UNSUPPORTED, "operator set version 99");
}
END_TEST

START_TEST(an_open_dimension_is_unsupported_until_it_is_fixed)
{
	struct npucc_shape shape = {.name = "x", .rank = 2, .dims = {4, 3}};
	struct npucc_options options = {.shapes = &shape, .shape_count = 1};
	struct npucc_result result;
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(-1, 3));
	model_node(&m, "Relu", "x", "y", NULL);
	model_out(&m, "y");
	model_end(&m);
	ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, NULL, &result), NPUCC_UNSUPPORTED);
	ck_assert(strstr(result.error, "input \"x\": dimension 0 is not fixed: give --shape"));
	ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, &options, &result), NPUCC_OK);
	npucc_result_free(&result);
	shape.dims[1] = 5;
	ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, &options, &result), NPUCC_BAD_MODEL);
	ck_assert(strstr(result.error, "dimension 1 is 3"));
	shape.rank = 1;
	ck_assert_int_eq(npucc_compile(m.file.data, m.file.used, &options, &result), NPUCC_BAD_MODEL);
	ck_assert(strstr(result.error, "rank"));
	shape = (struct npucc_shape){.name = "z", .rank = 1, .dims = {1}};
	ck_assert_int_ne(npucc_compile(m.file.data, m.file.used, &options, &result), NPUCC_OK);
	model_free(&m);
}
END_TEST

START_TEST(a_shape_for_no_input_is_bad)
{
	struct npucc_shape shape = {.name = "zz", .rank = 1, .dims = {1}};
	struct npucc_options options = {.shapes = &shape, .shape_count = 1};
	struct model m;

	begin(&m);
	model_node(&m, "Relu", "x", "y", NULL);
	model_out(&m, "y");
	expect(&m, &options, NPUCC_BAD_MODEL, "--shape names \"zz\"");
}
END_TEST

START_TEST(shapes_that_do_not_fit_are_bad)
{
	static const struct {
		const char *op;
		int rank;
		int dims[5];
		const char *words;
	} rows[] = {
	    {"Add", 2, {5, 5}, "do not broadcast"},
	    {"MatMul", 2, {5, 5}, "cannot multiply 1x3x8x8 by 5x5"},
	    {"Conv", 4, {4, 2, 3, 3}, "do not match"},
	    {"Conv", 3, {4, 3, 3}, "weights 4x3x3"},
	    {"Conv", 4, {4, 3, 9, 9}, "a window of 9 does not fit into 8"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct model m;
		begin(&m);
		model_init_noise(&m, "w", 1, rows[i].rank, rows[i].dims);
		model_node(&m, rows[i].op, "x w", "y", NULL);
		model_out(&m, "y");
		expect(&m, NULL, NPUCC_BAD_MODEL, rows[i].words);
	}
}
END_TEST

START_TEST(an_impossible_reshape_is_bad)
{
	struct model m;

	begin(&m);
	model_init_ints(&m, "s", DIMS(7, 7));
	model_node(&m, "Reshape", "x s", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_BAD_MODEL, "cannot reshape 1x3x8x8 to 7x7");
}
END_TEST

START_TEST(a_shape_known_only_at_run_time_is_unsupported)
{
	struct model m;

	begin(&m);
	model_in(&m, "s", T_INT64, DIMS(2));
	model_node(&m, "Reshape", "x s", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_UNSUPPORTED, "(Reshape)|only at run time");
}
END_TEST

START_TEST(an_axis_out_of_range_is_bad)
{
	struct pb attrs = {0};
	struct model m;

	begin(&m);
	attr_i(&attrs, "axis", 4);
	model_node(&m, "Concat", "x x", "y", &attrs);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_BAD_MODEL, "(Concat)|axis 4 of a tensor of rank 4");
}
END_TEST

START_TEST(wrong_input_counts_are_bad)
{
	struct model m;

	begin(&m);
	model_node(&m, "Relu", "x x", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_BAD_MODEL, "has 2 inputs, not 1 to 1");
}
END_TEST

START_TEST(data_that_does_not_fill_its_shape_is_bad)
{
	struct model m;

	begin(&m);
	model_init_raw(&m, "w", T_FLOAT, DIMS(4, 4), "abc", 3);
	model_node(&m, "Add", "x w", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_BAD_MODEL, "tensor \"w\" has 3 bytes of data, its shape needs 64");
}
END_TEST

START_TEST(data_in_another_file_is_unsupported)
{
	struct pb tensor = {0};
	struct model m;

	begin(&m);
	pb_int(&tensor, 1, 4);
	pb_int(&tensor, 2, T_FLOAT);
	pb_text(&tensor, 8, "w");
	pb_int(&tensor, 14, 1);
	pb_message(&m.graph, 5, &tensor);
	model_node(&m, "Add", "x w", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_UNSUPPORTED, "tensor \"w\" keeps its data in another file");
}
END_TEST

START_TEST(monstrous_tensors_are_refused)
{
	struct model m;

	begin(&m);
	model_init_ints(&m, "s", DIMS(100000, 100000, 100000));
	model_node(&m, "ConstantOfShape", "s", "c", NULL);
	model_node(&m, "Add", "c c", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_UNSUPPORTED, "a tensor larger than");
}
END_TEST

START_TEST(nine_axes_are_unsupported)
{
	struct model m;

	model_begin(&m, 13);
	model_in(&m, "x", T_FLOAT, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1));
	model_node(&m, "Relu", "x", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_UNSUPPORTED, "input \"x\" has rank 9: at most 8");
}
END_TEST

START_TEST(control_characters_never_reach_the_terminal)
{
	struct model m;

	begin(&m);
	model_node(&m, "Re\x1b[31mlu\n", "x", "y", NULL);
	model_out(&m, "y");
	expect(&m, NULL, NPUCC_UNSUPPORTED, "Re?[31mlu?");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("errors");
	TCase *tcase = tcase_create("errors");

	tcase_add_test(tcase, an_empty_file_is_bad);
	tcase_add_test(tcase, noise_is_bad);
	tcase_add_test(tcase, every_truncation_is_bad_or_unsupported);
	tcase_add_test(tcase, deep_nesting_is_bad);
	tcase_add_test(tcase, a_model_without_outputs_is_bad);
	tcase_add_test(tcase, an_undefined_value_is_named);
	tcase_add_test(tcase, a_value_used_before_its_definition_is_bad);
	tcase_add_test(tcase, a_cycle_is_bad);
	tcase_add_test(tcase, a_value_defined_twice_is_bad);
	tcase_add_test(tcase, an_unknown_operator_is_unsupported);
	tcase_add_test(tcase, an_unknown_operator_that_nothing_needs_does_not_matter);
	tcase_add_test(tcase, an_unknown_attribute_is_unsupported);
	tcase_add_test(tcase, an_attribute_of_the_wrong_type_is_bad);
	tcase_add_test(tcase, strings_are_unsupported);
	tcase_add_test(tcase, a_type_that_an_operator_cannot_do_is_unsupported);
	tcase_add_test(tcase, mixed_types_are_bad);
	tcase_add_test(tcase, a_foreign_domain_is_unsupported);
	tcase_add_test(tcase, a_newer_operator_set_is_unsupported);
	tcase_add_test(tcase, an_open_dimension_is_unsupported_until_it_is_fixed);
	tcase_add_test(tcase, a_shape_for_no_input_is_bad);
	tcase_add_test(tcase, shapes_that_do_not_fit_are_bad);
	tcase_add_test(tcase, an_impossible_reshape_is_bad);
	tcase_add_test(tcase, a_shape_known_only_at_run_time_is_unsupported);
	tcase_add_test(tcase, an_axis_out_of_range_is_bad);
	tcase_add_test(tcase, wrong_input_counts_are_bad);
	tcase_add_test(tcase, data_that_does_not_fill_its_shape_is_bad);
	tcase_add_test(tcase, data_in_another_file_is_unsupported);
	tcase_add_test(tcase, monstrous_tensors_are_refused);
	tcase_add_test(tcase, nine_axes_are_unsupported);
	tcase_add_test(tcase, control_characters_never_reach_the_terminal);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
