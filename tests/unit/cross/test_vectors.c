/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verified vectors for V3: from the file to patched parameters, placement and every TCB word, through the library's
 * reader and planner and the daemon's encoder. The expected numbers were recorded from the vendor's library.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/npu/v3_tcb.h"
#include "libclient/planner.h"
#include "tests/malformed/zyfile.h"
#include "tests/unit/suite.h"

#define ASID1 (1ull << 32)
#define MEMORY (1u << 20) /* of ASID0, for the parameters */

struct vector {
	struct zf_file file;
	struct zf_bytes bytes;
	struct npu_elf *elf;
	struct npu_plan plan;
	uint8_t *memory;
	union zy3_tcb chain[64];
	uint32_t tcbs;
};

/* The groups as the daemon gets to see them, in the vendor's places. */
static void encode(struct vector *vector, uint32_t cores)
{
	const struct npu_elf *elf = vector->elf;
	const struct npu_plan *plan = &vector->plan;
	struct v3_group groups[8] = {0};
	iova_t asid1[4] = {{ASID1}, {ASID1}, {ASID1}, {ASID1}};
	struct v3_job job = {
	    .cores = cores,
	    .tecs = plan->tecs,
	    .tec_done_irq = true,
	    .bss_count = elf->bss_count,
	    .asid1 = asid1,
	    .group_count = elf->subgraph_count,
	    .groups = groups,
	    .gm_offset_shift = 12,
	    .gm = {.used = plan->gm_use.used,
		   .address = {plan->gm.offset},
		   .preload = plan->gm_use.preload,
		   .preload_offset = plan->gm_use.preload_offset,
		   .preload_bytes = plan->gm_use.preload_bytes},
	};

	for (uint32_t i = 0; i < elf->subgraph_count; i++) {
		const struct npu_elf_subgraph *subgraph = &elf->subgraphs[i];
		uint32_t set = plan->set_of[i];

		groups[i] = (struct v3_group){
		    .bss = subgraph->bss,
		    .dependency = subgraph->precursor_count == -1 ? V3_DEP_ALL
				  : subgraph->precursor_count     ? V3_DEP_PREVIOUS
								  : V3_DEP_NONE,
		    .text = {(uint32_t)plan->text.offset + subgraph->text_offset},
		    .parameters = {(uint32_t)plan->rodata.offset + subgraph->rodata_offset},
		    .constants = {(uint32_t)plan->crodata.offset},
		    .stack = {(uint32_t)plan->stack.offset + set * plan->tecs * plan->stack_stride},
		    .stack_stride = plan->stack_stride,
		    .private_data = {(uint32_t)plan->set_data_at[set]},
		    .private_stride = (uint32_t)plan->set_data_stride[set],
		    .print = {subgraph->print_bytes ? (uint32_t)plan->print.offset + 4096 * i : 0},
		};
	}
	vector->tcbs = v3_chain_tcbs(&job);
	ck_assert_uint_gt(vector->tcbs, 0);
	ck_assert_uint_le(vector->tcbs, 64);
	ck_assert_int_eq(v3_chain_encode(&job, (iova_t){plan->tcbs.offset}, vector->chain), 0);
}

/* File to patched parameters, with the recorded bases: ASID0 from 0, ASID1 from 0. */
static void run(struct vector *vector, uint32_t cores)
{
	const struct npu_plan_target target = {.tecs = 4, .gm_bytes = 4u << 20};
	const struct npu_vendor_bases bases = {0, 0};
	char why[512];

	vector->bytes = zf_build(&vector->file);
	ck_assert_msg(npu_elf_parse(vector->bytes.data, vector->bytes.size, &vector->elf, why, sizeof(why)) == 0, "%s",
		      why);
	ck_assert_msg(npu_plan_vendor(vector->elf, &target, &bases, &vector->plan, why, sizeof(why)) == 0, "%s", why);
	ck_assert_uint_le(vector->plan.job_bytes, MEMORY);
	vector->memory = calloc(1, MEMORY);
	ck_assert_ptr_nonnull(vector->memory);
	memcpy(vector->memory + vector->plan.rodata.offset, vector->elf->rodata.data, vector->elf->rodata.bytes);
	if (vector->elf->desc.bytes)
		memcpy(vector->memory + vector->plan.desc.offset, vector->elf->desc.data, vector->elf->desc.bytes);
	npu_plan_patch(&vector->plan, vector->memory, 0, 0);
	if (vector->elf->subgraph_count)
		encode(vector, cores);
}

