/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that move elements by index, offset or coordinate, against direct loops and for every number of tasks. */
#include "tests/unit/emulator/ops_arena.h"

static struct arena arena;
static float reference[16384];

static void unflatten(uint32_t flat, const uint32_t *dims, uint32_t rank, uint32_t *index)
{
	for (uint32_t i = rank; i-- > 0;) {
		index[i] = flat % dims[i];
		flat /= dims[i];
	}
}

static uint32_t flatten(const uint32_t *index, const uint32_t *dims, uint32_t rank)
{
	uint32_t flat = 0;

	for (uint32_t i = 0; i < rank; i++)
		flat = flat * dims[i] + index[i];
	return flat;
}

static void run_and_compare(const struct record *r, const struct isa_operand *out, float tolerance)
{
	for (uint32_t tasks = 1; tasks <= 4; tasks++) {
		for (uint32_t i = 0; i < elements_of(out); i++)
			*(float *)element_at(&arena, out, i) = 12345.0f;
		record_run_all(&arena, r, tasks);
		for (uint32_t i = 0; i < elements_of(out); i++) {
			float have = f32_at(&arena, out, i);
			ck_assert_msg(fabsf(have - reference[i]) <= tolerance,
				      "op %u split %d tasks %u element %u: want %.9g have %.9g", r->header.op,
				      (int)r->header.split, tasks, i, (double)reference[i], (double)have);
		}
	}
}

static uint32_t random_split(uint32_t rank)
{
	uint32_t split = random_below(rank + 1);

	return split == rank ? ISA_SPLIT_NONE : split;
}

static struct isa_operand counted(uint32_t rank, const uint32_t *dims)
{
	static const uint32_t order[] = {1, 0, 3, 2};
	bool permute = (rank == 2 || rank == 4) && random_below(2);
	struct isa_operand o = tensor_in(&arena, ZY_DATA_F32, rank, dims, permute ? order : NULL);

	for (uint32_t i = 0; i < elements_of(&o); i++)
		*(float *)element_at(&arena, &o, i) = (float)i + 1;
	return o;
}

static struct isa_operand indices(uint32_t rank, const uint32_t *dims)
{
	return tensor_in(&arena, random_below(2) ? ZY_DATA_S32 : ZY_DATA_S64, rank, dims, NULL);
}

static void index_set(const struct isa_operand *o, uint32_t i, int64_t v)
{
	if (o->dtype == ZY_DATA_S32)
		*(int32_t *)element_at(&arena, o, i) = (int32_t)v;
	else
		*(int64_t *)element_at(&arena, o, i) = v;
}

static int64_t index_at(const struct isa_operand *o, uint32_t i, uint32_t dim)
{
	int64_t v =
	    o->dtype == ZY_DATA_S32 ? *(int32_t *)element_at(&arena, o, i) : *(int64_t *)element_at(&arena, o, i);

	return v < 0 ? v + dim : v;
}

static int64_t random_index(uint32_t dim)
{
	return (int64_t)random_below(2 * dim) - dim;
}

START_TEST(a_gather_picks_along_its_axis)
{
	random_state = 51;
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t data_dims[3] = {1 + random_below(5), 1 + random_below(5), 1 + random_below(5)};
		struct isa_axis_params p = {random_below(3)};
		uint32_t idx_rank = random_below(3);
		uint32_t idx_dims[2] = {1 + random_below(4), 1 + random_below(4)};
		uint32_t out_dims[5];
		uint32_t rank = 0;
		struct record r;
		for (uint32_t i = 0; i < 3; i++) {
			if (i != p.axis)
				out_dims[rank++] = data_dims[i];
			for (uint32_t k = 0; i == p.axis && k < idx_rank; k++)
				out_dims[rank++] = idx_dims[k];
		}
		arena.used = 0;
		struct isa_operand data = counted(3, data_dims);
		struct isa_operand idx = indices(idx_rank, idx_dims);
		struct isa_operand out = counted(rank, out_dims);
		for (uint32_t i = 0; i < elements_of(&idx); i++)
			index_set(&idx, i, random_index(data_dims[p.axis]));
		for (uint32_t i = 0; i < elements_of(&out); i++) {
			uint32_t o[5];
			uint32_t at[3];
			unflatten(i, out_dims, rank, o);
			for (uint32_t d = 0; d < 3; d++)
				at[d] = d < p.axis ? o[d] : o[d + idx_rank - (d > p.axis)];
			at[p.axis] =
			    (uint32_t)index_at(&idx, flatten(o + p.axis, idx_dims, idx_rank), data_dims[p.axis]);
			reference[i] = f32_at(&arena, &data, flatten(at, data_dims, 3));
		}
		record_start(&r, ISA_T_GATHER, random_split(rank));
		record_operand(&r, &out);
		record_operand(&r, &data);
		record_operand(&r, &idx);
		record_finish(&r, &p, sizeof(p));
		run_and_compare(&r, &out, 0);
	}
}
END_TEST

