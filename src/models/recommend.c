/* SPDX-License-Identifier: Apache-2.0 */
/* recommend: will this user like that item, from what was liked before.
 *   din  Deep Interest Network (Zhou et al. 2018): each past item weighs by what it has to do with the one asked about,
 *        without a softmax, so that a strong interest stays stronger than a weak one; Dice between the layers
 *   afm  attentional factorisation machine (Xiao et al. 2017): products of pairs of features, weighed by attention
 * A vector is an item's, its kinds' and, of a past one, of what was thought of it; of the one asked about that is not
 * known, which is a row of the same table. */
#include "models/recommend.h"

#include "ops/loss.h"
#include "ops/lines.h"
#include "ops/pad.h"
#include "ops/slice.h"
#include "ops/softmax.h"

enum { MODEL_DIN, MODEL_AFM };
enum { POOL_TARGET, POOL_MEAN, POOL_SUM };
enum { ACT_DICE, ACT_RELU };
static const char *const model_names[] = {"din", "afm", NULL};
static const char *const pool_names[] = {"target", "mean", "sum", NULL};
static const char *const activation_names[] = {"dice", "relu", NULL};

typedef fv_recommend_settings settings;

#define FIELD(name) #name, .offset = offsetof(settings, name)
static const fv_option options[] = {
    {.name = FIELD(model), .type = FV_OPT_ENUM, .def = "din", .choices = model_names, .doc = "the network"},
    {.name = FIELD(pool), .type = FV_OPT_ENUM, .def = "target", .choices = pool_names,
     .doc = "din: how a history becomes one vector"},
    {.name = FIELD(width), .type = FV_OPT_INT, .def = "16", .min = 1, .max = 1024,
     .doc = "of a user's and an item's vector"},
    {.name = FIELD(small), .type = FV_OPT_INT, .def = "8", .min = 1, .max = 1024,
     .doc = "din: of a kind's, a trait's and an opinion's vector"},
    {.name = FIELD(attention), .type = FV_OPT_INT, .def = "36", .min = 1, .max = 1024,
     .doc = "units of the small net that gives weights"},
    {.name = FIELD(hidden), .type = FV_OPT_INTS, .def = "80,40", .min = 1, .max = 4096,
     .doc = "din: units of each layer"},
    {.name = FIELD(activation), .type = FV_OPT_ENUM, .def = "dice", .choices = activation_names,
     .doc = "din: between the layers"},
    {.name = FIELD(dropout), .type = FV_OPT_REAL, .def = "0.2", .min = 0, .max = 0.95,
     .doc = "dropped share behind each layer"},
    {.name = FIELD(forget_user), .type = FV_OPT_REAL, .def = "0.9", .min = 0, .max = 1,
     .doc = "share of users made unknown in training, so that the network does without"},
    {.name = FIELD(forget_item), .type = FV_OPT_REAL, .def = "0.02", .min = 0, .max = 1, .doc = "likewise of items"},
    {.name = FIELD(spare), .type = FV_OPT_INT, .def = "0", .min = 0, .max = 1e9,
     .doc = "din: rows of the table of items kept for later ones; a step costs the same with them"},
    {0}};

static const fv_preset presets[] = {
    {"din", "model=din pool=target", "the default"},
    {"mean", "model=din pool=mean", "the same without attention: past items count alike"},
    {"sum", "model=din pool=sum", "the same, and more of them count more"},
    {"afm", "model=afm", "which pairs of features matter"},
    {0}};

/* ---- what goes in ------------------------------------------------------------------------------------------------ */
static fv_value *behind(fv_graph *g, fv_value *one, fv_value *more) {
  return fv_concat(g, 1, 2, (fv_value *[]){one, more});
}

