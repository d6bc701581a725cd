/* SPDX-License-Identifier: Apache-2.0 */
/* What was found, for people (standard output) and for programs (JSON). */
#include "docs/examples/faces/report.h"

#include <errno.h>
#include <stdio.h>

#include <jansson.h>

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

void report_print(const struct report *report)
{
	const struct network *network = report->network;

	for (size_t i = 0; i < report->count; i++) {
		const struct face *face = &report->faces[i];

		printf("face %zu: score %.3f, box %.0f,%.0f to %.0f,%.0f\n", i + 1, (double)face->score,
		       (double)(face->centre.x - face->size.x / 2), (double)(face->centre.y - face->size.y / 2),
		       (double)(face->centre.x + face->size.x / 2), (double)(face->centre.y + face->size.y / 2));
	}
	printf("time: photo %.1f ms, load %.1f ms, submit %.3f ms, device %.3f ms, read-back %.3f ms, faces %.3f ms\n",
	       ms(report->prepare_ns), ms(network->load_ns), ms(network->submit_ns), ms(network->device_ns),
	       ms(network->readback_ns), ms(report->decode_ns));
}

static json_t *face_json(const struct face *face)
{
	json_t *points = json_array();

	for (int k = 0; k < FACE_KEYPOINTS; k++)
		(void)json_array_append_new(
		    points, json_pack("[f, f]", (double)face->keypoints[k].x, (double)face->keypoints[k].y));
	return json_pack("{s:f, s:[f, f, f, f], s:o}", "score", (double)face->score, "box",
			 (double)(face->centre.x - face->size.x / 2), (double)(face->centre.y - face->size.y / 2),
			 (double)(face->centre.x + face->size.x / 2), (double)(face->centre.y + face->size.y / 2),
			 "keypoints", points);
}

int report_write_json(const struct report *report, const char *path, struct reason *why)
{
	const struct network *network = report->network;
	json_t *faces = json_array();

	for (size_t i = 0; i < report->count; i++)
		(void)json_array_append_new(faces, face_json(&report->faces[i]));
	json_t *root = json_pack("{s:s, s:I, s:I, s:o, s:{s:f, s:f, s:f, s:f, s:f, s:f}}", "photo", report->photo,
				 "width", (json_int_t)report->width, "height", (json_int_t)report->height, "faces",
				 faces, "milliseconds", "photo", ms(report->prepare_ns), "load", ms(network->load_ns),
				 "submit", ms(network->submit_ns), "device", ms(network->device_ns), "read_back",
				 ms(network->readback_ns), "faces", ms(report->decode_ns));
	if (!root)
		return reason_set(why, -EINVAL, "%s: the report cannot be written as JSON", path);
	int failed = json_dump_file(root, path, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	json_decref(root);
	return failed ? reason_set(why, -EIO, "%s: cannot be written", path) : 0;
}
