/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes storages, tensors and instructions. Decides here, and nowhere else, what is computed at compile time: an
 * instruction whose output is a constant runs at once.
 */
#include "emulator/compiler/cc.h"

#include <string.h>

#define FOLD_MAX_BYTES (192ull << 20)
#define FOLD_MAX_WORK (1ull << 32) /* steps of one instruction: beyond, the device does it at run time */

static bool grow(struct cc *cc, void ***array, size_t count, size_t *room)
{
	if (count < *room)
		return true;
	size_t wanted = *room ? *room * 2 : 64;
	void **bigger = cc_alloc(cc, wanted, sizeof(void *));
	if (!bigger)
		return false;
	if (count)
		memcpy(bigger, *array, count * sizeof(void *));
	*array = bigger;
	*room = wanted;
	return true;
}

struct storage *storage_new(struct cc *cc, enum storage_kind kind, uint64_t bytes)
{
	if (cc_failed(cc) || !grow(cc, (void ***)&cc->storages, cc->storage_count, &cc->storage_room))
		return NULL;
	struct storage *st = cc_alloc(cc, 1, sizeof(*st));
	if (!st)
		return NULL;
	st->kind = kind;
	st->bytes = bytes;
	st->id = (uint32_t)cc->storage_count;
	if (kind == ST_CONST && !(st->data = cc_alloc(cc, bytes, 1)))
		return NULL;
	cc->storages[cc->storage_count++] = st;
	return st;
}

static bool tensor_size(struct cc *cc, uint32_t dtype, uint32_t rank, const uint32_t *dims, uint64_t *bytes)
{
	uint64_t elements = 0;

	if (cc_failed(cc))
		return false;
	if (rank > ISA_MAX_RANK) {
		cc_unsupported(cc, "a tensor of rank %u: at most %u", rank, ISA_MAX_RANK);
		return false;
	}
	elements = dims_elements(rank, dims);
	if (dtype_bytes(dtype) == 0) {
		cc_unsupported(cc, "element type %s", cc_type_name(dtype));
		return false;
	}
	if (elements > CC_MAX_TENSOR_BYTES / dtype_bytes(dtype)) {
		cc_unsupported(cc, "a tensor larger than %llu bytes", CC_MAX_TENSOR_BYTES);
		return false;
	}
	*bytes = elements * dtype_bytes(dtype);
	return true;
}

static struct view tensor_make(struct cc *cc, enum storage_kind kind, uint32_t dtype, uint32_t rank,
			       const uint32_t *dims, const uint32_t *order)
{
	struct view v = {.dtype = dtype, .rank = rank};
	uint64_t bytes = 0;

	if (!tensor_size(cc, dtype, rank, dims, &bytes))
		return (struct view){0};
	v.st = storage_new(cc, kind, bytes);
	if (rank)
		memcpy(v.dims, dims, rank * sizeof(*dims));
	if (order)
		dims_ordered(rank, dims, order, v.strides);
	else
		dims_row_major(rank, dims, v.strides);
	return v;
}

struct view tensor_const(struct cc *cc, uint32_t dtype, uint32_t rank, const uint32_t *dims)
{
	return tensor_make(cc, ST_CONST, dtype, rank, dims, NULL);
}

static bool all_const(const struct view *inputs, uint32_t n)
{
	bool any = false;

	for (uint32_t i = 0; i < n; i++) {
		if (!view_present(&inputs[i]))
			continue;
		if (!view_const(&inputs[i]))
			return false;
		any = true;
	}
	return any;
}

struct view tensor_new_ordered(struct cc *cc, uint32_t dtype, uint32_t rank, const uint32_t *dims,
			       const uint32_t *order, const struct view *inputs, uint32_t n)
{
	uint64_t bytes = 0;

	if (!tensor_size(cc, dtype, rank, dims, &bytes))
		return (struct view){0};
	enum storage_kind kind = all_const(inputs, n) && bytes <= FOLD_MAX_BYTES ? ST_CONST : ST_INTERMEDIATE;
	return tensor_make(cc, kind, dtype, rank, dims, order);
}

struct view tensor_new(struct cc *cc, uint32_t dtype, uint32_t rank, const uint32_t *dims, const struct view *like,
		       const struct view *inputs, uint32_t n)
{
	uint32_t order[ISA_MAX_RANK];
	bool follow = like && like->rank == rank && rank <= ISA_MAX_RANK;

	if (follow)
		view_order(like, order);
	return tensor_new_ordered(cc, dtype, rank, dims, follow ? order : NULL, inputs, n);
}

struct view const_f32(struct cc *cc, float value)
{
	struct view v = tensor_const(cc, ZY_DATA_F32, 0, NULL);

	if (v.st)
		memcpy(v.st->data, &value, sizeof(value));
	return v;
}

struct view const_i64(struct cc *cc, int64_t value)
{
	struct view v = tensor_const(cc, ZY_DATA_S64, 0, NULL);

	if (v.st)
		memcpy(v.st->data, &value, sizeof(value));
	return v;
}