static fv_tastes inputs(fv_graph *g, const settings *s, const fv_problem *task, int64_t n, bool training) {
  const int64_t t = task->length, k = task->kinds;
  fv_tastes in = {.n = n, .t = t};
  fv_value *user = fv_reshape(g, fv_input(g, "user", FV_I32, FV_SHAPE(n)), FV_SHAPE(n, 1));
  fv_value *item = fv_reshape(g, fv_input(g, "item", FV_I32, FV_SHAPE(n)), FV_SHAPE(n, 1));
  fv_value *history = fv_input(g, "history", FV_I32, FV_SHAPE(n, t));
  fv_value *levels = fv_input(g, "history_liked", FV_I32, FV_SHAPE(n, t));
  in.user = fv_word_dropout(g, user, s->forget_user, training);
  in.items = fv_word_dropout(g, behind(g, item, history), s->forget_item, training);
  in.levels = behind(g, fv_whole(g, fv_token_mask(g, item)), levels); /* 1: not known */
  in.mask = fv_token_mask(g, history);
  if (task->traits) in.traits = fv_input(g, "traits", FV_I32, FV_SHAPE(n, task->traits));
  if (!k) return in;
  fv_value *kinds = fv_reshape(g, fv_input(g, "kinds", FV_I32, FV_SHAPE(n, k)), FV_SHAPE(n, 1, k));
  kinds = behind(g, kinds, fv_input(g, "history_kinds", FV_I32, FV_SHAPE(n, t, k)));
  in.kinds = fv_reshape(g, kinds, FV_SHAPE(n, (1 + t) * k));
  return in;
}

fv_value *fv_taste_sum(fv_graph *g, fv_value *x, fv_value *where) {
  const int64_t n = fv_dim(x, 0), t = fv_dim(x, 1);
  fv_value *sum = fv_op(g, "matmul", NULL, fv_reshape(g, fv_real(g, where), FV_SHAPE(n, 1, t)), x);
  return fv_reshape(g, sum, FV_SHAPE(n, fv_dim(x, 2)));
}

fv_value *fv_taste_count(fv_graph *g, fv_value *where) {
  fv_value *count = fv_reduce(g, "sum", fv_real(g, where), FV_SHAPE(1), true);
  return fv_op(g, "maximum", NULL, count, fv_const(g, 1));
}

static fv_value *mean_of(fv_graph *g, fv_value *x, fv_value *where) {
  return fv_op(g, "div", NULL, fv_taste_sum(g, x, where), fv_taste_count(g, where));
}

fv_value *fv_taste_kinds(fv_graph *g, const fv_tastes *in, const fv_problem *task, int64_t width, double deviation) {
  const int64_t k = task->kinds, things = in->n * (1 + in->t);
  fv_value *x = fv_embedding(g, in->kinds, "kind", task->kind_values, width, deviation);
  fv_value *there = fv_reshape(g, fv_token_mask(g, in->kinds), FV_SHAPE(things, k));
  x = mean_of(g, fv_reshape(g, x, FV_SHAPE(things, k, width)), there);
  return fv_reshape(g, x, FV_SHAPE(in->n, 1 + in->t, width));
}

/* How far vectors lie apart at first. Kinds and opinions are few and soon known, and only when their products are not
 * tiny can the attention see what is alike; of users and items there are many, seen seldom. */
static const double FEW = 1, MANY = 0.05;

/* ---- Deep Interest Network --------------------------------------------------------------------------------------- */
static fv_value *things(fv_graph *g, const settings *s, const fv_problem *task, const fv_tastes *in) {
  fv_value *item = fv_embedding(g, in->items, "item", task->items + s->spare, s->width, MANY);
  fv_value *level = fv_embedding(g, in->levels, "level", FV_LEVELS, s->small, FEW);
  fv_value *kinds = in->kinds ? fv_taste_kinds(g, in, task, s->small, FEW) : level;
  return fv_concat(g, 2, in->kinds ? 3 : 2, (fv_value *[]){item, kinds, level});
}

/* The attention's sum over the number of what is there, so that weights of 1 are the mean; a plain sum over the
 * greatest such number, so that it is of that size, too. */
static fv_value *interest(fv_graph *g, const settings *s, fv_value *history, fv_value *asked, fv_value *mask,
                          int64_t longest) {
  if (s->pool == POOL_MEAN) return mean_of(g, history, mask);
  if (s->pool == POOL_SUM) return fv_mul(g, fv_taste_sum(g, history, mask), fv_const(g, 1 / (double)longest));
  fv_value *sum = fv_target_layer(g, history, asked, mask, "interest", s->attention);
  return fv_op(g, "div", NULL, sum, fv_taste_count(g, mask));
}

static fv_value *layers(fv_graph *g, const settings *s, fv_value *x, bool training) {
  for (int64_t i = 0; i < s->hidden.n; i++) {
    char name[32];
    snprintf(name, sizeof name, "layers.%d", (int)i);
    x = fv_linear(g, x, s->hidden.v[i], .name = name);
    snprintf(name, sizeof name, "dice.%d", (int)i);
    x = s->activation == ACT_DICE ? fv_dice(g, x, name, training) : fv_relu(g, x);
    x = fv_dropout(g, x, s->dropout, training);
  }
  return fv_linear(g, x, 1, .name = "answer");
}

