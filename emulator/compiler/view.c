/* SPDX-License-Identifier: Apache-2.0 */
/*
 * View algebra: transposing, slicing, broadcasting and reshaping by strides alone. Pure: allocates nothing, reports
 * nothing, never touches data.
 */
#include "emulator/compiler/cc.h"

#include <stdlib.h>

uint64_t dims_elements(uint32_t rank, const uint32_t *dims)
{
	uint64_t n = 1;

	for (uint32_t i = 0; i < rank; i++)
		if (__builtin_mul_overflow(n, (uint64_t)dims[i], &n))
			return UINT64_MAX;
	return n;
}

bool view_same_dims(const struct view *a, const struct view *b)
{
	if (a->rank != b->rank)
		return false;
	for (uint32_t i = 0; i < a->rank; i++)
		if (a->dims[i] != b->dims[i])
			return false;
	return true;
}

bool view_same_place(const struct view *a, const struct view *b)
{
	if (a->st != b->st || a->offset != b->offset || a->dtype != b->dtype || !view_same_dims(a, b))
		return false;
	for (uint32_t i = 0; i < a->rank; i++)
		if (a->dims[i] > 1 && a->strides[i] != b->strides[i])
			return false;
	return true;
}

void dims_row_major(uint32_t rank, const uint32_t *dims, int32_t *strides)
{
	int64_t stride = 1;

	for (uint32_t i = rank; i-- > 0;) {
		strides[i] = (int32_t)stride;
		stride *= dims[i] ? dims[i] : 1;
	}
}

void dims_ordered(uint32_t rank, const uint32_t *dims, const uint32_t *order, int32_t *strides)
{
	int64_t stride = 1;

	for (uint32_t i = rank; i-- > 0;) {
		strides[order[i]] = (int32_t)stride;
		stride *= dims[order[i]] ? dims[order[i]] : 1;
	}
}

bool view_is_dense(const struct view *v)
{
	int64_t stride = 1;

	for (uint32_t i = v->rank; i-- > 0;) {
		if (v->dims[i] > 1 && v->strides[i] != stride)
			return false;
		stride *= v->dims[i] ? v->dims[i] : 1;
	}
	return true;
}

/* Axes longer than 1 by falling stride, then the rest in their own order at the place where they stood. */
void view_order(const struct view *v, uint32_t *order)
{
	uint32_t slots[ISA_MAX_RANK];
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->rank; i++) {
		order[i] = i;
		if (v->dims[i] > 1 && v->strides[i] != 0)
			slots[n++] = i;
	}
	uint32_t sorted[ISA_MAX_RANK];
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = i;
		for (; j > 0 && llabs(v->strides[sorted[j - 1]]) < llabs(v->strides[slots[i]]); j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = slots[i];
	}
	for (uint32_t i = 0; i < n; i++)
		order[slots[i]] = sorted[i];
}

bool view_covers(const struct view *v)
{
	uint32_t order[ISA_MAX_RANK];
	int64_t stride = 1;

	if (v->offset != 0 || view_elements(v) * dtype_bytes(v->dtype) != v->st->bytes)
		return false;
	view_order(v, order);
	for (uint32_t i = v->rank; i-- > 0;) {
		uint32_t axis = order[i];
		if (v->dims[axis] <= 1)
			continue;
		if (v->strides[axis] != stride)
			return false;
		stride *= v->dims[axis];
	}
	return true;
}

bool view_is_splat(const struct view *v)
{
	for (uint32_t i = 0; i < v->rank; i++)
		if (v->dims[i] > 1 && v->strides[i] != 0)
			return false;
	return true;
}

void view_extent(const struct view *v, int64_t *low, int64_t *high)
{
	*low = v->offset;
	*high = v->offset;
	for (uint32_t i = 0; i < v->rank; i++) {
		int64_t walk = v->dims[i] ? (int64_t)(v->dims[i] - 1) * v->strides[i] : 0;
		*(walk < 0 ? low : high) += walk;
	}
}

struct view view_transpose(const struct view *v, const uint32_t *perm)
{
	struct view out = *v;

	for (uint32_t i = 0; i < v->rank; i++) {
		out.dims[i] = v->dims[perm[i]];
		out.strides[i] = v->strides[perm[i]];
	}
	return out;
}

struct view view_swap(const struct view *v, uint32_t a, uint32_t b)
{
	struct view out = *v;

	out.dims[a] = v->dims[b];
	out.dims[b] = v->dims[a];
	out.strides[a] = v->strides[b];
	out.strides[b] = v->strides[a];
	return out;
}

struct view view_slice(const struct view *v, uint32_t axis, uint32_t start, uint32_t count, int32_t step)
{
	struct view out = *v;

	if (count > 0)
		out.offset += (int64_t)start * v->strides[axis];
	out.dims[axis] = count;
	out.strides[axis] = count > 1 ? v->strides[axis] * step : v->strides[axis];
	return out;
}

struct view view_insert(const struct view *v, uint32_t axis)
{
	struct view out = *v;

	for (uint32_t i = v->rank; i > axis; i--) {
		out.dims[i] = v->dims[i - 1];
		out.strides[i] = v->strides[i - 1];
	}
	out.dims[axis] = 1;
	out.strides[axis] = axis < v->rank ? (int32_t)(v->strides[axis] * (int64_t)v->dims[axis]) : 1;
	out.rank = v->rank + 1;
	return out;
}

struct view view_remove(const struct view *v, uint32_t axis)
{
	struct view out = *v;

