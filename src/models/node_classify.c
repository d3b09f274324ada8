/* SPDX-License-Identifier: Apache-2.0 */
/* node-classify: which of K classes the nodes of a graph are of, when some are known: graph attention over all of it at
 * once (Velickovic et al. 2018, with the settings of their citation networks), or over the surroundings of each
 * node. */
#include "models/graphs.h"
#include "ops/cast.h"
#include "ops/cross_entropy.h"
#include "ops/reduce.h"
#include "ops/slice.h"
#include "ops/softmax.h"

typedef fv_graph_settings settings;

static const fv_option options[] = {
    FV_GRAPH_OPTIONS,
    {.name = FV_GRAPH_FIELD(out_heads), .type = FV_OPT_INT, .def = "1", .min = 1, .max = 256,
     .doc = "of the last layer, whose mean is the answer"},
    {0}};

static const fv_preset presets[] = {{"gat", "v2=false", "the default, as published"},
                                    {"gatv2", "v2=true", "scores that depend on both ends together"},
                                    {"sampled", "neighbours=10,10 batch=32 epochs=100 patience=20 save_every=0",
                                     "for graphs that are too large for one step: nodes with drawn neighbours"},
                                    {0}};

/* The mean of `each` [V] over the nodes that are of the split, one number for the one graph: [1]. */
static fv_value *mean_of(fv_graph *g, fv_value *each, fv_value *count) {
  fv_value *sum = fv_reduce(g, "sum", each, FV_SHAPE(0), true);
  return fv_op(g, "div", NULL, sum, count);
}

/* As fv_classifier_outputs, of nodes, those with label -1 left out. */
static void outputs(fv_graph *g, fv_value *logits, const fv_problem *task, fv_mode mode) {
  if (mode == FV_MODE_PREDICT) {
    fv_output(g, "scores", fv_op(g, "copy", NULL, logits));
    fv_output(g, "probabilities", fv_op(g, "softmax", &(fv_softmax_attrs){.axis = -1}, logits));
    return;
  }
  fv_value *label = fv_reshape(g, fv_input(g, "node_label", FV_I32, FV_SHAPE(1, task->nodes)), FV_SHAPE(task->nodes));
  fv_value *known = fv_op(g, "ge", NULL, label, fv_const_data(g, FV_I32, FV_SCALAR, &(int32_t){0}));
  fv_value *count = fv_reduce(g, "sum", fv_op(g, "cast", NULL, known), FV_SHAPE(0), true);
  const fv_reduce_attrs last = {.axes = {1, {-1}}};
  fv_value *right = fv_op(g, "eq", NULL, fv_op(g, "argmax", &last, logits), label);
  fv_output(g, "each.accuracy", mean_of(g, fv_op(g, "cast", NULL, right), count));
  fv_cross_entropy_attrs a = {.label_smoothing = mode == FV_MODE_TRAIN ? task->label_smoothing : 0, .ignore_index = -1};
  fv_value *loss = fv_op(g, "cross_entropy", &a, logits, label);
  if (mode == FV_MODE_TRAIN) fv_output(g, "loss", loss);
  else fv_output(g, "each.loss", fv_reshape(g, loss, FV_SHAPE(1)));
}

/* Of samples that are surroundings, the node that counts. */
static fv_value *first_of(fv_graph *g, fv_value *logits, const fv_problem *task, int64_t n) {
  fv_value *blocks = fv_reshape(g, logits, FV_SHAPE(n, fv_graph_nodes(task), task->n_classes));
  return fv_reshape(g, fv_slice_of(g, blocks, 1, 0, 1), FV_SHAPE(n, task->n_classes));
}

static fv_status check(const void *fields, const fv_problem *task) {
  (void)fields;
  FV_REQUIRE(!task->features || task->nodes || task->block, FV_ERR_REQUEST,
             "recipe: expected a graph whose nodes have classes, got many graphs");
  return fv_graph_check_task(task);
}

static void build(fv_graph *g, const void *fields, const fv_problem *task, fv_mode mode, int64_t n) {
  const settings *s = fields;
  const bool training = mode == FV_MODE_TRAIN;
  char name[32];
  const fv_graph_input in = fv_graph_input_of(g, task, n);
  fv_nodes nodes = fv_graph_hidden(g, s, &in, s->layers - 1, NULL, training);
  nodes = fv_nodes_dropout(g, &nodes, s->dropout, training);
  snprintf(name, sizeof name, "conv%lld", (long long)s->layers);
  fv_value *logits = fv_graph_attention(g, &nodes, in.row_ptr, in.col, .name = name, .v2 = s->v2, .mean = true,
                                        .heads = s->out_heads, .width = task->n_classes, .dropout = s->dropout,
                                        .training = training);
  if (task->nodes) outputs(g, logits, task, mode);
  else fv_classifier_outputs(g, first_of(g, logits, task, n), task, mode);
}

extern const fv_recipe fv_recipe_node_classify;
const fv_recipe fv_recipe_node_classify = {
    .info = {.name = "node-classify",
             .doc = "which class the nodes of a graph are of, when some are known, and which neighbours said so: graph "
                    "attention",
             .paper = "Velickovic et al. 2018, Graph Attention Networks; Brody et al. 2022 (GATv2)",
             .default_data = "cora",
             .options = options,
             .presets = presets},
    .settings_size = sizeof(settings),
    .training =
        "epochs=10000 batch=1 optimizer=adam lr=0.005 schedule=constant warmup=0 weight_decay=0.0005 choose=both "
        "patience=100 save_every=500",
    .metric = "accuracy",
    .check = check,
    .build = build};
