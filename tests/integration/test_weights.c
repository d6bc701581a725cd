/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that keeps packed weights must see every change to them, through the whole stack: bytes that the application
 * writes between two runs, and another buffer that takes the place of one that is gone.
 */
#include <time.h>
#include <unistd.h>

#include "libclient/objects.h"
#include "proto/zhouyi_elf.h"
#include "tests/integration/harness.h"

#define CHANNELS 32u
#define SIDE 16u
#define KERNEL 3u
#define IN_WORDS (CHANNELS * SIDE * SIDE)
#define WEIGHT_WORDS (CHANNELS * CHANNELS * KERNEL * KERNEL)
#define WEIGHTS_AT (64u << 10) /* in the input tensor, behind the activations */
#define TENSOR_BYTES (128u << 10)
#define RECORD PROGRAM_FREE /* in the parameter block */
#define OPERAND(n) (RECORD + sizeof(struct isa_record) + (n) * sizeof(struct isa_operand))
#define RECORD_BYTES (OPERAND(3) + sizeof(struct isa_conv_params) - RECORD)

_Static_assert(IN_WORDS * 4 <= WEIGHTS_AT && WEIGHTS_AT + WEIGHT_WORDS * 4 <= TENSOR_BYTES, "the tensor holds both");
_Static_assert(RECORD + RECORD_BYTES <= PROGRAM_PARAMETER_BYTES, "the parameter block holds the record");

static void dense(struct isa_operand *operand, const uint32_t dims[4])
{
	int32_t stride = 1;

	operand->dtype = ZY_DATA_F32;
	operand->rank = 4;
	for (unsigned i = 4; i-- > 0;) {
		operand->dims[i] = dims[i];
		operand->strides[i] = stride;
		stride *= (int32_t)dims[i];
	}
}

/* A 3x3 convolution, padded to the same size. The program itself writes the operands' addresses into the record. */
static struct program program_conv(void)
{
	static const uint32_t image[] = {1, CHANNELS, SIDE, SIDE}, kernel[] = {CHANNELS, CHANNELS, KERNEL, KERNEL};
	struct program program = {.tensor_bytes = TENSOR_BYTES};
	const struct isa_record record = {
	    .op = ISA_T_CONV, .bytes = RECORD_BYTES, .split = ISA_SPLIT_NONE, .operand_count = 3};
	struct isa_operand operand[3] = {0};
	struct isa_conv_params params = {.spatial = 2, .group = 1};

	dense(&operand[0], image);
	dense(&operand[1], image);
	dense(&operand[2], kernel);
	for (unsigned i = 0; i < ISA_MAX_SPATIAL; i++) {
		params.stride[i] = params.dilation[i] = 1;
		params.pad_begin[i] = params.pad_end[i] = i < 2;
	}
	memcpy(program.parameters + RECORD, &record, sizeof(record));
	memcpy(program.parameters + OPERAND(0), operand, sizeof(operand));
	memcpy(program.parameters + OPERAND(3), &params, sizeof(params));
	program_group(&program, -1);
	program_prologue(&program);
	program_emit(&program, ISA_ST32, 0, R_PP, R_OUT, OPERAND(0), 0, 0);
	program_emit(&program, ISA_ST32, 0, R_PP, R_IN, OPERAND(1), 0, 0);
	program_emit(&program, ISA_ADD, 5, R_IN, 0, WEIGHTS_AT, 0, 0);
	program_emit(&program, ISA_ST32, 0, R_PP, 5, OPERAND(2), 0, 0);
	program_emit(&program, ISA_TENSOR, 0, 0, 0, ISA_T_CONV, RECORD, RECORD_BYTES);
	program_end(&program);
	return program;
}

static float *image_of(struct npu_job *job)
{
	return (float *)(void *)input_of(job);
}

static float *weights_of(struct npu_job *job)
{
	return image_of(job) + WEIGHTS_AT / 4;
}

