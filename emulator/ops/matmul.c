/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MATMUL: f32 through the library's GEMM, one matrix of the batch at a time; other types by plain loops. Matrices that
 * GEMM cannot name (no unit stride) pass through scratch.
 */
#include <errno.h>

#include "emulator/ops/internal.h"
#include "emulator/ops/prim.h"

struct matmul {
	struct isa_matmul_params params;
	struct op_tensor out; /* two axes: one matrix */
	struct op_tensor a;
	struct op_tensor b;
	struct op_tensor bias;
	bool has_bias;
};

static struct op_tensor matrix_of(const struct op_tensor *t)
{
	struct op_tensor m = *t;

	m.rank = 2;
	for (uint32_t i = 0; i < 2; i++) {
		m.dims[i] = t->dims[t->rank - 2 + i];
		m.strides[i] = t->strides[t->rank - 2 + i];
	}
	return m;
}

/* As GEMM sees it: row major with a leading dimension, or its transpose. */
static bool gemm_names(const struct op_tensor *m, char *trans, dnnl_dim_t *ld)
{
	if (m->dims[1] == 1 || m->strides[1] == 1) {
		*trans = 'N';
		*ld = m->dims[0] == 1 ? m->dims[1] : m->strides[0];
		if (*ld >= m->dims[1] && (m->dims[1] > 1 || *ld >= 1))
			return true;
	}
	if (m->dims[0] == 1 || m->strides[0] == 1) {
		*trans = 'T';
		*ld = m->dims[1] == 1 ? m->dims[0] : m->strides[1];
		return *ld >= m->dims[0];
	}
	return false;
}

static int gemm_operand(struct op_ctx *ctx, struct op_tensor *m, char *trans, dnnl_dim_t *ld)
{
	if (gemm_names(m, trans, ld))
		return 0;
	struct op_tensor dense = tensor_view(scratch_get((size_t)tensor_elements(m) * 4), ZY_DATA_F32, 2, m->dims);
	if (!dense.data)
		return -ENOMEM;
	int rc = copy_view(ctx, &dense, m);
	*m = dense;
	*trans = 'N';
	*ld = m->dims[1];
	return rc;
}

static bool gemm_fits(const struct op_tensor *m)
{
	return m->dims[0] * m->dims[1] * 4 < PRIM_MAX_BYTES && m->strides[0] < INT32_MAX && m->strides[1] < INT32_MAX;
}

/* C = alpha A B + beta C; a column-major C is the row-major product of the transposes. */
static int gemm_run(struct op_ctx *ctx, const struct matmul *c, float beta)
{
	struct op_tensor a = c->a;
	struct op_tensor b = c->b;
	char ta;
	char tb;
	char tc;
	dnnl_dim_t lda;
	dnnl_dim_t ldb;
	dnnl_dim_t ldc;

	if (!gemm_names(&c->out, &tc, &ldc) || !gemm_fits(&c->out) || !gemm_fits(&a) || !gemm_fits(&b))
		return 1;
	int rc = gemm_operand(ctx, &a, &ta, &lda);
	if (!rc)
		rc = gemm_operand(ctx, &b, &tb, &ldb);
	if (rc)
		return rc;
	const int64_t m = c->out.dims[0];
	const int64_t n = c->out.dims[1];
	const int64_t k = c->a.dims[1];
	float *out = (float *)(void *)c->out.data;
	const float *pa = (const float *)(const void *)a.data;
	const float *pb = (const float *)(const void *)b.data;
	/* Rows in pieces, so that a long product can be given up in between. */
	int64_t rows = OP_UNINTERRUPTED_MACS / (n * k) + 1;
	for (int64_t i = 0; i < m; i += rows) {
		int64_t some = m - i < rows ? m - i : rows;
		const float *a_rows = pa + i * (ta == 'N' ? lda : 1);
		float *o = out + i * (tc == 'N' ? ldc : 1);
		dnnl_status_t status =
		    tc == 'N' ? dnnl_sgemm(ta, tb, some, n, k, c->params.alpha, a_rows, lda, pb, ldb, beta, o, ldc)
			      : dnnl_sgemm(tb == 'N' ? 'T' : 'N', ta == 'N' ? 'T' : 'N', n, some, k, c->params.alpha,
					   pb, ldb, a_rows, lda, beta, o, ldc);
		if (status != dnnl_success)
			return i ? -ENOMEM : 1;
		if (record_cancelled(ctx))
			return -ECANCELED;
	}
	return 0;
}

static int loops_run(struct op_ctx *ctx, const struct matmul *c)
{
	bool integer = type_is_integer(c->out.dtype);
	const int64_t es = (int64_t)c->out.esize;

	for (int64_t i = 0; i < c->out.dims[0]; i++)
		for (int64_t j = 0; j < c->out.dims[1]; j++) {
			const uint8_t *a = c->a.data + i * c->a.strides[0] * es;
			const uint8_t *b = c->b.data + j * c->b.strides[1] * es;
			uint8_t *o = c->out.data + (i * c->out.strides[0] + j * c->out.strides[1]) * es;
			const uint8_t *bias = c->bias.data + (i * c->bias.strides[0] + j * c->bias.strides[1]) * es;
			uint64_t isum = 0;
			double sum = 0;
			if (record_cancelled(ctx))
				return -ECANCELED;
			for (int64_t k = 0; k < c->a.dims[1]; k++) {
				const uint8_t *pa = a + k * c->a.strides[1] * es;
				const uint8_t *pb = b + k * c->b.strides[0] * es;
				if (integer)
					isum += (uint64_t)type_load_s64(pa, c->a.dtype) *
						(uint64_t)type_load_s64(pb, c->b.dtype);
				else
					sum += type_load(pa, c->a.dtype) * type_load(pb, c->b.dtype);
			}
			if (integer && c->params.alpha == 1.0f && (!c->has_bias || c->params.beta == 1.0f)) {
				if (c->has_bias)
					isum += (uint64_t)type_load_s64(bias, c->bias.dtype);
				type_store_s64(o, c->out.dtype, (int64_t)isum);
				continue;
			}
			sum = (double)c->params.alpha * (integer ? (double)(int64_t)isum : sum);
			if (c->has_bias)
				sum += (double)c->params.beta * type_load(bias, c->bias.dtype);
			type_store(o, c->out.dtype, sum);
		}
	return 0;
}