static int64_t whole(double value)
{
	if (!(value > -9.2e18))
		return value < 0 ? INT64_MIN : 0; /* 0 for what is not a number */
	return value < 9.2e18 ? (int64_t)value : INT64_MAX;
}

struct view const_of(struct cc *cc, uint32_t dtype, double value)
{
	struct view v;

	if (dtype == ZY_DATA_F32)
		return const_f32(cc, (float)value);
	if (dtype == ZY_DATA_S64)
		return const_i64(cc, whole(value));
	v = tensor_const(cc, ZY_DATA_F64, 0, NULL);
	if (!v.st)
		return v;
	memcpy(v.st->data, &value, sizeof(value));
	return emit_cast(cc, &v, dtype);
}

static struct insn *insn_append(struct cc *cc, const struct insn *model)
{
	if (cc->insn_count >= CC_MAX_INSNS) {
		cc_unsupported(cc, "more than %u instructions", CC_MAX_INSNS);
		return NULL;
	}
	if (!grow(cc, (void ***)&cc->insns, cc->insn_count, &cc->insn_room))
		return NULL;
	struct insn *insn = cc_alloc(cc, 1, sizeof(*insn));
	if (!insn)
		return NULL;
	*insn = *model;
	cc->insns[cc->insn_count++] = insn;
	return insn;
}

/* About how many steps an instruction takes. */
static uint64_t fold_work(const struct insn *insn)
{
	const struct view *out = &insn->v[0];
	uint64_t work = view_elements(out);
	uint64_t each = 1;

	for (uint32_t i = insn->outs; i < insn->count; i++)
		if (view_present(&insn->v[i]) && view_elements(&insn->v[i]) > work)
			work = view_elements(&insn->v[i]);
	if (insn->op == ISA_T_CONV || insn->op == ISA_T_CONV_TRANSPOSE)
		each = dims_elements(insn->v[2].rank - 1, &insn->v[2].dims[1]);
	else if (insn->op == ISA_T_MATMUL)
		each = insn->v[1].dims[insn->v[1].rank - 1];
	else if (insn->op == ISA_T_POOL)
		for (uint32_t i = 0; i < insn->params.pool.spatial; i++)
			each *= insn->params.pool.kernel[i];
	return __builtin_mul_overflow(work, each, &work) ? UINT64_MAX : work;
}

/* Runs an instruction on constants; false if that would take too long, and the result becomes an intermediate. */
static bool fold(struct cc *cc, const struct insn *insn)
{
	if (fold_work(insn) <= FOLD_MAX_WORK) {
		cc->stats.folded++;
		host_run(cc, insn);
		return true;
	}
	for (uint32_t i = 0; i < insn->count; i++)
		if (insn_writes(insn, i) && insn->v[i].st)
			insn->v[i].st->kind = ST_INTERMEDIATE;
	return false;
}

struct insn *emit(struct cc *cc, uint32_t op, uint32_t outs, const struct view *v, uint32_t count, const void *params,
		  size_t param_bytes)
{
	struct insn insn = {.op = op, .count = count, .outs = outs, .split = ISA_SPLIT_NONE};

	if (cc_failed(cc) || !view_present(&v[0]))
		return NULL;
	while (count > outs && !view_present(&v[count - 1]))
		count--;
	insn.count = count;
	insn.node = cc->node ? (uint32_t)cc->node->index : UINT32_MAX;
	memcpy(insn.v, v, count * sizeof(*v));
	if (param_bytes)
		memcpy(&insn.params, params, param_bytes);
	insn.param_bytes = param_bytes;
	if (view_elements(&v[0]) == 0)
		return NULL;
	for (uint32_t i = outs; i < count; i++) {
		if (view_present(&v[i]) && view_elements(&v[i]) == 0) {
			cc_unsupported(cc, "an input without elements");
			return NULL;
		}
	}
	if (v[0].st->kind == ST_CONST && fold(cc, &insn))
		return NULL;
	if (host_probe(cc, &insn)) {
		cc_unsupported(cc, "element type %s or this form of the operator",
			       cc_type_name(v[count > outs ? outs : 0].dtype));
		return NULL;
	}
	return insn_append(cc, &insn);
}

void emit_copy(struct cc *cc, const struct view *to, const struct view *from)
{
	if (cc_failed(cc) || !view_present(to))
		return;
	if (view_const(from) && view_is_splat(from) && from->dtype == to->dtype && to->st->kind != ST_CONST) {
		struct isa_fill_params fill = {0};
		uint32_t bytes = dtype_bytes(from->dtype);
		memcpy(fill.value, from->st->data + (size_t)from->offset * bytes, bytes);
		emit(cc, ISA_T_FILL, 1, to, 1, &fill, sizeof(fill));
		return;
	}
	struct view v[2] = {*to, *from};
	emit(cc, ISA_T_COPY, 1, v, 2, NULL, 0);
}

