/* SPDX-License-Identifier: Apache-2.0 */
/* The software NPU's log and its host clock. Never decides anything. */
#include "emulator/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static atomic_int log_level = EMU_LOG_WARN;
static const char *const log_names[] = {"error", "warn", "info", "debug"};

void emu_log_set_level(enum emu_log_level level)
{
	atomic_store(&log_level, (int)level);
}

int emu_log_parse_level(const char *name, enum emu_log_level *level)
{
	for (int i = 0; i <= EMU_LOG_DEBUG; i++) {
		if (strcmp(name, log_names[i]) == 0) {
			*level = (enum emu_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void emu_log(enum emu_log_level level, const char *format, ...)
{
	char text[512];
	va_list args;

	if ((int)level > atomic_load(&log_level))
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)fprintf(stderr, "npu-emu: %s: %s\n", log_names[level], text);
}

uint64_t emu_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
