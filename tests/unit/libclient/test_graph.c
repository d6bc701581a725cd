/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and instances: what the daemon is given, where tensors lie, what the pool layout promises. */

#include "libclient/include/npu/npu.h"
#include "libclient/planner.h"
#include "tests/malformed/rows.h"
#include "tests/unit/libclient/fake_daemon.h"
#include "tests/unit/suite.h"

static struct fake fake;
static struct npu_connection *npu;

static void begin(void)
{
	fake_start(&fake);
	ck_assert_msg(npu_connect(fake.path, &npu) == 0, "%s", npu_error());
}

static void finish(void)
{
	npu_disconnect(npu);
	fake_stop(&fake);
}

static int load(struct zf_file *file, struct npu_graph **graph)
{
	struct zf_bytes bytes = zf_build(file);
	int rc = npu_graph_load_memory(npu, bytes.data, bytes.size, graph);

	/* nothing may refer to it any more */
	memset(bytes.data, 0x5a, bytes.size);
	zf_free(&bytes);
	zf_file_free(file);
	return rc;
}

static struct npu_graph *load_good(struct zf_file file)
{
	struct npu_graph *graph = NULL;

	ck_assert_msg(load(&file, &graph) == 0, "%s", npu_error());
	return graph;
}

static uint32_t word_at(const uint8_t *memory, uint64_t offset)
{
	uint32_t word;

	memcpy(&word, memory + offset, sizeof(word));
	return word;
}

