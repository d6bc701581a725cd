/* SPDX-License-Identifier: Apache-2.0 */
/* RNN, GRU and LSTM, unrolled: one product for all inputs, then one step after the other. */
#include "emulator/compiler/operators.h"

#include <string.h>

#define MAX_STEPS 1024u
#define MAX_GATES 4u

struct cell {
	uint32_t gates; /* 1 RNN, 3 GRU, 4 LSTM */
	uint32_t hidden;
	uint32_t steps;
	uint32_t batch;
	uint32_t directions;
	bool reverse_first;
	bool batch_first;
	bool linear_before_reset;
	uint32_t activation[2 * 3];
	struct view lengths; /* f32, [batch, 1]; absent if all sequences are whole */
};

/* What one direction works with. */
struct lane {
	struct view input; /* x * W^T + bias for all steps: [steps, batch, gates * hidden] */
	struct view recur; /* R^T: [hidden, gates * hidden] */
	struct view recur_bias; /* GRU with linear_before_reset: added to h * R^T of the last gate */
	struct view peephole; /* LSTM: [3 * hidden] or absent */
	struct view h;
	struct view c;
	const uint32_t *activation;
};

static uint32_t activation_by_name(struct cc *cc, const char *name, size_t length)
{
	static const struct {
		const char *name;
		uint32_t fn;
	} rows[] = {{"Sigmoid", ISA_U_SIGMOID},
		    {"Tanh", ISA_U_TANH},
		    {"Relu", ISA_U_RELU},
		    {"Softsign", ISA_U_SOFTSIGN},
		    {"Softplus", ISA_U_SOFTPLUS}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strlen(rows[i].name) == length && strncasecmp(rows[i].name, name, length) == 0)
			return rows[i].fn;
	cc_unsupported(cc, "activation \"%.*s\"", (int)(length < 32 ? length : 32), name);
	return ISA_U_TANH;
}

static void read_activations(struct cc *cc, const struct node *n, struct cell *cell)
{
	const Onnx__AttributeProto *a = attr_find(n, "activations");
	uint32_t each = cell->gates == 1 ? 1 : cell->gates == 3 ? 2 : 3;

	for (uint32_t i = 0; i < cell->directions * each; i++)
		cell->activation[i] = each > 1 && i % each == 0 ? ISA_U_SIGMOID : ISA_U_TANH;
	if (!a)
		return;
	if (a->n_strings != (size_t)cell->directions * each) {
		cc_bad(cc, "%zu activations instead of %u", a->n_strings, cell->directions * each);
		return;
	}
	for (size_t i = 0; i < a->n_strings; i++)
		cell->activation[i] = activation_by_name(cc, (const char *)a->strings[i].data, a->strings[i].len);
}

static bool read_cell(struct cc *cc, const struct node *n, struct cell *cell)
{
	const struct view *x = node_in(n, 0);
	const struct view *w = node_in(n, 1);
	const struct view *r = node_in(n, 2);
	const char *direction = attr_string(cc, n, "direction", "forward");

	*cell = (struct cell){.gates = n->op[0] == 'R' ? 1 : n->op[0] == 'G' ? 3 : 4, .directions = 1};
	cell->batch_first = attr_int(cc, n, "layout", 0) != 0;
	cell->linear_before_reset = attr_int(cc, n, "linear_before_reset", 0) != 0;
	if (strcmp(direction, "bidirectional") == 0)
		cell->directions = 2;
	else if (strcmp(direction, "reverse") == 0)
		cell->reverse_first = true;
	else if (strcmp(direction, "forward") != 0)
		cc_bad(cc, "direction \"%.32s\"", direction);
	if (attr_find(n, "clip") || attr_int(cc, n, "input_forget", 0) || attr_find(n, "activation_alpha") ||
	    attr_find(n, "activation_beta"))
		cc_unsupported(cc, "clipping, coupled gates or parameters of activations");
	if (cc_failed(cc))
		return false;
	if (x->rank != 3 || w->rank != 3 || r->rank != 3 || r->dims[1] != cell->gates * (uint64_t)r->dims[2] ||
	    w->dims[1] != r->dims[1] || w->dims[2] != x->dims[2] || w->dims[0] != cell->directions ||
	    r->dims[0] != cell->directions) {
		cc_bad(cc, "input, weights and recurrence do not match");
		return false;
	}
	cell->hidden = r->dims[2];
	cell->steps = x->dims[cell->batch_first ? 1 : 0];
	cell->batch = x->dims[cell->batch_first ? 0 : 1];
	if (attr_int(cc, n, "hidden_size", cell->hidden) != cell->hidden)
		cc_bad(cc, "attribute \"hidden_size\" differs from the weights");
	if (cell->steps > MAX_STEPS || cell->steps == 0)
		cc_unsupported(cc, "%u steps: 1 to %u", cell->steps, MAX_STEPS);
	read_activations(cc, n, cell);
	return !cc_failed(cc);
}

