/* SPDX-License-Identifier: Apache-2.0 */
/* few-shot: which of N classes, never seen in training, a picture is of, from one example or a few of each. Matching
 * networks (Vinyals et al. 2016): each example is weighed by the softmax of its cosine to the query; with full-context
 * embeddings (their appendix A) an example's vector depends on all others, and a query's on what it reads of them.
 * SNAIL (Mishra et al. 2018): the comparison itself is learnt, over the episode as a sequence (snail.c). */
#include "models/few_shot.h"
#include "models/snail.h"

#include "ops/cell.h"
#include "ops/cross_entropy.h"
#include "ops/one_hot.h"
#include "ops/pool.h"
#include "ops/reduce.h"
#include "ops/sdpa.h"
#include "ops/slice.h"
#include "ops/softmax.h"

typedef fv_few_shot_settings settings;

#define FIELD(name) #name, .offset = offsetof(settings, name)
enum { NET_MATCHING, NET_SNAIL, SNAIL_WIDTH = 64 };
static const char *const net_names[] = {"matching", "snail", NULL};
static const fv_option options[] = {
    {.name = FIELD(net), .type = FV_OPT_ENUM, .def = "matching", .choices = net_names,
     .doc = "matching networks; snail, which is for the ways and shots it was trained for"},
    {.name = FIELD(channels), .type = FV_OPT_INT, .def = "64", .min = 1, .max = 1024,
     .doc = "of each of the four convolutions"},
    {.name = FIELD(fce), .type = FV_OPT_BOOL, .def = "true",
     .doc = "full-context embeddings: vectors depend on the other pictures of the episode"},
    {.name = FIELD(reads), .type = FV_OPT_INT, .def = "3", .min = 1, .max = 64,
     .doc = "fce: how often a query reads the support set"},
    {.name = FIELD(scale), .type = FV_OPT_REAL, .def = "20", .min = 0.1, .max = 40,
     .doc = "of the cosines before the softmax"},
    {.name = FIELD(turns), .type = FV_OPT_BOOL, .def = "true",
     .doc = "snail: answers are means over turns of the pictures' order and the classes' numbers, as many as classes"},
    {0}};

static const fv_preset presets[] = {
    {"matching", "fce=true", "the default: matching networks with full-context embeddings"},
    {"snail", "net=snail ways=5 shots=1 queries=5 batch=4 shards=2 epochs=120 lr=0.001 warmup=0.15 ema=0.995",
     "attention between convolutions over the support set as a sequence"},
    {"simple", "fce=false", "the same without context: pictures compared as they are"},
    {0}};

/* ---- pictures ---------------------------------------------------------------------------------------------------- */
enum { BLOCKS = 4, LEAST_SIDE = 1 << BLOCKS };

static fv_value *embed(fv_graph *g, const settings *s, fv_value *x, bool training) {
  const fv_pool_attrs half = {.kernel = {1, {2}}};
  const int64_t n = fv_dim(x, 0);
  for (int i = 0; i < BLOCKS; i++) {
    fv_scope_push(g, "encoder.%d", i);
    x = fv_conv2d(g, x, s->channels, 3, .pad = 1, .no_bias = true);
    x = fv_relu(g, fv_batch_norm(g, x, "norm", training));
    x = fv_op(g, "max_pool2d", &half, x);
    fv_scope_pop(g);
  }
  return fv_reshape(g, x, FV_SHAPE(n, -1));
}

fv_episode fv_few_shot_episode(fv_graph *g, const settings *s, const fv_problem *task, int64_t n, bool training) {
  const int64_t h = task->glyph.dim[0], w = task->glyph.dim[1];
  fv_episode e = {.n = n, .support = task->support, .query = task->asked};
  const int64_t all = e.support + e.query;
  fv_value *support = fv_input(g, "support", FV_F32, FV_SHAPE(n, e.support, h, w, 1));
  e.label = fv_input(g, "support_label", FV_I32, FV_SHAPE(n, e.support));
  fv_value *query = fv_input(g, "query", FV_F32, FV_SHAPE(n, e.query, h, w, 1));
  fv_value *x = fv_concat(g, 1, 2, (fv_value *[]){support, query});
  x = embed(g, s, fv_reshape(g, x, FV_SHAPE(n * all, h, w, 1)), training);
  x = fv_reshape(g, x, FV_SHAPE(n, all, -1));
  e.shown = fv_slice_of(g, x, 1, 0, e.support);
  e.asked = fv_slice_of(g, x, 1, e.support, e.query);
  return e;
}

/* ---- full context ------------------------------------------------------------------------------------------------ */
/* g: an example's vector and what a recurrent net makes of it going both ways through the support set (A.2). */
static fv_value *shown_in_context(fv_graph *g, const fv_episode *e) {
  const int64_t width = fv_dim(e->shown, 2);
  fv_value *both = fv_recurrent_net(g, e->shown, width, .name = "context", .bidirectional = true);
  fv_value *sum = fv_add(g, fv_slice_of(g, both, 2, 0, width), fv_slice_of(g, both, 2, width, width));
  return fv_add(g, e->shown, sum);
}

/* r: what a state h [n,Q,E] reads of the support set, by the softmax of their products (A.1, eq. 5 and 6). */
static fv_value *read(fv_graph *g, const fv_episode *e, fv_value *h, fv_value *shown) {
  const int64_t width = fv_dim(h, 2);
  const fv_sdpa_attrs plain = {.scale = 1};
  fv_value *q = fv_reshape(g, h, FV_SHAPE(e->n, e->query, 1, width));
  fv_value *k = fv_reshape(g, shown, FV_SHAPE(e->n, e->support, 1, width));
  return fv_reshape(g, fv_op(g, "sdpa", &plain, q, k, k), FV_SHAPE(e->n * e->query, width));
}