/* An import's content, as the device would see it. */
static const uint8_t *map_import(uint32_t index)
{
	const struct fake_import *import = &fake.imports[index];
	void *memory = mmap(NULL, import->bytes, PROT_READ, MAP_SHARED, import->fd, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	return memory;
}

START_TEST(text_and_weights_are_shared_sealed_and_populated)
{
	fake_init(&fake);
	begin();
	(void)load_good(zf_vector());
	const struct fake_import *pool = &fake.imports[0];

	ck_assert_uint_eq(fake.import_count, 1);
	ck_assert(pool->read_only);
	ck_assert_int_eq(pool->seals & (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW),
			 F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	ck_assert_uint_eq(pool->bytes % NPUD_BUFFER_ALIGN, 0);
	ck_assert_uint_eq(pool->allocated, pool->bytes);
	const uint8_t *memory = map_import(0);

	/* text, constants, then the weights of the block: the second at the alignment it asks for */
	ck_assert_uint_eq(word_at(memory, 0), 0x03020100);
	ck_assert_uint_eq(word_at(memory, 64), 0);
	ck_assert_uint_eq(word_at(memory, 0x1000), 0x43434343);
	ck_assert_uint_eq(word_at(memory, 0x2000), 0x01010101);
	ck_assert_uint_eq(word_at(memory, 0x2040), 0x02020202);
	ck_assert_int_eq(munmap((void *)(uintptr_t)memory, pool->bytes), 0);
	finish();
}
END_TEST

START_TEST(weights_that_lie_together_are_copied_together)
{
	struct zf_file file = zf_vector();
	struct zf_bytes *weight = zf_note(&file, ZY_NOTE_WEIGHT);

	for (uint32_t i = 0; i < 0x400; i++)
		zf_poke(weight, 4 * (size_t)i, 0xc0de0000 + i);
	/* static section 1 follows 0 in the file as it will in memory, where 0x40 is a multiple of its alignment */
	row_poke(&file, ZY_NOTE_FMLIST, AT_STATIC1, 0x40);
	fake_init(&fake);
	begin();
	(void)load_good(file);
	const uint8_t *memory = map_import(0);

	for (uint32_t i = 0; i < 0xc0 / 4; i++)
		ck_assert_uint_eq(word_at(memory, 0x2000 + 4 * i), 0xc0de0000 + i);
	ck_assert_uint_eq(word_at(memory, 0x20c0), 0);
	ck_assert_uint_eq(fake.imports[0].allocated, fake.imports[0].bytes);
	ck_assert_int_eq(munmap((void *)(uintptr_t)memory, fake.imports[0].bytes), 0);
	finish();
}
END_TEST

START_TEST(instances_have_memory_of_their_own_and_share_the_rest)
{
	struct npu_job *jobs[2];

	fake_init(&fake);
	begin();
	struct npu_graph *graph = load_good(zf_vector());

	ck_assert_int_eq(npu_job_create(graph, &jobs[0]), 0);
	ck_assert_int_eq(npu_job_create(graph, &jobs[1]), 0);
	ck_assert_uint_eq(fake.import_count, 3);
	for (uint32_t i = 0; i < 2; i++) {
		const struct fake_import *pool = &fake.imports[i + 1];
		const uint8_t *memory = map_import(i + 1);
		uint32_t base = (i + 2) << 24;
		size_t bytes;
		uint8_t *input = npu_job_tensor(jobs[i], NPU_INPUT, 0, &bytes);

		ck_assert(!pool->read_only);
		ck_assert_int_eq(pool->seals & F_SEAL_SHRINK, F_SEAL_SHRINK);
		ck_assert_int_eq(pool->seals & F_SEAL_WRITE, 0);
		ck_assert_uint_eq(pool->allocated, pool->bytes);
		/* the tensor that the application writes is the one whose address the parameters hold */
		ck_assert_uint_eq(bytes, 64);
		memset(input, 0x70 + (int)i, bytes);
		uint32_t address = word_at(memory, 0);

		ck_assert_uint_ge(address, base);
		ck_assert_uint_lt(address - base, pool->bytes);
		ck_assert_uint_eq(word_at(memory, address - base), 0x70707070 + 0x01010101 * i);
		/* constants: in the graph's pool, which has address 1 << 24 */
		ck_assert_uint_eq(word_at(memory, 0x0c), (1u << 24) + 0x2000);
		ck_assert_uint_eq(word_at(memory, 0x14), (1u << 24) + 0x2050);
		/* a partial mask keeps the other half */
		ck_assert_uint_eq(word_at(memory, 0x10) & 0xffff0000, 0x11110000);
		ck_assert_int_eq(munmap((void *)(uintptr_t)memory, pool->bytes), 0);
	}
	finish();
}
END_TEST

START_TEST(the_daemon_gets_references_not_addresses)
{
	struct npu_job *job;

	fake_init(&fake);
	begin();
	ck_assert_int_eq(npu_job_create(load_good(zf_vector()), &job), 0);
	const Npud__JobV3 *v3 = fake.begin->job_begin->v3;

	ck_assert_uint_eq(v3->group_count, 2);
	ck_assert_uint_eq(v3->bss_count, 1);
	ck_assert_ptr_null(v3->gm);
	ck_assert_uint_eq(fake.group_count, 2);
	const Npud__Group *first = fake.groups[0]->job_groups->groups[0];
	const Npud__Group *second = fake.groups[0]->job_groups->groups[1];

	ck_assert_uint_eq(first->text->handle, 1);
	ck_assert_uint_eq(first->text->offset, 0x10);
	ck_assert_uint_eq(second->text->offset, 0x20);
	ck_assert_uint_eq(first->parameters->handle, 2);
	ck_assert_uint_eq(first->constants->handle, 1);
	ck_assert_uint_eq(first->constants->offset, 0x1000);
	ck_assert_int_eq(first->dependency, NPUD__DEPENDENCY__DEPENDENCY_ALL);
	ck_assert_int_eq(second->dependency, NPUD__DEPENDENCY__DEPENDENCY_PREVIOUS);
	ck_assert(first->print && !second->print);
	ck_assert_uint_eq(first->stack_stride, 0x2000);
	ck_assert_uint_eq(second->stack->offset - first->stack->offset, 0x8000);
	ck_assert_uint_eq(second->private_data->offset - first->private_data->offset, 4ull * first->private_stride);
	ck_assert_uint_le(second->private_data->offset + 4ull * second->private_stride, fake.imports[1].bytes);
	ck_assert_ptr_null(first->profiler);
	finish();
}
END_TEST

START_TEST(many_groups_travel_in_bounded_frames)
{
	struct zf_file file = zf_vector();
	struct zf_bytes *note = zf_note(&file, ZY_NOTE_SUBGRAPHS);
	struct npu_job *job;

	note->size = 0;
	zf_u32(note, 200);
	for (uint32_t i = 0; i < 200; i++) {
		const struct zy_subgraph raw = {.private_data_size = 0x100, .precursor_cnt = -1};

		zf_put_subgraph(note, &raw, 0);
		zf_u32(note, 0);
	}
	fake_init(&fake);
	begin();
	ck_assert_msg(npu_job_create(load_good(file), &job) == 0, "%s", npu_error());
	ck_assert_uint_eq(fake.group_count, 200);
	ck_assert_uint_le(fake.largest_frame_groups, NPUD_MAX_GROUPS_PER_FRAME);
	ck_assert_uint_le(fake.largest_frame, NPUD_MAX_FRAME_BYTES);
	ck_assert_uint_le(fake.frame_count, 5);
	finish();
}
END_TEST

START_TEST(a_device_of_another_kind_is_refused_by_name)
{
	struct npu_graph *graph;
	struct zf_file file = zf_vector();

	fake_init(&fake);
	fake.isa = 6;
	fake.revision = 1;
	fake.config = 1304;
	begin();
	ck_assert_int_eq(load(&file, &graph), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(npu_error(), "X2_1204"));
	ck_assert_ptr_nonnull(strstr(npu_error(), "X3P_1304"));
	ck_assert_uint_eq(fake.import_count, 0);
	finish();
}
END_TEST

START_TEST(a_malformed_file_reaches_no_daemon)
{
	struct npu_graph *graph;

	fake_init(&fake);
	begin();
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (rows[i].sparse_bytes)
			continue;
		struct zf_bytes bytes = row_build(&rows[i]);

		ck_assert_int_eq(npu_graph_load_memory(npu, bytes.data, bytes.size, &graph), rows[i].code);
		ck_assert_ptr_nonnull(strstr(npu_error(), rows[i].field));
		zf_free(&bytes);
	}
	ck_assert_uint_eq(fake.import_count, 0);
	finish();
}
END_TEST

START_TEST(files_are_loaded_and_their_errors_name_them)
{
	struct zf_file file = zf_vector();
	struct zf_bytes bytes = zf_build(&file);
	struct npu_graph *graph;
	char path[128];

	fake_init(&fake);
	begin();
	(void)snprintf(path, sizeof(path), "%s/model.elf", fake.directory);
	ck_assert_int_eq(npu_graph_load_file(npu, path, &graph), -ENOENT);
	ck_assert_ptr_nonnull(strstr(npu_error(), path));
	ck_assert_int_eq(npu_graph_load_file(npu, fake.directory, &graph), -EBADMSG);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_eq(npu_graph_load_file(npu, path, &graph), -EBADMSG);
	ck_assert_int_eq(write(fd, bytes.data, bytes.size), (ssize_t)bytes.size);
	ck_assert_msg(npu_graph_load_file(npu, path, &graph) == 0, "%s", npu_error());
	ck_assert_int_eq(npu_graph_free(graph), 0);
	ck_assert_int_eq(ftruncate(fd, 1000), 0);
	ck_assert_int_eq(npu_graph_load_file(npu, path, &graph), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(npu_error(), "e_shnum"));
	ck_assert_ptr_eq(strstr(npu_error(), path), npu_error());
	(void)close(fd);
	(void)unlink(path);
	zf_free(&bytes);
	zf_file_free(&file);
	finish();
}
END_TEST

START_TEST(tensors_have_the_names_and_shapes_of_graphjson)
{
	struct zf_file file = zf_vector();
	struct npu_tensor_info info;

	row_json(&file, "{\"inputs\":[{\"name\":\"image\",\"shape\":[1,8,8],\"type\":\"int8\"}],"
			"\"outputs\":[{\"name\":\"scores\",\"shape\":[64]}],\"more\":[1,2]}");
	fake_init(&fake);
	begin();
	struct npu_graph *graph = load_good(file);

	ck_assert_uint_eq(npu_graph_tensor_count(graph, NPU_INPUT), 1);
	ck_assert_int_eq(npu_graph_tensor_info(graph, NPU_INPUT, 0, &info), 0);
	ck_assert_str_eq(info.name, "image");
	ck_assert_uint_eq(info.rank, 3);
	ck_assert_uint_eq(info.shape[1], 8);
	ck_assert_uint_eq(info.bytes, 64);
	ck_assert_int_eq(info.type, NPU_S8);
	ck_assert(info.scale == 0.5f && info.zero_point == 7);
	ck_assert_int_eq(npu_graph_tensor_index(graph, NPU_OUTPUT, "scores"), 0);
	ck_assert_int_eq(npu_graph_tensor_index(graph, NPU_OUTPUT, "image"), -ENOENT);
	ck_assert_int_eq(npu_graph_tensor_info(graph, NPU_OUTPUT, 1, &info), -ENOENT);
	ck_assert_uint_eq(npu_graph_tensor_count(graph, (enum npu_direction)7), 0);
	finish();
}
END_TEST

START_TEST(a_graphjson_of_another_form_is_ignored)
{
	static const char *const texts[] = {"not json", "[1,2,3]", "{\"layers\":[]}", "{\"inputs\":7}", ""};

	fake_init(&fake);
	begin();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct zf_file file = zf_vector();
		struct npu_tensor_info info;

		row_json(&file, texts[i]);
		struct npu_graph *graph = load_good(file);

		ck_assert_int_eq(npu_graph_tensor_info(graph, NPU_INPUT, 0, &info), 0);
		ck_assert_str_eq(info.name, "");
		ck_assert_uint_eq(info.rank, 0);
	}
	finish();
}
END_TEST