static void read_lengths(struct cc *cc, const struct node *n, struct cell *cell)
{
	const struct view *lengths = node_in(n, 4);

	if (!view_present(lengths))
		return;
	if (lengths->rank != 1 || lengths->dims[0] != cell->batch) {
		cc_bad(cc, "sequence lengths that are not one for each of %u sequences", cell->batch);
		return;
	}
	if (cell->reverse_first || cell->directions > 1) {
		cc_unsupported(cc, "sequence lengths and a reverse direction");
		return;
	}
	struct view v = emit_cast(cc, lengths, ZY_DATA_F32);
	if (!cc_failed(cc))
		cell->lengths = view_insert(&v, 1);
}

/* [directions, ...] -> the part of one direction; batch-first states have it in the second place. */
static struct view of_direction(const struct view *v, uint32_t axis, uint32_t d)
{
	struct view out = view_slice(v, axis, d, 1, 1);

	return view_remove(&out, axis);
}

static struct view initial_state(struct cc *cc, const struct node *n, const struct cell *cell, uint32_t input,
				 uint32_t d)
{
	const struct view *given = node_in(n, input);
	uint32_t dims[2] = {cell->batch, cell->hidden};
	uint32_t axis = cell->batch_first ? 1 : 0;

	if (view_present(given)) {
		if (given->rank == 3 && given->dims[axis] == cell->directions && given->dims[1 - axis] == cell->batch &&
		    given->dims[2] == cell->hidden)
			return of_direction(given, axis, d);
		cc_bad(cc, "input %u does not have the shape of a state", input);
	}
	struct view zero = const_f32(cc, 0);
	if (!cc_failed(cc))
		(void)view_broadcast(&zero, 2, dims, &zero);
	return zero;
}

/* Input and recurrence biases are added once, except where a GRU resets after the product. */
static void lane_bias(struct cc *cc, const struct node *n, const struct cell *cell, uint32_t d, struct lane *lane,
		      struct view *bias)
{
	const struct view *b = node_in(n, 3);
	uint32_t size = cell->gates * cell->hidden;

	*bias = (struct view){0};
	if (!view_present(b))
		return;
	if (b->rank != 2 || b->dims[0] != cell->directions || b->dims[1] != 2 * size) {
		cc_bad(cc, "a bias that does not match");
		return;
	}
	struct view own = of_direction(b, 0, d);
	struct view wb = view_slice(&own, 0, 0, size, 1);
	struct view rb = view_slice(&own, 0, size, size, 1);
	if (cell->gates == 3 && cell->linear_before_reset) {
		lane->recur_bias = view_slice(&rb, 0, 2 * cell->hidden, cell->hidden, 1);
		struct view zero = const_f32(cc, 0);
		if (!cc_failed(cc))
			(void)view_broadcast(&zero, 1, &cell->hidden, &zero);
		struct view parts[2] = {view_slice(&rb, 0, 0, 2 * cell->hidden, 1), zero};
		rb = emit_concat(cc, parts, 2, 0);
	}
	*bias = emit_binary(cc, ISA_B_ADD, &wb, &rb);
}

