/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of a node: typed access, with an error when the model's type or size is not what the operator takes. */
#include "emulator/compiler/cc.h"

#include <string.h>

const Onnx__AttributeProto *attr_find(const struct node *n, const char *name)
{
	for (size_t i = 0; i < n->proto->n_attribute; i++)
		if (n->proto->attribute[i]->name && strcmp(n->proto->attribute[i]->name, name) == 0)
			return n->proto->attribute[i];
	return NULL;
}

/* Old writers leave the type out: the field that is present then decides. */
static const Onnx__AttributeProto *attr_typed(struct cc *cc, const struct node *n, const char *name,
					      Onnx__AttributeProto__AttributeType type)
{
	const Onnx__AttributeProto *a = cc_failed(cc) ? NULL : attr_find(n, name);

	if (a && a->has_type && a->type != type && a->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED) {
		cc_bad(cc, "attribute \"%s\" has type %d instead of %d", name, (int)a->type, (int)type);
		return NULL;
	}
	return a;
}

int64_t attr_int(struct cc *cc, const struct node *n, const char *name, int64_t fallback)
{
	const Onnx__AttributeProto *a = attr_typed(cc, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);

	return a ? a->i : fallback;
}

float attr_float(struct cc *cc, const struct node *n, const char *name, float fallback)
{
	const Onnx__AttributeProto *a = attr_typed(cc, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);

	return a ? a->f : fallback;
}

const char *attr_string(struct cc *cc, const struct node *n, const char *name, const char *fallback)
{
	const Onnx__AttributeProto *a = attr_typed(cc, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);

	if (!a)
		return fallback;
	if (a->s.len > 256) {
		cc_bad(cc, "attribute \"%s\" is %zu bytes long", name, a->s.len);
		return fallback;
	}
	const char *text = arena_strndup(&cc->arena, a->s.data ? (const char *)a->s.data : "", a->s.len);
	if (!text)
		cc_out_of_memory(cc);
	return text ? text : fallback;
}

bool attr_ints(struct cc *cc, const struct node *n, const char *name, int64_t *out, uint32_t max, uint32_t *count)
{
	const Onnx__AttributeProto *a = attr_typed(cc, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);

	*count = 0;
	if (!a)
		return false;
	if (a->n_ints > max) {
		cc_bad(cc, "attribute \"%s\" has %zu entries: at most %u", name, a->n_ints, max);
		return false;
	}
	if (a->n_ints)
		memcpy(out, a->ints, a->n_ints * sizeof(*out));
	*count = (uint32_t)a->n_ints;
	return true;
}

bool attr_floats(struct cc *cc, const struct node *n, const char *name, float *out, uint32_t max, uint32_t *count)
{
	const Onnx__AttributeProto *a = attr_typed(cc, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);

	*count = 0;
	if (!a)
		return false;
	if (a->n_floats > max) {
		cc_bad(cc, "attribute \"%s\" has %zu entries: at most %u", name, a->n_floats, max);
		return false;
	}
	if (a->n_floats)
		memcpy(out, a->floats, a->n_floats * sizeof(*out));
	*count = (uint32_t)a->n_floats;
	return true;
}

uint32_t axis_of(struct cc *cc, int64_t axis, uint32_t rank)
{
	if (axis < -(int64_t)rank || axis >= (int64_t)rank) {
		cc_bad(cc, "axis %lld of a tensor of rank %u", (long long)axis, rank);
		return 0;
	}
	return (uint32_t)(axis < 0 ? axis + rank : axis);
}
