/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of sliding windows, checked, and the sizes that follow from them. */
#include "emulator/compiler/window.h"

#include <string.h>

#define WINDOW_MAX (1 << 24) /* of any one number: keeps sums far from overflow */

static bool read_each(struct cc *cc, const struct node *n, const char *name, uint32_t spatial, int64_t low,
		      uint32_t *out)
{
	int64_t values[ISA_MAX_SPATIAL];
	uint32_t count = 0;

	if (!attr_ints(cc, n, name, values, ISA_MAX_SPATIAL, &count))
		return !cc_failed(cc);
	if (count != spatial) {
		cc_bad(cc, "attribute \"%s\" has %u entries instead of %u", name, count, spatial);
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (values[i] < low || values[i] > WINDOW_MAX) {
			cc_bad(cc, "attribute \"%s\" has the entry %lld", name, (long long)values[i]);
			return false;
		}
		out[i] = (uint32_t)values[i];
	}
	return true;
}

static bool read_pads(struct cc *cc, const struct node *n, struct window *w)
{
	int64_t values[2 * ISA_MAX_SPATIAL];
	uint32_t count = 0;

	if (!attr_ints(cc, n, "pads", values, 2 * ISA_MAX_SPATIAL, &count) || w->automatic != WINDOW_NOTSET)
		return !cc_failed(cc);
	if (count != 2 * w->spatial) {
		cc_bad(cc, "attribute \"pads\" has %u entries instead of %u", count, 2 * w->spatial);
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (values[i] < 0 || values[i] > WINDOW_MAX) {
			cc_unsupported(cc, "attribute \"pads\" has the entry %lld", (long long)values[i]);
			return false;
		}
		*(i < w->spatial ? &w->pad_begin[i] : &w->pad_end[i - w->spatial]) = (uint32_t)values[i];
	}
	return true;
}

static enum window_auto read_automatic(struct cc *cc, const struct node *n)
{
	static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
	const char *text = attr_string(cc, n, "auto_pad", "NOTSET");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0)
			return (enum window_auto)i;
	if (text[0])
		cc_bad(cc, "attribute \"auto_pad\" is \"%.32s\"", text);
	return WINDOW_NOTSET;
}

bool window_read(struct cc *cc, const struct node *n, const struct view *x, const uint32_t *kernel, struct window *w)
{
	memset(w, 0, sizeof(*w));
	if (cc_failed(cc))
		return false;
	if (x->rank < 3 || x->rank > 2 + ISA_MAX_SPATIAL) {
		cc_unsupported(cc, "an input of rank %u: 3 to %u", x->rank, 2 + ISA_MAX_SPATIAL);
		return false;
	}
	w->spatial = x->rank - 2;
	for (uint32_t i = 0; i < w->spatial; i++) {
		w->kernel[i] = kernel ? kernel[i] : 0;
		w->stride[i] = 1;
		w->dilation[i] = 1;
	}
	w->automatic = read_automatic(cc, n);
	if (!read_each(cc, n, "kernel_shape", w->spatial, 1, w->kernel) ||
	    !read_each(cc, n, "strides", w->spatial, 1, w->stride) ||
	    !read_each(cc, n, "dilations", w->spatial, 1, w->dilation) || !read_pads(cc, n, w))
		return false;
	for (uint32_t i = 0; i < w->spatial; i++) {
		if (w->kernel[i] == 0 || w->kernel[i] > WINDOW_MAX || x->dims[2 + i] > WINDOW_MAX) {
			cc_bad(cc, "kernel size %u for a dimension of %u", w->kernel[i], x->dims[2 + i]);
			return false;
		}
		if (kernel && w->kernel[i] != kernel[i]) {
			cc_bad(cc, "attribute \"kernel_shape\" says %u, the weights have %u", w->kernel[i], kernel[i]);
			return false;
		}
	}
	return !cc_failed(cc);
}

bool window_slide(struct cc *cc, struct window *w, const struct view *x, bool ceil_mode, uint32_t *out)
{
	for (uint32_t i = 0; i < w->spatial; i++) {
		int64_t in = x->dims[2 + i];
		int64_t reach = (int64_t)w->dilation[i] * (w->kernel[i] - 1) + 1;
		int64_t stride = w->stride[i];
		if (w->automatic == WINDOW_SAME_UPPER || w->automatic == WINDOW_SAME_LOWER) {
			int64_t count = (in + stride - 1) / stride;
			int64_t total = (count - 1) * stride + reach - in;
			total = total > 0 ? total : 0;
			int64_t less = total / 2;
			w->pad_begin[i] = (uint32_t)(w->automatic == WINDOW_SAME_UPPER ? less : total - less);
			w->pad_end[i] = (uint32_t)(total - w->pad_begin[i]);
			out[i] = (uint32_t)count;
			continue;
		}
		int64_t room = in + w->pad_begin[i] + w->pad_end[i] - reach;
		if (room < 0 || in == 0) {
			cc_bad(cc, "a window of %lld does not fit into %lld with pads %u and %u", (long long)reach,
			       (long long)in, w->pad_begin[i], w->pad_end[i]);
			return false;
		}
		out[i] = (uint32_t)((ceil_mode ? room + stride - 1 : room) / stride + 1);
	}
	return true;
}

void window_order(uint32_t rank, uint32_t *order)
{
	order[0] = 0;
	for (uint32_t i = 2; i < rank; i++)
		order[i - 1] = i;
	order[rank - 1] = 1;
}
