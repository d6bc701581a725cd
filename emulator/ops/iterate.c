/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks several strided views of equal dims together: axes of one element go, adjacent axes merge, the order follows
 * the first view's memory, and the innermost axis is handed over as rows.
 */
#include <errno.h>

#include "emulator/ops/internal.h"

#define ITERATE_SHORT 8 /* a shorter innermost row changes places with a longer axis */

struct axis {
	int64_t dim;
	int64_t step[OP_ITERATE_MAX]; /* bytes */
};

static int64_t magnitude(int64_t v)
{
	return v < 0 ? -v : v;
}

static bool axis_is_outer(const struct axis *a, const struct axis *b, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (magnitude(a->step[i]) != magnitude(b->step[i]))
			return magnitude(a->step[i]) > magnitude(b->step[i]);
	return false;
}

static bool axes_merge(struct axis *outer, const struct axis *inner, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (outer->step[i] != inner->step[i] * inner->dim)
			return false;
	outer->dim *= inner->dim;
	memcpy(outer->step, inner->step, sizeof(outer->step));
	return true;
}

/* Fills axes[] outermost first and returns how many there are (at least 1); 0 if the views are empty. */
static uint32_t axes_plan(const struct op_tensor *const *t, uint32_t count, struct axis *axes)
{
	uint32_t n = 0;

	for (uint32_t d = 0; d < t[0]->rank; d++) {
		if (t[0]->dims[d] == 0)
			return 0;
		if (t[0]->dims[d] == 1)
			continue;
		struct axis axis = {.dim = t[0]->dims[d]};
		for (uint32_t i = 0; i < count; i++)
			axis.step[i] = t[i]->strides[d] * (int64_t)t[i]->esize;
		uint32_t at = n++;
		for (; at > 0 && axis_is_outer(&axis, &axes[at - 1], count); at--)
			axes[at] = axes[at - 1];
		axes[at] = axis;
	}
	if (!n) {
		axes[0] = (struct axis){.dim = 1};
		return 1;
	}
	uint32_t last = 0;
	for (uint32_t d = 1; d < n; d++)
		if (!axes_merge(&axes[last], &axes[d], count))
			axes[++last] = axes[d];
	if (last && axes[last].dim < ITERATE_SHORT && axes[last - 1].dim > axes[last].dim) {
		struct axis swap = axes[last];
		axes[last] = axes[last - 1];
		axes[last - 1] = swap;
	}
	return last + 1;
}

static int row_run(const struct op_ctx *ctx, const struct axis *row, uint32_t count, uint8_t *const *base, op_row_fn fn,
		   void *arg)
{
	uint8_t *p[OP_ITERATE_MAX] = {0};

	if (row->dim <= OP_CANCEL_STEPS) {
		fn(arg, row->dim, base, row->step);
		return 0;
	}
	for (int64_t done = 0; done < row->dim;) {
		int64_t n = row->dim - done < OP_CANCEL_STEPS ? row->dim - done : OP_CANCEL_STEPS;
		for (uint32_t i = 0; i < count; i++)
			p[i] = base[i] + done * row->step[i];
		fn(arg, n, p, row->step);
		done += n;
		if (record_cancelled(ctx))
			return -ECANCELED;
	}
	return 0;
}

int iterate_rows(const struct op_ctx *ctx, const struct op_tensor *const *t, uint32_t count, op_row_fn fn, void *arg)
{
	struct axis axes[ISA_MAX_RANK] = {0};
	int64_t index[ISA_MAX_RANK] = {0};
	uint8_t *base[OP_ITERATE_MAX] = {0};
	uint32_t n = axes_plan(t, count, axes);
	int64_t steps = 0;

	if (!n)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		base[i] = t[i]->data;
	for (;;) {
		int rc = row_run(ctx, &axes[n - 1], count, base, fn, arg);
		if (rc)
			return rc;
		steps += axes[n - 1].dim;
		if (steps >= OP_CANCEL_STEPS) {
			steps = 0;
			if (record_cancelled(ctx))
				return -ECANCELED;
		}
		uint32_t d = n - 1;
		while (d-- > 0) {
			if (++index[d] < axes[d].dim) {
				for (uint32_t i = 0; i < count; i++)
					base[i] += axes[d].step[i];
				break;
			}
			index[d] = 0;
			for (uint32_t i = 0; i < count; i++)
				base[i] -= axes[d].step[i] * (axes[d].dim - 1);
		}
		if (d == UINT32_MAX)
			return 0;
	}
}