/* f: a cell that sees the query at each step beside what it has just read (A.1, eq. 3 and 4); one that has read nothing
 * yet reads the mean. */
static fv_value *asked_in_context(fv_graph *g, const settings *s, const fv_episode *e, fv_value *shown) {
  const int64_t rows = e->n * e->query, width = fv_dim(e->asked, 2);
  fv_value *par[4], *x = fv_reshape(g, e->asked, FV_SHAPE(rows, width)), *zero = fv_mul(g, x, fv_const(g, 0));
  fv_value *h = zero, *state[2] = {zero, zero};
  fv_scope_push(g, "reader");
  fv_recurrent_params(g, "", 4, 2 * width, width, par);
  fv_scope_pop(g);
  for (int64_t i = 0; i < s->reads; i++) {
    fv_value *r = read(g, e, fv_reshape(g, h, FV_SHAPE(e->n, e->query, width)), shown);
    fv_value *sums = fv_op(g, "linear", NULL, fv_concat(g, 1, 2, (fv_value *[]){x, r}), par[0], par[2]);
    sums = fv_add(g, sums, fv_op(g, "linear", NULL, h, par[1], par[3]));
    if (!fv_op_n(g, "lstm_cell", NULL, 2, (fv_value *[]){sums, state[1]}, 2, state)) return NULL;
    h = fv_add(g, state[0], x);
  }
  return fv_reshape(g, h, FV_SHAPE(e->n, e->query, width));
}

static fv_status check(const void *fields, const fv_problem *task) {
  const settings *s = fields;
  FV_REQUIRE(task->ways > 0, FV_ERR_REQUEST, "expected a dataset of episodes, got one of another kind");
  FV_REQUIRE(task->ways >= 2, FV_ERR_REQUEST, "ways: expected at least 2 classes, got %d", (int)task->ways);
  FV_REQUIRE(task->glyph.dim[0] >= LEAST_SIDE && task->glyph.dim[1] >= LEAST_SIDE, FV_ERR_REQUEST,
             "expected pictures of at least %dx%d, got %s", LEAST_SIDE, LEAST_SIDE, fv_shape_text(task->glyph));
  const bool as_trained = task->n_classes == task->ways && task->support == task->ways * task->shots;
  FV_REQUIRE(s->net != NET_SNAIL || as_trained, FV_ERR_REQUEST,
             "snail: expected %lld classes and %lld of each, for which it was trained, got %lld classes and %lld "
             "pictures",
             (long long)task->ways, (long long)task->shots, (long long)task->n_classes, (long long)task->support);
  return FV_OK;
}

/* ---- the networks ------------------------------------------------------------------------------------------------ */
static fv_value *matching(fv_graph *g, const settings *s, const fv_problem *task, const fv_episode *e) {
  const fv_matching_attrs how = {.ways = task->n_classes, .scale = s->scale};
  fv_value *shown = s->fce ? shown_in_context(g, e) : e->shown;
  fv_value *asked = s->fce ? asked_in_context(g, s, e, shown) : e->asked;
  fv_value *p = fv_matching_layer(g, asked, shown, e->label, "matching", &how);
  return fv_op(g, "log", NULL, fv_op(g, "maximum", NULL, p, fv_const(g, 1e-37)));
}

static fv_value *snail(fv_graph *g, const settings *s, const fv_problem *task, const fv_episode *e, bool training) {
  const int64_t ways = task->ways;
  fv_value *x = fv_concat(g, 1, 2, (fv_value *[]){e->shown, e->asked});
  x = fv_linear(g, x, SNAIL_WIDTH, .name = "encoder.fc");
  const fv_snail_episode episode = {.shown = fv_slice_of(g, x, 1, 0, e->support),
                                    .asked = fv_slice_of(g, x, 1, e->support, e->query),
                                    .class = fv_op(g, "one_hot", &(fv_one_hot_attrs){.classes = ways}, e->label)};
  return fv_snail_classify(g, &episode, ways * task->shots + 1, s->turns && !training ? ways : 1);
}

static void build(fv_graph *g, const void *fields, const fv_problem *task, fv_mode mode, int64_t n) {
  const settings *s = fields;
  const fv_episode e = fv_few_shot_episode(g, s, task, n, mode == FV_MODE_TRAIN);
  fv_value *logits = s->net == NET_SNAIL ? snail(g, s, task, &e, mode == FV_MODE_TRAIN) : matching(g, s, task, &e);
  fv_classifier_outputs(g, fv_reshape(g, logits, FV_SHAPE(n, e.query, task->n_classes)), task, mode);
}

extern const fv_recipe fv_recipe_few_shot;
const fv_recipe fv_recipe_few_shot = {
    .info = {.name = "few-shot",
             .doc = "which of a few new classes a picture is of, from an example or a few of each, and which example "
                    "said so: matching networks, SNAIL",
             .paper = "Vinyals et al. 2016, Matching Networks for One Shot Learning; Mishra et al. 2018 (SNAIL)",
             .default_data = "omniglot",
             .options = options,
             .presets = presets},
    .settings_size = sizeof(settings),
    .training = "ways=20 shots=1 queries=5 epochs=8 batch=2 lr=0.0015 optimizer=adamw weight_decay=0.0005 "
                "schedule=onecycle warmup=0.1",
    .metric = "accuracy",
    .interval = true,
    .check = check,
    .build = build};