static fv_value *din(fv_graph *g, const settings *s, const fv_problem *task, const fv_tastes *in, bool training) {
  fv_value *all = things(g, s, task, in), *x[5];
  const int64_t n = in->n, e = fv_dim(all, 2);
  int parts = 0;
  fv_value *asked = fv_reshape(g, fv_slice_of(g, all, 1, 0, 1), FV_SHAPE(n, e));
  fv_value *history = interest(g, s, fv_slice_of(g, all, 1, 1, in->t), asked, in->mask, task->longest);
  x[parts++] = fv_reshape(g, fv_embedding(g, in->user, "user", task->users, s->width, MANY), FV_SHAPE(n, s->width));
  if (in->traits)
    x[parts++] = fv_reshape(g, fv_embedding(g, in->traits, "trait", task->trait_values, s->small, FEW),
                            FV_SHAPE(n, task->traits * s->small));
  x[parts++] = history;
  x[parts++] = asked;
  x[parts++] = fv_mul(g, history, asked);
  return fv_reshape(g, layers(g, s, fv_concat(g, 1, parts, x), training),
                    FV_SHAPE(n));
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */
/* One logit: of the two classes the first has 0. */
static void outputs(fv_graph *g, fv_value *logit, fv_mode mode) {
  const int64_t n = fv_dim(logit, 0);
  const fv_pad_attrs before = {.before = {2, {0, 1}}, .after = {2, {0, 0}}};
  if (mode != FV_MODE_TRAIN) {
    fv_value *scores = fv_op(g, "pad", &before, fv_reshape(g, logit, FV_SHAPE(n, 1)));
    fv_output(g, "scores", fv_op(g, "copy", NULL, scores));
    fv_output(g, "probabilities", fv_op(g, "softmax", &(fv_softmax_attrs){.axis = -1}, scores));
  }
  if (mode == FV_MODE_PREDICT) return;
  fv_value *label = fv_input(g, "label", FV_I32, FV_SHAPE(n));
  fv_value *liked = fv_real(g, label);
  const fv_bce_attrs mean = {.reduction = FV_REDUCE_MEAN}, each = {.reduction = FV_REDUCE_NONE};
  fv_output(g, "each.score", fv_op(g, "copy", NULL, logit));
  fv_output(g, "each.positive", liked);
  if (mode == FV_MODE_TRAIN) fv_output(g, "loss", fv_op(g, "binary_cross_entropy_with_logits", &mean, logit, liked));
  else fv_output(g, "each.loss", fv_op(g, "binary_cross_entropy_with_logits", &each, logit, liked));
}

static fv_status check(const void *fields, const fv_problem *task) {
  (void)fields;
  FV_REQUIRE(task->items > 0, FV_ERR_REQUEST, "recommend: expected a dataset of ratings, got none");
  return FV_OK;
}

static void build(fv_graph *g, const void *fields, const fv_problem *task, fv_mode mode, int64_t n) {
  const settings *s = fields;
  const bool training = mode == FV_MODE_TRAIN;
  const fv_tastes in = inputs(g, s, task, n, training);
  outputs(g, s->model == MODEL_AFM ? fv_recommend_afm(g, s, task, &in, training) : din(g, s, task, &in, training),
          mode);
}

extern const fv_recipe fv_recipe_recommend;
const fv_recipe fv_recipe_recommend = {
    .info = {.name = "recommend",
             .doc = "will a user like an item, from what was liked before, and which of it counted",
             .paper = "Zhou et al. 2018 (Deep Interest Network); Xiao et al. 2017 (attentional factorisation machine)",
             .default_data = "ml-100k",
             .options = options,
             .presets = presets},
    .settings_size = sizeof(settings),
    .training = "epochs=4 batch=512 lr=0.006 optimizer=adamw schedule=onecycle warmup=0.3 weight_decay=0.01 "
                "rows_decay=2 longest=50 like=4 dislike=2",
    .metric = "auc",
    .ranks = true,
    .more_metrics = (const char *const[]){"gauc", NULL},
    .check = check,
    .build = build};
