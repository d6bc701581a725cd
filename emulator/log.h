/* SPDX-License-Identifier: Apache-2.0 */
/* The software NPU's log: lines on standard error, by level. Never decides anything. */
#ifndef NPUD_EMULATOR_LOG_H
#define NPUD_EMULATOR_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum emu_log_level { EMU_LOG_ERROR = 0, EMU_LOG_WARN, EMU_LOG_INFO, EMU_LOG_DEBUG };

void emu_log_set_level(enum emu_log_level level);
/* 0, or -EINVAL for an unknown name */
int emu_log_parse_level(const char *name, enum emu_log_level *level);
void emu_log(enum emu_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Monotonic host time. */
uint64_t emu_now_ns(void);

#endif
