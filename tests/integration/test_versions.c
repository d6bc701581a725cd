/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries and daemons of different versions, all really built: today's and those of the next minor and the next major
 * version. A whole job goes through each pair of one major version; across major versions both sides say why not.
 */
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tests/integration/harness.h"
#include "tests/integration/raw.h"

/* What a client needs of a library, of whichever version. */
struct library {
	void *handle;
	__typeof__(&npu_connect) connect;
	__typeof__(&npu_disconnect) disconnect;
	__typeof__(&npu_error) error;
	__typeof__(&npu_graph_load_memory) load;
	__typeof__(&npu_job_create) create;
	__typeof__(&npu_job_tensor) tensor;
	__typeof__(&npu_job_run) run;
};

static void *symbol(const struct library *library, const char *name)
{
	void *found = dlsym(library->handle, name);

	ck_assert_msg(found != NULL, "%s", dlerror());
	return found;
}

/* NULL: the one that this test is linked with. */
static struct library library_open(const char *name)
{
	struct library library = {NULL,           npu_connect,    npu_disconnect, npu_error, npu_graph_load_memory,
				  npu_job_create, npu_job_tensor, npu_job_run};

	if (!name)
		return library;
	library.handle = dlopen(harness_program(name), RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(library.handle != NULL, "%s", dlerror());
	library.connect = (__typeof__(&npu_connect))symbol(&library, "npu_connect");
	library.disconnect = (__typeof__(&npu_disconnect))symbol(&library, "npu_disconnect");
	library.error = (__typeof__(&npu_error))symbol(&library, "npu_error");
	library.load = (__typeof__(&npu_graph_load_memory))symbol(&library, "npu_graph_load_memory");
	library.create = (__typeof__(&npu_job_create))symbol(&library, "npu_job_create");
	library.tensor = (__typeof__(&npu_job_tensor))symbol(&library, "npu_job_tensor");
	library.run = (__typeof__(&npu_job_run))symbol(&library, "npu_job_run");
	ck_assert(library.connect != npu_connect);
	return library;
}

static void library_close(struct library *library)
{
	if (library->handle)
		ck_assert_int_eq(dlclose(library->handle), 0);
}

/* Connect, load, create, fill, run, read, disconnect. */
static void whole_job(const struct harness *harness, const struct library *library)
{
	struct program program = program_copy(256, 11);
	struct npu_connection *connection = NULL;
	struct npu_graph *graph = NULL;
	struct npu_job *job = NULL;
	struct npu_result result;
	size_t bytes;
	void *file = program_elf(&program, &bytes);

	ck_assert_msg(library->connect(harness->socket, &connection) == 0, "%s", library->error());
	ck_assert_msg(library->load(connection, file, bytes, &graph) == 0, "%s", library->error());
	free(file);
	ck_assert_msg(library->create(graph, &job) == 0, "%s", library->error());
	uint32_t *in = library->tensor(job, NPU_INPUT, 0, NULL), *out = library->tensor(job, NPU_OUTPUT, 0, NULL);
	for (uint32_t i = 0; i < 256; i++)
		in[i] = i * i;
	ck_assert_msg(library->run(job, &result) == 0, "%s", library->error());
	for (uint32_t i = 0; i < 256; i++)
		ck_assert_uint_eq(out[i], i * i + 11);
	library->disconnect(connection);
}

/* What the daemon answers to a client that announces this. */
static Npud__ServerFrame *greet(const struct harness *harness, uint32_t major, uint32_t minor, uint64_t features)
{
	Npud__Hello hello = NPUD__HELLO__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	int fd = raw_connect(harness);

	hello.major = major;
	hello.minor = minor;
	hello.features = features;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &hello;
	Npud__ServerFrame *frame = raw_call(fd, &request, -1);
	close(fd);
	return frame;
}

/* The daemon agrees to the smaller minor, and to no feature that it does not know. */
static void expect_minor(const struct harness *harness, uint32_t theirs, uint32_t agreed)
{
	Npud__ServerFrame *frame = greet(harness, NPUD_PROTOCOL_MAJOR, theirs, UINT64_MAX);

	ck_assert_ptr_null(frame->reply->error);
	ck_assert_uint_eq(frame->reply->hello->major, NPUD_PROTOCOL_MAJOR);
	ck_assert_uint_eq(frame->reply->hello->minor, agreed);
	ck_assert_uint_eq(frame->reply->hello->features, 0);
	raw_free(frame);
}

START_TEST(a_newer_library_runs_jobs_on_this_daemon)
{
	struct harness *harness = harness_start(NULL);
	struct library newer = library_open("next-minor/libnpu.so.1");

	expect_minor(harness, NPUD_PROTOCOL_MINOR + 1, NPUD_PROTOCOL_MINOR);
	whole_job(harness, &newer);
	library_close(&newer);
	harness_stop(harness);
}
END_TEST

START_TEST(this_library_runs_jobs_on_a_newer_daemon)
{
	struct harness *harness = harness_start(&(struct harness_options){.npud = "next-minor/npud"});
	struct library ours = library_open(NULL), newer = library_open("next-minor/libnpu.so.1");

	/* it is a newer one: with a newer client it agrees to more */
	expect_minor(harness, NPUD_PROTOCOL_MINOR + 1, NPUD_PROTOCOL_MINOR + 1);
	expect_minor(harness, NPUD_PROTOCOL_MINOR, NPUD_PROTOCOL_MINOR);
	whole_job(harness, &ours);
	whole_job(harness, &newer);
	library_close(&newer);
	harness_stop(harness);
}
END_TEST

/* The reason names both versions, so that a person knows what to update. */
static void expect_refusal(const struct harness *harness, const struct library *library, uint32_t ours, uint32_t theirs)
{
	struct npu_connection *connection = NULL;
	char text[2][32];

	ck_assert_int_eq(library->connect(harness->socket, &connection), -EPROTONOSUPPORT);
	ck_assert_ptr_null(connection);
	(void)snprintf(text[0], sizeof(text[0]), "protocol %u.", ours);
	(void)snprintf(text[1], sizeof(text[1]), "%u.%u is", theirs, NPUD_PROTOCOL_MINOR);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_msg(strstr(library->error(), text[i]) != NULL, "'%s' says nothing of '%s'", library->error(),
			      text[i]);
}

START_TEST(a_library_of_the_next_major_version_is_refused)
{
	struct harness *harness = harness_start(NULL);
	struct library next = library_open("next-major/libnpu.so.1");
	Npud__ServerFrame *frame = greet(harness, NPUD_PROTOCOL_MAJOR + 1, 0, 0);

	ck_assert_ptr_nonnull(frame->reply->error);
	ck_assert_int_eq(frame->reply->error->code, NPUD__ERROR_CODE__ERROR_VERSION);
	raw_free(frame);
	expect_refusal(harness, &next, NPUD_PROTOCOL_MAJOR + 1, NPUD_PROTOCOL_MAJOR);
	library_close(&next);
	harness_stop(harness);
}
END_TEST

/* The daemon's own counters cannot be asked for by this test's clients, so npud is stopped by hand. */
START_TEST(a_daemon_of_the_next_major_version_refuses_this_library)
{
	struct harness *harness = harness_start(NULL);
	struct library ours = library_open(NULL), next = library_open("next-major/libnpu.so.1");

	ck_assert_int_eq(kill(harness->npud, SIGTERM), 0);
	ck_assert_int_eq(harness_wait(harness->npud), 0);
	harness_npud_start(harness, "next-major/npud");
	pid_t pid = harness->npud;
	harness_npud_gone(harness);
	Npud__ServerFrame *frame = greet(harness, NPUD_PROTOCOL_MAJOR, 0, 0);
	ck_assert_ptr_nonnull(frame->reply->error);
	ck_assert_int_eq(frame->reply->error->code, NPUD__ERROR_CODE__ERROR_VERSION);
	raw_free(frame);
	expect_refusal(harness, &ours, NPUD_PROTOCOL_MAJOR, NPUD_PROTOCOL_MAJOR + 1);
	whole_job(harness, &next); /* and serves those of its own */
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	ck_assert_int_eq(harness_wait(pid), 0);
	library_close(&next);
	harness_stop(harness);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("versions");
	TCase *all = tcase_create("versions");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, a_newer_library_runs_jobs_on_this_daemon);
	tcase_add_test(all, this_library_runs_jobs_on_a_newer_daemon);
	tcase_add_test(all, a_library_of_the_next_major_version_is_refused);
	tcase_add_test(all, a_daemon_of_the_next_major_version_refuses_this_library);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