struct view emit_cast(struct cc *cc, const struct view *v, uint32_t dtype)
{
	if (cc_failed(cc) || v->dtype == dtype)
		return *v;
	struct view scalar = *v;
	if (view_is_splat(v)) /* cast one element, keep the shape */
		for (uint32_t i = 0; i < v->rank; i++)
			scalar.dims[i] = v->dims[i] ? 1 : 0;
	struct view out = tensor_new(cc, dtype, scalar.rank, scalar.dims, v, &scalar, 1);
	emit_copy(cc, &out, &scalar);
	if (!cc_failed(cc) && view_is_splat(v))
		(void)view_broadcast(&out, v->rank, v->dims, &out);
	return out;
}

struct view emit_dense(struct cc *cc, const struct view *v)
{
	if (cc_failed(cc) || view_is_dense(v))
		return *v;
	struct view out = tensor_new(cc, v->dtype, v->rank, v->dims, NULL, v, 1);
	emit_copy(cc, &out, v);
	return out;
}

struct view emit_plain(struct cc *cc, const struct view *v)
{
	if (cc_failed(cc))
		return *v;
	for (uint32_t i = 0; i < v->rank; i++) {
		if (v->dims[i] > 1 && v->strides[i] <= 0) {
			struct view out = tensor_new(cc, v->dtype, v->rank, v->dims, v, v, 1);
			emit_copy(cc, &out, v);
			return out;
		}
	}
	return *v;
}

struct view emit_reshape(struct cc *cc, const struct view *v, uint32_t rank, const uint32_t *dims)
{
	struct view out = {0};
	char from[96];
	char to[96];

	if (cc_failed(cc))
		return *v;
	if (rank > ISA_MAX_RANK) {
		cc_unsupported(cc, "a tensor of rank %u: at most %u", rank, ISA_MAX_RANK);
		return *v;
	}
	if (dims_elements(rank, dims) != view_elements(v)) {
		cc_bad(cc, "cannot reshape %s to %s", cc_dims_text(v->rank, v->dims, from, sizeof(from)),
		       cc_dims_text(rank, dims, to, sizeof(to)));
		return *v;
	}
	if (view_reshape(v, rank, dims, &out))
		return out;
	struct view dense = emit_dense(cc, v);
	if (!cc_failed(cc) && !view_reshape(&dense, rank, dims, &out))
		cc_bad(cc, "internal: a dense tensor that cannot be reshaped");
	return out;
}

static int64_t read_int(const uint8_t *p, uint32_t dtype)
{
	union {
		int8_t s8;
		int16_t s16;
		uint16_t u16;
		int32_t s32;
		uint32_t u32;
		int64_t s64;
		float f32;
		double f64;
	} u = {0};

	memcpy(&u, p, dtype_bytes(dtype));
	switch (dtype) {
	case ZY_DATA_BOOL:
	case ZY_DATA_U8:
		return *p;
	case ZY_DATA_S8:
		return u.s8;
	case ZY_DATA_S16:
		return u.s16;
	case ZY_DATA_U16:
		return u.u16;
	case ZY_DATA_S32:
		return u.s32;
	case ZY_DATA_U32:
		return u.u32;
	case ZY_DATA_F32:
		return u.f32 > -9e18f && u.f32 < 9e18f ? (int64_t)u.f32 : 0;
	case ZY_DATA_F64:
		return u.f64 > -9e18 && u.f64 < 9e18 ? (int64_t)u.f64 : 0;
	default:
		return u.s64;
	}
}

static double read_double(const uint8_t *p, uint32_t dtype)
{
	float f = 0;
	double d = 0;

	switch (dtype) {
	case ZY_DATA_F32:
		memcpy(&f, p, sizeof(f));
		return (double)f;
	case ZY_DATA_F64:
		memcpy(&d, p, sizeof(d));
		return d;
	default:
		return (double)read_int(p, dtype);
	}
}

/* Steps `index` through the view in row-major order. */
static int64_t index_step(const struct view *v, uint32_t *index, int64_t at)
{
	for (uint32_t i = v->rank; i-- > 0;) {
		at += v->strides[i];
		if (++index[i] < v->dims[i])
			break;
		at -= (int64_t)v->strides[i] * v->dims[i];
		index[i] = 0;
	}
	return at;
}

static bool readable(const struct view *v, uint32_t max, uint32_t *count)
{
	if (!view_const(v) || view_elements(v) > max || v->dtype == ZY_DATA_F16 || v->dtype == ZY_DATA_BF16)
		return false;
	*count = (uint32_t)view_elements(v);
	return true;
}

bool view_read_ints(const struct view *v, int64_t *out, uint32_t max, uint32_t *count)
{
	uint32_t index[ISA_MAX_RANK] = {0};
	int64_t at = v->offset;

	if (!readable(v, max, count))
		return false;
	for (uint32_t i = 0; i < *count; i++, at = index_step(v, index, at))
		out[i] = read_int(v->st->data + at * dtype_bytes(v->dtype), v->dtype);
	return true;
}

bool view_read_doubles(const struct view *v, double *out, uint32_t max, uint32_t *count)
{
	uint32_t index[ISA_MAX_RANK] = {0};
	int64_t at = v->offset;

	if (!readable(v, max, count))
		return false;
	for (uint32_t i = 0; i < *count; i++, at = index_step(v, index, at))
		out[i] = read_double(v->st->data + at * dtype_bytes(v->dtype), v->dtype);
	return true;
}