	for (uint32_t i = axis; i + 1 < v->rank; i++) {
		out.dims[i] = v->dims[i + 1];
		out.strides[i] = v->strides[i + 1];
	}
	out.rank = v->rank - 1;
	return out;
}

bool view_broadcast(const struct view *v, uint32_t rank, const uint32_t *dims, struct view *out)
{
	struct view result = *v;

	if (v->rank > rank)
		return false;
	uint32_t lead = rank - v->rank;
	for (uint32_t i = 0; i < rank; i++) {
		uint32_t own = i < lead ? 1 : v->dims[i - lead];
		int32_t stride = i < lead ? 0 : v->strides[i - lead];
		if (own != dims[i]) {
			if (own != 1)
				return false;
			stride = 0;
		}
		result.dims[i] = dims[i];
		result.strides[i] = stride;
	}
	result.rank = rank;
	*out = result;
	return true;
}

/* Strides for a group of new axes that share the memory of a run of old axes; false if the old run has gaps. */
static bool reshape_run(const struct view *old, uint32_t old_from, uint32_t old_to, struct view *out, uint32_t from,
			uint32_t to)
{
	for (uint32_t i = old_from; i + 1 < old_to; i++)
		if (old->strides[i] != (int64_t)old->dims[i + 1] * old->strides[i + 1])
			return false;
	int64_t stride = old->strides[old_to - 1];
	for (uint32_t i = to; i-- > from;) {
		if (stride > INT32_MAX || stride < INT32_MIN)
			return false;
		out->strides[i] = (int32_t)stride;
		stride *= out->dims[i];
	}
	return true;
}

bool view_reshape(const struct view *v, uint32_t rank, const uint32_t *dims, struct view *out)
{
	struct view old = *v;
	struct view result = *v;
	uint32_t i = 0;
	uint32_t j = 0;

	old.rank = 0;
	for (uint32_t k = 0; k < v->rank; k++) {
		if (v->dims[k] == 1)
			continue;
		old.dims[old.rank] = v->dims[k];
		old.strides[old.rank++] = v->strides[k];
	}
	result.rank = rank;
	for (uint32_t k = 0; k < rank; k++)
		result.dims[k] = dims[k];
	dims_row_major(rank, dims, result.strides);
	if (view_elements(v) == 0) {
		*out = result;
		return true;
	}
	while (i < old.rank && j < rank) {
		uint64_t have = old.dims[i];
		uint64_t want = dims[j];
		uint32_t old_end = i + 1;
		uint32_t end = j + 1;
		while (have != want) {
			if (have < want) {
				if (old_end == old.rank)
					return false;
				have *= old.dims[old_end++];
			} else {
				if (end == rank)
					return false;
				want *= dims[end++];
			}
		}
		if (want != 1 && !reshape_run(&old, i, old_end, &result, j, end))
			return false;
		if (want != 1)
			i = old_end;
		j = end;
	}
	*out = result;
	return true;
}

struct digit {
	int64_t stride; /* in the old storage */
	int64_t size;
	int64_t onto; /* stride in the new one */
	int64_t low; /* smallest and largest value the view reaches */
	int64_t high;
};

/* The mixed radix system that links both storages: largest stride first, neighbours merged where both sides allow. */
static uint32_t rebase_digits(const struct view *through, const struct view *onto, struct digit *digits)
{
	uint32_t order[ISA_MAX_RANK];
	uint32_t n = 0;

	view_order(through, order);
	for (uint32_t i = 0; i < through->rank; i++) {
		uint32_t axis = order[i];
		if (through->dims[axis] == 1)
			continue;
		struct digit d = {
		    .stride = through->strides[axis], .size = through->dims[axis], .onto = onto->strides[axis]};
		if (n > 0 && digits[n - 1].onto == d.onto * d.size) {
			digits[n - 1].stride = d.stride;
			digits[n - 1].onto = d.onto;
			digits[n - 1].size *= d.size;
		} else {
			digits[n++] = d;
		}
	}
	return n;
}

bool view_rebase(const struct view *v, const struct view *through, const struct view *onto, struct view *out)
{
	struct digit digits[ISA_MAX_RANK];
	struct view result = *v;
	uint32_t n = rebase_digits(through, onto, digits);
	int64_t rest = v->offset;

	result.st = onto->st;
	result.offset = onto->offset;
	for (uint32_t k = 0; k < n; k++) {
		if (digits[k].stride <= 0)
			return false;
		digits[k].low = digits[k].high = rest / digits[k].stride;
		rest %= digits[k].stride;
		result.offset += digits[k].low * digits[k].onto;
	}
	for (uint32_t i = 0; i < v->rank; i++) {
		uint32_t k = 0;
		int64_t stride = v->strides[i];
		if (v->dims[i] <= 1 || stride == 0) {
			result.strides[i] = 0;
			continue;
		}
		while (k < n && digits[k].stride > llabs(stride))
			k++;
		if (k == n || stride % digits[k].stride)
			return false;
		int64_t steps = stride / digits[k].stride;
		int64_t walk = steps * (int64_t)(v->dims[i] - 1);
		*(walk < 0 ? &digits[k].low : &digits[k].high) += walk;
		if (steps * digits[k].onto > INT32_MAX || steps * digits[k].onto < INT32_MIN)
			return false;
		result.strides[i] = (int32_t)(steps * digits[k].onto);
	}
	for (uint32_t k = 0; k < n; k++)
		if (digits[k].low < 0 || digits[k].high >= digits[k].size)
			return false;
	*out = result;
	return true;
}
