/* SPDX-License-Identifier: Apache-2.0 */
/* npucc: the command line. Reads one model, writes one executable; what goes wrong is one line on stderr. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emulator/compiler/npucc.h"

#define MAX_MODEL_BYTES (1ull << 30)
#define MAX_SHAPES 64u

static const char usage[] =
    "usage: npucc MODEL.onnx -o OUT.elf [--shape NAME=1x3x48x192]... [--stats] [--dump]\n"
    "\n"
    "Compiles an ONNX model into a Zhouyi X2 executable for the software NPU.\n"
    "  -o FILE          the executable\n"
    "  --shape NAME=D   fixes the shape of an input whose dimensions the model leaves open\n"
    "  --stats          prints sizes and counts as \"key: value\" lines\n"
    "  --dump           prints the program, one instruction a line\n"
    "Exit codes: 0 done, 1 bad model or file, 2 wrong use, 3 the model uses something unsupported.\n";

struct arguments {
	const char *model;
	const char *out;
	bool stats;
	bool dump;
	struct npucc_shape shapes[MAX_SHAPES];
	size_t shape_count;
};

/* NAME=1x3x48x192; cuts the text at the last '='. */
static int parse_shape(char *text, struct npucc_shape *shape)
{
	char *equals = strrchr(text, '=');

	if (!equals || equals == text)
		return -EINVAL;
	*equals = '\0';
	shape->name = text;
	shape->rank = 0;
	for (char *at = equals + 1; *at;) {
		char *end = NULL;
		errno = 0;
		unsigned long dim = strtoul(at, &end, 10);
		if (errno || end == at || *at < '0' || *at > '9' || dim == 0 || dim > INT32_MAX ||
		    shape->rank == ISA_MAX_RANK || (*end && *end != 'x') || (*end == 'x' && !end[1]))
			return -EINVAL;
		shape->dims[shape->rank++] = (uint32_t)dim;
		at = *end ? end + 1 : end;
	}
	return 0;
}

static int parse_arguments(int argc, char **argv, struct arguments *args)
{
	static const struct option options[] = {{"shape", required_argument, NULL, 's'},
						{"stats", no_argument, NULL, 't'},
						{"dump", no_argument, NULL, 'd'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int c = 0;

	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			args->out = optarg;
			break;
		case 's':
			if (args->shape_count == MAX_SHAPES ||
			    parse_shape(optarg, &args->shapes[args->shape_count]) != 0) {
				(void)fprintf(stderr, "npucc: --shape wants NAME=1x3x48x192\n");
				return NPUCC_USAGE;
			}
			args->shape_count++;
			break;
		case 't':
			args->stats = true;
			break;
		case 'd':
			args->dump = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default:
			return NPUCC_USAGE;
		}
	}
	if (optind + 1 != argc || !args->out) {
		(void)fputs(usage, stderr);
		return NPUCC_USAGE;
	}
	args->model = argv[optind];
	return 0;
}

static int read_file(const char *path, uint8_t **data, size_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *buffer = NULL;
	size_t used = 0;
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (!S_ISREG(st.st_mode))
		rc = -EINVAL;
	else if ((uint64_t)st.st_size > MAX_MODEL_BYTES)
		rc = -EFBIG;
	else if (!(buffer = malloc((size_t)st.st_size + 1)))
		rc = -ENOMEM;
	while (rc == 0 && used < (size_t)st.st_size) {
		ssize_t n = read(fd, buffer + used, (size_t)st.st_size - used);
		if (n < 0 && errno != EINTR)
			rc = -errno;
		else if (n == 0)
			break;
		used += n > 0 ? (size_t)n : 0;
	}
	(void)close(fd);
	if (rc) {
		free(buffer);
		return rc;
	}
	*data = buffer;
	*bytes = used;
	return 0;
}

/* Through a temporary name: an executable is whole or not there. */
static int write_file(const char *path, const uint8_t *data, size_t bytes)
{
	char name[4096];
	size_t used = 0;
	int rc = 0;

	int n = snprintf(name, sizeof(name), "%s.%ld.tmp", path, (long)getpid());
	if (n < 0 || (size_t)n >= sizeof(name))
		return -ENAMETOOLONG;
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	while (rc == 0 && used < bytes) {
		ssize_t written = write(fd, data + used, bytes - used);
		if (written < 0 && errno != EINTR)
			rc = -errno;
		used += written > 0 ? (size_t)written : 0;
	}
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(name, path) < 0)
		rc = -errno;
	if (rc)
		(void)unlink(name);
	return rc;
}

static void print_stats(const struct npucc_result *r)
{
	const struct npucc_stats *s = &r->stats;
	double ratio = s->live_peak_bytes ? (double)s->planned_bytes / (double)s->live_peak_bytes : 1.0;

	printf("live_peak_bytes: %llu\n", (unsigned long long)s->live_peak_bytes);
	printf("planned_bytes: %llu\n", (unsigned long long)s->planned_bytes);
	printf("planned_ratio: %.3f\n", ratio);
	printf("input_bytes: %llu\n", (unsigned long long)s->input_bytes);
	printf("output_bytes: %llu\n", (unsigned long long)s->output_bytes);
	printf("weight_bytes: %llu\n", (unsigned long long)s->weight_bytes);
	printf("macs: %llu\n", (unsigned long long)s->macs);
	printf("instructions: %u\n", s->instructions);
	printf("barriers: %u\n", s->barriers);
	printf("groups: %u\n", s->groups);
	printf("fused: %u\n", s->fused);
	printf("elided: %u\n", s->elided);
	printf("folded: %u\n", s->folded);
	printf("file_bytes: %zu\n", r->elf_bytes);
}

int main(int argc, char **argv)
{
	struct arguments args = {0};
	struct npucc_result result;
	uint8_t *model = NULL;
	size_t bytes = 0;

	int rc = parse_arguments(argc, argv, &args);
	if (rc)
		return rc;
	rc = read_file(args.model, &model, &bytes);
	if (rc) {
		(void)fprintf(stderr, "npucc: %s: %s\n", args.model, strerror(-rc));
		return NPUCC_BAD_MODEL;
	}
	struct npucc_options options = {.shapes = args.shapes, .shape_count = args.shape_count, .dump = args.dump};
	enum npucc_status status = npucc_compile(model, bytes, &options, &result);
	free(model);
	if (status != NPUCC_OK) {
		(void)fprintf(stderr, "npucc: %s: %s\n", args.model, result.error);
		return (int)status;
	}
	rc = write_file(args.out, result.elf, result.elf_bytes);
	if (rc)
		(void)fprintf(stderr, "npucc: %s: %s\n", args.out, strerror(-rc));
	if (args.dump)
		(void)fputs(result.dump, stdout);
	if (args.stats)
		print_stats(&result);
	npucc_result_free(&result);
	return rc ? NPUCC_BAD_MODEL : NPUCC_OK;
}
