/* SPDX-License-Identifier: Apache-2.0 */
/* Losses: gather the score of the target class, weigh it, reduce. */
#include "emulator/compiler/operators.h"

#include <string.h>

struct loss {
	struct view target; /* [N, d...], ignored entries replaced by class 0 */
	struct view ignored; /* bool; absent if nothing is ignored */
	struct view weight; /* of each entry; absent if all weigh 1 */
};

static void find_ignored(struct cc *cc, const struct node *n, const struct view *target, struct loss *loss)
{
	loss->target = *target;
	if (!attr_find(n, "ignore_index"))
		return;
	struct view index = const_of(cc, target->dtype, (double)attr_int(cc, n, "ignore_index", 0));
	struct view zero = const_of(cc, target->dtype, 0);
	loss->ignored = emit_binary(cc, ISA_B_EQUAL, target, &index);
	loss->target = emit_select(cc, &loss->ignored, &zero, target);
}

/* Picks one element of axis 1 of `scores` for each target. */
static struct view pick_class(struct cc *cc, const struct view *scores, const struct view *target)
{
	struct isa_axis_params params = {.axis = 1};

	if (cc_failed(cc))
		return *scores;
	struct view data = emit_plain(cc, scores);
	struct view index = view_insert(target, 1);
	index = emit_plain(cc, &index);
	struct view out = tensor_new(cc, data.dtype, index.rank, index.dims, NULL, (struct view[]){data, index}, 2);
	struct view ops[3] = {out, data, index};
	emit(cc, ISA_T_GATHER_ELEMENTS, 1, ops, 3, &params, sizeof(params));
	return cc_failed(cc) ? out : view_remove(&out, 1);
}

/* The class weight of each target: the weights broadcast over the batch, then picked like the scores. */
static void find_weights(struct cc *cc, const struct view *scores, const struct view *weights, struct loss *loss)
{
	struct view zero = const_of(cc, scores->dtype, 0);
	struct view one = const_of(cc, scores->dtype, 1);

	if (view_present(weights)) {
		struct view wide = *weights;
		if (weights->rank != 1 || weights->dims[0] != scores->dims[1]) {
			cc_bad(cc, "the weights are not one number for each of %u classes", scores->dims[1]);
			return;
		}
		while (wide.rank + 1 < scores->rank)
			wide = view_insert(&wide, wide.rank);
		if (!view_broadcast(&wide, scores->rank, scores->dims, &wide))
			cc_bad(cc, "internal: broadcast");
		loss->weight = pick_class(cc, &wide, &loss->target);
	}
	if (view_present(&loss->ignored))
		loss->weight =
		    emit_select(cc, &loss->ignored, &zero, view_present(&loss->weight) ? &loss->weight : &one);
}

static bool check_shapes(struct cc *cc, const struct view *scores, const struct view *target)
{
	bool match = scores->rank >= 2 && target->rank + 1 == scores->rank && target->dims[0] == scores->dims[0];

	for (uint32_t i = 2; match && i < scores->rank; i++)
		match = target->dims[i - 1] == scores->dims[i];
	if (!match || (target->dtype != ZY_DATA_S32 && target->dtype != ZY_DATA_S64))
		cc_bad(cc, "the targets do not match the scores");
	return !cc_failed(cc);
}

static struct view loss_reduce(struct cc *cc, const char *reduction, const struct view *each, const struct loss *loss)
{
	uint32_t all = (1u << each->rank) - 1;

	if (strcmp(reduction, "none") == 0 || cc_failed(cc))
		return *each;
	if (strcmp(reduction, "mean") == 0 && !view_present(&loss->weight))
		return emit_reduce(cc, ISA_R_MEAN, each, all, false);
	struct view sum = emit_reduce(cc, ISA_R_SUM, each, all, false);
	if (strcmp(reduction, "sum") == 0)
		return sum;
	if (strcmp(reduction, "mean") != 0)
		cc_bad(cc, "reduction \"%.32s\"", reduction);
	struct view total = emit_reduce(cc, ISA_R_SUM, &loss->weight, all, false);
	return emit_binary(cc, ISA_B_DIV, &sum, &total);
}

static void negative_log_likelihood(struct cc *cc, const struct node *n, const struct view *scores)
{
	struct loss loss = {.target = {0}};

	if (cc_failed(cc) || !check_shapes(cc, scores, node_in(n, 1)))
		return;
	find_ignored(cc, n, node_in(n, 1), &loss);
	find_weights(cc, scores, node_in(n, 2), &loss);
	struct view each = pick_class(cc, scores, &loss.target);
	each = emit_unary(cc, ISA_U_NEG, 0, 0, &each);
	if (view_present(&loss.weight))
		each = emit_binary(cc, ISA_B_MUL, &each, &loss.weight);
	struct view out = loss_reduce(cc, attr_string(cc, n, "reduction", "mean"), &each, &loss);
	node_set(cc, n, 0, &out);
}

static void lower_nll_loss(struct cc *cc, const struct node *n)
{
	negative_log_likelihood(cc, n, node_in(n, 0));
}

static void lower_cross_entropy(struct cc *cc, const struct node *n)
{
	if (node_in(n, 0)->rank < 2) {
		cc_bad(cc, "scores of rank %u", node_in(n, 0)->rank);
		return;
	}
	struct view scores = emit_softmax(cc, node_in(n, 0), 1, 1);
	negative_log_likelihood(cc, n, &scores);
	node_set(cc, n, 1, &scores);
}

const struct operator_row operators_loss[] = {
    {"NegativeLogLikelihoodLoss", lower_nll_loss, 2, 3, 1, "ignore_index reduction"},
    {"SoftmaxCrossEntropyLoss", lower_cross_entropy, 2, 3, 2, "ignore_index reduction"},
    {0},
};
