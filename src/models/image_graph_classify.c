/* SPDX-License-Identifier: Apache-2.0 */
/* image-graph-classify: which of K classes an image is of, by the graph of its superpixels: layers of graph attention
 * of growing width as in Avelar et al. 2020. A mean over neighbours does not tell a node from them: each layer adds
 * what it makes of the node itself, as Velickovic et al. 2018 do on PPI, and normalises. Attention over the nodes pools
 * what all layers made of them (Yang et al. 2016; Xu et al. 2018). */
#include "models/graphs.h"

typedef struct settings {
  fv_int_list widths;
  int64_t heads, pool, hidden;
  double dropout, pooled;
  bool v2;
} settings;

#define FIELD(name) #name, .offset = offsetof(settings, name)
static const fv_option options[] = {
    {.name = FIELD(widths), .type = FV_OPT_INTS, .def = "32,64,64", .min = 1, .max = 1024,
     .doc = "of a head, in each layer of graph attention"},
    {.name = FIELD(heads), .type = FV_OPT_INT, .def = "2", .min = 1, .max = 64, .doc = "of a layer, side by side"},
    {.name = FIELD(v2), .type = FV_OPT_BOOL, .def = "false",
     .doc = "GATv2: scores from both ends together (Brody et al. 2022)"},
    {.name = FIELD(dropout), .type = FV_OPT_REAL, .def = "0", .min = 0, .max = 0.95,
     .doc = "dropped share of attention weights and of what they weigh"},
    {.name = FIELD(pool), .type = FV_OPT_INT, .def = "32", .min = 1, .max = 1024,
     .doc = "width of the attention pooling's scorer"},
    {.name = FIELD(hidden), .type = FV_OPT_INT, .def = "32", .min = 1, .max = 4096,
     .doc = "units between pooling and answer"},
    {.name = FIELD(pooled), .type = FV_OPT_REAL, .def = "0", .min = 0, .max = 0.95,
     .doc = "dropped share of the units before the answer"},
    {0}};

/* Epochs are here because a dataset's own count is for networks that see pixels. */
static const fv_preset presets[] = {{"gat", "v2=false epochs=20 batch=64", "the default"},
                                    {"gatv2", "v2=true epochs=20 batch=64", "scores that depend on both ends together"},
                                    {0}};

static fv_status check(const void *fields, const fv_problem *task) {
  const settings *s = fields;
  FV_REQUIRE(!task->words && !task->nodes && !task->block, FV_ERR_REQUEST,
             "recipe: expected images, or graphs of plain features, got others");
  FV_REQUIRE(s->widths.n >= 1, FV_ERR_REQUEST, "widths: expected one layer or more, got none");
  return fv_graph_check_task(task);
}

/* Of layer i, from 1. */
static fv_value *layer(fv_graph *g, const settings *s, const fv_graph_input *in, const fv_nodes *nodes, int i,
                       bool training) {
  char name[3][32];
  snprintf(name[0], sizeof name[0], "conv%d", i);
  snprintf(name[1], sizeof name[1], "conv%d.res", i);
  snprintf(name[2], sizeof name[2], "norm%d", i);
  fv_value *y = fv_graph_attention(g, nodes, in->row_ptr, in->col, .name = name[0], .v2 = s->v2, .heads = s->heads,
                                   .width = s->widths.v[i - 1], .dropout = s->dropout, .training = training);
  fv_value *own = fv_linear(g, nodes->x, s->heads * s->widths.v[i - 1], .name = name[1], .no_bias = true);
  return fv_relu(g, fv_batch_norm(g, fv_add(g, y, own), name[2], training));
}

static void build(fv_graph *g, const void *fields, const fv_problem *task, fv_mode mode, int64_t n) {
  const settings *s = fields;
  const bool training = mode == FV_MODE_TRAIN;
  const fv_graph_input in = fv_graph_input_of(g, task, n);
  fv_nodes nodes = in.nodes;
  fv_value *each[FV_MAX_LIST];
  for (int i = 0; i < s->widths.n; i++) {
    each[i] = layer(g, s, &in, &nodes, i + 1, training);
    nodes = (fv_nodes){.x = each[i], .features = s->heads * s->widths.v[i]};
  }
  fv_value *x = fv_concat(g, -1, s->widths.n, each);
  x = fv_reshape(g, x, FV_SHAPE(n, fv_graph_nodes(task), -1));
  x = fv_additive_pool_layer(g, x, in.there, "pool", s->pool);
  x = fv_relu(g, fv_linear(g, x, s->hidden, .name = "hidden"));
  x = fv_linear(g, fv_dropout(g, x, s->pooled, training), task->n_classes, .name = "classifier");
  fv_classifier_outputs(g, x, task, mode);
}

extern const fv_recipe fv_recipe_image_graph_classify;
const fv_recipe fv_recipe_image_graph_classify = {
    .info = {.name = "image-graph-classify",
             .doc = "which class an image is of, by the graph of its superpixels, and which of these said so: graph "
                    "attention and attention pooling",
             .paper = "Avelar et al. 2020, Superpixel Image Classification with Graph Attention Networks; Achanta "
                      "et al. 2012 (SLIC)",
             .default_data = "mnist",
             .options = options,
             .presets = presets},
    .settings_size = sizeof(settings),
    .training = "superpixels=75 lr=0.005",
    .metric = "accuracy",
    .check = check,
    .build = build};