START_TEST(gathered_and_scattered_elements_meet_their_indices)
{
	random_state = 52;
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t dims[2] = {2 + random_below(5), 2 + random_below(5)};
		uint32_t idx_dims[2] = {1 + random_below(dims[0]), 1 + random_below(dims[1])};
		struct isa_scatter_params p = {random_below(2), random_below(3)};
		bool scatter = random_below(2);
		struct record r;
		arena.used = 0;
		struct isa_operand data = counted(2, dims);
		struct isa_operand idx = indices(2, idx_dims);
		struct isa_operand other = counted(2, scatter ? dims : idx_dims);
		struct isa_operand updates = counted(2, idx_dims);
		for (uint32_t i = 0; i < elements_of(&idx);
		     i++) { /* distinct along the axis, so that SET has one answer */
			uint32_t at[2];
			unflatten(i, idx_dims, 2, at);
			index_set(&idx, i,
				  (int64_t)((at[p.axis] + round) % dims[p.axis]) - (round % 2 ? dims[p.axis] : 0));
		}
		for (uint32_t i = 0; scatter && i < elements_of(&data); i++)
			reference[i] = f32_at(&arena, &data, i);
		for (uint32_t i = 0; i < elements_of(&idx); i++) {
			uint32_t at[2];
			unflatten(i, idx_dims, 2, at);
			at[p.axis] = (uint32_t)index_at(&idx, i, dims[p.axis]);
			uint32_t to = flatten(at, dims, 2);
			float u = f32_at(&arena, &updates, i);
			if (!scatter)
				reference[i] = f32_at(&arena, &data, to);
			else
				reference[to] = p.reduction == ISA_SCATTER_ADD   ? reference[to] + u
						: p.reduction == ISA_SCATTER_MUL ? reference[to] * u
										 : u;
		}
		uint32_t split = random_split(2);
		if (scatter && split == p.axis)
			split = ISA_SPLIT_NONE;
		record_start(&r, scatter ? ISA_T_SCATTER_ELEMENTS : ISA_T_GATHER_ELEMENTS, split);
		record_operand(&r, &other);
		record_operand(&r, &data);
		record_operand(&r, &idx);
		if (scatter)
			record_operand(&r, &updates);
		record_finish(&r, &p, scatter ? sizeof(p) : sizeof(struct isa_axis_params));
		run_and_compare(&r, &other, 0);
	}
}
END_TEST

