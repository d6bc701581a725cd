/* SPDX-License-Identifier: Apache-2.0 */
/* The first error of a compilation, in one line, with the node it belongs to; and the names of element types. */
#include "emulator/compiler/cc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Model text goes to a terminal: printable ASCII only, and never the whole of a long name. */
static void text_append(char *text, size_t *used, size_t room, const char *from, size_t max)
{
	for (size_t i = 0; i < max && from[i] && *used + 1 < room; i++) {
		char c = from[i];
		text[(*used)++] = c >= 0x20 && c < 0x7f ? c : '?';
	}
	text[*used] = '\0';
}

static void error_record(struct cc *cc, enum npucc_status status, const char *format, va_list args)
{
	char prefix[64] = "";
	char message[NPUCC_ERROR_BYTES];
	size_t used = 0;

	if (cc_failed(cc))
		return;
	cc->status = status;
	if (vsnprintf(message, sizeof(message), format, args) < 0)
		message[0] = '\0';
	cc->error[0] = '\0';
	if (cc->node) {
		const char *name = cc->node->proto->name ? cc->node->proto->name : "";
		(void)snprintf(prefix, sizeof(prefix), "node %zu", cc->node->index);
		text_append(cc->error, &used, sizeof(cc->error), prefix, sizeof(prefix));
		if (name[0]) {
			text_append(cc->error, &used, sizeof(cc->error), " \"", 2);
			text_append(cc->error, &used, sizeof(cc->error), name, 128);
			text_append(cc->error, &used, sizeof(cc->error), "\"", 1);
		}
		text_append(cc->error, &used, sizeof(cc->error), " (", 2);
		text_append(cc->error, &used, sizeof(cc->error), cc->node->op, 64);
		text_append(cc->error, &used, sizeof(cc->error), "): ", 3);
	}
	if (status == NPUCC_UNSUPPORTED)
		text_append(cc->error, &used, sizeof(cc->error), "unsupported: ", 13);
	text_append(cc->error, &used, sizeof(cc->error), message, sizeof(message));
}

void cc_bad(struct cc *cc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_record(cc, NPUCC_BAD_MODEL, format, args);
	va_end(args);
}

void cc_unsupported(struct cc *cc, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_record(cc, NPUCC_UNSUPPORTED, format, args);
	va_end(args);
}

void cc_out_of_memory(struct cc *cc)
{
	cc_bad(cc, "the model needs more memory than the compiler may use");
}

void *cc_alloc(struct cc *cc, size_t count, size_t size)
{
	void *data = arena_array(&cc->arena, count, size);

	if (!data)
		cc_out_of_memory(cc);
	return data;
}

const char *cc_type_name(uint32_t dtype)
{
	static const char *const names[] = {"none", "bool", "u8",  "s8",  "u16", "s16", "u32",
					    "s32",  "u64",  "s64", "f16", "f32", "f64", "bf16"};

	return dtype < sizeof(names) / sizeof(names[0]) ? names[dtype] : "?";
}

const char *cc_dims_text(uint32_t rank, const uint32_t *dims, char *text, size_t bytes)
{
	size_t used = 0;

	if (rank == 0)
		(void)snprintf(text, bytes, "scalar");
	for (uint32_t i = 0; i < rank && used < bytes; i++) {
		int n = snprintf(text + used, bytes - used, i ? "x%u" : "%u", dims[i]);
		used += n > 0 ? (size_t)n : 0;
	}
	return text;
}

uint32_t dtype_bytes(uint32_t dtype)
{
	static const uint8_t bytes[] = {0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 4, 8, 2};

	return dtype < sizeof(bytes) ? bytes[dtype] : 0;
}

uint32_t dtype_from_onnx(int32_t onnx_type)
{
	switch (onnx_type) {
	case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
		return ZY_DATA_F32;
	case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8:
		return ZY_DATA_U8;
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
		return ZY_DATA_S8;
	case ONNX__TENSOR_PROTO__DATA_TYPE__UINT16:
		return ZY_DATA_U16;
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT16:
		return ZY_DATA_S16;
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
		return ZY_DATA_S32;
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
		return ZY_DATA_S64;
	case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL:
		return ZY_DATA_BOOL;
	case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
		return ZY_DATA_F16;
	case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
		return ZY_DATA_F64;
	case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32:
		return ZY_DATA_U32;
	case ONNX__TENSOR_PROTO__DATA_TYPE__UINT64:
		return ZY_DATA_U64;
	case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
		return ZY_DATA_BF16;
	default:
		return ZY_DATA_NONE;
	}
}
