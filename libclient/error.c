/* SPDX-License-Identifier: Apache-2.0 */
/* The reason text of each thread, and the names of the public enumerations. Never allocates. */
#include <stdarg.h>
#include <stdio.h>

#include "libclient/error.h"
#include "libclient/include/npu/npu.h"
#include "proto/limits.h"

static _Thread_local char reason[NPUD_MAX_ERROR_TEXT + NPUD_MAX_STRING_BYTES];

void npu_error_set(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	for (char *c = reason; *c; c++) {
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	}
}

void npu_error_clear(void)
{
	reason[0] = '\0';
}

const char *npu_error(void)
{
	return reason;
}

const char *npu_version(void)
{
	return NPUD_VERSION;
}

const char *npu_outcome_name(enum npu_outcome outcome)
{
	switch (outcome) {
	case NPU_DONE:
		return "done";
	case NPU_EXCEPTION:
		return "exception";
	case NPU_FAULT:
		return "fault";
	case NPU_TIMEOUT:
		return "timeout";
	case NPU_CANCELLED:
		return "cancelled";
	case NPU_DEVICE_RESET:
		return "device reset";
	case NPU_DEVICE_GONE:
		return "device gone";
	case NPU_SHED:
		return "shed";
	case NPU_QUARANTINED:
		return "quarantined";
	case NPU_DEPENDENCY:
		return "dependency failed";
	}
	return "unknown";
}

static const struct {
	const char *name;
	size_t bytes;
} types[] = {
    [NPU_TYPE_NONE] = {"none", 0}, [NPU_BOOL] = {"bool", 1},     [NPU_U8] = {"uint8", 1},    [NPU_S8] = {"int8", 1},
    [NPU_U16] = {"uint16", 2},     [NPU_S16] = {"int16", 2},     [NPU_U32] = {"uint32", 4},  [NPU_S32] = {"int32", 4},
    [NPU_U64] = {"uint64", 8},     [NPU_S64] = {"int64", 8},     [NPU_F16] = {"float16", 2}, [NPU_F32] = {"float32", 4},
    [NPU_F64] = {"float64", 8},    [NPU_BF16] = {"bfloat16", 2},
};

const char *npu_type_name(enum npu_type type)
{
	return (size_t)type < sizeof(types) / sizeof(types[0]) ? types[type].name : "unknown";
}

size_t npu_type_bytes(enum npu_type type)
{
	return (size_t)type < sizeof(types) / sizeof(types[0]) ? types[type].bytes : 0;
}