START_TEST(a_graph_that_is_only_data_runs_without_a_device)
{
	struct zf_file file = zf_vector();
	struct npu_result result;
	struct npu_job *job;

	row_poke(&file, ZY_NOTE_SUBGRAPHS, 0, 0);
	fake_init(&fake);
	begin();
	struct npu_graph *graph = load_good(file);

	ck_assert_int_eq(npu_job_create(graph, &job), 0);
	ck_assert_ptr_nonnull(npu_job_tensor(job, NPU_OUTPUT, 0, NULL));
	ck_assert_ptr_null(npu_job_tensor(job, NPU_OUTPUT, 1, NULL));
	ck_assert_str_ne(npu_error(), "");
	ck_assert_int_eq(npu_job_run(job, &result), 0);
	ck_assert_int_eq(result.outcome, NPU_DONE);
	ck_assert_uint_eq(fake.import_count, 0);
	ck_assert_uint_eq(atomic_load(&fake.submit_count), 0);
	ck_assert_int_eq(npu_job_free(job), 0);
	finish();
}
END_TEST

START_TEST(gm_is_asked_for_where_the_device_has_it)
{
	for (int has = 0; has < 2; has++) {
		struct zf_file file = zf_vector();
		struct npu_job *job;

		row_gm(&file, 1, 0, 0, 0, sizeof(struct zy_gmconfig));
		fake_init(&fake);
		fake.gm_bytes = has ? 4u << 20 : 0;
		begin();
		ck_assert_int_eq(npu_job_create(load_good(file), &job), 0);
		const Npud__GmRegion *gm = fake.begin->job_begin->v3->gm;

		ck_assert_int_eq(gm != NULL, has);
		if (gm) {
			ck_assert_uint_eq(gm->bytes, 256u << 10);
			ck_assert(gm->preload);
			ck_assert_uint_eq(gm->preload_offset, 0);
			ck_assert_uint_eq(gm->preload_bytes, 4096);
			ck_assert_uint_eq(gm->buffer->offset % 4096, 0);
		}
		finish();
	}
}
END_TEST