START_TEST(index_tuples_gather_and_scatter_regions)
{
	random_state = 53;
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t dims[3] = {1 + random_below(4), 1 + random_below(4), 1 + random_below(4)};
		bool scatter = random_below(2);
		uint32_t batch = scatter ? 0 : random_below(2);
		uint32_t depth = 1 + random_below(3 - batch);
		uint32_t lead = batch + 1;
		uint32_t idx_dims[3] = {batch ? dims[0] : 3, batch ? 3 : depth, depth};
		uint32_t region[5] = {idx_dims[0], idx_dims[1], 0, 0, 0};
		uint32_t rank = lead;
		struct record r;
		for (uint32_t d = batch + depth; d < 3; d++)
			region[rank++] = dims[d];
		arena.used = 0;
		struct isa_operand data = counted(3, dims);
		struct isa_operand idx = indices(lead + 1, idx_dims);
		struct isa_operand regions = counted(rank, region);
		struct isa_operand whole = counted(3, dims);
		for (uint32_t i = 0; i < elements_of(&idx); i++)
			index_set(&idx, i, random_index(dims[batch + i % depth]));
		for (uint32_t i = 0; scatter && i < elements_of(&data); i++)
			reference[i] = f32_at(&arena, &data, i);
		for (uint32_t i = 0; i < elements_of(&regions); i++) {
			uint32_t o[5];
			uint32_t at[3];
			unflatten(i, region, rank, o);
			uint32_t tuple = flatten(o, idx_dims, lead) * depth;
			for (uint32_t d = 0; d < 3; d++)
				at[d] = d < batch           ? o[d]
					: d < batch + depth ? (uint32_t)index_at(&idx, tuple + d - batch, dims[d])
							    : o[lead + d - batch - depth];
			uint32_t flat = flatten(at, dims, 3);
			if (scatter)
				reference[flat] += f32_at(&arena, &regions, i);
			else
				reference[i] = f32_at(&arena, &data, flat);
		}
		struct isa_scatter_params sp = {0, ISA_SCATTER_ADD};
		struct isa_gather_nd_params gp = {batch};
		record_start(&r, scatter ? ISA_T_SCATTER_ND : ISA_T_GATHER_ND, random_split(scatter ? 3 : rank));
		record_operand(&r, scatter ? &whole : &regions);
		record_operand(&r, &data);
		record_operand(&r, &idx);
		if (scatter)
			record_operand(&r, &regions);
		record_finish(&r, scatter ? (void *)&sp : (void *)&gp, scatter ? sizeof(sp) : sizeof(gp));
		run_and_compare(&r, scatter ? &whole : &regions, 0);
	}
}
END_TEST

START_TEST(an_index_outside_its_axis_is_refused)
{
	uint32_t dims[1] = {4};
	struct isa_axis_params p = {0};
	static const int64_t bad[] = {4, -5, INT64_MAX, INT64_MIN, 1LL << 32};

	for (uint32_t i = 0; i < 5; i++) {
		struct record r;
		arena.used = 0;
		struct isa_operand data = counted(1, dims);
		struct isa_operand out = counted(1, dims);
		struct isa_operand idx = tensor_in(&arena, ZY_DATA_S64, 1, dims, NULL);
		for (uint32_t k = 0; k < 4; k++)
			index_set(&idx, k, k == 2 ? bad[i] : 1);
		for (uint32_t op = 0; op < 2; op++) {
			record_start(&r, op ? ISA_T_GATHER : ISA_T_GATHER_ELEMENTS, 0);
			record_operand(&r, &out);
			record_operand(&r, &data);
			record_operand(&r, &idx);
			record_finish(&r, &p, sizeof(p));
			ck_assert_int_eq(record_run(&arena, &r, 0, 1), -EINVAL);
		}
	}
}
END_TEST

