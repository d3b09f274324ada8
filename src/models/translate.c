/* SPDX-License-Identifier: Apache-2.0 */
/* translate: from one language into another, a token after the other, and which words of the source each came from.
 *   transformer  norms first (Vaswani et al. 2017; Xiong et al. 2020)
 *   gru          additive attention (Bahdanau et al. 2015)
 *   lstm         multiplicative attention with input feeding (Luong et al. 2015)
 *
 * The loss of a sentence is the mean over its tokens, <eos> included, of the cross entropy with smoothed labels; that
 * of a shard is the mean over its sentences. So what a sentence counts for depends on nothing but itself: not on
 * padding, nor on which sentences it is put together with. */
#include "models/translate.h"

#include "ops/cross_entropy.h"
#include "ops/lines.h"
#include "ops/reduce.h"
#include "ops/slice.h"

#include <math.h>

static const char *const cell_names[] = {"gru", "lstm", "transformer", NULL};

#define FIELD(name) #name, .offset = offsetof(fv_translate, name)
static const fv_option options[] = {
    {.name = FIELD(cell), .type = FV_OPT_ENUM, .def = "transformer", .choices = cell_names,
     .doc = "a Transformer, or recurrent with additive (gru) or multiplicative (lstm) attention"},
    {.name = FIELD(width), .type = FV_OPT_INT, .def = "128", .min = 4, .max = 4096,
     .doc = "of a token's vector, and throughout a Transformer"},
    {.name = FIELD(hidden), .type = FV_OPT_INT, .def = "512", .min = 4, .max = 16384,
     .doc = "transformer: units of the two-layer nets; gru, lstm: units of the decoder, half as many each way "
            "before"},
    {.name = FIELD(layers), .type = FV_OPT_INT, .def = "4", .min = 1, .max = 32,
     .doc = "of the encoder; transformer: of the decoder, too"},
    {.name = FIELD(heads), .type = FV_OPT_INT, .def = "4", .min = 1, .max = 64,
     .doc = "transformer: attention heads; divides width"},
    {.name = FIELD(positions), .type = FV_OPT_ENUM, .def = "sinusoidal", .choices = fv_position_names,
     .doc = "transformer: how it knows where a token stands"},
    {.name = FIELD(dropout), .type = FV_OPT_REAL, .def = "0.3", .min = 0, .max = 0.95, .doc = "dropped share"},
    {.name = FIELD(tie), .type = FV_OPT_BOOL, .def = "true",
     .doc = "the vectors of written tokens are also the rows of the last product"},
    {0}};

static const fv_preset presets[] = {
    {"transformer", "cell=transformer", "the default: four layers each way of width 128"},
    {"gru", "cell=gru width=256 hidden=256 layers=1 vocabulary=5000 lr=0.002 epochs=10",
     "additive attention"},
    {"lstm", "cell=lstm width=256 hidden=256 layers=1 vocabulary=5000 lr=0.002 epochs=10",
     "multiplicative attention, input feeding"},
    {"tiny", "width=64 hidden=128 layers=2 heads=2 dropout=0.1 epochs=8", "a small Transformer, for number-words"},
    {0}};

/* ---- parts ------------------------------------------------------------------------------------------------------- */
/* The table of the source's tokens or of those written; of a joint vocabulary there is one. Rows of deviation
 * 1/sqrt(E), so that products with them begin at about 1. */
static fv_value *table_of(const fv_translation *t, bool written) {
  const double deviation = 1 / sqrt((double)t->s->width);
  const char *name = t->task->joint ? "embedding" : written ? "decoder.embedding" : "encoder.embedding";
  fv_scope_push(t->g, "%s", name);
  fv_value *w = fv_param(t->g, "weight", FV_SHAPE(t->task->vocabulary[written], t->s->width),
                         (fv_init){.kind = FV_INIT_NORMAL, .a = deviation}, FV_GROUP_NO_DECAY);
  fv_scope_pop(t->g);
  return w;
}

fv_value *fv_translate_embed(const fv_translation *t, fv_value *tokens, bool written) {
  fv_value *x = fv_op(t->g, "embedding", NULL, table_of(t, written), tokens);
  return fv_mul(t->g, x, fv_const(t->g, sqrt((double)t->s->width)));
}

fv_value *fv_translate_logits(const fv_translation *t, fv_value *x) {
  const int64_t v = t->task->vocabulary[1];
  const fv_init small = {.kind = FV_INIT_NORMAL, .a = 1 / sqrt((double)t->s->width)}, zeros = {.kind = FV_INIT_ZEROS};
  fv_value *b = fv_param(t->g, "output.bias", FV_SHAPE(v), zeros, FV_GROUP_NO_DECAY);
  fv_value *w = t->s->tie ? table_of(t, true)
                          : fv_param(t->g, "output.weight", FV_SHAPE(v, fv_dim(x, -1)), small, FV_GROUP_DECAY);
  return fv_op(t->g, "linear", NULL, x, w, b);
}

static const char *numbered(const fv_translation *t, const char *name, int64_t i) {
  const char *full = fv_arena_printf(t->g->arena, "%s.%d", name, (int)i);
  if (!full) (void)fv_graph_fail(t->g, FV_FAIL(FV_ERR_MEMORY, "translate: out of memory"));
  return full;
}

fv_value *fv_translate_input(const fv_translation *t, const char *name, int64_t i, fv_shape shape) {
  const char *full = numbered(t, name, i);
  return full ? fv_input(t->g, full, FV_F32, shape) : NULL;
}