/* --- the pool layout on its own */

static void plan_of(struct zf_file file, struct npu_elf **elf, struct npu_plan *plan, struct zf_bytes *bytes)
{
	const struct npu_plan_target target = {.tecs = 4, .gm_bytes = 4u << 20};
	char why[512];

	*bytes = zf_build(&file);
	zf_file_free(&file);
	ck_assert_msg(npu_elf_parse(bytes->data, bytes->size, elf, why, sizeof(why)) == 0, "%s", why);
	ck_assert_msg(npu_plan_pool(*elf, &target, plan, why, sizeof(why)) == 0, "%s", why);
}

START_TEST(every_alignment_is_honoured_and_nothing_overlaps)
{
	struct zf_file file = zf_vector();
	struct npu_elf *elf;
	struct npu_plan plan;
	struct zf_bytes bytes;

	row_poke(&file, ZY_NOTE_FMLIST, AT_REUSE1 + 4, 0x100000);
	row_poke(&file, ZY_NOTE_FMLIST, AT_STATIC1 + 8, 0x4000);
	row_poke(&file, ZY_NOTE_SUBGRAPHS, AT_PRIVATE + 4, 0x8000);
	row_poke(&file, ZY_NOTE_FMLIST, AT_STACK + 4, 0x10000);
	plan_of(file, &elf, &plan, &bytes);
	ck_assert_uint_eq(plan.job_align, 0x100000);
	ck_assert_uint_eq(plan.graph_align, 0x4000);
	ck_assert_uint_eq(plan.reuse_at[1] % 0x100000, 0);
	ck_assert_uint_eq(plan.static_at[1] % 0x4000, 0);
	ck_assert_uint_eq(plan.private_at[0] % 0x8000, 0);
	ck_assert_uint_eq(plan.stack.offset % 0x10000, 0);
	ck_assert_uint_eq(plan.stack_stride, 0x10000);
	/* in order of place: parameters, scratch, the three sections, stacks, data, and slack behind the last */
	const struct npu_region places[] = {
	    plan.rodata,
	    plan.desc,
	    plan.privates,
	    {plan.reuse_at[0], 0x1800},
	    {plan.reuse_at[1], 0x40},
	    {plan.reuse_at[2], 0x12c + NPU_V3_SLACK_BYTES},
	    plan.stack,
	    plan.data,
	    {plan.job_bytes - NPU_V3_SLACK_BYTES, 0},
	};

	for (size_t i = 1; i < sizeof(places) / sizeof(places[0]); i++)
		ck_assert_uint_ge(places[i].offset, places[i - 1].offset + places[i - 1].bytes);
	ck_assert_uint_ge(plan.graph_bytes, plan.static_at[1] + 0x80 + NPU_V3_SLACK_BYTES);
	npu_plan_release(&plan);
	npu_elf_free(elf);
	zf_free(&bytes);
}
END_TEST