static void end(struct vector *vector)
{
	free(vector->memory);
	npu_plan_release(&vector->plan);
	npu_elf_free(vector->elf);
	zf_free(&vector->bytes);
	zf_file_free(&vector->file);
}

static void expect_words(const struct vector *vector, uint64_t at, const uint32_t *expected, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t word;

		memcpy(&word, vector->memory + at + i * 4, 4);
		ck_assert_msg(word == expected[i], "word %zu at %#llx is %08x, recorded %08x", i,
			      (unsigned long long)at, word, expected[i]);
	}
}

static void expect_region(struct npu_region region, uint64_t offset, uint64_t bytes)
{
	ck_assert_uint_eq(region.offset, offset);
	ck_assert_uint_eq(region.bytes, bytes);
}

/* Recorded lines: "decimal byte offset=hexadecimal word", what is left out is 0. */
static void expect_tcb(const struct vector *vector, uint32_t index, const char *line)
{
	uint32_t expected[32] = {0};

	for (const char *at = line; *at;) {
		char *next;
		unsigned long offset = strtoul(at, &next, 10);

		ck_assert_int_eq(*next, '=');
		expected[offset / 4] = (uint32_t)strtoul(next + 1, &next, 16);
		at = *next ? next + 1 : next;
	}
	for (uint32_t i = 0; i < 32; i++)
		ck_assert_msg(vector->chain[index].word[i] == expected[i], "TCB %u byte %u is %x, recorded %x", index,
			      i * 4, vector->chain[index].word[i], expected[i]);
}

/* --- the vector itself */

static void sha256(const struct zf_bytes *bytes, char out[65])
{
	int in[2], result[2];

	ck_assert(pipe(in) == 0 && pipe(result) == 0);
	pid_t child = fork();

	if (child == 0) {
		if (dup2(in[0], 0) >= 0 && dup2(result[1], 1) >= 0 && close(in[1]) == 0)
			(void)execlp("sha256sum", "sha256sum", (char *)NULL);
		_exit(127);
	}
	(void)close(in[0]);
	/* a pipe holds it all */
	ck_assert_int_eq(write(in[1], bytes->data, bytes->size), (ssize_t)bytes->size);
	(void)close(in[1]);
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_ge(read(result[0], out, 64), 64);
	out[64] = '\0';
	(void)close(result[0]);
	(void)close(result[1]);
}

START_TEST(the_file_is_the_recorded_one)
{
	struct zf_file file = zf_vector();
	struct zf_bytes bytes = zf_build(&file);
	char sum[65];

	ck_assert_uint_eq(bytes.size, 5664);
	sha256(&bytes, sum);
	ck_assert_str_eq(sum, "708c58b935e5c9c33961068598dd76b3bf99338e8a0ab30441be9bdb79ba1743");
	zf_free(&bytes);
	zf_file_free(&file);
}
END_TEST

START_TEST(buffers_are_where_the_vendor_puts_them)
{
	struct vector vector = {.file = zf_vector()};

	run(&vector, 3);
	const struct npu_plan *plan = &vector.plan;

	expect_region(plan->text, 0, 0x1000);
	expect_region(plan->crodata, 0x1000, 0x1000);
	ck_assert_uint_eq(plan->weights[0].offset, 0);
	expect_region(plan->rodata, 0x2000, 0x1000);
	expect_region(plan->desc, 0x3000, 0x1000);
	expect_region(plan->tcbs, 0x4000, 0x1000);
	expect_region(plan->privates, 0x5000, 0x3000);
	expect_region(plan->reuse, 0x8000, 0x6000);
	expect_region(plan->stack, 0xe000, 0x10000);
	expect_region(plan->data, 0x1e000, 0x8000);
	expect_region(plan->print, 0x26000, 0x2000);
	end(&vector);
}
END_TEST

START_TEST(parameters_are_patched_to_the_bit)
{
	static const uint32_t rodata[16] = {0x8040, 0xa000, 0x40, 0, 0x1111b007, 0x50, 0x8100, 0x5020, 0};
	struct vector vector = {.file = zf_vector()};

	run(&vector, 3);
	expect_words(&vector, 0x2000, rodata, 16);
	/* the descriptors: output tensor, second constant */
	expect_words(&vector, 0x3000, (const uint32_t[]){0xa000, 0x40, 0, 0}, 4);
	end(&vector);
}
END_TEST

