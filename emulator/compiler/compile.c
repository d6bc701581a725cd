/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a compilation. Owns everything it allocates; hands over the finished bytes only. */
#include "emulator/compiler/cc.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_BUDGET (4ull << 30)
#define CACHE_BYTES (16u << 20)

void cc_open(struct cc *cc, const struct npucc_options *options)
{
	static const struct npucc_options defaults;

	*cc = (struct cc){.options = options ? options : &defaults};
	arena_init(&cc->arena, MEMORY_BUDGET);
	cc->cache = op_cache_new(CACHE_BYTES);
	if (!cc->cache)
		cc_out_of_memory(cc);
}

void cc_close(struct cc *cc)
{
	op_cache_free(cc->cache);
	arena_free(&cc->arena);
}

void cc_build(struct cc *cc, const void *model, size_t bytes)
{
	Onnx__ModelProto *proto = cc_failed(cc) ? NULL : model_unpack(cc, model, bytes);

	if (proto)
		model_lower(cc, proto);
	pass_fuse(cc);
	if (!cc_failed(cc))
		pass_remove_dead(cc);
	pass_elide_copies(cc);
	if (!cc_failed(cc))
		pass_remove_dead(cc);
	pass_split(cc);
	pass_plan(cc);
}

enum npucc_status npucc_compile(const void *model, size_t bytes, const struct npucc_options *options,
				struct npucc_result *result)
{
	struct cc cc;

	memset(result, 0, sizeof(*result));
	cc_open(&cc, options);
	cc_build(&cc, model, bytes);
	program_write(&cc, result);
	if (!cc_failed(&cc) && cc.options->dump)
		program_dump(&cc, result);
	result->stats = cc.stats;
	memcpy(result->error, cc.error, sizeof(result->error));
	if (cc_failed(&cc)) {
		free(result->elf);
		result->elf = NULL;
		result->elf_bytes = 0;
	}
	enum npucc_status status = cc.status;
	cc_close(&cc);
	return status;
}

void npucc_result_free(struct npucc_result *result)
{
	free(result->elf);
	free(result->dump);
	result->elf = NULL;
	result->dump = NULL;
}
