/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's .npy files. The header is a Python dictionary; only the three keys that NumPy writes are understood, and
 * nothing is trusted before it was checked against the file's size.
 */
#include "tools/npy.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/file.h"

#define NPY_MAX_HEADER 65536u

static const struct {
	const char *descr;
	enum npu_type type;
} npy_types[] = {{"|b1", NPU_BOOL}, {"|u1", NPU_U8},  {"|i1", NPU_S8},   {"<u2", NPU_U16}, {"<i2", NPU_S16},
		 {"<u4", NPU_U32},  {"<i4", NPU_S32}, {"<u8", NPU_U64},  {"<i8", NPU_S64}, {"<f2", NPU_F16},
		 {"<f4", NPU_F32},  {"<f8", NPU_F64}, {"<V2", NPU_BF16}, {"|V2", NPU_BF16}};

const char *shape_text(uint32_t rank, const uint32_t *shape, char *text, size_t bytes)
{
	size_t used = 0;

	(void)snprintf(text, bytes, "scalar");
	for (uint32_t i = 0; i < rank && used < bytes; i++) {
		int n = snprintf(text + used, bytes - used, "%s%u", i ? "x" : "", shape[i]);

		used += n > 0 ? (size_t)n : bytes;
	}
	return text;
}

static const char *skip_space(const char *p)
{
	while (*p == ' ' || *p == '\n' || *p == '\t')
		p++;
	return p;
}

/* What follows "'key':", or NULL. */
static const char *npy_value(const char *header, const char *key)
{
	const char *at = strstr(header, key);

	if (!at)
		return NULL;
	at = skip_space(at + strlen(key));
	return *at == ':' ? skip_space(at + 1) : NULL;
}

static int npy_type_parse(const char *path, const char *header, struct npy *npy, struct reason *why)
{
	const char *at = npy_value(header, "'descr'");

	if (!at || *at != '\'')
		return reason_set(why, -EBADMSG, "%s: the .npy header has no single 'descr'", path);
	size_t length = strcspn(at + 1, "'");
	for (size_t i = 0; i < sizeof(npy_types) / sizeof(npy_types[0]); i++) {
		if (length == strlen(npy_types[i].descr) && strncmp(at + 1, npy_types[i].descr, length) == 0)
			npy->type = npy_types[i].type;
	}
	if (npy->type == NPU_TYPE_NONE)
		return reason_set(why, -ENOTSUP, "%s: element type '%.*s' of the .npy file is not supported", path,
				  (int)(length < 16 ? length : 16), at + 1);
	return 0;
}

static int npy_shape_parse(const char *path, const char *header, struct npy *npy, struct reason *why)
{
	const char *at = npy_value(header, "'shape'");
	uint64_t elements = 1;

	if (!at || *at != '(')
		return reason_set(why, -EBADMSG, "%s: the .npy header has no 'shape'", path);
	for (at = skip_space(at + 1); *at != ')'; at = skip_space(at)) {
		char *end = NULL;

		if (!isdigit((unsigned char)*at))
			return reason_set(why, -EBADMSG, "%s: 'shape' of the .npy header is malformed", path);
		unsigned long long dim = strtoull(at, &end, 10);
		if (npy->rank == NPU_MAX_RANK)
			return reason_set(why, -ENOTSUP, "%s: more than %d dimensions", path, NPU_MAX_RANK);
		if (dim > UINT32_MAX || (dim && elements > NPY_MAX_BYTES / dim))
			return reason_set(why, -EFBIG, "%s: the shape is too large", path);
		elements *= dim;
		npy->shape[npy->rank++] = (uint32_t)dim;
		at = skip_space(end);
		if (*at == ',')
			at++;
		else if (*at != ')')
			return reason_set(why, -EBADMSG, "%s: 'shape' of the .npy header is malformed", path);
	}
	npy->bytes = (size_t)elements * npu_type_bytes(npy->type);
	return 0;
}

static int npy_header_parse(const char *path, const char *header, struct npy *npy, struct reason *why)
{
	const char *order = npy_value(header, "'fortran_order'");

	int error = npy_type_parse(path, header, npy, why);
	if (error)
		return error;
	if (!order || strncmp(order, "False", 5) != 0)
		return reason_set(why, -ENOTSUP, "%s: the .npy file is in Fortran order; save a C-order array", path);
	return npy_shape_parse(path, header, npy, why);
}

int npy_parse(const char *path, const void *file, size_t bytes, struct npy *out, struct reason *why)
{
	const uint8_t *p = file;
	struct npy npy = {0};

	if (bytes < 12 || memcmp(p, "\x93NUMPY", 6) != 0)
		return reason_set(why, -EBADMSG, "%s: not a .npy file", path);
	if (p[6] < 1 || p[6] > 3)
		return reason_set(why, -ENOTSUP, "%s: .npy version %u.%u is not supported", path, p[6], p[7]);
	size_t start = p[6] == 1 ? 10 : 12;
	size_t length = (size_t)p[8] | (size_t)p[9] << 8;
	if (p[6] > 1)
		length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
	if (length > NPY_MAX_HEADER || length > bytes - start)
		return reason_set(why, -EBADMSG, "%s: the .npy header is longer than the file", path);
	char *header = strndup((const char *)p + start, length);
	if (!header)
		return reason_set(why, -ENOMEM, "%s: out of memory", path);
	int error = npy_header_parse(path, header, &npy, why);
	free(header);
	if (error)
		return error;
	if (npy.bytes != bytes - start - length)
		return reason_set(why, -EBADMSG, "%s: %zu bytes of data where the header announces %zu", path,
				  bytes - start - length, npy.bytes);
	npy.data = p + start + length;
	*out = npy;
	return 0;
}

int npy_read(const char *path, struct npy *out, struct reason *why)
{
	uint8_t *file = NULL;
	size_t bytes = 0;
	int error = file_read(path, NPY_MAX_BYTES, &file, &bytes, why);

	if (error)
		return error;
	error = npy_parse(path, file, bytes, out, why);
	if (error)
		free(file);
	else
		out->file = file;
	return error;
}

void npy_free(struct npy *npy)
{
	free(npy->file);
	*npy = (struct npy){0};
}

int npy_write(const char *path, enum npu_type type, uint32_t rank, const uint32_t *shape, const void *data,
	      size_t bytes, struct reason *why)
{
	uint8_t head[512] = "\x93NUMPY\x01";
	char dims[160] = "";
	size_t used = 0;
	const char *descr = NULL;

	for (size_t i = 0; i < sizeof(npy_types) / sizeof(npy_types[0]) && !descr; i++) {
		if (npy_types[i].type == type)
			descr = npy_types[i].descr;
	}
	if (!descr || rank > NPU_MAX_RANK)
		return reason_set(why, -ENOTSUP, "%s: a .npy file cannot hold type %s", path, npu_type_name(type));
	for (uint32_t i = 0; i < rank; i++)
		used += (size_t)snprintf(dims + used, sizeof(dims) - used, "%u,%s", shape[i], i + 1 < rank ? " " : "");
	int n = snprintf((char *)head + 10, sizeof(head) - 10,
			 "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims);
	/* The data starts at a multiple of 64; the header is padded with spaces and ends in a newline. */
	size_t start = (10 + (size_t)n + 1 + 63) / 64 * 64;
	memset(head + 10 + n, ' ', start - 10 - (size_t)n);
	head[start - 1] = '\n';
	head[8] = (uint8_t)((start - 10) & 0xff);
	head[9] = (uint8_t)((start - 10) >> 8);
	return file_write(path, head, start, data, bytes, why);
}