START_TEST(a_slice_follows_starts_and_steps_of_run_time)
{
	random_state = 54;
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t dims[3] = {1 + random_below(8), 1 + random_below(8), 1 + random_below(8)};
		uint32_t out_dims[3] = {dims[0], dims[1], dims[2]};
		int64_t start[3] = {0};
		int64_t step[3] = {1, 1, 1};
		uint32_t n[1] = {1 + random_below(3)};
		struct record r;
		arena.used = 0;
		struct isa_operand starts = indices(1, n);
		struct isa_operand axes = indices(1, n);
		struct isa_operand steps = indices(1, n);
		for (uint32_t i = 0; i < n[0]; i++) {
			uint32_t axis = n[0] == 3 ? 2 - i : i;
			int64_t dim = dims[axis];
			step[axis] = random_below(2) ? 1 + random_below(3) : -1 - (int64_t)random_below(3);
			start[axis] = random_below(dims[axis]);
			int64_t most =
			    step[axis] > 0 ? (dim - start[axis] - 1) / step[axis] + 1 : start[axis] / -step[axis] + 1;
			out_dims[axis] = 1 + random_below((uint32_t)most);
			index_set(&starts, i, random_below(2) ? start[axis] : start[axis] - dim);
			index_set(&axes, i, random_below(2) ? axis : (int64_t)axis - 3);
			index_set(&steps, i, step[axis]);
		}
		struct isa_operand data = counted(3, dims);
		struct isa_operand out = counted(3, out_dims);
		for (uint32_t i = 0; i < elements_of(&out); i++) {
			uint32_t at[3];
			unflatten(i, out_dims, 3, at);
			for (uint32_t d = 0; d < 3; d++)
				at[d] = (uint32_t)(start[d] + (int64_t)at[d] * step[d]);
			reference[i] = f32_at(&arena, &data, flatten(at, dims, 3));
		}
		record_start(&r, ISA_T_SLICE, random_split(3));
		record_operand(&r, &out);
		record_operand(&r, &data);
		record_operand(&r, &starts);
		record_operand(&r, &axes);
		record_operand(&r, &steps);
		record_finish(&r, NULL, 0);
		run_and_compare(&r, &out, 0);
		index_set(&steps, 0, 100);
		index_set(&starts, 0, 0);
		if (out_dims[n[0] == 3 ? 2 : 0] > 1)
			ck_assert_int_eq(record_run(&arena, &r, 0, 1), -EINVAL);
	}
}
END_TEST

static int64_t pad_source(uint32_t mode, int64_t at, int64_t dim)
{
	if (mode == ISA_PAD_EDGE)
		return at < 0 ? 0 : at >= dim ? dim - 1 : at;
	if (mode == ISA_PAD_CONSTANT)
		return at < 0 || at >= dim ? -1 : at;
	while (at < 0 || at >= dim)
		at = dim == 1 ? 0 : at < 0 ? -at : 2 * (dim - 1) - at;
	return at;
}

START_TEST(padding_has_three_modes_and_crops_when_negative)
{
	random_state = 55;
	for (uint32_t round = 0; round < 400; round++) {
		uint32_t rank = 1 + random_below(4);
		struct isa_pad_params p = {.mode = 1 + random_below(3)};
		uint32_t dims[4];
		uint32_t out_dims[4];
		float value = 0.5f;
		bool run_time = random_below(2);
		uint32_t twice[1] = {2 * rank};
		struct record r;
		arena.used = 0;
		struct isa_operand pads = tensor_in(&arena, ZY_DATA_S64, 1, twice, NULL);
		struct isa_operand scalar = tensor_in(&arena, ZY_DATA_F32, 0, NULL, NULL);
		for (uint32_t i = 0; i < rank; i++) {
			dims[i] = 2 + random_below(4);
			int32_t begin = (int32_t)random_below(5) - 1;
			int32_t end = (int32_t)random_below(5) - (begin < 0 ? 0 : 1);
			out_dims[i] = (uint32_t)((int32_t)dims[i] + begin + end);
			p.pads[i] = begin;
			p.pads[rank + i] = end;
			index_set(&pads, i, begin);
			index_set(&pads, rank + i, end);
		}
		struct isa_operand in = counted(rank, dims);
		struct isa_operand out = counted(rank, out_dims);
		for (uint32_t i = 0; i < elements_of(&out); i++) {
			uint32_t at[4];
			bool constant = false;
			unflatten(i, out_dims, rank, at);
			for (uint32_t d = 0; d < rank; d++) {
				int64_t from = pad_source(p.mode, (int64_t)at[d] - p.pads[d], dims[d]);
				constant |= from < 0;
				at[d] = (uint32_t)from;
			}
			reference[i] = constant ? value : f32_at(&arena, &in, flatten(at, dims, rank));
		}
		record_start(&r, ISA_T_PAD, random_split(rank));
		record_operand(&r, &out);
		record_operand(&r, &in);
		if (run_time) {
			memset(p.pads, 0, sizeof(p.pads));
			*(float *)element_at(&arena, &scalar, 0) = value;
			record_operand(&r, &pads);
			record_operand(&r, &scalar);
		} else {
			memcpy(p.value, &value, sizeof(value));
		}
		record_finish(&r, &p, sizeof(p));
		run_and_compare(&r, &out, 0);
	}
}
END_TEST