START_TEST(every_tcb_word_is_the_recorded_one)
{
	static const char *const recorded[] = {
	    "0=30000 4=4180 48=60 56=60 60=1",
	    "24=31 88=31",
	    "24=31",
	    "0=21 4=4200 12=10 16=13d 28=10001 32=40001 36=10001 40=1 52=e000 56=2000 60=1e000 64=1000 68=26000 "
	    "108=4180",
	    "0=1 4=4280 12=10 16=13d 24=10000 28=10001 32=40001 36=10001 40=1 44=10000 52=10000 56=2000 60=1f000 "
	    "64=1000 68=26400 108=4200",
	    "0=1 4=4300 12=10 16=13d 24=20000 28=10001 32=40001 36=10001 40=1 44=20000 52=12000 56=2000 60=20000 "
	    "64=1000 68=26800 108=4280",
	    "0=41 4=4380 12=10 16=13d 24=30000 28=10001 32=40001 36=10001 40=1 44=30000 52=14000 56=2000 60=21000 "
	    "64=1000 68=26c00 108=4300",
	    "0=11 4=4400 12=20 16=3d 20=1 28=10001 32=40001 36=10001 40=1 52=16000 56=2000 60=22000 64=1000 "
	    "108=4380",
	    "0=1 4=4480 12=20 16=3d 20=1 24=10000 28=10001 32=40001 36=10001 40=1 44=10000 52=18000 56=2000 "
	    "60=23000 64=1000 108=4400",
	    "0=1 4=4500 12=20 16=3d 20=1 24=20000 28=10001 32=40001 36=10001 40=1 44=20000 52=1a000 56=2000 "
	    "60=24000 64=1000 108=4480",
	    "0=c1 12=20 16=43d 20=1 24=30000 28=10001 32=40001 36=10001 40=1 44=30000 52=1c000 56=2000 60=25000 "
	    "64=1000 108=4500",
	};
	struct vector vector = {.file = zf_vector()};

	run(&vector, 3);
	ck_assert_uint_eq(vector.tcbs, sizeof(recorded) / sizeof(recorded[0]));
	for (uint32_t i = 0; i < vector.tcbs; i++)
		expect_tcb(&vector, i, recorded[i]);
	end(&vector);
}
END_TEST

START_TEST(tensors_carry_what_the_file_says)
{
	struct vector vector = {.file = zf_vector()};

	run(&vector, 3);
	const struct npu_elf *elf = vector.elf;

	ck_assert_uint_eq(elf->tensor_count[NPU_INPUT], 1);
	ck_assert_uint_eq(elf->tensor_count[NPU_OUTPUT], 1);
	const struct npu_elf_sub *input = &elf->subs[elf->tensors[NPU_INPUT][0].sub];
	const struct npu_elf_sub *output = &elf->subs[elf->tensors[NPU_OUTPUT][0].sub];

	ck_assert_uint_eq(input->bytes, 64);
	ck_assert_uint_eq(input->data_type, NPU_S8);
	ck_assert(input->scale == 0.5f && input->zero_point == 7);
	ck_assert_uint_eq(output->bytes, 64);
	ck_assert_uint_eq(output->data_type, NPU_U8);
	ck_assert(output->scale == 2.0f && output->zero_point == -3);
	ck_assert_uint_eq(vector.plan.reuse_at[input->section] + input->offset, 0x8040);
	ck_assert_uint_eq(vector.plan.reuse_at[output->section] + output->offset, 0xa000);
	end(&vector);
}
END_TEST

/* --- small files: one group, stack 0x1000, private data 0x100, 64 bytes of everything */

struct small {
	uint32_t bss;
	uint32_t static_type;
	int gm_section; /* -1: none */
	bool no_groups;
};

static void put_small_bss(struct zf_bytes *out, const struct small *small, uint32_t index)
{
	const uint32_t head[] = {0x1000, 0x1000, 1, index ? 1 : 3};
	const struct zf_sub constant[] = {{0, 0x80, small->static_type, 0, 2, 1.0f, 0, UINT32_MAX, {4 * index}, 1}};
	const struct zf_sub input[] = {{0, 0x40, 0, 0, 2, 1.0f, 0, UINT32_MAX, {0x10}, 1}};
	const struct zf_sub output[] = {{0, 0x40, 1, 0, 2, 1.0f, 0, UINT32_MAX, {0x14}, 1}};
	const struct zf_sub other[] = {{0, 0x40, 3, 0, 2, 1.0f, 0, UINT32_MAX, {0x18}, 1}};

	zf_words(out, head, 4);
	zf_put_section(out, index ? 0x1000 : 0, 0x80, 0x20, constant, 1);
	if (index == 0) {
		zf_put_section(out, 0x40, 0x1000, 0, input, 1);
		zf_put_section(out, 0x40, 0x1000, 0, output, 1);
	}
	zf_put_section(out, 0x40, 0x1000, 0, other, 1);
}