void fv_translate_output(const fv_translation *t, const char *name, int64_t i, fv_value *v) {
  const char *full = numbered(t, name, i);
  if (full) fv_output(t->g, full, v);
}

/* ---- loss -------------------------------------------------------------------------------------------------------- */
static fv_value *sum_last(fv_graph *g, fv_value *v) { return fv_reduce(g, "sum", v, FV_SHAPE(1), false); }

/* The mean of each sentence [n,T] over the places that the mask has. */
static fv_value *mean_of(fv_graph *g, fv_value *each, fv_value *mask) {
  return fv_op(g, "div", NULL, sum_last(g, each), sum_last(g, mask));
}

static void outputs(const fv_translation *t, fv_value *logits, fv_value *label) {
  fv_graph *g = t->g;
  const bool training = t->mode == FV_MODE_TRAIN;
  const fv_cross_entropy_attrs each = {.label_smoothing = training ? t->task->label_smoothing : 0, .ignore_zero = true,
                                       .ignore_index = -100, .reduction = FV_REDUCE_NONE};
  fv_value *mask = fv_real(g, fv_token_mask(g, label));
  const fv_reduce_attrs last = {.axes = {1, {-1}}};
  fv_value *right = fv_op(g, "eq", NULL, fv_op(g, "argmax", &last, logits), label);
  fv_output(g, "each.token_accuracy", mean_of(g, fv_mul(g, fv_real(g, right), mask), mask));
  fv_value *loss = mean_of(g, fv_op(g, "cross_entropy", &each, logits, label), mask);
  if (training) fv_output(g, "loss", fv_reduce(g, "mean", loss, FV_SHAPE(0), false));
  else fv_output(g, "each.loss", loss);
}

/* ---- the row ----------------------------------------------------------------------------------------------------- */
static fv_status check(const void *fields, const fv_problem *task) {
  const fv_translate *s = fields;
  const bool transformer = s->cell == FV_CELL_TRANSFORMER;
  FV_REQUIRE(task->vocabulary[0] > 0 && task->vocabulary[1] > 0, FV_ERR_REQUEST,
             "expected pairs of texts, got none");
  FV_REQUIRE(transformer || s->hidden % 2 == 0, FV_ERR_REQUEST, "hidden: expected an even number, got %d",
             (int)s->hidden);
  FV_REQUIRE(!transformer || s->width % s->heads == 0, FV_ERR_REQUEST,
             "heads: expected a divisor of width %d, got %d", (int)s->width, (int)s->heads);
  FV_REQUIRE(!transformer || s->positions != FV_POSITIONS_ROTARY || s->width / s->heads % 2 == 0, FV_ERR_REQUEST,
             "positions=rotary: expected an even width of heads, got %d", (int)(s->width / s->heads));
  FV_REQUIRE(!task->joint || task->vocabulary[0] == task->vocabulary[1], FV_ERR_REQUEST,
             "joint: expected one vocabulary, got %d and %d tokens", (int)task->vocabulary[0],
             (int)task->vocabulary[1]);
  return FV_OK;
}

static void build(fv_graph *g, const void *fields, const fv_problem *task, fv_mode mode, int64_t n) {
  const fv_translate *s = fields;
  const fv_translate_net *net = s->cell == FV_CELL_TRANSFORMER ? &fv_translate_transformer : &fv_translate_recurrent;
  fv_translation t = {.g = g, .s = s, .task = task, .mode = mode, .n = n};
  if (mode == FV_MODE_STEP) {
    t.mask = fv_input(g, "keep.mask", FV_U8, FV_SHAPE(n, task->length));
    fv_output(g, "scores", net->step(&t, fv_input(g, "token", FV_I32, FV_SHAPE(n))));
    return;
  }
  t.source = fv_input(g, "source", FV_I32, FV_SHAPE(n, task->length));
  t.mask = fv_token_mask(g, t.source);
  if (mode == FV_MODE_ENCODE) {
    fv_output(g, "keep.mask", t.mask);
    net->encode(&t);
    return;
  }
  fv_value *target = fv_input(g, "target", FV_I32, FV_SHAPE(n, task->length));
  fv_value *logits = net->whole(&t, fv_slice_of(g, target, 1, 0, task->length - 1));
  if (mode == FV_MODE_PREDICT) fv_output(g, "scores", logits);
  else outputs(&t, logits, fv_slice_of(g, target, 1, 1, task->length - 1));
}

extern const fv_recipe fv_recipe_translate;
const fv_recipe fv_recipe_translate = {
    .info = {.name = "translate",
             .doc = "from one language into another, and which words each word came from: a Transformer, or a "
                    "recurrent network with attention",
             .paper = "Vaswani et al. 2017 (Transformer); Bahdanau et al. 2015 and Luong et al. 2015 (recurrent); Wu "
                      "et al. 2016 (beam search)",
             .default_data = "multi30k-de-en",
             .options = options,
             .presets = presets},
    .settings_size = sizeof(fv_translate),
    .training = "epochs=20 batch=128 lr=0.003 optimizer=adamw beta2=0.98 schedule=onecycle warmup=0.15 clip=1 "
                "label_smoothing=0.1 tokenizer=bpe vocabulary=8000 lower=false joint=true",
    .metric = "token_accuracy",
    .writes = true,
    .check = check,
    .build = build};