static float expected(const float *in, const float *weights, uint32_t channel, int y, int x)
{
	double sum = 0;

	for (uint32_t c = 0; c < CHANNELS; c++) {
		for (int k = 0; k < (int)(KERNEL * KERNEL); k++) {
			int sy = y + k / (int)KERNEL - 1, sx = x + k % (int)KERNEL - 1;

			if (sy < 0 || sx < 0 || sy >= (int)SIDE || sx >= (int)SIDE)
				continue;
			sum += (double)in[(c * SIDE + (uint32_t)sy) * SIDE + (uint32_t)sx] *
			       (double)weights[(channel * CHANNELS + c) * KERNEL * KERNEL + (uint32_t)k];
		}
	}
	return (float)sum;
}

static void expect_convolved(struct npu_job *job)
{
	const float *out = (const float *)(const void *)output_of(job);

	for (uint32_t i = 0; i < IN_WORDS; i++) {
		int at = (int)(i % (SIDE * SIDE));
		float wanted =
		    expected(image_of(job), weights_of(job), i / (SIDE * SIDE), at / (int)SIDE, at % (int)SIDE);
		float error = out[i] > wanted ? out[i] - wanted : wanted - out[i];

		ck_assert_msg(error <= 1e-3f, "output %u is %g, not %g", i, (double)out[i], (double)wanted);
	}
}

static void fill(struct npu_job *job, uint32_t seed)
{
	for (uint32_t i = 0; i < IN_WORDS; i++)
		image_of(job)[i] = (float)(i * 7 % 23) / 23.0f - 0.4f;
	for (uint32_t i = 0; i < WEIGHT_WORDS; i++)
		weights_of(job)[i] = (float)((i * 13 + seed * 5) % 29) / 29.0f - 0.5f;
}

START_TEST(a_weight_altered_between_two_runs_is_seen)
{
	/* the first, one in the middle, the last: alone, so that sums over all of them would not do */
	static const uint32_t places[] = {0, WEIGHT_WORDS / 2 + 1, WEIGHT_WORDS - 1};
	static uint32_t before[IN_WORDS];
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *job = job_of(connection, program_conv());

	fill(job, 1);
	for (unsigned i = 0; i < 3; i++) {
		/* twice, so that the second run may use what the first one packed */
		for (unsigned n = 0; n < 2; n++) {
			ASSERT_OUTCOME(run(connection, job), NPU_DONE);
			expect_convolved(job);
		}
		memcpy(before, output_of(job), sizeof(before));
		float original = weights_of(job)[places[i]];
		weights_of(job)[places[i]] = original + 3.0f;
		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
		expect_convolved(job);
		ck_assert_int_ne(memcmp(before, output_of(job), sizeof(before)), 0);
		weights_of(job)[places[i]] = original; /* and back */
		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
		ck_assert_int_eq(memcmp(before, output_of(job), sizeof(before)), 0);
	}
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

/* Its address is free when the device has let go of the memory, which may be after the reply. */
static void free_job(struct harness *harness, struct npu_job *job, uint64_t buffers_without)
{
	const struct timespec pause = {0, 1000000};

	ASSERT_NPU(npu_job_free(job));
	for (int i = 0; i < 20000 && harness_stats(harness).buffers > buffers_without; i++)
		(void)nanosleep(&pause, NULL);
	ck_assert_uint_eq(harness_stats(harness).buffers, buffers_without);
}

/* Another job's memory comes to lie where a job's was that is gone; then another session's, in the same window. */
START_TEST(weights_of_another_buffer_at_the_same_address_are_seen)
{
	struct harness *harness = harness_start(NULL);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_graph *graph = load(connection, program_conv());
	uint32_t address = 0;

	for (uint32_t round = 0; round < 4; round++) {
		struct npu_job *job = NULL;

		if (round == 2) {
			npu_disconnect(connection);
			harness_settle(harness);
			connection = harness_connect(harness);
			graph = load(connection, program_conv());
		}
		ASSERT_NPU(npu_job_create(graph, &job));
		if (round > 0)
			ck_assert_uint_eq(job->pool.npu_address, address);
		address = job->pool.npu_address;
		fill(job, round);
		ASSERT_OUTCOME(run(connection, job), NPU_DONE);
		expect_convolved(job);
		free_job(harness, job, 1); /* the graph's is left */
	}
	npu_disconnect(connection);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("weights");
	TCase *all = tcase_create("weights");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, a_weight_altered_between_two_runs_is_seen);
	tcase_add_test(all, weights_of_another_buffer_at_the_same_address_are_seen);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
