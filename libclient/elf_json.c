/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and shapes from the optional note graphjson: {"inputs": [{"name", "shape", "type"}], "outputs": [...]}. A note
 * of another form is somebody else's and is ignored; one of this form must agree with the tensor lists.
 */
#include <jansson.h>

#include "libclient/elf_parts.h"

#define MAX_JSON_BYTES (1u << 20)

static const char *const list_names[2] = {[NPU_INPUT] = "inputs", [NPU_OUTPUT] = "outputs"};

static int read_shape(struct npu_elf_parse *parse, struct npu_elf_tensor *tensor, const json_t *shape, const char *list,
		      size_t index)
{
	const struct npu_elf_sub *sub = &parse->elf->subs[tensor->sub];
	size_t rank = json_array_size(shape);
	uint64_t bytes = npu_type_bytes((enum npu_type)sub->data_type);

	if (!json_is_array(shape) || rank > NPU_MAX_RANK)
		return npu_elf_refuse(parse, -EBADMSG,
				      "note graphjson: %s[%zu].shape is not an array of up to %d numbers", list, index,
				      NPU_MAX_RANK);
	for (size_t i = 0; i < rank; i++) {
		const json_t *dim = json_array_get(shape, i);
		json_int_t value = json_integer_value(dim);

		if (!json_is_integer(dim) || value < 0 || value > UINT32_MAX)
			return npu_elf_refuse(parse, -EBADMSG,
					      "note graphjson: %s[%zu].shape[%zu] is not a number from 0 to 4294967295",
					      list, index, i);
		/* cannot wrap: both factors are below 2^32, and the product is checked to stay there */
		bytes *= (uint64_t)value;
		if (bytes > UINT32_MAX)
			return npu_elf_refuse(parse, -EBADMSG, "note graphjson: %s[%zu].shape is over 4 GiB", list,
					      index);
		tensor->shape[i] = (uint32_t)value;
	}
	if (bytes != sub->bytes)
		return npu_elf_refuse(
		    parse, -EBADMSG, "note graphjson: %s[%zu].shape makes %llu bytes, the tensor has %u (data_type %u)",
		    list, index, (unsigned long long)bytes, sub->bytes, sub->data_type);
	tensor->rank = (uint32_t)rank;
	return 0;
}

static int read_tensor(struct npu_elf_parse *parse, struct npu_elf_tensor *tensor, const json_t *item, const char *list,
		       size_t index)
{
	const json_t *name = json_object_get(item, "name");
	const json_t *shape = json_object_get(item, "shape");

	if (!json_is_object(item))
		return npu_elf_refuse(parse, -EBADMSG, "note graphjson: %s[%zu] is not an object", list, index);
	if (name) {
		size_t length = json_string_length(name);

		if (!json_is_string(name) || length >= sizeof(tensor->name) ||
		    strlen(json_string_value(name)) != length)
			return npu_elf_refuse(parse, -EBADMSG,
					      "note graphjson: %s[%zu].name is not a string of up to %zu bytes", list,
					      index, sizeof(tensor->name) - 1);
		memcpy(tensor->name, json_string_value(name), length + 1);
	}
	return shape ? read_shape(parse, tensor, shape, list, index) : 0;
}

static int read_list(struct npu_elf_parse *parse, enum npu_direction direction, const json_t *list)
{
	struct npu_elf *elf = parse->elf;
	const char *name = list_names[direction];

	if (json_array_size(list) != elf->tensor_count[direction])
		return npu_elf_refuse(parse, -EBADMSG, "note graphjson: %s has %zu entries, the file has %u tensors",
				      name, json_array_size(list), elf->tensor_count[direction]);
	for (size_t i = 0; i < elf->tensor_count[direction]; i++) {
		int rc = read_tensor(parse, &elf->tensors[direction][i], json_array_get(list, i), name, i);

		if (rc)
			return rc;
	}
	return 0;
}

int npu_elf_read_graphjson(struct npu_elf_parse *parse)
{
	struct npu_span note = parse->note[NPU_NOTE_GRAPHJSON];

	while (note.bytes && note.data[note.bytes - 1] == '\0')
		note.bytes--;
	if (note.bytes == 0 || note.bytes > MAX_JSON_BYTES)
		return 0;
	json_t *root = json_loadb((const char *)note.data, note.bytes, 0, NULL);
	const json_t *inputs = json_object_get(root, list_names[NPU_INPUT]);
	const json_t *outputs = json_object_get(root, list_names[NPU_OUTPUT]);
	int rc = 0;

	if (json_is_array(inputs) && json_is_array(outputs)) {
		rc = read_list(parse, NPU_INPUT, inputs);
		if (rc == 0)
			rc = read_list(parse, NPU_OUTPUT, outputs);
	}
	json_decref(root);
	return rc;
}