START_TEST(one_hot_and_triangles_follow_their_definitions)
{
	random_state = 56;
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t dims[3] = {1 + random_below(4), 1 + random_below(6), 1 + random_below(6)};
		struct isa_trilu_params tp = {(int32_t)random_below(9) - 4, random_below(2)};
		struct record r;
		arena.used = 0;
		struct isa_operand in = counted(3, dims);
		struct isa_operand out = counted(3, dims);
		for (uint32_t i = 0; i < elements_of(&in); i++) {
			int32_t row = (int32_t)(i / dims[2] % dims[1]);
			int32_t column = (int32_t)(i % dims[2]);
			bool keep = tp.upper ? column >= row + tp.k : column <= row + tp.k;
			reference[i] = keep ? f32_at(&arena, &in, i) : 0;
		}
		record_start(&r, ISA_T_TRILU, random_split(3));
		record_operand(&r, &out);
		record_operand(&r, &in);
		record_finish(&r, &tp, sizeof(tp));
		run_and_compare(&r, &out, 0);

		struct isa_axis_params hp = {random_below(3)};
		uint32_t idx_dims[2] = {dims[hp.axis == 0], dims[hp.axis == 2 ? 1 : 2]};
		uint32_t two[1] = {2};
		struct isa_operand idx = indices(2, idx_dims);
		struct isa_operand values = counted(1, two);
		int64_t depth = dims[hp.axis];
		for (uint32_t i = 0; i < elements_of(&idx); i++)
			index_set(&idx, i, (int64_t)random_below((uint32_t)depth * 2 + 2) - depth - 1);
		for (uint32_t i = 0; i < elements_of(&out); i++) {
			uint32_t at[3];
			unflatten(i, dims, 3, at);
			uint32_t other[2] = {at[hp.axis == 0], at[hp.axis == 2 ? 1 : 2]};
			int64_t v = index_at(&idx, flatten(other, idx_dims, 2), (uint32_t)depth);
			reference[i] = v == at[hp.axis] ? 2 : 1;
		}
		record_start(&r, ISA_T_ONE_HOT, random_split(3));
		record_operand(&r, &out);
		record_operand(&r, &idx);
		record_operand(&r, NULL);
		record_operand(&r, &values);
		record_finish(&r, &hp, sizeof(hp));
		run_and_compare(&r, &out, 0);
	}
}
END_TEST

static double resize_coordinate(const struct isa_resize_params *p, uint32_t d, double x, double in, double out)
{
	switch (p->coord) {
	case ISA_COORD_ALIGN_CORNERS:
		return out > 1 ? x * (in - 1) / (out - 1) : 0;
	case ISA_COORD_ASYMMETRIC:
		return x / (double)p->scale[d];
	case ISA_COORD_PYTORCH_HALF_PIXEL:
		return out > 1 ? (x + 0.5) / (double)p->scale[d] - 0.5 : 0;
	default:
		return (x + 0.5) / (double)p->scale[d] - 0.5;
	}
}

static double cubic(double a, double d)
{
	d = fabs(d);
	return d <= 1  ? (a + 2) * d * d * d - (a + 3) * d * d + 1
	       : d < 2 ? a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a
		       : 0;
}

static uint32_t edge(double v, uint32_t dim)
{
	return v < 0 ? 0 : v >= dim ? dim - 1 : (uint32_t)v;
}

