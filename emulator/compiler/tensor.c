/* SPDX-License-Identifier: Apache-2.0 */
/* Reads TensorProto: shape, type and data in any of its encodings become one constant. */
#include "emulator/compiler/cc.h"

#include <string.h>

static bool load_dims(struct cc *cc, const Onnx__TensorProto *tensor, uint32_t *dims)
{
	const char *name = tensor->name ? tensor->name : "";

	if (tensor->n_dims > ISA_MAX_RANK) {
		cc_unsupported(cc, "tensor \"%s\" has rank %zu: at most %u", name, tensor->n_dims, ISA_MAX_RANK);
		return false;
	}
	for (size_t i = 0; i < tensor->n_dims; i++) {
		if (tensor->dims[i] < 0 || tensor->dims[i] > INT32_MAX) {
			cc_bad(cc, "tensor \"%s\" has dimension %lld", name, (long long)tensor->dims[i]);
			return false;
		}
		dims[i] = (uint32_t)tensor->dims[i];
	}
	return true;
}

/* 32-bit and narrower integers, bool and the half types share int32_data. */
static void load_int32(const Onnx__TensorProto *tensor, uint32_t width, uint8_t *out)
{
	for (size_t i = 0; i < tensor->n_int32_data; i++)
		memcpy(out + i * width, &tensor->int32_data[i], width);
}

static void load_uint64(const Onnx__TensorProto *tensor, uint32_t width, uint8_t *out)
{
	for (size_t i = 0; i < tensor->n_uint64_data; i++)
		memcpy(out + i * width, &tensor->uint64_data[i], width);
}

/* Number of elements in the typed field that belongs to the type. */
static size_t typed_count(const Onnx__TensorProto *tensor, uint32_t dtype)
{
	switch (dtype) {
	case ZY_DATA_F32:
		return tensor->n_float_data;
	case ZY_DATA_F64:
		return tensor->n_double_data;
	case ZY_DATA_S64:
		return tensor->n_int64_data;
	case ZY_DATA_U32:
	case ZY_DATA_U64:
		return tensor->n_uint64_data;
	default:
		return tensor->n_int32_data;
	}
}

static void load_typed(const Onnx__TensorProto *tensor, uint32_t dtype, uint8_t *out)
{
	switch (dtype) {
	case ZY_DATA_F32:
		memcpy(out, tensor->float_data, tensor->n_float_data * sizeof(float));
		break;
	case ZY_DATA_F64:
		memcpy(out, tensor->double_data, tensor->n_double_data * sizeof(double));
		break;
	case ZY_DATA_S64:
		memcpy(out, tensor->int64_data, tensor->n_int64_data * sizeof(int64_t));
		break;
	case ZY_DATA_U32:
	case ZY_DATA_U64:
		load_uint64(tensor, dtype_bytes(dtype), out);
		break;
	default:
		load_int32(tensor, dtype_bytes(dtype), out);
		break;
	}
}

static void load_data(struct cc *cc, const Onnx__TensorProto *tensor, struct view *v)
{
	const char *name = tensor->name ? tensor->name : "";
	size_t elements = (size_t)view_elements(v);
	size_t have = tensor->has_raw_data ? tensor->raw_data.len : typed_count(tensor, v->dtype);
	size_t want = tensor->has_raw_data ? (size_t)v->st->bytes : elements;

	if (have != want) {
		cc_bad(cc, "tensor \"%s\" has %zu %s of data, its shape needs %zu", name, have,
		       tensor->has_raw_data ? "bytes" : "elements", want);
		return;
	}
	if (want == 0)
		return;
	if (tensor->has_raw_data)
		memcpy(v->st->data, tensor->raw_data.data, want);
	else
		load_typed(tensor, v->dtype, v->st->data);
	if (v->dtype == ZY_DATA_BOOL)
		for (size_t i = 0; i < elements; i++)
			v->st->data[i] = v->st->data[i] != 0;
}

struct view tensor_load(struct cc *cc, const Onnx__TensorProto *tensor)
{
	uint32_t dims[ISA_MAX_RANK] = {0};
	const char *name = tensor->name ? tensor->name : "";
	uint32_t dtype = dtype_from_onnx(tensor->data_type);

	if (cc_failed(cc) || !load_dims(cc, tensor, dims))
		return (struct view){0};
	if (dtype == ZY_DATA_NONE) {
		cc_unsupported(cc, "tensor \"%s\" has element type %d", name, tensor->data_type);
		return (struct view){0};
	}
	if (tensor->has_data_location && tensor->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
		cc_unsupported(cc, "tensor \"%s\" keeps its data in another file", name);
		return (struct view){0};
	}
	struct view v = tensor_const(cc, dtype, (uint32_t)tensor->n_dims, dims);
	if (!cc_failed(cc))
		load_data(cc, tensor, &v);
	return v;
}
