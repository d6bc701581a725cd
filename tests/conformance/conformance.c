/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every model of the ONNX test data, end to end: compiled by npucc, loaded through the client library, run by the
 * device behind the daemon at $NPU_SOCKET, compared with the expected outputs. One process, one connection. npucc alone
 * decides what is unsupported; for the operators that must work, unsupported is failed.
 */
#include "tests/conformance/cases.h"

#include <npu/npu.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT 768
#define NPUCC_UNSUPPORTED 3
#define RUN_TIMEOUT_NS 60000000000ll

struct run {
	const char *npucc;
	struct npu_connection *connection;
	char folder[TEXT]; /* for executables and npucc's messages */
	char name[TEXT]; /* of the case */
	char path[TEXT]; /* its folder */
	char why[TEXT];
	struct case_table table;
};

#define SAY(r, ...) ((void)snprintf((r)->why, sizeof((r)->why), __VA_ARGS__))

extern char **environ;

static void read_message(struct run *r, const char *path)
{
	size_t bytes = 0;
	uint8_t *text = case_read_file(path, &bytes);

	if (text) {
		text[bytes] = '\0';
		SAY(r, "%.*s", (int)strcspn((const char *)text, "\n"), (const char *)text);
	}
	free(text);
}

/* npucc's exit code, or a negative errno. */
static int compile(struct run *r, const char *model, const char *elf)
{
	char message[TEXT + 16];
	char *argv[] = {(char *)(uintptr_t)r->npucc, (char *)(uintptr_t)model, "-o", (char *)(uintptr_t)elf, NULL};
	posix_spawn_file_actions_t actions;
	pid_t pid = 0;
	int status = 0;

	(void)snprintf(message, sizeof(message), "%s/message", r->folder);
	if (posix_spawn_file_actions_init(&actions))
		return -ENOMEM;
	int rc = posix_spawn_file_actions_addopen(&actions, 2, message, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (!rc)
		rc = posix_spawn(&pid, r->npucc, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (rc)
		return -rc;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	read_message(r, message);
	if (!WIFEXITED(status))
		SAY(r, "npucc was killed by signal %d", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

/* Does the executable hold any TENSOR instruction? Looks at .text alone: 16-byte instructions, opcode in byte 0. */
static bool computes(const char *elf)
{
	size_t bytes = 0;
	uint8_t *file = case_read_file(elf, &bytes);
	bool found = false;
	uint32_t table = 0;
	uint32_t at = 0;
	uint32_t size = 0;

	if (!file || bytes < 52)
		goto out;
	memcpy(&table, file + 32, sizeof(table)); /* section headers; the first after the null one is .text */
	if (table > bytes || bytes - table < 80)
		goto out;
	memcpy(&at, file + table + 40 + 16, sizeof(at));
	memcpy(&size, file + table + 40 + 20, sizeof(size));
	for (uint64_t pc = at; pc + 16 <= (uint64_t)at + size && pc + 16 <= bytes; pc += 16)
		found = found || file[pc] == 0x40;
out:
	free(file);
	return found;
}

static bool feed(struct run *r, struct npu_graph *graph, struct npu_job *job, uint32_t set)
{
	for (uint32_t i = 0; i < npu_graph_tensor_count(graph, NPU_INPUT); i++) {
		char path[TEXT + 64];
		struct case_tensor t;
		size_t bytes = 0;
		uint8_t *tensor = npu_job_tensor(job, NPU_INPUT, i, &bytes);
		(void)snprintf(path, sizeof(path), "%s/test_data_set_%u/input_%u.pb", r->path, set, i);
		int rc = case_tensor_load(path, &t);
		if (rc || (!tensor && bytes)) {
			SAY(r, "input %u: %s", i, rc ? strerror(-rc) : "no memory");
			case_tensor_free(&t);
			return false;
		}
		case_fill(&t, tensor, bytes);
		case_tensor_free(&t);
	}
	return true;
}

static bool check(struct run *r, struct npu_graph *graph, struct npu_job *job, uint32_t set)
{
	bool good = true;

	for (uint32_t i = 0; i < npu_graph_tensor_count(graph, NPU_OUTPUT) && good; i++) {
		char path[TEXT + 64];
		struct case_tensor want;
		struct npu_tensor_info info;
		size_t bytes = 0;
		double worst = 0;
		const void *got = npu_job_tensor(job, NPU_OUTPUT, i, &bytes);
		(void)snprintf(path, sizeof(path), "%s/test_data_set_%u/output_%u.pb", r->path, set, i);
		int rc = case_tensor_load(path, &want);
		good = false;
		if (rc)
			SAY(r, "output %u: %s", i, strerror(-rc));
		else if (npu_graph_tensor_info(graph, NPU_OUTPUT, i, &info))
			SAY(r, "output %u: %s", i, npu_error());
		else if (!case_fits(&want, info.type, bytes))
			SAY(r, "output %u: %s, %zu bytes instead of type %u, %zu bytes", i, npu_type_name(info.type),
			    bytes, want.dtype, want.bytes);
		else if (bytes && !case_compare(&want, got, &worst))
			SAY(r, "output %u differs: max error %g", i, worst);
		else
			good = true;
		case_tensor_free(&want);
	}
	return good;
}

static bool run_sets(struct run *r, struct npu_graph *graph, struct npu_job *job)
{
	bool good = true;

	for (uint32_t set = 0; good; set++) {
		char path[TEXT + 64];
		struct npu_result result;
		uint64_t ticket = 0;
		(void)snprintf(path, sizeof(path), "%s/test_data_set_%u", r->path, set);
		if (access(path, F_OK))
			return set > 0;
		good = feed(r, graph, job, set);
		if (!good)
			break;
		if (npu_job_submit(job, NULL, &ticket) || npu_wait(r->connection, ticket, RUN_TIMEOUT_NS, &result)) {
			SAY(r, "%s", npu_error());
			good = false;
		} else if (result.outcome != NPU_DONE) {
			SAY(r, "%s: %s", npu_outcome_name(result.outcome), result.message);
			good = false;
		} else {
			good = check(r, graph, job, set);
		}
	}
	return good;
}

static enum case_outcome run_device(struct run *r, const char *elf)
{
	struct npu_graph *graph = NULL;
	struct npu_job *job = NULL;
	bool good = false;

	if (npu_graph_load_file(r->connection, elf, &graph)) {
		SAY(r, "load: %s", npu_error());
		return CASE_FAILED;
	}
	if (npu_job_create(graph, &job))
		SAY(r, "job: %s", npu_error());
	else
		good = run_sets(r, graph, job);
	if (npu_job_free(job) || npu_graph_free(graph)) {
		SAY(r, "release: %s", npu_error());
		good = false;
	}
	return good ? CASE_PASSED : CASE_FAILED;
}

static enum case_outcome run_case(struct run *r, const char *model)
{
	char elf[TEXT + 16];

	(void)snprintf(elf, sizeof(elf), "%s/case.elf", r->folder);
	int rc = compile(r, model, elf);
	if (rc == NPUCC_UNSUPPORTED)
		return CASE_UNSUPPORTED;
	if (rc) {
		if (rc < 0 && !r->why[0])
			SAY(r, "npucc: %s", strerror(-rc));
		return CASE_FAILED;
	}
	if (!computes(elf)) {
		SAY(r, "no device instruction");
		return CASE_SKIPPED;
	}
	return run_device(r, elf);
}

static void count_case(struct run *r, const char *model)
{
	size_t bytes = 0;
	uint8_t *data = case_read_file(model, &bytes);
	Onnx__ModelProto *proto = data ? onnx__model_proto__unpack(NULL, bytes, data) : NULL;
	const char *end = strrchr(model, '/');

	free(data);
	(void)snprintf(r->path, sizeof(r->path), "%.*s", (int)(end - model), model);
	(void)snprintf(r->name, sizeof(r->name), "%s", strrchr(r->path, '/') + 1);
	r->why[0] = '\0';
	enum case_outcome outcome = run_case(r, model);
	if (outcome == CASE_UNSUPPORTED && proto && case_is_mandatory(proto)) {
		outcome = CASE_FAILED;
		printf("%s must be supported\n", r->name);
	}
	if (outcome == CASE_FAILED)
		printf("FAILED %s: %s\n", r->name, r->why);
	else if (outcome == CASE_SKIPPED)
		printf("skipped %s: %s\n", r->name, r->why);
	r->table.total[outcome]++;
	case_count(&r->table, proto ? case_operator(proto) : "?", outcome);
	if (proto)
		onnx__model_proto__free_unpacked(proto, NULL);
	(void)fflush(stdout);
}

static void remove_folder(const struct run *r)
{
	char path[TEXT + 16];

	(void)snprintf(path, sizeof(path), "%s/case.elf", r->folder);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/message", r->folder);
	(void)unlink(path);
	(void)rmdir(r->folder);
}

int main(int argc, char **argv)
{
	static struct run r;
	const char *data = argc > 2 ? argv[2] : CASES_FOLDER;
	const char *temporary = getenv("TMPDIR");
	char pattern[TEXT];
	glob_t models;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: conformance NPUCC [DATA-FOLDER [NAME-PATTERN]]\n");
		return 2;
	}
	r.npucc = argv[1];
	(void)snprintf(pattern, sizeof(pattern), "%s/*/%s/model.onnx", data, argc > 3 ? argv[3] : "*");
	(void)snprintf(r.folder, sizeof(r.folder), "%s/conformance.XXXXXX", temporary ? temporary : "/tmp");
	if (glob(pattern, 0, NULL, &models)) {
		printf("no models in %s\n0 passed, 1 failed, 0 skipped\n", data);
		return 1;
	}
	if (!mkdtemp(r.folder) || npu_connect(NULL, &r.connection)) {
		printf("cannot start: %s\n0 passed, 1 failed, 0 skipped\n",
		       r.connection ? strerror(errno) : npu_error());
		return 1;
	}
	for (size_t i = 0; i < models.gl_pathc; i++)
		count_case(&r, models.gl_pathv[i]);
	globfree(&models);
	npu_disconnect(r.connection);
	remove_folder(&r);
	case_print_table(&r.table);
	printf("unsupported: %u\n", r.table.total[CASE_UNSUPPORTED]);
	printf("%u passed, %u failed, %u skipped\n", r.table.total[CASE_PASSED], r.table.total[CASE_FAILED],
	       r.table.total[CASE_SKIPPED]);
	return r.table.total[CASE_FAILED] ? 1 : 0;
}
