/* SPDX-License-Identifier: Apache-2.0 */
/* Renders and writes log lines; see log.h. Never allocates, never fails its caller. */
#include "daemon/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/util/clock.h"

#define LINE_BYTES 1024
#define VALUE_BYTES 256 /* of one text, before escaping */
#define PEERS 64
#define PEER_BURST 20u
#define PEER_REFILL_NS (NSEC_PER_SEC / 2)

static enum log_level current_level = LOG_LEVEL_INFO;
static enum log_format current_format = LOG_FORMAT_KV;
static bool on_journal;

struct line {
	char *out;
	size_t bytes;
	size_t used;
};

static void put(struct line *line, char c)
{
	if (line->used + 1 < line->bytes)
		line->out[line->used++] = c;
}

static void put_text(struct line *line, const char *text)
{
	while (*text)
		put(line, *text++);
}

/* Between quotes; control characters, quotes, backslashes and everything beyond ASCII become \uXXXX. */
static void put_escaped(struct line *line, const char *text)
{
	char code[8];

	put(line, '"');
	for (size_t i = 0; i < VALUE_BYTES && text[i]; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			put(line, (char)c);
		} else if (snprintf(code, sizeof(code), "\\u%04x", c) > 0) {
			put_text(line, code);
		}
	}
	put(line, '"');
}

static void put_number(struct line *line, uint64_t number)
{
	char text[24];

	if (snprintf(text, sizeof(text), "%" PRIu64, number) > 0)
		put_text(line, text);
}

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARN:
		return "warn";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
	default:
		return "debug";
	}
}

static void put_field(struct line *line, const struct log_field *field, bool json)
{
	if (json) {
		put_text(line, ",\"");
		put_text(line, field->key);
		put_text(line, "\":");
	} else {
		put(line, ' ');
		put_text(line, field->key);
		put(line, '=');
	}
	if (field->text)
		put_escaped(line, field->text);
	else
		put_number(line, field->number);
}

size_t log_render(char *out, size_t bytes, enum log_level level, const char *event, const struct log_field *fields,
		  size_t count, enum log_format format, bool journal)
{
	/* The end of a line is never cut off: it is what keeps the next line apart. */
	struct line line = {out, bytes - 2, 0};
	bool json = format == LOG_FORMAT_JSON;

	if (journal) {
		put(&line, '<');
		put(&line, (char)('0' + (int)level));
		put(&line, '>');
	}
	put_text(&line, json ? "{\"level\":\"" : "level=");
	put_text(&line, level_name(level));
	put_text(&line, json ? "\",\"event\":\"" : " event=");
	put_text(&line, event);
	if (json)
		put(&line, '"');
	for (size_t i = 0; i < count; i++) {
		size_t before = line.used;
		put_field(&line, &fields[i], json);
		/* A field that does not fit is left out whole, so that the line stays well formed. */
		if (line.used + 3 >= line.bytes) {
			line.used = before;
			break;
		}
	}
	if (json)
		out[line.used++] = '}';
	out[line.used++] = '\n';
	out[line.used] = '\0';
	return line.used;
}

/* The journal says so by naming the stream's device and inode. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char expected[64];
	struct stat file;

	if (!stream || fstat(STDERR_FILENO, &file) < 0)
		return false;
	int length = snprintf(expected, sizeof(expected), "%" PRIuMAX ":%" PRIuMAX, (uintmax_t)file.st_dev,
			      (uintmax_t)file.st_ino);
	return length > 0 && strcmp(stream, expected) == 0;
}

void log_setup(enum log_level level, enum log_format format)
{
	current_level = level;
	current_format = format;
	on_journal = stderr_is_journal();
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
	char text[LINE_BYTES];

	if (level > current_level)
		return;
	size_t bytes = log_render(text, sizeof(text), level, event, fields, count, current_format, on_journal);
	/* Nowhere is left to complain to. */
	if (write(STDERR_FILENO, text, bytes) < 0)
		return;
}

struct peer {
	uid_t uid;
	bool used;
	uint32_t tokens;
	uint64_t suppressed;
	nsec_t refilled;
	nsec_t seen;
};

static struct peer *find_peer(uid_t uid, nsec_t now)
{
	static struct peer peers[PEERS];
	struct peer *victim = &peers[0];

	for (size_t i = 0; i < PEERS; i++) {
		if (peers[i].used && peers[i].uid == uid)
			return &peers[i];
		if (!peers[i].used) {
			victim = &peers[i];
			break;
		}
		if (peers[i].seen.v < victim->seen.v)
			victim = &peers[i];
	}
	*victim = (struct peer){.uid = uid, .used = true, .tokens = PEER_BURST, .refilled = now};
	return victim;
}

bool log_peer_may(uid_t uid, enum log_level level)
{
	if (level > current_level)
		return false;
	nsec_t now = clock_now();
	struct peer *peer = find_peer(uid, now);
	uint64_t refill = nsec_since(now, peer->refilled) / PEER_REFILL_NS;

	peer->seen = now;
	if (refill) {
		peer->tokens = refill >= PEER_BURST - peer->tokens ? PEER_BURST : peer->tokens + (uint32_t)refill;
		peer->refilled = nsec_add(peer->refilled, refill * PEER_REFILL_NS);
	}
	if (peer->tokens == 0) {
		peer->suppressed++;
		return false;
	}
	peer->tokens--;
	if (peer->suppressed) {
		uint64_t suppressed = peer->suppressed;
		peer->suppressed = 0;
		log_event(LOG_LEVEL_WARN, "log.suppressed", LOG_U64("uid", uid), LOG_U64("lines", suppressed));
	}
	return true;
}
