/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured log to stderr: one line per event, key=value or JSON, with journald's priority prefix on the journal.
 * Everything that is not ours is escaped and bounded. Loop thread only.
 */
#ifndef NPUD_LOG_H
#define NPUD_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };
enum log_format { LOG_FORMAT_KV, LOG_FORMAT_JSON };

struct log_field {
	const char *key;
	const char *text; /* NULL: a number */
	uint64_t number;
};

#define LOG_STR(key_, text_) ((struct log_field){.key = (key_), .text = (text_)})
#define LOG_U64(key_, number_) ((struct log_field){.key = (key_), .number = (number_)})

/* log_event(level, "what.happened", LOG_STR(...), LOG_U64(...)...), at least one field */
#define log_event(level, event, ...)                                                                                   \
	log_write((level), (event), (const struct log_field[]){__VA_ARGS__},                                           \
		  sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* The same, bounded per peer: a client that fails in a loop does not fill the disk. */
#define log_peer_event(uid, level, event, ...)                                                                         \
	do {                                                                                                           \
		if (log_peer_may((uid), (level)))                                                                      \
			log_event((level), (event), __VA_ARGS__);                                                      \
	} while (0)

void log_setup(enum log_level level, enum log_format format);
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count);
/* Takes a token of that uid: 20 at once, then 2 per second. Says once what it suppressed. */
bool log_peer_may(uid_t uid, enum log_level level);

/* The line as it would be written, newline and NUL included; returns its length. For tests, and log_write. */
size_t log_render(char *out, size_t bytes, enum log_level level, const char *event, const struct log_field *fields,
		  size_t count, enum log_format format, bool journal);

#endif
