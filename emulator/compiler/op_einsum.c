/* SPDX-License-Identifier: Apache-2.0 */
/* Einsum: diagonals are views, sums are reductions, and what two operands share becomes one matrix product. */
#include "emulator/compiler/operators.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MAX_OPERANDS 8u

/* A tensor whose axes have letters. */
struct lettered {
	struct view v;
	char axis[ISA_MAX_RANK];
};

static bool has(const struct lettered *t, char letter)
{
	return memchr(t->axis, letter, t->v.rank) != NULL;
}

static uint32_t axis_named(const struct lettered *t, char letter)
{
	return (uint32_t)((const char *)memchr(t->axis, letter, t->v.rank) - t->axis);
}

/* Reads the letters of one operand; an axis named twice becomes the diagonal. */
static bool name_axes(struct cc *cc, const struct view *v, const char *letters, size_t length, struct lettered *t)
{
	t->v = *v;
	t->v.rank = 0;
	if (length != v->rank) {
		cc_bad(cc, "\"%.*s\" for a tensor of rank %u", (int)length, letters, v->rank);
		return false;
	}
	for (uint32_t i = 0; i < v->rank; i++) {
		if (!has(t, letters[i])) {
			t->axis[t->v.rank] = letters[i];
			t->v.dims[t->v.rank] = v->dims[i];
			t->v.strides[t->v.rank++] = v->strides[i];
			continue;
		}
		uint32_t axis = axis_named(t, letters[i]);
		if (t->v.dims[axis] != v->dims[i]) {
			cc_bad(cc, "axis '%c' has sizes %u and %u", letters[i], t->v.dims[axis], v->dims[i]);
			return false;
		}
		t->v.strides[axis] += v->strides[i];
	}
	return true;
}

/* Sums over the axes that neither `keep` nor any other operand names. */
static void sum_private(struct cc *cc, struct lettered *t, const char *keep, const struct lettered *other)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < t->v.rank; i++)
		if (!strchr(keep, t->axis[i]) && !(other && has(other, t->axis[i])))
			mask |= 1u << i;
	if (mask == 0)
		return;
	struct view sum = emit_reduce(cc, ISA_R_SUM, &t->v, mask, false);
	uint32_t rank = 0;
	for (uint32_t i = 0; i < t->v.rank; i++)
		if (!(mask & (1u << i)))
			t->axis[rank++] = t->axis[i];
	t->v = sum;
}

/* Axes in the order of `letters`, those it has. */
static void arrange(struct lettered *t, const char *letters)
{
	uint32_t perm[ISA_MAX_RANK];
	char axis[ISA_MAX_RANK] = {0};
	uint32_t rank = 0;

	for (; *letters; letters++) {
		if (!has(t, *letters))
			continue;
		axis[rank] = *letters;
		perm[rank++] = axis_named(t, *letters);
	}
	t->v = view_transpose(&t->v, perm);
	memcpy(t->axis, axis, rank);
}

struct letters {
	char text[2 * ISA_MAX_RANK + 1];
	uint32_t count;
	uint64_t size;
};

static void letters_add(struct letters *set, char letter, uint32_t dim)
{
	set->text[set->count++] = letter;
	set->size *= dim;
}

/* Which axes are in both (kept, summed) and in one only. */
static bool sort_axes(struct cc *cc, const struct lettered *a, const struct lettered *b, const char *keep,
		      struct letters *batch, struct letters *m, struct letters *n, struct letters *k)
{
	*batch = *m = *n = *k = (struct letters){.size = 1};
	for (uint32_t i = 0; i < a->v.rank; i++) {
		char letter = a->axis[i];
		if (!has(b, letter)) {
			letters_add(m, letter, a->v.dims[i]);
			continue;
		}
		if (b->v.dims[axis_named(b, letter)] != a->v.dims[i]) {
			cc_bad(cc, "axis '%c' has different sizes", letter);
			return false;
		}
		letters_add(strchr(keep, letter) ? batch : k, letter, a->v.dims[i]);
	}
	for (uint32_t i = 0; i < b->v.rank; i++)
		if (!has(a, b->axis[i]))
			letters_add(n, b->axis[i], b->v.dims[i]);
	if (batch->count + m->count + n->count > ISA_MAX_RANK || batch->size > UINT32_MAX || m->size > UINT32_MAX ||
	    n->size > UINT32_MAX || k->size > UINT32_MAX)
		cc_unsupported(cc, "a product of that size");
	return !cc_failed(cc);
}

static void join(char *out, const struct letters *a, const struct letters *b, const struct letters *c)
{
	memcpy(out, a->text, a->count);
	memcpy(out + a->count, b->text, b->count);
	if (c)
		memcpy(out + a->count + b->count, c->text, c->count);
	out[a->count + b->count + (c ? c->count : 0)] = '\0';
}

