/* SPDX-License-Identifier: Apache-2.0 */
/* Resize and Upsample. */
#include "emulator/compiler/operators.h"

#include <math.h>
#include <string.h>

#define TF_HALF_PIXEL 0x100u

struct named {
	const char *name;
	uint32_t value;
};

static uint32_t choose(struct cc *cc, const struct node *n, const char *attribute, const char *fallback,
		       const struct named *names)
{
	const char *text = attr_string(cc, n, attribute, fallback);

	for (; names->name; names++)
		if (strcmp(names->name, text) == 0)
			return names->value;
	cc_unsupported(cc, "attribute \"%s\" of \"%.48s\"", attribute, text);
	return 0;
}

static void read_modes(struct cc *cc, const struct node *n, struct isa_resize_params *p)
{
	static const struct named modes[] = {{"nearest", ISA_RESIZE_NEAREST},
					     {"linear", ISA_RESIZE_LINEAR},
					     {"bilinear", ISA_RESIZE_LINEAR},
					     {"cubic", ISA_RESIZE_CUBIC},
					     {0}};
	static const struct named coords[] = {{"half_pixel", ISA_COORD_HALF_PIXEL},
					      {"pytorch_half_pixel", ISA_COORD_PYTORCH_HALF_PIXEL},
					      {"align_corners", ISA_COORD_ALIGN_CORNERS},
					      {"asymmetric", ISA_COORD_ASYMMETRIC},
					      {"tf_crop_and_resize", ISA_COORD_TF_CROP_AND_RESIZE},
					      {"tf_half_pixel_for_nn", TF_HALF_PIXEL},
					      {0}};
	static const struct named nearests[] = {{"round_prefer_floor", ISA_NEAREST_ROUND_PREFER_FLOOR},
						{"round_prefer_ceil", ISA_NEAREST_ROUND_PREFER_CEIL},
						{"floor", ISA_NEAREST_FLOOR},
						{"ceil", ISA_NEAREST_CEIL},
						{0}};
	bool old = n->opset < 11; /* Upsample, and Resize as it was first */

	p->mode = choose(cc, n, "mode", "nearest", modes);
	p->coord = choose(cc, n, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel", coords);
	p->nearest = choose(cc, n, "nearest_mode", old ? "floor" : "round_prefer_floor", nearests);
	p->cubic_coeff_a = attr_float(cc, n, "cubic_coeff_a", -0.75f);
	p->exclude_outside = attr_int(cc, n, "exclude_outside", 0) != 0;
	p->extrapolation_value = attr_float(cc, n, "extrapolation_value", 0);
}

/* (x + 0.5) / scale lies half a pixel above half_pixel: the same neighbour, rounded differently. */
static void map_tf_half_pixel(struct cc *cc, struct isa_resize_params *p)
{
	if (p->coord != TF_HALF_PIXEL)
		return;
	p->coord = ISA_COORD_HALF_PIXEL;
	if (p->mode == ISA_RESIZE_NEAREST && p->nearest == ISA_NEAREST_ROUND_PREFER_FLOOR)
		p->nearest = ISA_NEAREST_CEIL;
	else if (p->mode == ISA_RESIZE_NEAREST && p->nearest == ISA_NEAREST_FLOOR)
		p->nearest = ISA_NEAREST_ROUND_PREFER_CEIL;
	else
		cc_unsupported(cc, "coordinates \"tf_half_pixel_for_nn\" with this mode");
}

struct resize {
	double scales[ISA_MAX_RANK];
	double roi[2 * ISA_MAX_RANK];
	int64_t sizes[ISA_MAX_RANK];
	bool has_scales;
	bool has_sizes;
	bool scales_late; /* given, but only at run time */
	bool sizes_late;
	bool roi_late;
};

static void read_roi(struct cc *cc, const struct node *n, uint32_t rank, struct resize *r)
{
	const struct view *roi = node_in(n, 1);
	uint32_t count = 0;

	for (uint32_t i = 0; i < rank; i++)
		r->roi[rank + i] = 1;
	if (n->opset < 11 || !view_present(roi) || view_elements(roi) == 0)
		return;
	if (view_elements(roi) != 2 * (uint64_t)rank)
		cc_bad(cc, "a region of %llu numbers for rank %u", (unsigned long long)view_elements(roi), rank);
	else if (!view_read_doubles(roi, r->roi, 2 * ISA_MAX_RANK, &count))
		r->roi_late = true;
}

static void read_request(struct cc *cc, const struct node *n, uint32_t rank, struct resize *r)
{
	const struct view *scales = node_in(n, n->opset >= 11 ? 2 : 1);
	const struct view *sizes = node_in(n, n->opset >= 11 ? 3 : UINT32_MAX);
	float attribute[ISA_MAX_RANK];
	uint32_t count = 0;

	memset(r, 0, sizeof(*r));
	read_roi(cc, n, rank, r);
	if (attr_floats(cc, n, "scales", attribute, ISA_MAX_RANK, &count)) {
		for (uint32_t i = 0; i < count; i++)
			r->scales[i] = (double)attribute[i];
		r->has_scales = true;
	} else if (view_present(sizes) && view_elements(sizes) > 0) {
		r->has_sizes = view_read_ints(sizes, r->sizes, ISA_MAX_RANK, &count);
		r->sizes_late = !r->has_sizes;
	} else if (view_present(scales) && view_elements(scales) > 0) {
		r->has_scales = view_read_doubles(scales, r->scales, ISA_MAX_RANK, &count);
		r->scales_late = !r->has_scales;
	}
	if ((r->has_scales || r->has_sizes) && count != rank)
		cc_bad(cc, "%u scales or sizes for a tensor of rank %u", count, rank);
	if (!r->has_scales && !r->has_sizes && !r->scales_late && !r->sizes_late)
		cc_bad(cc, "neither scales nor sizes");
}

static bool resize_dims(struct cc *cc, const struct node *n, const struct view *x, const struct resize *r, bool crop,
			uint32_t *dims)
{
	uint32_t rank = 0;

	if (r->scales_late || r->sizes_late || (crop && r->roi_late && r->has_scales)) {
		if (!node_declared(cc, n, 0, &rank, dims) || rank != x->rank)
			cc_unsupported(cc, "the size is known only at run time and the model does not state it");
		return !cc_failed(cc);
	}
	for (uint32_t i = 0; i < x->rank; i++) {
		double extent = crop ? r->roi[x->rank + i] - r->roi[i] : 1;
		double size = r->has_sizes ? (double)r->sizes[i] : floor(x->dims[i] * extent * r->scales[i] + 1e-6);
		if (!(size >= 1 && size <= INT32_MAX)) {
			cc_bad(cc, "axis %u would have the size %g", i, size);
			return false;
		}
		dims[i] = (uint32_t)size;
	}
	return true;
}

/* Does the stated scale give a length with a fraction? Only then do the corners not lie on the result's own. */
static bool length_has_fraction(const struct view *in, const uint32_t *dims, const struct resize *r)
{
	for (uint32_t i = 0; r->has_scales && i < in->rank; i++)
		if (fabs(r->scales[i] * in->dims[i] - dims[i]) > 1e-4)
			return true;
	return r->scales_late;
}

/*
 * Aligned corners of a length that is not whole, scale * in: step (in - 1) / (scale * in - 1). The instruction's own
 * alignment takes the whole length, so say the same as a region from 0 to (out - 1) / (scale * in - 1).
 */
static struct view align_by_region(struct cc *cc, const struct node *n, const struct view *in, const uint32_t *dims,
				   const struct resize *r)
{
	struct view lengths = tensor_const(cc, ZY_DATA_F32, 1, &in->rank);
	struct view steps = tensor_const(cc, ZY_DATA_F32, 1, &in->rank);
	struct view scales = tensor_const(cc, ZY_DATA_F32, 1, &in->rank);

	for (uint32_t i = 0; !cc_failed(cc) && i < in->rank; i++) {
		float values[3] = {(float)in->dims[i], (float)dims[i] - 1, (float)r->scales[i]};
		memcpy(lengths.st->data + i * sizeof(float), &values[0], sizeof(float));
		memcpy(steps.st->data + i * sizeof(float), &values[1], sizeof(float));
		memcpy(scales.st->data + i * sizeof(float), &values[2], sizeof(float));
	}
	if (r->scales_late)
		scales = emit_cast(cc, node_in(n, n->opset >= 11 ? 2 : 1), ZY_DATA_F32);
	struct view one = const_f32(cc, 1);
	struct view tiny = const_f32(cc, 1e-6f);
	struct view zero = const_f32(cc, 0);
	struct view span = emit_binary(cc, ISA_B_MUL, &scales, &lengths);
	span = emit_binary(cc, ISA_B_SUB, &span, &one);
	span = emit_binary(cc, ISA_B_MAX, &span, &tiny);
	struct view end = emit_binary(cc, ISA_B_DIV, &steps, &span);
	if (!cc_failed(cc))
		(void)view_broadcast(&zero, 1, &in->rank, &zero);
	return emit_concat(cc, (struct view[]){zero, end}, 2, 0);
}

static void lower_resize(struct cc *cc, const struct node *n)
{
	struct view in = emit_plain(cc, node_in(n, 0));
	struct isa_resize_params params = {0};
	uint32_t dims[ISA_MAX_RANK];
	struct resize r;

	read_modes(cc, n, &params);
	map_tf_half_pixel(cc, &params);
	if (cc_failed(cc))
		return;
	read_request(cc, n, in.rank, &r);
	bool crop = params.coord == ISA_COORD_TF_CROP_AND_RESIZE;
	if (cc_failed(cc) || !resize_dims(cc, n, &in, &r, crop, dims))
		return;
	for (uint32_t i = 0; i < in.rank; i++) {
		params.scale[i] = r.has_scales ? (float)r.scales[i] : (float)dims[i] / (float)in.dims[i];
		params.roi[i] = (float)r.roi[i];
		params.roi[in.rank + i] = (float)r.roi[in.rank + i];
	}
	struct view out = tensor_new(cc, in.dtype, in.rank, dims, &in, &in, 1);
	struct view ops[4] = {out, in, {0}, {0}};
	if (r.scales_late)
		ops[2] = emit_cast(cc, node_in(n, n->opset >= 11 ? 2 : 1), ZY_DATA_F32);
	if (crop && r.roi_late)
		ops[3] = emit_cast(cc, node_in(n, 1), ZY_DATA_F32);
	if (params.coord == ISA_COORD_ALIGN_CORNERS && length_has_fraction(&in, dims, &r)) {
		params.coord = ISA_COORD_TF_CROP_AND_RESIZE;
		ops[3] = align_by_region(cc, n, &in, dims, &r);
	}
	if (!cc_failed(cc) && (r.scales_late || r.roi_late) && out.st->kind == ST_CONST)
		cc_unsupported(cc, "a constant image with run-time scales");
	emit(cc, ISA_T_RESIZE, 1, ops, 4, &params, sizeof(params));
	node_set(cc, n, 0, &out);
}

const struct operator_row operators_resize[] = {
    {"Resize", lower_resize, 1, 4, 1,
     "mode coordinate_transformation_mode nearest_mode cubic_coeff_a exclude_outside extrapolation_value"},
    {"Upsample", lower_resize, 1, 2, 1, "mode scales"},
    {0},
};
