/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model made ready to run. ONNX is compiled by the npucc beside this program (or in $PATH) into a temporary file
 * that is gone again before the first run.
 */
#include "tools/run.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

static bool model_is_onnx(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot && strcasecmp(dot, ".onnx") == 0;
}

/* Beside this program, as in a build tree and in an installation; else wherever $PATH finds it. */
static const char *npucc_find(char *path, size_t bytes)
{
	char self[PATH_MAX] = "";
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length > 0) {
		self[length] = 0;
		int n = snprintf(path, bytes, "%s/npucc", dirname(self));
		if (n > 0 && (size_t)n < bytes && access(path, X_OK) == 0)
			return path;
	}
	return "npucc";
}

static void npucc_exec(const struct run_options *options, const char *elf)
{
	char path[PATH_MAX];
	const char *arguments[4 + 2 * RUN_MAX_SHAPES + 1] = {npucc_find(path, sizeof(path)), options->model, "-o", elf};
	size_t count = 4;

	for (size_t i = 0; i < options->shape_count; i++) {
		arguments[count++] = "--shape";
		arguments[count++] = options->shapes[i];
	}
	arguments[count] = NULL;
	execvp(arguments[0], (char *const *)(uintptr_t)arguments);
	(void)fprintf(stderr, "npuctl run: cannot start npucc: %s\n", strerror(errno));
	_exit(127);
}

static int npucc_run(const struct run_options *options, const char *elf, struct reason *why)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before = {0};
	int status = 0;

	/* Ctrl-C ends npucc, and this program after it, once the temporary file is removed. */
	(void)sigaction(SIGINT, &ignore, &before);
	pid_t child = fork();
	if (child == 0) {
		(void)sigaction(SIGINT, &before, NULL);
		npucc_exec(options, elf);
	}
	pid_t done = child;
	while (child > 0 && (done = waitpid(child, &status, 0)) < 0 && errno == EINTR)
		;
	(void)sigaction(SIGINT, &before, NULL);
	if (child < 0 || done < 0)
		return reason_set(why, -errno, "cannot start npucc: %s", strerror(errno));
	if (WIFSIGNALED(status))
		return reason_set(why, -EINTR, "npucc was ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return reason_set(why, -EINVAL, "npucc cannot compile %s", options->model);
	return 0;
}

static int model_compile_and_load(struct run_model *model, const struct run_options *options, struct reason *why)
{
	const char *folder = getenv("TMPDIR");
	char elf[PATH_MAX];

	int n = snprintf(elf, sizeof(elf), "%s/npuctl.XXXXXX", folder && *folder ? folder : "/tmp");
	if (n < 0 || (size_t)n >= sizeof(elf))
		return reason_set(why, -ENAMETOOLONG, "$TMPDIR is too long");
	int fd = mkstemp(elf);
	if (fd < 0)
		return reason_set(why, -errno, "cannot create %s: %s", elf, strerror(errno));
	close(fd);
	int error = npucc_run(options, elf, why);
	if (!error) {
		error = npu_graph_load_file(model->connection, elf, &model->graph);
		if (error)
			(void)reason_set(why, error, "%s, compiled: %s", options->model, npu_error());
	}
	(void)unlink(elf);
	return error;
}

static int model_load(struct run_model *model, const struct run_options *options, struct reason *why)
{
	if (model_is_onnx(options->model)) {
		if (access(options->model, R_OK) < 0)
			return reason_set(why, -errno, "%s: %s", options->model, strerror(errno));
		return model_compile_and_load(model, options, why);
	}
	if (options->shape_count > 0)
		return reason_set(why, -EINVAL, "--shape is for ONNX models; %s has its shapes already",
				  options->model);
	int error = npu_graph_load_file(model->connection, options->model, &model->graph);
	return error ? reason_set(why, error, "%s: %s", options->model, npu_error()) : 0;
}

int run_model_open(struct run_model *model, const struct run_options *options, struct reason *why)
{
	*model = (struct run_model){0};
	int error = npu_connect(options->socket, &model->connection);
	if (error)
		return reason_set(why, error, "cannot reach npud: %s", npu_error());
	error = model_load(model, options, why);
	if (error)
		return error;
	error = npu_job_create(model->graph, &model->job);
	return error ? reason_set(why, error, "%s: %s", options->model, npu_error()) : 0;
}

void run_model_close(struct run_model *model)
{
	npu_disconnect(model->connection);
	*model = (struct run_model){0};
}