static bool lane_open(struct cc *cc, const struct node *n, const struct cell *cell, uint32_t d, struct lane *lane)
{
	struct view x = *node_in(n, 0);
	struct view w = of_direction(node_in(n, 1), 0, d);
	struct view r = of_direction(node_in(n, 2), 0, d);
	struct view bias;

	memset(lane, 0, sizeof(*lane));
	lane_bias(cc, n, cell, d, lane, &bias);
	if (cc_failed(cc))
		return false;
	if (cell->batch_first)
		x = view_swap(&x, 0, 1);
	w = view_swap(&w, 0, 1);
	lane->input = emit_matmul(cc, &x, &w, view_present(&bias) ? &bias : NULL, 1, 1);
	lane->recur = view_swap(&r, 0, 1);
	lane->h = initial_state(cc, n, cell, 5, d);
	if (cell->gates == 4) {
		lane->c = initial_state(cc, n, cell, 6, d);
		const struct view *p = node_in(n, 7);
		if (view_present(p) &&
		    (p->rank != 2 || p->dims[0] != cell->directions || p->dims[1] != 3 * cell->hidden))
			cc_bad(cc, "peepholes that do not match");
		if (view_present(p) && !cc_failed(cc))
			lane->peephole = of_direction(p, 0, d);
	}
	lane->activation = &cell->activation[(size_t)d * (cell->gates == 1 ? 1 : cell->gates == 3 ? 2 : 3)];
	return !cc_failed(cc);
}

static struct view gate_of(const struct view *v, const struct cell *cell, uint32_t gate)
{
	return view_slice(v, v->rank - 1, gate * cell->hidden, cell->hidden, 1);
}

static struct view add(struct cc *cc, const struct view *a, const struct view *b)
{
	return emit_binary(cc, ISA_B_ADD, a, b);
}

static struct view mul(struct cc *cc, const struct view *a, const struct view *b)
{
	return emit_binary(cc, ISA_B_MUL, a, b);
}

static struct view act(struct cc *cc, uint32_t fn, const struct view *v)
{
	return emit_unary(cc, fn, 0, 0, v);
}

static void step_rnn(struct cc *cc, struct lane *lane, const struct view *x)
{
	struct view sum = emit_matmul(cc, &lane->h, &lane->recur, x, 1, 1);

	lane->h = act(cc, lane->activation[0], &sum);
}

/* h' = (1 - z) * new + z * h = new + z * (h - new); gates in the order z, r, h. */
static void step_gru(struct cc *cc, const struct cell *cell, struct lane *lane, const struct view *x)
{
	struct view zr_weights = view_slice(&lane->recur, 1, 0, 2 * cell->hidden, 1);
	struct view h_weights = gate_of(&lane->recur, cell, 2);
	struct view zr_input = view_slice(x, 1, 0, 2 * cell->hidden, 1);
	struct view h_input = gate_of(x, cell, 2);
	struct view zr = emit_matmul(cc, &lane->h, &zr_weights, &zr_input, 1, 1);
	struct view fresh;

	zr = act(cc, lane->activation[0], &zr);
	if (cc_failed(cc))
		return;
	struct view z = gate_of(&zr, cell, 0);
	struct view r = gate_of(&zr, cell, 1);
	if (cell->linear_before_reset) {
		struct view linear = emit_matmul(cc, &lane->h, &h_weights,
						 view_present(&lane->recur_bias) ? &lane->recur_bias : NULL, 1, 1);
		linear = mul(cc, &r, &linear);
		fresh = add(cc, &h_input, &linear);
	} else {
		struct view reset = mul(cc, &r, &lane->h);
		fresh = emit_matmul(cc, &reset, &h_weights, &h_input, 1, 1);
	}
	fresh = act(cc, lane->activation[1], &fresh);
	struct view change = emit_binary(cc, ISA_B_SUB, &lane->h, &fresh);
	change = mul(cc, &z, &change);
	lane->h = add(cc, &fresh, &change);
}

/* One gate of an LSTM, with the cell state looking in through a peephole if there is one. */
static struct view lstm_gate(struct cc *cc, const struct cell *cell, const struct lane *lane, const struct view *sums,
			     uint32_t gate, uint32_t peephole, const struct view *c, uint32_t fn)
{
	if (cc_failed(cc))
		return *sums;
	struct view v = gate_of(sums, cell, gate);

	if (view_present(&lane->peephole) && c) {
		struct view weight = gate_of(&lane->peephole, cell, peephole);
		struct view look = mul(cc, &weight, c);
		v = add(cc, &v, &look);
	}
	return act(cc, fn, &v);
}

