/* SPDX-License-Identifier: Apache-2.0 */
/* graph-classify: which of K classes a graph is of: graph attention between its nodes, then soft attention over them
 * (Yang et al. 2016, of nodes in place of words). Both are means, which do not know how many there were; so each node
 * also has the logarithm of its degree, and the graph that of its size. And means of means lose what a node was like:
 * the pooling sees what every layer made of it (Xu et al. 2018), and the features themselves. */
#include "models/graphs.h"
#include "ops/cast.h"
#include "ops/concat.h"

typedef fv_graph_settings settings;

static const fv_option options[] = {
    FV_GRAPH_OPTIONS,
    {.name = FV_GRAPH_FIELD(pool), .type = FV_OPT_INT, .def = "32", .min = 1, .max = 1024,
     .doc = "width of the attention pooling's scorer"},
    {.name = FV_GRAPH_FIELD(hidden), .type = FV_OPT_INT, .def = "32", .min = 1, .max = 4096,
     .doc = "units between pooling and answer"},
    {.name = FV_GRAPH_FIELD(pooled), .type = FV_OPT_REAL, .def = "0.3", .min = 0, .max = 0.95,
     .doc = "dropped share of the units before the answer; features are too few to drop"},
    {0}};

static const fv_preset presets[] = {{"gat", "v2=false", "the default"},
                                    {"gatv2", "v2=true", "scores that depend on both ends together"},
                                    {0}};

static fv_value *logarithm(fv_graph *g, fv_value *count, int64_t rows) {
  return fv_op(g, "log1p", NULL, fv_op(g, "cast", NULL, fv_reshape(g, count, FV_SHAPE(rows, 1))));
}

static fv_value *beside(fv_graph *g, int n, fv_value *const *each) {
  return n == 1 ? each[0] : fv_op_apply(g, "concat", &(fv_concat_attrs){.axis = -1}, n, each);
}

static fv_status check(const void *fields, const fv_problem *task) {
  (void)fields;
  FV_REQUIRE(!task->nodes && !task->block, FV_ERR_REQUEST, "recipe: expected a dataset of many graphs, got one graph");
  return fv_graph_check_task(task);
}

static void build(fv_graph *g, const void *fields, const fv_problem *task, fv_mode mode, int64_t n) {
  const settings *s = fields;
  const bool training = mode == FV_MODE_TRAIN;
  const int64_t nodes = fv_graph_nodes(task);
  fv_value *each[FV_GRAPH_LAYERS + 1];
  int depth = 0;
  fv_graph_input in = fv_graph_input_of(g, task, n);
  if (in.nodes.x) {
    in.nodes.x = beside(g, 2, (fv_value *[]){in.nodes.x, logarithm(g, in.degree, n * nodes)});
    in.nodes.features++;
    each[depth++] = in.nodes.x;
  }
  fv_graph_hidden(g, s, &in, s->layers, each + depth, training);
  fv_value *x = beside(g, depth + (int)s->layers, each);
  x = fv_reshape(g, x, FV_SHAPE(n, nodes, fv_dim(x, 1)));
  x = fv_additive_pool_layer(g, x, in.there, "pool", s->pool);
  fv_value *size = fv_reduce(g, "sum", fv_op(g, "cast", NULL, in.there), FV_SHAPE(1), true);
  x = beside(g, 2, (fv_value *[]){x, fv_op(g, "log1p", NULL, size)});
  x = fv_op(g, "elu", NULL, fv_linear(g, x, s->hidden, .name = "hidden"));
  x = fv_linear(g, fv_dropout(g, x, s->pooled, training), task->n_classes, .name = "classifier");
  fv_classifier_outputs(g, x, task, mode);
}

extern const fv_recipe fv_recipe_graph_classify;
const fv_recipe fv_recipe_graph_classify = {
    .info = {.name = "graph-classify",
             .doc = "which class a graph is of, and which of its nodes said so: graph attention and attention pooling",
             .paper = "Velickovic et al. 2018, Graph Attention Networks; Yang et al. 2016 (attention pooling)",
             .default_data = "proteins",
             .options = options,
             .presets = presets},
    .settings_size = sizeof(settings),
    .training = "epochs=60 batch=32 lr=0.01 validation=0.1 dropout=0 layers=2 heads=4 width=16",
    .metric = "accuracy",
    .check = check,
    .build = build};