/* a and b as [batch, m, k] and [batch, k, n]; the product has the axes batch, m, n. */
static struct lettered contract(struct cc *cc, struct lettered a, struct lettered b, const char *keep)
{
	struct letters batch;
	struct letters m;
	struct letters n;
	struct letters k;
	struct lettered out = {.v = {0}};
	char order[8 * ISA_MAX_RANK];
	uint32_t dims[ISA_MAX_RANK];

	sum_private(cc, &a, keep, &b);
	sum_private(cc, &b, keep, &a);
	if (cc_failed(cc) || !sort_axes(cc, &a, &b, keep, &batch, &m, &n, &k))
		return a;
	join(order, &batch, &m, &k);
	arrange(&a, order);
	join(order, &batch, &k, &n);
	arrange(&b, order);
	uint32_t flat_a[3] = {(uint32_t)batch.size, (uint32_t)m.size, (uint32_t)k.size};
	uint32_t flat_b[3] = {(uint32_t)batch.size, (uint32_t)k.size, (uint32_t)n.size};
	join(order, &batch, &m, &n);
	for (uint32_t i = 0; order[i]; i++) {
		const struct lettered *from = has(&a, order[i]) ? &a : &b;
		dims[i] = from->v.dims[axis_named(from, order[i])];
	}
	struct view va = emit_reshape(cc, &a.v, 3, flat_a);
	struct view vb = emit_reshape(cc, &b.v, 3, flat_b);
	struct view product = emit_matmul(cc, &va, &vb, NULL, 1, 0);
	out.v = emit_reshape(cc, &product, (uint32_t)strlen(order), dims);
	memcpy(out.axis, order, strlen(order));
	return out;
}

struct equation {
	char text[128]; /* without spaces */
	const char *part[MAX_OPERANDS];
	size_t length[MAX_OPERANDS];
	uint32_t count;
	char out[64];
};

/* Without an arrow, the result has the letters that appear once, in alphabetical order. */
static void implicit_output(struct equation *e)
{
	uint32_t used = 0;

	for (int letter = 'A'; letter <= 'z'; letter++) {
		uint32_t seen = 0;
		for (const char *at = e->text; *at; at++)
			seen += *at == letter;
		if (seen == 1 && used + 1 < sizeof(e->out))
			e->out[used++] = (char)letter;
	}
	e->out[used] = '\0';
}

static bool parse(struct cc *cc, const char *text, struct equation *e)
{
	size_t used = 0;

	memset(e, 0, sizeof(*e));
	for (; *text; text++) {
		if (*text == ' ')
			continue;
		if ((!isalpha((unsigned char)*text) && !strchr(",->", *text)) || used + 1 == sizeof(e->text)) {
			cc_unsupported(cc, "the equation \"%.64s\"", text);
			return false;
		}
		e->text[used++] = *text;
	}
	char *arrow = strstr(e->text, "->");
	if (arrow)
		(void)snprintf(e->out, sizeof(e->out), "%s", arrow + 2);
	else
		implicit_output(e);
	const char *end = arrow ? arrow : e->text + used;
	for (const char *at = e->text; e->count < MAX_OPERANDS;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		e->part[e->count] = at;
		e->length[e->count++] = (size_t)((comma ? comma : end) - at);
		if (!comma)
			return strlen(e->out) <= ISA_MAX_RANK;
		at = comma + 1;
	}
	return false;
}

static void lower_einsum(struct cc *cc, const struct node *n)
{
	struct lettered all[MAX_OPERANDS];
	struct equation e;

	if (!parse(cc, attr_string(cc, n, "equation", ""), &e) || e.count != n->in_count) {
		cc_bad(cc, "the equation does not fit %u inputs", n->in_count);
		return;
	}
	for (uint32_t i = 0; i < e.count; i++)
		if (!name_axes(cc, node_in(n, i), e.part[i], e.length[i], &all[i]))
			return;
	for (uint32_t i = 1; i < e.count && !cc_failed(cc); i++) {
		/* Axes that a later operand still needs must survive. */
		char keep[sizeof(e.text) + sizeof(e.out)];
		(void)snprintf(keep, sizeof(keep), "%s%s", e.out, i + 1 < e.count ? e.part[i + 1] : "");
		all[0] = contract(cc, all[0], all[i], keep);
	}
	if (!cc_failed(cc))
		sum_private(cc, &all[0], e.out, NULL);
	if (cc_failed(cc))
		return;
	for (const char *at = e.out; *at; at++)
		if (!has(&all[0], *at) || strchr(at + 1, *at))
			cc_bad(cc, "the result's axis '%c'", *at);
	if (cc_failed(cc))
		return;
	arrange(&all[0], e.out);
	node_set(cc, n, 0, &all[0].v);
}

const struct operator_row operators_einsum[] = {
    {"Einsum", lower_einsum, 1, MAX_OPERANDS, 1, "equation"},
    {0},
};