/* Gates in the order i, o, f, c; peepholes in the order i, o, f. */
static void step_lstm(struct cc *cc, const struct cell *cell, struct lane *lane, const struct view *x)
{
	struct view sums = emit_matmul(cc, &lane->h, &lane->recur, x, 1, 1);
	struct view i = lstm_gate(cc, cell, lane, &sums, 0, 0, &lane->c, lane->activation[0]);
	struct view f = lstm_gate(cc, cell, lane, &sums, 2, 2, &lane->c, lane->activation[0]);
	struct view g = lstm_gate(cc, cell, lane, &sums, 3, 0, NULL, lane->activation[1]);
	struct view kept = mul(cc, &f, &lane->c);
	struct view fresh = mul(cc, &i, &g);

	lane->c = add(cc, &kept, &fresh);
	struct view o = lstm_gate(cc, cell, lane, &sums, 1, 1, &lane->c, lane->activation[0]);
	struct view out = act(cc, lane->activation[2], &lane->c);
	lane->h = mul(cc, &o, &out);
}

/* One step; sequences that have ended keep their state and give 0. */
static struct view step(struct cc *cc, const struct cell *cell, struct lane *lane, uint32_t t)
{
	struct view x = view_slice(&lane->input, 0, t, 1, 1);
	struct view h = lane->h;
	struct view c = lane->c;

	x = view_remove(&x, 0);
	if (cell->gates == 1)
		step_rnn(cc, lane, &x);
	else if (cell->gates == 3)
		step_gru(cc, cell, lane, &x);
	else
		step_lstm(cc, cell, lane, &x);
	if (!view_present(&cell->lengths) || cc_failed(cc))
		return lane->h;
	struct view now = const_f32(cc, (float)t);
	struct view zero = const_f32(cc, 0);
	struct view running = emit_binary(cc, ISA_B_GREATER, &cell->lengths, &now);
	struct view out = emit_select(cc, &running, &lane->h, &zero);
	lane->h = emit_select(cc, &running, &lane->h, &h);
	if (cell->gates == 4)
		lane->c = emit_select(cc, &running, &lane->c, &c);
	return out;
}

static void lower_recurrent(struct cc *cc, const struct node *n)
{
	struct cell cell;
	struct lane lane;

	if (!read_cell(cc, n, &cell))
		return;
	read_lengths(cc, n, &cell);
	struct view *all = cc_alloc(cc, (size_t)cell.steps, sizeof(*all)); /* [1, 1, batch, hidden] each */
	struct view sides[2] = {{0}};
	struct view last_h[2] = {{0}};
	struct view last_c[2] = {{0}};
	for (uint32_t d = 0; d < cell.directions && !cc_failed(cc); d++) {
		if (!lane_open(cc, n, &cell, d, &lane))
			return;
		for (uint32_t i = 0; i < cell.steps && !cc_failed(cc); i++) {
			uint32_t t = cell.reverse_first || d == 1 ? cell.steps - 1 - i : i;
			struct view h = step(cc, &cell, &lane, t);
			h = view_insert(&h, 0);
			all[t] = view_insert(&h, 0);
		}
		if (cc_failed(cc))
			return;
		sides[d] = emit_concat(cc, all, cell.steps, 0);
		last_h[d] = view_insert(&lane.h, 0);
		last_c[d] = cell.gates == 4 ? view_insert(&lane.c, 0) : lane.h;
	}
	if (cc_failed(cc))
		return;
	struct view y = emit_concat(cc, sides, cell.directions, 1);
	struct view yh = emit_concat(cc, last_h, cell.directions, 0);
	if (cell.batch_first && !cc_failed(cc)) {
		static const uint32_t perm[4] = {2, 0, 1, 3};
		y = view_transpose(&y, perm);
		yh = view_swap(&yh, 0, 1);
	}
	node_set(cc, n, 0, &y);
	node_set(cc, n, 1, &yh);
	if (cell.gates == 4) {
		struct view yc = emit_concat(cc, last_c, cell.directions, 0);
		if (cell.batch_first && !cc_failed(cc))
			yc = view_swap(&yc, 0, 1);
		node_set(cc, n, 2, &yc);
	}
}

#define ATTRIBUTES "activation_alpha activation_beta activations clip direction hidden_size layout output_sequence "

const struct operator_row operators_recurrent[] = {
    {"RNN", lower_recurrent, 3, 6, 2, ATTRIBUTES},
    {"GRU", lower_recurrent, 3, 6, 2, ATTRIBUTES "linear_before_reset"},
    {"LSTM", lower_recurrent, 3, 8, 3, ATTRIBUTES "input_forget"},
    {0},
};
