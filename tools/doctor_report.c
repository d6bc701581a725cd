/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report: a line when it is known, so that the last one on the screen names what stopped a machine that stops; or
 * all of them as one JSON object at the end.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "tools/doctor.h"

static const char *topic_name(enum host_obstacle topic)
{
	static const char *const names[] = {"device", "iommu", "group",    "driver", "modules", "permission",
					    "memory", "power", "revision", "busy",   "switch"};

	return names[topic - HOST_NO_DEVICE];
}

static const char *status_name(enum doctor_status status)
{
	static const char *const names[] = {"ok", "warn", "fail"};

	return names[status];
}

static void line_put(struct doctor *doctor, enum doctor_status status, enum host_obstacle topic, const char *text)
{
	if (!doctor->lines) {
		printf("%-4s  %s: %s\n", status_name(status), topic_name(topic), text);
		(void)fflush(stdout);
		return;
	}
	json_t *line =
	    json_pack("{s:s, s:s, s:s}", "status", status_name(status), "topic", topic_name(topic), "text", text);
	(void)json_array_append_new(doctor->lines, line);
}

/* Names come from firmware: neither a terminal nor JSON shall choke on them. */
static void text_clean(char *text)
{
	for (; *text; text++)
		if (!isprint((unsigned char)*text))
			*text = '?';
}

void doctor_say(struct doctor *doctor, enum doctor_status status, enum host_obstacle topic, const char *format, ...)
{
	char text[DOCTOR_LINE_BYTES];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_clean(text);
	line_put(doctor, status, topic, text);
	if (status == DOCTOR_WARN)
		doctor->warnings++;
	if (status != DOCTOR_FAIL)
		return;
	doctor->failures++;
	if (!doctor->first || topic < doctor->first)
		doctor->first = topic;
}

void doctor_remedy(struct doctor *doctor, const char *format, ...)
{
	char text[DOCTOR_LINE_BYTES];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_clean(text);
	if (!doctor->lines) {
		printf("      do: %s\n", text);
		(void)fflush(stdout);
		return;
	}
	json_t *line = json_array_get(doctor->lines, json_array_size(doctor->lines) - 1);
	(void)json_object_set_new(line, "remedy", json_string(text));
}

static int json_close(struct doctor *doctor, int code)
{
	json_t *report = json_pack("{s:i, s:s, s:o}", "code", code, "obstacle",
				   doctor->first ? topic_name(doctor->first) : "none", "lines", doctor->lines);

	doctor->lines = NULL;
	int error = report ? json_dumpf(report, stdout, JSON_INDENT(2)) : -1;
	(void)putchar('\n');
	json_decref(report);
	return error ? EXIT_FAILURE : code;
}

int doctor_close(struct doctor *doctor, size_t devices)
{
	int code = (int)doctor->first;

	if (doctor->lines)
		return json_close(doctor, code);
	if (code)
		printf("%u obstacle%s, the first is %s: exit code %d\n", doctor->failures,
		       doctor->failures == 1 ? "" : "s", topic_name(doctor->first), code);
	else
		printf("nothing stands in the way of %zu NPU%s (%u warning%s)\n", devices, devices == 1 ? "" : "s",
		       doctor->warnings, doctor->warnings == 1 ? "" : "s");
	return code;
}