static struct zf_file small_file(const struct small *small)
{
	const uint32_t message[12] = {ZY_ELF_FILE_VERSION, ZY_ELF_BUILD_VERSION, ZY_DEVICE_X2_1204};
	const uint32_t head[3] = {0, 0, small->bss};
	struct zf_file file = {0};

	zf_put(&file.text, NULL, 64);
	zf_put(zf_note(&file, ZY_NOTE_RODATA), NULL, 64);
	zf_vector_weights(zf_note(&file, ZY_NOTE_WEIGHT));
	zf_words(zf_note(&file, ZY_NOTE_FMLIST), head, 3);
	for (uint32_t b = 0; b < small->bss; b++)
		put_small_bss(zf_note(&file, ZY_NOTE_FMLIST), small, b);
	zf_words(zf_note(&file, ZY_NOTE_COMPILERMSG), message, 12);
	zf_u32(zf_note(&file, ZY_NOTE_SUBGRAPHS), small->no_groups ? 0 : small->bss);
	for (uint32_t b = 0; b < small->bss && !small->no_groups; b++) {
		const struct zy_subgraph raw = {.fm_desc_offset = b, .private_data_size = 0x100, .precursor_cnt = -1};

		zf_put_subgraph(zf_note(&file, ZY_NOTE_SUBGRAPHS), &raw, 0);
		zf_u32(zf_note(&file, ZY_NOTE_SUBGRAPHS), 0);
	}
	if (small->gm_section >= 0) {
		const struct zy_gmconfig config = {.control = 1, .buffer[0].buf_index = (uint32_t)small->gm_section};

		zf_put(zf_note(&file, ZY_NOTE_GMCONFIG), &config, sizeof(config));
	}
	return file;
}

START_TEST(two_blocks_share_one_weight_space)
{
	const struct small small = {.bss = 2, .static_type = ZY_SUB_CONSTANT, .gm_section = -1};
	struct vector vector = {.file = small_file(&small)};

	run(&vector, 1);
	ck_assert_uint_eq(vector.plan.weights[0].offset, 0);
	ck_assert_uint_eq(vector.plan.weights[1].offset, 0x1000);
	expect_words(&vector, vector.plan.rodata.offset, (const uint32_t[]){0, 0x1000}, 2);
	/* two runs of init, segment MMU and four tasks; both see the shared base */
	ck_assert_uint_eq(vector.tcbs, 12);
	ck_assert_uint_eq(vector.chain[0].word[14], 0x60);
	ck_assert_uint_eq(vector.chain[0].word[15], 1);
	ck_assert_uint_eq(vector.chain[6].word[14], 0x60);
	ck_assert_uint_eq(vector.chain[6].word[15], 1);
	end(&vector);
}
END_TEST

START_TEST(a_zero_copy_constant_lies_in_asid0_after_the_text)
{
	const struct small small = {.bss = 1, .static_type = ZY_SUB_ZEROCPY_CONSTANT, .gm_section = -1};
	struct vector vector = {.file = small_file(&small)};

	run(&vector, 1);
	ck_assert_uint_eq(vector.plan.zero_copy[0].offset, 0x1000);
	expect_words(&vector, vector.plan.rodata.offset, (const uint32_t[]){0x1000}, 1);
	end(&vector);
}
END_TEST

START_TEST(an_input_in_gm_is_preloaded)
{
	const struct small small = {.bss = 1, .static_type = ZY_SUB_CONSTANT, .gm_section = 0};
	struct vector vector = {.file = small_file(&small)};

	run(&vector, 1);
	/* text, parameters, TCBs, two sections with slack: then 256 KiB for the one that GM shadows */
	expect_region(vector.plan.gm, 0x6000, 0x40000);
	expect_words(&vector, vector.plan.rodata.offset + 0x10, (const uint32_t[]){0x6000}, 1);
	ck_assert_uint_eq(vector.chain[0].word[4], 1);
	ck_assert_uint_eq(vector.chain[0].word[6], 0x40000001);
	ck_assert_uint_eq(vector.chain[0].word[7], 0xc0000000);
	ck_assert_uint_eq(vector.chain[0].word[8], 0x6000);
	end(&vector);
}
END_TEST

