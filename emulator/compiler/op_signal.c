/* SPDX-License-Identifier: Apache-2.0 */
/* Windows and the discrete Fourier transform: constants computed here, products computed by the device. */
#include "emulator/compiler/operators.h"

#include <math.h>
#include <string.h>

#define MAX_WINDOW (1u << 24)
#define MAX_DFT 4096u /* the matrix has that many squared */

static const double two_pi = 6.283185307179586476925286766559;

/* Length of a window: a constant, or what the model declares for the result. */
static bool window_length(struct cc *cc, const struct node *n, uint32_t *length)
{
	uint32_t dims[ISA_MAX_RANK];
	uint32_t count = 0;
	int64_t size = 0;

	if (view_read_ints(node_in(n, 0), &size, 1, &count) && count == 1) {
		if (size < 0 || size > MAX_WINDOW)
			cc_bad(cc, "a window of %lld", (long long)size);
		*length = (uint32_t)size;
	} else if (node_declared(cc, n, 0, &count, dims) && count == 1 && dims[0] <= MAX_WINDOW) {
		*length = dims[0];
	} else {
		cc_unsupported(cc, "the length is known only at run time");
	}
	return !cc_failed(cc);
}

/* a0 - a1 cos(x) + a2 cos(2x) */
static void lower_window(struct cc *cc, const struct node *n)
{
	static const struct {
		const char *name;
		double a[3];
	} rows[] = {{"HannWindow", {0.5, 0.5, 0}},
		    {"HammingWindow", {25.0 / 46.0, 21.0 / 46.0, 0}},
		    {"BlackmanWindow", {0.42, 0.5, 0.08}}};
	size_t row = 0;
	uint32_t length = 0;
	int64_t type = attr_int(cc, n, "output_datatype", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
	bool periodic = attr_int(cc, n, "periodic", 1) != 0;

	while (strcmp(rows[row].name, n->op) != 0)
		row++; /* every name in the operator table is in this one */
	if (!window_length(cc, n, &length))
		return;
	struct view out = tensor_const(cc, ZY_DATA_F64, 1, &length);
	for (uint32_t i = 0; out.st && i < length; i++) {
		uint32_t period = periodic || length == 1 ? length : length - 1;
		double x = two_pi * i / period;
		double value = rows[row].a[0] - rows[row].a[1] * cos(x) + rows[row].a[2] * cos(2 * x);
		memcpy(out.st->data + (size_t)i * sizeof(value), &value, sizeof(value));
	}
	out = emit_cast(cc, &out, type > 0 && type < 32 ? dtype_from_onnx((int32_t)type) : ZY_DATA_NONE);
	node_set(cc, n, 0, &out);
}

struct dft {
	uint32_t axis;
	uint32_t length;
	uint32_t bins;
	bool inverse;
};

/* [length, bins] of cos or sin. */
static struct view dft_matrix(struct cc *cc, const struct dft *d, uint32_t dtype, bool sine)
{
	uint32_t dims[2] = {d->length, d->bins};
	struct view m = tensor_const(cc, ZY_DATA_F64, 2, dims);

	for (uint32_t i = 0; m.st && i < d->length; i++) {
		for (uint32_t k = 0; k < d->bins; k++) {
			double angle = two_pi * (double)((uint64_t)i * k % d->length) / d->length;
			double value = sine ? sin(angle) : cos(angle);
			value = d->inverse ? value / d->length : value;
			memcpy(m.st->data + ((size_t)i * d->bins + k) * sizeof(value), &value, sizeof(value));
		}
	}
	return emit_cast(cc, &m, dtype);
}

static bool read_dft(struct cc *cc, const struct node *n, struct dft *d)
{
	const struct view *x = node_in(n, 0);
	int64_t length = 0;
	uint32_t count = 0;

	if (x->rank < 2 || x->dims[x->rank - 1] < 1 || x->dims[x->rank - 1] > 2) {
		cc_bad(cc, "the last axis is not one or two numbers");
		return false;
	}
	*d = (struct dft){.axis = axis_of(cc, attr_int(cc, n, "axis", 1), x->rank),
			  .inverse = attr_int(cc, n, "inverse", 0) != 0};
	if (cc_failed(cc))
		return false;
	d->length = x->dims[d->axis];
	d->bins = attr_int(cc, n, "onesided", 0) ? d->length / 2 + 1 : d->length;
	if (view_present(node_in(n, 1)) &&
	    (!view_read_ints(node_in(n, 1), &length, 1, &count) || count != 1 || length != d->length))
		cc_unsupported(cc, "a length other than that of the axis");
	if (d->axis == x->rank - 1 || d->length == 0)
		cc_bad(cc, "axis %u cannot be transformed", d->axis);
	if (d->length > MAX_DFT)
		cc_unsupported(cc, "%u points: at most %u", d->length, MAX_DFT);
	return !cc_failed(cc);
}

/* One matrix times the real or imaginary part, along the axis: [..., bins] with the axis last. */
static struct view dft_part(struct cc *cc, const struct view *x, const struct dft *d, uint32_t part,
			    const struct view *matrix)
{
	uint32_t last = x->rank - 1;
	struct view v = view_slice(x, last, part, 1, 1);

	v = view_remove(&v, last);
	v = view_swap(&v, d->axis, last - 1);
	if (v.rank == 1)
		v = view_insert(&v, 0);
	return emit_matmul(cc, &v, matrix, NULL, 1, 0);
}

static void lower_dft(struct cc *cc, const struct node *n)
{
	const struct view *x = node_in(n, 0);
	struct view parts[2];
	struct dft d;

	if (!read_dft(cc, n, &d))
		return;
	struct view cosine = dft_matrix(cc, &d, x->dtype, false);
	struct view sine = dft_matrix(cc, &d, x->dtype, true);
	parts[0] = dft_part(cc, x, &d, 0, &cosine);
	parts[1] = dft_part(cc, x, &d, 0, &sine);
	if (!d.inverse)
		parts[1] = emit_unary(cc, ISA_U_NEG, 0, 0, &parts[1]);
	if (x->dims[x->rank - 1] == 2) {
		struct view real = dft_part(cc, x, &d, 1, &sine);
		struct view imaginary = dft_part(cc, x, &d, 1, &cosine);
		parts[0] = emit_binary(cc, d.inverse ? ISA_B_SUB : ISA_B_ADD, &parts[0], &real);
		parts[1] = emit_binary(cc, ISA_B_ADD, &parts[1], &imaginary);
	}
	if (cc_failed(cc))
		return;
	for (uint32_t i = 0; i < 2; i++) {
		if (parts[i].rank == x->rank) /* the axis put in front of a vector */
			parts[i] = view_remove(&parts[i], 0);
		parts[i] = view_swap(&parts[i], d.axis, x->rank - 2);
		parts[i] = view_insert(&parts[i], x->rank - 1);
	}
	struct view out = emit_concat(cc, parts, 2, x->rank - 1);
	node_set(cc, n, 0, &out);
}

const struct operator_row operators_signal[] = {
    {"HannWindow", lower_window, 1, 1, 1, "output_datatype periodic"},
    {"HammingWindow", lower_window, 1, 1, 1, "output_datatype periodic"},
    {"BlackmanWindow", lower_window, 1, 1, 1, "output_datatype periodic"},
    {"DFT", lower_dft, 1, 2, 1, "axis inverse onesided"},
    {0},
};
