/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ONNX test data without daemon or device model: compiled, taken apart, run by the operators in both task orders,
 * compared. The end-to-end run of the same cases is tests/conformance.
 */
#include "emulator/compiler/npucc.h"
#include "tests/conformance/cases.h"
#include "tests/unit/compiler/device.h"
#include "tests/unit/suite.h"

#define LEAST_PASSED 940u

static char why[512];

static bool run_data(struct device *d, const char *folder)
{
	char path[600];

	for (uint32_t i = 0; i < d->input_count; i++) {
		struct case_tensor t;
		(void)snprintf(path, sizeof(path), "%s/test_data_set_0/input_%u.pb", folder, i);
		if (case_tensor_load(path, &t)) {
			(void)snprintf(why, sizeof(why), "input %u", i);
			return false;
		}
		case_fill(&t, d->inputs[i].data, d->inputs[i].bytes);
		case_tensor_free(&t);
	}
	return true;
}

static bool check_data(struct device *d, const char *folder)
{
	bool good = true;

	for (uint32_t i = 0; i < d->output_count && good; i++) {
		char path[600];
		struct case_tensor want;
		double worst = 0;
		(void)snprintf(path, sizeof(path), "%s/test_data_set_0/output_%u.pb", folder, i);
		good = case_tensor_load(path, &want) == 0 &&
		       case_fits(&want, d->outputs[i].dtype, d->outputs[i].bytes) &&
		       (want.bytes == 0 || case_compare(&want, d->outputs[i].data, &worst));
		if (!good)
			(void)snprintf(why, sizeof(why), "output %u: max error %g", i, worst);
		case_tensor_free(&want);
	}
	return good;
}

static enum case_outcome run_once(const struct npucc_result *result, const char *folder, bool backwards,
				  struct op_cache *cache)
{
	static struct device d;
	enum case_outcome outcome = CASE_FAILED;

	if (device_load(&d, result->elf, result->elf_bytes)) {
		(void)snprintf(why, sizeof(why), "load: %s", d.error);
	} else if (device_count_tensors(&d) == 0) {
		outcome = CASE_SKIPPED;
	} else if (run_data(&d, folder)) {
		d.cache = cache;
		op_cache_clear(cache);
		if (device_run(&d, backwards))
			(void)snprintf(why, sizeof(why), "run: %s", d.error);
		else if (check_data(&d, folder))
			outcome = CASE_PASSED;
	}
	device_free(&d);
	return outcome;
}

static enum case_outcome run_case(const char *model, struct op_cache *cache)
{
	struct npucc_result result;
	size_t bytes = 0;
	char folder[512];
	uint8_t *data = case_read_file(model, &bytes);
	enum case_outcome outcome = CASE_FAILED;

	ck_assert_ptr_nonnull(data);
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(model, '/') - model), model);
	enum npucc_status status = npucc_compile(data, bytes, NULL, &result);
	Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, bytes, data);
	free(data);
	(void)snprintf(why, sizeof(why), "%s", result.error);
	if (status == NPUCC_UNSUPPORTED) {
		outcome = proto && case_is_mandatory(proto) ? CASE_FAILED : CASE_UNSUPPORTED;
	} else if (status == NPUCC_OK) {
		outcome = run_once(&result, folder, false, cache);
		if (outcome == CASE_PASSED)
			outcome = run_once(&result, folder, true, cache);
	}
	if (proto)
		onnx__model_proto__free_unpacked(proto, NULL);
	npucc_result_free(&result);
	return outcome;
}

START_TEST(every_onnx_case_passes_or_is_refused)
{
	unsigned count[CASE_OUTCOMES] = {0};
	struct op_cache *cache = op_cache_new(8u << 20);
	glob_t models;

	ck_assert_msg(glob(CASES_FOLDER "/*/*/model.onnx", 0, NULL, &models) == 0, "libonnx-testdata is not installed");
	for (size_t i = 0; i < models.gl_pathc; i++) {
		enum case_outcome outcome = run_case(models.gl_pathv[i], cache);
		if (outcome == CASE_FAILED)
			printf("FAILED %s: %s\n", models.gl_pathv[i], why);
		count[outcome]++;
	}
	globfree(&models);
	op_cache_free(cache);
	printf("%u cases passed, %u failed, %u have nothing to run, %u unsupported\n", count[CASE_PASSED],
	       count[CASE_FAILED], count[CASE_SKIPPED], count[CASE_UNSUPPORTED]);
	ck_assert_uint_eq(count[CASE_FAILED], 0);
	ck_assert_uint_ge(count[CASE_PASSED], LEAST_PASSED);
}
END_TEST

static uint64_t state = 88172645463325252ull;

static uint32_t draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16) % below;
}

static void damage(uint8_t *data, size_t bytes)
{
	static const uint8_t tempting[] = {0, 1, 2, 8, 0x7f, 0x80, 0xff};

	for (uint32_t n = 1 + draw(2); n > 0; n--) {
		uint32_t at = draw((uint32_t)bytes);
		switch (draw(3)) {
		case 0:
			data[at] = (uint8_t)draw(256);
			break;
		case 1:
			data[at] ^= (uint8_t)(1u << draw(8));
			break;
		default:
			data[at] = tempting[draw(sizeof(tempting))];
			break;
		}
	}
}

/* What still compiles must still be a well-formed executable. */
START_TEST(damaged_models_are_refused_or_give_a_sound_executable)
{
	unsigned compiled = 0;
	glob_t models;

	ck_assert_int_eq(glob(CASES_FOLDER "/*/*/model.onnx", 0, NULL, &models), 0);
	for (size_t i = 0; i < models.gl_pathc; i++) {
		static struct device d;
		struct npucc_result result;
		size_t bytes = 0;
		uint8_t *data = case_read_file(models.gl_pathv[i], &bytes);
		ck_assert(data && bytes);
		damage(data, bytes);
		enum npucc_status status = npucc_compile(data, bytes, NULL, &result);
		free(data);
		ck_assert_ptr_null(strstr(result.error, "internal"));
		if (status == NPUCC_OK) {
			compiled++;
			ck_assert_msg(device_load(&d, result.elf, result.elf_bytes) == 0, "%s: %s", models.gl_pathv[i],
				      d.error);
			device_free(&d);
		} else {
			ck_assert(result.error[0]);
		}
		npucc_result_free(&result);
	}
	globfree(&models);
	ck_assert_uint_gt(compiled, 100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("models");
	TCase *tcase = tcase_create("models");

	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, every_onnx_case_passes_or_is_refused);
	tcase_add_test(tcase, damaged_models_are_refused_or_give_a_sound_executable);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