START_TEST(a_shared_set_is_large_enough_for_all_its_users)
{
	struct zf_file file = zf_vector();
	struct npu_elf *elf;
	struct npu_plan plan;
	struct zf_bytes bytes;

	row_poke(&file, ZY_NOTE_SUBGRAPHS, AT_GROUP1 + 40, 0x5001);
	plan_of(file, &elf, &plan, &bytes);
	ck_assert_uint_eq(plan.set_count, 2);
	ck_assert_uint_eq(plan.set_data_stride[0], 0x6000);
	ck_assert_uint_eq(plan.data.bytes, 0x30000);
	npu_plan_release(&plan);
	npu_elf_free(elf);
	zf_free(&bytes);
}
END_TEST

START_TEST(remaps_link_descriptors_after_patching)
{
	struct zf_file file = zf_vector();
	struct npu_elf *elf;
	struct npu_plan plan;
	struct zf_bytes bytes;

	/* descriptor word 1, which a patch writes too, becomes the address of rodata + 8; rodata word 0 that of text +
	 * 32 */
	row_remap(&file, 1, 4, 0, 8);
	const uint32_t more[] = {0, 0, 2, 32};

	zf_words(zf_note(&file, ZY_NOTE_REMAP), more, 4);
	row_poke(&file, ZY_NOTE_REMAP, 0, 2);
	plan_of(file, &elf, &plan, &bytes);
	uint8_t *job = calloc(1, plan.job_bytes);

	ck_assert_ptr_nonnull(job);
	npu_plan_patch(&plan, job, 0x100000, 0x40000000);
	ck_assert_uint_eq(word_at(job, plan.desc.offset + 4), 0x40000008);
	ck_assert_uint_eq(word_at(job, plan.rodata.offset), 0x100020);
	free(job);
	npu_plan_release(&plan);
	npu_elf_free(elf);
	zf_free(&bytes);
}
END_TEST

#define ADD(test) tcase_add_test(tests, test)

int main(void)
{
	Suite *suite = suite_create("graphs and jobs");
	TCase *tests = tcase_create("graph");

	ADD(text_and_weights_are_shared_sealed_and_populated);
	ADD(weights_that_lie_together_are_copied_together);
	ADD(instances_have_memory_of_their_own_and_share_the_rest);
	ADD(the_daemon_gets_references_not_addresses);
	ADD(many_groups_travel_in_bounded_frames);
	ADD(a_device_of_another_kind_is_refused_by_name);
	ADD(a_malformed_file_reaches_no_daemon);
	ADD(files_are_loaded_and_their_errors_name_them);
	ADD(tensors_have_the_names_and_shapes_of_graphjson);
	ADD(a_graphjson_of_another_form_is_ignored);
	ADD(a_graph_that_is_only_data_runs_without_a_device);
	ADD(gm_is_asked_for_where_the_device_has_it);
	ADD(every_alignment_is_honoured_and_nothing_overlaps);
	ADD(a_shared_set_is_large_enough_for_all_its_users);
	ADD(remaps_link_descriptors_after_patching);
	suite_add_tcase(suite, tests);
	return suite_main(suite);
}