START_TEST(an_intermediate_in_gm_is_not_preloaded)
{
	const struct small small = {.bss = 1, .static_type = ZY_SUB_CONSTANT, .gm_section = 2};
	struct vector vector = {.file = small_file(&small)};

	run(&vector, 1);
	ck_assert_int_eq(vector.elf->gm_class, NPU_GM_TEMP);
	ck_assert_uint_eq(vector.chain[0].word[4], 1);
	ck_assert_uint_eq(vector.chain[0].word[6], 0);
	ck_assert_uint_eq(vector.chain[0].word[7], 0xc0000000);
	end(&vector);
}
END_TEST

START_TEST(a_file_without_subgraphs_is_data)
{
	const struct small small = {.bss = 1, .static_type = ZY_SUB_CONSTANT, .gm_section = -1, .no_groups = true};
	struct vector vector = {.file = small_file(&small)};

	run(&vector, 1);
	ck_assert_uint_eq(vector.elf->subgraph_count, 0);
	ck_assert_uint_eq(vector.elf->tensor_count[NPU_INPUT], 1);
	ck_assert_uint_eq(vector.plan.stack.bytes, 0);
	ck_assert_uint_eq(vector.plan.set_count, 0);
	end(&vector);
}
END_TEST

/* --- six groups that share stacks, data and scratch */

static void put_six(struct zf_bytes *out)
{
	static const int32_t precursors[6] = {0, 0, -1, 0, 0, -1};
	const struct zf_sub scratch[] = {{0, 0x40, 3, 0, 0, 1.0f, 0, UINT32_MAX, {0}, 0}};

	out->size = 0;
	zf_u32(out, 6);
	for (uint32_t i = 0; i < 6; i++) {
		const struct zy_subgraph raw = {.private_data_size = 0x100, .precursor_cnt = precursors[i]};

		zf_put_subgraph(out, &raw, 0);
		zf_u32(out, 1);
		zf_put_section(out, i == 5 ? 0x1000 : 0x2000, 0x1000, 0, scratch, 1);
	}
}

START_TEST(groups_after_a_barrier_reuse_stacks_and_scratch)
{
	static const uint64_t scratch[6] = {0, 0x2000, 0, 0x2000, 0x4000, 0};
	static const uint32_t sets[6] = {0, 1, 0, 1, 2, 0};
	const struct small small = {.bss = 1, .static_type = ZY_SUB_CONSTANT, .gm_section = -1};
	struct vector vector = {.file = small_file(&small)};

	put_six(zf_note(&vector.file, ZY_NOTE_SUBGRAPHS));
	run(&vector, 1);
	ck_assert_uint_eq(vector.plan.privates.bytes, 0x6000);
	ck_assert_uint_eq(vector.plan.set_count, 3);
	ck_assert_uint_eq(vector.plan.stack.bytes, 0xc000);
	for (uint32_t i = 0; i < 6; i++) {
		ck_assert_uint_eq(vector.plan.private_at[i] - vector.plan.privates.offset, scratch[i]);
		ck_assert_uint_eq(vector.plan.set_of[i], sets[i]);
	}
	end(&vector);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("verified vectors");
	TCase *tests = tcase_create("V3");

	tcase_add_test(tests, the_file_is_the_recorded_one);
	tcase_add_test(tests, buffers_are_where_the_vendor_puts_them);
	tcase_add_test(tests, parameters_are_patched_to_the_bit);
	tcase_add_test(tests, every_tcb_word_is_the_recorded_one);
	tcase_add_test(tests, tensors_carry_what_the_file_says);
	tcase_add_test(tests, two_blocks_share_one_weight_space);
	tcase_add_test(tests, a_zero_copy_constant_lies_in_asid0_after_the_text);
	tcase_add_test(tests, an_input_in_gm_is_preloaded);
	tcase_add_test(tests, an_intermediate_in_gm_is_not_preloaded);
	tcase_add_test(tests, a_file_without_subgraphs_is_data);
	tcase_add_test(tests, groups_after_a_barrier_reuse_stacks_and_scratch);
	suite_add_tcase(suite, tests);
	return suite_main(suite);
}