static int matrix_run(struct op_ctx *ctx, const struct matmul *c)
{
	if (c->out.dtype == ZY_DATA_F32 && c->a.dims[1] > 0) {
		float beta = 0;
		int rc = 1;
		if (c->has_bias) {
			rc = copy_view(ctx, &c->out, &c->bias);
			if (rc)
				return rc;
			beta = c->params.beta;
		}
		rc = gemm_run(ctx, c, beta);
		if (rc <= 0)
			return rc;
	}
	return loops_run(ctx, c);
}

static int matmul_check(struct op_ctx *ctx, struct matmul *c)
{
	const struct op_tensor *t = ctx->t;

	int rc = record_operands(ctx, 3, 4);
	if (!rc)
		rc = record_params(ctx, &c->params, sizeof(c->params));
	if (rc)
		return rc;
	uint32_t rank = t[0].rank;
	c->has_bias = tensor_present(ctx, 3);
	if (rank < 2 || t[1].rank != rank || t[2].rank != rank || !activation_known(c->params.activation.fn) ||
	    (c->has_bias && !tensor_same_dims(&t[0], &t[3])))
		return -EINVAL;
	for (uint32_t i = 0; i + 2 < rank; i++)
		if (t[1].dims[i] != t[0].dims[i] || t[2].dims[i] != t[0].dims[i])
			return -EINVAL;
	if (t[0].dims[rank - 2] != t[1].dims[rank - 2] || t[0].dims[rank - 1] != t[2].dims[rank - 1] ||
	    t[1].dims[rank - 1] != t[2].dims[rank - 2])
		return -EINVAL;
	for (uint32_t i = 1; i < ctx->count; i++)
		if (tensor_present(ctx, i) && t[i].dtype != t[0].dtype)
			return -EINVAL;
	if (t[0].dtype == ZY_DATA_BOOL || (t[0].dtype != ZY_DATA_F32 && c->params.activation.fn != ISA_U_NONE))
		return -EOPNOTSUPP;
	__int128 work = (__int128)tensor_elements(&t[0]) * t[1].dims[rank - 1];
	return work > OP_MAX_WORK ? -EINVAL : 0;
}

static void matmul_slice(struct op_ctx *ctx)
{
	uint32_t rank = ctx->t[0].rank;

	if (ctx->split == ISA_SPLIT_NONE)
		return;
	tensor_take(ctx, 0);
	if (ctx->split != rank - 1)
		tensor_take(ctx, 1);
	if (ctx->split != rank - 2)
		tensor_take(ctx, 2);
	if (tensor_present(ctx, 3))
		tensor_take(ctx, 3);
}

/* Each matrix of the batch in turn. */
static int matmul_batch(struct op_ctx *ctx, struct matmul *c)
{
	struct op_tensor *m[] = {&c->out, &c->a, &c->b, &c->bias};
	const struct op_tensor *out = &ctx->t[0];
	int64_t index[ISA_MAX_RANK] = {0};

	for (;;) {
		int rc = matrix_run(ctx, c);
		if (!rc && record_cancelled(ctx))
			rc = -ECANCELED;
		if (rc)
			return rc;
		uint32_t d = out->rank - 2;
		while (d-- > 0) {
			bool wrap = ++index[d] == out->dims[d];
			int64_t steps = wrap ? 1 - out->dims[d] : 1;
			for (uint32_t i = 0; i < (c->has_bias ? 4u : 3u); i++)
				m[i]->data += steps * ctx->t[i].strides[d] * (int64_t)out->esize;
			if (!wrap)
				break;
			index[d] = 0;
		}
		if (d == UINT32_MAX)
			return 0;
	}
}

int op_matmul(struct op_ctx *ctx)
{
	struct matmul c;

	memset(&c, 0, sizeof(c));
	int rc = matmul_check(ctx, &c);
	if (rc || ctx->empty)
		return rc;
	matmul_slice(ctx);
	int64_t elements = tensor_elements(&ctx->t[0]);
	if (!elements)
		return 0;
	record_charge_macs(ctx, elements * ctx->t[1].dims[ctx->t[1].rank - 1]);
	rc = tensor_map_all(ctx, 1);
	if (rc)
		return rc;
	c.out = matrix_of(&ctx->t[0]);
	c.a = matrix_of(&ctx->t[1]);
	c.b = matrix_of(&ctx->t[2]);
	c.bias = c.has_bias ? matrix_of(&ctx->t[3]) : c.out;
	rc = matmul_batch(ctx, &c);
	return rc ? rc : activate_view(ctx, &c.params.activation, &ctx->t[0]);
}