/* Weights of input positions of one axis for output x. */
static void resize_weights(const struct isa_resize_params *p, uint32_t d, uint32_t x, uint32_t in, uint32_t out,
			   double *w)
{
	double at = resize_coordinate(p, d, x, in, out);
	double low = floor(at);

	memset(w, 0, in * sizeof(*w));
	if (p->mode == ISA_RESIZE_NEAREST) {
		double r = p->nearest == ISA_NEAREST_FLOOR               ? low
			   : p->nearest == ISA_NEAREST_CEIL              ? ceil(at)
			   : p->nearest == ISA_NEAREST_ROUND_PREFER_CEIL ? floor(at + 0.5)
									 : ceil(at - 0.5);
		w[edge(r, in)] = 1;
	} else if (p->mode == ISA_RESIZE_LINEAR) {
		w[edge(low, in)] += 1 - (at - low);
		w[edge(low + 1, in)] += at - low;
	} else {
		double sum = 0;
		for (int i = -1; i <= 2; i++) {
			bool outside = low + i < 0 || low + i >= in;
			double c = p->exclude_outside && outside ? 0 : cubic((double)p->cubic_coeff_a, at - low - i);
			w[edge(low + i, in)] += c;
			sum += c;
		}
		for (uint32_t i = 0; p->exclude_outside && i < in; i++)
			w[i] /= sum;
	}
}

START_TEST(a_resize_equals_its_definition_in_every_mode)
{
	random_state = 57;
	for (uint32_t round = 0; round < 300; round++) {
		struct isa_resize_params p = {.mode = 1 + random_below(3),
					      .coord = 1 + random_below(4),
					      .nearest = 1 + random_below(4),
					      .cubic_coeff_a = -0.75f,
					      .exclude_outside = random_below(2)};
		uint32_t dims[4] = {1, 1 + random_below(3), 2 + random_below(5), 2 + random_below(5)};
		uint32_t out_dims[4] = {1, dims[1], 1 + random_below(12), 1 + random_below(12)};
		struct record r;
		for (uint32_t d = 0; d < 4; d++)
			p.scale[d] = (float)out_dims[d] / (float)dims[d];
		arena.used = 0;
		struct isa_operand in = counted(4, dims);
		struct isa_operand out = counted(4, out_dims);
		bool close = false;
		for (uint32_t i = 0; i < elements_of(&out); i++) {
			uint32_t o[4];
			double wy[8];
			double wx[8];
			double sum = 0;
			unflatten(i, out_dims, 4, o);
			resize_weights(&p, 2, o[2], dims[2], out_dims[2], wy);
			resize_weights(&p, 3, o[3], dims[3], out_dims[3], wx);
			for (uint32_t k = 0; k < dims[2] * dims[3]; k++) {
				uint32_t at[4] = {o[0], o[1], k / dims[3], k % dims[3]};
				sum += wy[at[2]] * wx[at[3]] * (double)f32_at(&arena, &in, flatten(at, dims, 4));
			}
			reference[i] = (float)sum;
			for (uint32_t d = 2; d < 4; d++) { /* a coordinate at a rounding edge may fall either way */
				double c = resize_coordinate(&p, d, o[d], dims[d], out_dims[d]) * 2;
				close |=
				    p.mode == ISA_RESIZE_NEAREST && fabs(c - rint(c)) < 1e-4 && fabs(c - rint(c)) > 0;
			}
		}
		if (close)
			continue;
		record_start(&r, ISA_T_RESIZE, random_split(4));
		record_operand(&r, &out);
		record_operand(&r, &in);
		record_finish(&r, &p, sizeof(p));
		run_and_compare(&r, &out, 1e-3f);
	}
}
END_TEST

static void setup(void)
{
	arena_open(&arena);
}

static void teardown(void)
{
	arena_close(&arena);
}

int main(void)
{
	Suite *suite = suite_create("ops_index");
	TCase *tc = tcase_create("index");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_gather_picks_along_its_axis);
	tcase_add_test(tc, gathered_and_scattered_elements_meet_their_indices);
	tcase_add_test(tc, index_tuples_gather_and_scatter_regions);
	tcase_add_test(tc, an_index_outside_its_axis_is_refused);
	tcase_add_test(tc, a_slice_follows_starts_and_steps_of_run_time);
	tcase_add_test(tc, padding_has_three_modes_and_crops_when_negative);
	tcase_add_test(tc, one_hot_and_triangles_follow_their_definitions);
	tcase_add_test(tc, a_resize_equals_its_definition_in_every_mode);
	suite_add_tcase(suite, tc);
	return suite_main(suite);
}
